"""Embeddings of classes that training has not seen, compared pair by pair under one threshold."""

from trustml.metric_learning._split import ClassDisjointKFold, train_test_class_split
from trustml.metric_learning._tcm import TCMEmbedding
from trustml.metric_learning._verifier import PairVerifier

__all__ = ["ClassDisjointKFold", "PairVerifier", "TCMEmbedding", "train_test_class_split"]
