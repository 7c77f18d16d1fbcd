"""BPM-GCN in steps: what equals the windowed network, and what equals what else."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from jack_stream.errors import UsageError
from jack_stream.models import untrained
from jack_stream.models.bpm_gcn_steps import DELAY_FRAMES, GaitSteps, State, apart, stacked
from jack_stream.models.gait_time import WholeWindow
from jack_stream.models.layers import plain_only
from jack_stream.runtime import jittor
from tests.models import numpy_networks
from tests.models.golden import HEAD, WHOLE_NETWORK, assert_close

pytestmark = pytest.mark.jittor
jt = jittor()

WIDTH = 8
Arrays = dict[str, np.ndarray]


def _shaken(seed: int = 3, *, adaptive: bool = True, **architecture: Any) -> Any:
    """A narrow network whose weights are nowhere special; without what depends on the data."""
    model = untrained("bpm-gcn", seed=seed, width=WIDTH, **architecture)
    rng = np.random.default_rng(seed)
    weights = {}
    for name, value in model.weights().items():
        changed = value
        if value.ndim == 1 and name.endswith(("weight", "var")):
            changed = 0.8 + 0.4 * rng.random(value.shape)
        elif value.ndim == 1 or name.endswith("PA"):
            changed = 0.2 * rng.random(value.shape) - 0.1
        if not adaptive and (".conv_a." in name or name.startswith("fusion")):
            changed = np.zeros_like(value)
        weights[name] = changed.astype(np.float32)
    model.set_weights(weights)
    return model


def _gait(frames: int, people: int = 1, seed: int = 1) -> Arrays:
    rng = np.random.default_rng(seed)
    channels = {"posture": 3, "movement": 8}
    return {
        name: rng.normal(size=(people, c, frames, 16, 1)).astype(np.float32)
        for name, c in channels.items()
    }


def _walk(steps: GaitSteps, gait: Arrays, lengths: list[int]) -> tuple[list[Arrays], State]:
    state: State | None = None
    outputs, at = [], 0
    for length in lengths:
        part = {name: value[:, :, at : at + length] for name, value in gait.items()}
        found, state = steps.step(state, **part)
        outputs.append(found)
        at += length
    assert state is not None
    return outputs, state


@pytest.mark.parametrize(
    ("variant", "plain"), [("released", False), ("paper", False), ("released", True)]
)
def test_a_first_step_of_a_whole_window_is_the_windowed_network(variant: str, plain: bool) -> None:
    model, gait = _shaken(variant=variant), _gait(48, people=2)
    with plain_only() if plain else nullcontext():
        expected = model.infer(gait)
        outputs, _ = GaitSteps(model.module).step(None, **gait)
    for name, value in expected.items():
        assert_close(outputs[name], value, WHOLE_NETWORK, name)


@pytest.mark.parametrize(
    ("variant", "delayed", "plain"),
    [("released", False, False), ("paper", True, False), ("released", False, True)],
)
def test_steps_are_the_plain_statement(variant: str, delayed: bool, plain: bool) -> None:
    model, gait = _shaken(variant=variant), _gait(64, people=2)
    with plain_only() if plain else nullcontext():
        outputs, _ = _walk(GaitSteps(model.module, delayed=delayed), gait, [16] * 4)
    past, weights = numpy_networks.Past(16 / 48, delayed=delayed), model.weights()
    for i, found in enumerate(outputs):
        part = {name: value[:, :, 16 * i : 16 * (i + 1)] for name, value in gait.items()}
        expected = numpy_networks.bpm_gcn(**part, w=weights, variant=variant, past=past)
        for name, value in found.items():
            assert_close(value, expected[name], WHOLE_NETWORK, f"{name} of step {i}")


def test_delayed_steps_are_the_windowed_network_where_it_sees_no_zeros() -> None:
    frames = 240
    model, gait = _shaken(adaptive=False), _gait(frames)
    lengths = {16: [16] * 15, 48: [48] * 5, 4: [4, 8, 16, 48, 20, 40, 4] + [20] * 5}
    pooled = {
        key: _walk(GaitSteps(model.module, delayed=True), gait, parts)[1][-2:]
        for key, parts in lengths.items()
    }
    for posture, movement in pooled.values():
        assert_close(posture, pooled[48][0], HEAD)
        assert_close(movement, pooled[48][1], HEAD)

    class Seen(WholeWindow):
        """Keeps the frames that are about to be pooled."""

        def __init__(self) -> None:
            self.frames: list[np.ndarray] = []

        def pooled(self, x: Any, path: Any, *, largest: bool) -> Any:
            self.frames.append(path.leave(x).mean(3).numpy().transpose(0, 2, 1))
            return super().pooled(x, path, largest=largest)

    seen, whole = Seen(), _shaken(adaptive=False, frames=frames)
    kept = {k: v for k, v in model.weights().items() if v.shape == whole.weights()[k].shape}
    whole.set_weights({**whole.weights(), **kept})
    with jt.no_grad():
        whole.module.streams(jt.array(gait["posture"]), jt.array(gait["movement"]), seen)
    newest = (frames - DELAY_FRAMES) // 4
    for mine, theirs in zip(pooled[16], seen.frames, strict=True):
        assert_close(mine, theirs[:, newest - 12 : newest], HEAD)


def test_persons_and_steps_do_not_touch_each_other() -> None:
    steps, gait = GaitSteps(_shaken().module), _gait(64, people=3)
    together, state = _walk(steps, gait, [48])
    before = [one.copy() for one in state]
    part = {name: value[:, :, 48:] for name, value in gait.items()}
    expected, _ = steps.step(state, **part)
    for one, kept in zip(state, before, strict=True):
        np.testing.assert_array_equal(one, kept)
    alone = apart(state)
    for i in (2, 0):
        found, _ = steps.step(alone[i], **{name: value[[i]] for name, value in part.items()})
        assert_close(found["logits"], expected["logits"][[i]], HEAD)
    swapped, _ = steps.step(
        stacked([alone[2], alone[0]]), **{name: value[[2, 0]] for name, value in part.items()}
    )
    assert_close(swapped["logits"], expected["logits"][[2, 0]], HEAD)
    assert np.abs(expected["logits"] - together[0]["logits"]).max() > 1e-4


@pytest.mark.parametrize("frames", [3, 52])
def test_a_length_that_can_not_be_is_named(frames: int) -> None:
    steps = GaitSteps(_shaken().module)
    with pytest.raises(UsageError, match=f"multiple of 4 frames up to 48, not {frames}"):
        steps.step(None, **_gait(frames))


def test_a_state_of_other_persons_is_named() -> None:
    steps = GaitSteps(_shaken().module)
    _, state = steps.step(None, **_gait(16))
    with pytest.raises(UsageError, match="2 persons, but the state of 1"):
        steps.step(state, **_gait(16, people=2))
