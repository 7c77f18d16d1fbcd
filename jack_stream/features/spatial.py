"""From camera pictures to the 112x112 pictures of the video networks.

One resize serves capture, training and ``analyze``: Pillow's bilinear filter with antialiasing on
uint8 RGB, which is what the released weights were trained on. OpenCV's bilinear filter skips
pixels when it shrinks: on a frame of 768x432 from the street its pixels are off by 2 grey levels on
average and by 91 at most, those of its area filter by 0.7 and 27. A picture whose shorter side is
112 already comes back unchanged, so it may be shrunk to that at capture and pass here again;
shrinking in two steps is not the same as in one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

__all__ = [
    "CROP_POSITIONS",
    "SIZE",
    "Augmentation",
    "Picture",
    "centre_view",
    "corner_view",
    "crop_square",
    "resize_shorter_side",
    "to_clip",
]

Picture = npt.NDArray[np.uint8]
"""uint8 [H, W, 3], RGB."""

SIZE = 112
"""Side of the networks' input in pixels."""

CROP_POSITIONS = ("c", "tl", "tr", "bl", "br")
"""Centre and the four corners, in the order in which the authors draw them."""


def resize_shorter_side(picture: Picture, size: int = SIZE) -> Picture:
    """Scale a picture so that its shorter side is ``size``; the longer side is rounded down."""
    return np.asarray(_resize_shorter_side(_image(picture), size))


def crop_square(picture: Picture, position: str, size: int) -> Picture:
    """Cut a square at the centre or in a corner.

    A centre square of odd size is one pixel larger, and black where it leaves the picture, as in
    the authors' loader.

    Args:
        picture: uint8 [H, W, 3].
        position: one of ``CROP_POSITIONS``.
        size: side in pixels.
    """
    return np.asarray(_crop(_image(picture), position, size))


def centre_view(picture: Picture, size: int = SIZE) -> Picture:
    """The deterministic view ("val"): shorter side to ``size``, then the centre.

    This is the view of live streams, of ``analyze`` and of our evaluations. The released code
    evaluates with a random corner instead ("test"): that is ``corner_view`` without augmentation.

    Args:
        picture: uint8 [H, W, 3].
        size: side of the result in pixels.

    Returns:
        uint8 [size, size, 3].
    """
    return np.asarray(_crop(_resize_shorter_side(_image(picture), size), "c", size))


def corner_view(picture: Picture, position: str, size: int = SIZE) -> Picture:
    """The largest square at a position, resized; uint8 [size, size, 3]."""
    return np.asarray(_corner_view(_image(picture), position, size))


@dataclass(frozen=True)
class Augmentation:
    """What training does to all pictures of one video: a square and at most one change.

    Attributes:
        position: where the square is, one of ``CROP_POSITIONS``.
        flip: mirror left and right.
        angle: rotate by so many degrees, bilinear, black corners; None leaves it.
        brightness: multiply by this factor in [0.5, 1]; None leaves it.
    """

    position: str = "c"
    flip: bool = False
    angle: float | None = None
    brightness: float | None = None

    @classmethod
    def draw(cls, rng: random.Random, *, probability: float = 0.3) -> Augmentation:
        """Draw as the authors do, value for value from the same random stream.

        Args:
            rng: takes three or four values: position, whether to change, which change, how much.
            probability: of a change; flip, rotation and brightness are equally likely.
        """
        position = CROP_POSITIONS[rng.randint(0, len(CROP_POSITIONS) - 1)]
        applied = rng.random() < probability
        change = rng.randint(0, 2)
        angle = rng.uniform(-20.0, 20.0) if change == 1 else None
        brightness = rng.uniform(0.5, 1.0) if change == 2 else None
        return cls(position, change == 0, angle, brightness) if applied else cls(position)

    def __call__(self, picture: Picture, size: int = SIZE) -> Picture:
        """The augmented view; uint8 [size, size, 3]."""
        image = _corner_view(_image(picture), self.position, size)
        if self.flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.angle is not None:
            image = image.rotate(self.angle, Image.Resampling.BILINEAR)
        if self.brightness is not None:
            image = ImageEnhance.Brightness(image).enhance(self.brightness)
        return np.asarray(image)


def to_clip(
    pictures: Iterable[Picture], view: Callable[[Picture], Picture] = centre_view
) -> npt.NDArray[np.float32]:
    """Pictures of one snippet as the network takes them.

    Args:
        pictures: T pictures uint8 [H, W, 3].
        view: picture -> square picture.

    Returns:
        float32 [3, T, size, size], values 0..255 (the networks normalise themselves).
    """
    frames = np.stack([view(picture) for picture in pictures])
    return np.ascontiguousarray(frames.transpose(3, 0, 1, 2), dtype=np.float32)


def _image(picture: Picture) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(picture))


def _resize_shorter_side(image: Image.Image, size: int) -> Image.Image:
    width, height = image.size
    if min(width, height) == size:
        return image
    if width < height:
        return image.resize((size, int(size * height / width)), Image.Resampling.BILINEAR)
    return image.resize((int(size * width / height), size), Image.Resampling.BILINEAR)


def _crop(image: Image.Image, position: str, size: int) -> Image.Image:
    width, height = image.size
    if position == "c":
        half = round(size / 2)
        left, top = round(width / 2) - half, round(height / 2) - half
        return image.crop((left, top, left + 2 * half, top + 2 * half))
    left = width - size if position.endswith("r") else 0
    top = height - size if position.startswith("b") else 0
    return image.crop((left, top, left + size, top + size))


def _corner_view(image: Image.Image, position: str, size: int) -> Image.Image:
    square = _crop(image, position, min(image.size))
    return square.resize((size, size), Image.Resampling.BILINEAR)
