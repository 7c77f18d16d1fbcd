"""The one resizing that a picture gets."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from jack_stream.capture.address import MAX_PIXELS
from jack_stream.errors import SourceError

__all__ = ["Resizer"]


@dataclass(frozen=True, slots=True)
class Resizer:
    """Resizes pictures to a width.

    Attributes:
        width: in pixels.
        height: in pixels; None keeps the shape of the picture.
    """

    width: int
    height: int | None = None

    def size(self, source_size: tuple[int, int]) -> tuple[int, int]:
        """The width and height that a picture of ``source_size`` gets."""
        source_width, source_height = source_size
        if self.height is not None:
            return self.width, self.height
        return self.width, max(1, round(source_height * self.width / source_width))

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize uint8 ``[H, W, 3]``: averaging areas when shrinking, linear when enlarging.

        Raises:
            SourceError: it would become larger than any picture is.
        """
        source_size = (image.shape[1], image.shape[0])
        size = self.size(source_size)
        if size == source_size:
            return image
        if size[0] * size[1] > MAX_PIXELS:
            raise SourceError(
                f"a picture of {source_size[0]} x {source_size[1]} would become"
                f" {size[0]} x {size[1]}",
                hint="Set a height besides the width, or leave this picture out.",
            )
        shrinks = size[0] <= source_size[0] and size[1] <= source_size[1]
        resized = cv2.resize(
            image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        return np.asarray(resized, np.uint8)
