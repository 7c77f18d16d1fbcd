"""Sound of any rate to blocks of the wanted rate, each with the time of its first sample."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray

from jack_stream.clock import NS_PER_S

__all__ = ["Block", "BlockResampler"]


class Block(NamedTuple):
    """Mono sound (float32 ``[n]``), the time of its first sample, and whether a gap precedes."""

    samples: NDArray[np.float32]
    at_ns: int
    discontinuity: bool


class BlockResampler:
    """Resamples a stream and cuts it into blocks of one length.

    soxr's filters have linear phase and it compensates their delay: output sample k lies at input
    position ``k * rate_in / rate_out``, it only comes later. The time of a block follows from
    that position and the time of the newest input.

    Args:
        rate_in: of what is pushed, in hertz.
        rate_out: of the blocks, in hertz.
        block_samples: length of a block; only the last one before a gap or the end is shorter.
    """

    def __init__(self, rate_in: int, rate_out: int, block_samples: int) -> None:
        self.rate_in = rate_in
        self._rate_out = rate_out
        self._block_samples = block_samples
        self._soxr = soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32")
        self._pending: NDArray[np.float32] = np.empty(0, np.float32)
        self._after_gap = False
        self._taken = 0  # input samples so far
        self._given = 0  # output samples so far, those that are pending excluded
        self._newest = (0, 0)  # index and time of the first sample of the newest chunk

    def push(self, samples: NDArray[np.float32], start_ns: int) -> list[Block]:
        """Resample a chunk whose first sample is of ``start_ns``; return the blocks it completes.

        The chunk must follow the one before it without a gap.
        """
        self._newest = (self._taken, start_ns)
        self._taken += len(samples)
        resampled = self._soxr.resample_chunk(np.ascontiguousarray(samples, np.float32))
        self._pending = np.concatenate([self._pending, resampled])
        return self._cut_while_longer_than(self._block_samples - 1)

    def flush(self) -> list[Block]:
        """Return what is left, and be ready for sound that doesn't follow, after a gap."""
        if not self._taken:
            return []
        tail = self._soxr.resample_chunk(np.empty(0, np.float32), last=True)
        self._pending = np.concatenate([self._pending, tail])
        blocks = self._cut_while_longer_than(0)
        self._soxr.clear()
        self._taken = self._given = 0
        self._after_gap = True
        return blocks

    def _cut_while_longer_than(self, length: int) -> list[Block]:
        blocks = []
        while len(self._pending) > length:
            samples = self._pending[: self._block_samples]
            self._pending = self._pending[self._block_samples :]
            blocks.append(Block(samples, self._time_of(self._given), self._after_gap))
            self._given += len(samples)
            self._after_gap = False
        return blocks

    def _time_of(self, index_out: int) -> int:
        index_in, at_ns = self._newest
        distance = index_out * self.rate_in - index_in * self._rate_out
        return at_ns + distance * NS_PER_S // (self.rate_in * self._rate_out)
