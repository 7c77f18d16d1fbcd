"""The views that capture makes are what the analyzers would make themselves, to the bit."""

import numpy as np
import pytest

from jack_stream.features.spatial import centre_view
from jack_stream.features.views import VIEWS, i3d_view
from jack_stream.inference.analyzer import reduced
from jack_stream.wire.codec import decode, encode
from jack_stream.wire.messages import Frame, Stamp, View


@pytest.mark.parametrize("size", [(360, 640), (480, 640), (720, 1280), (640, 360), (112, 200)])
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_the_same_whoever_makes_it(size: tuple[int, int], view: View) -> None:
    image = np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8)
    whole = Frame(Stamp("door", 4, 5, "s"), image, (1920, 1080), discontinuity=True)
    captured = decode(encode(Frame(whole.stamp, VIEWS[view](image), (1920, 1080), True, view)))
    assert isinstance(captured, Frame)
    here, there = reduced(whole, view), reduced(captured, view)
    assert there is captured
    assert (here.stamp, here.source_size, here.view) == (there.stamp, there.source_size, view)
    assert (here.image == there.image).all()


def test_the_views_are_what_the_networks_were_trained_on() -> None:
    image = np.random.default_rng(4).integers(0, 256, (90, 160, 3), np.uint8)
    assert (VIEWS["112"](image) == centre_view(image)).all()
    assert (VIEWS["224"](image) == i3d_view(image)).all()
    assert (VIEWS["224"](image)[:, :] != centre_view(image, 224)).any()
