"""A camera and microphone of which the truth is known: numbered frames, a flash with each beep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from jack_stream.clock import NS_PER_S
from jack_stream.wire.publisher import Publisher

__all__ = ["PatternSource", "find_beeps", "find_flashes", "read_frame_number"]

_NUMBER_BITS = 20
_CHECK_BITS = 4
_BITS = _NUMBER_BITS + _CHECK_BITS
_CODE = 0.8  # the code stands below this part of the height
_BEEP_HZ = 1000.0
_DARK, _BRIGHT = 16, 235


class PatternSource:
    """Makes pictures and sound.

    Every picture carries its number as a row of black and white cells that survives resizing and
    lossy codecs (:func:`read_frame_number`). Once per period, from its very beginning, the picture
    is bright and the sound beeps.

    Args:
        width: of the pictures, in pixels, at least 96.
        height: likewise, at least 40.
        fps: pictures per second.
        sample_rate: of the sound, in hertz.
        period_s: from one flash to the next; the first is at one period.
        flash_s: how long flash and beep last.

    Raises:
        ValueError: the picture is too small for the code.
    """

    def __init__(
        self,
        width: int = 320,
        height: int = 240,
        *,
        fps: int = 25,
        sample_rate: int = 44100,
        period_s: float = 1.0,
        flash_s: float = 0.08,
    ) -> None:
        if width < 4 * _BITS or height < 40:
            raise ValueError(f"{width}x{height} is too small for the code; take at least 96x40")
        self.width, self.height = width, height
        self.fps, self.sample_rate = fps, sample_rate
        self.period_s, self.flash_s = period_s, flash_s

    def flashes(self, seconds: float) -> list[float]:
        """When flashes and beeps begin in the first ``seconds`` seconds."""
        return [n * self.period_s for n in range(1, int(np.ceil(seconds / self.period_s)))]

    def frame(self, number: int) -> NDArray[np.uint8]:
        """The picture with a number below 2**20, RGB uint8 ``[H, W, 3]``; taken at number / fps."""
        image = np.full((self.height, self.width, 3), _DARK, np.uint8)
        top = int(self.height * _CODE)
        if self._flashing(number / self.fps):
            image[:top] = _BRIGHT
        where = (self.width // 12, self.height // 2)
        scale = self.height / 160
        cv2.putText(image, f"{number}", where, cv2.FONT_HERSHEY_SIMPLEX, scale, (128, 128, 128), 2)
        edges = np.linspace(0, self.width, _BITS + 1).round().astype(int)
        for bit, left, right in zip(_code(number), edges[:-1], edges[1:], strict=True):
            image[top:, left:right] = _BRIGHT if bit else _DARK
        return image

    def frames(self, seconds: float) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Times in seconds and pictures of the first ``seconds`` seconds."""
        for number in range(round(seconds * self.fps)):
            yield number / self.fps, self.frame(number)

    def samples(self, t0: float, t1: float) -> NDArray[np.float32]:
        """The sound of [t0, t1) seconds, mono float32; consecutive spans join without a gap."""
        first, end = round(t0 * self.sample_rate), round(t1 * self.sample_rate)
        t = np.arange(first, end) / self.sample_rate
        # A sample belongs to the beep that began at most half a sample before it.
        since = (t + 0.5 / self.sample_rate) % self.period_s
        on = (since < self.flash_s) & (t + 0.5 / self.sample_rate >= self.period_s)
        return np.asarray(0.5 * on * np.sin(2 * np.pi * _BEEP_HZ * since), np.float32)

    def publish(self, publisher: Publisher, seconds: float, origin_ns: int) -> None:
        """Publish pictures and sound (a block per picture) as fast as they are taken, then the end.

        Args:
            publisher: where to.
            seconds: how long the content is.
            origin_ns: the time of capture of its beginning.
        """
        for number in range(round(seconds * self.fps)):
            at_ns = origin_ns + number * NS_PER_S // self.fps
            publisher.frame(self.frame(number), at_ns, origin_ns=origin_ns)
            samples = self.samples(number / self.fps, (number + 1) / self.fps)
            publisher.audio(samples, self.sample_rate, at_ns, origin_ns=origin_ns)
        end_ns = origin_ns + round(seconds * self.fps) * NS_PER_S // self.fps
        publisher.end("end of the pattern", end_ns, origin_ns=origin_ns)

    def write(self, path: Path, seconds: float, *, sound: bool = True) -> None:
        """Write a video file, MPEG-4 with uncompressed sound; ``path`` should end in .mkv."""
        with av.open(str(path), "w") as container:
            video = container.add_stream("mpeg4", rate=self.fps)
            video.width, video.height, video.pix_fmt = self.width, self.height, "yuv420p"
            video.bit_rate = 4_000_000
            audio = container.add_stream("pcm_s16le", rate=self.sample_rate) if sound else None
            if audio is not None:
                audio.layout = "mono"
            for number in range(round(seconds * self.fps)):
                picture = av.VideoFrame.from_ndarray(self.frame(number), format="rgb24")
                picture.pts, picture.time_base = number, Fraction(1, self.fps)
                container.mux(video.encode(picture))
                if audio is not None:
                    container.mux(audio.encode(self._block(number)))
            container.mux(video.encode(None))
            if audio is not None:
                container.mux(audio.encode(None))

    def _flashing(self, t: float) -> bool:
        since = (t + 1e-9) % self.period_s
        return t + 1e-9 >= self.period_s and since < self.flash_s

    def _block(self, number: int) -> av.AudioFrame:
        samples = self.samples(number / self.fps, (number + 1) / self.fps)
        pcm = (samples * 32767).astype(np.int16)[None]
        block = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        block.sample_rate = self.sample_rate
        block.pts = round(number / self.fps * self.sample_rate)
        block.time_base = Fraction(1, self.sample_rate)
        return block


