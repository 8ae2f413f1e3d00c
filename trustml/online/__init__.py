"""Online prediction with a regret guarantee for every group at once."""

from trustml.online._aggregators import AdaNormalHedge, Specialists
from trustml.online._ridge import OnlineRidge

__all__ = ["AdaNormalHedge", "OnlineRidge", "Specialists"]
