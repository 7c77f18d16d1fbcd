"""Pictures, poses and sound levels for the page; only while someone looks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from jack_stream.wire.messages import Audio, Frame, Poses
from jack_stream.wire.policy import Policy
from jack_stream.wire.receiver import Receiver

__all__ = ["Look", "Looking", "jpeg"]

Image = NDArray[np.uint8]
_SLICE_S = 0.2
_KEPT = 12
"""Pictures that are kept while their poses are on the way: half a second at 25 a second."""
_FLOOR_DBFS = -90.0


@dataclass(frozen=True)
class Look:
    """A stream's newest picture and who is on it.

    Attributes:
        frame: the picture.
        poses: of the same picture; None where no process looks for poses.
    """

    frame: Frame
    poses: Poses | None


@dataclass
class _Lane:
    """What was seen last of one stream."""

    has_poses: bool
    frames: deque[Frame] = field(default_factory=lambda: deque(maxlen=_KEPT))
    look: Look | None = None
    level_dbfs: float = _FLOOR_DBFS


class Looking:
    """Listens to the captures of some streams in a thread, beside whoever else listens.

    It takes the newest of everything and is waited for by nobody, so captures don't slow down.

    Args:
        sources: stream -> addresses of its captures.
        with_poses: streams of which poses are published.
        on_look: called in the thread with a stream's name when there is something new to see.
    """

    def __init__(
        self,
        sources: Mapping[str, Sequence[str]],
        with_poses: frozenset[str],
        on_look: Callable[[str], None],
    ) -> None:
        self._on_look = on_look
        self._lanes = {name: _Lane(name in with_poses) for name in sources}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._receiver = Receiver(
            [endpoint for found in sources.values() for endpoint in found],
            {"frame", "pose", "audio"},
            policy=Policy.LIVE,
            capacity={"frame": 2, "pose": 2, "audio": 8},
            awaited=False,
        )
        self._thread = threading.Thread(target=self._run, name="looking", daemon=True)
        self._thread.start()

    def newest(self, stream: str) -> Look | None:
        """A stream's newest picture, with its poses where there are any."""
        with self._lock:
            return self._lanes[stream].look

    def levels(self) -> dict[str, float]:
        """Each stream's loudness in dB below full scale, over its newest block of sound."""
        with self._lock:
            return {name: lane.level_dbfs for name, lane in self._lanes.items()}

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()
        self._receiver.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            message = self._receiver.get(_SLICE_S)
            if message is None or (lane := self._lanes.get(message.stamp.stream)) is None:
                continue
            with self._lock:
                if isinstance(message, Audio):
                    lane.level_dbfs = _level(message.samples)
                    continue
                before = lane.look
                if isinstance(message, Frame):
                    _see(lane, message)
                elif isinstance(message, Poses):
                    _match(lane, message)
                changed = lane.look is not before
            if changed:
                self._on_look(message.stamp.stream)


def jpeg(image: Image, width: int, quality: int) -> bytes:
    """An RGB picture, uint8 ``[H, W, 3]``, as JPEG of at most a width."""
    if image.shape[1] > width:
        height = max(1, round(image.shape[0] * width / image.shape[1]))
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    swapped = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", swapped, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(data)


def _see(lane: _Lane, frame: Frame) -> None:
    if lane.has_poses:
        lane.frames.append(frame)  # shown with its skeletons, when they have come
        if lane.look is None:
            lane.look = Look(frame, None)
    else:
        lane.look = Look(frame, None)


def _match(lane: _Lane, poses: Poses) -> None:
    """Skeletons belong on their own picture: a newer one would show people elsewhere."""
    for frame in reversed(lane.frames):
        if frame.stamp.captured_at_ns == poses.stamp.captured_at_ns:
            lane.look = Look(frame, poses)
            return


def _level(samples: NDArray[np.float32]) -> float:
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(_FLOOR_DBFS, 10 * float(np.log10(power + 1e-12)))
