from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jack_stream.errors import UsageError
from jack_stream.features.skeleton import PARENT, joint_index
from jack_stream.models import create, untrained
from jack_stream.models.gait_graph import INWARD_EDGES, adjacency
from jack_stream.models.layers import plain_only
from jack_stream.runtime import jittor
from tests.models import numpy_networks
from tests.models.golden import HEAD, WHOLE_NETWORK, Golden, assert_close, uniform
from trainers.losses.bpm_gcn import bpm_gcn_loss

pytestmark = pytest.mark.jittor
jt = jittor()


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    return Golden(shared, "gait")


@pytest.fixture(scope="module")
def model(golden: Golden) -> Any:
    model = create("bpm-gcn")
    model.set_weights(golden.weights())
    return model


def _inputs(golden: Golden, rows: slice = slice(None)) -> dict[str, np.ndarray]:
    return {"posture": golden.outputs["x_p"][rows], "movement": golden.outputs["x_m"][rows]}


def test_the_graph_is_the_released_one_and_the_skeletons(shared: Path) -> None:
    golden = np.load(shared / "golden/gait_graph.npz")
    np.testing.assert_allclose(adjacency(), golden["A"], atol=1e-7)
    assert sorted(INWARD_EDGES) == sorted(map(tuple, golden["inward"].tolist()))
    bones = {(joint_index(child), joint_index(parent)) for child, parent in PARENT.items()}
    assert set(INWARD_EDGES) == bones


def test_whole_network_meets_the_released_code(model: Any, golden: Golden) -> None:
    outputs = model.infer(_inputs(golden))
    names = {"logits": "final"}
    for name, value in outputs.items():
        assert_close(value, golden.outputs[names.get(name, name)], WHOLE_NETWORK, name)


