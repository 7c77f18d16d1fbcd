from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.models import create
from jack_stream.runtime import jittor
from tests.models.golden import HEAD, WHOLE_NETWORK, Golden, assert_close
from trainers.losses.tsl import feature_consistency, tsl_loss
from trainers.losses.tsl_seeds import search_seeds

pytestmark = pytest.mark.jittor
jt = jittor()

# Our names of the released code's terms.
TERMS = {
    "consistency": "loss_recover_cpc",
    "video": "loss_vid_ldl",
    "frame": "loss_frame",
    "background": "loss_frame_bkg",
    "foreground": "loss_frame_pact",
    "total": "loss_total",
}


@pytest.fixture(scope="module")
def cases(shared: Path) -> Any:
    return np.load(shared / "golden/tsl_loss.npz")


@pytest.mark.parametrize("case", range(8))
def test_seeds_meet_the_released_search(cases: Any, case: int) -> None:
    foreground, background = search_seeds(cases[f"{case}_fuse"][0], cases[f"{case}_point"][0])
    assert (foreground == cases[f"{case}_act_seed"][0]).all()
    assert (background == cases[f"{case}_bkg_seed"][0]).all()


@pytest.mark.parametrize("case", range(8))
def test_terms_and_gradients_meet_the_released_code(cases: Any, case: int) -> None:
    given_ = {
        key: jt.array(cases[f"{case}_{key}"])
        for key in ("fuse", "point", "act_seed", "bkg_seed", "ldl", "dist")
    }
    losses = tsl_loss(
        {
            "cas_sigmoid_fuse": given_["fuse"],
            "vid_ldl": given_["ldl"],
            "consistency": jt.array(cases[f"{case}_loss_recover_cpc"]),
        },
        given_["point"],
        given_["dist"],
        (given_["act_seed"], given_["bkg_seed"]),
    )
    for name, key in TERMS.items():
        expected = cases[f"{case}_{key}"]
        assert losses[name].item() == pytest.approx(expected, rel=HEAD, abs=1e-7), name
    gradients = jt.grad(losses["total"], [given_["fuse"], given_["ldl"]])
    assert_close(gradients[0].numpy(), cases[f"{case}_grad_fuse"], HEAD, "fused activations")
    assert_close(gradients[1].numpy(), cases[f"{case}_grad_ldl"], HEAD, "distribution")


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_seeds_are_at_the_points_and_never_both_sure_background_and_point(
    length: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    fused = rng.random((length, 3))
    points = np.zeros((length, 2))
    at = rng.random(length) < 0.2
    points[at] = [0.9, 0.1]
    foreground, background = search_seeds(fused, points)
    assert (foreground[at, :2] == np.float32([0.9, 0.1])).all()
    assert (background[at] == 0).all()
    if not at.any():
        assert not foreground.any()
        assert not background.any()
    grown = (foreground.max(1) > 0) & ~at
    assert (fused[grown, 2] <= fused[grown, :2].max(1)).all()


def test_a_video_without_points_costs_nothing_at_the_segments() -> None:
    fused, points = jt.ones((1, 5, 3)) * 0.4, jt.zeros((1, 5, 2))
    outputs = {
        "cas_sigmoid_fuse": fused,
        "vid_ldl": jt.array([[0.5, 0.5]]),
        "consistency": jt.array(0.0),
    }
    seeds = (jt.zeros((1, 5, 3)), jt.zeros((1, 5)))
    losses = tsl_loss(outputs, points, jt.array([[0.5, 0.5]]), seeds)
    assert losses["total"].item() == pytest.approx(0.0, abs=1e-6)


def test_the_two_consistencies_have_opposite_signs() -> None:
    rng = np.random.default_rng(0)
    fits = rng.normal(size=(1, 9, 512))
    other = rng.normal(size=(1, 9, 512))

    def consistency(back: np.ndarray, variant: Any) -> float:
        arrays = {"sound": fits, "visual": fits, "sound_back": back, "visual_back": back}
        outputs = {name: jt.array(value) for name, value in arrays.items()}
        value: float = feature_consistency(outputs, variant).item()
        return value

    assert consistency(fits, "released") > consistency(other, "released")
    assert consistency(fits, "paper") < consistency(other, "paper")


def test_a_training_step_meets_the_released_code(shared: Path) -> None:
    golden, expected = Golden(shared, "tsl"), Golden(shared, "tsl_train")
    targets = {
        k: jt.array(golden.outputs[k]) for k in ("point_anno", "label", "label_distribution")
    }
    model = create("tsl-net", dropout=0.0)
    model.set_weights(golden.weights())
    network = model.module
    network.train()
    outputs = network.supervised(
        jt.array(golden.input("rgb")), jt.array(golden.input("mel")), targets["label"]
    )
    for name in ("cas_sigmoid_fuse", "vid_score", "vid_ldl"):
        assert_close(outputs[name].numpy(), expected.outputs[name], WHOLE_NETWORK, name)
    found = search_seeds(outputs["cas_sigmoid_fuse"].numpy()[0], golden.outputs["point_anno"][0])
    seeds = (jt.array(found[0]).unsqueeze(0), jt.array(found[1]).unsqueeze(0))
    losses = tsl_loss(outputs, targets["point_anno"], targets["label_distribution"], seeds)
    for name, key in TERMS.items():
        assert losses[name].item() == pytest.approx(expected.outputs[key], rel=WHOLE_NETWORK), name
    bn = network.cls_module.a_extractor[2]
    assert_close(bn.running_mean.numpy(), expected.outputs["bn1_mean"], WHOLE_NETWORK)
    assert_close(bn.running_var.numpy(), expected.outputs["bn1_var"], WHOLE_NETWORK)
    steps = expected.json()["grads"]
    trained = {n: v for n, v in network.named_parameters() if n in steps}
    assert trained.keys() == steps.keys()
    gradients = jt.grad(losses["total"], list(trained.values()))
    for (name, _), gradient in zip(trained.items(), gradients, strict=True):
        flat, golden_gradient = gradient.numpy().reshape(-1), steps[name]
        norm = np.linalg.norm(flat.astype(np.float64))
        assert norm == pytest.approx(golden_gradient["norm"], rel=WHOLE_NETWORK), name
        sampled = np.abs(flat[golden_gradient["at"]] - golden_gradient["values"]).max()
        assert sampled <= WHOLE_NETWORK * np.abs(flat).max(), name
