"""The trainers of VAANet and CTEN, from a data set to a bundle that a stream is read with."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jack_stream.config import AnalyzerSettings
from jack_stream.errors import BundleError, UsageError
from jack_stream.inference.batch import predict
from jack_stream.inference.catalogue import ANALYZERS
from jack_stream.inference.grid import flicker
from jack_stream.models import create, load
from jack_stream.weights import read_bundle
from tests.trainers.made_clips import write_clips
from tests.trainers.small_networks import architecture, settings, write_random
from trainers.audio_visual.initial import begin
from trainers.cli import app
from trainers.cten.recipe import CTENRecipe
from trainers.recipe import read_recipe
from trainers.vaanet.recipe import VAANetRecipe

pytestmark = pytest.mark.jittor

Train = Callable[..., Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def train(folder: Path) -> Train:
    """jack-train METHOD on made clips; returns the run's folder."""

    def run(method: str, where: str, *overrides: str, clips: int = 48) -> Path:
        data, start = folder / f"{where}-{clips}", folder / f"random-{method}"
        if not data.exists():
            write_clips(data, where=where, clips=clips, layout="annotated")  # type: ignore[arg-type]
        if not start.exists():
            write_random(start, method)
        out = folder / f"run-{len(list(folder.glob('run-*')))}"
        chosen = [text for s in settings(method, *overrides) for text in ("--set", s)]
        command = [method, str(out), "--data", str(data), "--init", str(start), *chosen]
        app(command, standalone_mode=False)
        return out

    return run


@pytest.fixture(scope="module")
def seeing(train: Train) -> Path:
    """VAANet after clips whose class is in the picture."""
    return train("vaanet", "picture", "schedule.epochs=25")


def _accuracy(run: Path) -> float:
    metrics = read_bundle(run / "bundle").card.metrics
    return next(metric.value for metric in metrics if metric.name == "accuracy")


def test_vaanet_learns_what_is_seen(seeing: Path, train: Train) -> None:
    assert _accuracy(seeing) > 0.85
    blind = train("vaanet", "picture", "schedule.epochs=6", "data.hide=picture")
    assert 0.2 < _accuracy(blind) < 0.8
    assert "without the picture" in read_bundle(blind / "bundle").card.caveats[0]


def test_vaanet_learns_what_is_heard(train: Train) -> None:
    assert _accuracy(train("vaanet", "sound", "schedule.epochs=10")) > 0.85
    assert 0.2 < _accuracy(train("vaanet", "sound", "schedule.epochs=4", "data.hide=sound")) < 0.8


def test_cten_learns_by_erasing(train: Train) -> None:
    run = train("cten", "picture", "schedule.epochs=15")
    assert _accuracy(run) > 0.85
    assert load(run / "bundle").method == "cten"


def test_a_run_leaves_a_report_and_a_card(seeing: Path) -> None:
    report = (seeing / "report.md").read_text()
    assert "its validation part is tested on" in report
    assert "sentiment accuracy" in report
    assert re.search(r"tensors come from .*random-vaanet", report)
    for picture in ("curves.png", "result-1.png"):
        assert (seeing / picture).stat().st_size > 1000
    card = read_bundle(seeing / "bundle").card
    assert tuple(card.labels) == ("anger", "joy")
    assert card.trained
    assert card.preprocessing["sound_rates_hz"] == [16000]
    assert card.provenance.seed == 0
    assert card.provenance.versions["data"].startswith("sha256 ")
    assert {item.licence for item in card.training_data} == {"not stated"}


def test_a_stream_is_read_with_the_bundle(seeing: Path) -> None:
    model = load(seeing / "bundle")
    analyzer = ANALYZERS["vaanet"](model, AnalyzerSettings(method="vaanet"))
    (prediction,) = predict(analyzer, flicker(0, 2_000_000_000, 112))
    assert prediction.logits.shape == (2,)


def test_what_was_learned_is_measured(
    seeing: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder / "videos.csv"
    data = str(folder / "picture-48")
    app(["test", str(seeing / "bundle"), data, "--per-video", str(out)], standalone_mode=False)
    assert f"accuracy {_accuracy(seeing):.3f}" in capsys.readouterr().out
    with out.open() as file:
        rows = list(csv.DictReader(file))
    right = [row["truth"] == row["predicted"] for row in rows]
    assert np.mean(right) == pytest.approx(_accuracy(seeing))
    assert len(rows) == 16

    app(["test", str(seeing / "bundle"), data, "--split", "all"], standalone_mode=False)
    assert capsys.readouterr().out.startswith("48 recordings")
    with pytest.raises(UsageError, match="no such part"):
        app(["test", str(seeing / "bundle"), data, "--split", "test"], standalone_mode=False)


def test_other_classes_cost_only_the_last_layer(seeing: Path) -> None:
    model = create("vaanet", **architecture("vaanet", n_classes=6))
    said = begin(model, seeing / "bundle", [], frozen=True).said
    weights, before = model.weights(), read_bundle(seeing / "bundle").tensors
    assert "4 tensors begin at random: av_fc (2), fc (2)" in said
    (unused,) = (text for text in said if text.startswith("not used of bundle: "))
    assert {"fc (2)", "av_fc (2)"} == set(unused.partition(": ")[2].split(", "))
    np.testing.assert_array_equal(weights["conv0.0.weight"], before["conv0.0.weight"])


def test_backbones_alone_are_taken_for_another_network(seeing: Path) -> None:
    model = create("cten", **architecture("cten", n_classes=2))
    begin(model, None, [seeing / "bundle"], frozen=True)
    weights, before = model.weights(), read_bundle(seeing / "bundle").tensors
    for name, value in weights.items():
        if name.startswith(("resnet.", "a_resnet.")):
            np.testing.assert_array_equal(value, before[name], err_msg=name)
    assert not np.array_equal(weights["a_fc.1.bias"], before["a_fc.1.bias"])


def test_a_frozen_backbone_must_come_from_somewhere(seeing: Path, folder: Path) -> None:
    model = create("vaanet", **architecture("vaanet", n_classes=2))
    with pytest.raises(UsageError, match="--init-backbone"):
        begin(model, None, [], frozen=True)
    begin(model, None, [], frozen=False)
    wide = create("vaanet", **architecture("vaanet", width=16, n_classes=3))
    with pytest.raises(BundleError, match="none of its"):
        begin(wide, None, [seeing / "bundle"], frozen=False)


def test_the_recipes_are_the_papers() -> None:
    vaanet, cten = read_recipe(VAANetRecipe, "vaanet"), read_recipe(CTENRecipe, "cten")
    assert vaanet.architecture(8) == {
        "n_classes": 8, "seq_len": 10, "audio_n_segments": 16, "width": 64, "depths": [3, 4, 23, 3],
    }  # fmt: skip
    assert (vaanet.optimizer.name, vaanet.optimizer.lr) == ("adam", 2e-4)
    assert (vaanet.schedule.batch, vaanet.schedule.epochs) == (32, 150)
    assert (vaanet.loss.penalty, vaanet.model.freeze_backbone) == (0.5, True)
    assert (cten.optimizer.lr, cten.optimizer.weight_decay) == (2e-4, 5e-4)
    assert (cten.model.seq_len, cten.erasing.theta, cten.loss.penalty) == (16, 0.7, 0.0)
