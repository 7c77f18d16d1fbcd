"""Data sets of labelled sounds: one door for every layout.

`read_sounds` looks what is there:

- **RAVDESS** by its file names (``Actor_01/03-01-05-01-02-01-01.wav``): speech, not song;
- **EmoDB** by its file names (``wav/03a01Wa.wav``);
- a folder with one CSV of the columns ``file`` and ``label``, and on request ``speaker`` and
  ``split`` (training, validation or test).

The emotions that RAVDESS and EmoDB have in common have the same names, RAVDESS's.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jack_stream.errors import SourceError, UsageError
from trainers.data.clip import Fault
from trainers.data.clip_media import probe

__all__ = [
    "RAVDESS",
    "Recording",
    "SoundSet",
    "digest",
    "find_sounds",
    "read_sounds",
    "speaker_folds",
]

RAVDESS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_EMODB = {
    "N": "neutral", "F": "happy", "T": "sad", "W": "angry", "A": "fearful", "E": "disgust",
    "L": "bored",
}  # fmt: skip

_SOUNDS = (".wav", ".flac")
_RAVDESS_NAME = re.compile(r"\d\d-\d\d-(\d\d)-\d\d-\d\d-\d\d-(\d\d)")
_SPEECH = re.compile(r"\d\d-01-.*")
_EMODB_NAME = re.compile(r"(\d\d)[ab]\d\d([NFTWAEL])[a-z]?")
_SPLITS = ("training", "validation", "test")
_NAMED = 5


@dataclass(frozen=True)
class Recording:
    """One labelled sound.

    Attributes:
        name: unique in its set.
        label: its class in words.
        speaker: who speaks, unique over all sets; empty where nobody says.
        path: a sound file.
        split: ``training``, ``validation``, ``test``, or empty.
    """

    name: str
    label: str
    speaker: str
    path: Path
    split: str = ""


@dataclass(frozen=True)
class SoundSet:
    """A data set of sounds.

    Attributes:
        name: of its folder or its corpus.
        recordings: all of it, in the order of their names.
        faults: what was left out.
    """

    name: str
    recordings: tuple[Recording, ...]
    faults: tuple[Fault, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, the known emotions first."""
        found = {recording.label for recording in self.recordings}
        known = [label for label in (*RAVDESS, "bored") if label in found]
        return (*known, *sorted(found - set(known)))

    @property
    def speakers(self) -> tuple[str, ...]:
        """Who speaks."""
        return tuple(sorted({recording.speaker for recording in self.recordings} - {""}))

    def counts(self) -> Counter[str]:
        """Recordings of each class."""
        return Counter(recording.label for recording in self.recordings)


def read_sounds(path: Path, *, skip_corrupt: bool = False) -> SoundSet:
    """A data set, ready to train on.

    Args:
        path: its folder.
        skip_corrupt: leave out what is missing or damaged (``faults`` says what) instead of
            refusing the whole set.

    Raises:
        SourceError: nothing is there, the table is wrong, or something is missing or damaged.
    """
    found = find_sounds(path)
    if found.faults and not skip_corrupt:
        listed = "\n  ".join(f"{fault.name}: {fault.reason}" for fault in found.faults[:_NAMED])
        more = len(found.faults) - _NAMED
        raise SourceError(
            f"{path}: {len(found.faults)} recordings can't be used:\n  {listed}"
            + (f"\n  and {more} more" if more > 0 else ""),
            hint="--skip-corrupt leaves them out.",
        )
    if not found.recordings:
        raise SourceError(f"{path}: has no recording that can be used")
    return found


def find_sounds(path: Path) -> SoundSet:
    """What is there, however little of it can be used. Files are opened, not decoded.

    Raises:
        SourceError: it is of no known layout, or its table is wrong.
    """
    if not path.is_dir():
        raise SourceError(f"{path}: there is no such folder")
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SOUNDS)
    tables = sorted(path.glob("*.csv"))
    for kind in (_ravdess, _emodb):
        if found := kind(files):
            return _checked(found)
    if len(tables) == 1:
        return _checked(_tabled(path, tables[0]))
    raise SourceError(
        f"{path}: holds no data set of sounds",
        hint="Expected are RAVDESS's or EmoDB's file names, or one CSV with the columns file and"
        f" label (speaker, split); here are {len(files)} sound files and {len(tables)} CSV files.",
    )


