"""Who walks gets a prediction; who sits, stands or is hardly seen gets none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jack_stream.capture.scene.walk import STYLES, landmarks, world_landmarks
from jack_stream.config import AnalyzerSettings
from jack_stream.inference.batch import predict
from jack_stream.inference.gait import GaitAnalyzer
from jack_stream.inference.warming import warm_up
from jack_stream.window.spec import Window
from jack_stream.wire.messages import Poses
from tests.inference.streams import ORIGIN, S, frame, stamp, window

RATE = 25


class _Network:
    """Says how many it was asked about, and remembers what it was given."""

    method, origin, labels, trained = "bpm-gcn", None, ("a", "b", "c", "d"), False

    def __init__(self) -> None:
        self.asked: list[dict[str, np.ndarray]] = []

    def infer(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.asked.append(inputs)
        n = len(inputs["posture"])
        return {"logits": np.arange(n * 4, dtype=np.float32).reshape(n, 4)}


@pytest.fixture
def network() -> Any:
    return _Network()


@pytest.fixture
def analyzer(network: Any) -> GaitAnalyzer:
    return GaitAnalyzer(network, AnalyzerSettings(method="bpm-gcn"))


def _walker(frames: int, style: str = "neutral") -> np.ndarray:
    """World landmarks [T, 33, 4] of someone who walks, all visible."""
    phase = 2 * np.pi * STYLES[style].cadence * np.arange(frames) / RATE
    world = world_landmarks(landmarks(STYLES[style], phase), 0.6)
    return np.concatenate([world, np.ones((frames, 33, 1))], 2).astype(np.float32)


def _still(frames: int) -> np.ndarray:
    return np.repeat(_walker(1), frames, 0)


def _seated(frames: int) -> np.ndarray:
    """The legs are behind a table: the detector guesses them, moving."""
    world = _walker(frames)
    world[:, 25:, 3] = 0.1
    return world


def _window(analyzer: GaitAnalyzer, people: dict[int, np.ndarray], every: int = 1) -> Window:
    frames = round(analyzer.spec.length_ns / S * RATE)
    poses = []
    for seq in range(0, frames, every):
        ids = tuple(i for i, world in people.items() if seq < len(world))
        world = np.stack([people[i][seq] for i in ids]) if ids else np.zeros((0, 33, 4), "f4")
        at = stamp(seq, round(seq / RATE * S))
        poses.append(Poses(at, ids, (1.0,) * len(ids), world, world, (640, 480)))
    return window({"pose": poses}, 0, analyzer.spec.length_ns)


def _persons(analyzer: GaitAnalyzer, people: dict[int, np.ndarray]) -> list[int | None]:
    return [p.person for p in predict(analyzer, _window(analyzer, people))]


def test_the_window_has_the_length_that_the_card_says(analyzer: GaitAnalyzer) -> None:
    assert analyzer.spec.length_ns == round(3.2 * S)
    assert analyzer.spec.hop_ns == S
    assert analyzer.spec.modalities == ("pose",)


@pytest.mark.parametrize("style", list(STYLES))
def test_who_walks_is_asked_about(analyzer: GaitAnalyzer, network: Any, style: str) -> None:
    (prediction,) = predict(analyzer, _window(analyzer, {7: _walker(80, style)}))
    assert prediction.person == 7
    assert prediction.support > 0.95
    assert prediction.logits.tolist() == [0, 1, 2, 3]
    assert network.asked[0]["posture"].shape == (1, 3, 48, 16, 1)
    assert network.asked[0]["movement"].shape == (1, 8, 48, 16, 1)


def test_who_sits_or_stands_still_is_not_asked_about(analyzer: GaitAnalyzer, network: Any) -> None:
    assert _persons(analyzer, {1: _seated(80), 2: _still(80)}) == []
    assert network.asked == []


def test_who_is_seen_too_shortly_is_not_asked_about(analyzer: GaitAnalyzer) -> None:
    assert _persons(analyzer, {1: _walker(30)}) == []
    assert _persons(analyzer, {1: _walker(1)}) == []


def test_gaps_of_more_than_a_quarter_second_are_no_evidence(analyzer: GaitAnalyzer) -> None:
    seen = predict(analyzer, _window(analyzer, {1: _walker(80)}, every=5))
    assert len(seen) == 1
    assert predict(analyzer, _window(analyzer, {1: _walker(80)}, every=10)) == []


def test_several_people_keep_their_numbers_and_their_gaits(
    analyzer: GaitAnalyzer, network: Any
) -> None:
    people = {9: _walker(80, "sad"), 4: _walker(80, "happy"), 6: _still(80)}
    predictions = predict(analyzer, _window(analyzer, people))
    assert [p.person for p in predictions] == [4, 9]
    assert [p.logits[0] for p in predictions] == [0, 4]
    for row, person in enumerate((4, 9)):
        predict(analyzer, _window(analyzer, {person: people[person]}))
        alone = network.asked[-1]["posture"][0]
        np.testing.assert_array_equal(network.asked[0]["posture"][row], alone)


def test_nobody_gets_no_prediction(analyzer: GaitAnalyzer) -> None:
    assert _persons(analyzer, {}) == []
    assert predict(analyzer, window({"pose": []}, 0, analyzer.spec.length_ns)) == []


def test_pictures_pass_unchanged(analyzer: GaitAnalyzer) -> None:
    seen = frame(0, 0)
    assert analyzer.shrink(seen) is seen
    assert seen.stamp.captured_at_ns == ORIGIN


def test_warming_up_runs_the_network_for_one_and_for_more(
    analyzer: GaitAnalyzer, network: Any
) -> None:
    warm_up(analyzer)
    asked = [len(one["posture"]) for one in network.asked]
    assert asked[:5] == [1, 1, 1, 2, 2]
