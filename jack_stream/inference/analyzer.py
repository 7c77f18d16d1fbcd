"""What looks at windows, and what it says of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from jack_stream.features.localization import Segment
from jack_stream.models.registry import Model
from jack_stream.window.spec import Window, WindowSpec
from jack_stream.wire.messages import Frame

__all__ = ["UNCERTAIN", "Analyzer", "Prediction", "Reading", "read", "reduced", "shares"]

UNCERTAIN = "uncertain"
"""The label where one of the bundle's thresholds for abstaining is not reached."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a model says of one window, and of one person where it tells people apart.

    Attributes:
        logits: float32 ``[C]``.
        person: the person's number, None for the whole scene.
        support: share of the window, 0 to 1, that rests on what was really seen or heard.
        degraded: what was wrong besides what the window says itself.
        segments: where in the window which class is, in seconds from its start, best first; of
            methods that localise.
        attention: float32 ``[S]``, not negative: how much each of the window's S equal stretches
            counted; None of methods that have no such attention.
    """

    logits: NDArray[np.float32]
    person: int | None = None
    support: float = 1.0
    degraded: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    attention: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A prediction in words and probabilities.

    Attributes:
        label: the most probable class, or :data:`UNCERTAIN`.
        confidence: its probability.
        probabilities: class -> probability, adding up to 1.
    """

    label: str
    confidence: float
    probabilities: dict[str, float]


class Analyzer(Protocol):
    """A method at work on one stream."""

    @property
    def model(self) -> Model:
        """The network, which analyzers of several streams may share."""

    @property
    def spec(self) -> WindowSpec:
        """How the stream is to be cut."""

    def shrink(self, frame: Frame) -> Frame:
        """What must be kept of a picture until its window is complete."""

    def predict(self, window: Window) -> list[Prediction]:
        """One prediction per person or one for all; none where there is too little evidence."""

    def warm_up(self) -> None:
        """Run the network once on made-up input, so that all its kernels are compiled."""


def read(model: Model, prediction: Prediction) -> Reading:
    """Turn logits into probabilities and a label, as the bundle's card decides."""
    temperature, threshold, least = 1.0, 0.0, 0.0
    if model.origin is not None:
        decision = model.origin.card.decision
        temperature, threshold = decision.temperature, decision.abstain_below
        least = decision.min_support
    scaled = prediction.logits.astype(np.float64) / temperature
    weights = np.exp(scaled - scaled.max())
    shares = weights / weights.sum()
    best = int(shares.argmax())
    confidence = float(shares[best])
    is_sure = confidence >= threshold and prediction.support >= least
    label = model.labels[best] if is_sure else UNCERTAIN
    named = zip(model.labels, shares, strict=True)
    return Reading(label, confidence, {name: float(share) for name, share in named})


def shares(attention: NDArray[np.float32] | None) -> tuple[float, ...]:
    """How much each stretch counted, adding up to 1; all the same where none stood out.

    Args:
        attention: float32 ``[S]``, not negative, or None.
    """
    if attention is None:
        return ()
    total = float(attention.sum())
    if total <= 0:
        return (1 / len(attention),) * len(attention)
    return tuple(float(weight) / total for weight in attention)


def reduced(frame: Frame, image: NDArray[np.uint8]) -> Frame:
    """The same frame with a smaller picture, uint8 ``[h, w, 3]``."""
    return replace(frame, image=image)
