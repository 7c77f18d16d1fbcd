"""BPM-GCN in steps: new frames and a state in, logits and the next state out.

A continual form of `jack_stream.models.bpm_gcn` with the same weights, after Hedegaard et al.,
"Continual Spatio-Temporal Graph Convolutional Networks" (Pattern Recognition 2023). A step costs
what is new in it. Layer by layer, what the window had for itself comes from the state:

- Temporal convolution (nine taps, centred): the four frames before come from the state. The four
  after are not there yet. By default they are zeros, as at a window's end, and stay so: frames at
  the end of a step never learn what followed them, so the outputs depend on where steps end, and
  there is no delay. ``delayed`` waits for them in each of the ten blocks instead: outputs depend
  on no zeros once 153 frames are in, and are 76 frames late (5 s at 15 Hz).
- Stride: blocks 5 and 8 give an output every second frame, so a step takes a multiple of 4 frames.
- Data-dependent adjacency and spatial attention, which are means over the window's frames: a mean
  that moves towards the new frames' mean by their share of a window. A first step's mean stands
  for a whole window.
- Temporal attention, which weighs a window's frames against each other: the last window's levels
  are kept; the weights of the new frames are taken.
- Pooling over time: over the outputs of the last window's length.

What equals what: a first step of a whole window, not delayed, is the windowed network. Delayed
steps of any lengths equal each other and, where it sees no zeros, a windowed network on the whole
walk, but for the data-dependent parts, of which there is one set per step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.errors import UsageError
from jack_stream.models.bpm_gcn import BPMGCN
from jack_stream.models.gait_graph import N_JOINTS
from jack_stream.models.inputs import InputSpec, check_inputs, check_outputs
from jack_stream.models.layers import ExecutionPath
from jack_stream.models.layers.paths import ChannelsLast
from jack_stream.models.layers.pooling import Margins
from jack_stream.models.unlocked import fetch
from jack_stream.runtime import jittor

__all__ = ["DELAY_FRAMES", "STEP_FRAMES", "GaitSteps", "State", "apart", "stacked"]

jt = jittor()
Var = Any
Array = npt.NDArray[np.float32]

State = tuple[Array, ...]
"""Per layer what the next step needs, arrays ``[N, ...]`` for N persons, in the order in which
the layers run; the last two are the pooled outputs ``[N, outputs, C]`` of posture and movement."""

STEP_FRAMES = 4
"""What the network's strides multiply to: a step takes a multiple of it."""
DELAY_FRAMES = 4 * 5 + 8 * 3 + 16 * 2
"""How far the delayed form lags: four of its own frames in each block, by their strides."""

_REACH = 4  # frames on either side of the middle tap
_SPEC: InputSpec = {
    "posture": ("N", 3, "T", N_JOINTS, 1),
    "movement": ("N", 8, "T", N_JOINTS, 1),
}


class GaitSteps:
    """The step form of a network, whose weights it uses as they are.

    Args:
        network: in evaluation mode.
        delayed: whether temporal convolutions wait for the frames after.
    """

    def __init__(self, network: BPMGCN, *, delayed: bool = False) -> None:
        self._network = network
        self._delayed = delayed
        self._window = int(network.input_spec["posture"][2])

    def step(
        self, state: State | None, posture: Array, movement: Array
    ) -> tuple[dict[str, Array], State]:
        """Take up new frames of N persons.

        Args:
            state: of these persons, None where they have no past. It is left as it is.
            posture: ``[N, 3, T, 16, 1]``, T a multiple of 4 and not longer than a window.
            movement: ``[N, 8, T, 16, 1]``.

        Returns:
            What `BPMGCN.execute` returns, for the window that ends with these frames, and the
            state after them.

        Raises:
            ModelInputError: shapes, dtypes or values do not fit.
            UsageError: T can't be, or the state is that of another number of persons.
        """
        inputs = check_inputs("bpm-gcn", _SPEC, {"posture": posture, "movement": movement})
        persons, _, new = inputs["posture"].shape[:3]
        if new % STEP_FRAMES or new > self._window:
            raise UsageError(
                f"bpm-gcn: a step takes a multiple of {STEP_FRAMES} frames up to {self._window},"
                f" not {new}"
            )
        if state is not None and len(state[0]) != persons:
            raise UsageError(f"bpm-gcn: {persons} persons, but the state of {len(state[0])}")
        with jt.no_grad():
            held = None if state is None else iter([jt.array(one) for one in state])
            time = _Stream(held, window=self._window, new=new, delayed=self._delayed)
            features = self._network.streams(
                jt.array(inputs["posture"]), jt.array(inputs["movement"]), time
            )
            outputs = self._network.heads(*features)
            arrays = fetch([*outputs.values(), *time.kept])
        count = len(outputs)
        results = dict(zip(outputs, arrays[:count], strict=True))
        check_outputs("bpm-gcn", results)
        return results, tuple(arrays[count:])