def read_frame_number(image: NDArray[np.uint8]) -> int | None:
    """The number of a :class:`PatternSource` picture, also resized or compressed; else None."""
    height, width = image.shape[:2]
    row = image[int(height * (_CODE + 1) / 2)].reshape(width, -1).mean(axis=1)
    middles = ((np.arange(_BITS) + 0.5) * width / _BITS).astype(int)
    bits = row[middles] > (_DARK + _BRIGHT) / 2
    number = int(sum(1 << i for i in range(_NUMBER_BITS) if bits[i]))
    return number if np.array_equal(bits, _code(number)) else None


def find_flashes(times_s: Sequence[float], images: Sequence[NDArray[np.uint8]]) -> list[float]:
    """When pictures become bright: the times of the first bright ones."""
    bright = [float(image[: int(len(image) * _CODE)].mean()) > 128 for image in images]
    return [
        t
        for t, now, before in zip(times_s, bright, [False, *bright[:-1]], strict=True)
        if now and not before
    ]


def find_beeps(samples: NDArray[np.float32], sample_rate: int, start_s: float = 0.0) -> list[float]:
    """When beeps begin in a stretch of sound that starts at ``start_s``; to about a millisecond."""
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    first = loud[np.diff(loud, prepend=-sample_rate) > sample_rate // 50]
    return [start_s + float(i) / sample_rate for i in first]


def _code(number: int) -> NDArray[np.bool_]:
    """The number's bits, lowest first, and check bits that an even surface never fulfils."""
    if not 0 <= number < 1 << _NUMBER_BITS:
        raise ValueError(f"a frame's number must be 0 to {2**_NUMBER_BITS - 1}, not {number}")
    check = 0b1010
    for shift in range(0, _NUMBER_BITS, _CHECK_BITS):
        check ^= (number >> shift) & 0b1111
    value = number | check << _NUMBER_BITS
    return np.array([value >> i & 1 for i in range(_BITS)], bool)
