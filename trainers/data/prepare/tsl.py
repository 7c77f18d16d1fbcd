"""What TSL-Net learns from: I3D features and log-mel of videos, in TSL-300's files.

The same functions as on a live stream (`jack_stream.inference.localisation`), on the grid of the
released features: one row of I3D for every 16 pictures of the video itself, and 32 mel frames to
each (the sound's rate follows the frame rate).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from jack_stream.errors import SourceError, UsageError
from jack_stream.features import logmel
from jack_stream.features.localization import FRAMES_PER_STEP
from jack_stream.features.spatial import to_clip
from jack_stream.features.views import i3d_view
from jack_stream.inference.localisation import i3d_encoder
from jack_stream.inference.snippets import Encoder
from jack_stream.models.registry import Model
from trainers.data.class_folders import video_files
from trainers.data.clip import Fault
from trainers.data.clip_media import pictures, probe, samples_of
from trainers.data.prepare.pieces import make_all, partial

__all__ = ["log_mel_of", "prepare_tsl", "rgb_of"]

FEATURES_FROM = "i3d.json"
"""Says which I3D network made the features."""

_BATCH = 4
_SUBSETS = ("train", "test")


@dataclass(frozen=True)
class _Video:
    name: str
    source: Path
    folder: Path
    encode: Encoder

    def done(self) -> bool:
        return all(path.is_file() for path in self._files())

    def make(self) -> None:
        facts = probe(self.source)
        if not facts.frame_rate_hz or not facts.sound_rate_hz:
            raise SourceError(f"{self.source}: must have pictures and sound")
        rgb, sound = self._files()
        _save(sound, log_mel_of(self.source, facts.frame_rate_hz))
        _save(rgb, rgb_of(self.source, self.encode))

    def _files(self) -> tuple[Path, Path]:
        return (
            self.folder / "rgb" / f"{self.name}.npy",
            self.folder / "logmfcc" / f"{self.name}.npy",
        )


def prepare_tsl(
    videos: Path,
    out: Path,
    i3d: Model,
    *,
    splits: Path | None = None,
    skip_corrupt: bool = False,
) -> list[Fault]:
    """Write features, splits and frame rates in TSL-300's layout.

    Args:
        videos: ``ID.mp4``, or ``train/ID.mp4`` and ``test/ID.mp4``. Where nobody says, a video is
            for training.
        out: the data set's folder.
        i3d: makes the visual features.
        splits: a folder with the owners' ``split_train.txt`` and ``split_test.txt``; may be
            ``out``, where nothing of theirs is changed.
        skip_corrupt: leave out what can't be used.

    Returns:
        What was left out.

    Raises:
        SourceError: there are no videos, or some can't be used.
        UsageError: the results can't be written, or another I3D made those that are there.
    """
    subsets = _subsets(videos, splits)
    _sign(out, i3d)
    encode = i3d_encoder(i3d)
    pieces = [
        _Video(path.stem, path, out / "features" / subset, encode)
        for path, subset in subsets.items()
    ]
    faults = make_all(pieces, "I3D", skip_corrupt=skip_corrupt)
    left_out = {fault.name for fault in faults}
    kept = {path: subset for path, subset in subsets.items() if path.stem not in left_out}
    if splits is None or splits.resolve() != out.resolve():  # the owners' files stay as they are
        _describe(out, kept)
    return faults


def _describe(out: Path, kept: Mapping[Path, str]) -> None:
    facts = {path.stem: probe(path) for path in kept}
    files = {
        **{f"split_{s}.txt": "".join(f"{p.stem}\n" for p, o in kept.items() if o == s)
           for s in _SUBSETS},
        "fps_dict.json": json.dumps({name: fact.frame_rate_hz for name, fact in facts.items()}),
        "time.json": json.dumps({name: fact.seconds for name, fact in facts.items()}),
    }  # fmt: skip
    for name, text in files.items():
        with partial(out / name) as path:
            path.write_text(text, encoding="utf-8")


def rgb_of(path: Path, encode: Encoder) -> npt.NDArray[np.float32]:
    """I3D's features of a video, float32 [T, 1024], one row for 16 pictures.

    Raises:
        SourceError: it has fewer pictures, or they can't be decoded.
    """
    rows: list[npt.NDArray[np.float32]] = []
    batches = _batches(path)
    with ThreadPoolExecutor(1) as pool:  # decodes while the network works
        upcoming = pool.submit(next, batches, None)
        while (batch := upcoming.result()) is not None:
            upcoming = pool.submit(next, batches, None)
            rows.append(encode(batch)["rgb"])
    if not rows:
        raise SourceError(f"{path}: has fewer than {FRAMES_PER_STEP} pictures")
    return np.concatenate(rows)


def log_mel_of(path: Path, frame_rate_hz: float) -> npt.NDArray[np.float32]:
    """Log-mel of a video's sound, float32 [F, 60]; F is about 2.001 times its pictures."""
    rate = logmel.sample_rate(frame_rate_hz)
    return logmel.log_mel(samples_of(path, rate), rate)


def _batches(path: Path) -> Iterator[npt.NDArray[np.float32]]:
    """Clips float32 [N, 3, 16, 224, 224] in 0..255; pictures that fill none are left out."""
    views = (i3d_view(picture) for picture in pictures(path))
    clips: list[npt.NDArray[np.float32]] = []
    while len(some := list(islice(views, FRAMES_PER_STEP))) == FRAMES_PER_STEP:
        clips.append(to_clip(some, np.asarray))
        if len(clips) == _BATCH:
            yield np.stack(clips)
            clips = []
    if clips:
        yield np.stack(clips)


def _subsets(videos: Path, splits: Path | None) -> Mapping[Path, str]:
    """Videos and the subset of each."""
    files = video_files(videos)
    stems = [path.stem for path in files]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise SourceError(f"{videos}: there are two videos called {twice}")
    if splits is None:
        return {p: "test" if p.parent.name == "test" else "train" for p in files}
    named = {
        line.strip(): subset
        for subset in _SUBSETS
        for line in _lines(splits / f"split_{subset}.txt")
    }
    unknown = [path for path in files if path.stem not in named]
    if unknown:
        raise SourceError(f"{unknown[0]}: {splits} names no video {unknown[0].stem}")
    return {path: named[path.stem] for path in files}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: can't be read: {error}") from error


def _sign(out: Path, i3d: Model) -> None:
    """Write down which network makes the features, or see that it made those that are there."""
    origin = i3d.origin.digest if i3d.origin else "untrained"
    path = out / "features" / FEATURES_FROM
    try:
        there = json.loads(path.read_text())["sha256"] if path.is_file() else origin
        if there != origin:
            raise UsageError(
                f"{out}: has features of another I3D network ({there[:12]})",
                hint="Choose another folder, or remove its features.",
            )
        with partial(path) as beside:
            beside.write_text(json.dumps({"sha256": origin, "trained": i3d.trained}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: can't be read or written: {error}") from error


def _save(path: Path, array: npt.NDArray[np.float32]) -> None:
    with partial(path) as beside, beside.open("wb") as file:
        np.save(file, array)
