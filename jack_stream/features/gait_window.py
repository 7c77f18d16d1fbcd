"""From timed poses of one person to a gait window: a fixed time grid, one place, one size.

A detector reports joints at uneven times, loses some for a while and guesses others. The gait
network wants 48 evenly spaced frames. `resample` makes them and says how much of them was really
seen, so that a caller can refuse a window with too little evidence; `normalise` takes place,
heading and size out; `GaitPreprocessing` names all settings, as a weight bundle's card does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from jack_stream.features import gait
from jack_stream.features.carded import CardedSettings
from jack_stream.features.skeleton import JOINTS, PARENT, REST_OFFSET_M, joint_index

__all__ = ["GaitPreprocessing", "ResampledGait", "body_height", "normalise", "resample"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ResampledGait:
    """A gait on an even time grid.

    Attributes:
        joints: ``float64[frames, 16, 3]``, finite everywhere.
        supported: ``bool[frames, 16]``: this joint at this frame lies on or between samples that
            were seen, not further apart than the longest gap that may be bridged.
    """

    joints: FloatArray
    supported: BoolArray

    @property
    def support(self) -> float:
        """The share of grid points, 0..1, that rest on what was seen."""
        return float(self.supported.mean())


def resample(
    times_ns: npt.ArrayLike,
    joints: npt.ArrayLike,
    visibility: npt.ArrayLike,
    t0_ns: int,
    *,
    frames: int = 48,
    frame_rate_hz: float,
    max_gap_s: float = 0.25,
    min_visibility: float = 0.5,
) -> ResampledGait:
    """Joints at ``t0_ns + i / frame_rate_hz`` for ``i = 0 .. frames - 1``, in event time.

    Per joint: linear interpolation between the samples that were seen (visibility at least
    ``min_visibility`` and finite), across gaps of up to ``max_gap_s``. Everything else is filled
    and counted as not supported: from the detector's own low-visibility guesses together with the
    seen samples, however far apart, held constant before the first and after the last; a joint
    without any finite sample stands at an upright adult's offset from its parent joint.

    Samples may come in any order (late ones included) and may lie outside the grid, where they
    serve to interpolate at its ends. Of samples with equal times the first counts.

    Args:
        times_ns: capture times ``int64[T]``.
        joints: ``[T, 16, 3]``; NaN where the detector has none.
        visibility: ``[T, 16]`` in 0..1.
        t0_ns: time of the first grid point.
        frames: number of grid points.
        frame_rate_hz: grid points per second.
        max_gap_s: the longest gap that is bridged; the default is about half a step of a walk.
        min_visibility: below this a sample is the detector's guess.

    Raises:
        ValueError: shapes do not fit together, or a setting is out of its range.
    """
    if frames < 1 or frame_rate_hz <= 0 or max_gap_s < 0:
        raise ValueError(
            "frames and frame_rate_hz must be positive and max_gap_s not negative, not "
            f"{frames}, {frame_rate_hz} and {max_gap_s}"
        )
    times, points, seen = _samples(times_ns, joints, visibility, t0_ns, min_visibility)
    grid = np.arange(frames) / frame_rate_hz
    filled = np.zeros((frames, len(JOINTS), 3))
    supported = np.zeros((frames, len(JOINTS)), np.bool_)
    known = np.isfinite(points).all(-1)
    good = known & seen
    for here, joints_here in _alike(known):
        filled[:, joints_here] = _interpolate(grid, times[here], points[:, joints_here][here])
    for here, joints_here in _alike(good):
        at = _bridged(grid, times[here], max_gap_s)
        supported[:, joints_here] = at[:, np.newaxis]
        if not (known[:, joints_here] == here[:, np.newaxis]).all():
            between = _interpolate(grid[at], times[here], points[:, joints_here][here])
            filled[np.ix_(at, np.array(joints_here))] = between
    for j in np.flatnonzero(~known.any(0)):
        if JOINTS[j] != "root":  # parents come before their children in JOINTS
            parent = filled[:, joint_index(PARENT[JOINTS[j]])]
            filled[:, j] = parent + np.array(REST_OFFSET_M[JOINTS[j]])
    return ResampledGait(filled, supported)


def _samples(
    times_ns: npt.ArrayLike,
    joints: npt.ArrayLike,
    visibility: npt.ArrayLike,
    t0_ns: int,
    min_visibility: float,
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Seconds from ``t0_ns`` (ascending, each once), joints, and which of them were seen."""
    raw_times = np.asarray(times_ns, np.int64)
    points = np.asarray(joints, np.float64)
    visible = np.asarray(visibility, np.float64)
    n = len(raw_times) if raw_times.ndim == 1 else -1
    if n < 0 or points.shape != (n, 16, 3) or visible.shape != (n, 16):
        raise ValueError(
            "times, joints and visibility must have the shapes [T], [T, 16, 3] and [T, 16], not "
            f"{list(raw_times.shape)}, {list(points.shape)} and {list(visible.shape)}"
        )
    _, order = np.unique(raw_times, return_index=True)
    seconds = (raw_times[order] - t0_ns) / 1e9
    return seconds, points[order], visible[order] >= min_visibility


