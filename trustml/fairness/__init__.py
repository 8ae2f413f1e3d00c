"""Audits of how groups are treated: how differently would the judges of each group decide the same case?"""

from trustml.fairness._from_judgments import linco_from_judgments
from trustml.fairness._linco import LInCo
from trustml.fairness._multiplicity import PredictiveMultiplicity

__all__ = ["LInCo", "PredictiveMultiplicity", "linco_from_judgments"]
