"""A window's sound as the models take it: pieces of features."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from jack_stream.clock import NS_PER_S
from jack_stream.features import fbank, mfcc
from jack_stream.window.sound import cut_sound
from jack_stream.window.spec import Window
from jack_stream.window.track import start_of, stop_of

__all__ = ["FbankPieces", "MfccPieces", "SoundCache", "SoundPieces", "heard"]

_FloatArray = NDArray[np.float32]
_SILENT_RATE = 16000


class SoundPieces(Protocol):
    """Makes the pieces that a model's sound encoder takes from a window's samples."""

    def __call__(self, samples: _FloatArray, sample_rate: int) -> _FloatArray:
        """Samples float32 ``[n]`` -> pieces float32 ``[P, frames, bands]``."""


class MfccPieces:
    """VAANet's: 32 MFCC at 44.1 kHz, repeated to P pieces of 256 frames.

    Args:
        pieces: P.
    """

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces

    def __call__(self, samples: _FloatArray, sample_rate: int) -> _FloatArray:
        """See :class:`SoundPieces`."""
        if sample_rate != mfcc.SAMPLE_RATE:
            samples = np.asarray(soxr.resample(samples, sample_rate, mfcc.SAMPLE_RATE), np.float32)
        frames = mfcc.repeat(mfcc.mfcc(samples), self._pieces * 256)
        return frames.reshape(self._pieces, 256, -1)


class FbankPieces:
    """CTEN's: 128 normalised Kaldi filter banks, S segments of 100 frames.

    A segment is heard by itself, so that it is the same in every window, and what the last sound
    had in it, too, is not heard again.

    Args:
        pieces: S.
    """

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces
        self._known: dict[tuple[int, bytes], _FloatArray] = {}

    def __call__(self, samples: _FloatArray, sample_rate: int) -> _FloatArray:
        """See :class:`SoundPieces`; the sound keeps its rate, as in the authors' loader."""
        bank = fbank.Fbank(sample_rate)
        length, hop = bank.framing.length, bank.framing.hop
        frames = (len(samples) - length) // hop + 1
        if not 0 < frames <= self._pieces * fbank.SEGMENT_FRAMES:
            chosen = fbank.select_segments(bank.whole(samples[np.newaxis]), self._pieces)
            return fbank.normalise(chosen).reshape(self._pieces, fbank.SEGMENT_FRAMES, -1)
        held, self._known = self._known, {}
        segments = []
        for piece in range(self._pieces):
            parts = []
            for start, stop in _runs(piece * fbank.SEGMENT_FRAMES, fbank.SEGMENT_FRAMES, frames):
                part = samples[start * hop : (stop - 1) * hop + length]
                key = (sample_rate, hashlib.blake2b(part.tobytes(), digest_size=16).digest())
                bands = self._known.get(key, held.get(key))
                self._known[key] = bank.whole(part) if bands is None else bands
                parts.append(self._known[key])
            segments.append(np.concatenate(parts))
        return fbank.normalise(np.stack(segments))


def _runs(first: int, count: int, length: int) -> Iterator[tuple[int, int]]:
    """Starts and stops of so many frames from this one on, in a sound that is repeated."""
    while count:
        start = first % length
        stop = min(start + count, length)
        yield start, stop
        first, count = first + stop - start, count - (stop - start)


def heard(
    window: Window, start_ns: int | None = None, end_ns: int | None = None
) -> tuple[_FloatArray, int, float]:
    """The sound of a window or of a part of it; silence where there is none.

    Args:
        window: with blocks of sound.
        start_ns: start of the part; the window's if absent.
        end_ns: its end, exclusive; the window's if absent.

    Returns:
        samples float32 ``[n]``, their rate in hertz, and the share that was captured, 0 to 1.
    """
    start_ns = window.start_ns if start_ns is None else start_ns
    end_ns = window.end_ns if end_ns is None else end_ns
    blocks = [b for b in window.audio if start_of(b) < end_ns and stop_of(b) > start_ns]
    if not blocks:
        count = round((end_ns - start_ns) * _SILENT_RATE / NS_PER_S)
        return np.zeros(count, np.float32), _SILENT_RATE, 0.0
    rate = blocks[-1].sample_rate
    same_rate = [block for block in blocks if block.sample_rate == rate]
    samples, captured = cut_sound(same_rate, start_ns, end_ns)
    return np.nan_to_num(samples, copy=False), rate, captured


class SoundCache:
    """Listens to each cell of a stream's grid once, however many windows it is in.

    A cell is heard by itself, so that its features are the same in every window. It is heard again
    only if late sound changes it.

    Args:
        listen: a cell's samples float32 ``[n]`` and their rate in hertz -> its features.
        period_ns: length of a cell; windows and hops are whole numbers of cells.

    Attributes:
        heard: cells that were listened to.
    """

    def __init__(self, listen: Callable[[_FloatArray, int], _FloatArray], period_ns: int) -> None:
        self.heard = 0
        self._listen = listen
        self._period_ns = period_ns
        self._known: dict[int, tuple[_FloatArray, int, _FloatArray]] = {}

    def features(self, window: Window) -> tuple[_FloatArray, float]:
        """The features of a window's cells ``[cells, ...]`` and the share that was captured."""
        held, self._known = self._known, {}
        shares = []
        for start_ns in range(window.start_ns, window.end_ns, self._period_ns):
            samples, rate, captured = heard(window, start_ns, start_ns + self._period_ns)
            shares.append(captured)
            known = held.get(start_ns)
            if known is None or known[1] != rate or not np.array_equal(known[0], samples):
                known = (samples, rate, self._listen(samples, rate))
                self.heard += 1
            self._known[start_ns] = known
        rows = [features for _, _, features in self._known.values()]
        return np.stack(rows), float(np.mean(shares))
