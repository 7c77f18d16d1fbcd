"""Whole items of the authors' loaders, from frame folders and sounds to the networks' inputs."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from jack_stream.features import mfcc
from jack_stream.features.fbank import Fbank, normalise, select_segments
from jack_stream.features.snippets import sample_snippets
from jack_stream.features.spatial import Augmentation, centre_view, corner_view, to_clip
from tests.features.reference import frame_image, sound

VIDEOS = {"v_short": (40, 160, 120), "v_long": (300, 91, 160), "v_tr": (64, 160, 120)}
SECONDS = {"v_short": ("ve8/short", 4, 2), "v_long": ("ve8/long", 18, 1), "v_tr": ("ve8/tr", 4, 1)}


@pytest.mark.parametrize(
    ("method", "mode", "video", "seed"),
    [
        ("cten", "val", "v_short", 3),
        ("cten", "val", "v_long", 3),
        ("cten", "test", "v_short", 3),
        ("cten", "test", "v_long", 3),
        ("cten", "train", "v_tr", 4),
        ("vaanet", "val", "v_short", 3),
        ("vaanet", "val", "v_long", 3),
    ],
)
def test_an_item_is_the_authors(
    method: str, mode: str, video: str, seed: int, shared: Path
) -> None:
    golden = np.load(shared / "golden/ve8_item.npz")
    name = f"{method}_{mode}_{video}"
    frames = json.loads((shared / "golden/ve8_item.json").read_text())[name]["frames"]
    count, width, height = VIDEOS[video]
    rng = random.Random(seed)

    numbers = range(1, count + 1)
    drawn = None if mode == "val" else rng
    chosen = sample_snippets(list(numbers), 16 if method == "cten" else 12, rng=drawn)
    np.testing.assert_array_equal(chosen, frames)

    audio = _cten_audio(video, rng) if method == "cten" else _vaanet_audio(video)
    np.testing.assert_allclose(audio[::41, ::4], golden[f"{name}_audio_slice"], rtol=0, atol=1e-3)

    view = _view(mode, rng)
    pictures = {number: view(frame_image(number, width, height)) for number in np.unique(chosen)}
    clips = np.stack([to_clip([pictures[n] for n in run], view=lambda x: x) for run in chosen])
    np.testing.assert_array_equal(clips[:, :, ::5, ::16, ::16], golden[f"{name}_slice"])
    np.testing.assert_allclose(clips.mean(axis=(2, 3, 4)), golden[f"{name}_mean"], rtol=1e-5)


def _view(mode: str, rng: random.Random):  # noqa: ANN202 - picture -> picture
    augmentation = Augmentation.draw(rng) if mode == "train" else None
    if augmentation is not None:
        return augmentation
    if mode == "test":
        position = ("c", "tl", "tr", "bl", "br")[rng.randint(0, 4)]
        return lambda picture: corner_view(picture, position)
    return centre_view


def _cten_audio(video: str, rng: random.Random) -> np.ndarray:
    name, seconds, channels = SECONDS[video]
    return normalise(
        select_segments(Fbank(16000).whole(sound(name, 16000, seconds, channels)), rng=rng)
    )


def _vaanet_audio(video: str) -> np.ndarray:
    return mfcc.repeat(mfcc.mfcc(sound(f"ve8m/{video}", 44100, 3)[0], "zero"))
