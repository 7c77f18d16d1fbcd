"""What files of walks hold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from jack_stream.errors import SourceError
from jack_stream.models.labels import EMOTION_GAIT
from trainers.data.clip import Fault
from trainers.data.stock.inventory import Inventory, duration
from trainers.data.walk import Walk
from trainers.data.walks import read_walks, walk_files

__all__ = ["fits", "stock"]

_WALKS = frozenset({".npz", ".h5", ".hdf5", ".npy"})


def fits(path: Path) -> bool:
    """Whether it is a file of walks by its name, or a folder that has some."""
    if path.is_file():
        return path.suffix in _WALKS
    try:
        return bool(walk_files(path))
    except SourceError:
        return False


def stock(path: Path) -> Inventory:
    """Recordings by emotion, and what is done in them."""
    walks: list[Walk] = []
    faults: list[Fault] = []
    for file in walk_files(path) if path.is_dir() else [path]:
        try:
            walks += read_walks(file)
        except SourceError as error:  # noqa: PERF203 - each file by itself
            faults.append(Fault(file.name, str(error)))
    rows = [
        _row(label, found)
        for label in (*EMOTION_GAIT, "no label")
        if (found := [walk for walk in walks if (walk.label or "no label") == label])
    ]
    contents = Counter(walk.content for walk in walks).most_common()
    done = ", ".join(f"{content} {count}" for content, count in contents)
    return Inventory(
        "walks", ("label", "recordings", "length"), (*rows, _row("all", walks)),
        [f"what is done: {done or 'nothing'}"], faults,
    )  # fmt: skip


def _row(name: str, walks: list[Walk]) -> tuple[str, str, str]:
    return name, str(len(walks)), duration(sum(walk.seconds for walk in walks))
