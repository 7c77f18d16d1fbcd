"""One training step of VAANet and CTEN as the released code takes it, backbone included.

The released code trains with the backbone's batch normalisation in training mode; ours keeps it in
evaluation mode, so the tests switch it over. In that mode float32 is not enough to fix the last
map to more than 2e-5 (PyTorch's against float64; ours 1.3e-5), which the heads amplify tenfold:
hence the wider limits here. tests/models holds the heads alone to the narrow ones.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jack_stream.models.cten import CTEN
from jack_stream.models.labels import VIDEO_EMOTION_8
from jack_stream.models.layers import set_weights
from jack_stream.models.vaanet import VAANet
from jack_stream.runtime import jittor
from tests.models.golden import HEAD, Golden, assert_close
from trainers.adam import Adam
from trainers.losses.cross_entropy import cross_entropy
from trainers.losses.pcce import pcce, polarity

pytestmark = pytest.mark.jittor
jt = jittor()

TRAINING_MODE = 1e-3


def _step(module: Any, shared: Path, name: str) -> tuple[dict[str, Any], Any, Golden]:
    inputs, golden = Golden(shared, name), Golden(shared, f"{name}_train")
    set_weights(module, inputs.weights())
    module.train()
    module.resnet.train()
    outputs = module(jt.array(inputs.input("visual")), jt.array(inputs.input("audio")))
    return outputs, jt.array(golden.outputs["target"].astype(np.int32)), golden


def test_a_step_of_vaanet(shared: Path) -> None:
    module = VAANet(seq_len=4)
    outputs, labels, golden = _step(module, shared, "vaanet_small")
    loss = pcce(outputs["logits"], labels, polarity(VIDEO_EMOTION_8))
    for name in ("logits", "alpha", "beta", "gamma"):
        assert_close(outputs[name].numpy(), golden.outputs[name], TRAINING_MODE, name)
    assert_close(loss.numpy().reshape(()), golden.outputs["loss"], TRAINING_MODE)
    norms = {
        "conv0": module.conv0[1],
        "a_fc": module.a_fc[1],
        "backbone_bn1": getattr(module.resnet, "1"),
    }
    for name, norm in norms.items():
        assert_close(norm.running_mean.numpy(), golden.outputs[f"rm_{name}"], HEAD, name)
        assert_close(norm.running_var.numpy(), golden.outputs[f"rv_{name}"], HEAD, name)
    _assert_adam_step(module, loss, golden.json(), "adam_lr2e-4_step1", weight_decay=0.0)


def test_a_step_of_cten(shared: Path) -> None:
    module = CTEN(seq_len=4)
    module.drop.p = 0.0
    outputs, labels, golden = _step(module, shared, "cten_small")
    loss = cross_entropy(outputs["logits"], labels).mean()
    for name in ("logits", "gamma"):
        assert_close(outputs[name].numpy(), golden.outputs[name], TRAINING_MODE, name)
    assert_close(loss.numpy().reshape(()), golden.outputs["loss"], TRAINING_MODE)
    _assert_adam_step(module, loss, golden.json(), "adam_lr2e-4_wd5e-4_step1", weight_decay=5e-4)


def _assert_adam_step(
    module: Any, loss: Any, golden: dict[str, Any], key: str, *, weight_decay: float
) -> None:
    named = {k: v for k, v in module.state_dict().items() if k in golden["grads"]}
    # A gradient of nothing but rounding has no step that could be compared.
    real = [name for name, entry in golden["grads"].items() if entry["norm"] > 1e-3]
    optimizer = Adam(list(named.values()), lr=2e-4, weight_decay=weight_decay)
    before = {name: named[name].numpy() for name in real}
    optimizer.backward(loss)
    for name, gradient in zip(named, optimizer.param_groups[0]["grads"], strict=True):
        if name in before:
            norm = np.linalg.norm(gradient.numpy().astype(np.float64))
            assert norm == pytest.approx(golden["grads"][name]["norm"], rel=1e-2), name
    optimizer.step()
    for name in real:
        moved = np.linalg.norm((named[name].numpy() - before[name]).astype(np.float64))
        assert moved == pytest.approx(golden[key][name]["delta_norm"], rel=1e-3), name
