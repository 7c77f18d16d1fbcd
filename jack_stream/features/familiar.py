"""Getting to know a voice: what its sounds have in common says who speaks, not how one feels.

A high, bright voice is not a happy one. Where a network's embeddings are normalised by what was
heard of the very voice so far, instead of what was learned from all voices, this falls away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["MEMORY_S", "FamiliarVoice"]

MEMORY_S = 300.0
"""A voice that changes, or another one in its place, is followed within minutes."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FamiliarVoice:
    """What was heard of a voice so far.

    Attributes:
        heard_s: seconds of it, at most :data:`MEMORY_S`.
        mean: of its embeddings, ``float64[C]``.
        square: the mean of their squares, likewise.
    """

    heard_s: float
    mean: FloatArray
    square: FloatArray

    @classmethod
    def unknown(cls, size: int) -> FamiliarVoice:
        """Nothing was heard yet of embeddings of this size."""
        return cls(0.0, np.zeros(size), np.zeros(size))

    def hearing(self, embeddings: npt.NDArray[np.float32], new_s: float) -> FamiliarVoice:
        """After more of it.

        Args:
            embeddings: of the pieces of a window, float32 ``[P, C]``.
            new_s: seconds of the window, more than 0, that no window before has had.
        """
        heard_s = min(self.heard_s + new_s, MEMORY_S)
        share = min(new_s / heard_s, 1.0)
        exact = embeddings.astype(np.float64)
        mean = self.mean + share * (exact.mean(0) - self.mean)
        square = self.square + share * (np.square(exact).mean(0) - self.square)
        return FamiliarVoice(heard_s, mean, square)

    def rows(self, adaptation_s: float) -> dict[str, npt.NDArray[np.float32]]:
        """What the network's head takes besides one sound's pieces.

        Args:
            adaptation_s: how many seconds count as much as what was learned from all voices; 0: no
                number does.
        """
        share = self.heard_s / (self.heard_s + adaptation_s) if adaptation_s else 0.0
        variance = np.maximum(self.square - np.square(self.mean), 0.0)
        return {
            "familiarity": np.array([share], np.float32),
            "voice_mean": self.mean[np.newaxis].astype(np.float32),
            "voice_variance": variance[np.newaxis].astype(np.float32),
        }
