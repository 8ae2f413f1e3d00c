"""Tables to judge a method on: generators with a known answer, loaders of public data."""

from trustml.datasets._adult import load_adult
from trustml.datasets._generators import (
    make_flipped_labels,
    make_mislabelled_classification,
    make_noisy_sources,
)
from trustml.datasets._groupwise import (
    adult_stream,
    make_groupwise_regression,
    medical_costs_stream,
)
from trustml.datasets._label_noise import make_label_noise, noise_transition_matrix
from trustml.datasets._open_world import make_open_world
from trustml.datasets._openml import fetch_valuation_table

__all__ = [
    "adult_stream",
    "fetch_valuation_table",
    "load_adult",
    "make_flipped_labels",
    "make_groupwise_regression",
    "make_label_noise",
    "make_mislabelled_classification",
    "make_noisy_sources",
    "make_open_world",
    "medical_costs_stream",
    "noise_transition_matrix",
]
