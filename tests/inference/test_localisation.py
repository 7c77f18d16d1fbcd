"""TSL-Net live: what is cached equals what is computed anew, and a hop costs what is new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from jack_stream.config import AnalyzerSettings
from jack_stream.errors import ConfigError
from jack_stream.features import logmel
from jack_stream.features.mel import power_to_db
from jack_stream.inference.batch import predict
from jack_stream.inference.catalogue import make_analyzer
from jack_stream.inference.grid import flicker
from jack_stream.inference.localisation import (
    MOST_SEGMENTS,
    PERIOD_NS,
    LocalisationAnalyzer,
    i3d_encoder,
    segment_power,
)
from jack_stream.inference.warming import warm_up
from jack_stream.models import Model, untrained
from tests.inference.streams import MS, S, answered, cut, frame, frames_at, in_order, noise_blocks

pytestmark = pytest.mark.jittor

SEGMENT_S = 0.64
Make = Callable[..., LocalisationAnalyzer]


class _I3D:
    """Features that depend on every picture of a clip and cost nothing."""

    method = "i3d"

    def __init__(self) -> None:
        self.clips: list[np.ndarray] = []

    def infer(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        clips = inputs["clip"]
        self.clips.extend(clips)
        corners = clips[:, :, :, ::32, ::32].reshape(len(clips), -1)
        features = np.abs(corners[:, ::2][:, :1024]).astype(np.float32)
        return {"features": features.reshape(-1, 1024, 1, 1, 1)}


@pytest.fixture(scope="module")
def network() -> Model:
    return untrained("tsl-net", seed=1)


@pytest.fixture
def make(network: Model) -> Make:
    def made(i3d: Any = None, *, segments: int = 6, **settings: Any) -> LocalisationAnalyzer:
        settings = {"window_s": segments * SEGMENT_S} | settings
        return LocalisationAnalyzer(
            network, AnalyzerSettings(method="tsl-net", **settings), i3d or _I3D()
        )

    return made


def test_a_hop_gives_what_a_fresh_analyzer_gives_for_the_cost_of_one_segment(make: Make) -> None:
    analyzer, lost = make(), {40, 41, *range(80, 96)}
    frames = [f for f in frames_at(7.0, side=224) if f.stamp.seq not in lost]
    messages = in_order(frames, noise_blocks(7.0, rate=44100))
    windows = cut(analyzer.spec, messages, analyzer.shrink)
    assert len(windows) == 5
    for seen in windows:
        (cached,), (anew,) = predict(analyzer, seen), predict(make(), seen)
        np.testing.assert_allclose(cached.logits, anew.logits, atol=1e-4)
        assert cached.degraded == anew.degraded == ("1 of 6 snippets without a picture",)
        for one, other in zip(cached.segments, anew.segments, strict=True):
            assert one.label == other.label
            assert one.start_s == pytest.approx(other.start_s, abs=SEGMENT_S / 24)
            assert one.score == pytest.approx(other.score, abs=1e-3)
    assert analyzer.snippets.encoded == 5 + 4
    assert analyzer._sound.heard == 6 + 4
    assert analyzer._network.encoded == {"sound": 3, "visual": 3, "fused": 5}


def test_the_probabilities_are_the_shares_of_the_scores(make: Make, network: Model) -> None:
    analyzer, i3d = make(), _I3D()
    seen = flicker(0, analyzer.spec.length_ns, 224)
    (prediction,) = predict(analyzer, seen)
    rgb = answered(make(i3d).snippets.take(seen).features())
    power, captured = make()._sound.features(seen)
    mel = logmel.to_segments(power_to_db(power.reshape(-1, 60)))
    score = network.infer({"rgb": rgb["rgb"][None], "mel": mel[None]})["vid_score"][0]
    shares = np.exp(prediction.logits) / np.exp(prediction.logits).sum()
    np.testing.assert_allclose(shares, score / score.sum(), atol=1e-5)
    assert captured == prediction.support == 1.0


def test_segments_lie_in_the_window_best_first(make: Make) -> None:
    analyzer = make(segments=12)
    (prediction,) = predict(analyzer, flicker(0, analyzer.spec.length_ns, 224))
    assert 0 < len(prediction.segments) <= MOST_SEGMENTS
    scores = [s.score for s in prediction.segments]
    assert scores == sorted(scores, reverse=True)
    for found in prediction.segments:
        assert found.label in (0, 1)
        assert 0 <= found.start_s < found.end_s <= 12 * SEGMENT_S + 1e-6


def test_a_device_keeps_its_cache_although_its_grid_begins_at_the_epoch(make: Make) -> None:
    analyzer = make()
    now = 1_700_000_000 * S // PERIOD_NS * PERIOD_NS
    predict(analyzer, flicker(now, now + analyzer.spec.length_ns, 224))
    predict(analyzer, flicker(now + PERIOD_NS, now + PERIOD_NS + analyzer.spec.length_ns, 224))
    assert analyzer.snippets.encoded == 7
    assert analyzer._network.encoded["sound"] == 3


def test_missing_modalities_are_no_error(make: Make) -> None:
    analyzer = make()
    late = frame(9999, 60 * S, side=224)
    seen = cut(analyzer.spec, [*frames_at(4.0, side=224), late], analyzer.shrink)[0]
    assert seen.degraded == ("audio missing",)
    (prediction,) = predict(analyzer, seen)
    assert prediction.support == 0.5
    deaf = cut(analyzer.spec, noise_blocks(6.0), analyzer.shrink)[0]
    assert predict(analyzer, deaf) == []


def test_the_grid_is_that_of_segments(make: Make) -> None:
    assert make().spec.hop_ns == PERIOD_NS == 640 * MS
    assert make(window_s=None).spec.length_ns == 32 * PERIOD_NS
    assert make(hop_s=1.28).spec.hop_ns == 2 * PERIOD_NS
    with pytest.raises(ConfigError, match=r"hop_s = 1 is no multiple of the 0.64 s"):
        make(hop_s=1.0)
    with pytest.raises(ConfigError, match=r"window_s = 20 is no multiple"):
        make(window_s=20.0)


def test_pictures_are_kept_as_the_view_that_i3d_takes(make: Make) -> None:
    wide = frame(0, 0, side=300)
    assert make().shrink(wide).image.shape == (224, 224, 3)


def test_i3d_sees_pixels_from_minus_one_to_one() -> None:
    i3d = _I3D()
    clips = np.zeros((1, 3, 16, 224, 224), np.float32)
    clips[:, 0] = 255.0
    assert i3d_encoder(i3d)(clips)["rgb"].shape == (1, 1024)  # type: ignore[arg-type]
    assert i3d.clips[0][:, 0, 0, 0].tolist() == [1.0, -1.0, -1.0]


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_a_segments_frames_are_those_of_its_whole_sound(rate: int) -> None:
    """All but the first few hundredths of a second, where the segment before is not heard."""
    at = np.arange(rate * 2) / rate
    sweep = np.sin(2 * np.pi * (300 + 400 * at) * at).astype(np.float32) * 0.5
    first = round(SEGMENT_S * rate)
    alone = segment_power(sweep[first : 2 * first], rate)
    assert alone.shape == (32, 60)
    fine = logmel.sample_rate(25.0)
    whole = segment_power(sweep[first - rate // 100 * 10 : 2 * first], rate)
    assert whole.shape == (32, 60)
    # 0.1 s earlier is 5.003 frames of 1024 samples earlier: the same frames to a few samples.
    assert fine / 10 / 1024 == pytest.approx(5.003, abs=1e-3)
    near, far = power_to_db(alone[1:26]), power_to_db(whole[6:31])
    loud = far > far.max() - 40
    assert np.abs(near - far)[loud].max() < 0.5


def test_warming_up_runs_a_batch_and_a_hop(make: Make) -> None:
    i3d = _I3D()
    analyzer = make(i3d)
    cost = warm_up(analyzer)
    assert len(i3d.clips) == analyzer.snippets.encoded >= 5 + 2
    assert cost.seconds(1) > 0


def test_untrained_weights_work_from_pixels() -> None:
    analyzer = make_analyzer(AnalyzerSettings(method="tsl-net", window_s=1.28))
    (prediction,) = predict(analyzer, flicker(0, 2 * PERIOD_NS, 224))
    assert prediction.logits.shape == (2,)
    assert not analyzer.model.trained
    assert prediction.segments
