"""VAANet, CTEN, their windows and what is said of windows that lack something."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jack_stream.config import AnalyzerSettings
from jack_stream.errors import ConfigError
from jack_stream.features.snippets import frames_of_cell
from jack_stream.features.spatial import to_clip
from jack_stream.inference.analyzer import shares
from jack_stream.inference.audio_visual import AudioVisualAnalyzer
from jack_stream.inference.batch import predict
from jack_stream.inference.grid import evidence, flicker
from jack_stream.inference.sound import MfccPieces, heard
from jack_stream.inference.warming import warm_up
from tests.inference.streams import MS, ORIGIN, S, cut, frame, frames_at, in_order, noise_blocks

SNIPPETS = 4


class _Network:
    """Two classes: how bright the pictures are, and how loud the sound is."""

    method, origin, labels, trained = "vaanet", None, ("bright", "loud"), False
    input_spec = {"visual": ("B", SNIPPETS, 3, 16, 112, 112)}  # noqa: RUF012 - as modules have it

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, name: str, items: np.ndarray) -> dict[str, np.ndarray]:
        self.encoded.append(f"{name} {len(items)}")
        mean = np.abs(items).mean(tuple(range(1, items.ndim)))
        return {f"{name}_mean": mean.astype(np.float32)}

    def head(self, features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows = [features["visual_mean"].mean(1), features["audio_mean"].mean(1)]
        gamma = np.maximum(features["visual_mean"], 0)
        return {"logits": np.stack(rows, 1), "gamma": gamma}


def _halves(samples: np.ndarray, _: int) -> np.ndarray:
    return samples[: len(samples) // 2 * 2].reshape(2, -1, 1)


def _analyzer(**settings: Any) -> AudioVisualAnalyzer:
    chosen = AnalyzerSettings(method="vaanet", **settings)
    return AudioVisualAnalyzer(_Network(), chosen, _halves)  # type: ignore[arg-type]


@pytest.fixture
def analyzer() -> AudioVisualAnalyzer:
    return _analyzer()


def _first(analyzer: AudioVisualAnalyzer, frames: Any, sounds: Any) -> Any:
    """The first window and what is said of it; a picture much later ends all waiting."""
    messages = [*in_order(frames, sounds), frame(10_000, 60 * S)]
    seen = cut(analyzer.spec, messages, analyzer.shrink)[0]
    assert seen.start_ns == ORIGIN
    return seen, predict(analyzer, seen)


def test_a_whole_window_is_wholly_supported(analyzer: AudioVisualAnalyzer) -> None:
    seen, (prediction,) = _first(analyzer, frames_at(4.2), noise_blocks(4.4))
    assert seen.degraded == ()
    assert (prediction.support, prediction.degraded, prediction.person) == (1.0, (), None)
    assert prediction.logits.shape == (2,)
    assert prediction.logits[1] > 0


def test_without_sound_silence_is_heard_and_said(analyzer: AudioVisualAnalyzer) -> None:
    seen, (prediction,) = _first(analyzer, frames_at(7.0), [])
    assert seen.degraded == ("audio missing",)
    assert prediction.support == 0.5
    assert prediction.degraded == ()
    assert prediction.logits[1] == 0


def test_half_the_sound_is_named(analyzer: AudioVisualAnalyzer) -> None:
    _, (prediction,) = _first(analyzer, frames_at(7.0), noise_blocks(2.0))
    assert prediction.degraded == ("50% of the sound missing",)
    assert prediction.support == 0.75


def test_snippets_without_pictures_are_named(analyzer: AudioVisualAnalyzer) -> None:
    seen, (prediction,) = _first(analyzer, frames_at(2.0), noise_blocks(7.0))
    assert prediction.degraded == ("2 of 4 snippets without a picture",)
    assert prediction.support == 0.75
    assert seen.present == ("frame", "audio")


def test_without_any_picture_nothing_is_said(analyzer: AudioVisualAnalyzer) -> None:
    windows = cut(analyzer.spec, in_order(noise_blocks(6.0)), analyzer.shrink)
    assert windows
    assert windows[0].degraded == ("frame missing",)
    assert predict(analyzer, windows[0]) == []


def test_a_hop_encodes_its_new_snippet_only(analyzer: AudioVisualAnalyzer) -> None:
    windows = cut(analyzer.spec, in_order(frames_at(8.2), noise_blocks(8.2)), analyzer.shrink)
    assert len(windows) == 5
    for seen in windows:
        predict(analyzer, seen)
    visual = [e for e in analyzer.model.encoded if e.startswith("visual")]  # type: ignore[attr-defined]
    assert visual == ["visual 4", "visual 1", "visual 1", "visual 1", "visual 1"]


def test_pictures_are_kept_small(analyzer: AudioVisualAnalyzer) -> None:
    assert analyzer.shrink(frame(0, 0, side=300)).image.shape == (112, 112, 3)


def test_the_configuration_must_give_whole_snippets() -> None:
    assert _analyzer(window_s=6.0, hop_s=3.0).spec.hop_ns == 3 * S
    with pytest.raises(ConfigError, match=r"hop_s = 0.7 is no multiple of the 1 s of a snippet"):
        _analyzer(hop_s=0.7)
    assert _analyzer(window_s=2.0).spec.hop_ns == 500 * MS


def test_warming_up_encodes_a_window_and_then_hops_alone_and_together(
    analyzer: AudioVisualAnalyzer,
) -> None:
    warm_up(analyzer)
    encoded = analyzer.model.encoded  # type: ignore[attr-defined]
    assert encoded[:6] == ["visual 4", "audio 2", *["visual 1", "audio 2"] * 2]
    assert encoded[6:10] == ["visual 2", "audio 4"] * 2


def test_windows_to_warm_up_with_share_what_they_overlap_in() -> None:
    one, two = flicker(0, 2 * S, 8), flicker(S, 3 * S, 8)
    shared = [f for f in one.frames if f.stamp.captured_at_ns >= S]
    assert len(shared) == 25
    for before, after in zip(shared, two.frames[:25], strict=True):
        assert before.stamp == after.stamp
        assert (before.image == after.image).all()
    np.testing.assert_array_equal(heard(one, S, 2 * S)[0], heard(two, S, 2 * S)[0])
    assert heard(two)[2] == 1.0


def test_evidence_counts_pictures_and_sound_alike() -> None:
    assert evidence(4, 0, 1.0) == (1.0, ())
    assert evidence(4, 4, 0.0) == (0.0, ("4 of 4 snippets without a picture",))
    assert evidence(2, 0, 0.9995)[1] == ()


@pytest.mark.jittor
def test_vaanets_cached_answers_are_those_of_the_whole_network() -> None:
    from jack_stream.models import untrained  # noqa: PLC0415 - makes Jittor ready

    model = untrained("vaanet", seq_len=2, audio_n_segments=2)
    analyzer = AudioVisualAnalyzer(model, AnalyzerSettings(method="vaanet"), MfccPieces(2))
    messages = in_order(frames_at(3.2, side=112), noise_blocks(3.2, rate=44100))
    windows = cut(analyzer.spec, messages, analyzer.shrink)
    assert len(windows) == 2
    for seen in windows:
        (cached,) = predict(analyzer, seen)
        times = np.array([f.stamp.captured_at_ns - ORIGIN for f in seen.frames])
        first = (seen.start_ns - ORIGIN) // S
        clips = [
            to_clip(seen.frames[i].image for i in frames_of_cell(times, cell, S, fps=25.0))
            for cell in (first, first + 1)
        ]
        samples, rate, _ = heard(seen)
        whole = model.infer(
            {
                "visual": np.stack(clips)[np.newaxis],
                "audio": MfccPieces(2)(samples, rate).reshape(1, 512, 32),
            }
        )["logits"][0]
        np.testing.assert_allclose(cached.logits, whole, rtol=0, atol=1e-4 * np.abs(whole).max())
    assert analyzer.snippets.encoded == 3


def test_it_says_which_snippets_it_attended_to(analyzer: AudioVisualAnalyzer) -> None:
    """The made network attends to what is bright: here the last of four snippets."""
    frames = [
        replace(one, image=np.full_like(one.image, 255 if at >= 3.1 * 25 else 10))
        for at, one in enumerate(frames_at(4.2))
    ]
    _, (prediction,) = _first(analyzer, frames, noise_blocks(4.4))
    weights = shares(prediction.attention)
    assert len(weights) == SNIPPETS
    assert sum(weights) == pytest.approx(1)
    assert weights[-1] > 0.7


def test_where_nothing_stands_out_all_counts_the_same() -> None:
    assert shares(np.zeros(4, np.float32)) == (0.25,) * 4
    assert shares(None) == ()
