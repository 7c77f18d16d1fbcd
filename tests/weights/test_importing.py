"""Checkpoints become bundles: every entry has its place, or the import says what has not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from jack_stream.cli.weights import app
from jack_stream.errors import BundleError, UsageError
from jack_stream.models import create, load, untrained
from jack_stream.weights import read_bundle
from jack_stream.weights.importing import fit, import_checkpoints
from jack_stream.weights.names import adapted, architecture_of
from jack_stream.weights.torchfile import write_checkpoint
from tests.models.golden import WHOLE_NETWORK, Golden, assert_close

pytestmark = pytest.mark.jittor

SMALL_MART = {"n_classes": 6, "width": 48, "depth": 3, "heads": 4, "fusion_from": 1, "n_shared": 5}
# Method, its architecture, and the golden file with the names of its authors' state_dict.
METHODS = {
    "vaanet": "vaanet",
    "cten": "cten",
    "bpm-gcn": "gait",
    "tsl-net": "tsl",
    "i3d": "i3d",
    "resnet3d-101": "resnet3d",
    "mart": "mart",
}


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def parallel(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What DataParallel and BatchNorm make of a state_dict."""
    counted = {
        name.replace("running_mean", "num_batches_tracked"): np.array(3, np.int64)
        for name in weights
        if name.endswith("running_mean")
    }
    return {f"module.{name}": value for name, value in (weights | counted).items()}


@pytest.mark.parametrize("method", METHODS)
def test_the_authors_state_dicts_fit(shared: Path, method: str) -> None:
    state = json.loads((shared / "golden" / f"{METHODS[method]}.state.json").read_text())
    found = {
        f"module.{entry['name']}": np.broadcast_to(np.float32(0), entry["shape"])
        for entry in state["entries"]
    }
    model = create(method, **architecture_of(method, found))
    title, outcome = fit(method, found, model.weights())
    assert (outcome.missing, outcome.unexpected, outcome.misshaped) == ([], [], [])
    assert title.lower() == method or method == "mart"
    # Whole networks use all but counters; MART leaves its pre-training parts out.
    if method != "mart":
        assert all(name.endswith("num_batches_tracked") for name in outcome.left_out)


@pytest.mark.parametrize("method", ["bpm-gcn", "mart"])
def test_a_checkpoint_imports_runs_and_agrees(tmp_path: Path, method: str) -> None:
    architecture = SMALL_MART if method == "mart" else {"n_classes": 5}
    model = untrained(method, seed=7, **architecture)
    write_checkpoint(tmp_path / "a.pth", parallel(model.weights()))
    options = [f"--set={k}={v}" for k, v in SMALL_MART.items()] if method == "mart" else []
    labels = [f"--label=class {i}" for i in range(architecture["n_classes"])]
    out = run(
        *("import", "--method", method, tmp_path / "a.pth", tmp_path / "b"),
        *(*options, *labels, "--trained-on=Nothing=CC0-1.0", "--author=A. Tester"),
        "--preprocessing=fps=20",
    )
    bundle = read_bundle(tmp_path / "b")
    assert bundle.digest in out
    assert bundle.card.trained
    assert bundle.card.architecture == architecture
    assert bundle.card.preprocessing == {"fps": 20}
    assert bundle.card.labels[0] == "class 0"
    assert bundle.card.training_data[0].licence == "CC0-1.0"
    inputs = example(model.input_spec)
    expected, found = model.infer(inputs), load(tmp_path / "b").infer(inputs)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    assert "good" in run("verify", tmp_path / "b")


def example(spec: Any) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = {"100 S": 200, "S": 2}
    return {
        name: rng.normal(size=[sizes.get(n, 1) if isinstance(n, str) else n for n in shape])
        for name, shape in spec.items()
    }


def test_what_does_not_fit_is_listed(tmp_path: Path) -> None:
    weights = untrained("bpm-gcn").weights()
    weights["extra.weight"] = np.zeros(3, np.float32)
    del weights["fc2_aff.bias"]
    weights["fc2_aff.weight"] = weights["fc2_aff.weight"].T
    write_checkpoint(tmp_path / "a.pth", weights)
    with pytest.raises(BundleError) as caught:
        import_checkpoints("bpm-gcn", [tmp_path / "a.pth"])
    message = str(caught.value)
    assert "missing (1):\n    fc2_aff.bias" in message
    assert "unexpected (1):\n    extra.weight" in message
    assert "fc2_aff.weight: float32 [256, 1488], expected float32 [1488, 256]" in message
    assert "--allow-missing" in message
    weights["fc2_aff.weight"] = weights["fc2_aff.weight"].T
    write_checkpoint(tmp_path / "a.pth", weights)
    run(
        *("import", "-m", "bpm-gcn", tmp_path / "a.pth", tmp_path / "b.safetensors"),
        *("--allow-missing", "fc2_*", "--allow-unexpected", "extra.*"),
    )
    card = read_bundle(tmp_path / "b.safetensors").card
    assert not card.trained
    assert any("1 weights were in no checkpoint" in caveat for caveat in card.caveats)
    assert any("was not stated" in caveat for caveat in card.caveats)
    assert "UNTRAINED" in run("show", tmp_path / "b.safetensors")


