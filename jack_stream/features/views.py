"""The views of a picture that the networks look at, made once where the picture is captured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jack_stream.features.spatial import Picture, centre_view, crop_square, resize_shorter_side
from jack_stream.wire.messages import View

__all__ = ["VIEWS", "i3d_view"]

_I3D_SIDE, _I3D_SHORTER_SIDE = 224, 226  # as the released features were made


def i3d_view(picture: Picture) -> Picture:
    """What I3D looks at of a picture: the middle, uint8 ``[224, 224, 3]``."""
    return crop_square(resize_shorter_side(picture, _I3D_SHORTER_SIDE), "c", _I3D_SIDE)


VIEWS: Mapping[View, Callable[[Picture], Picture]] = {"112": centre_view, "224": i3d_view}
"""By name: what makes a view, uint8 ``[side, side, 3]``, of a picture uint8 ``[H, W, 3]``."""