def _alike(seen: BoolArray) -> Iterator[tuple[BoolArray, list[int]]]:
    """The joints that are there at the same samples: ``bool[T]``, at least one, and which."""
    groups: dict[bytes, list[int]] = {}
    for j, column in enumerate(np.ascontiguousarray(seen.T)):
        if column.any():
            groups.setdefault(column.tobytes(), []).append(j)
    for joints in groups.values():
        yield seen[:, joints[0]], joints


def _interpolate(grid: FloatArray, times: FloatArray, values: FloatArray) -> FloatArray:
    """Linear interpolation of ``values[T, J, 3]``, constant beyond both ends; `numpy.interp`'s."""
    if len(times) == 1:
        return np.repeat(values, len(grid), axis=0)
    if values.shape[1] == 1:  # of a joint that is alone numpy's own is cheaper
        return np.stack([np.interp(grid, times, one) for one in values[:, 0].T], -1)[:, np.newaxis]
    left = np.clip(np.searchsorted(times, grid, side="right") - 1, 0, len(times) - 2)
    x0, y0 = times[left], values[left]
    slope = (values[left + 1] - y0) / (times[left + 1] - x0)[:, np.newaxis, np.newaxis]
    between: FloatArray = slope * (grid - x0)[:, np.newaxis, np.newaxis] + y0
    between[grid <= times[0]] = values[0]
    between[grid >= times[-1]] = values[-1]
    return between


# Grid times come from a division, sample times from whole nanoseconds: within this they are equal.
_SAME_TIME_S = 2e-9


def _bridged(grid: FloatArray, times: FloatArray, max_gap_s: float) -> BoolArray:
    """Which grid points lie on a sample or between two that are at most ``max_gap_s`` apart."""
    if len(times) == 0:
        return np.zeros(len(grid), np.bool_)
    after = np.searchsorted(times, grid - _SAME_TIME_S)  # first sample at or after the point
    right = times[np.minimum(after, len(times) - 1)]
    left = times[np.maximum(after - 1, 0)]
    on_sample = np.abs(right - grid) <= _SAME_TIME_S
    inside = (after > 0) & (after < len(times))
    between = inside & (right - left <= max_gap_s + _SAME_TIME_S)
    bridged: BoolArray = on_sample | between
    return bridged


_HEIGHT_CHAIN = ("head", "neck", "spine", "root")
_LEG_CHAIN = ("root", "hip", "knee", "foot")


def body_height(joints: npt.ArrayLike) -> float:
    """Length of a body from head to ankle along its bones, whatever its pose.

    Head, neck, spine, root, then the mean of both legs; the median over the frames ``[T, 16, 3]``.
    An upright adult of 1.75 m measures about 1.6 m.
    """
    points = np.asarray(joints, np.float64)
    height = _chain(points, _HEIGHT_CHAIN)
    for side in ("right", "left"):
        names = tuple(n if n == "root" else f"{side}_{n}" for n in _LEG_CHAIN)
        height = height + 0.5 * _chain(points, names)
    return float(np.median(height))


