"""Draws the walker into a corridor: shaded, clothed, seen by a pinhole camera that walks along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["HEIGHT", "WIDTH", "Camera", "draw_room", "draw_walker"]

Image = NDArray[np.uint8]
Array = NDArray[np.float64]
Colour = tuple[int, int, int]

WIDTH, HEIGHT = 640, 480
_SKIN: Colour = (214, 168, 140)
_HAIR: Colour = (66, 46, 34)
_SHIRT: Colour = (58, 108, 156)
_TROUSERS: Colour = (66, 64, 74)
_SHOES: Colour = (34, 30, 30)
_WALL: Colour = (214, 208, 196)
_FLOOR: Colour = (150, 120, 92)
_FINE = 4  # fractional bits of OpenCV's coordinates


@dataclass(frozen=True, slots=True)
class Camera:
    """A level pinhole camera.

    Attributes:
        focal: focal length in pixels.
        distance: from the walker, in metres.
        height: above the floor, in metres.
    """

    focal: float = 620.0
    distance: float = 3.6
    height: float = 0.95

    def project(self, points: Array) -> Array:
        """Pixels and depths ``[..., 3]`` of points ``[..., 3]`` in metres.

        Points start from the floor under the walker: x to the right, y up, z towards the camera.
        """
        depth = self.distance - points[..., 2]
        x = WIDTH / 2 + self.focal * points[..., 0] / depth
        y = HEIGHT / 2 + self.focal * (self.height - points[..., 1]) / depth
        return np.stack([x, y, depth], axis=-1)


class _Part(NamedTuple):
    """A limb: from one landmark to another, its radii in metres, its colour."""

    start: int
    end: int
    radii: tuple[float, float]
    colour: Colour


_LIMBS = (
    *(_Part(hip, hip + 2, (0.090, 0.062), _TROUSERS) for hip in (23, 24)),
    *(_Part(hip + 2, hip + 4, (0.062, 0.045), _TROUSERS) for hip in (23, 24)),
    *(_Part(heel, heel + 2, (0.042, 0.034), _SHOES) for heel in (29, 30)),
    *(_Part(shoulder, shoulder + 2, (0.062, 0.046), _SHIRT) for shoulder in (11, 12)),
    *(_Part(shoulder + 2, shoulder + 4, (0.042, 0.030), _SKIN) for shoulder in (11, 12)),
    *(_Part(wrist, wrist + 4, (0.034, 0.026), _SKIN) for wrist in (15, 16)),
)


def draw_room(travelled: float, camera: Camera) -> Image:
    """The corridor, RGB uint8 ``[480, 640, 3]``, after ``travelled`` metres to the right.

    A wall with panels and pictures three metres behind the walker, and a floor of planks.
    """
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    horizon = camera.project(np.array([0.0, 0.0, -3.0]))[1]
    foot = int(horizon)
    shade = np.linspace(1.06, 0.94, foot)[:, None, None]
    image[:foot] = np.clip(np.array(_WALL) * shade, 0, 255)
    shade = np.linspace(0.80, 1.05, HEIGHT - foot)[:, None, None]
    image[foot:] = np.clip(np.array(_FLOOR) * shade, 0, 255)
    for plank in np.arange(np.floor(travelled / 0.4) - 12, travelled / 0.4 + 13) * 0.4 - travelled:
        far, near = camera.project(np.array([[plank, 0.0, -3.0], [plank, 0.0, 2.4]]))
        cv2.line(image, _fine(far), _fine(near), (128, 100, 76), 1, cv2.LINE_AA, _FINE)
    first = int(np.floor((travelled - 6.0) / 3.0))
    for number in range(first, first + 6):
        left = number * 3.0 - travelled
        _draw_rectangle(image, camera, (left, 1.1, left + 0.9, 1.75), (176, 166, 148))
        inner = (190, 200 - 20 * (number % 3), 180 + 15 * (number % 4))
        _draw_rectangle(image, camera, (left + 0.06, 1.16, left + 0.84, 1.69), inner)
        _draw_rectangle(image, camera, (left + 1.8, 0.0, left + 1.84, 2.9), (196, 189, 176))
    _draw_rectangle(image, camera, (-9.0, 0.0, 9.0, 0.1), (120, 108, 96))
    return image


def draw_walker(image: Image, points: Array, camera: Camera) -> Array:
    """Draw a walker into a picture.

    Args:
        image: RGB uint8 ``[480, 640, 3]``, changed in place.
        points: the 33 landmarks ``[33, 3]`` in the camera's axes (see :meth:`Camera.project`).
        camera: who looks.

    Returns:
        where the landmarks are: pixels and depth, float64 ``[33, 3]``.
    """
    seen = camera.project(points)
    _draw_shadow(image, points, camera)
    jobs = [(float(seen[[p.start, p.end], 2].mean()), p) for p in _LIMBS]
    trunk = float(seen[[11, 12, 23, 24], 2].mean())
    for depth, part in sorted(jobs, key=lambda job: -job[0]):
        if depth >= trunk:
            _draw_limb(image, seen, part, camera)
    _draw_trunk(image, seen, camera)
    _draw_head(image, points, camera)
    for depth, part in sorted(jobs, key=lambda job: -job[0]):
        if depth < trunk:
            _draw_limb(image, seen, part, camera)
    image[:] = cv2.GaussianBlur(image, (3, 3), 0)
    return seen


def _fine(point: Array) -> tuple[int, int]:
    return round(float(point[0]) * 2**_FINE), round(float(point[1]) * 2**_FINE)


def _shaded(colour: Colour, light: float) -> Colour:
    r, g, b = (int(np.clip(c * light, 0, 255)) for c in colour)
    return r, g, b


def _draw_rectangle(
    image: Image, camera: Camera, edges: tuple[float, float, float, float], colour: Colour
) -> None:
    """Fill a rectangle on the wall: left, bottom, right, top in metres."""
    left, bottom, right, top = edges
    corners = camera.project(np.array([[left, bottom, -3.0], [right, top, -3.0]]))
    cv2.rectangle(
        image, _fine(corners[0]), _fine(corners[1]), colour, cv2.FILLED, cv2.LINE_AA, _FINE
    )


def _draw_shadow(image: Image, points: Array, camera: Camera) -> None:
    middle = points[[27, 28]].mean(axis=0) * np.array([1.0, 0.0, 1.0])
    edge = middle + np.array([0.38, 0.0, 0.0])
    centre, side = camera.project(middle), camera.project(edge)
    width = float(side[0] - centre[0])
    dark = image.copy()
    axes = (round(width * 2**_FINE), round(width * 0.22 * 2**_FINE))
    cv2.ellipse(dark, _fine(centre), axes, 0, 0, 360, (70, 54, 42), cv2.FILLED, cv2.LINE_AA, _FINE)
    image[:] = cv2.addWeighted(cv2.GaussianBlur(dark, (15, 15), 0), 0.55, image, 0.45, 0)


def _draw_limb(image: Image, seen: Array, part: _Part, camera: Camera) -> None:
    """A tapered cylinder: from its dark rim inwards to the light."""
    ends = seen[[part.start, part.end]]
    radii = np.array(part.radii) * camera.focal / ends[:, 2]
    for scale, light in ((1.0, 0.62), (0.82, 0.8), (0.6, 0.95), (0.34, 1.08)):
        shift = np.array([-0.25, -0.12, 0.0]) * (1 - scale) * radii.max()
        _draw_capsule(image, ends + shift, radii * scale, _shaded(part.colour, light))


def _draw_capsule(image: Image, ends: Array, radii: Array, colour: Colour) -> None:
    along = ends[1, :2] - ends[0, :2]
    length = float(np.linalg.norm(along))
    if length > 1e-6:
        normal = np.array([-along[1], along[0]]) / length
        corners = [
            ends[0, :2] + normal * radii[0],
            ends[1, :2] + normal * radii[1],
            ends[1, :2] - normal * radii[1],
            ends[0, :2] - normal * radii[0],
        ]
        outline = np.array([_fine(corner) for corner in corners], np.int32)
        cv2.fillConvexPoly(image, outline, colour, cv2.LINE_AA, _FINE)
    for end, radius in zip(ends, radii, strict=True):
        r = round(float(radius) * 2**_FINE)
        cv2.circle(image, _fine(end), r, colour, cv2.FILLED, cv2.LINE_AA, _FINE)


def _draw_trunk(image: Image, seen: Array, camera: Camera) -> None:
    """The shirt: the hull of circles at shoulders, waist and hips."""
    unit = camera.focal / float(seen[[11, 12, 23, 24], 2].mean())
    shoulders, hips = seen[[11, 12], :2], seen[[23, 24], :2]
    waist = 0.42 * shoulders + 0.58 * hips
    parts = ((shoulders, 0.075), (waist, 0.085), (hips, 0.100))
    centre = np.concatenate([shoulders, hips]).mean(axis=0)
    for scale, light in ((1.0, 0.66), (0.9, 0.82), (0.74, 0.95), (0.5, 1.05)):
        rim = [
            centre
            + (point - centre) * scale
            + radius * unit * scale * np.array([np.cos(a), np.sin(a)])
            for places, radius in parts
            for point in places
            for a in np.linspace(0, 2 * np.pi, 16, endpoint=False)
        ]
        outline = cv2.convexHull(np.array([_fine(p) for p in rim], np.int32))
        cv2.fillConvexPoly(image, outline, _shaded(_SHIRT, light), cv2.LINE_AA, _FINE)


def _draw_head(image: Image, points: Array, camera: Camera) -> None:
    """Neck, skull, hair and a face, in so far as it looks towards the camera."""
    ears, nose, neck = points[[7, 8]].mean(axis=0), points[0], points[[11, 12]].mean(axis=0)
    ahead = (nose - ears) / np.linalg.norm(nose - ears)
    up = np.cross(ahead, points[8] - points[7])
    up = up / np.linalg.norm(up) * (1 if up[1] >= 0 else -1)
    throat, chin = camera.project(neck + 0.02 * up), camera.project(ears - 0.06 * up)
    unit = camera.focal / float(chin[2])
    _draw_capsule(
        image, np.stack([throat, chin]), np.array([0.058, 0.05]) * unit, _shaded(_SKIN, 0.82)
    )
    skull = ears + 0.035 * ahead
    tilt = float(np.degrees(np.arctan2(up[0], up[1])))
    spots = [
        (skull + 0.035 * up - 0.035 * ahead, (0.098, 0.122), _HAIR),
        (skull, (0.083, 0.118), _shaded(_SKIN, 0.9)),
        (skull + 0.012 * ahead, (0.070, 0.106), _SKIN),
        (skull + 0.095 * up - 0.03 * ahead, (0.088, 0.050), _HAIR),
    ]
    for place, size, colour in spots:
        _draw_ellipse(image, camera, place, size, tilt=tilt, colour=colour)
    if ahead[2] > 0:
        _draw_face(image, points, camera, tilt)


def _draw_ellipse(
    image: Image,
    camera: Camera,
    place: Array,
    size: tuple[float, float],
    *,
    tilt: float,
    colour: Colour,
) -> None:
    centre = camera.project(place)
    axes = [max(round(s * camera.focal / float(centre[2]) * 2**_FINE), 1) for s in size]
    cv2.ellipse(image, _fine(centre), axes, tilt, 0, 360, colour, cv2.FILLED, cv2.LINE_AA, _FINE)


def _draw_face(image: Image, points: Array, camera: Camera, tilt: float) -> None:
    for eye in (2, 5):
        brow = points[eye] + np.array([0.0, 0.022, 0.0])
        _draw_ellipse(image, camera, brow, (0.018, 0.004), tilt=tilt, colour=_HAIR)
        _draw_ellipse(image, camera, points[eye], (0.014, 0.008), tilt=tilt, colour=(240, 236, 230))
        _draw_ellipse(image, camera, points[eye], (0.007, 0.007), tilt=tilt, colour=(48, 34, 28))
    _draw_ellipse(image, camera, points[0], (0.012, 0.016), tilt=tilt, colour=_shaded(_SKIN, 0.78))
    mouth = points[[9, 10]].mean(axis=0)
    _draw_ellipse(image, camera, mouth, (0.026, 0.007), tilt=tilt, colour=(158, 84, 78))
