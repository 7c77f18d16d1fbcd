"""Data sets of labelled videos: one door for every layout.

`read_clips` looks what is there:

- a folder of the reference's: ``imgs/CLASS/VIDEO/000001.jpg``, ``mp3/CLASS/VIDEO.mp3`` and an
  annotation JSON, or that JSON itself (VideoEmotion-8, Ekman-6, and ERATO, Aff-Wild2 and IEMOCAP
  as the reference's data set page lays them out): `trainers.data.annotated`;
- plain folders ``CLASS/clip.mp4``, on request under ``train/``, ``val/``, ``test/`` or with a
  ``splits.csv``: `trainers.data.class_folders`.

Trainers take everything from here::

    clips = read_clips(path, skip_corrupt=recipe.skip_corrupt)
    print(clips.split)                          # who divided it, and how
    clip = clips.training[0]
    read_frames(clip, [0, 1, 2])                # uint8 [3, H, W, 3] RGB; index 0 is 000001.jpg
    read_sound(clip, 44100)                     # float32 [n], mono; clip.sound may be None
    clip.digest(), clips.digest()               # contents, for feature caches and for the card
"""

from __future__ import annotations

from pathlib import Path

from jack_stream.errors import SourceError
from trainers.data import annotated, class_folders
from trainers.data.clip import Clip, ClipSet, Fault
from trainers.data.clip_media import read_frames, read_sound, sound_rate

__all__ = [
    "Clip",
    "ClipSet",
    "Fault",
    "find_clips",
    "read_clips",
    "read_frames",
    "read_sound",
    "sound_rate",
]

_NAMED = 5


def read_clips(path: Path, *, skip_corrupt: bool = False) -> ClipSet:
    """A data set, ready to train on.

    Args:
        path: its folder, or its annotation JSON.
        skip_corrupt: leave out what is missing or damaged (``faults`` says what) instead of
            refusing the whole set. Files are opened, not decoded: ``jack-train data check
            --decode`` does that.

    Raises:
        SourceError: nothing is there, the annotation is wrong, something is missing or damaged,
            or nothing is left to train or validate on.
    """
    found = find_clips(path)
    if found.faults and not skip_corrupt:
        listed = "\n  ".join(f"{fault.name}: {fault.reason}" for fault in found.faults[:_NAMED])
        more = len(found.faults) - _NAMED
        rest = f"\n  and {more} more" if more > 0 else ""
        raise SourceError(
            f"{path}: {len(found.faults)} items can't be used:\n  {listed}{rest}",
            hint="`jack-train data check` lists them all; data.skip_corrupt=true leaves them out.",
        )
    for name, clips in (("training", found.training), ("validation", found.validation)):
        if not clips:
            raise SourceError(f"{path}: has no clips for {name}", hint=f"Split: {found.split}.")
    return found


def find_clips(path: Path) -> ClipSet:
    """What is there, however little of it can be used.

    Raises:
        SourceError: it is of no known layout, or its annotation is wrong.
    """
    if not path.exists():
        raise SourceError(f"{path}: there is no such file or folder")
    for kind in (annotated, class_folders):
        if kind.fits(path):
            return kind.find(path)
    raise SourceError(
        f"{path}: holds no data set of videos",
        hint="Expected are imgs/CLASS/VIDEO/000001.jpg with mp3/CLASS/VIDEO.mp3 and an annotation "
        "JSON, or CLASS/clip.mp4; docs/datasets.md shows every layout.",
    )