def stacked(states: Sequence[State]) -> State:
    """One state of several persons who have seen as many frames as each other."""
    return tuple(np.concatenate(parts) for parts in zip(*states, strict=True))


def apart(state: State) -> list[State]:
    """The persons' states one by one."""
    return [tuple(one[[i]] for one in state) for i in range(len(state[0]))]


class _Stream:
    """The frames at hand continue those that the state remembers (a `TimeForm`).

    Args:
        held: the state, layer by layer, None at the beginning.
        window: frames of a window.
        new: frames at hand.
        delayed: whether frames wait for those after them.

    Attributes:
        kept: the next state, as far as the layers have run.
    """

    def __init__(self, held: Iterator[Var] | None, *, window: int, new: int, delayed: bool) -> None:
        self.kept: list[Var] = []
        self._held, self._window, self._new, self._delayed = held, window, new, delayed

    def around(self, y: Var, path: ExecutionPath, /) -> tuple[Var, Margins | None]:
        """With the frames before, and zeros after unless it waits for them."""
        before = 2 * _REACH if self._delayed else _REACH
        joined, _ = self._continued(y, path, before)
        return joined, ((0, 0 if self._delayed else _REACH), (0, 0))

    def centred(self, x: Var, path: ExecutionPath, /) -> Var:
        """The frames at hand, or as many from four frames before."""
        if not self._delayed:
            return x
        joined, axis = self._continued(x, path, _REACH)
        return _along(joined, axis, 0, x.shape[axis])

    def mean(self, value: Var) -> Var:
        """The moving mean."""
        if self._held is not None:
            before = next(self._held)
            value = before + (value - before) * (self._new / self._window)
        self.kept.append(value)
        return value

    def excited(self, levels: Var, weigh: Callable[[Var], Var]) -> Var:
        """The newest weights of the last window's levels; a past that is not known is zero."""
        n, t = levels.shape
        length = self._window * t // self._new
        before = jt.zeros((n, length)) if self._held is None else next(self._held)
        latest = jt.concat([before, levels], dim=1)[:, t:]
        self.kept.append(latest)
        return weigh(latest)[:, length - t :]

    def pooled(self, x: Var, path: ExecutionPath, *, largest: bool) -> Var:
        """Over the last window's outputs, or as many as there are."""
        joints = 2 if isinstance(path, ChannelsLast) else 3
        frames = x.max(joints) if largest else x.mean(joints)
        if joints == 3:
            frames = frames.transpose(0, 2, 1)
        if self._held is not None:
            frames = jt.concat([next(self._held), frames], dim=1)
        latest = frames[:, -min(frames.shape[1], self._window // STEP_FRAMES) :]
        self.kept.append(latest)
        return latest.max(1) if largest else latest.mean(1)

    def _continued(self, x: Var, path: ExecutionPath, before: int) -> tuple[Var, int]:
        """A map with some frames of the past before it, and its axis of time; keeps the last."""
        axis = 1 if isinstance(path, ChannelsLast) else 2
        if self._held is None:
            shape = list(x.shape)
            shape[axis] = before
            past = jt.zeros(shape)
        else:
            past = next(self._held)
        joined = jt.concat([past, x], dim=axis)
        frames = joined.shape[axis]
        self.kept.append(_along(joined, axis, frames - before, frames))
        return joined, axis


def _along(x: Var, axis: int, start: int, stop: int) -> Var:
    return x[:, start:stop] if axis == 1 else x[:, :, start:stop]
