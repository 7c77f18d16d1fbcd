"""What a set of labelled sounds holds."""

from __future__ import annotations

from pathlib import Path

from trainers.data.clip import Fault
from trainers.data.clip_media import probe
from trainers.data.prepare.pieces import make_all
from trainers.data.sounds import Recording, find_sounds
from trainers.data.stock.decoded import Decoded
from trainers.data.stock.inventory import Inventory, duration

__all__ = ["fits", "stock"]

_SOUNDS = (".wav", ".flac")


def fits(path: Path) -> bool:
    """Whether there are sound files below a folder."""
    return path.is_dir() and any(item.suffix.lower() in _SOUNDS for item in path.rglob("*"))


def stock(path: Path, *, decode: bool, jobs: int) -> Inventory:
    """Recordings, speakers and length of every class."""
    found = find_sounds(path)
    faults: list[Fault] = list(found.faults)
    if decode:
        pieces = [Decoded(r.name, None, 0, r.path) for r in found.recordings]
        faults += make_all(pieces, "decode", jobs=jobs, skip_corrupt=True)
    rows = [
        _row(label, [r for r in found.recordings if r.label == label]) for label in found.labels
    ]
    splits = sorted({recording.split for recording in found.recordings} - {""})
    notes = [
        f"split: the column's, {', '.join(splits)}" if splits else "split: none; by speaker",
        f"{len(found.speakers)} speakers",
    ]
    total = _row("all", list(found.recordings))
    columns = ("class", "recordings", "speakers", "length")
    return Inventory(f"sounds of {found.name}", columns, (*rows, total), notes, faults)


def _row(name: str, recordings: list[Recording]) -> tuple[str, ...]:
    speakers = {recording.speaker for recording in recordings} - {""}
    seconds = sum(probe(recording.path).seconds for recording in recordings)
    return name, str(len(recordings)), str(len(speakers)), duration(seconds)
