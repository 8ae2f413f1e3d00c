"""Figures that papers and users report: NumPy in, float or ndarray out."""

from trustml.metrics._detection import detection_auroc, detection_recall

__all__ = ["detection_auroc", "detection_recall"]
