"""What a set of labelled videos holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from jack_stream.errors import SourceError
from trainers.data.clip import Clip, ClipSet, Fault
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
    heard = {}
    for clip in every:
        heard[clip.name], reason = _heard(clip)
        faults += [Fault(clip.name, reason)] if reason and not decode else []
    counts = found.counts()
    rows = []
    for i, label in enumerate(found.labels):
        clips = [clip for clip in every if clip.label == i]
        by_subset = [str(counts[subset][label]) for subset in subsets]
        rows.append((label, *by_subset, str(len(clips)), *_length(clips, heard)))
    by_subset = [str(len(clips)) for clips in subsets.values()]
    total = ("all", *by_subset, str(len(every)), *_length(every, heard))
    columns = ("class", *subsets, "clips", "frames", "length", "without sound")
    notes = [f"split: {found.split}", *_cautions(found)]
    return Inventory(found.layout, columns, (*rows, total), notes, faults)


def _heard(clip: Clip) -> tuple[float | None, str]:
    """How long a clip's own sound file is, and what is wrong with it."""
    if clip.sound is None or clip.sound == clip.frames:
        return None, ""
    try:
        facts = probe(clip.sound)
    except SourceError as error:
        return None, str(error)
    return facts.seconds, "" if facts.sound_rate_hz else f"{clip.sound}: has no sound"


def _length(clips: Sequence[Clip], heard: Mapping[str, float | None]) -> tuple[str, str, str]:
    lengths = [
        clip.n_frames / clip.frame_rate_hz if clip.frame_rate_hz else heard[clip.name]
        for clip in clips
    ]
    known = duration(sum(seconds for seconds in lengths if seconds is not None))
    length = known if None not in lengths else f"{known} and more"
    silent = sum(clip.sound is None for clip in clips)
    return str(sum(clip.n_frames for clip in clips)), length, str(silent)


def _cautions(found: ClipSet) -> list[str]:
    every = [clip for clips in found.subsets().values() for clip in clips]
    empty = [label for i, label in enumerate(found.labels) if i not in {c.label for c in every}]
    notes = [f"no clip of {', '.join(empty)} can be used"] if empty else []
    absent = {"training", "validation"} - set(found.subsets())
    notes += [f"no clip for {subset}: no trainer takes it so" for subset in sorted(absent)]
    if len(found.labels) < 2:
        notes.append(f"there is nothing to tell apart with {len(found.labels)} class")
    return notes
