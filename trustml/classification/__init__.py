"""Classification that survives wrong labels."""

from trustml.classification._ldr import LDRClassifier

__all__ = ["LDRClassifier"]
