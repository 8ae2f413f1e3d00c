"""Online prediction with a regret guarantee for every group at once."""

from trustml.online._aggregators import AdaNormalHedge, Specialists
from trustml.online._groupwise import GroupwiseRegressor
from trustml.online._membership import make_intersections
from trustml.online._orders import PAPER_SEEDS, shuffled_orders, sorted_order
from trustml.online._perturbed_leader import FollowPerturbedLeader
from trustml.online._regret import group_hindsight
from trustml.online._ridge import OnlineRidge

__all__ = [
    "PAPER_SEEDS",
    "AdaNormalHedge",
    "FollowPerturbedLeader",
    "GroupwiseRegressor",
    "OnlineRidge",
    "Specialists",
    "group_hindsight",
    "make_intersections",
    "shuffled_orders",
    "sorted_order",
]
