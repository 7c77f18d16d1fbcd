"""MART live: pictures and sound of a snippet together, each snippet once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jack_stream.config import AnalyzerSettings
from jack_stream.errors import ConfigError
from jack_stream.features import fbank
from jack_stream.features.snippets import frames_of_cell
from jack_stream.features.spatial import to_clip
from jack_stream.inference.batch import predict
from jack_stream.inference.mart import MartAnalyzer
from jack_stream.inference.sound import heard
from jack_stream.inference.warming import warm_up
from jack_stream.models import Model, untrained
from jack_stream.window.spec import Window
from tests.inference.streams import ORIGIN, S, cut, frame, frames_at, in_order, noise_blocks

pytestmark = pytest.mark.jittor


@pytest.fixture(scope="module")
def network() -> Model:
    return untrained("mart", width=48, depth=3, heads=4, fusion_from=1, n_shared=4)


def _analyzer(network: Model, **settings: Any) -> MartAnalyzer:
    settings = {"window_s": 3.0} | settings
    return MartAnalyzer(network, AnalyzerSettings(method="mart", **settings))


def _whole(network: Model, seen: Window) -> np.ndarray:
    """The network's answer for a window, all snippets of which have pictures."""
    times = np.array([f.stamp.captured_at_ns - ORIGIN for f in seen.frames])
    clips, sounds = [], []
    for start_ns in range(seen.start_ns, seen.end_ns, S):
        chosen = frames_of_cell(times, (start_ns - ORIGIN) // S, S, fps=25.0)
        clips.append(to_clip(seen.frames[i].image for i in chosen))
        samples, rate, _ = heard(seen, start_ns, start_ns + S)
        sounds.append(np.resize(fbank.Fbank(rate).whole(samples), (100, 128)))
    audio = fbank.normalise(np.concatenate(sounds))
    return network.infer({"visual": np.stack(clips)[None], "audio": audio[None]})["logits"][0]


def test_cached_answers_are_those_of_the_whole_network(network: Model) -> None:
    analyzer = _analyzer(network)
    messages = in_order(frames_at(5.2, side=112), noise_blocks(5.2))
    windows = cut(analyzer.spec, messages, analyzer.shrink)
    encoded = []
    for seen in windows:
        (prediction,) = predict(analyzer, seen)
        encoded.append(analyzer.snippets.encoded)
        expected = _whole(network, seen)
        np.testing.assert_allclose(
            prediction.logits, expected, rtol=0, atol=1e-4 * np.abs(expected).max()
        )
        assert (prediction.support, prediction.degraded) == (1.0, ())
    assert encoded == [3, 4, 5]


def test_late_sound_costs_its_snippet_again(network: Model) -> None:
    analyzer, frames, sounds = _analyzer(network), frames_at(3.2, side=112), noise_blocks(3.2)
    for known, expected in ((sounds[:50] + sounds[51:], 3), (sounds, 4), (sounds, 4)):
        (seen,) = cut(analyzer.spec, in_order(frames, known), analyzer.shrink)
        predict(analyzer, seen)
        assert analyzer.snippets.encoded == expected


def test_what_is_missing_is_named(network: Model) -> None:
    analyzer, late = _analyzer(network), frame(9999, 60 * S, side=112)
    seen = cut(analyzer.spec, [*frames_at(1.0, side=112), late], analyzer.shrink)[0]
    (prediction,) = predict(analyzer, seen)
    assert seen.degraded == ("frame lost", "audio missing")
    assert prediction.degraded == ("2 of 3 snippets without a picture",)
    assert prediction.support == pytest.approx(1 / 6)
    blind = cut(analyzer.spec, noise_blocks(6.0), analyzer.shrink)[0]
    assert predict(analyzer, blind) == []


def test_the_grid_is_that_of_seconds(network: Model) -> None:
    assert _analyzer(network, window_s=None).spec.length_ns == 16 * S
    assert _analyzer(network).spec.hop_ns == S
    with pytest.raises(ConfigError, match=r"window_s = 2.5 is no multiple of the 1 s"):
        _analyzer(network, window_s=2.5)


def test_pictures_are_kept_small(network: Model) -> None:
    assert _analyzer(network).shrink(frame(0, 0, side=300)).image.shape == (112, 112, 3)


def test_warming_up_encodes_hops(network: Model) -> None:
    analyzer = _analyzer(network)
    assert warm_up(analyzer).seconds(1) > 0
    assert analyzer.snippets.encoded >= 2 + 2