def _vars(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    return {name: jt.array(value) for name, value in arrays.items()}


@pytest.mark.parametrize("rows", [slice(0, 1), slice(1, 4)])
def test_persons_do_not_influence_each_other(model: Any, golden: Golden, rows: slice) -> None:
    outputs = model.infer(_inputs(golden, rows))
    assert_close(outputs["logits"], golden.outputs["final"][rows], WHOLE_NETWORK)


def test_inner_maps_meet_the_released_code(model: Any, golden: Golden) -> None:
    seen: dict[str, Any] = {}

    def keep(name: str) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            seen[name] = output

        return hook

    network = model.module
    network.l1_p.register_forward_hook(keep("l1_p"))
    network.l1_p.gcn1.register_forward_hook(keep("l1_p_gcn"))
    for i in (1, 2, 3):
        getattr(network, f"fusion{i}").register_forward_hook(keep(f"fusion{i}"))
    network.eval()
    with jt.no_grad(), plain_only():
        network(**_vars(_inputs(golden)))
    for i in (1, 2, 3):
        seen[f"fusion{i}_p"], seen[f"fusion{i}_m"] = seen.pop(f"fusion{i}")
    for name, value in seen.items():
        expected = golden.outputs[name]
        step = value.shape[1] // expected.shape[1]
        assert_close(value.numpy()[:, ::step], expected, WHOLE_NETWORK, name)


def _off(gradient: np.ndarray, golden: dict[str, Any]) -> float:
    """Largest deviation from the sampled values; biases before a softmax have a zero gradient."""
    difference = np.abs(gradient[golden["at"]] - golden["values"]).max()
    return float(difference / max(np.abs(gradient).max(), 1e-4))


def test_a_training_step_meets_the_released_code(shared: Path, golden: Golden) -> None:
    expected = Golden(shared, "gait_train")
    steps = expected.json()
    model = create("bpm-gcn")
    model.set_weights(golden.weights())
    network = model.module
    network.train()
    before = model.weights()
    optimizer = jt.optim.SGD(
        network.parameters(), 0.075, momentum=0.9, weight_decay=1e-3, nesterov=True
    )
    outputs = network(**_vars(_inputs(golden)))
    target = jt.array(uniform("gait/target", (4, 1488), -1, 1))
    losses = bpm_gcn_loss(outputs, jt.array(expected.outputs["label"]), target)
    for name in ("posture_logits", "movement_logits", "affective"):
        assert_close(outputs[name].numpy(), expected.outputs[name], WHOLE_NETWORK, name)
    for name, key in (("posture", "p"), ("movement", "m"), ("affective", "reg")):
        assert losses[name].item() == pytest.approx(expected.outputs[f"loss_{key}"], rel=HEAD)
    assert losses["total"].item() == pytest.approx(steps["loss"], rel=HEAD)
    trained = {n: v for n, v in network.named_parameters() if n in steps["grads"]}
    assert trained.keys() == steps["grads"].keys()
    gradients = jt.grad(losses["total"], list(trained.values()))
    off = {
        name: _off(gradient.numpy().reshape(-1), steps["grads"][name])
        for (name, _), gradient in zip(trained.items(), gradients, strict=True)
    }
    # Rounding switches some of the ReLUs: PyTorch's own gradients in float32 and in float64 differ
    # by up to 0.8 % of a tensor's largest value here, with a median over the tensors of 1.7e-4.
    assert max(off.values()) <= 2e-2, max(off, key=lambda name: off[name])
    assert np.median(list(off.values())) <= 5e-4
    optimizer.step(losses["total"])
    after = model.weights()
    for name, norm in steps["sgd_update_norm"].items():
        update = np.linalg.norm(after[name].astype(np.float64) - before[name])
        assert update == pytest.approx(norm, rel=2e-2, abs=1e-6), name


def test_the_fixed_graph_is_neither_a_weight_nor_trained(model: Any) -> None:
    names = set(model.weights())
    assert "l1_p.gcn1.PA" in names
    assert not [name for name in names if "adjacency" in name or name.endswith(".A")]
    fixed = {id(block.gcn1._adjacency) for block in (model.module.l1_p, model.module.l7_m)}
    assert not fixed & {id(parameter) for parameter in model.module.parameters()}


def _random_inputs(people: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "posture": rng.normal(size=(people, 3, 48, 16, 1)).astype(np.float32),
        "movement": rng.normal(size=(people, 8, 48, 16, 1)).astype(np.float32),
    }


def _shaken(model: Any, seed: int) -> dict[str, np.ndarray]:
    """Weights in which nothing is at a special value: gains near 1, statistics that matter."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, value in model.weights().items():
        changed = value * 0.7  # He-uniform, a little smaller so that ten blocks do not explode
        if value.ndim == 1 and name.endswith(("weight", "var")):
            changed = 0.8 + 0.4 * rng.random(value.shape)
        elif value.ndim == 1 or name.endswith("PA"):
            changed = 0.2 * rng.random(value.shape) - 0.1
        weights[name] = changed.astype(np.float32)
    model.set_weights(weights)
    return weights


def test_the_plain_statement_is_the_released_network(golden: Golden) -> None:
    rows = slice(0, 1)
    inputs = _inputs(golden, rows)
    outputs = numpy_networks.bpm_gcn(**inputs, w=golden.weights(), variant="released")
    assert_close(outputs["logits"], golden.outputs["final"][rows], WHOLE_NETWORK)
    assert_close(outputs["affective"], golden.outputs["affective"][rows], WHOLE_NETWORK)


@pytest.mark.parametrize("variant", ["released", "paper"])
@pytest.mark.parametrize("plain", [False, True])
def test_other_weights_agree_with_the_plain_statement(variant: str, plain: bool) -> None:
    model = untrained("bpm-gcn", seed=11, variant=variant)
    weights, inputs = _shaken(model, 5), _random_inputs(2, 6)
    expected = numpy_networks.bpm_gcn(**inputs, w=weights, variant=variant)
    with plain_only() if plain else nullcontext():
        outputs = model.infer(inputs)
    for name, value in outputs.items():
        assert_close(value, expected[name], WHOLE_NETWORK, name)


def test_the_variants_differ() -> None:
    inputs = _random_inputs(1, 1)
    released, paper = (
        untrained("bpm-gcn", variant=variant).infer(inputs)["logits"]
        for variant in ("released", "paper")
    )
    assert np.abs(released - paper).max() > 1e-3


@pytest.mark.parametrize(
    ("architecture", "message"),
    [({"frames": 50}, "multiple of 4, not 50"), ({"variant": "x"}, "'released' or 'paper'")],
)
def test_an_architecture_that_can_not_be_is_named(
    architecture: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        create("bpm-gcn", **architecture)


def test_multi_label_loss_is_the_binary_cross_entropy_of_every_class() -> None:
    rng = np.random.default_rng(2)
    posture, movement = (rng.normal(0, 8, size=(5, 4)) for _ in range(2))
    labels = (rng.random((5, 4)) > 0.5).astype(np.float64)
    affective, target = rng.normal(size=(2, 5, 62))
    outputs = {"posture_logits": posture, "movement_logits": movement, "affective": affective}
    losses = bpm_gcn_loss(_vars(outputs), jt.array(labels), jt.array(target), multi_label=True)
    for name, logits in (("posture", posture), ("movement", movement)):
        p = 1 / (1 + np.exp(-logits))
        expected = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean()
        assert losses[name].item() == pytest.approx(expected, rel=HEAD)
    assert losses["affective"].item() == pytest.approx(((affective - target) ** 2).mean(), rel=HEAD)
