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
from functools import lru_cache
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
from jack_stream.models import registry
from jack_stream.weights import read_bundle
from trainers.data.class_folders import video_files
from trainers.data.clip import Fault
from trainers.data.clip_media import pictures, probe, samples_of
from trainers.data.prepare.pieces import make_all, partial

__all__ = ["FeatureNetwork", "log_mel_of", "prepare_tsl", "rgb_of"]

FEATURES_FROM = "i3d.json"
"""Says which I3D network made the features."""

_BATCH = 4
_SUBSETS = ("train", "test")


@dataclass(frozen=True)
class FeatureNetwork:
    """Which I3D network makes the features; every process loads it for itself.

    Attributes:
        bundle: where it is; None has random weights.
    """

    bundle: Path | None

    def signature(self) -> dict[str, str | bool]:
        """``sha256`` of its tensors, and whether it is ``trained``.

        Raises:
            BundleError: the bundle can't be read.
            UsageError: it is of another method.
        """
        if self.bundle is None:
            return {"sha256": "untrained", "trained": False}
        found = read_bundle(self.bundle)
        if found.card.method != "i3d":
            raise UsageError(f"{self.bundle}: is of {found.card.method}; an i3d bundle is needed")
        return {"sha256": found.digest, "trained": found.card.trained}

    def encoder(self) -> Encoder:
        """It is loaded here."""
        return i3d_encoder(
            registry.untrained("i3d") if self.bundle is None else registry.load(self.bundle)
        )


@lru_cache(maxsize=1)
def _loaded(network: FeatureNetwork) -> Encoder:
    """Once in each process."""
    return network.encoder()


@dataclass(frozen=True)
class _Video:
    name: str
    source: Path
    folder: Path
    network: FeatureNetwork

    def done(self) -> bool:
        return all(path.is_file() for path in self._files())

    def make(self) -> None:
        facts = probe(self.source)
        if not facts.frame_rate_hz or not facts.sound_rate_hz:
            raise SourceError(f"{self.source}: must have pictures and sound")
        rgb, sound = self._files()
        _save(sound, log_mel_of(self.source, facts.frame_rate_hz))
        _save(rgb, rgb_of(self.source, _loaded(self.network)))

    def _files(self) -> tuple[Path, Path]:
        return (
            self.folder / "rgb" / f"{self.name}.npy",
            self.folder / "logmfcc" / f"{self.name}.npy",
        )


def prepare_tsl(
    videos: Path,
    out: Path,
    network: FeatureNetwork,
    *,
    splits: Path | None = None,
    jobs: int = 1,
    skip_corrupt: bool = False,
) -> list[Fault]:
    """Write features, splits and frame rates in TSL-300's layout.

    Args:
        videos: ``ID.mp4``, or ``train/ID.mp4`` and ``test/ID.mp4``. Where nobody says, a video is
            for training.
        out: the data set's folder.
        network: makes the visual features.
        splits: a folder with the owners' ``split_train.txt`` and ``split_test.txt``; may be
            ``out``, where nothing of theirs is changed.
        jobs: processes, each with a network of its own and its share of the cores.
        skip_corrupt: leave out what can't be used.

    Returns:
        What was left out.

    Raises:
        SourceError: there are no videos, or some can't be used.
        UsageError: the results can't be written, or another I3D made those that are there.
        BundleError: the network can't be read.
    """
    subsets = _subsets(videos, splits)
    _sign(out, network)
    pieces = [
        _Video(path.stem, path, out / "features" / subset, network)
        for path, subset in subsets.items()
    ]
    faults = make_all(pieces, "I3D", jobs=jobs, skip_corrupt=skip_corrupt)
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


def _sign(out: Path, network: FeatureNetwork) -> None:
    """Write down which network makes the features, or see that it made those that are there."""
    signature = network.signature()
    path = out / "features" / FEATURES_FROM
    try:
        there = json.loads(path.read_text())["sha256"] if path.is_file() else None
        if there not in (None, signature["sha256"]):
            raise UsageError(
                f"{out}: has features of another I3D network ({there[:12]})",
                hint="Choose another folder, or remove its features.",
            )
        with partial(path) as beside:
            beside.write_text(json.dumps(signature))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: can't be read or written: {error}") from error


def _save(path: Path, array: npt.NDArray[np.float32]) -> None:
    with partial(path) as beside, beside.open("wb") as file:
        np.save(file, array)
