"""TSL-300 and sets laid out like it: features of videos, annotated segments, labelled points.

    split_train.txt, split_test.txt        one video per line; else what the segments' file says
    fps_dict.json                          video -> frames per second
    videosenti_gt.json, or gt.json         segments: {"database": {video: {"subset": "train",
                                           "annotations": [{"segment": [s, s], "label": "p"}]}}}
    point_gaussian/train/point_anno_*.txt  one annotator's labelled frames each (CSV)
    features/SUBSET/rgb/VIDEO.npy          I3D, float [T, 1024], a row for 16 frames
    features/SUBSET/logmfcc/VIDEO.npy      log-mel in decibels, float [about 32 T, 60]

Without ``point_gaussian`` the middle of every training segment is its labelled frame, so that a
set of one's own needs nothing but its segments. Labels are ``n`` negative and ``p`` positive.
"""

from __future__ import annotations

import csv
import hashlib
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from jack_stream.errors import SourceError
from jack_stream.features.localization import FRAMES_PER_STEP
from jack_stream.features.logmel import BANDS, SEGMENT_FRAMES, to_segments
from trainers.metrics.localization import TrueSegment, read_ground_truth

__all__ = [
    "LABELS",
    "Item",
    "Modality",
    "Point",
    "SentimentSet",
    "SentimentVideo",
    "read_sentiments",
]

Array = npt.NDArray[np.float32]
Modality = Literal["", "picture", "sound"]
T = TypeVar("T")

LABELS = ("n", "p")
"""The files' names of the classes, in the network's order."""

_KINDS, _RGB = ("rgb", "logmfcc"), 1024
_SUBSETS = ("train", "test")
_NAMED = 5
_SURE, _OTHER = 0.9, 0.1  # targets at a labelled segment


@dataclass(frozen=True)
class Point:
    """A labelled frame, counted from 0."""

    label: int
    frame: int


@dataclass(frozen=True)
class Item:
    """What the network learns from; T is as long as picture and sound both are.

    Attributes:
        rgb: I3D features ``[T, 1024]``.
        mel: log-mel ``[T, 32, 60]``, normalised.
        points: ``[T, C]``, 0.9 for the class and 0.1 for others in labelled rows, else 0.
        labels: which classes have a point, ``[C]`` of 0 and 1.
        distribution: the share of each class in the points, ``[C]``; zeros without any.
    """

    rgb: Array
    mel: Array
    points: Array
    labels: Array
    distribution: Array


@dataclass(frozen=True)
class SentimentVideo:
    """One video of a set; its features are read when they are asked for.

    Attributes:
        name: as in the set's files.
        rgb: file of the I3D features.
        mel: file of the log-mel.
        frame_rate_hz: of the video.
        points: labelled frames; for training.
        segments: the truth; for validation and tests.
    """

    name: str
    rgb: Path
    mel: Path
    frame_rate_hz: float
    points: tuple[Point, ...]
    segments: tuple[TrueSegment, ...]

    def features(self, hide: Modality = "") -> tuple[Array, Array]:
        """I3D features ``[T, 1024]`` and normalised log-mel ``[T, 32, 60]``.

        Args:
            hide: what is blanked, for an ablation.

        Raises:
            SourceError: a file can't be read, is too short, or has values that are not finite.
        """
        rgb, mel = _rows(self.rgb, _RGB), to_segments(_rows(self.mel, BANDS))
        length = min(len(rgb), len(mel))
        if not length:
            raise SourceError(f"{self.mel}: has fewer than the {SEGMENT_FRAMES} rows of a segment")
        shown = (float(hide != "picture"), float(hide != "sound"))
        return rgb[:length] * np.float32(shown[0]), mel[:length] * np.float32(shown[1])

    def item(self, hide: Modality = "") -> Item:
        """Features and targets. Points behind the features' end count for the shares alone."""
        rgb, mel = self.features(hide)
        points = np.zeros((len(rgb), len(LABELS)), np.float32)
        counts = np.zeros(len(LABELS), np.float32)
        for point in self.points:
            counts[point.label] += 1
            if (row := point.frame // FRAMES_PER_STEP) < len(points):
                points[row] = _OTHER
                points[row, point.label] = _SURE
        distribution = counts / max(counts.sum(), 1.0)
        return Item(rgb, mel, points, (counts > 0).astype(np.float32), distribution)


@dataclass(frozen=True)
class SentimentSet:
    """A set of videos in two parts.

    Attributes:
        training: videos to learn from and to choose by.
        test: the rest.
        said: where the labelled points come from.
        faults: what is missing or damaged, a sentence each; those videos are in no part.
    """

    training: tuple[SentimentVideo, ...]
    test: tuple[SentimentVideo, ...]
    said: str
    faults: tuple[str, ...]

    def digest(self) -> str:
        """SHA-256 over labels and features."""
        digest = hashlib.sha256()
        for video in (*self.training, *self.test):
            facts = (video.name, video.frame_rate_hz, video.points, video.segments)
            digest.update(repr(facts).encode())
            for path in (video.rgb, video.mel):
                digest.update(path.read_bytes())
        return digest.hexdigest()


def read_sentiments(path: Path, *, seed: int = 0, skip_corrupt: bool = False) -> SentimentSet:
    """A set in TSL-300's layout.

    Args:
        path: its folder.
        seed: chooses whose points count: one annotator per video, as the authors' loader does.
        skip_corrupt: leave out videos that lack something instead of refusing the set.

    Raises:
        SourceError: an index file is missing or wrong, or videos lack something.
    """
    truths = _truths(path)
    rates = _decoded(path / "fps_dict.json", dict[str, float])
    annotators = _annotators(path)
    parts: dict[str, list[SentimentVideo]] = {subset: [] for subset in _SUBSETS}
    faults: list[str] = []
    for subset in _SUBSETS:
        for name in _names(path, subset, truths[subset]):
            segments = tuple(truths[subset].get(name, ()))
            try:
                rate = _rate(rates, name)
                points = _points(name, segments, rate, annotators, seed)
                rgb, mel = (path / "features" / subset / kind / f"{name}.npy" for kind in _KINDS)
                _opened(rgb, _RGB)
                _opened(mel, BANDS)
            except SourceError as error:
                faults.append(f"{name}: {error.args[0]}")
            else:
                parts[subset].append(SentimentVideo(name, rgb, mel, rate, points, segments))
    if faults and not skip_corrupt:
        listed = "\n  ".join(faults[:_NAMED])
        more = f"\n  and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        raise SourceError(
            f"{path}: {len(faults)} videos can't be used:\n  {listed}{more}",
            hint="`jack-train data check` lists them all; data.skip_corrupt=true leaves them out; "
            "`jack-train data prepare tsl` makes the features.",
        )
    said = (
        f"points: one of {len(annotators)} annotators per video, seed {seed}"
        if annotators
        else "points: the middle of every training segment"
    )
    return SentimentSet(tuple(parts["train"]), tuple(parts["test"]), said, tuple(faults))


