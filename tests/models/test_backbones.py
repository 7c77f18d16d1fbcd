"""The backbones against the outputs of the authors' own PyTorch code."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from jack_stream.models.i3d import I3D, same_margins
from jack_stream.models.layers import get_weights, path_for, plain_only, set_weights
from jack_stream.models.resnet import AudioResNet18, ResNet18
from jack_stream.models.resnet3d import ResNet3D
from jack_stream.runtime import jittor
from tests.models.golden import WHOLE_NETWORK, Golden, assert_close, assert_tap

pytestmark = pytest.mark.jittor
jt = jittor()
Array = npt.NDArray[Any]


def infer(module: Any, x: Array) -> dict[str, Array]:
    with jt.no_grad():
        return {name: value.numpy() for name, value in module(jt.array(x)).items()}


@pytest.fixture(scope="module")
def resnet3d(shared: Path) -> tuple[ResNet3D, Golden]:
    golden = Golden(shared, "resnet3d")
    module = ResNet3D(400)
    set_weights(module, golden.weights())
    module.eval()
    return module, golden


@pytest.fixture(scope="module")
def i3d(shared: Path) -> tuple[I3D, Golden]:
    golden = Golden(shared, "i3d")
    module = I3D(400)
    set_weights(module, golden.weights())
    module.eval()
    return module, golden


@pytest.mark.parametrize("way", [nullcontext, plain_only])
def test_resnet3d_gives_the_authors_numbers(resnet3d: tuple[ResNet3D, Golden], way: Any) -> None:
    module, golden = resnet3d
    with way():
        outputs = infer(module, golden.input("visual"))
        with jt.no_grad():
            last = module.last_map(jt.array(golden.input("visual"))).numpy()
    assert_close(outputs["features"], golden.outputs["feature"], WHOLE_NETWORK, "feature")
    assert_close(outputs["logits"], golden.outputs["logits"], WHOLE_NETWORK, "logits")
    assert_close(last, golden.outputs["layer4"], WHOLE_NETWORK, "layer4")


def test_resnet3d_stages_agree_with_the_taps(resnet3d: tuple[ResNet3D, Golden]) -> None:
    module, golden = resnet3d
    taps = {tap["module"]: tap for tap in golden.taps}
    with jt.no_grad(), plain_only():
        path = path_for(module)
        maps = module.stage_maps(path.enter(jt.array(golden.input("visual"))), path)
        for number, stage in enumerate(maps, 1):
            assert_tap(stage.numpy(), taps[f"layer{number}"], WHOLE_NETWORK)


def test_resnet3d_takes_any_batch_and_each_clip_alone_gives_the_same(
    resnet3d: tuple[ResNet3D, Golden],
) -> None:
    module, _ = resnet3d
    clips = np.random.default_rng(0).random((3, 3, 8, 48, 32), dtype=np.float32)
    together = infer(module, clips)["features"]
    for clip, feature in zip(clips, together, strict=True):
        assert_close(infer(module, clip[None])["features"][0], feature, 1e-5)


def test_numbered_children_carry_the_same_weights(resnet3d: tuple[ResNet3D, Golden]) -> None:
    module, _ = resnet3d
    numbers = {"conv1": "0", "bn1": "1", **{f"layer{i}": str(i + 3) for i in range(1, 5)}}
    renamed = {}
    for name, value in get_weights(module).items():
        head, _, tail = name.partition(".")
        if head != "fc":
            renamed[f"{numbers[head]}.{tail}"] = value
    cut = ResNet3D(None, numbered=True)
    set_weights(cut, renamed)
    cut.eval()
    clip = np.random.default_rng(0).random((1, 3, 8, 48, 32), dtype=np.float32)
    features = infer(cut, clip)
    assert features.keys() == {"features"}
    np.testing.assert_array_equal(features["features"], infer(module, clip)["features"])


@pytest.mark.parametrize("way", [nullcontext, plain_only])
def test_i3d_gives_the_authors_numbers(i3d: tuple[I3D, Golden], way: Any) -> None:
    module, golden = i3d
    with way():
        outputs = infer(module, golden.input("clip"))
    for name in ("features", "logits"):
        assert_close(outputs[name], golden.outputs[name], WHOLE_NETWORK, name)


def test_i3d_pads_odd_sizes_as_the_authors_do(i3d: tuple[I3D, Golden], shared: Path) -> None:
    module, golden = i3d
    odd = Golden(shared, "i3d_odd").outputs["features"]
    outputs = infer(module, golden.input("odd"))
    assert outputs.keys() == {"features"}
    assert_close(outputs["features"], odd, WHOLE_NETWORK)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (16, 7, 2, (2, 3)),
        (17, 7, 2, (3, 3)),
        (9, 3, 1, (1, 1)),
        (8, 1, 1, (0, 0)),
        (5, 2, 2, (0, 1)),
    ],
)
def test_same_margins_give_the_rounded_up_size(
    size: int, kernel: int, stride: int, expected: tuple[int, int]
) -> None:
    assert same_margins((size,), (kernel,), (stride,)) == (expected,)
    assert (size + sum(expected) - kernel) // stride + 1 == -(-size // stride)


def test_the_audio_resnet_gives_the_authors_numbers(shared: Path) -> None:
    golden = Golden(shared, "vaanet")
    prefix = "a_resnet."
    weights = {
        name.removeprefix(prefix): value
        for name, value in golden.weights().items()
        if name.startswith(prefix)
    }
    module = AudioResNet18()
    set_weights(module, weights)
    module.eval()
    pieces = golden.input("audio").reshape(16, 1, 256, 32)
    tap = next(tap for tap in golden.taps if tap["module"] == "a_resnet.7")
    for way in (nullcontext, plain_only):
        with jt.no_grad(), way():
            assert_tap(module(jt.array(pieces)).numpy(), tap, WHOLE_NETWORK)


def test_resnet18_has_the_names_of_imagenet_checkpoints() -> None:
    module = ResNet18()
    names = get_weights(module)
    assert names["conv1.weight"].shape == (64, 3, 7, 7)
    assert names["layer2.0.downsample.1.running_var"].shape == (128,)
    assert names["fc.weight"].shape == (1000, 512)
    assert len(names) == 102
    module.eval()
    with jt.no_grad():
        assert tuple(module(jt.zeros((2, 3, 64, 64))).shape) == (2, 1000)
