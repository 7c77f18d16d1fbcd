from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.models import create, untrained
from jack_stream.models.layers import plain_only
from jack_stream.models.tsl_net import position_rows
from jack_stream.models.tsl_stream import TSLStream
from jack_stream.runtime import jittor
from tests.models import numpy_networks
from tests.models.golden import (
    HEAD,
    WHOLE_NETWORK,
    Golden,
    assert_close,
    assert_tap,
    coarse_plane,
    uniform,
)
from trainers.losses.tsl import feature_consistency

pytestmark = pytest.mark.jittor
jt = jittor()


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    return Golden(shared, "tsl")


@pytest.fixture(scope="module")
def model(golden: Golden) -> Any:
    model = create("tsl-net")
    model.set_weights(golden.weights())
    return model


@pytest.fixture(scope="module")
def random_model() -> Any:
    return untrained("tsl-net", seed=3)


def _check_outputs(outputs: dict[str, np.ndarray], golden: Golden) -> None:
    for name in ("vid_score", "cas_sigmoid_fuse"):
        assert_close(outputs[name], golden.outputs[name], WHOLE_NETWORK, name)
    assert_close(outputs["features"][..., ::32], golden.outputs["features_slice"], WHOLE_NETWORK)


def test_whole_network_meets_the_released_code(model: Any, golden: Golden) -> None:
    inputs = {"rgb": golden.input("rgb"), "mel": golden.input("mel")}
    _check_outputs(model.infer(inputs), golden)


def test_the_plain_way_meets_the_released_code_and_so_do_its_inner_maps(
    model: Any, golden: Golden
) -> None:
    seen: dict[str, Any] = {}

    def keep(name: str) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            seen[name] = output

        return hook

    extractor = model.module.cls_module.a_extractor
    for number in (2, 8, 14):
        extractor[number].register_forward_hook(keep(f"cls_module.a_extractor.{number}"))
    with plain_only():
        _check_outputs(
            model.infer({"rgb": golden.input("rgb"), "mel": golden.input("mel")}), golden
        )
    checked = [tap for tap in golden.taps if tap["module"] in seen and tap["module"][-2:] != "14"]
    assert len(checked) == 2
    for tap in checked:
        assert_tap(seen[tap["module"]].numpy(), tap, WHOLE_NETWORK)


def test_what_the_losses_need_meets_the_released_code(model: Any, golden: Golden) -> None:
    labels = jt.array(golden.outputs["label"])
    inputs = [jt.array(golden.input(name)) for name in ("rgb", "mel")]
    with jt.no_grad():
        outputs = model.module.supervised(*inputs, labels)
        consistency = feature_consistency(outputs).item()
    assert_close(outputs["vid_score"].numpy(), golden.outputs["label_vid_score"], WHOLE_NETWORK)
    for name, key in (("vid_ldl", "vid_ldl"), ("cas_softmax_dis", "label_cas_softmax_dis")):
        assert_close(outputs[name].numpy(), golden.outputs[key], WHOLE_NETWORK, name)
    assert consistency == pytest.approx(float(golden.outputs["cpc"]), rel=HEAD)


def test_a_chunk_border_is_where_the_released_code_has_it(model: Any, shared: Path) -> None:
    expected = Golden(shared, "tsl_long").outputs
    t = 613
    rgb = uniform("tsl_long/rgb", (1, t, 1024)) ** 2 * uniform("tsl_long/amp", (1, t, 1), 0.2, 1.8)
    mel = coarse_plane("tsl_long/mel", (1, t * 32, 60), (16, 6), -0.5, 1.2)
    outputs = model.infer({"rgb": rgb, "mel": mel.reshape(1, t, 32, 60)})
    for name in ("vid_score", "cas_sigmoid_fuse"):
        assert_close(outputs[name], expected[name], WHOLE_NETWORK, name)


def test_other_weights_agree_with_a_plain_statement(golden: Golden, random_model: Any) -> None:
    """The statement itself is held to the released network's outputs first."""
    rgb, mel = golden.input("rgb")[0], golden.input("mel")[0]
    stated = numpy_networks.tsl_net(rgb, mel, golden.weights())
    assert_close(stated["cas_sigmoid_fuse"], golden.outputs["cas_sigmoid_fuse"], WHOLE_NETWORK)
    rgb, mel = uniform("other/rgb", (17, 1024)), uniform("other/mel", (17, 32, 60), -0.5, 1.2)
    expected = numpy_networks.tsl_net(rgb, mel, random_model.weights())
    outputs = random_model.infer({"rgb": rgb[None], "mel": mel[None]})
    for name, value in outputs.items():
        assert_close(value, expected[name], WHOLE_NETWORK, name)


