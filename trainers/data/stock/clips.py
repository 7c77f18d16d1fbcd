"""What a set of labelled videos holds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trainers.data.clip import Clip
from trainers.data.clip_media import probe
from trainers.data.clips import find_clips
from trainers.data.prepare.pieces import make_all
from trainers.data.stock.decoded import Decoded
from trainers.data.stock.inventory import Inventory, duration

__all__ = ["stock"]


def stock(path: Path, *, decode: bool, jobs: int) -> Inventory:
    """Clips by class and subset, their length, and what can't be used."""
    found = find_clips(path)
    subsets = found.subsets()
    every = [clip for clips in subsets.values() for clip in clips]
    faults = list(found.faults)
    if decode:
        pieces = [Decoded(clip.name, clip.frames, clip.n_frames, clip.sound) for clip in every]
        faults += make_all(pieces, "decode", jobs=jobs, skip_corrupt=True)
    counts = found.counts()
    rows = [
        (
            label,
            *(str(counts[subset][label]) for subset in subsets),
            str(sum(1 for clip in every if clip.label == i)),
            *_length(clip for clip in every if clip.label == i),
        )
        for i, label in enumerate(found.labels)
    ]
    total = ("all", *(str(len(clips)) for clips in subsets.values()), str(len(every)))
    columns = ("class", *subsets, "clips", "frames", "length", "without sound")
    notes = [f"split: {found.split}", *_cautions(path, found.labels, every)]
    return Inventory(found.layout, columns, (*rows, (*total, *_length(every))), notes, faults)


def _length(clips: Iterable[Clip]) -> tuple[str, str, str]:
    listed = list(clips)
    lengths = [_seconds(clip) for clip in listed]
    known = sum(seconds for seconds in lengths if seconds is not None)
    length = duration(known) if None not in lengths else f"{duration(known)} and more"
    silent = sum(clip.sound is None for clip in listed)
    return str(sum(clip.n_frames for clip in listed)), length, str(silent)


def _seconds(clip: Clip) -> float | None:
    if clip.frame_rate_hz:
        return clip.n_frames / clip.frame_rate_hz
    return probe(clip.sound).seconds if clip.sound is not None else None


def _cautions(path: Path, labels: tuple[str, ...], clips: list[Clip]) -> list[str]:
    empty = [label for i, label in enumerate(labels) if not any(c.label == i for c in clips)]
    notes = [f"no clip of the class {label} can be used" for label in empty]
    if len(labels) < 2:
        notes.append(f"{path}: there is nothing to tell apart with {len(labels)} class")
    return notes
