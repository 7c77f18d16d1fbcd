"""Pictures on their way to browsers: blurred once, encoded once per size, never queued."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jack_stream.view.page.looking import Look, jpeg
from jack_stream.wire.messages import Poses

__all__ = ["Pictures", "Rendition", "pack"]

Image = NDArray[np.uint8]
_HEAD = slice(0, 11)
"""MediaPipe's landmarks of the face: nose, eyes, ears, mouth."""
_HEAD_MARGIN = 0.8


class Rendition(NamedTuple):
    """In what form a browser wants a picture."""

    width: int
    quality: int


class Pictures:
    """Makes the bytes that browsers get.

    Args:
        blur: hides faces; None shows them.
    """

    def __init__(self, blur: Callable[[Image], Image] | None) -> None:
        self._blur = blur
        self._hidden: tuple[Look, Image] | None = None

    def render(self, stream: str, look: Look, rendition: Rendition) -> bytes:
        """One message: header and JPEG, as `pack` makes it."""
        return pack(stream, look, jpeg(self._safe(look), *rendition))

    def _safe(self, look: Look) -> Image:
        if self._blur is None:
            return look.frame.image
        if self._hidden is None or self._hidden[0] is not look:
            image = self._blur(look.frame.image)
            if look.poses is not None:
                hide_heads(image, look.poses)
            self._hidden = (look, image)
        return self._hidden[1]


def hide_heads(image: Image, poses: Poses) -> None:
    """Cover the heads of those whose pose is known: far and averted faces escape a face detector.

    Args:
        image: uint8 ``[H, W, 3]``, changed in place.
        poses: of this picture.
    """
    height, width = image.shape[:2]
    for keypoints in poses.keypoints:
        head = keypoints[_HEAD, :2] * (width, height)
        low, high = head.min(0), head.max(0)
        margin = _HEAD_MARGIN * max(float((high - low).max()), 0.02 * height)
        left, top = np.maximum(low - margin, 0).astype(int)
        right, bottom = np.minimum(high + margin, (width, height)).astype(int)
        region = image[top:bottom, left:right]
        if region.size:
            region[:] = region.mean((0, 1)).astype(np.uint8)


def pack(stream: str, look: Look, picture: bytes) -> bytes:
    """Length of the header (4 bytes, little-endian), header (JSON), JPEG.

    The header has the ``stream``, when the picture was taken, its size, and the people: ``id`` and
    33 landmarks ``[x, y, visibility]`` in shares of the picture.
    """
    people = []
    if look.poses is not None:
        for number, points in zip(look.poses.ids, look.poses.keypoints, strict=True):
            seen = points[:, (0, 1, 3)].round(3).tolist()
            people.append({"id": number, "points": seen})
    header = json.dumps(
        {
            "stream": stream,
            "at_ns": str(look.frame.stamp.captured_at_ns),
            "size": list(look.frame.image.shape[1::-1]),
            "people": people,
        }
    ).encode()
    return struct.pack("<I", len(header)) + header + picture
