from pathlib import Path

import numpy as np
import pytest

from jack_stream.cli.app import app as stream_app
from jack_stream.errors import ConfigError, UsageError
from jack_stream.features.skeleton import joint_index
from jack_stream.models import load
from jack_stream.models.labels import EMOTION_GAIT
from jack_stream.models.registry import untrained
from jack_stream.weights import read_bundle
from jack_stream.weights.torchfile import write_checkpoint
from trainers.bpm_gcn.examples import Examples
from trainers.bpm_gcn.recipe import GaitRecipe
from trainers.bpm_gcn.task import GaitData, GaitTask, gather, logits_of
from trainers.cli import app
from trainers.data.made_walks import write_walks
from trainers.loop import train
from trainers.recipe import read_recipe

pytestmark = pytest.mark.jittor

TINY = (
    "model.width=4",
    "preprocessing.frames=8",
    "preprocessing.frame_rate_hz=5.0",
    "schedule.batch=16",
    "optimizer.lr=0.01",
)
HANDS = [joint_index("left_hand"), joint_index("right_hand")]


def _recipe(*overrides: str) -> GaitRecipe:
    return read_recipe(GaitRecipe, "bpm-gcn-distilled", [*TINY, *overrides])


def _waving(seed: int, count: int, *, hands: bool = True) -> Examples:
    """Bodies whose class is how high their hands are held and nothing else."""
    rng = np.random.default_rng(seed)
    upright = np.zeros((16, 3))
    upright[:, 1] = np.linspace(-0.8, 0.6, 16)
    upright[:, 0] = np.linspace(-0.2, 0.2, 16)
    classes = np.arange(count) % 4
    windows = upright + 0.01 * rng.normal(size=(count, 8, 16, 3))
    if hands:
        windows[:, :, HANDS, 2] += 0.3 * classes[:, None, None]
    clips = np.array([f"{seed}-{i}" for i in range(count)])
    return Examples(windows.astype(np.float32), np.eye(4, dtype=np.float32)[classes], clips)


def _accuracy(task: GaitTask, recipe: GaitRecipe, examples: Examples) -> float:
    task.module.eval()
    logits = logits_of(task.model, recipe.gait_preprocessing, examples.windows)
    return float((logits.argmax(1) == examples.classes).mean())


def test_it_learns_what_is_there_and_nothing_else(tmp_path: Path) -> None:
    recipe = _recipe(
        "schedule.epochs=10", "schedule.lr_steps=[]", "data.samples_per_epoch=0",
        "augmentation.camera=0.2",
    )  # fmt: skip
    data = GaitData(_waving(0, 96), _waving(1, 32), _waving(2, 0))
    task = GaitTask(recipe, data)
    history = train(task, tmp_path, recipe.schedule, quiet=True)
    assert history[-1]["train_total"] < 0.5 * history[0]["train_total"]
    assert history[-1]["validation_recall"] > 0.8  # of 32; chance is 0.25
    assert _accuracy(task, recipe, _waving(3, 64)) > 0.8
    assert _accuracy(task, recipe, _waving(3, 64, hands=False)) == pytest.approx(0.25, abs=0.15)


