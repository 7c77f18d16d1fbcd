"""Videos in folders of classes to the reference's pictures, sounds and annotation.

What VAANet's ``video2jpg``, ``video2mp3``, ``n_frames`` and ``ve8_json`` do: every picture, 240
pixels high, as ``imgs/CLASS/VIDEO/000001.jpg``, the sound as ``mp3/CLASS/VIDEO.mp3``, and a JSON
with labels and split (`trainers.data.annotated` reads it all back).
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import av
import cv2
import numpy as np
import numpy.typing as npt

from jack_stream.capture.resize import Resizer
from jack_stream.errors import SourceError, UsageError
from trainers.data import class_folders
from trainers.data.annotated import RATE_FILE, read_annotation
from trainers.data.clip import Fault
from trainers.data.clip_media import pictures, probe, samples_of
from trainers.data.prepare.pieces import make_all, partial

__all__ = ["HEIGHT", "SoundFormat", "prepare_clips", "sound_format"]

HEIGHT = 240
"""Of the pictures, as the reference's tools make them (``scale=-1:240``)."""

SoundFormat = Literal["mp3", "flac", "wav"]

_CODECS = {"mp3": "libmp3lame", "flac": "flac", "wav": "pcm_s16le"}
_QUALITY = 95


@dataclass(frozen=True)
class _Clip:
    """One video's pictures and sound; the folder of pictures comes last and says that all is there.

    Attributes:
        name: of the video.
        source: video file or folder of pictures.
        sound: where its sound is, None without.
        n_frames: how many pictures it should have.
        frames: the folder of pictures to make.
        sound_to: the sound file to make.
        height: of the pictures.
    """

    name: str
    source: Path
    sound: Path | None
    n_frames: int
    frames: Path
    sound_to: Path
    height: int

    def done(self) -> bool:
        return self.frames.is_dir()

    def make(self) -> None:
        if self.sound is not None:
            with partial(self.sound_to) as path:
                _write_sound(path, self.sound)
        with partial(self.frames) as folder:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            self._write_pictures(folder)

    def _write_pictures(self, folder: Path) -> None:
        number = 0
        for number, picture in enumerate(pictures(self.source), start=1):
            width = max(1, round(picture.shape[1] * self.height / picture.shape[0]))
            resized = Resizer(width, self.height)(picture)
            _, jpeg = cv2.imencode(
                ".jpg",
                cv2.cvtColor(resized, cv2.COLOR_RGB2BGR),
                [cv2.IMWRITE_JPEG_QUALITY, _QUALITY],
            )
            (folder / f"{number:06d}.jpg").write_bytes(jpeg.tobytes())
        if number != self.n_frames:
            raise SourceError(f"{self.source}: ends after {number} of {self.n_frames} pictures")
        (folder / "n_frames").write_text(f"{number}")
        rate = None if self.source.is_dir() else probe(self.source).frame_rate_hz
        if rate:
            (folder / RATE_FILE).write_text(f"{rate:.6f}")


@dataclass(frozen=True)
class _Plan:
    labels: tuple[str, ...]
    subsets: dict[str, tuple[str, str]]  # name -> label and subset
    pieces: list[_Clip]
    faults: list[Fault]
    said: str


def prepare_clips(
    videos: Path,
    out: Path,
    *,
    annotation: Path | None = None,
    height: int = HEIGHT,
    sound: SoundFormat = "mp3",
    jobs: int = 1,
    skip_corrupt: bool = False,
) -> tuple[Path, str, list[Fault]]:
    """Make pictures, sounds and annotation.

    Args:
        videos: ``CLASS/clip.mp4``, with ``train/`` and ``val/`` or ``splits.csv`` if there are any.
        out: the new data set's folder.
        annotation: the owners' JSON; it says which videos there are, their classes and the split.
        height: of the pictures in pixels.
        sound: format of the sounds.
        jobs: processes.
        skip_corrupt: leave out what can't be used.

    Returns:
        The annotation written, who made its split, and what was left out.

    Raises:
        SourceError: something can't be read; nothing is annotated then.
        UsageError: the results can't be written.
    """
    place = _Place(out, height, sound)
    plan = _annotated(videos, annotation, place) if annotation else _by_folders(videos, place)
    if plan.faults and not skip_corrupt:
        listed = "\n  ".join(f"{fault.name}: {fault.reason}" for fault in plan.faults[:5])
        raise SourceError(
            f"{videos}: {len(plan.faults)} videos can't be used, such as\n  {listed}",
            hint="--skip-corrupt leaves them out and lists them all.",
        )
    faults = make_all(plan.pieces, "clips", jobs=jobs, skip_corrupt=skip_corrupt)
    left_out = {fault.name for fault in faults}
    database = {
        name: {"subset": subset, "annotations": {"label": label}}
        for name, (label, subset) in plan.subsets.items()
        if name not in left_out
    }
    contents = {"labels": plan.labels, "split": plan.said, "database": database}
    target = out / (annotation.name if annotation else "annotation.json")
    try:
        with partial(target) as path:
            path.write_text(json.dumps(contents, indent=1))
    except OSError as error:
        raise UsageError(f"{target}: can't be written: {error.strerror}") from error
    return target, plan.said, [*plan.faults, *faults]


