"""Audits of how groups are treated: how differently would the judges of each group decide the same case?"""

from trustml.fairness._from_judgments import linco_from_judgments
from trustml.fairness._group_metrics import GroupMetricFrame, group_metric_frame
from trustml.fairness._linco import LInCo
from trustml.fairness._multiplicity import PredictiveMultiplicity
from trustml.fairness._rashomon import rashomon_ensemble

__all__ = [
    "GroupMetricFrame",
    "LInCo",
    "PredictiveMultiplicity",
    "group_metric_frame",
    "linco_from_judgments",
    "rashomon_ensemble",
]
