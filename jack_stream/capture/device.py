"""A camera that the kernel shows as /dev/videoN."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from jack_stream.capture.devices import list_cameras
from jack_stream.capture.pacing import RateLimit
from jack_stream.capture.resize import Resizer
from jack_stream.capture.samples import Picture, Sample
from jack_stream.clock import NS_PER_S, TimeSource
from jack_stream.errors import SourceError, SourceLostError

__all__ = ["VideoDevice"]

_OPENCV_ERRORS = 2
_MAX_FAILED_READS = 10
_MAX_AGE_NS = NS_PER_S  # an older driver timestamp is of another clock


@dataclass(frozen=True, slots=True)
class VideoDevice:
    """A V4L2 device.

    Attributes:
        device: an index or a path such as ``/dev/video0`` or ``/dev/v4l/by-id/...``.
        resizer: to what size its pictures are brought; also asked of the device.
        fps: asked of the device, and the most that is taken; None takes what it gives.
        offset_ns: how much later than they show it stamps pictures; taken off every time.
        open_capture: opens the device.
    """

    device: int | str
    resizer: Resizer
    fps: float | None = None
    offset_ns: int = 0
    open_capture: Callable[[Any, int], Any] = cv2.VideoCapture

    def samples(self, clock: TimeSource, counters: Counter[str]) -> Generator[Sample, None, None]:
        """Yield pictures until the device is gone.

        Raises:
            SourceError: the device never gave a picture.
            SourceLostError: it gave pictures before, and doesn't any more.
        """
        worked = counters["device_opened"] > 0
        cv2.setLogLevel(_OPENCV_ERRORS)  # what it warns of is told by our errors
        capture = self.open_capture(self.device, cv2.CAP_V4L2)
        try:
            if not capture.isOpened():
                raise self._lost("can't be opened", worked=worked)
            self._ask(capture)
            limit = RateLimit(self.fps)
            failed = 0
            while failed < _MAX_FAILED_READS:
                grabbed, image = capture.read()
                if not grabbed or image is None:
                    failed += 1
                    counters["corrupt_frames"] += 1
                    continue
                failed = 0
                if not worked:
                    counters["device_opened"] += 1
                    worked = True
                at_ns = self._captured_at_ns(capture, clock)
                if limit.keeps(at_ns):
                    yield self._picture(image, at_ns)
                else:
                    counters["skipped_fps"] += 1
        finally:
            capture.release()
        raise self._lost("gives no pictures", worked=worked)

    def _ask(self, capture: Any) -> None:
        """Ask for what is wanted; the driver takes what it has nearest to that."""
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self.resizer.width)
        if self.resizer.height is not None:
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self.resizer.height)
        if self.fps is not None:
            capture.set(cv2.CAP_PROP_FPS, self.fps)

    def _captured_at_ns(self, capture: Any, clock: TimeSource) -> int:
        """When the driver filled the buffer, if it says so on the monotonic clock; else now."""
        now_ns = clock.now_ns()
        driver_ns = int(float(capture.get(cv2.CAP_PROP_POS_MSEC)) * 1e6)
        age_ns = time.monotonic_ns() - driver_ns
        return now_ns - age_ns if 0 <= age_ns < _MAX_AGE_NS else now_ns

    def _picture(self, image: Any, at_ns: int) -> Picture:
        rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
        return Picture(self.resizer(rgb), (rgb.shape[1], rgb.shape[0]), at_ns - self.offset_ns)

    def _lost(self, what: str, *, worked: bool) -> SourceError:
        name = f"camera {self.device}"
        if worked:
            return SourceLostError(f"{name} {what}")
        present = ", ".join(f"{c.index} ({c.name})" for c in list_cameras()) or "none"
        path = Path(f"/dev/video{self.device}" if isinstance(self.device, int) else self.device)
        reason = what if path.exists() else f"is not there: no {path}"
        return SourceError(
            f"{name} {reason}; cameras on this machine: {present}",
            hint="Plug it in, end the program that uses it, or join the group 'video'"
            " (see `jack-stream devices`).",
        )
