"""The walker's sound: footsteps, and a humming voice whose melody goes with the mood.

How pitch, its range, loudness, tempo and timbre go with moods follows the table of Juslin and
Laukka 2003 ("Communication of emotions in vocal expression and music performance",
Psychological Bulletin 129): anger loud, rough and sharp; happiness high, lively and wide-ranging;
sadness quiet, low, slow and falling. The numbers are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

__all__ = ["SoundTrack"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Voice:
    """How a mood sounds.

    Attributes:
        pitch: mean, in hertz.
        span: how far the pitch moves up and down, in octaves.
        rate: syllables per second.
        loudness: amplitude, 0 to 1.
        brightness: 0 for a sine, towards 1 for strong overtones.
        step: amplitude of the footsteps, 0 to 1.
    """

    pitch: float
    span: float
    rate: float
    loudness: float
    brightness: float
    step: float


_VOICES: Mapping[str, _Voice] = MappingProxyType(
    {
        "neutral": _Voice(140.0, 0.15, 2.5, 0.13, 0.45, 0.28),
        "happy": _Voice(200.0, 0.45, 3.6, 0.18, 0.60, 0.30),
        "sad": _Voice(115.0, 0.10, 1.5, 0.07, 0.30, 0.14),
        "angry": _Voice(175.0, 0.35, 3.2, 0.22, 0.85, 0.45),
    }
)
_OVERTONES = 8
_STEP_S = 0.15


class SoundTrack:
    """The sound of a scene, any part of which can be asked for.

    Args:
        times: the grid ``[T]`` in seconds on which the following are given.
        phase: the walk's phase ``[T]`` in radians; a foot strikes every pi.
        moods: ``[T, S]``, how much of each style there is.
        styles: their names.
        seed: of the footsteps' noise.
    """

    def __init__(
        self, times: Array, phase: Array, moods: Array, styles: Sequence[str], seed: int
    ) -> None:
        voices = [_VOICES[name] for name in styles]
        pick = {
            name: moods @ np.array([getattr(voice, name) for voice in voices])
            for name in ("pitch", "span", "rate", "loudness", "brightness", "step")
        }
        self._times = times
        syllable = 2 * np.pi * _integral(pick["rate"], times)
        melody = np.sin(syllable / 4) * 0.7 + np.sin(syllable / 7) * 0.5
        self._pitch_phase = (
            2 * np.pi * _integral(pick["pitch"] * 2 ** (pick["span"] * melody), times)
        )
        self._loudness = pick["loudness"] * (0.55 - 0.45 * np.cos(syllable))
        self._brightness = pick["brightness"]
        strikes = np.arange(1, int(phase[-1] / np.pi) + 1) * np.pi
        self._strikes = np.interp(strikes, phase, times)
        self._strengths = np.interp(self._strikes, times, pick["step"])
        self._seed = seed

    @property
    def strikes(self) -> Array:
        """When a foot strikes the floor, in seconds, rising."""
        return self._strikes

    def samples(self, first: int, end: int, sample_rate: int) -> NDArray[np.float32]:
        """Samples ``[first, end)``, counted from the scene's start."""
        at = np.arange(first, end) / sample_rate
        phase = np.interp(at, self._times, self._pitch_phase)
        brightness = np.interp(at, self._times, self._brightness)
        voice = sum(
            (brightness ** (k - 1) / k * np.sin(k * phase) for k in range(1, _OVERTONES + 1)),
            start=np.zeros(len(at)),
        )
        sound = voice * np.interp(at, self._times, self._loudness)
        begin, stop = np.searchsorted(
            self._strikes, [first / sample_rate - _STEP_S, end / sample_rate]
        )
        for number in range(int(begin), int(stop)):
            self._add_step(sound, number, first, sample_rate)
        return np.clip(sound, -1.0, 1.0).astype(np.float32)

    def _add_step(self, sound: Array, number: int, first: int, sample_rate: int) -> None:
        """A thump and the scrape of the sole, each step with noise of its own."""
        length = round(_STEP_S * sample_rate)
        t = np.arange(length) / sample_rate
        noise = np.random.default_rng((self._seed, number)).standard_normal(length)
        step = np.exp(-t / 0.03) * np.sin(2 * np.pi * 75 * t) + 0.25 * np.exp(-t / 0.012) * noise
        start = round(float(self._strikes[number]) * sample_rate) - first
        low, high = max(start, 0), min(start + length, len(sound))
        if low < high:
            sound[low:high] += self._strengths[number] * step[low - start : high - start]


def _integral(rate: Array, times: Array) -> Array:
    steps = (rate[1:] + rate[:-1]) / 2 * np.diff(times)
    return np.concatenate([[0.0], np.cumsum(steps)])
