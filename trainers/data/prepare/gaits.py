"""Walks from videos, through the pose tracker that a live stream has.

Every person in a video is followed. What of it counts as walking is decided as on a live stream
(`jack_stream.inference.gait`): legs in sight, feet that swing. Each stretch of walking becomes one
walk of the file, which `trainers.data.walks` reads.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from jack_stream.capture.media import MediaWanted
from jack_stream.capture.medium import Medium
from jack_stream.capture.resize import Resizer
from jack_stream.capture.samples import Picture
from jack_stream.clock import NS_PER_S, Clock
from jack_stream.errors import SourceError
from jack_stream.features.gait_window import GaitPreprocessing, resample
from jack_stream.features.skeleton import JOINTS, from_mediapipe
from jack_stream.inference.gait import is_a_walk
from jack_stream.models.labels import EMOTION_GAIT
from trainers.data.class_folders import video_files
from trainers.data.clip import Fault
from trainers.data.clip_media import probe
from trainers.data.prepare.pieces import make_all, partial

__all__ = ["prepare_gaits"]

WIDTH = 640
"""Pictures are resized to it, as a camera's are."""

_HOP_NS = NS_PER_S


@dataclass(frozen=True)
class _Track:
    """One person in one video: ``times_ns int64[T]``, ``world float32[T, 33, 4]``."""

    person: int
    times_ns: npt.NDArray[np.int64]
    world: npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Video:
    """One video's walks.

    Attributes:
        name: where it is below the folder of videos.
        source: the video.
        target: the file of walks.
        label: the emotion that its folder is called after, or an empty text.
        persons: how many people are followed.
    """

    name: str
    source: Path
    target: Path
    label: str
    persons: int

    def done(self) -> bool:
        return self.target.is_file()

    def make(self) -> None:
        rate = probe(self.source).frame_rate_hz
        if not rate:
            raise SourceError(f"{self.source}: has no pictures")
        walks: dict[str, npt.NDArray[np.float32]] = {}
        for track in _tracks(self.source, self.persons):
            for start_ns, end_ns in _walking(track):
                name = f"{self.name}#{track.person}@{start_ns / NS_PER_S:.1f}s"
                walks[name] = _stretch(track, start_ns, end_ns, rate)
        joints = [np.zeros((0, len(JOINTS), 3), np.float32), *walks.values()]
        with partial(self.target) as path, path.open("wb") as file:
            np.savez_compressed(
                file,
                tracks=np.concatenate(joints),
                length=np.array([len(walk) for walk in walks.values()], np.int64),
                name=np.array(list(walks), np.str_),
                label=np.array([self.label] * len(walks), np.str_),
                frame_rate_hz=np.float64(rate),
            )


def prepare_gaits(
    videos: Path, out: Path, *, persons: int = 4, jobs: int = 1, skip_corrupt: bool = False
) -> list[Fault]:
    """Write one file of walks for every video below a folder, or for one video.

    Args:
        videos: a video or a folder; a video in a folder called happy, sad, angry or neutral has
            that label, all others have none.
        out: the folder of the files.
        persons: how many people are followed at once.
        jobs: processes.
        skip_corrupt: leave out what can't be decoded.

    Returns:
        What was left out.

    Raises:
        SourceError: there are no videos, or some can't be decoded.
        UsageError: the results can't be written.
    """
    root = videos.parent if videos.is_file() else videos
    files = [videos] if videos.is_file() else video_files(videos)
    pieces = [
        _Video(
            name := path.relative_to(root).with_suffix("").as_posix(),
            path,
            out / f"{name}.npz",
            label if (label := path.parent.name.lower()) in EMOTION_GAIT else "",
            persons,
        )
        for path in files
    ]
    return make_all(pieces, "gaits", jobs=jobs, skip_corrupt=skip_corrupt)


def _tracks(source: Path, persons: int) -> list[_Track]:
    from jack_stream.capture.pose.tracker import PoseTracker  # noqa: PLC0415 - imports MediaPipe

    seen: dict[int, list[tuple[int, npt.NDArray[np.float32]]]] = {}
    medium = Medium(str(source), MediaWanted(Resizer(WIDTH), None, None))
    counters: Counter[str] = Counter()
    tracker = PoseTracker(persons)
    try:
        for sample in medium.samples(Clock(), counters):
            if isinstance(sample, Picture):
                at_ns = sample.captured_at_ns - sample.origin_ns
                for person in tracker.step(sample.image, at_ns):
                    seen.setdefault(person.id, []).append((at_ns, person.landmarks.world))
    finally:
        tracker.close()
    if counters["corrupt_packets"] + counters["corrupt_frames"]:
        raise SourceError(f"{source}: parts of it are damaged and can't be decoded")
    return [
        _Track(person, np.array([at for at, _ in rows], np.int64), np.stack([w for _, w in rows]))
        for person, rows in seen.items()
    ]


def _walking(track: _Track) -> list[tuple[int, int]]:
    """The stretches, from and to, of which every window that a live stream has is a walk."""
    grid = GaitPreprocessing()
    joints, visibility = from_mediapipe(track.world[..., :3], track.world[..., 3])
    first, last = int(track.times_ns[0]), int(track.times_ns[-1])
    stretches: list[tuple[int, int]] = []
    begin = max(0, (first - grid.window_ns) // _HOP_NS + 1) * _HOP_NS
    for start in range(begin, last, _HOP_NS):
        if is_a_walk(grid.resample(track.times_ns, joints, visibility, start)):
            end = start + grid.window_ns
            if stretches and stretches[-1][1] >= start:
                stretches[-1] = (stretches[-1][0], end)
            else:
                stretches.append((start, end))
    return stretches


def _stretch(track: _Track, start_ns: int, end_ns: int, rate: float) -> npt.NDArray[np.float32]:
    """Joints ``float32[T, 16, 3]`` at the video's rate, gaps filled as on a live stream."""
    joints, visibility = from_mediapipe(track.world[..., :3], track.world[..., 3])
    frames = round((end_ns - start_ns) * rate / NS_PER_S)
    filled = resample(
        track.times_ns, joints, visibility, start_ns, frames=frames, frame_rate_hz=rate
    )
    return filled.joints.astype(np.float32)
