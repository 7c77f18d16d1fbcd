import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from safetensors.numpy import load_file

from jack_stream.errors import ConfigError, UsageError
from jack_stream.models import load
from jack_stream.models.registry import create, untrained
from jack_stream.runtime import jittor
from jack_stream.weights import read_bundle, write_bundle
from jack_stream.weights.card import Card, TrainingData
from tests.models.golden import WHOLE_NETWORK, Golden
from tests.trainers.made_sentiments import write_sentiments
from trainers.bundling import provenance
from trainers.cli import app
from trainers.data.tsl300 import Item, SentimentVideo, read_sentiments
from trainers.loop import LAST, train
from trainers.recipe import read_recipe
from trainers.tsl_net.recipe import SentimentRecipe
from trainers.tsl_net.run import run_recipe
from trainers.tsl_net.task import SentimentTask

pytestmark = pytest.mark.jittor
jt = jittor()

SMALL = (
    "model.width=128", "model.dropout=0.2", "loss.consistency=0.1", "schedule.accumulate=2",
    "data.samples_per_epoch=0", "optimizer.lr=3e-3", "optimizer.sound_factor=1.0",
)  # fmt: skip
TINY = (*SMALL, "model.width=32", "schedule.epochs=2", "data.validation_share=0.3")

Where = Literal["picture", "sound", "both"]


def _recipe(*overrides: str) -> SentimentRecipe:
    return read_recipe(SentimentRecipe, "tsl-net", [*SMALL, *overrides])


def _learned(folder: Path, where: Where, hide: str = "") -> float:
    """The best mAP on other videos."""
    if not (folder / "set").exists():
        write_sentiments(folder / "set", where=where, videos=(28, 12), seed=0)
    found = read_sentiments(folder / "set")
    recipe = _recipe(f'data.hide="{hide}"', "schedule.epochs=5")
    jt.set_global_seed(0)
    task = SentimentTask(
        recipe, create("tsl-net", **recipe.architecture), found.training, found.test
    )
    history = train(task, folder / f"run{hide}", recipe.schedule, quiet=True)
    assert history[-1]["train_frame"] < history[0]["train_frame"]
    return max(entry["validation_mAP"] for entry in history)


@pytest.mark.parametrize("where", ["picture", "sound"])
def test_it_finds_what_one_modality_shows_and_nothing_without_it(
    where: Where, tmp_path: Path
) -> None:
    assert _learned(tmp_path, where) > 0.9
    assert _learned(tmp_path, where, hide=where) < 0.5


def test_it_finds_what_only_both_together_show(tmp_path: Path) -> None:
    """One modality shows twice as many segments as there are: at best every second is right."""
    assert _learned(tmp_path, "both") > 0.85
    for hide in ("picture", "sound"):
        assert _learned(tmp_path, "both", hide=hide) < 0.7


def _trained_i3d(path: Path) -> str:
    model = untrained("i3d")
    data = [TrainingData(name="Kinetics, made up", licence="none")]
    card = Card(method="i3d", trained=True, training_data=data, provenance=provenance("a", 0, {}))
    return write_bundle(path, card, model.weights()).digest


def _options(settings: Sequence[str]) -> list[str]:
    return [text for override in settings for text in ("--set", override)]


