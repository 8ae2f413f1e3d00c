"""Pictures and reports. They need matplotlib: ``pip install 'trustml[plot]'``."""

from trustml.inspection._data_values import DataValueDisplay
from trustml.inspection._group_judges import LInCoDisplay
from trustml.inspection._group_regret import GroupRegretDisplay
from trustml.inspection._multiplicity import MultiplicityDisplay
from trustml.inspection._operating_curves import OperatingCurveDisplay
from trustml.inspection._quantiles import QuantileDisplay
from trustml.inspection._shots import ShotDisplay
from trustml.inspection._trust_report import TrustReport
from trustml.inspection._uncertainty import UncertaintyDisplay

__all__ = [
    "DataValueDisplay",
    "GroupRegretDisplay",
    "LInCoDisplay",
    "MultiplicityDisplay",
    "OperatingCurveDisplay",
    "QuantileDisplay",
    "ShotDisplay",
    "TrustReport",
    "UncertaintyDisplay",
]
