"""What a folder in TSL-300's layout holds."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from jack_stream.errors import SourceError
from trainers.data.clip import Fault
from trainers.data.stock.inventory import Inventory, duration
from trainers.data.tsl300 import LABELS
from trainers.metrics.localization import read_ground_truth

__all__ = ["stock"]

_SUBSETS = ("train", "test")
_FEATURES = {"rgb": 1024, "logmfcc": 60}
_ANNOTATIONS = ("videosenti_gt.json", "gt.json")  # the first has the training videos' as well
_POINTS = 3


def stock(path: Path) -> Inventory:
    """Videos, segments, points and features by subset."""
    annotation = next((name for name in _ANNOTATIONS if (path / name).is_file()), "")
    rates = _json(path / "fps_dict.json", dict[str, float]) or {}
    lengths = _json(path / "len_duration_dict.json", dict[str, float])
    lengths = lengths or _json(path / "time.json", dict[str, float]) or {}
    points = _points(path)
    faults: list[Fault] = []
    rows = []
    notes = [
        "split: the owners', in split_train.txt and split_test.txt or by the segments' subset",
        f"segments: {annotation or 'none: there is no gt.json, so nothing can be tested on it'}",
    ]
    total: Counter[str] = Counter()
    for subset in _SUBSETS:
        truth = read_ground_truth(path / annotation, subset, LABELS) if annotation else {}
        videos = _lines(path / f"split_{subset}.txt") or list(truth)
        places = [path / "features" / subset / kind for kind in _FEATURES]
        absent = {place for place in places if videos and not place.is_dir()}
        faults += [Fault(subset, f"there is no folder {place}") for place in sorted(absent)]
        counted: Counter[str] = Counter({"videos": len(videos)})
        seconds = sum(lengths.get(video, 0.0) for video in videos)
        for video in videos:
            counted.update(f"segments {LABELS[s.label]}" for s in truth.get(video, []))
            counted["points"] += points[video] if subset == "train" else 0
            if video not in rates:
                faults.append(Fault(video, "fps_dict.json has no frame rate for it"))
            for place in places:
                reason = _fault(place / f"{video}.npy", _FEATURES[place.name])
                counted[place.name] += not reason
                if reason and place not in absent:
                    faults.append(Fault(video, reason))
        counted["seconds"] = round(seconds)
        rows.append(_row(subset, counted))
        total += counted
        if annotation and (bare := [video for video in videos if not truth.get(video)]):
            notes.append(f"{annotation} has no segments in {subset} of: {', '.join(bare[:5])}")
    columns = ("subset", "videos", "p segments", "n segments", "points", "I3D", "log-mel", "length")
    if not points:
        notes.append("no point labels in point_gaussian/train: the middle of each segment serves")
    return Inventory("TSL-300", columns, (*rows, _row("all", total)), notes, faults)


def _row(name: str, counted: Counter[str]) -> tuple[str, ...]:
    keys = ("videos", "segments p", "segments n", "points", "rgb", "logmfcc")
    return (name, *(str(counted[key]) for key in keys), duration(counted["seconds"]))


def _fault(path: Path, width: int) -> str:
    """What is wrong with a file of features; its values are not read."""
    if not path.is_file():
        return f"there is no {path.parent.name} at {path}"
    try:
        shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError, EOFError) as error:
        return f"{path} can't be read: {error}"
    good = len(shape) == 2 and shape[0] > 0 and shape[1] == width
    return "" if good else f"{path} has the shape {[*shape]} instead of [T, {width}]"


def _points(path: Path) -> Counter[str]:
    """Labelled frames of each video, of all annotators together."""
    found: Counter[str] = Counter()
    for annotator in range(_POINTS):
        file = path / "point_gaussian" / "train" / f"point_anno_{annotator}.txt"
        if not file.is_file():
            continue
        try:
            with file.open(encoding="utf-8", newline="") as lines:
                found.update(str(row.get("video_id")) for row in csv.DictReader(lines))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SourceError(f"{file}: can't be read as a CSV file: {error}") from error
    return found


T = TypeVar("T")


def _json(path: Path, kind: type[T]) -> T | None:
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SourceError(f"{path}: can't be read: {error}") from error


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        return []
    try:
        return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: can't be read: {error}") from error