def test_the_command_makes_a_bundle_that_inference_and_test_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from jack_stream.inference.catalogue import _i3d_for  # noqa: PLC0415 - the live path

    monkeypatch.chdir(tmp_path)
    write_sentiments(Path("set"), where="picture", videos=(8, 4), seed=0)
    digest = _trained_i3d(Path("i3d"))
    command = ["tsl-net", "run", "--data", "set", "--i3d", "i3d", *_options(TINY)]
    app(command, standalone_mode=False)
    bundle = read_bundle("run/bundle")
    assert tuple(bundle.card.labels) == ("negative", "positive")
    model = load("run/bundle")
    assert model.architecture["width"] == 32
    origin = _i3d_for(model).origin
    assert origin is not None
    assert origin.digest == digest
    assert {m.name for m in bundle.card.metrics} >= {"mAP", "recall", "F2", "AP negative"}
    report = Path("run/report.md").read_text()
    assert "held-out training videos" in report
    assert "set, test part" in report
    assert min(Path(f"run/{n}.png").stat().st_size for n in ("curves", "result-2")) > 1000

    app(["test", "run/bundle", "set", "--per-video", "out.csv"], standalone_mode=False)
    shown = capsys.readouterr().out
    figure = next(
        m for m in bundle.card.metrics if m.measured_on.startswith("set") and m.name == "mAP"
    )
    line = next(x for x in shown.splitlines() if x.strip().startswith("mAP  0") or " mAP " in x)
    assert line.split()[-1] == f"{figure.value:.4f}"
    with Path("out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["kind"] == "true" for row in rows) == 8
    assert {row["recording"] for row in rows} == {f"test_{i}" for i in range(4)}
    with pytest.raises(UsageError, match="training, validation, test"):
        app(["test", "run/bundle", "set", "--split", "x"], standalone_mode=False)

    app(["tsl-net", "more", "--data", "set", "--init", "run/bundle", *_options(TINY)],
        standalone_mode=False)  # fmt: skip
    more = read_bundle("more/bundle").card
    assert any("--i3d" in caveat for caveat in more.caveats)
    assert "44 of 44 tensors" in Path("more/report.md").read_text()


def test_another_i3d_than_that_of_the_features_is_refused(tmp_path: Path) -> None:
    write_sentiments(tmp_path / "set", where="picture", videos=(4, 2), seed=0)
    (tmp_path / "set/features/i3d.json").write_text('{"sha256": "0000"}')
    _trained_i3d(tmp_path / "i3d")
    recipe = _recipe(f"data.path='{tmp_path / 'set'}'", f"data.i3d='{tmp_path / 'i3d'}'",
                     *TINY)  # fmt: skip
    with pytest.raises(UsageError, match="is not the I3D network that made the features"):
        run_recipe(recipe, tmp_path / "run")


class _KilledError(Exception):
    pass


def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    """Bit by bit; also where the last checkpoint is older than the gradients that were summed."""
    write_sentiments(tmp_path / "set", where="picture", videos=(8, 2), seed=0)
    recipe = _recipe(*TINY, "schedule.checkpoint_minutes=1e-9")
    videos = read_sentiments(tmp_path / "set").training

    def run(name: str, killed_at: int = -1, *, resume: bool = False) -> dict[str, Any]:
        jt.set_global_seed(0)
        model = create("tsl-net", **recipe.architecture)
        task = SentimentTask(recipe, model, videos[:6], videos[6:])
        loss, steps = task.loss, iter(range(10**6))

        def dying(batch: int, rng: np.random.Generator) -> dict[str, Any]:
            if next(steps) == killed_at:
                raise _KilledError
            return loss(batch, rng)

        task.loss = dying  # type: ignore[method-assign]
        train(task, tmp_path / name, recipe.schedule, resume=resume, quiet=True)
        return load_file(tmp_path / name / LAST)

    whole = run("whole")
    for killed_at in (3, 8):
        name = f"torn-{killed_at}"
        with pytest.raises(_KilledError):
            run(name, killed_at)
        torn = run(name, resume=True)
        assert torn.keys() == whole.keys()
        for part, value in whole.items():
            np.testing.assert_array_equal(torn[part], value, err_msg=part)


def test_a_step_from_the_golden_weights_meets_the_released_code(shared: Path) -> None:
    """Losses, and how far Adam moves each weight, with the sound's own learning rate."""
    golden, steps = Golden(shared, "tsl"), Golden(shared, "tsl_train").json()
    recipe = read_recipe(SentimentRecipe, "tsl-net", ["model.dropout=0.0"])
    model = create("tsl-net", **recipe.architecture)
    model.set_weights(golden.weights())
    task = SentimentTask(recipe, model, [], [])
    outputs = golden.outputs
    item = Item(
        golden.input("rgb")[0], golden.input("mel")[0], outputs["point_anno"][0],
        outputs["label"][0], outputs["label_distribution"][0],
    )  # fmt: skip
    before = model.weights()
    losses = task.item_loss(item)
    expected = steps["losses"]["loss_total"]
    assert losses["total"].item() == pytest.approx(expected, rel=WHOLE_NETWORK)
    task.optimizer.step(losses["total"])
    after = model.weights()
    for name, norm in steps["adam_update_norm"].items():
        moved = np.linalg.norm((after[name] - before[name]).astype(np.float64))
        assert moved == pytest.approx(norm, rel=0.02), name


def test_the_papers_recipe_has_the_papers_figures() -> None:
    recipe = read_recipe(SentimentRecipe, "tsl-net")
    how, schedule = recipe.optimizer, recipe.schedule
    assert (how.lr, how.lr * how.sound_factor, how.weight_decay) == (1e-5, 1e-4, 5e-4)
    assert schedule.accumulate == 16
    assert schedule.epochs * recipe.data.samples_per_epoch == 2000 * schedule.accumulate
    assert recipe.architecture == {"width": 2048, "dropout": 0.7}


def test_videos_are_drawn_pass_by_pass() -> None:
    recipe = _recipe("data.samples_per_epoch=20", "model.width=32")
    videos = [SentimentVideo(str(i), Path(), Path(), 25.0, (), ()) for i in range(8)]
    task = SentimentTask(recipe, create("tsl-net", **recipe.architecture), videos, [])
    drawn = task.batches(np.random.default_rng(0))
    assert len(drawn) == 20
    assert sorted(drawn[:8]) == sorted(drawn[8:16]) == list(range(8))
    assert len(set(drawn[16:])) == 4


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        (["schedule.batch=4"], ConfigError, "schedule.accumulate"),
        (['optimizer.name="sgd"'], ConfigError, "optimizer.name"),
        (["model.width=100"], ConfigError, "model.width"),
    ],
)
def test_a_wrong_setting_is_named(settings: list[str], error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        _recipe(*settings)


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data"):
        run_recipe(_recipe("schedule.epochs=1"), tmp_path)
    write_sentiments(tmp_path / "set", where="picture", videos=(1, 1), seed=0)
    with pytest.raises(UsageError, match="0 videos to learn from and 1"):
        run_recipe(_recipe(f"data.path='{tmp_path / 'set'}'"), tmp_path / "run")
