"""Made-up streams, windows and analyzers for the tests of this room."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np

from jack_stream.inference.analyzer import Arrays, Ask, Look, Prediction, Step
from jack_stream.window.assembler import WindowAssembler
from jack_stream.window.spec import Modality, Sample, Window, WindowSpec
from jack_stream.wire.messages import Audio, End, Frame, Poses, Stamp

MS = 1_000_000
S = 1_000_000_000
ORIGIN = 1_700_000_000_000_000_123


def stamp(
    seq: int, at_ns: int, *, stream: str = "door", session: str = "a", origin: int = ORIGIN
) -> Stamp:
    return Stamp(stream, seq, origin + at_ns, session, origin)


def picture(seq: int, side: int = 4, **where: Any) -> np.ndarray:
    """A picture that depends on its number and stream alone."""
    seed = [seq, *f"{where}".encode()]
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def frame(seq: int, at_ns: int, *, side: int = 4, **where: Any) -> Frame:
    return Frame(stamp(seq, at_ns, **where), picture(seq, side, **where), (640, 480))


def sound(seq: int, at_ns: int, samples: np.ndarray, rate: int, **where: Any) -> Audio:
    return Audio(stamp(seq, at_ns, **where), samples.astype(np.float32), rate)


def noise_blocks(
    seconds: float, *, rate: int = 16000, level: float = 0.1, block_ms: int = 40, **where: Any
) -> list[Audio]:
    """Blocks of noise, each depending on its number alone."""
    length = rate * block_ms // 1000
    return [
        sound(
            seq,
            seq * block_ms * MS,
            np.random.default_rng(seq).standard_normal(length) * level,
            rate,
            **where,
        )
        for seq in range(round(seconds * 1000 / block_ms))
    ]


def frames_at(seconds: float, *, fps: float = 25.0, side: int = 4, **where: Any) -> list[Frame]:
    return [
        frame(seq, round(seq / fps * S), side=side, **where) for seq in range(int(seconds * fps))
    ]


def window(
    samples: dict[Modality, Iterable[Sample]],
    start_ns: int,
    length_ns: int,
    *,
    stream: str = "door",
    origin: int = ORIGIN,
    degraded: tuple[str, ...] = (),
) -> Window:
    """A window ``start_ns`` after the origin that holds what of the samples belongs to it."""
    start, end = origin + start_ns, origin + start_ns + length_ns
    held: dict[Modality, tuple[Sample, ...]] = {
        modality: tuple(
            s
            for s in found
            if s.stamp.captured_at_ns < end
            and (modality == "audio" or s.stamp.captured_at_ns >= start)
        )
        for modality, found in samples.items()
    }
    return Window(stream, 0, origin, start, end, held, degraded, end, origin)


def cut(
    spec: WindowSpec,
    messages: Iterable[Frame | Audio | Poses | End],
    shrink: Callable[[Frame], Frame] | None = None,
) -> list[Window]:
    """All windows of a stream of messages, as the assembler cuts them."""
    assembler = WindowAssembler("door", spec, shrink=shrink)
    windows: list[Window] = []
    for message in messages:
        assembler.add(message)
        windows.extend(assembler.ready())
    return windows


def in_order(*tracks: Iterable[Any]) -> list[Any]:
    """Messages of several tracks by time."""
    return sorted(itertools.chain(*tracks), key=lambda m: m.stamp.captured_at_ns)


T = TypeVar("T")


def answered(asking: Generator[Ask, Arrays, T]) -> T:
    """What a generator of asks returns when each ask is answered by its step at once."""
    try:
        ask = next(asking)
        while True:
            ask = asking.send(ask.step.run(ask.rows) if ask.rows else {})
    except StopIteration as end:
        result: T = end.value
        return result


class FakeModel:
    """As much of a model as the code around it asks for."""

    def __init__(
        self,
        method: str = "fake",
        labels: tuple[str, ...] = ("calm", "cross"),
        *,
        decision: tuple[float, ...] | None = None,
        trained: bool = False,
    ) -> None:
        self.method = method
        self.labels = labels
        self.trained = trained
        self.origin = None
        if decision is not None or trained:
            names = ("temperature", "abstain_below", "min_support")
            given = decision or ()
            said = dict(zip(names, (*given, *(1.0, 0.0, 0.0)[len(given) :]), strict=True))
            decided = SimpleNamespace(**said)
            card = SimpleNamespace(decision=decided, preprocessing={}, metrics=[])
            self.origin = SimpleNamespace(card=card, digest="d" * 64)


class FakeAnalyzer:
    """Says what it is told to say."""

    view = None

    def __init__(
        self,
        predict: Callable[[Window], list[Prediction]] = lambda _: [],
        *,
        model: Any = None,
        spec: WindowSpec | None = None,
    ) -> None:
        self.model = model or FakeModel()
        self.spec = spec or WindowSpec(S, S, ("frame",), S)
        self._predict = predict
        self._step = Step(self.model, "fake", dict)

    def shrink(self, frame: Frame) -> Frame:
        return frame

    def look(self, window: Window) -> Look:
        yield Ask(self._step, {})
        return self._predict(window)

    def examples(self) -> Iterator[Window]:
        return itertools.repeat(window({}, 0, self.spec.length_ns))


class FakeClock:
    """Advances by a millisecond each time it is asked."""

    def __init__(self, now_ns: int = ORIGIN) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        self._now_ns += MS
        return self._now_ns
