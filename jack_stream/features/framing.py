"""Overlapping frames of a sound, cut from the whole of it or from a stream block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from jack_stream.errors import ModelInputError

__all__ = ["Framing", "FramingState", "Samples"]

Samples = npt.NDArray[np.float32]
"""float32 [N], one channel, full scale at 1."""


@dataclass(frozen=True)
class FramingState:
    """What of a stream is still needed.

    Attributes:
        samples: the last samples seen, the padding before the first one included.
        offset: where in them the next frame begins.
        begun: whether the padding before the first sample is in ``samples`` already.
    """

    samples: Samples
    offset: int = 0
    begun: bool = False


@dataclass(frozen=True)
class Framing:
    """How a sound is cut.

    Attributes:
        length: samples of a frame.
        hop: samples from one frame's start to the next's; at most ``length``.
        padding: ``none`` starts the first frame at the first sample and drops what does not fill a
            frame (Kaldi's "snip edges"); ``reflect`` and ``zero`` centre frame i on sample i * hop
            by half a frame of mirrored samples or zeros at both ends (librosa's "center").
    """

    length: int
    hop: int
    padding: Literal["none", "reflect", "zero"] = "none"

    def whole(self, samples: Samples) -> Samples:
        """All frames of a finished sound.

        Args:
            samples: float32 [N].

        Returns:
            float32 [frames, length], a view where nothing is padded.

        Raises:
            ModelInputError: the sound is too short for one frame.
        """
        if samples.size < self._shortest:
            raise ModelInputError(
                f"a sound of {samples.size} samples is too short: at least {self._shortest} needed"
            )
        if self.padding == "none":
            return self._cut(samples)
        mode: Literal["reflect", "constant"] = (
            "reflect" if self.padding == "reflect" else "constant"
        )
        return self._cut(np.pad(samples, self._half, mode=mode))

    def step(
        self, block: Samples, state: FramingState | None = None
    ) -> tuple[Samples, FramingState]:
        """The frames that a stream's next block completes.

        Args:
            block: float32 [n], any n.
            state: what the step before returned; None at the start of a stream.

        Returns:
            float32 [k, length] (k may be 0) and the state for the next block.
        """
        state = state or FramingState(np.empty(0, np.float32))
        samples = np.concatenate([state.samples, block.astype(np.float32, copy=False)])
        offset = state.offset
        if not state.begun:
            if samples.size < self._shortest:
                return np.empty((0, self.length), np.float32), FramingState(samples)
            samples = np.concatenate([self._lead(samples), samples])
        frames = self._cut(samples[offset:])
        offset += len(frames) * self.hop
        # Mirroring at the end needs the last half frame and one sample, which may have been framed.
        kept = min(offset, samples.size - self._half - 1)
        kept = max(0, kept)
        return frames, FramingState(samples[kept:].copy(), offset - kept, begun=True)

    def finish(self, state: FramingState) -> Samples:
        """The frames that need the padding after a stream's last sample.

        Args:
            state: what the last step returned.

        Returns:
            float32 [k, length]; empty where nothing is padded or too little was ever streamed.
        """
        if self.padding == "none" or not state.begun:
            return np.empty((0, self.length), np.float32)
        return self._cut(
            np.concatenate([state.samples, self._trail(state.samples)])[state.offset :]
        )

    @property
    def _half(self) -> int:
        return 0 if self.padding == "none" else self.length // 2

    @property
    def _shortest(self) -> int:
        return {"none": self.length, "reflect": self._half + 1, "zero": 1}[self.padding]

    def _lead(self, samples: Samples) -> Samples:
        if self.padding == "reflect":
            return samples[self._half : 0 : -1]
        return np.zeros(self._half, np.float32)

    def _trail(self, samples: Samples) -> Samples:
        if self.padding == "reflect":
            return samples[-2 : -self._half - 2 : -1]
        return np.zeros(self._half, np.float32)

    def _cut(self, samples: Samples) -> Samples:
        if samples.size < self.length:
            return np.empty((0, self.length), np.float32)
        return np.lib.stride_tricks.sliding_window_view(samples, self.length)[:: self.hop]
