"""MART's two stages, from a data set to a bundle that a stream is read with."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from jack_stream.config import AnalyzerSettings
from jack_stream.errors import BundleError, ConfigError, UsageError
from jack_stream.inference.batch import predict
from jack_stream.inference.catalogue import ANALYZERS
from jack_stream.inference.grid import flicker
from jack_stream.models import load
from jack_stream.models.bert import Bert
from jack_stream.models.layers import get_weights
from jack_stream.runtime import jittor
from jack_stream.weights import read_bundle
from tests.trainers.made_clips import write_clips
from tests.trainers.small_networks import MART
from trainers.cli import app
from trainers.loop import LAST
from trainers.mart.averaging import AveragingAdam
from trainers.mart.pretraining import PretrainingTask, load_bert
from trainers.mart.recipe import MartRecipe
from trainers.mart.task import MartTask
from trainers.recipe import read_recipe

pytestmark = pytest.mark.jittor
jt = jittor()

SMALL = (
    *MART, "model.depth=2", "decoder.width=32", "decoder.depth=1",
    "text.depth=1", "text.heads=2", "text.longest=8",
    "pretraining.epochs=2", "pretraining.accumulate=4",
)  # fmt: skip


def _train(run: Path, data: Path, *more: str, **settings: Any) -> None:
    overrides = [*SMALL, *(f"{k.replace('__', '.')}={v}" for k, v in settings.items())]
    chosen = [text for override in overrides for text in ("--set", override)]
    app(["mart", str(run), "--data", str(data), *more, *chosen], standalone_mode=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mart")


@pytest.fixture(scope="module")
def seen(folder: Path) -> Path:
    return write_clips(folder / "seen", where="picture", clips=36, layout="annotated")


@pytest.fixture(scope="module")
def few(folder: Path) -> Path:
    """Clips, one of which says something."""
    data = write_clips(folder / "few", where="picture", clips=12, layout="annotated")
    (data / "srt" / "Joy").mkdir(parents=True)
    (data / "srt" / "Joy" / "0001.srt").write_text("1\n00:00:00,100 --> 00:00:01,500\nso glad\n")
    return data


@pytest.fixture(scope="module")
def trained(folder: Path, seen: Path) -> Path:
    """Both stages after clips whose class is in the picture."""
    _train(folder / "both", seen, schedule__epochs=9)
    return folder / "both"


def _accuracy(run: Path) -> float:
    metrics = read_bundle(run / "bundle").card.metrics
    return next(metric.value for metric in metrics if metric.name == "accuracy")


def _history(run: Path) -> list[dict[str, float]]:
    with safe_open(run / LAST, "numpy") as stored:
        history: list[dict[str, float]] = json.loads(stored.metadata()["state"])["history"]
    return history


def test_it_learns_what_is_seen(trained: Path) -> None:
    assert _accuracy(trained) > 0.85
    report = (trained / "report.md").read_text()
    assert "67 of 67 tensors come from" in report
    assert "sentiment F1" in report
    assert (trained / "result-1.png").stat().st_size > 1000


def test_without_what_is_seen_it_learns_nothing(folder: Path, seen: Path) -> None:
    run = folder / "blind"
    _train(run, seen, "--stage", "finetune", schedule__epochs=5, data__hide="picture")
    assert 0.2 < _accuracy(run) < 0.8


def test_pretraining_restores_better_and_better(trained: Path) -> None:
    first, last = (_history(trained / "pretraining")[at] for at in (0, -1))
    assert last["validation_recovery"] < first["validation_recovery"]
    card = read_bundle(trained / "pretraining" / "bundle").card
    assert "Pre-trained only" in card.caveats[0]
    assert "of 0 of the" in (trained / "pretraining" / "report.md").read_text()


def test_what_was_learned_is_measured_and_seen_live(
    trained: Path, seen: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder / "videos.csv"
    app(
        ["test", str(trained / "bundle"), str(seen), "--per-video", str(out)], standalone_mode=False
    )
    assert f"accuracy {_accuracy(trained):.3f}" in capsys.readouterr().out
    with out.open() as file:
        assert len(list(csv.DictReader(file))) == 12
    settings = AnalyzerSettings(method="mart", window_s=2.0)
    analyzer = ANALYZERS["mart"](load(trained / "bundle"), settings)
    (prediction,) = predict(analyzer, flicker(0, 2_000_000_000, 112))
    assert prediction.logits.shape == (2,)


def test_a_frozen_encoder_is_run_once_and_stays(trained: Path, seen: Path, folder: Path) -> None:
    frozen = {"model__freeze_backbone": "true", "data__cached_views": 2, "schedule__epochs": 3}
    with pytest.raises(UsageError, match="no trained weights"):
        _train(folder / "probe", seen, "--stage", "finetune", **frozen)
    start = trained / "pretraining" / "bundle"
    _train(folder / "probe", seen, "--stage", "finetune", "--init", str(start), **frozen)
    before, after = (read_bundle(path).tensors for path in (start, folder / "probe" / "bundle"))
    for name, value in after.items():
        same = np.array_equal(value, before[name])
        assert same != name.startswith(("vit.a_fc.", "vit.v_fc.")), name
    # Two views of each of 22 clips that are learned from, one of those that choose the epoch.
    assert len(list((folder / "probe" / "features").rglob("*.safetensors"))) == 2 * 22 + 2


class _KilledError(Exception):
    pass


def _kill(monkeypatch: pytest.MonkeyPatch, task: type[Any], at: int) -> Callable[[], None]:
    """Let a task die at a step."""
    loss, steps = task.loss, iter(range(10**6))

    def dying(self: Any, batch: Any, rng: Any) -> Any:
        if next(steps) == at:
            raise _KilledError
        return loss(self, batch, rng)

    monkeypatch.setattr(task, "loss", dying)
    return lambda: monkeypatch.setattr(task, "loss", loss)


def test_interrupted_and_resumed_equals_uninterrupted(
    folder: Path, few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "pretraining__checkpoint_minutes": 1e-9, "schedule__checkpoint_minutes": 1e-9,
        "schedule__epochs": 2, "schedule__batch": 4, "augmentation__time_mask": 20,
    }  # fmt: skip
    _train(folder / "whole", few, **settings)
    for task, at in ((PretrainingTask, 9), (MartTask, 1)):
        heal = _kill(monkeypatch, task, at)
        with pytest.raises(_KilledError):
            _train(folder / "torn", few, "--resume", **settings)
        heal()
    _train(folder / "torn", few, "--resume", **settings)
    for part in (".", "pretraining"):
        whole, torn = (read_bundle(folder / run / part / "bundle") for run in ("whole", "torn"))
        assert torn.digest == whole.digest, part


def test_the_papers_own_terms(trained: Path, folder: Path, few: Path) -> None:
    lexicon = folder / "lexicon.csv"
    lexicon.write_text("word,emotion,degree\nglad,joy,0.6\n")
    paper = {"model__variant": "paper", "text__lexicon": f"{str(lexicon)!r}"}
    start = trained / "pretraining" / "bundle"
    first = ("--stage", "pretrain", "--init", str(start))
    _train(folder / "paper", few, *first, pretraining__epochs=1, **paper)
    (figures,) = _history(folder / "paper" / "pretraining")
    assert figures["validation_temporal"] > 0
    assert figures["train_contrast"] > 0  # in the clip that says something
    before, after = (
        read_bundle(run).tensors for run in (start, folder / "paper/pretraining/bundle")
    )
    learned = {name for name, value in after.items() if not np.array_equal(value, before[name])}
    # The classifier's own norm takes no part in pre-training, as in the release.
    assert set(after) - learned <= {"vit.vid_model.fc_norm.weight", "vit.vid_model.fc_norm.bias"}
    assert "of 1 of the 8 clips" in (folder / "paper" / "pretraining" / "report.md").read_text()


def test_the_recipe_has_the_released_figures() -> None:
    recipe = read_recipe(MartRecipe, "mart")
    assert recipe == MartRecipe(schedule=recipe.schedule)  # the file says what is the default
    assert recipe.architecture(8)["width"] == 768
    assert (recipe.pretraining.epochs, recipe.schedule.epochs) == (100, 150)
    assert (recipe.optimizer.lr, recipe.optimizer.weight_decay) == (1e-4, 1e-3)
    assert (recipe.schedule.accumulate, recipe.snippets.training) == (36, 12)
    for override in ("pretraining.batch=2", "optimizer.name=sgd"):
        with pytest.raises(ConfigError, match="must be"):
            read_recipe(MartRecipe, "mart", [override])


def test_the_mean_of_the_weights_follows_them() -> None:
    weight = jt.array(np.array([1.0, -2.0], np.float32))
    optimizer = AveragingAdam([weight], 0.5, decay=0.9, warm_up=3.0)
    mean, seen = weight.numpy().copy(), []
    for step in range(1, 5):
        optimizer.step((weight * weight).sum())
        keep = 0.9 * (1 - np.exp(-step / 3.0))
        mean = keep * mean + (1 - keep) * weight.numpy()
        seen.append(weight.numpy().copy())
    with optimizer.averaged():
        np.testing.assert_allclose(weight.numpy(), mean, rtol=1e-5)
    np.testing.assert_array_equal(weight.numpy(), seen[-1])
    optimizer.take_average()
    np.testing.assert_allclose(weight.numpy(), mean, rtol=1e-5)


def test_the_reader_begins_with_a_published_bert(tmp_path: Path) -> None:
    reader = Bert(30, width=16, depth=1, heads=2, positions=8)
    rng = np.random.default_rng(0)
    wanted = {name: rng.normal(size=v.shape) for name, v in get_weights(reader).items()}
    wanted = {name: value.astype(np.float32) for name, value in wanted.items()}
    published = {
        "bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma"): value
        for name, value in wanted.items()
    }
    save_file({**published, "cls.bias": np.zeros(30, np.float32)}, tmp_path / "bert.safetensors")
    load_bert(reader, tmp_path / "bert.safetensors")
    for name, value in get_weights(reader).items():
        np.testing.assert_array_equal(value, wanted[name])
    with pytest.raises(BundleError, match=r"LayerNorm\.bias \(24,\)"):
        load_bert(Bert(30, width=24, depth=1, heads=2, positions=8), tmp_path / "bert.safetensors")
