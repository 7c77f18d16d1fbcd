import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.features.spatial import (
    CROP_POSITIONS,
    Augmentation,
    centre_view,
    corner_view,
    crop_square,
    resize_shorter_side,
    to_clip,
)
from tests.features.reference import frame_image

SIZES = {"land": (160, 120), "port": (91, 160), "exact": (112, 112), "big": (427, 240)}


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, np.ndarray]:
    return dict(np.load(shared / "golden/transforms_spatial.npz"))


@pytest.mark.parametrize("name", SIZES)
def test_the_deterministic_view_is_the_authors(name: str, golden: dict[str, np.ndarray]) -> None:
    picture = frame_image(3, *SIZES[name])
    np.testing.assert_array_equal(resize_shorter_side(picture)[::5, ::5], golden[f"{name}_scale"])
    np.testing.assert_array_equal(centre_view(picture), golden[f"{name}_scale_center"])


@pytest.mark.parametrize("position", CROP_POSITIONS)
@pytest.mark.parametrize("name", ["land", "port"])
def test_the_five_crops_are_the_authors(
    name: str, position: str, golden: dict[str, np.ndarray]
) -> None:
    view = corner_view(frame_image(3, *SIZES[name]), position)
    np.testing.assert_array_equal(view, golden[f"{name}_crop_{position}"])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("flip", Augmentation(flip=True)),
        ("rot_-17.5", Augmentation(angle=-17.5)),
        ("rot_8.25", Augmentation(angle=8.25)),
        ("bright_0.5", Augmentation(brightness=0.5)),
        ("bright_0.83", Augmentation(brightness=0.83)),
    ],
)
def test_the_changes_are_the_authors(
    name: str, change: Augmentation, golden: dict[str, np.ndarray]
) -> None:
    np.testing.assert_array_equal(change(frame_image(5, 112, 112)), golden[name])


def test_augmentations_are_drawn_from_the_authors_random_stream(shared: Path) -> None:
    rng = random.Random(11)
    _draws_of_the_authors_constructors(rng)
    for drawn in json.loads((shared / "golden/transforms.json").read_text())["train_stream_seed11"]:
        applied, change = drawn["apply"], drawn["transform"]
        assert Augmentation.draw(rng) == Augmentation(
            drawn["crop"],
            flip=applied and change == "HorizontalFlip",
            angle=drawn["angle"] if applied and change == "RandomRotation" else None,
            brightness=drawn["factor"] if applied and change == "BrightnessJitter" else None,
        )


def _draws_of_the_authors_constructors(rng: random.Random) -> None:
    """The authors' transforms also draw when they are made, and nobody uses those values."""
    rng.randint(0, 4)  # the position
    rng.random()  # the rotation
    rng.random()  # the brightness
    _draw_change(rng)
    rng.random()  # whether to change
    _draw_change(rng)


def _draw_change(rng: random.Random) -> None:
    if rng.randint(0, 2) > 0:
        rng.random()


def test_a_clip_keeps_pixel_values_and_moves_channels_first(
    golden: dict[str, np.ndarray],
) -> None:
    clip = to_clip([frame_image(3, 160, 120), frame_image(4, 160, 120)])
    assert clip.shape == (3, 2, 112, 112)
    assert clip.dtype == np.float32
    np.testing.assert_array_equal(clip[:, 0, ::9, ::9], golden["val_tensor_slice"])
    np.testing.assert_array_equal(
        clip[:, 1].transpose(1, 2, 0), centre_view(frame_image(4, 160, 120))
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(20, 300), st.integers(20, 300), st.sampled_from(CROP_POSITIONS))
def test_any_picture_gives_a_square(width: int, height: int, position: str) -> None:
    picture = frame_image(1, width, height)
    assert corner_view(picture, position).shape == (112, 112, 3)
    assert centre_view(picture).shape == (112, 112, 3)


def test_a_picture_resized_at_capture_is_left_alone() -> None:
    small = resize_shorter_side(frame_image(1, 640, 480))
    assert small.shape == (112, 149, 3)
    np.testing.assert_array_equal(centre_view(small), centre_view(frame_image(1, 640, 480)))


def test_a_corner_is_that_corner() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[30:, 50:] = 255
    assert crop_square(picture, "br", 10).min() == 255
    assert crop_square(picture, "bl", 10).max() == 0
    assert crop_square(picture, "tr", 10).max() == 0
