"""BPM-GCN on a stream of poses in steps: a hop costs its new frames, not the whole window.

Who is seen walking for the first time is answered from the whole window, exactly as by
`GaitAnalyzer`. From then on only the frames that are new since the last answer are taken up, and
the rest comes from what the network remembers of this person. How near the answers stay to the
windowed ones is in docs/models.md.

What a person's frames looked like when they were taken up stands: a pose that comes later changes
how the window's support is judged and what it lies in for the frames to come, and nothing else.
Heading and size are taken out of the new frames by those of the whole window, as it is now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jack_stream.clock import NS_PER_S
from jack_stream.config import AnalyzerSettings
from jack_stream.errors import ConfigError
from jack_stream.features.gait_window import GaitPreprocessing, ResampledGait
from jack_stream.inference.analyzer import Arrays, Ask, Look, Prediction, Step
from jack_stream.inference.gait import GaitAnalyzer, marching
from jack_stream.models.registry import Model
from jack_stream.window.spec import Window

if TYPE_CHECKING:
    from jack_stream.models.bpm_gcn_steps import GaitSteps, State

__all__ = ["GaitStepsAnalyzer", "hop_frames"]

LEAST_FRAMES = 16
"""Shorter steps would be cheaper still, but drift away from what the whole window would say."""
_STEP_FRAMES = 4
_WHOLE = 0.01
_STATE = "state"


@dataclass(eq=False)
class _Memory:
    """What the network remembers of a person.

    Attributes:
        state: after the newest frames; None before they are answered.
        pending: whether an answer may still come.
    """

    state: State | None = None
    pending: bool = True


@dataclass(frozen=True, eq=False)
class _Seen:
    """The newest window and those who walked in it."""

    window: Window
    memories: dict[int, _Memory]


class GaitStepsAnalyzer(GaitAnalyzer):
    """Cuts poses into windows per person and asks BPM-GCN about what is new in them.

    A person is answered from the whole window again if there is no memory that the window
    continues: after a window in which they did not walk, or that was skipped for so long that all
    is new; after a jump of the clock or a new session of the stream; and when more of the new
    frames than ``max_gap_s`` rest on nothing that was seen. Memories are those of the persons of
    the newest window: who vanishes is forgotten.

    Args:
        model: ``bpm-gcn``; its card's preprocessing table says how gaits are prepared.
        settings: hop and lateness; the hop is whole steps of 4 frames of the card's rate.

    Raises:
        ConfigError: the hop is none.
    """

    def __init__(self, model: Model, settings: AnalyzerSettings) -> None:
        # Imported here because it imports Jittor, which the process must have prepared.
        from jack_stream.models.bpm_gcn_steps import GaitSteps  # noqa: PLC0415

        super().__init__(model, settings)
        frames = hop_frames(settings.hop_s, self.preprocessing)
        hop_ns = round(frames / self.preprocessing.frame_rate_hz * NS_PER_S)
        self.spec = replace(self.spec, hop_ns=hop_ns)
        self._step = Step(model, "step", partial(_run, GaitSteps(model.module)))
        self._seen: _Seen | None = None

    def look(self, window: Window) -> Look:
        """One prediction for each person with enough visible walking in the window."""
        gaits = self.walks(window)
        before, now = self._seen, _Seen(window, {person: _Memory() for person in gaits})
        self._seen = now
        new = 0 if before is None else self._new_frames(before.window, window)
        known = {} if before is None or not new else self._continued(before, gaits, new)
        logits: dict[int, NDArray[np.float32]] = {}
        try:
            while any(memory.pending for memory in known.values()):
                yield Ask(self._step, {})
            states = {p: memory.state for p, memory in known.items() if memory.state is not None}
            others = [person for person in gaits if person not in states]
            for persons, frames in ((list(states), new), (others, self.preprocessing.frames)):
                if persons:
                    rows = self._rows([gaits[person] for person in persons], frames)
                    rows |= _named([states[person] for person in persons if person in states])
                    found = yield Ask(self._step, rows)
                    for row, person in enumerate(persons):
                        now.memories[person].state = _state_of(found, row)
                        logits[person] = found["logits"][row]
        finally:
            for memory in now.memories.values():
                memory.pending = False
        return [Prediction(logits[p], p, gait.support) for p, gait in gaits.items()]

    def examples(self) -> Iterator[Window]:
        """A made-up walker at the beginning, and then again and again a hop later."""
        yield marching(self.spec)
        seen = self._seen
        while True:
            self._seen = seen
            yield marching(self.spec, self.spec.hop_ns)

    def _new_frames(self, before: Window, window: Window) -> int:
        """Frames that are new in a window, 0 if it does not continue the one before."""
        later_s = (window.start_ns - before.start_ns) / NS_PER_S
        frames = round(later_s * self.preprocessing.frame_rate_hz)
        follows = window.origin_ns == before.origin_ns and frames < self.preprocessing.frames
        return max(0, frames) if follows else 0

    def _continued(
        self, before: _Seen, gaits: dict[int, ResampledGait], new: int
    ) -> dict[int, _Memory]:
        """The memories of those who walk on."""
        most_unseen = self.preprocessing.max_gap_s * self.preprocessing.frame_rate_hz
        return {
            person: before.memories[person]
            for person, gait in gaits.items()
            if person in before.memories
            and np.count_nonzero(~gait.supported[-new:].any(1)) <= most_unseen
        }

    def _rows(self, gaits: Sequence[ResampledGait], frames: int) -> Arrays:
        """The network's inputs for the last frames of gaits."""
        inputs = [self.preprocessing.inputs(gait.joints) for gait in gaits]
        return {
            name: np.concatenate([one[name][:, :, -frames:] for one in inputs])
            for name in inputs[0]
        }