def speaker_folds(sets: Sequence[SoundSet], folds: int) -> list[frozenset[str]]:
    """Speakers to hold out together: each set's, in order, in ``folds`` parts of about one size.

    Args:
        sets: all that is trained on.
        folds: how many parts; 0 holds out one speaker at a time.

    Raises:
        UsageError: a recording has no speaker, or there are fewer speakers than folds.
    """
    for one in sets:
        unknown = [r.name for r in one.recordings if not r.speaker]
        if unknown:
            raise UsageError(
                f"{one.name}: {len(unknown)} recordings have no speaker ({unknown[0]}), so nothing"
                " can be evaluated by speaker",
                hint="Add a column `speaker` to its CSV; recordings of one person on both sides of"
                " a division make figures that say nothing.",
            )
        if folds == 1 or folds > len(one.speakers):
            raise UsageError(f"{one.name}: {len(one.speakers)} speakers can't make {folds} folds")
    if folds == 0:
        return [frozenset({speaker}) for one in sets for speaker in one.speakers]
    parts = [
        [one.speakers[len(one.speakers) * k // folds : len(one.speakers) * (k + 1) // folds]
         for one in sets]
        for k in range(folds)
    ]  # fmt: skip
    return [frozenset(speaker for part in fold for speaker in part) for fold in parts]


def digest(recordings: Iterable[Recording]) -> str:
    """SHA-256 over names, labels, speakers and the files' bytes."""
    total = hashlib.sha256()
    for recording in recordings:
        total.update(f"{recording.name}\0{recording.label}\0{recording.speaker}\0".encode())
        total.update(hashlib.sha256(recording.path.read_bytes()).digest())
    return total.hexdigest()


def _checked(found: SoundSet) -> SoundSet:
    faults, good = list(found.faults), []
    for recording in found.recordings:
        if reason := _fault(recording.path):
            faults.append(Fault(str(recording.path), reason))
        else:
            good.append(recording)
    return replace(found, recordings=tuple(good), faults=tuple(faults))


def _fault(path: Path) -> str:
    if not path.is_file():
        return "there is no such file"
    try:
        facts = probe(path)
    except SourceError as error:
        return str(error)
    if facts.sound_rate_hz is None or facts.seconds <= 0:
        return "has no sound"
    return ""


def _ravdess(files: Sequence[Path]) -> SoundSet | None:
    """Modality - channel - emotion - intensity - statement - repetition - actor."""
    recordings = [
        Recording(file.stem, RAVDESS[int(match[1]) - 1], f"ravdess/{match[2]}", file)
        for file in files
        if (match := _RAVDESS_NAME.fullmatch(file.stem))
        and _SPEECH.fullmatch(file.stem)
        and 1 <= int(match[1]) <= len(RAVDESS)
    ]
    return SoundSet("RAVDESS", _in_order(recordings)) if recordings else None


def _emodb(files: Sequence[Path]) -> SoundSet | None:
    """Speaker, text, emotion by its German initial, version."""
    recordings = [
        Recording(file.stem, _EMODB[match[2]], f"emodb/{match[1]}", file)
        for file in files
        if (match := _EMODB_NAME.fullmatch(file.stem))
    ]
    return SoundSet("EmoDB", _in_order(recordings)) if recordings else None


def _tabled(folder: Path, table: Path) -> SoundSet:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{table}: can't be read as a CSV table: {error}") from error
    if not rows or not {"file", "label"} <= set(rows[0]):
        raise SourceError(f"{table}: needs a header with file and label, and at least one row")
    name = folder.resolve().name
    recordings = [_row(folder, table, line, row) for line, row in enumerate(rows, start=2)]
    double, times = Counter(r.name for r in recordings).most_common(1)[0]
    if times > 1:
        raise SourceError(f"{table}: names {double} {times} times")
    found = [replace(r, speaker=f"{name}/{r.speaker}") if r.speaker else r for r in recordings]
    return SoundSet(name, _in_order(found))


def _row(folder: Path, table: Path, line: int, row: dict[str, str]) -> Recording:
    values = {key: (row.get(key) or "").strip() for key in ("file", "label", "speaker", "split")}
    for key in ("file", "label"):
        if not values[key]:
            raise SourceError(f"{table}, row {line}: {key} is empty")
    split = values["split"]
    if split and split not in _SPLITS:
        raise SourceError(f"{table}, row {line}: split is {split!r}, not {', '.join(_SPLITS)}")
    path = folder / values["file"]
    if not path.resolve().is_relative_to(folder.resolve()):
        raise SourceError(f"{table}, row {line}: {values['file']} is not in the table's folder")
    return Recording(values["file"], values["label"], values["speaker"], path, split)


def _in_order(recordings: Iterable[Recording]) -> tuple[Recording, ...]:
    return tuple(sorted(recordings, key=lambda recording: recording.name))