def sound_format(name: str) -> SoundFormat:
    """The format of a name; a `UsageError` if there is none."""
    if name not in _CODECS:
        raise UsageError(f"--sound {name}: is none of {', '.join(_CODECS)}")
    return cast("SoundFormat", name)


@dataclass(frozen=True)
class _Place:
    out: Path
    height: int
    sound: SoundFormat

    def piece(
        self, name: str, label: str, source: Path, sound: Path | None, n_frames: int
    ) -> _Clip:
        frames = self.out / "imgs" / label / name
        # The folder is called mp3 whatever is in it: that is its name in the layout.
        sound_to = self.out / "mp3" / label / f"{name}.{self.sound}"
        return _Clip(name, source, sound, n_frames, frames, sound_to, self.height)


def _by_folders(videos: Path, place: _Place) -> _Plan:
    if not class_folders.fits(videos):
        raise SourceError(
            f"{videos}: there are no videos in it",
            hint="Expected are CLASS/clip.mp4; docs/datasets.md shows the layout.",
        )
    found = class_folders.find(videos)
    stems = Counter(c.name.rpartition("/")[2] for part in found.subsets().values() for c in part)
    subsets, pieces = {}, []
    for subset, clips in found.subsets().items():
        for clip in clips:
            stem = clip.name.rpartition("/")[2]
            name = stem if stems[stem] == 1 else clip.name.replace("/", "_")
            label = found.labels[clip.label]
            subsets[name] = (label, subset)
            pieces.append(place.piece(name, label, clip.frames, clip.sound, clip.n_frames))
    return _Plan(found.labels, subsets, pieces, list(found.faults), found.split)


def _annotated(videos: Path, annotation: Path, place: _Place) -> _Plan:
    known = read_annotation(annotation)
    files = {
        (item.parent.name.lower(), item.stem): item
        for item in sorted(videos.glob("*/*"))
        if class_folders.is_video(item)
    }
    subsets, pieces, faults = {}, [], []
    for name, (index, subset) in known.entries.items():
        label = known.labels[index]
        source = files.get((label.lower(), name))
        if source is None:
            faults.append(Fault(name, f"there is no video {videos / label / name}.*"))
            continue
        try:
            facts = probe(source)
        except SourceError as error:
            faults.append(Fault(name, str(error)))
            continue
        subsets[name] = (label, subset)
        sound = source if facts.sound_rate_hz else None
        pieces.append(place.piece(name, label, source, sound, facts.n_frames))
    return _Plan(known.labels, subsets, pieces, faults, known.split)


def _write_sound(path: Path, source: Path) -> None:
    """The whole sound, mono as a live stream hears it, at its own rate if the format has it."""
    codec = _CODECS[path.suffix[1:]]
    rates = av.codec.Codec(codec, "w").audio_rates
    rate = probe(source).sound_rate_hz or 44100
    rate = rate if rates is None or rate in rates else 44100
    samples = samples_of(source, rate)
    pcm: npt.NDArray[np.int16] = (samples.clip(-1, 1) * 32767).round().astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        if not isinstance(stream, av.AudioStream):
            raise TypeError(codec)
        stream.layout = "mono"
        for start in range(0, len(pcm), rate):
            block = av.AudioFrame.from_ndarray(pcm[None, start : start + rate], "s16", "mono")
            block.sample_rate, block.pts = rate, start
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
