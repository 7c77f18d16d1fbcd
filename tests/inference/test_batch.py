"""Windows that are answered together get the answers that they would get alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.errors import ModelInputError
from jack_stream.inference.analyzer import Ask, Look, Prediction, Step
from jack_stream.inference.batch import Task, answer
from jack_stream.inference.snippets import Piece, PieceCache
from jack_stream.window.spec import Window, WindowSpec
from tests.inference.streams import ORIGIN, FakeModel, S, window


class _Network(FakeModel):
    """Two parts, the first for pieces and the second for windows, which count their calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, int]] = []
        self._matrix = np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)

    def encode(self, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        pieces = rows["pieces"]
        self.calls.append(("encode", len(pieces)))
        if (pieces < 0).any():
            raise ModelInputError("a piece is negative")
        return {"features": np.tanh(pieces @ self._matrix)}

    def head(self, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.calls.append(("head", len(rows["features"])))
        return {"logits": rows["features"].mean(1)}


class _Analyzer:
    """Windows of some pieces, each a number that stands for all of it."""

    spec = WindowSpec(S, S, ("frame",), S)

    def __init__(self, model: Any, contents: Sequence[int]) -> None:
        self.model = model
        self._contents = contents
        self._cache = PieceCache(Step(model, "encode", model.encode, most=4))
        self._head = Step(model, "head", model.head)

    def look(self, window: Window) -> Look:
        first = (window.start_ns - ORIGIN) // S
        shown = {at: self._contents[at] for at in range(first, first + 3)}
        pieces = self._cache.take(
            Piece(at, content, lambda c=content: {"pieces": np.full(3, c / 7, np.float32)})  # type: ignore[misc]
            for at, content in shown.items()
        )
        yield from pieces.encode()
        features = pieces.features(range(3))["features"]
        outputs = yield Ask(self._head, {"features": features[None]})
        return [Prediction(outputs["logits"][0])]


def _alone(contents: Sequence[int], first: int) -> np.ndarray:
    model = _Network()
    pieces = np.stack([np.full(3, c / 7, np.float32) for c in contents[first : first + 3]])
    features = model.encode({"pieces": pieces})["features"]
    return model.head({"features": features[None]})["logits"][0]


def _seen(at: int) -> Window:
    return window({}, at * S, S)


streams = st.lists(st.lists(st.integers(0, 9), min_size=9, max_size=9), min_size=1, max_size=4)


@settings(deadline=None)
@given(streams, st.randoms(use_true_random=False), st.data())
def test_any_mixture_of_streams_is_answered_as_alone(
    contents: list[list[int]], random: Any, data: Any
) -> None:
    """Batches of any windows of any streams, each stream's in order, some of them given up."""
    model = _Network()
    analyzers = [_Analyzer(model, one) for one in contents]
    left = [number for number in range(len(contents)) for _ in range(4)]
    random.shuffle(left)
    places = [0] * len(contents)
    while left:
        size = data.draw(st.integers(1, len(left)))
        some, left = left[:size], left[size:]
        tasks, expected = [], []
        for number in some:
            task = Task(analyzers[number].look(_seen(places[number])))
            if not data.draw(st.booleans()):
                tasks.append(task)
                expected.append(_alone(contents[number], places[number]))
            places[number] += 1
        answer(tasks)
        for task, logits in zip(tasks, expected, strict=True):
            assert isinstance(task.outcome, list)
            np.testing.assert_allclose(task.outcome[0].logits, logits, atol=1e-6)


def test_what_is_new_in_several_streams_is_encoded_together_and_heads_apart() -> None:
    model = _Network()
    analyzers = [_Analyzer(model, range(10)) for _ in range(3)]
    answer([Task(one.look(_seen(0))) for one in analyzers])
    assert model.calls == [("encode", 4), ("encode", 4), ("encode", 1), ("head", 3)]
    model.calls.clear()
    told: list[tuple[str, int]] = []
    tasks = [Task(one.look(_seen(1))) for one in analyzers]
    answer(tasks, lambda step, rows, _: told.append((step.name, rows)))
    assert model.calls == told == [("encode", 3), ("head", 3)]
    assert [{step.name: n for step, n in task.rows.items()} for task in tasks] == [
        {"encode": 1, "head": 1}
    ] * 3


def test_one_bad_window_fails_alone() -> None:
    model = _Network()
    contents = [[1, 2, 3, 4], [1, -2, 3, 4], [5, 6, 7, 8]]
    analyzers = [_Analyzer(model, one) for one in contents]
    tasks = [Task(one.look(_seen(0))) for one in analyzers]
    answer(tasks)
    assert isinstance(tasks[1].outcome, ModelInputError)
    for number in (0, 2):
        outcome = tasks[number].outcome
        assert isinstance(outcome, list)
        np.testing.assert_allclose(outcome[0].logits, _alone(contents[number], 0), atol=1e-6)


def test_what_a_look_raises_is_its_outcome() -> None:
    def broken() -> Look:
        yield Ask(Step(FakeModel(), "none", dict), {})  # type: ignore[arg-type]
        raise KeyError("gone")

    task = Task(broken())
    answer([task])
    assert isinstance(task.outcome, KeyError)