def test_negative_scales_of_a_normalisation_do_not_change_places_with_pooling(
    golden: Golden,
) -> None:
    weights = golden.weights()
    name = "cls_module.a_extractor.2.weight"
    weights[name] = weights[name] * np.where(np.arange(64) % 3 == 0, -1, 1).astype(np.float32)
    model = create("tsl-net")
    model.set_weights(weights)
    inputs = {"rgb": golden.input("rgb")[:, :9], "mel": golden.input("mel")[:, :9]}
    fused = model.infer(inputs)
    with plain_only():
        plain = model.infer(inputs)
    assert_close(fused["features"], plain["features"], WHOLE_NETWORK)


@pytest.mark.parametrize("t", [1, 2, 7])
def test_very_short_videos_have_a_score(random_model: Any, t: int) -> None:
    rgb, mel = uniform("short/rgb", (1, t, 1024)), uniform("short/mel", (1, t, 32, 60), -0.5, 1)
    outputs = random_model.infer({"rgb": rgb, "mel": mel})
    assert outputs["cas_sigmoid_fuse"].shape == (1, t, 3)
    assert (outputs["vid_score"] > 0).all()


def test_positions_begin_anew_where_the_released_table_ends() -> None:
    rows = position_rows([0, 1, 4000, 4001])
    assert (rows[0] == rows[2]).all()
    assert (rows[1] == rows[3]).all()
    assert rows[0, 0] == 0
    assert rows[0, 1] == 1


class _Scene:
    """Segments of an endless stream, each by its index."""

    def __init__(self) -> None:
        self.rgb = uniform("stream/rgb", (60, 1024)) ** 2
        self.mel = uniform("stream/mel", (60, 32, 60), -0.5, 1.2)

    def window(self, first: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        at = np.arange(first, first + length) % 60
        return self.rgb[at], self.mel[at]


def _recomputed(network: Any, first: int, rgb: np.ndarray, mel: np.ndarray) -> dict[str, Any]:
    with jt.no_grad():
        outputs = network(jt.array(rgb[None]), jt.array(mel[None]), first=first)
        return {name: value.numpy() for name, value in outputs.items()}


windows = st.lists(
    st.tuples(st.integers(-3, 6), st.integers(1, 12), st.booleans()), min_size=1, max_size=4
)


@given(windows)
@settings(max_examples=8, deadline=None)
def test_cached_answers_equal_recomputed_ones(random_model: Any, moves: Any) -> None:
    """Windows of any length, hops back and forth (gaps, late data), changed segments."""
    stream, scene, first = TSLStream(random_model.module), _Scene(), 5
    for hop, length, late in moves:
        first = max(0, first + hop)
        if late:
            scene.mel[(first + length // 2) % 60] += 0.25
        rgb, mel = scene.window(first, length)
        cached = stream.infer(first, rgb, mel)
        for name, value in _recomputed(random_model.module, first, rgb, mel).items():
            assert_close(cached[name], value, WHOLE_NETWORK, name)


def test_cached_answers_equal_recomputed_ones_at_a_chunk_border(
    random_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("tsl_net", "tsl_stream"):
        monkeypatch.setattr(f"jack_stream.models.{module}.CHUNK", 5)
    stream, scene = TSLStream(random_model.module), _Scene()
    for first in (0, 1, 3):
        rgb, mel = scene.window(first, 12)
        cached = stream.infer(first, rgb, mel)
        for name, value in _recomputed(random_model.module, first, rgb, mel).items():
            assert_close(cached[name], value, WHOLE_NETWORK, name)


@pytest.mark.parametrize("hop", [1, 2])
def test_a_hop_costs_what_is_new_in_it(random_model: Any, hop: int) -> None:
    stream, scene = TSLStream(random_model.module), _Scene()
    stream.infer(0, *scene.window(0, 30))
    assert stream.encoded == {"sound": 30, "visual": 30, "fused": 30}
    for first in (hop, 2 * hop):
        stream.infer(first, *scene.window(first, 30))
        assert stream.encoded["sound"] == hop + 2
        assert stream.encoded["visual"] == hop + 2
        assert stream.encoded["fused"] <= hop + 4
    stream.infer(2 * hop, *scene.window(2 * hop, 30))
    assert stream.encoded == {"sound": 0, "visual": 0, "fused": 0}