def _rows(path: Path, width: int) -> Array:
    """A file of features, float32 ``[rows, width]``.

    Raises:
        SourceError: it can't be read, has another shape, or values that are not finite.
    """
    rows = np.array(_opened(path, width), np.float32)
    if not np.isfinite(rows).all():
        raise SourceError(f"{path}: has values that are not finite")
    return rows


def _opened(path: Path, width: int) -> npt.NDArray[Any]:
    """The file's rows, not read yet."""
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, OverflowError, SyntaxError) as error:
        raise SourceError(f"{path}: can't be read as an array: {error}") from error
    good = isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.shape[1] == width
    if not (good and len(rows) and rows.dtype.kind == "f"):
        what = f"{rows.dtype} {list(rows.shape)}" if isinstance(rows, np.ndarray) else "an archive"
        raise SourceError(f"{path}: is {what}, not floating point [rows, {width}]")
    return rows


def _truths(path: Path) -> dict[str, dict[str, list[TrueSegment]]]:
    """Segments of each video by subset."""
    places = [path / name for name in ("videosenti_gt.json", "gt.json")]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise SourceError(
            f"{path}: has neither videosenti_gt.json nor gt.json, so nothing is known of segments",
            hint="docs/training.md shows the layout.",
        )
    truths = {subset: read_ground_truth(file, subset, LABELS) for subset in _SUBSETS}
    for videos in truths.values():
        for name, segments in videos.items():
            for s in segments:
                if not (math.isfinite(s.end_s) and 0 <= s.start_s < s.end_s):
                    raise SourceError(f"{file}: {name}: a segment from {s.start_s} to {s.end_s} s")
    return truths


def _names(path: Path, subset: str, truth: Mapping[str, object]) -> Sequence[str]:
    file = path / f"split_{subset}.txt"
    try:
        lines = file.read_text("utf-8").splitlines() if file.is_file() else list(truth)
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{file}: can't be read: {error}") from error
    names = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    for name in names:
        if name in {".", ".."} or not name.isprintable() or set(name) & set("/\\"):
            raise SourceError(f"{path}: {name!r} can't be the name of a video")
    return names


def _rate(rates: Mapping[str, float], name: str) -> float:
    rate = rates.get(name)
    if rate is None or not 0 < rate < math.inf:
        raise SourceError(f"fps_dict.json says {rate} frames per second")
    return rate


def _points(
    name: str,
    segments: Sequence[TrueSegment],
    rate: float,
    annotators: Sequence[Mapping[str, tuple[Point, ...]]],
    seed: int,
) -> tuple[Point, ...]:
    """One annotator's points, drawn by seed and name, or else the segments' middles."""
    if annotators:
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        return annotators[rng.integers(len(annotators))].get(name, ())
    return tuple(Point(s.label, int((s.start_s + s.end_s) / 2 * rate)) for s in segments)


def _annotators(path: Path) -> list[dict[str, tuple[Point, ...]]]:
    folder = path / "point_gaussian"
    files = sorted(folder.glob("train/point_anno_*.txt"))
    if not files and (chosen := folder / "point_labels.csv").is_file():
        files = [chosen]  # the authors' loader writes its choice there
    return [_read_points(file) for file in files]


def _read_points(path: Path) -> dict[str, tuple[Point, ...]]:
    found: dict[str, tuple[Point, ...]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                point = Point(LABELS.index(row["class"]), _frame(row["point"]))
                found[row["video_id"]] = (*found.get(row["video_id"], ()), point)
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise SourceError(
            f"{path}: can't be read as labelled points: {type(error).__name__}: {error}",
            hint="It needs the columns class (n or p), video_id and point (a frame's number).",
        ) from error
    return found


def _frame(text: str) -> int:
    if (frame := int(text)) < 0:
        raise ValueError(f"there is no frame {frame}")
    return frame


def _decoded(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SourceError(f"{path}: can't be read: {error}") from error