def _chain(points: FloatArray, names: tuple[str, ...]) -> FloatArray:
    along = points[:, [joint_index(name) for name in names]]
    length: FloatArray = np.linalg.norm(np.diff(along, axis=1), axis=-1).sum(-1)
    return length


def normalise(
    joints: npt.ArrayLike, *, heading: Literal["keep", "hips"], height: float
) -> FloatArray:
    """Take a gait's place, heading and size out of joints ``[T, 16, 3]``.

    The root of every frame becomes the origin: Emotion-Gait's files are centred so, and a
    detector's world landmarks are, so a walk's travel is not in the input in any case.

    Args:
        joints: the gait.
        heading: ``hips`` turns the whole gait about the upward axis by one angle, such that on
            average over the frames the left hip lies towards +x of the right one (the body faces
            +z): the camera's side no longer matters. ``keep`` leaves it as it is.
        height: the `body_height` that the gait is scaled to, by one factor; 0 leaves its size.

    Raises:
        ValueError: the shape is another, or the body has no height to scale.
    """
    points = np.asarray(joints, np.float64)
    if points.ndim != 3 or points.shape[1:] != (16, 3):
        raise ValueError(f"joints must have the shape [T, 16, 3], not {list(points.shape)}")
    points = points - points[:, [joint_index("root")]]
    if heading == "hips":
        points = points @ _turn_to_front(points)
    if height > 0:
        measured = body_height(points)
        if measured <= 0:
            raise ValueError("all joints of the gait lie on one point, so it has no size to scale")
        points = points * (height / measured)
    return points


def _turn_to_front(points: FloatArray) -> FloatArray:
    """The rotation (applied from the right) that brings the mean hip axis to +x."""
    axis = points[:, joint_index("left_hip")] - points[:, joint_index("right_hip")]
    x, _, z = axis.mean(0)
    angle = np.arctan2(z, x)
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, 0.0, -sine], [0.0, 1.0, 0.0], [sine, 0.0, cosine]])


class GaitPreprocessing(CardedSettings, frozen=True, forbid_unknown_fields=True):
    """All settings between a person's poses and BPM-GCN's inputs: a card's preprocessing table.

    Attributes:
        frames: frames per window; the published network takes 48.
        frame_rate_hz: of the window's grid. Emotion-Gait mixes rates and states none.
        max_gap_s: see `resample`.
        min_visibility: see `resample`.
        heading: see `normalise`.
        height: see `normalise`; 1.354 is what every gait of Emotion-Gait measures.
    """

    model: ClassVar[str] = "gait"

    frames: Annotated[int, msgspec.Meta(ge=1)] = 48
    frame_rate_hz: Annotated[float, msgspec.Meta(ge=0.1)] = 15.0
    max_gap_s: Annotated[float, msgspec.Meta(ge=0)] = 0.25
    min_visibility: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    heading: Literal["keep", "hips"] = "hips"
    height: Annotated[float, msgspec.Meta(ge=0)] = 1.354

    @property
    def window_ns(self) -> int:
        """Length of a window: ``frames`` grid points and the step after each, in nanoseconds."""
        return round(self.frames / self.frame_rate_hz * 1e9)

    def resample(
        self,
        times_ns: npt.ArrayLike,
        joints: npt.ArrayLike,
        visibility: npt.ArrayLike,
        t0_ns: int,
    ) -> ResampledGait:
        """`resample` with these settings."""
        return resample(
            times_ns,
            joints,
            visibility,
            t0_ns,
            frames=self.frames,
            frame_rate_hz=self.frame_rate_hz,
            max_gap_s=self.max_gap_s,
            min_visibility=self.min_visibility,
        )

    def inputs(self, joints: npt.ArrayLike) -> dict[str, npt.NDArray[np.float32]]:
        """BPM-GCN's inputs for one person from joints ``[frames, 16, 3]`` on the grid.

        Returns:
            ``posture`` ``float32[1, 3, frames, 16, 1]`` and ``movement``
            ``float32[1, 8, frames, 16, 1]``; concatenate several persons along axis 0.
        """
        points = normalise(joints, heading=self.heading, height=self.height)
        return {
            "posture": gait.posture(points)[np.newaxis],
            "movement": gait.movement(points)[np.newaxis],
        }
