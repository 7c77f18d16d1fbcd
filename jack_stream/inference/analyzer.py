"""What looks at windows, and what it says of them.

To look at a window is a generator: plain NumPy up to its first ``yield``, and wherever a network is
needed it yields an :class:`Ask` and is sent the answer. So what several windows, streams and
persons ask of the same part of a network is answered at once. A method of one network in one piece
is as short as

    def look(self, window: Window) -> Look:
        persons, rows = ...
        if not persons:
            return []
        outputs = yield Ask(self._network, rows)
        return [Prediction(logits, one) for logits, one in zip(outputs["logits"], persons)]
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from jack_stream.features.localization import Segment
from jack_stream.features.views import VIEWS
from jack_stream.models.registry import Model
from jack_stream.window.spec import Window, WindowSpec
from jack_stream.wire.messages import Frame, View

__all__ = [
    "UNCERTAIN",
    "Analyzer",
    "Arrays",
    "Ask",
    "Look",
    "Prediction",
    "Reading",
    "Step",
    "read",
    "reduced",
    "shares",
]

Arrays: TypeAlias = dict[str, NDArray[np.float32]]

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


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a network that answers rows independently of each other.

    Two steps are the same if they are of the same model and have the same name: analyzers that
    share a model share its steps, and are answered together.

    Attributes:
        model: whose part it is.
        name: tells the parts of a model apart.
        run: named rows float32 ``[N, ...]`` -> named outputs, all of them ``[N, ...]`` too. It may
            use Jittor: it is called in the thread that Jittor runs in.
        most: rows that are answered at once at the most, which bounds the memory it takes.
    """

    model: Model
    name: str
    run: Callable[[Arrays], Arrays] = field(compare=False)
    most: int = field(default=64, compare=False)


class Ask(NamedTuple):
    """What a look needs of a network next; it is sent the answer.

    Attributes:
        step: the part of the network.
        rows: its inputs ``[N, ...]``. If there are none (no names), the answer is empty, too.
    """

    step: Step
    rows: Arrays


Look: TypeAlias = Generator[Ask, Arrays, list[Prediction]]


class Analyzer(Protocol):
    """A method at work on one stream."""

    @property
    def model(self) -> Model:
        """The network, which analyzers of several streams may share."""

    @property
    def spec(self) -> WindowSpec:
        """How the stream is to be cut."""

    @property
    def view(self) -> View | None:
        """The view of each picture that is all it looks at; None if it looks at no pictures."""

    def shrink(self, frame: Frame) -> Frame:
        """What must be kept of a picture until its window is complete."""

    def look(self, window: Window) -> Look:
        """One prediction per person or one for all; none where there is too little evidence.

        Windows of a stream are looked at in order, but the next look may begin before this one
        has its answers: what a look leaves for the next one is put in its place before the first
        ``yield``, and afterwards filled at the most, never taken away. A look may also be given
        up at any ``yield``.

        Raises:
            ModelInputError: the window can't be looked at.
        """

    def examples(self) -> Iterator[Window]:
        """Made-up windows of a stream without end, each a hop after the one before.

        They are looked at before anything real, so that all kernels are compiled, and to measure
        what a window costs alone and with others.
        """


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


def reduced(frame: Frame, view: View) -> Frame:
    """The same frame with a view of its picture, which capture may have made already."""
    return frame if frame.view else replace(frame, image=VIEWS[view](frame.image), view=view)
