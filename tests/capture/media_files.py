"""Video files with a known content: numbered pictures, flashes and beeps."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["number_of", "numbered_picture", "write_video"]

_BITS = 8
RATE = 48000


def numbered_picture(number: int, width: int = 128, height: int = 64) -> NDArray[np.uint8]:
    """A picture whose number can be read back after lossy compression: eight grey bars.

    The lower half is white when the number is a multiple of 25: a flash.
    """
    bits = [(number >> bit) & 1 for bit in range(_BITS)]
    row = np.repeat(np.array(bits, np.uint8) * 200 + 20, width // _BITS)
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2] = row[None, :, None]
    image[height // 2 :] = 255 if number % 25 == 0 else 0
    return image


def number_of(image: NDArray[np.uint8]) -> int:
    """The number of such a picture, at any size."""
    height, width, _ = image.shape
    columns = (np.arange(_BITS) + 0.5) * width / _BITS
    bars = image[height // 4, columns.astype(int)].mean(axis=1)
    return int(sum(1 << bit for bit, bar in enumerate(bars) if bar > 128))


def beeps(seconds: float) -> NDArray[np.float32]:
    """Silence with a beep of 40 ms and 1 kHz at every full second."""
    times = np.arange(int(seconds * RATE)) / RATE
    return np.where(times % 1 < 0.04, 0.5 * np.sin(2 * np.pi * 1000 * times), 0).astype(np.float32)


def write_video(
    path: Path,
    *,
    frames: int = 50,
    fps: int = 25,
    sound: NDArray[np.float32] | None = None,
    codec: str = "mpeg4",
    start: float = 0.0,
) -> Path:
    """Write numbered pictures, and sound (FLAC or PCM, exact) if given.

    Args:
        path: what it ends with decides on the container.
        frames: how many.
        fps: per second.
        sound: mono at 48 kHz.
        codec: of the pictures.
        start: the first timestamp, in seconds.
    """
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=fps)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 128, 64, "yuv420p"
        video.bit_rate = 2_000_000
        audio = None
        if sound is not None:
            audio = container.add_stream("flac" if path.suffix == ".mkv" else "aac", rate=RATE)
            assert isinstance(audio, av.AudioStream)
            audio.layout = "mono"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number), format="rgb24")
            frame.pts = number + round(start * fps)
            frame.time_base = Fraction(1, fps)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            for first in range(0, len(sound), 1024):
                block = (sound[first : first + 1024] * 32767).astype(np.int16)
                part = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
                part.sample_rate, part.pts = RATE, first + round(start * RATE)
                part.time_base = Fraction(1, RATE)
                container.mux(audio.encode(part))
            container.mux(audio.encode(None))
    return path
