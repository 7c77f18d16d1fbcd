"""A person's window is taken up in steps, as long as there is something that it continues."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pytest

from jack_stream.capture.scene.walk import STYLES, landmarks, world_landmarks
from jack_stream.config import AnalyzerSettings
from jack_stream.errors import ConfigError
from jack_stream.inference.batch import Task, answer, predict
from jack_stream.inference.gait import GaitAnalyzer
from jack_stream.inference.gait_steps import GaitStepsAnalyzer
from jack_stream.inference.warming import warm_up
from jack_stream.models import bpm_gcn_steps, untrained
from jack_stream.window.spec import Window
from jack_stream.wire.messages import Poses
from tests.inference.streams import ORIGIN, FakeModel, S, stamp, window

pytestmark = pytest.mark.jittor

RATE = 25
SETTINGS = AnalyzerSettings(method="bpm-gcn", form="steps")


class _Steps:
    """Says of each person how many frames are new, and how many there were in all."""

    calls: list[tuple[int, int]]

    def __init__(self, _network: Any) -> None:
        self.calls = []

    def step(self, state: Any, posture: np.ndarray, movement: np.ndarray) -> Any:
        n, _, new = posture.shape[:3]
        assert movement.shape[2] == new
        self.calls.append((n, new))
        seen = np.zeros((n, 1), np.float32) if state is None else state[0]
        logits = np.concatenate([np.full((n, 1), new, np.float32), seen + new], 1)
        return {"logits": logits}, (seen + new, np.zeros((n, 2), np.float32))


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(bpm_gcn_steps, "GaitSteps", _Steps)
    model: Any = FakeModel("bpm-gcn")
    model.module = model.infer = None
    return model


@pytest.fixture
def analyzer(model: Any) -> GaitStepsAnalyzer:
    return GaitStepsAnalyzer(model, SETTINGS)


def _poses(people: dict[int, Collection[int]], end_ns: int, origin: int) -> list[Poses]:
    """Walkers, each seen in the given pictures of 25 a second."""
    found = []
    style = STYLES["neutral"]
    for seq in range(end_ns * RATE // S):
        ids = tuple(person for person, pictures in people.items() if seq in pictures)
        world = np.ones((len(ids), 33, 4), np.float32)
        phase = np.array([2 * np.pi * style.cadence * seq / RATE])
        world[..., :3] = world_landmarks(landmarks(style, phase), 0.6)[0]
        at = stamp(seq, seq * S // RATE, origin=origin)
        found.append(Poses(at, ids, (1.0,) * len(ids), world, world, (640, 480)))
    return found


ALWAYS = range(10_000)


def _window(
    analyzer: GaitAnalyzer, index: int, people: dict[int, Collection[int]], origin: int = ORIGIN
) -> Window:
    start, length = index * analyzer.spec.hop_ns, analyzer.spec.length_ns
    poses = _poses(people, start + length, origin)
    return window({"pose": poses}, start, length, origin=origin)


def _frames(
    analyzer: GaitStepsAnalyzer, index: int, people: dict[int, Collection[int]]
) -> dict[int | None, list[float]]:
    """New frames and all frames so far, by person."""
    seen = predict(analyzer, _window(analyzer, index, people))
    return {one.person: one.logits.tolist() for one in seen}


def test_a_hop_takes_up_its_new_frames(analyzer: GaitStepsAnalyzer) -> None:
    people = {7: ALWAYS}
    assert analyzer.spec.hop_ns == round(16 / 15 * S)
    assert [_frames(analyzer, i, people)[7] for i in range(4)] == [
        [48, 48],
        [16, 64],
        [16, 80],
        [16, 96],
    ]


def test_a_window_that_was_shed_is_made_up_for(analyzer: GaitStepsAnalyzer) -> None:
    people = {7: ALWAYS}
    assert [_frames(analyzer, i, people)[7] for i in (0, 2, 5, 6)] == [
        [48, 48],
        [32, 80],
        [48, 48],
        [16, 64],
    ]


def test_who_comes_later_begins_anew_and_the_others_walk_on(analyzer: GaitStepsAnalyzer) -> None:
    people: dict[int, Collection[int]] = {3: range(27, 10_000), 7: ALWAYS}
    assert _frames(analyzer, 0, {7: ALWAYS}) == {7: [48, 48]}
    assert _frames(analyzer, 1, people) == {3: [48, 48], 7: [16, 64]}
    assert _frames(analyzer, 2, people) == {3: [16, 64], 7: [16, 80]}


def test_who_vanishes_is_forgotten(analyzer: GaitStepsAnalyzer) -> None:
    assert _frames(analyzer, 0, {3: ALWAYS, 7: ALWAYS}).keys() == {3, 7}
    assert _frames(analyzer, 1, {7: ALWAYS}).keys() == {7}
    assert analyzer._seen is not None
    assert analyzer._seen.memories.keys() == {7}
    assert _frames(analyzer, 2, {3: ALWAYS, 7: ALWAYS}) == {3: [48, 48], 7: [16, 80]}


@pytest.mark.parametrize(("lost", "expected"), [(5, [16, 64]), (12, [48, 48])])
def test_a_short_gap_is_walked_over_and_a_long_one_is_not(
    analyzer: GaitStepsAnalyzer, lost: int, expected: list[float]
) -> None:
    people = {7: [seq for seq in ALWAYS if not 85 <= seq < 85 + lost]}
    _frames(analyzer, 0, people)
    assert _frames(analyzer, 1, people)[7] == expected


@pytest.mark.parametrize(("index", "origin"), [(6, ORIGIN + S), (5, ORIGIN), (4, ORIGIN)])
def test_a_new_session_or_a_jump_back_begins_anew(
    analyzer: GaitStepsAnalyzer, index: int, origin: int
) -> None:
    _frames(analyzer, 5, {7: ALWAYS})
    (one,) = predict(analyzer, _window(analyzer, index, {7: ALWAYS}, origin))
    assert one.logits.tolist() == [48, 48]


def test_a_window_waits_for_the_answers_of_the_one_before(analyzer: GaitStepsAnalyzer) -> None:
    windows = [_window(analyzer, i, {7: ALWAYS}) for i in range(3)]
    tasks = [Task(analyzer.look(one)) for one in windows]
    answer(tasks)
    assert [task.outcome[0].logits.tolist() for task in tasks] == [  # type: ignore[index]
        [48, 48],
        [16, 64],
        [16, 80],
    ]


def test_a_window_after_one_that_was_given_up_begins_anew(analyzer: GaitStepsAnalyzer) -> None:
    first, second = (Task(analyzer.look(_window(analyzer, i, {7: ALWAYS}))) for i in range(2))
    first.tell(RuntimeError("the machine is on fire"))
    answer([first, second])
    assert second.outcome[0].logits.tolist() == [48, 48]  # type: ignore[index]


def test_streams_are_answered_together_and_keep_their_own_memories(model: Any) -> None:
    doors = [GaitStepsAnalyzer(model, SETTINGS) for _ in range(2)]
    together: list[int] = []
    for i in range(3):
        tasks = [Task(one.look(_window(one, i, {5 + d: ALWAYS}))) for d, one in enumerate(doors)]
        answer(tasks, lambda _, rows, __: together.append(rows))
        assert [task.outcome[0].person for task in tasks] == [5, 6]  # type: ignore[index]
        assert [task.outcome[0].logits[1] for task in tasks] == [48 + 16 * i] * 2  # type: ignore[index]
    assert together == [2, 2, 2]


def test_made_up_windows_are_steps_too(analyzer: GaitStepsAnalyzer) -> None:
    assert warm_up(analyzer).seconds(1) > 0
    examples = analyzer.examples()
    taken = [predict(analyzer, next(examples))[0].logits.tolist() for _ in range(3)]
    assert taken == [[48, 48], [16, 64], [16, 64]]


@pytest.mark.parametrize("hop_s", [1.0, 0.8, 3.2, 0.5])
def test_a_hop_that_is_no_step_is_refused(model: Any, hop_s: float) -> None:
    settings = AnalyzerSettings(method="bpm-gcn", form="steps", hop_s=hop_s)
    with pytest.raises(ConfigError, match="hop_s") as caught:
        GaitStepsAnalyzer(model, settings)
    assert "1.0667" in str(caught.value.hint)


@pytest.mark.parametrize(("hop_s", "frames"), [(1.0667, 16), (1.3333, 20), (1.6, 24), (2.9333, 44)])
def test_a_hop_of_whole_steps_is_taken(model: Any, hop_s: float, frames: int) -> None:
    settings = AnalyzerSettings(method="bpm-gcn", form="steps", hop_s=hop_s)
    assert GaitStepsAnalyzer(model, settings).spec.hop_ns == round(frames / 15 * S)


def test_the_answers_are_those_of_the_network() -> None:
    model = untrained("bpm-gcn", width=8)
    steps, whole = GaitStepsAnalyzer(model, SETTINGS), GaitAnalyzer(model, SETTINGS)
    windows = [_window(steps, i, {7: ALWAYS}) for i in range(2)]
    (first,), (expected,) = predict(steps, windows[0]), predict(whole, windows[0])
    np.testing.assert_allclose(first.logits, expected.logits, rtol=1e-4)
    network, state = bpm_gcn_steps.GaitSteps(model.module), None
    for one, frames in zip(windows, (48, 16), strict=True):
        inputs = whole.preprocessing.inputs(whole.walks(one)[7].joints)
        last = {name: value[:, :, -frames:] for name, value in inputs.items()}
        outputs, state = network.step(state, **last)
    (second,) = predict(steps, windows[1])
    np.testing.assert_allclose(second.logits, outputs["logits"][0], rtol=1e-4)
    assert second.support > 0.95
