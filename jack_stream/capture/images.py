"""A folder of images as a video."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray
from PIL import Image, ImageOps

from jack_stream.capture.address import MAX_PIXELS
from jack_stream.capture.resize import Resizer
from jack_stream.capture.samples import Picture, Sample
from jack_stream.capture.timeline import MediaTimeline
from jack_stream.clock import NS_PER_S, TimeSource
from jack_stream.errors import SourceError

__all__ = ["ImageFolder"]

_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_MAX_BYTES = 256 * 2**20
_DEFAULT_FPS = 25.0
_DAMAGE = (
    *(OSError, ValueError, SyntaxError, TypeError, LookupError, OverflowError, MemoryError),
    *(struct.error, Image.DecompressionBombError, zlib.error),
)
"""What Pillow raises on damaged files. OpenCV's decoder took seconds and gigabytes for some."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """The images of a folder in natural order of their names (``2.png`` before ``10.png``).

    Attributes:
        folder: where they are.
        resizer: to what size they are brought.
        fps: images per second of media time.
        loop: whether the first follows the last.
        offset_ns: is taken off the time of every image.
    """

    folder: Path
    resizer: Resizer
    fps: float | None = None
    loop: bool = False
    offset_ns: int = 0

    def samples(self, clock: TimeSource, counters: Counter[str]) -> Generator[Sample, None, None]:
        """Yield pictures; damaged ones are counted (``corrupt_frames``) and leave a gap.

        Raises:
            SourceError: the folder has no image that can be read.
        """
        paths = self._paths()
        timeline = MediaTimeline(clock)
        readable = 0
        index = 0
        while True:
            for path in paths:
                media_ns = int(index * NS_PER_S / (self.fps or _DEFAULT_FPS))
                timeline.observe(media_ns)
                restarts = index > 0 and path is paths[0]
                picture = self._read(path, timeline, media_ns, discontinuity=restarts)
                index += 1
                if picture is None:
                    counters["corrupt_frames"] += 1
                    continue
                readable += 1
                yield picture
            if not readable:
                raise SourceError(
                    f"none of the {len(paths)} images in {self.folder} can be read",
                    hint="They are damaged, or not what their names say.",
                )
            if not self.loop:
                return

    def _paths(self) -> list[Path]:
        paths = [p for p in self.folder.iterdir() if p.suffix.lower() in _SUFFIXES]
        if not paths:
            raise SourceError(
                f"{self.folder} has no images",
                hint=f"Images are files that end with {', '.join(sorted(_SUFFIXES))}.",
            )
        return sorted(paths, key=_natural)

    def _read(
        self, path: Path, timeline: MediaTimeline, media_ns: int, *, discontinuity: bool
    ) -> Picture | None:
        try:
            rgb = _decoded(path)
            resized = self.resizer(rgb)
        except (OSError, SourceError) as error:
            _log.warning("skipped an image", path=str(path), cause=str(error))
            return None
        return Picture(
            resized,
            (rgb.shape[1], rgb.shape[0]),
            timeline.captured_at_ns(media_ns) - self.offset_ns,
            timeline.origin_ns,
            discontinuity,
        )


def _decoded(path: Path) -> NDArray[np.uint8]:
    """An image as uint8 ``[H, W, 3]`` RGB.

    Raises:
        SourceError: it is too large, or can't be decoded.
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise SourceError(f"it has more than {_MAX_BYTES} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, which nobody here reads
            with Image.open(io.BytesIO(data)) as image:
                return _pixels(image)
    except _DAMAGE as error:
        raise SourceError(f"it can't be decoded: {error}") from error


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise SourceError(f"it has {width} x {height} pixels; at most {MAX_PIXELS} are decoded")
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        grey = (np.asarray(upright) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    return np.array(upright.convert("RGB"), np.uint8)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts digits by their value."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts]