def test_parts_of_one_model_come_from_several_checkpoints(tmp_path: Path) -> None:
    """MART begins from AST (AudioSet, 224 x 1212 patches) and VideoMAE."""
    architecture = SMALL_MART | {"n_classes": 8}
    weights = untrained("mart", seed=1, **architecture).weights()
    ast = {
        name.removeprefix("vit.ast_model."): value
        for name, value in weights.items()
        if name.startswith("vit.ast_model.")
    }
    rng = np.random.default_rng(2)
    ast["v.pos_embed"] = rng.normal(size=(1, 2 + 12 * 101, 48)).astype(np.float32)
    ast["mlp_head.1.weight"] = np.zeros((527, 48), np.float32)
    videomae = {
        name.removeprefix("vit.vid_model."): value
        for name, value in weights.items()
        if name.startswith("vit.vid_model.") and "cls_token" not in name
    } | {"head.weight": np.zeros((400, 48), np.float32)}
    write_checkpoint(tmp_path / "ast.pth", parallel(ast))
    write_checkpoint(tmp_path / "videomae.pth", videomae)
    imported = import_checkpoints(
        "mart",
        [tmp_path / "videomae.pth", tmp_path / "ast.pth"],
        architecture=architecture,
        allow_missing=["vit.bottleneck", "vit.?_fc.*", "*.cls_token"],
    )
    assert [kind.split("of ")[-1] for kind in imported.kinds] == ["VideoMAE.", "AST."]
    assert set(imported.initial) == {
        *("vit.bottleneck", "vit.vid_model.cls_token"),
        *("vit.a_fc.weight", "vit.a_fc.bias", "vit.v_fc.weight", "vit.v_fc.bias"),
    }
    for name, value in weights.items():
        if name not in imported.initial and "pos_embed" not in name:
            np.testing.assert_array_equal(imported.tensors[name], value)
    middle = ast["v.pos_embed"][:, 2:].reshape(12, 101, 48)[:, 46:55]
    cut = imported.tensors["vit.ast_model.v.pos_embed"]
    np.testing.assert_array_equal(cut[0, 2:].reshape(12, 9, 48), middle)
    np.testing.assert_array_equal(cut[:, :2], ast["v.pos_embed"][:, :2])


