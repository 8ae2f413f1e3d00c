"""Tables to judge a method on: generators with a known answer, loaders of public data."""

from trustml.datasets._generators import (
    make_flipped_labels,
    make_mislabelled_classification,
    make_noisy_sources,
)
from trustml.datasets._openml import fetch_valuation_table

__all__ = [
    "fetch_valuation_table",
    "make_flipped_labels",
    "make_mislabelled_classification",
    "make_noisy_sources",
]
