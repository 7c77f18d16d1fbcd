"""Looks which kind of data set a path is, and takes stock of it."""

from __future__ import annotations

from pathlib import Path

from jack_stream.errors import SourceError
from trainers.data import annotated, class_folders
from trainers.data.stock import clips, sounds, walks
from trainers.data.stock.inventory import Inventory

__all__ = ["take_stock"]

_TSL = ("split_train.txt", "split_test.txt", "videosenti_gt.json", "gt.json")


def take_stock(path: Path, *, decode: bool = False, jobs: int = 1) -> Inventory:
    """What is in a data set of any kind that the trainers read.

    Args:
        path: its folder or file.
        decode: decode every picture and sound of a set of videos instead of opening them.
        jobs: processes that decode.

    Raises:
        SourceError: it is of no kind that is known, or can't be read at all.
    """
    if not path.exists():
        raise SourceError(f"{path}: there is no such file or folder")
    if any((path / name).is_file() for name in _TSL):
        from trainers.data.stock import tsl  # noqa: PLC0415 - imports SciPy's signals, 1 s

        return tsl.stock(path)
    if annotated.fits(path) or class_folders.fits(path):
        return clips.stock(path, decode=decode, jobs=jobs)
    if walks.fits(path):
        return walks.stock(path)
    if sounds.fits(path):
        return sounds.stock(path, decode=decode, jobs=jobs)
    raise SourceError(
        f"{path}: is no data set of a kind that is known here",
        hint="docs/datasets.md shows every layout: videos as CLASS/clip.mp4 or as imgs/, mp3/ and "
        "a JSON; sounds with RAVDESS's or EmoDB's names or one CSV; TSL-300's files; walks as "
        ".npz, .h5 or _joint.npy.",
    )