def test_the_same_weight_twice_is_an_error(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a.pth", untrained("bpm-gcn").weights())
    with pytest.raises(BundleError, match="in an earlier checkpoint as well"):
        import_checkpoints("bpm-gcn", [tmp_path / "a.pth", tmp_path / "a.pth"])


def test_positions_that_can_not_be_cut() -> None:
    name = "vit.ast_model.v.pos_embed"
    with pytest.raises(BundleError, match="can't be cut"):
        adapted(name, np.zeros((1, 2 + 12 * 5, 8), np.float32), (1, 110, 8))


@pytest.mark.parametrize(
    ("method", "prefix", "layer", "dimensions"),
    [("vaanet", "resnet", "Kinetics", 5), ("cten", "a_resnet", "ImageNet", 4)],
)
def test_backbones_are_told_apart_by_their_shapes(
    shared: Path, method: str, prefix: str, layer: str, dimensions: int
) -> None:
    expected = create(method).weights()
    numbers = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
    backbone = {}
    for name, value in expected.items():
        owner, _, rest = name.partition(".")
        number, _, rest = rest.partition(".")
        if owner == prefix:
            backbone[f"module.{numbers[number]}.{rest}"] = value
    backbone["module.fc.weight"] = np.zeros((1039, 2048), np.float32)
    title, outcome = fit(method, backbone, expected)
    assert layer in title
    assert (outcome.unexpected, outcome.misshaped) == ([], [])
    absent = {name for name in outcome.missing if name.startswith(f"{prefix}.")}
    assert absent == (set() if dimensions == 5 else {"a_resnet.0.weight"})


def test_command_lines_that_make_no_sense(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a.pth", untrained("bpm-gcn").weights())
    common = ["import", "-m", "bpm-gcn", tmp_path / "a.pth"]
    for arguments, message in [
        (common, "at least one checkpoint"),
        ([*common, tmp_path / "b", "--set", "n_classes"], "NAME=VALUE"),
        ([*common, tmp_path / "b", "--trained-on", "Walks"], "NAME=LICENCE"),
        ([*common, tmp_path / "b", "--label", "one"], "1 labels were given.* 4 classes"),
    ]:
        with pytest.raises(UsageError, match=message):
            run(*arguments)
    assert not (tmp_path / "b").exists()


def test_show_and_export(tmp_path: Path) -> None:
    weights = untrained("bpm-gcn", seed=3).weights()
    write_checkpoint(tmp_path / "a.pth", weights)
    run("import", "-m", "bpm-gcn", tmp_path / "a.pth", tmp_path / "b", "--caveat=Only a test.")
    shown = run("show", tmp_path / "b", "--tensors")
    for text in (
        "bpm-gcn",
        "not stated (unknown)",
        "Only a test.",
        "fc2_aff.bias  float32  [1488]",
    ):
        assert text in shown
    assert json.loads(run("show", tmp_path / "b", "--json"))["method"] == "bpm-gcn"
    for suffix in ("pth", "safetensors"):
        run("export", tmp_path / "b", tmp_path / f"c.{suffix}")
        again = import_checkpoints("bpm-gcn", [tmp_path / f"c.{suffix}"])
        for name, value in weights.items():
            np.testing.assert_array_equal(again.tensors[name], value)
        with pytest.raises(BundleError, match="exists already"):
            run("export", tmp_path / "b", tmp_path / f"c.{suffix}")
    with pytest.raises(UsageError, match=r"must end with \.pth"):
        run("export", tmp_path / "b", tmp_path / "c.bin")


def test_verify_tries_the_model(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a.pth", untrained("bpm-gcn").weights())
    run("import", "-m", "bpm-gcn", tmp_path / "a.pth", tmp_path / "b")
    card = tmp_path / "b" / "card.toml"
    card.write_text(card.read_text().replace("n_classes = 4", "n_classes = 5"))
    with pytest.raises(BundleError, match="do not fit"):
        run("verify", tmp_path / "b")
    run("verify", "--no-model", tmp_path / "b")


MAKE = """
import sys, json, collections, torch
torch.manual_seed(int(sys.argv[3]))
entries = json.load(open(sys.argv[1]))
state = collections.OrderedDict(
    ('module.' + name, torch.rand(shape) * 0.2 + 0.05) for name, shape in entries.items())
content = {'epoch': 5, 'state_dict': state, 'optimizer': {'param_groups': [{'lr': 1e-3}]}}
torch.save(content, sys.argv[2] + '/zip.pth')
torch.save(content, sys.argv[2] + '/legacy.pth', _use_new_zipfile_serialization=False)
"""

COMPARE = """
import sys, torch
one = torch.load(sys.argv[1], weights_only=True)['state_dict']
two = torch.load(sys.argv[2], weights_only=True)['state_dict']
assert {n.removeprefix('module.') for n in one} == set(two)
assert all(torch.equal(value, two[name.removeprefix('module.')]) for name, value in one.items())
"""


@pytest.mark.parametrize("method", METHODS)
def test_round_trip_through_pytorch(
    torch_run: Callable[..., str], tmp_path: Path, method: str
) -> None:
    architecture = SMALL_MART if method == "mart" else {}
    shapes = {name: v.shape for name, v in create(method, **architecture).weights().items()}
    (tmp_path / "shapes.json").write_text(json.dumps(shapes))
    torch_run(MAKE, tmp_path / "shapes.json", tmp_path, 4)
    options = [f"--set={name}={value}" for name, value in architecture.items()]
    for form in ("zip", "legacy"):
        checkpoint = tmp_path / f"{form}.pth"
        run("import", "-m", method, checkpoint, tmp_path / form, *options)
        run("export", tmp_path / form, tmp_path / f"{form}-again.pth")
        torch_run(COMPARE, checkpoint, tmp_path / f"{form}-again.pth")
        run("verify", tmp_path / form)
    shutil.rmtree(tmp_path)  # pytest would keep gigabytes


# Method -> golden file, inputs that its recipes make, golden name of an output.
GOLDEN = {
    "vaanet": ("vaanet_small", ["visual", "audio"], {"logits": "logits"}),
    "cten": ("cten_small", ["visual", "audio"], {"logits": "logits", "gamma": "gamma"}),
    "tsl-net": ("tsl", ["rgb", "mel"], {"vid_score": "vid_score"}),
    "i3d": ("i3d", ["clip"], {}),
    "resnet3d-101": ("resnet3d", ["visual"], {"logits": "logits"}),
    "bpm-gcn": ("gait", [], {"logits": "final", "affective": "affective"}),
    "mart": ("mart", ["visual", "audio"], {"logits_audio": "mbt_logits_audio"}),
}


@pytest.mark.parametrize("method", GOLDEN)
def test_golden_networks_through_a_checkpoint(shared: Path, tmp_path: Path, method: str) -> None:
    name, input_names, output_names = GOLDEN[method]
    golden = Golden(shared, name)
    write_checkpoint(tmp_path / "a.pth", parallel(golden.weights()))
    run("import", "-m", method, tmp_path / "a.pth", tmp_path / "b")
    if method == "bpm-gcn":
        inputs = {"posture": golden.outputs["x_p"], "movement": golden.outputs["x_m"]}
    else:
        inputs = {key: golden.input(key) for key in input_names}
    if method == "resnet3d-101":
        inputs = {"clip": inputs["visual"]}
    outputs = load(tmp_path / "b").infer(inputs)
    shutil.rmtree(tmp_path)  # pytest would keep gigabytes
    if method == "i3d":
        features = golden.outputs["features"].reshape(-1)
        assert_close(outputs["features"].reshape(-1), features, WHOLE_NETWORK)
    for ours, theirs in output_names.items():
        assert_close(outputs[ours], golden.outputs[theirs], WHOLE_NETWORK, ours)
