"""Fused events of the streams that are to have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import msgspec

from jack_stream.clock import NS_PER_S, TimeSource
from jack_stream.config import Config
from jack_stream.config.streams import FusionSettings
from jack_stream.errors import ConfigError
from jack_stream.events.fusion import Fused, Fusion, Lane
from jack_stream.events.publisher import EventOutlet
from jack_stream.events.schema import Event, EventWindow, ModelInfo
from jack_stream.events.schemes import mapping
from jack_stream.inference.analyzer import Analyzer
from jack_stream.models.registry import Model
from jack_stream.wire.policy import Policy

__all__ = ["METHOD", "Fusing", "quality_of"]

METHOD = "fusion"
_FIGURES = ("average recall", "accuracy")
_UNKNOWN, _LEAST = 0.5, 0.05
_NS_PER_MS = 1e6


class Fusing:
    """Makes of what the methods of a stream say the events of one more method.

    Args:
        config: its ``[streams.fusion]`` sections say of which streams.
        analyzers: stream -> what looks at it.
        outlet: numbers the events.
        clock: the time line.

    Raises:
        ConfigError: a stream has nothing to fuse, or classes that can't be said in its scheme.
    """

    def __init__(
        self,
        config: Config,
        analyzers: Mapping[str, Sequence[Analyzer]],
        outlet: EventOutlet,
        clock: TimeSource,
    ) -> None:
        self._outlet, self._clock = outlet, clock
        patient = config.runtime.policy is Policy.LOSSLESS
        self._fusions = {
            stream.name: Fusion(
                stream.fusion,
                _lanes(stream.name, stream.fusion, analyzers[stream.name]),
                patient=patient,
            )
            for stream in config.streams
            if stream.fusion is not None
        }

    def hear(self, stream: str, method: str, end_ns: int, events: Sequence[Event]) -> list[Event]:
        """The fused events that can be made now that a method is done with a window.

        Args:
            stream: the stream's name.
            method: which.
            end_ns: the end of the window.
            events: what it said of it, as published; perhaps nothing.
        """
        fusion = self._fusions.get(stream)
        found = [] if fusion is None else fusion.hear(method, end_ns, events)
        return [self._event(fused) for fused in found]

    def flush(self) -> list[Event]:
        """The last ones: nothing more will come."""
        return [self._event(fused) for one in self._fusions.values() for fused in one.flush()]

    def _event(self, fused: Fused) -> Event:
        events, now_ns = fused.events, self._clock.now_ns()
        newest = max(events, key=lambda e: (e.window.end_ns, e.published_at_ns))
        waited_ms = (now_ns - newest.published_at_ns) / _NS_PER_MS
        latency = newest.latency
        shares = [part.weight for part in fused.ingredients]
        before_s = (newest.window.end_ns - fused.start_ns) / NS_PER_S
        return Event(
            stream=newest.stream,
            seq=self._outlet.next_seq(newest.stream, METHOD),
            session=self._outlet.session,
            person=fused.person,
            window=EventWindow(
                index=fused.index,
                start_ns=fused.start_ns,
                end_ns=fused.end_ns,
                start_s=newest.window.end_s - before_s,
                end_s=newest.window.end_s,
            ),
            label=fused.label,
            confidence=max(fused.probabilities.values()),
            probabilities=fused.probabilities,
            model=ModelInfo(
                method=METHOD, bundle=METHOD, trained=all(e.model.trained for e in events)
            ),
            modalities=tuple(dict.fromkeys(name for e in events for name in e.modalities)),
            degraded=tuple(dict.fromkeys(fault for e in events for fault in e.degraded)),
            support=min(1.0, sum(w * e.support for w, e in zip(shares, events, strict=True))),
            ingredients=fused.ingredients,
            valence=fused.valence,
            delay_ms=fused.delay_ms,
            published_at_ns=now_ns,
            latency=msgspec.structs.replace(latency, batch_ms=latency.batch_ms + waited_ms),
            purpose=newest.purpose,
        )


def quality_of(model: Model) -> float:
    """How much a model is worth by what its card says was measured, 0.05 to 1.

    The median of the card's average recalls, or accuracies if it states none, less what chance
    would give, as a share of what could be gained over chance; 0.5 where the card states neither.
    """
    card = None if model.origin is None else model.origin.card
    for name in _FIGURES:
        if card is not None and (found := [m.value for m in card.metrics if m.name == name]):
            chance = 1 / max(2, len(model.labels))
            return min(1.0, max(_LEAST, (median(found) - chance) / (1 - chance)))
    return _UNKNOWN


def _lanes(stream: str, settings: FusionSettings, analyzers: Sequence[Analyzer]) -> dict[str, Lane]:
    lanes = {}
    for analyzer in analyzers:
        model = analyzer.model
        if settings.weights.get(model.method, 1.0) and (model.trained or settings.untrained):
            mapping(model.labels, settings.scheme)  # whether it can be said there
            lanes[model.method] = Lane(analyzer.spec.hop_ns, quality_of(model))
    if not lanes:
        raise ConfigError(
            f"stream {stream!r}: fusion has nothing to fuse: its methods' weights are untrained",
            hint="Give bundles, or set fusion.untrained = true to see noise fused.",
        )
    return lanes
