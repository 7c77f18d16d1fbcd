"""How far pictures and sound are apart: from flashes and beeps that happened together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jack_stream.capture.drift import slope
from jack_stream.errors import SourceError

__all__ = ["Alignment", "Marks", "align", "find_flashes", "find_onsets"]

_Times = NDArray[np.float64]

_LEAST_JUMP = 4.0  # grey levels of 255
_LEAST_RISE_DB = 12.0
_QUIETER_DB = 20.0  # than the loudest onset: an echo or another sound
_APART_S = 0.25  # between two marks
_REACH_S = 3.0  # the largest offset that is looked for
_NEAR_S = 0.1  # pairs differ by no more from the line through all of them
_LEAST_PAIRS = 3
_DRIFT_PAIRS, _DRIFT_SPAN_S = 5, 20.0
_ADVICE = (
    "Switch a lamp that clicks, or play a clip with flash and beep on a phone before the camera,"
    " close to the microphone: six times or more, at uneven intervals, in a quiet and steady scene."
)


@dataclass(frozen=True, slots=True)
class Marks:
    """Sudden changes.

    Attributes:
        times_s: when each was first seen, ascending; float64 ``[n]``.
        periods_s: how long before that it may have begun, at most; float64 ``[n]``.
    """

    times_s: _Times
    periods_s: _Times


@dataclass(frozen=True, slots=True)
class Alignment:
    """How pictures and sound lie to each other.

    Attributes:
        offset_ms: how much later than the sound the same instant is stamped in pictures, in the
            middle of what was measured; negative where the sound is later.
        uncertainty_ms: the offset is known to within this (about 95%).
        drift_ppm: by how much faster the pictures' clock runs than the sound's; None if it was
            measured for too short.
        drift_uncertainty_ppm: likewise.
        pairs: how many flashes and beeps fit together.
        flashes: how many there were.
        beeps: likewise.
    """

    offset_ms: float
    uncertainty_ms: float
    drift_ppm: float | None
    drift_uncertainty_ppm: float | None
    pairs: int
    flashes: int
    beeps: int


def find_flashes(times_s: _Times, brightness: _Times) -> Marks:
    """When the picture became brighter at once.

    Args:
        times_s: of the pictures, ascending, ``[n]``.
        brightness: mean of each picture, 0 to 255, ``[n]``.
    """
    rises = np.diff(brightness, prepend=brightness[:1])
    least = max(_LEAST_JUMP, 8 * _spread(rises))
    largest = float(rises.max(initial=0.0))
    return _first_of_each(times_s, rises > max(least, largest / 4))


def find_onsets(times_s: _Times, levels_db: _Times) -> Marks:
    """When the sound became louder at once.

    Args:
        times_s: of the beginnings of short cells of sound, ascending, ``[n]``.
        levels_db: each cell's level in decibels, ``[n]``.
    """
    if not len(levels_db):
        return Marks(times_s, times_s)
    floor = float(np.median(levels_db))
    least = floor + max(_LEAST_RISE_DB, 6 * _spread(levels_db))
    least = max(least, float(levels_db.max()) - _QUIETER_DB)
    return _first_of_each(times_s, levels_db > least)


def align(flashes: Marks, beeps: Marks) -> Alignment:
    """Pair flashes with beeps and measure how far they are apart.

    A flash is seen in the first picture after it, so it is taken to be half a period earlier. Marks
    without a partner are passed over. Of several offsets that fit equally many pairs, as with
    marks at even intervals, the smallest is taken.

    Raises:
        SourceError: there are too few marks, or they don't fit together.
    """
    counts = f"{len(flashes.times_s)} flashes and {len(beeps.times_s)} beeps"
    if min(len(flashes.times_s), len(beeps.times_s)) < _LEAST_PAIRS:
        raise SourceError(
            f"only {counts} were found; at least {_LEAST_PAIRS} of each are needed", hint=_ADVICE
        )
    seen, heard = _middles(flashes), _middles(beeps)
    first, second, rate = _paired(seen, heard)
    if 2 * len(first) < min(len(seen), len(heard)) or len(first) < _LEAST_PAIRS:
        raise SourceError(
            f"{counts} were found, but only {len(first)} of them fit together", hint=_ADVICE
        )
    gaps = seen[first] - heard[second]
    from_middle = heard[second] - np.mean(heard[second])
    level = gaps - rate * from_middle
    span = float(np.ptp(from_middle))
    short = len(first) < _DRIFT_PAIRS or span < _DRIFT_SPAN_S
    drift_noise = 1.25 * max(_noise(level), 1e-4) * np.sqrt(12) / max(span, 1e-9)
    if short or abs(rate) <= drift_noise:
        offset, uncertainty = _offset(gaps, flashes.periods_s[first] + beeps.periods_s[second])
    else:
        offset, uncertainty = float(np.median(level)), 1.25 * _noise(level)
    return Alignment(
        offset_ms=1e3 * offset,
        uncertainty_ms=1e3 * uncertainty,
        drift_ppm=None if short else 1e6 * rate,
        drift_uncertainty_ppm=None if short else 1e6 * float(drift_noise),
        pairs=len(first),
        flashes=len(seen),
        beeps=len(heard),
    )


def _offset(gaps: _Times, periods_s: _Times) -> tuple[float, float]:
    """The offset that all pairs allow, or else their median; and within what it is known.

    A pair says that the offset lies within a period about its gap. All together narrow that down,
    to the n-th part of it for n marks that lie anyhow to the pictures, not at all for marks that
    keep step with them.
    """
    low, high = float(np.max(gaps - periods_s / 2)), float(np.min(gaps + periods_s / 2))
    if low <= high:
        usual = float(np.median(periods_s)) / (len(gaps) + 1)
        return (low + high) / 2, max((high - low) / 2, usual)
    return float(np.median(gaps)), 1.25 * _noise(gaps)


def _noise(values: _Times) -> float:
    """Two standard errors of the mean."""
    return 2 * _spread(values) / float(np.sqrt(len(values)))


def _spread(values: _Times) -> float:
    """The standard deviation, by the median of what values differ from their median."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values)))) if len(values) else 0.0


