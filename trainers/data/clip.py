"""A labelled video, and a set of them with its split."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from jack_stream.errors import SourceError

__all__ = ["Clip", "ClipSet", "Fault", "Split", "content_digest", "hold_out"]

HOLD_OUT = 0.2
"""Share of a class that is held out where nobody says what to validate on."""

_SAMPLED = 16
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Clip:
    """One labelled video.

    Attributes:
        name: unique in its set.
        label: index into the set's ``labels``.
        frames: a folder of numbered pictures, or a video file.
        sound: a sound file, or a video file with sound; None where it has none.
        n_frames: how many pictures there are.
        frame_rate_hz: pictures per second; None where nobody wrote it down.
        subtitles: a ``.srt`` file, where there is one.
    """

    name: str
    label: int
    frames: Path
    sound: Path | None
    n_frames: int
    frame_rate_hz: float | None
    subtitles: Path | None = None

    def digest(self) -> str:
        """SHA-256 of what is seen and heard (`content_digest`), not of names or places."""
        parts = [content_digest(self.frames)]
        if self.sound is not None and self.sound != self.frames:
            parts.append(content_digest(self.sound))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Fault:
    """An item that can't be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class ClipSet:
    """A data set of videos.

    Attributes:
        labels: the classes; a clip's ``label`` is a position in it.
        training: to learn from.
        validation: to choose by; never learned from.
        test: to report on, where the set keeps both apart; often empty.
        layout: how it is laid out, in words.
        split: where the split comes from, in words: print it.
        faults: what was left out.
    """

    labels: tuple[str, ...]
    training: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...] = ()
    layout: str = ""
    split: str = ""
    faults: tuple[Fault, ...] = ()

    def subsets(self) -> dict[str, tuple[Clip, ...]]:
        """Clips by the name of their subset; empty ones are left out."""
        named = {"training": self.training, "validation": self.validation, "test": self.test}
        return {name: clips for name, clips in named.items() if clips}

    def counts(self) -> dict[str, dict[str, int]]:
        """Number of clips by subset and label."""
        result = {}
        for subset, clips in self.subsets().items():
            found = Counter(clip.label for clip in clips)
            result[subset] = {label: found[i] for i, label in enumerate(self.labels)}
        return result

    def digest(self) -> str:
        """SHA-256 over labels, split, names and contents: which data a model was trained on."""
        sha = hashlib.sha256("\0".join(self.labels).encode())
        for subset, clips in sorted(self.subsets().items()):
            for clip in sorted(clips, key=lambda clip: clip.name):
                sha.update(f"\n{subset}\0{clip.name}\0{clip.label}\0{clip.digest()}".encode())
        return sha.hexdigest()


@dataclass(frozen=True)
class Split:
    """How clips were divided: by subset, and by whom in words."""

    training: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    said: str
    test: tuple[Clip, ...] = ()


def hold_out(clips: Sequence[Clip], seed: int = 0, share: float = HOLD_OUT) -> Split:
    """Hold out a share of every class, drawn from the clips in the order of their names.

    At least one clip of a class is held out and one stays, where the class has two.
    """
    rng = np.random.default_rng(seed)
    held: set[str] = set()
    for label in sorted({clip.label for clip in clips}):
        names = sorted(clip.name for clip in clips if clip.label == label)
        count = min(max(round(share * len(names)), 1), len(names) - 1)
        held |= {names[i] for i in rng.permutation(len(names))[:count]}
    return Split(
        tuple(clip for clip in clips if clip.name not in held),
        tuple(clip for clip in clips if clip.name in held),
        f"our own: {share:.0%} of every class held out at random (seed {seed})",
    )


def by_subset(clips: Iterable[tuple[Clip, str]], said: str) -> Split:
    """The split that subsets' names (``training``, ``validation``, ``test``) say."""
    divided: Mapping[str, list[Clip]] = {"training": [], "validation": [], "test": []}
    for clip, subset in clips:
        divided[subset].append(clip)
    training, validation, test = (tuple(divided[name]) for name in divided)
    if test and not validation:
        inner = hold_out(training)
        said = f"{said}; no validation part is given, so of its training part {inner.said}"
        training, validation = inner.training, inner.validation
    return Split(training, validation, said, test)


@lru_cache(maxsize=65536)
def content_digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, over its files' names, sizes and some contents.

    Videos kept as pictures have hundreds of thousands of files. Of a folder's only 16, evenly
    spaced, are read; names and sizes of all others count.

    Raises:
        SourceError: it can't be read.
    """
    sha = hashlib.sha256()
    try:
        if path.is_dir():
            files = sorted(item for item in path.iterdir() if item.is_file())
            for file in files:
                sha.update(f"{file.name}\0{file.stat().st_size}\n".encode())
            files = files[:: -(-len(files) // _SAMPLED)] if files else []
        else:
            files = [path]
        for file in files:
            for chunk in _chunks(file):
                sha.update(chunk)
    except OSError as error:
        raise SourceError(f"{error.filename}: can't be read: {error.strerror}") from error
    return sha.hexdigest()


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk
