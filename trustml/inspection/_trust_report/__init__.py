"""The trust report: one run over a table, one page to read."""

from trustml.inspection._trust_report._report import TrustReport

__all__ = ["TrustReport"]
