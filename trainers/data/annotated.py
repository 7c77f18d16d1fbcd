"""VideoEmotion-8, Ekman-6 and their like, as the reference lays them out (spec: VAANet's loader).

::

    imgs/CLASS/VIDEO/000001.jpg ...   numbered from 1; a file n_frames says how many there are
    mp3/CLASS/VIDEO.mp3               wav, flac and others are taken as well
    srt/CLASS/VIDEO.srt               MART's subtitles, where there are any
    ve8_01.json                       {"labels": [...], "database": {VIDEO: {"subset":
                                      "training" | "validation", "annotations": {"label": CLASS}}}}

The folders may also be called ``img``, or end in ``-imgs`` and ``-mp3``. Without a JSON the classes
are the folders in ``imgs``. A class's index is its position in ``labels``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from jack_stream.errors import SourceError
from trainers.data.clip import Clip, ClipSet, Fault, by_subset, hold_out
from trainers.data.clip_media import picture_files, picture_number

__all__ = ["Annotation", "find", "fits", "read_annotation"]

LEAST_FRAMES = 16
"""Videos with fewer pictures are left out by the authors (their ``n_frames`` says 0)."""

RATE_FILE = "frame_rate_hz"
SOUNDS = (".mp3", ".wav", ".flac", ".m4a", ".ogg")

_SUBSETS = {
    "training": "training",
    "validation": "validation",
    "testing": "test",
    "test": "test",
}
_IMAGES = ("imgs", "img")


@dataclass(frozen=True)
class Annotation:
    """What an annotation file says.

    Attributes:
        labels: the classes in order.
        entries: video -> its label's index and its subset.
        split: who made the split, in words.
    """

    labels: tuple[str, ...]
    entries: Mapping[str, tuple[int, str]]
    split: str


class _Labelled(msgspec.Struct):
    label: str


class _Entry(msgspec.Struct):
    subset: str
    annotations: _Labelled


class _File(msgspec.Struct):
    labels: list[str]
    database: dict[str, Any]
    split: str = "the owners'"  # our own `data prepare clips` writes whose it is


def fits(path: Path) -> bool:
    """Whether it is an annotation file, or a folder with pictures as the reference has them."""
    if path.is_file():
        return path.suffix == ".json"
    return _part(path, _IMAGES) is not None


def find(path: Path) -> ClipSet:
    """The data set of a folder or of an annotation file in it."""
    root = path.parent if path.is_file() else path
    images = _part(root, _IMAGES)
    if images is None:
        raise SourceError(
            f"{path}: there is no folder of pictures beside it",
            hint=f"Put imgs/CLASS/VIDEO/000001.jpg and mp3/CLASS/VIDEO.mp3 into {root}.",
        )
    chosen = path if path.is_file() else _only_json(root)
    places = _Places(images, _part(root, ("mp3",)), _part(root, ("srt",)))
    if chosen is None:
        return _by_folders(places)
    annotation = read_annotation(chosen)
    clips, faults = [], []
    for name, (label, subset) in annotation.entries.items():
        item = places.clip(name, annotation.labels[label], label)
        if isinstance(item, Fault):
            faults.append(item)
        else:
            clips.append((item, subset))
    split = by_subset(clips, f"{annotation.split} ({chosen.name})")
    return ClipSet(
        annotation.labels, split.training, split.validation, split.test,
        "pictures and sounds with an annotation", split.said, tuple(faults),
    )  # fmt: skip


def read_annotation(path: Path) -> Annotation:
    """Read an annotation file; what it names can't lead out of the data set's folders.

    Raises:
        SourceError: it can't be read, or is wrong; the message names file and key.
    """
    try:
        raw = json.loads(path.read_bytes(), object_pairs_hook=_without_duplicates)
        file = msgspec.convert(raw, _File)
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        raise SourceError(f"{path}: can't be read as an annotation: {error}") from error
    for i, label in enumerate(file.labels):
        _check_name(label, f"{path}: labels[{i}]")
    if not file.split.isprintable():
        raise SourceError(f"{path}: split: {file.split[:40]!a} can't be printed")
    if len(set(file.labels)) != len(file.labels) or not file.labels:
        raise SourceError(f"{path}: labels: each must be there once, and one at least")
    known = {label: i for i, label in enumerate(file.labels)}
    entries = {}
    for name, value in file.database.items():
        where = f"{path}: database.{name[:80]!a}"
        _check_name(name, where)
        try:
            entry = msgspec.convert(value, _Entry)
        except msgspec.ValidationError as error:
            raise SourceError(f"{where}: {error}") from error
        if entry.subset not in _SUBSETS:
            raise SourceError(
                f"{where}.subset: {entry.subset[:40]!a} is none of {', '.join(_SUBSETS)}"
            )
        if entry.annotations.label not in known:
            raise SourceError(
                f"{where}.annotations.label: {entry.annotations.label[:40]!a} is not in labels"
            )
        entries[name] = (known[entry.annotations.label], _SUBSETS[entry.subset])
    return Annotation(tuple(file.labels), entries, file.split)


@dataclass(frozen=True)
class _Places:
    """The folders of pictures, sounds and subtitles."""

    images: Path
    sounds: Path | None
    subtitles: Path | None

    def clip(self, name: str, label: str, index: int) -> Clip | Fault:
        try:
            return self._clip(name, label, index)
        except SourceError as error:
            return Fault(name, str(error))

    def _clip(self, name: str, label: str, index: int) -> Clip:
        folder = _class(self.images, label) / name
        if not folder.is_dir():
            raise SourceError(f"there is no folder {folder}")
        files = picture_files(folder)
        _check_pictures(folder, files)
        rate = _number(folder / RATE_FILE)
        if rate is not None and not 0 < rate < 1000:
            raise SourceError(f"{folder / RATE_FILE}: {rate} is no frame rate")
        sound = self._beside(self.sounds, label, name, SOUNDS)
        subtitles = self._beside(self.subtitles, label, name, (".srt",))
        return Clip(name, index, folder, sound, len(files), rate, subtitles)

    @staticmethod
    def _beside(place: Path | None, label: str, name: str, suffixes: Sequence[str]) -> Path | None:
        if place is None:
            return None
        candidates = (_class(place, label) / f"{name}{suffix}" for suffix in suffixes)
        return next((path for path in candidates if path.is_file()), None)


def _by_folders(places: _Places) -> ClipSet:
    classes = [folder.name for folder in _folders(places.images)]
    clips, faults = [], []
    for i, label in enumerate(classes):
        for folder in _folders(places.images / label):
            item = places.clip(folder.name, label, i)
            if isinstance(item, Fault):
                faults.append(item)
            else:
                clips.append(replace(item, name=f"{label}/{item.name}"))
    split = hold_out(clips)
    return ClipSet(
        tuple(classes), split.training, split.validation,
        layout="pictures and sounds without an annotation", split=split.said, faults=tuple(faults),
    )  # fmt: skip


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _part(root: Path, names: Sequence[str]) -> Path | None:
    """The folder of one of the names, or whose name ends in ``-NAME`` or ``_NAME``."""
    if not root.is_dir():
        return None
    endings = tuple(f"{joint}{name}" for name in names for joint in "-_")
    folders = _folders(root)
    exact = [folder for folder in folders if folder.name in names]
    return next(iter(exact + [f for f in folders if f.name.endswith(endings)]), None)


def _only_json(root: Path) -> Path | None:
    found = sorted(root.glob("*.json"))
    if len(found) > 1:
        raise SourceError(
            f"{root}: has {len(found)} annotations: {', '.join(p.name for p in found[:10])}",
            hint=f"Give the one to use as the path, such as {found[0]}.",
        )
    return found[0] if found else None


def _class(place: Path, label: str) -> Path:
    """A class's folder; owners write the same class with and without a capital."""
    if (place / label).is_dir():
        return place / label
    alike = (item for item in place.iterdir() if item.name.lower() == label.lower())
    return next(alike, place / label)


def _check_name(name: str, where: str) -> None:
    # What can't be printed may be half a surrogate pair, or command a terminal.
    good = name.isprintable() and 0 < len(name.encode()) < 240
    if not good or name.startswith(".") or set(name) & set("/\\"):
        raise SourceError(f"{where}: {name[:40]!a} can't be the name of a folder")


def _check_pictures(folder: Path, files: Sequence[Path]) -> None:
    """Refuse folders that are too short, or of which a part is missing."""
    if len(files) < LEAST_FRAMES:
        raise SourceError(f"{folder} has {len(files)} pictures, fewer than {LEAST_FRAMES}")
    first, last = picture_number(files[0]), picture_number(files[-1])
    if first is not None and last is not None and last - first + 1 != len(files):
        raise SourceError(
            f"{folder} has {len(files)} pictures of {files[0].name} to {files[-1].name}"
        )
    stated = _number(folder / "n_frames")
    if stated is not None and stated != len(files):
        raise SourceError(f"{folder} has {len(files)} pictures; its n_frames says {stated:g}")


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: must hold one number: {error}") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:80]!r} is there twice")
    return found