def _run(steps: GaitSteps, rows: Arrays) -> Arrays:
    """A step of some persons, their state among the rows."""
    state = tuple(rows[name] for name in sorted(rows) if name.startswith(_STATE))
    outputs, after = steps.step(state or None, rows["posture"], rows["movement"])
    return {"logits": outputs["logits"], **_names(after)}


def _named(states: Sequence[State]) -> Arrays:
    """States as rows; none if there are no states."""
    return _names([np.concatenate(parts) for parts in zip(*states, strict=True)])


def _names(arrays: Sequence[NDArray[np.float32]]) -> Arrays:
    return {f"{_STATE}{i:03}": array for i, array in enumerate(arrays)}


def _state_of(found: Arrays, row: int) -> State:
    """One person's state."""
    return tuple(found[name][[row]] for name in sorted(found) if name.startswith(_STATE))


def hop_frames(hop_s: float | None, preprocessing: GaitPreprocessing) -> int:
    """How many frames a hop takes up.

    Args:
        hop_s: as configured; the shortest hop if None.
        preprocessing: of the weights' card.

    Raises:
        ConfigError: they are no whole number of steps, too few, or a whole window.
    """
    rate, window = preprocessing.frame_rate_hz, preprocessing.frames
    wanted_s = LEAST_FRAMES / rate if hop_s is None else hop_s
    frames = round(wanted_s * rate)
    is_whole = abs(wanted_s * rate - frames) < _WHOLE
    if is_whole and frames % _STEP_FRAMES == 0 and LEAST_FRAMES <= frames < window:
        return frames
    if window <= LEAST_FRAMES:
        raise ConfigError(
            f"analyzers: steps of bpm-gcn take {LEAST_FRAMES} frames, but the windows of these"
            f" weights have {window}",
            hint='Leave form = "steps" out.',
        )
    raise ConfigError(
        f"analyzers: hop_s = {wanted_s:g}, but steps of bpm-gcn take {LEAST_FRAMES},"
        f" {LEAST_FRAMES + _STEP_FRAMES} ... frames of {1 / rate:.4g} s, less than a window's"
        f" {window}",
        hint=f"Set hop_s to {LEAST_FRAMES / rate:.4f}, or leave it out.",
    )
