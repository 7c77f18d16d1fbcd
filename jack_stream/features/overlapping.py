"""The mel spectrum of windows that overlap, each frame of which is transformed once."""

from __future__ import annotations

import numpy as np

from jack_stream.features.framing import FramingState, Samples
from jack_stream.features.mel import Bands, MelSpectrum

__all__ = ["OverlappingMel"]


class OverlappingMel:
    """Says of each window what ``spectrum.whole`` would, and keeps what the next one has in common.

    Frames are kept where the next window begins a whole number of hops later and the samples in
    both are the same; else all are transformed again. Frames that reach over a window's edge are
    its own: there they see mirrored sound or silence.

    Args:
        spectrum: how windows are transformed.

    Attributes:
        transformed: frames so far that were not known.
    """

    def __init__(self, spectrum: MelSpectrum) -> None:
        self.transformed = 0
        self._spectrum = spectrum
        self._half = spectrum.n_fft // 2
        self._first = -(-self._half // spectrum.hop)  # frame that lies inside a window
        self._samples: Samples = np.empty(0, np.float32)
        self._power: Bands = np.empty((0, spectrum.bands), np.float32)

    def window(self, samples: Samples, shift: int) -> Bands:
        """The spectrum of a window.

        Args:
            samples: float32 ``[n]`` at the spectrum's rate.
            shift: how many samples later than the last window it begins; anything for the first.

        Returns:
            float32 ``[1 + n // hop, bands]``, power.

        Raises:
            ModelInputError: the sound is too short.
        """
        known = self._known(samples, shift)
        if len(known):
            tail = self._tail(samples, self._first + len(known))
            power = np.concatenate([self._head(samples), known, tail])
        else:
            power = self._spectrum.whole(samples)
        self.transformed += len(power) - len(known)
        self._samples, self._power = samples, power
        return power

    def _known(self, samples: Samples, shift: int) -> Bands:
        """The last window's frames that lie inside both, from this one's first on."""
        hop, held = self._spectrum.hop, self._samples
        shared = held[shift:] if 0 <= shift < len(held) else held[:0]
        if shift % hop or not np.array_equal(shared, samples[: len(shared)]):
            return self._power[:0]
        inside = (len(held) - self._spectrum.n_fft + self._half) // hop + 1
        return self._power[self._first + shift // hop : max(0, inside)]

    def _head(self, samples: Samples) -> Bands:
        """The frames that reach over the beginning."""
        end = (self._first - 1) * self._spectrum.hop - self._half + self._spectrum.n_fft
        return self._spectrum.step(samples[:end])[0]

    def _tail(self, samples: Samples, first: int) -> Bands:
        """The frames from one inside the window on."""
        rest = samples[first * self._spectrum.hop - self._half :]
        power, state = self._spectrum.step(
            np.empty(0, np.float32), FramingState(rest, 0, begun=True)
        )
        return np.concatenate([power, self._spectrum.finish(state)])