def test_the_command_makes_a_bundle_that_inference_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_walks(Path("train.npz"), 48, 0)
    write_walks(Path("other.npz"), 12, 1)
    settings = [
        text
        for override in (
            *TINY, "schedule.epochs=1", "data.samples_per_epoch=32", 'data.test_names=["*"]',
            'data.calibration_names=["*"]', "data.validation_share=0.3",
        )
        for text in ("--set", override)
    ]  # fmt: skip
    command = ["bpm-gcn", "run", "--recipe", "bpm-gcn-distilled", "--labelled", "train.npz"]
    more = ["--calibration", "other.npz", "--test", "other.npz"]
    app([*command, *more, *settings], standalone_mode=False)
    bundle = read_bundle("run/bundle")
    assert tuple(bundle.card.labels) == EMOTION_GAIT
    assert bundle.card.trained
    assert {d.licence for d in bundle.card.training_data} >= {"MIT"}
    assert 0 <= bundle.card.decision.abstain_below < 1
    assert load("run/bundle").architecture["width"] == 4
    assert "average recall" in Path("run/report.md").read_text()
    assert Path("run/curves.png").stat().st_size > 1000

    app(["test", "run/bundle", "other.npz", "--per-video", "out.csv"], standalone_mode=False)
    shown = capsys.readouterr().out
    recall = next(m.value for m in bundle.card.metrics if m.measured_on.startswith("other.npz"))
    assert f"average recall {recall:.3f}" in shown
    assert len(Path("out.csv").read_text().splitlines()) == 13

    tuned = ["bpm-gcn", "tuned", "--labelled", "train.npz", "--init", "run/bundle", *settings]
    app([*tuned, "--set", "data.samples_per_epoch=16"], standalone_mode=False)
    learned = {item.name: item.licence for item in read_bundle("tuned/bundle").card.training_data}
    assert learned["train.npz"] == "not stated"
    assert {item.name for item in bundle.card.training_data} < set(learned)
    assert "tensors come from run/bundle" in Path("tuned/report.md").read_text()


def test_a_checkpoint_of_the_authors_is_tested_and_fine_tuned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_walks(Path("walks.npz"), 24, 0)
    theirs = untrained("bpm-gcn", seed=5, width=4, frames=8).weights()
    write_checkpoint("theirs.pth", theirs)
    said = (
        "--set", "width=4", "--set", "frames=8", "--preprocessing", "frames=8",
        "--preprocessing", "frame_rate_hz=5.0", "--trained-on", "Walks=research only",
    )  # fmt: skip
    stream_app(
        ["weights", "import", "-m", "bpm-gcn", "theirs.pth", "imported", *said],
        standalone_mode=False,
    )
    app(["test", "imported", "walks.npz"], standalone_mode=False)
    assert "24 recordings" in capsys.readouterr().out
    settings = (*TINY, "schedule.epochs=1", "data.samples_per_epoch=16", "optimizer.lr=1e-9")
    chosen = [text for override in settings for text in ("--set", override)]
    for init, licence in (("imported", "research only"), ("theirs.pth", "not stated")):
        run = Path(f"tuned-{init}")
        command = ["bpm-gcn", str(run), "--recipe", "bpm-gcn-distilled", "--labelled", "walks.npz"]
        app([*command, "--init", init, *chosen], standalone_mode=False)
        tuned = read_bundle(run / "bundle")
        (learned,) = (d for d in tuned.card.training_data if d.name.endswith(("Walks", "with")))
        assert learned.licence == licence
        for name, value in tuned.tensors.items():
            if "running" not in name:
                np.testing.assert_allclose(value, theirs[name], atol=1e-3, err_msg=name)


def test_what_is_calibrated_on_is_not_trained_on(tmp_path: Path) -> None:
    path = tmp_path / "walks.npz"
    write_walks(path, 24, 0)
    same = [f'data.labelled=["{path}"]', f'data.calibration=["{path}"]']
    with pytest.raises(UsageError, match="trained on and calibrated on"):
        gather(_recipe(*same, 'data.calibration_names=["*"]'))


def test_motion_needs_a_teacher(shared: Path) -> None:
    path = shared / "data" / "bandai_namco_styled_motion" / "dataset1_all_pos21.npz"
    with pytest.raises(UsageError, match="teacher"):
        gather(_recipe(f'data.motion=["{path}"]'))


def test_the_papers_recipe_has_the_papers_figures() -> None:
    recipe = read_recipe(GaitRecipe, "bpm-gcn")
    assert recipe.architecture == {"frames": 48, "variant": "released", "width": 64}
    assert (recipe.optimizer.lr, recipe.optimizer.weight_decay) == (0.01, 1e-3)
    rates = [recipe.schedule.lr_share(epoch) for epoch in (0, 29, 30, 59, 60, 79)]
    np.testing.assert_allclose(rates, [1, 1, 0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize(
    ("override", "named"),
    [("schedule.epochs=0", "schedule.epochs"), ("model.wdth=8", "model.wdth"), ("x=1", "x=1")],
)
def test_a_wrong_setting_is_named(override: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read_recipe(GaitRecipe, "bpm-gcn", [override])
