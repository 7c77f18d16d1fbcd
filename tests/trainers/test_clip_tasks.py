"""The steps of the tasks: the authors' losses, and CTEN's choice of what is erased."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jack_stream.features.erasing import key_and_context
from jack_stream.models import create
from jack_stream.models.labels import VIDEO_EMOTION_8
from jack_stream.runtime import jittor
from tests.models.golden import Golden
from tests.trainers.small_networks import architecture, settings
from trainers.audio_visual.division import Division
from trainers.audio_visual.features import FeatureStore
from trainers.audio_visual.network import forward, sampling_of, together
from trainers.audio_visual.samples import Inputs, Sample, Sampling
from trainers.audio_visual.workers import Workers
from trainers.cten.recipe import CTENRecipe
from trainers.cten.task import CTENTask
from trainers.data.clips import Clip
from trainers.losses.pcce import polarity
from trainers.recipe import read_recipe
from trainers.vaanet.recipe import VAANetRecipe
from trainers.vaanet.task import VAANetTask

pytestmark = pytest.mark.jittor
jt = jittor()

KINDS: dict[str, Any] = {"vaanet": (VAANetRecipe, VAANetTask), "cten": (CTENRecipe, CTENTask)}
FRAMES = 64


def _task(method: str, folder: Path, sizes: dict[str, Any], *overrides: str) -> Any:
    recipe_kind, task_kind = KINDS[method]
    recipe = read_recipe(recipe_kind, method, ["data.workers=0", *overrides])
    model = create(method, **sizes)
    clips = tuple(_clip(i, i) for i in range(8))
    polarities = polarity(VIDEO_EMOTION_8)
    data = Division("x", VIDEO_EMOTION_8, polarities, clips, clips[:2], {}, "", "")
    store = FeatureStore(folder, model, sampling_of(model), Workers(0), quiet=True)
    return task_kind(recipe, model, data, store)


def _clip(number: int, label: int) -> Clip:
    return Clip(f"{number}", label, Path("/nowhere"), None, FRAMES, None)


@pytest.mark.parametrize("method", sorted(KINDS))
def test_a_step_has_the_authors_loss(method: str, shared: Path, tmp_path: Path) -> None:
    whole = ["erasing.enabled=false"] if method == "cten" else []
    task = _task(method, tmp_path, {"seq_len": 4}, "model.seq_len=4", *whole)
    inputs, golden = Golden(shared, f"{method}_small"), Golden(shared, f"{method}_small_train")
    task.model.set_weights(inputs.weights())
    task.module.train()
    task.module.resnet.train()  # as the release leaves it; see test_emotion_steps
    if method == "cten":
        task.module.drop.p = 0.0
    pixels, audio = inputs.input("visual"), inputs.input("audio")
    batch = [
        Sample(_clip(i, int(label)), Inputs(pixels[i].astype(np.uint8), audio[i]), 0)
        for i, label in enumerate(golden.outputs["target"])
    ]
    losses = task.loss(batch, np.random.default_rng(0))
    assert losses["total"].item() == pytest.approx(float(golden.outputs["loss"]), rel=1e-3)
    predicted = golden.outputs["logits"].argmax(1)
    right = float((predicted == golden.outputs["target"]).mean())
    assert losses["accuracy"].item() == pytest.approx(right)


def _random_batch(sampling: Sampling, count: int) -> list[Sample]:
    rng = np.random.default_rng(4)
    shape = (sampling.snippets, 3, 16, 112, 112)
    return [
        Sample(
            _clip(i, i),
            Inputs(
                rng.integers(0, 256, shape, np.uint8),
                rng.normal(size=(sampling.pieces * 100, 128)).astype(np.float32),
            ),
            i,
        )
        for i in range(count)
    ]


def test_each_clip_is_erased_by_its_own_attention(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = architecture("cten", n_classes=8, seq_len=4)
    task = _task("cten", tmp_path, sizes)
    asked: list[Any] = []

    def erased(_: Sampling, clip: Clip, kept: Any, seed: int) -> Any:
        asked.append((clip.name, kept, seed))
        return np.zeros((4, 3, 16, 112, 112), np.uint8)

    monkeypatch.setattr(Sampling, "erased", erased)
    task.module.train()
    task.module.drop.p = 0.0
    batch = _random_batch(task.sampling, 3)
    gamma = forward(task.module, task.sampling, together([s.inputs for s in batch]))["gamma"]
    key, context = key_and_context(gamma.numpy())
    assert key.any()
    assert not key.all()
    task.loss(batch, np.random.default_rng(1))
    assert [name for name, _, _ in asked] == ["0", "1", "2"] * 2
    np.testing.assert_array_equal([kept for _, kept, _ in asked], [*context, *key])
    assert len({seed for _, _, seed in asked}) == 6


def test_kept_features_stand_for_the_kept_segments(tmp_path: Path) -> None:
    sizes = architecture("cten", n_classes=8, seq_len=4)
    task = _task("cten", tmp_path, sizes, "data.cached_views=1")
    segments = np.arange(4, dtype=np.float32)[:, None].repeat(256, 1)
    task.store.load = lambda *_: Inputs(segments, np.zeros((400, 128), np.float32))
    sample = Sample(_clip(0, 0), Inputs(segments, np.zeros(0)), 0)
    for kept in ([False, True, False, True], [True, False, False, False]):
        mask = np.array(kept)
        shown = {int(row[0]) for seed in range(6) for row in task._from_kept(sample, mask, seed)}
        assert shown == set(np.flatnonzero(mask).tolist())
    nothing = task._from_kept(sample, np.zeros(4, np.bool_), 0)
    assert nothing[:, 0].tolist() == [0, 1, 2, 3]


def test_an_epoch_shows_every_clip_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    task = _task("vaanet", tmp_path, architecture("vaanet", n_classes=8), *settings("vaanet"))
    task.store.fill = lambda *_: None
    task.store.load = lambda *_: Inputs(np.zeros(1, np.float32), np.zeros(1, np.float32))
    orders = []
    for seed in (0, 0, 1):
        (batch,) = task.batches(np.random.default_rng(seed))
        orders.append([sample.clip.name for sample in batch])
        assert sorted(orders[-1]) == [str(i) for i in range(8)]
    assert orders[0] == orders[1] != orders[2]
