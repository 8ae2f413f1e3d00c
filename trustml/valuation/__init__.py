"""Which training rows help a model, and which hurt it.

BetaShapley       Shapley-like values that favour small subsets
DataBanzhaf       values robust to a noisy score
DataOOB           values from the out-of-bag predictions of a bagged model, without validation rows
DataShapley       Shapley values by truncated Monte Carlo permutations
ExactShapley      Shapley values from all subsets, for up to 16 units
GradientShapley   values along one pass of stochastic gradient descent
KNNShapley        exact Shapley values of the nearest-neighbour score
LeaveOneOut       what the score loses without a row
Semivalue         what semivalue returns
addition_curve    how the score grows as rows are added by value
detection_curve   how soon a ranking finds the bad rows
knn_shapley       the function behind KNNShapley
removal_curve     how the score changes as rows are removed by value
semivalue         Shapley, Banzhaf and Beta values of any game
"""

from trustml.valuation._banzhaf import DataBanzhaf
from trustml.valuation._curves import addition_curve, detection_curve, removal_curve
from trustml.valuation._exact import ExactShapley, LeaveOneOut
from trustml.valuation._gradient import GradientShapley
from trustml.valuation._knn import KNNShapley, knn_shapley
from trustml.valuation._out_of_bag import DataOOB
from trustml.valuation._permutation import BetaShapley, DataShapley
from trustml.valuation._semivalue import Semivalue, semivalue

__all__ = [
    "BetaShapley",
    "DataBanzhaf",
    "DataOOB",
    "DataShapley",
    "ExactShapley",
    "GradientShapley",
    "KNNShapley",
    "LeaveOneOut",
    "Semivalue",
    "addition_curve",
    "detection_curve",
    "knn_shapley",
    "removal_curve",
    "semivalue",
]
