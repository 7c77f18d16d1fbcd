"""What a room and a microphone do to a voice, done to its mel power spectrum.

All take power, float32 ``[frames, bands]``, so that a recording's spectrum is computed once, and
return new arrays. Loudness is not among them: see `jack_stream.features.voice`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["band_limited", "coloured", "echoing", "masked", "mixed", "noisy", "placed", "stretched"]

FloatArray = npt.NDArray[np.float32]

_ACTIVE_RANGE = 10**-2.5
"""Frames with at least this share of the loudest frame's power are speech: 25 dB."""


def placed(power: FloatArray, frames: int, rng: np.random.Generator, margin: int) -> FloatArray:
    """A window of so many frames somewhere over the speech; silence where there is no sound.

    Args:
        power: of a whole recording.
        frames: the window's.
        rng: chooses the place.
        margin: frames by which the window may go beyond the speech, or begin late.
    """
    loudness = power.sum(1)
    active = np.flatnonzero(loudness >= _ACTIVE_RANGE * loudness.max())
    first, last = int(active[0]) - margin, int(active[-1]) + 1 - frames + margin
    start = int(rng.integers(min(first, last), max(first, last) + 1))
    window = np.zeros((frames, power.shape[1]), np.float32)
    begin, end = max(start, 0), min(start + frames, len(power))
    window[begin - start : end - start] = power[begin:end]
    return window


def stretched(decibels: FloatArray, rng: np.random.Generator, most: float) -> FloatArray:
    """Said faster or slower at the same pitch, by a factor of up to ``exp(most)`` either way.

    Args:
        decibels: the mel power spectrum in decibels ``[frames, bands]``, two frames or more.
        rng: chooses the factor.
        most: the largest logarithm of it.
    """
    frames = len(decibels)
    count = max(2, round(frames / np.exp(rng.uniform(-most, most))))
    place = np.linspace(0, frames - 1, count)
    first = np.minimum(place.astype(np.int64), frames - 2)
    share = (place - first).astype(np.float32)[:, np.newaxis]
    return decibels[first] * (1 - share) + decibels[first + 1] * share


def coloured(power: FloatArray, rng: np.random.Generator, strength_db: float) -> FloatArray:
    """A microphone's and a room's smooth frequency response, of so many decibels at random."""
    return power * _decibels(_smooth(power.shape[1], rng, 6, strength_db))


def noisy(power: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Steady noise of random colour, 10 to 45 dB below the voice."""
    level = power.mean() * _decibels(-rng.uniform(10.0, 45.0))
    grain = rng.normal(0.0, 1.5, power.shape)
    noise = level * _decibels(_smooth(power.shape[1], rng, 5, 6.0) + grain)
    return np.asarray(power + noise, np.float32)


def band_limited(power: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Nothing above a random band in the upper half, as over a telephone or a cheap microphone."""
    bands = power.shape[1]
    limited = power.copy()
    limited[:, rng.integers(bands // 2, bands) :] *= np.float32(1e-4)
    return limited


def echoing(power: FloatArray, rng: np.random.Generator, frame_s: float) -> FloatArray:
    """A room's diffuse echo: what was said decays over 0.2 to 0.8 s, 8 to 20 dB below the voice."""
    decay = np.float32(10 ** (-6.0 * frame_s / rng.uniform(0.2, 0.8)))
    share = _decibels(-rng.uniform(8.0, 20.0)) * (1 - decay)
    tail = np.zeros(power.shape[1], np.float32)
    result = power.copy()
    for now, frame in enumerate(power):
        result[now] += share * tail
        tail = decay * tail + frame
    return result


def masked(features: FloatArray, rng: np.random.Generator, share: float) -> FloatArray:
    """Up to two stripes of bands and two of frames set to the mean (SpecAugment, Park et al. 2019).

    Args:
        features: ``[frames, values]``.
        rng: chooses them.
        share: the chance of each stripe; at most an eighth is masked by one.
    """
    result, mean = features.copy(), features.mean()
    for axis in (0, 0, 1, 1):
        if rng.random() < share:
            whole = features.shape[axis]
            width = int(rng.integers(1, max(2, whole // 8 + 1)))
            start = int(rng.integers(0, whole - width + 1))
            stripe = (slice(start, start + width), slice(None))
            result[stripe if axis == 0 else stripe[::-1]] = mean
    return result


def mixed(
    features: FloatArray, targets: FloatArray, rng: np.random.Generator, alpha: float
) -> tuple[FloatArray, FloatArray]:
    """Each sample of a batch with some of another one (mixup, Zhang et al., ICLR 2018).

    Args:
        features: ``[B, ...]``.
        targets: ``[B, C]``.
        rng: chooses partners and the share.
        alpha: of the share's beta distribution; 0 mixes nothing.
    """
    if alpha == 0:
        return features, targets
    share = np.float32(rng.beta(alpha, alpha))
    share = max(share, 1 - share)
    partner = rng.permutation(len(features))
    return (
        share * features + (1 - share) * features[partner],
        share * targets + (1 - share) * targets[partner],
    )


def _smooth(bands: int, rng: np.random.Generator, knots: int, strength: float) -> FloatArray:
    values = rng.normal(0.0, strength, knots)
    return np.interp(np.linspace(0, 1, bands), np.linspace(0, 1, knots), values).astype(np.float32)


def _decibels(level: npt.ArrayLike) -> FloatArray:
    return np.power(np.float32(10.0), np.asarray(level, np.float32) / 10)
