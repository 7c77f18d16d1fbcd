"""Networks answer windows of several streams at once as they answer each alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from jack_stream.config import AnalyzerSettings
from jack_stream.inference.analyzer import Analyzer
from jack_stream.inference.audio_visual import AudioVisualAnalyzer
from jack_stream.inference.batch import Task, answer, predict
from jack_stream.inference.gait import GaitAnalyzer
from jack_stream.inference.localisation import PERIOD_NS, LocalisationAnalyzer
from jack_stream.inference.mart import MartAnalyzer
from jack_stream.inference.sound import FbankPieces, MfccPieces
from jack_stream.models import untrained
from jack_stream.window.spec import Modality, Sample, Window
from jack_stream.wire.messages import Frame

pytestmark = pytest.mark.jittor

SMALL = {"width": 8, "depths": (1, 1, 1, 1)}
Make = Callable[[], Callable[[], Analyzer]]


class _I3D:
    method = "i3d"

    def infer(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        clips = inputs["clip"][:, :, :, ::32, ::32]
        features = np.abs(clips.reshape(len(clips), -1)[:, ::2][:, :1024]).astype(np.float32)
        return {"features": features.reshape(-1, 1024, 1, 1, 1)}


def _vaanet() -> Callable[[], Analyzer]:
    model = untrained("vaanet", seq_len=2, audio_n_segments=2, **SMALL)
    return lambda: AudioVisualAnalyzer(model, AnalyzerSettings(method="vaanet"), MfccPieces(2))


def _cten() -> Callable[[], Analyzer]:
    model = untrained("cten", seq_len=2, **SMALL)
    return lambda: AudioVisualAnalyzer(model, AnalyzerSettings(method="cten"), FbankPieces(2))


def _gait() -> Callable[[], Analyzer]:
    model = untrained("bpm-gcn", width=8)
    return lambda: GaitAnalyzer(model, AnalyzerSettings(method="bpm-gcn"))


def _mart() -> Callable[[], Analyzer]:
    model = untrained("mart", width=48, depth=3, heads=4, fusion_from=1, n_shared=4)
    return lambda: MartAnalyzer(model, AnalyzerSettings(method="mart", window_s=2.0))


def _tsl() -> Callable[[], Analyzer]:
    model, i3d = untrained("tsl-net", seed=1, width=64), _I3D()
    settings = AnalyzerSettings(method="tsl-net", window_s=5 * PERIOD_NS / 1e9)
    return lambda: LocalisationAnalyzer(model, settings, i3d)  # type: ignore[arg-type]


def _of(stream: int, seen: Window) -> Window:
    """A window of another stream: its pictures are darker."""

    def darker(sample: Sample) -> Sample:
        if not isinstance(sample, Frame):
            return sample
        return replace(sample, image=sample.image // (stream + 1))

    samples: dict[Modality, tuple[Sample, ...]] = {
        modality: tuple(map(darker, found)) for modality, found in seen.samples.items()
    }
    return replace(seen, stream=str(stream), samples=samples)


@pytest.mark.parametrize("make", [_vaanet, _cten, _gait, _mart, _tsl])
def test_streams_answered_together_say_what_each_says_alone(make: Make) -> None:
    """Three streams; one has seen a window more, and one has two windows in the batch."""
    analyzer = make()
    together, alone = ([analyzer() for _ in range(3)] for _ in range(2))
    first, *rest = islice(together[0].examples(), 3)
    predict(together[0], _of(0, first))
    predict(alone[0], _of(0, first))
    jobs = [(0, rest[0]), (1, rest[0]), (0, rest[1]), (2, rest[1])]
    tasks = [Task(together[stream].look(_of(stream, seen))) for stream, seen in jobs]
    answer(tasks)
    for task, (stream, seen) in zip(tasks, jobs, strict=True):
        (expected,) = predict(alone[stream], _of(stream, seen))
        found: Any = task.outcome
        scale = np.abs(expected.logits).max()
        np.testing.assert_allclose(found[0].logits, expected.logits, atol=1e-4 * scale)
        assert (found[0].support, found[0].degraded) == (expected.support, expected.degraded)
        assert len(found[0].segments) == len(expected.segments)