def _first_of_each(times_s: _Times, beyond: NDArray[np.bool_]) -> Marks:
    """The first of the instants that lie beyond a limit, after a quiet quarter of a second."""
    where = np.flatnonzero(beyond)
    quiet = np.diff(times_s[where], prepend=-np.inf) >= _APART_S
    where = where[quiet & (where > 0)]  # what is there from the start has no beginning
    return Marks(times_s[where], times_s[where] - times_s[where - 1])


def _middles(marks: Marks) -> _Times:
    return marks.times_s - marks.periods_s / 2


def _paired(seen: _Times, heard: _Times) -> tuple[NDArray[np.intp], NDArray[np.intp], float]:
    """Which flash belongs to which beep, and the drift: the most that lie about one line."""
    gaps = np.subtract.outer(seen, heard).ravel()
    gaps = gaps[np.abs(gaps) <= _REACH_S]
    if not len(gaps):
        return np.empty(0, np.intp), np.empty(0, np.intp), 0.0
    gaps.sort()
    last = np.searchsorted(gaps, gaps + _NEAR_S / 2, "right")
    votes = last - np.searchsorted(gaps, gaps - _NEAR_S / 2)
    best = gaps[votes == votes.max()]
    offset, rate = float(best[np.argmin(np.abs(best))]), 0.0
    first, second = _near(seen, heard, offset, rate)
    for _ in range(len(seen)):  # what drifts apart is reached step by step
        gaps = seen[first] - heard[second]
        rate = slope(heard[second], gaps) if np.ptp(heard[second]) >= _DRIFT_SPAN_S else 0.0
        offset = float(np.median(gaps - rate * heard[second]))
        more = _near(seen, heard, offset, rate)
        if np.array_equal(more[0], first) and np.array_equal(more[1], second):
            break
        first, second = more
    return first, second, rate


def _near(
    seen: _Times, heard: _Times, offset: float, rate: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The beeps that have a flash about where the line says it is, and those flashes."""
    wanted = heard + offset + rate * heard
    after = np.clip(np.searchsorted(seen, wanted), 1, len(seen) - 1)
    nearest = np.where(wanted - seen[after - 1] < seen[after] - wanted, after - 1, after)
    second = np.flatnonzero(np.abs(seen[nearest] - wanted) <= _NEAR_S)
    return nearest[second], second
