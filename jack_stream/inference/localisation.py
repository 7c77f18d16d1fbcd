"""TSL-Net on a stream: where in the last seconds the sentiment is positive or negative.

The grid's cells are TSL-Net's segments: 16 pictures at 25 a second, 0.64 s. Of each the I3D
features and the mel spectrum are computed once; TSL-Net itself computes again what a new segment
changes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np
import soxr
from numpy.typing import NDArray

from jack_stream.clock import NS_PER_S
from jack_stream.config import AnalyzerSettings
from jack_stream.features import logmel
from jack_stream.features.localization import FRAMES_PER_STEP, Segment, propose
from jack_stream.features.mel import power_to_db
from jack_stream.inference.analyzer import Arrays, Ask, Look, Prediction, Step, reduced
from jack_stream.inference.grid import cells_spec, evidence, flickers
from jack_stream.inference.snippets import Encoder, SnippetCache, cells_of
from jack_stream.inference.sound import SoundCache
from jack_stream.models.registry import Model
from jack_stream.window.spec import Window
from jack_stream.wire.messages import Frame, View

__all__ = ["LocalisationAnalyzer", "i3d_encoder", "segment_power"]

FPS = 25.0
"""Pictures per second that a segment's 16 are taken at; TSL-300's videos have 20 to 30."""
PERIOD_NS = round(FRAMES_PER_STEP / FPS * NS_PER_S)
DEFAULT_SEGMENTS = 32
"""20.48 s: at 25 pictures a second 77 MB of pictures are kept."""
MOST_SEGMENTS = 8
"""Localised segments in one event at the most."""

_SIDE = 224
_MOST_CLIPS = 4
_POSITIONS = 1800  # TSL-300's longest video has 1813 segments: no weights know later positions


class LocalisationAnalyzer:
    """Localises sentiment in a window of segments.

    Args:
        model: ``tsl-net``.
        settings: window and hop must be whole numbers of segments of 0.64 s.
        i3d: the ``i3d`` network that the visual features come from.
    """

    view: View = "224"

    def __init__(self, model: Model, settings: AnalyzerSettings, i3d: Model) -> None:
        # Imported here because it imports Jittor, which the process must have prepared.
        from jack_stream.models.tsl_stream import TSLStream, parts  # noqa: PLC0415

        self.model = model
        length_ns = DEFAULT_SEGMENTS * PERIOD_NS
        if settings.window_s is not None:
            length_ns = round(settings.window_s * NS_PER_S)
        self.spec = cells_spec(model.method, settings, period_ns=PERIOD_NS, length_ns=length_ns)
        encode = i3d_encoder(i3d)
        see = Step(i3d, "see", lambda rows: encode(rows["clips"]), most=_MOST_CLIPS)
        self.snippets = SnippetCache(see, period_ns=PERIOD_NS, fps=FPS)
        self._sound = SoundCache(segment_power, PERIOD_NS)
        self._network = TSLStream(model.module)
        self._steps = {
            name: Step(model, name, partial(model.run, part))
            for name, part in parts(model.module).items()
        }

    def shrink(self, frame: Frame) -> Frame:
        """Keep the view that I3D takes: the middle, 224 pixels square."""
        return reduced(frame, self.view)

    def look(self, window: Window) -> Look:
        """One prediction for the scene, with its segments; none without any picture.

        TSL-Net's scores of the classes are independent of each other; the probabilities are the
        shares that they have in their sum.
        """
        if not window.frames:
            return []
        snippets = self.snippets.take(window)
        power, captured = self._sound.features(window)
        decibels = power_to_db(power.reshape(-1, logmel.BANDS))
        mel = logmel.to_segments(decibels)
        first = cells_of(window, PERIOD_NS)[0] % _POSITIONS
        features = yield from snippets.features()
        outputs = yield from self._localise(first, features["rgb"], mel)
        score = outputs["vid_score"][0]
        support, degraded = evidence(len(power), snippets.empty, captured)
        logits = np.log(np.maximum(score, np.finfo(np.float32).tiny))
        found = _best(propose(score, outputs["cas_sigmoid_fuse"][0], FPS))
        return [Prediction(logits, None, support, degraded, found)]

    def examples(self) -> Iterator[Window]:
        """Windows of noise, not longer than it takes: their length changes nothing in a hop."""
        return flickers(replace(self.spec, length_ns=(_MOST_CLIPS + 1) * PERIOD_NS), _SIDE)

    def _localise(
        self, first: int, rgb: NDArray[np.float32], mel: NDArray[np.float32]
    ) -> Generator[Ask, Arrays, Arrays]:
        steps = self._network.look(first, rgb, mel)
        part, rows = next(steps)
        while True:
            found = yield Ask(self._steps[part], rows)
            try:
                part, rows = steps.send(found)
            except StopIteration as end:
                return cast("Arrays", end.value)


def i3d_encoder(network: Model) -> Encoder:
    """Clips float32 ``[N, 3, 16, 224, 224]`` in 0..255 -> I3D's features ``rgb`` ``[N, 1024]``."""

    def encode(clips: NDArray[np.float32]) -> Arrays:
        scaled = clips * np.float32(2.0 / 255.0) - np.float32(1.0)
        return {"rgb": network.infer({"clip": scaled})["features"].reshape(len(scaled), -1)}

    return encode


def segment_power(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """The mel power of a segment's own sound, float32 ``[32, 60]``.

    Of its 32 frames all but the first lie inside the segment. The first reaches 20 ms further
    back, where the segment's beginning is mirrored in place of the segment before, so that it is
    the same in every window.

    Args:
        samples: float32 ``[n]``, 0.64 s.
        sample_rate: in hertz.
    """
    rate = logmel.sample_rate(FPS)
    resampled = np.asarray(soxr.resample(samples, sample_rate, rate), np.float32)
    return logmel.mel_spectrum(rate, "reflect").whole(resampled)[: logmel.SEGMENT_FRAMES]


def _best(segments: list[Segment]) -> tuple[Segment, ...]:
    return tuple(sorted(segments, key=lambda s: -s.score)[:MOST_SEGMENTS])
