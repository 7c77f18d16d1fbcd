"""Anybody's own videos: a folder per class.

::

    CLASS/clip.mp4            a video; its sound is its own, or that of clip.wav beside it
    CLASS/clip/000001.jpg     or a folder of pictures, with clip.wav beside it
    splits.csv                on request: ``clip,subset`` with ``CLASS/clip,training`` ...

The class folders may lie under ``train/``, ``val/`` and ``test/`` instead. Without either a part of
every class is held out. The classes are the folders' names in the order of the alphabet.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from jack_stream.errors import SourceError
from trainers.data.annotated import SOUNDS
from trainers.data.clip import Clip, ClipSet, Fault, Split, by_subset, hold_out
from trainers.data.clip_media import MediaFacts, picture_files, probe

__all__ = ["find", "fits", "is_video", "read_splits", "video_files"]

_VIDEOS = frozenset(
    {".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ts"}
)
SPLITS = "splits.csv"

_SUBSETS = {
    "train": "training", "training": "training",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


def fits(path: Path) -> bool:
    """Whether there are folders with videos, or with folders of pictures, in it."""
    return path.is_dir() and any(
        True for parent, _ in _parents(path) for folder in _folders(parent) for _ in _items(folder)
    )


def find(path: Path) -> ClipSet:
    """The data set of a folder."""
    labels = tuple(sorted({folder.name for p, _ in _parents(path) for folder in _folders(p)}))
    named: list[tuple[Clip, str]] = []
    faults: list[Fault] = []
    taken: set[str] = set()
    for parent, subset in _parents(path):
        for folder in _folders(parent):
            for item in _items(folder):
                name = (item.with_suffix("") if item.is_file() else item).relative_to(path)
                try:
                    clip = _clip(item, name.as_posix(), labels.index(folder.name), taken)
                except SourceError as error:
                    faults.append(Fault(str(item.relative_to(path)), str(error)))
                else:
                    named.append((clip, subset))
    split = _split(path, named, {fault.name for fault in faults})
    return ClipSet(
        labels, split.training, split.validation, split.test,
        "a folder per class", split.said, tuple(faults),
    )  # fmt: skip


def video_files(folder: Path) -> list[Path]:
    """All videos below a folder, hidden ones left out.

    Raises:
        SourceError: there are none.
    """
    found = [p for p in sorted(folder.rglob("*")) if is_video(p)]
    if not found:
        raise SourceError(f"{folder}: there are no videos in it")
    return found


def is_video(path: Path) -> bool:
    """Whether it is a video by its name."""
    return path.suffix.lower() in _VIDEOS and not path.name.startswith(".") and path.is_file()


def read_splits(path: Path) -> dict[str, str]:
    """Read which clip belongs to which subset.

    Args:
        path: a CSV with a header that names the columns ``clip`` and ``subset``.

    Returns:
        ``CLASS/clip`` without a suffix -> ``training``, ``validation`` or ``test``.

    Raises:
        SourceError: it can't be read or is wrong; the message names file, line and value.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            if not {"clip", "subset"} <= set(rows.fieldnames or ()):
                raise SourceError(f"{path}: its first line must name the columns clip,subset")
            found: dict[str, str] = {}
            for row in rows:
                where = f"{path}: line {rows.line_num}"
                subset = (row["subset"] or "").strip().lower()
                if subset not in _SUBSETS:
                    raise SourceError(
                        f"{where}: subset: {subset[:40]!a} is none of train, val, test"
                    )
                name = _without_suffix((row["clip"] or "").strip())
                if not name or name in found:
                    raise SourceError(f"{where}: clip: {name[:80]!a} is empty or there twice")
                found[name] = _SUBSETS[subset]
            return found
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: can't be read as a CSV file: {error}") from error


def _split(path: Path, named: list[tuple[Clip, str]], faulty: set[str]) -> Split:
    if (path / SPLITS).is_file():
        subsets = read_splits(path / SPLITS)
        missing = [clip.name for clip, _ in named if clip.name not in subsets]
        if missing:
            raise SourceError(f"{path / SPLITS}: does not name {missing[0]}, which is there")
        unknown = set(subsets) - {clip.name for clip, _ in named}
        unknown -= {_without_suffix(name) for name in faulty}
        if unknown:
            raise SourceError(f"{path / SPLITS}: names {min(unknown)}, which is not there")
        return by_subset(((clip, subsets[clip.name]) for clip, _ in named), f"as in {SPLITS}")
    if all(subset for _, subset in named) and named:
        return by_subset(named, "the folders train, val and test")
    return hold_out([clip for clip, _ in named])


def _parents(path: Path) -> list[tuple[Path, str]]:
    """Where class folders lie, and the subset that stands for."""
    parts = [(f, _SUBSETS[f.name.lower()]) for f in _folders(path) if f.name.lower() in _SUBSETS]
    return parts if any(subset == "training" for _, subset in parts) else [(path, "")]


def _folders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))


def _items(folder: Path) -> Iterator[Path]:
    """Videos and folders of pictures."""
    for item in sorted(folder.iterdir()):
        if item.name.startswith("."):
            continue
        if is_video(item) or (item.is_dir() and picture_files(item)):
            yield item


def _clip(item: Path, name: str, label: int, taken: set[str]) -> Clip:
    if name in taken:
        raise SourceError(f"{item}: there is another video of this name")
    taken.add(name)
    beside = next((p for s in SOUNDS if (p := item.with_name(f"{_stem(item)}{s}")).is_file()), None)
    if item.is_dir():
        return Clip(name, label, item, beside, len(picture_files(item)), None)
    facts: MediaFacts = probe(item)
    if facts.n_frames == 0:
        raise SourceError(f"{item}: has no pictures")
    sound = beside or (item if facts.sound_rate_hz else None)
    return Clip(name, label, item, sound, facts.n_frames, facts.frame_rate_hz)


def _stem(item: Path) -> str:
    return item.name if item.is_dir() else item.stem


def _without_suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if f"{dot}{suffix}".lower() in _VIDEOS else name
