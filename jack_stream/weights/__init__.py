"""Bundles of weights: what a model was trained on, with what, and the tensors themselves.

Reading a bundle never executes anything that is in it. Importing foreign checkpoints is a separate
command (:mod:`jack_stream.weights.checkpoint`), which this package does not import by itself.
"""

from jack_stream.weights.bundle import Bundle, read_bundle, write_bundle
from jack_stream.weights.card import (
    Card,
    Decision,
    Metric,
    Provenance,
    TensorRecord,
    TrainingData,
)

__all__ = [
    "Bundle",
    "Card",
    "Decision",
    "Metric",
    "Provenance",
    "TensorRecord",
    "TrainingData",
    "read_bundle",
    "write_bundle",
]
