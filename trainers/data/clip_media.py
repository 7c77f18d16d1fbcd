"""Pictures and sound of clips, out of folders of pictures or anything that FFmpeg reads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError
from PIL import Image

from jack_stream.capture.contents import picture_stream, sound_stream
from jack_stream.capture.media import MediaWanted
from jack_stream.capture.medium import Medium
from jack_stream.capture.samples import Picture, Sound
from jack_stream.capture.soundtrack import SoundWanted
from jack_stream.clock import Clock
from jack_stream.errors import SourceError
from trainers.data.clip import Clip

__all__ = [
    "MediaFacts",
    "picture_files",
    "pictures",
    "probe",
    "read_frames",
    "read_sound",
    "samples_of",
    "sound_rate",
]

Pictures = npt.NDArray[np.uint8]

_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


@dataclass(frozen=True)
class MediaFacts:
    """What can be known of a file without decoding it.

    Attributes:
        n_frames: pictures; 0 without any.
        frame_rate_hz: pictures per second, None without any.
        size: width and height of the pictures in pixels.
        sound_rate_hz: of the sound, None without any.
        seconds: how long it lasts, 0 where that is not known.
    """

    n_frames: int
    frame_rate_hz: float | None
    size: tuple[int, int]
    sound_rate_hz: int | None
    seconds: float


def read_frames(clip: Clip, indices: Sequence[int] | npt.NDArray[np.int64]) -> Pictures:
    """Some pictures of a clip, in the order that is asked for; the same one may be asked twice.

    A video file is decoded from its beginning for every call: `jack-train data prepare clips`
    turns long videos into pictures first.

    Args:
        clip: the clip.
        indices: which ones, counted from 0; picture 0 is the file ``000001.jpg``.

    Returns:
        uint8 [T, H, W, 3], RGB.

    Raises:
        SourceError: a picture is missing or damaged; the message names the file.
    """
    wanted = [int(index) for index in indices]
    if not wanted or min(wanted) < 0 or max(wanted) >= clip.n_frames:
        raise SourceError(
            f"{clip.frames}: pictures {wanted[:4]} ... were asked for; it has {clip.n_frames}"
        )
    if clip.frames.is_dir():
        files = picture_files(clip.frames)
        if len(files) < clip.n_frames:
            raise SourceError(f"{clip.frames}: has {len(files)} pictures, not {clip.n_frames}")
        found = {index: _read_picture(files[index]) for index in sorted(set(wanted))}
    else:
        found = _picked(clip.frames, set(wanted))
    shapes = {picture.shape for picture in found.values()}
    if len(shapes) > 1:
        raise SourceError(f"{clip.frames}: has pictures of several sizes: {sorted(shapes)[:3]}")
    return np.stack([found[index] for index in wanted])


def read_sound(clip: Clip, sample_rate: int) -> npt.NDArray[np.float32]:
    """A clip's whole sound: the mean of its channels, resampled.

    Args:
        clip: the clip.
        sample_rate: in hertz.

    Returns:
        float32 [n], full scale at 1.

    Raises:
        SourceError: the clip has no sound, or it can't be decoded.
    """
    if clip.sound is None:
        raise SourceError(
            f"{clip.name}: has no sound", hint="Leave it out, or train on the pictures alone."
        )
    return samples_of(clip.sound, sample_rate)


def samples_of(path: Path, sample_rate: int) -> npt.NDArray[np.float32]:
    """A file's whole sound as `read_sound` gives it."""
    wanted = MediaWanted(None, None, SoundWanted(sample_rate, 1000))
    counters: Counter[str] = Counter()
    blocks = [
        sample.samples
        for sample in Medium(str(path), wanted).samples(Clock(), counters)
        if isinstance(sample, Sound)
    ]
    _refuse_damaged(path, counters)
    if not blocks:
        raise SourceError(f"{path}: its sound has no samples")
    return np.concatenate(blocks)


def sound_rate(path: Path) -> int:
    """A file's own sample rate in hertz (CTEN and MART take sound at the rate that it has)."""
    rate = probe(path).sound_rate_hz
    if rate is None:
        raise SourceError(f"{path}: has no sound")
    return rate


def pictures(path: Path) -> Iterator[Pictures]:
    """All pictures of a video file or a folder in turn, upright, uint8 [H, W, 3].

    Raises:
        SourceError: it can't be opened, or some of it can't be decoded.
    """
    if path.is_dir():
        yield from map(_read_picture, picture_files(path))
        return
    counters: Counter[str] = Counter()
    for sample in Medium(str(path), MediaWanted(_as_it_is, None, None)).samples(Clock(), counters):
        if isinstance(sample, Picture):
            yield sample.image
    _refuse_damaged(path, counters)


@lru_cache(maxsize=64)
def picture_files(folder: Path) -> tuple[Path, ...]:
    """The pictures of a folder in the order of the numbers in their names."""
    try:
        files = [item for item in folder.iterdir() if item.suffix.lower() in _PICTURES]
    except OSError as error:
        raise SourceError(f"{folder}: can't be read: {error.strerror}") from error
    return tuple(sorted(files, key=_natural))


def picture_number(file: Path) -> int | None:
    """The last number in a picture's name: 7 for ``image_00007.jpg``."""
    digits = re.findall(r"[0-9]+", file.stem)
    return int(digits[-1][-18:]) if digits else None


def probe(path: Path) -> MediaFacts:
    """What is in a file, without decoding it; its pictures are counted.

    Raises:
        SourceError: it is no video or sound file.
    """
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            sound, video = sound_stream(container), picture_stream(container)
            rate = int(sound.codec_context.sample_rate) if sound else None
            seconds = (container.duration or 0) / 1e6
            if video is None:
                return MediaFacts(0, None, (0, 0), rate, seconds)
            size = (video.codec_context.width, video.codec_context.height)
            hertz = float(video.average_rate) if video.average_rate else None
            # Headers count pictures that an edit list cuts away, or none at all.
            count = sum(p.size > 0 and not p.is_discard for p in container.demux(video))
            return MediaFacts(count, hertz, size, rate, seconds)
    except (FFmpegError, OSError) as error:
        raise SourceError(
            f"{path}: can't be read as a video or sound file: {error.strerror}",
            hint="Is it complete? Try to play it with another program.",
        ) from error


def _picked(path: Path, wanted: set[int]) -> dict[int, Pictures]:
    last = max(wanted)
    found: dict[int, Pictures] = {}
    for index, picture in enumerate(pictures(path)):
        if index in wanted:
            found[index] = picture
        if index == last:
            return found
    raise SourceError(
        f"{path}: ends after {index + 1} pictures; {last + 1} were asked for",
        hint="It is cut short; `jack-train data check --decode` finds such files.",
    )


def _read_picture(file: Path) -> Pictures:
    # Pillow, as the authors' loader: another decoder's pixels differ by a grey level or two.
    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise SourceError(f"{file}: can't be read as a picture: {error}") from error


def _refuse_damaged(path: Path, counters: Counter[str]) -> None:
    damaged = counters["corrupt_packets"] + counters["corrupt_frames"]
    if damaged:
        raise SourceError(f"{path}: {damaged} parts of it are damaged and can't be decoded")


def _natural(file: Path) -> tuple[list[tuple[int, str]], str]:
    parts = re.split(r"([0-9]+)", file.stem)
    return [(int(p[-18:]), "") if p.isdigit() else (-1, p) for p in parts], file.suffix


def _as_it_is(image: Pictures) -> Pictures:
    return image
