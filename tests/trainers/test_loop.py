from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jack_stream.errors import SourceError, UsageError
from jack_stream.models.layers import Dropout, Linear, Module, get_weights
from jack_stream.runtime import device, jittor
from trainers.checkpoint import load_checkpoint
from trainers.loop import BEST, LAST, make_optimizer, train
from trainers.losses.cross_entropy import cross_entropy
from trainers.recipe import OptimizerSettings, ScheduleSettings

pytestmark = pytest.mark.jittor
jt = jittor()

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(64, 6)).astype(np.float32)
CLASSES = (POINTS[:, 0] + 0.5 * POINTS[:, 1] > 0).astype(np.int32)


class _Network(Module):
    def __init__(self) -> None:
        self.is_train = True
        self.hidden, self.out = Linear(6, 16), Linear(16, 2)
        self.dropout = Dropout(0.2)

    def execute(self, x: Any) -> Any:
        return self.out(self.dropout(jt.maximum(self.hidden(x), 0.0)))


class _InterruptedError(Exception):
    pass


class _Toy:
    """A line between two classes; it can be killed at a step."""

    def __init__(self, optimizer: OptimizerSettings, killed_at: int = -1) -> None:
        jt.set_global_seed(3)
        self.module = _Network()
        self.optimizer = make_optimizer(self.module, optimizer)
        self._killed_at, self._steps = killed_at, 0
        self.size, self.noise = 16, 0.01

    def batches(self, rng: np.random.Generator) -> Sequence[Any]:
        return rng.permutation(64).reshape(-1, self.size)

    def loss(self, batch: Any, rng: np.random.Generator) -> dict[str, Any]:
        if self._steps == self._killed_at:
            raise _InterruptedError
        self._steps += 1
        noisy = POINTS[batch] + self.noise * rng.normal(size=(self.size, 6)).astype(np.float32)
        return {
            "total": cross_entropy(self.module(jt.array(noisy)), jt.array(CLASSES[batch])).mean()
        }

    def validate(self) -> dict[str, float]:
        logits = self.module(jt.array(POINTS))
        right = (logits.numpy().argmax(1) == CLASSES).mean()
        loss = cross_entropy(logits, jt.array(CLASSES)).mean().item()
        return {"loss": float(loss), "accuracy": float(right)}


OPTIMIZERS = {
    "sgd": OptimizerSettings(name="sgd", lr=0.1, weight_decay=1e-3),
    "adam": OptimizerSettings(name="adam", lr=0.02),
}


def _schedule(epochs: int = 6, **more: Any) -> ScheduleSettings:
    settings = {"seed": 1, "epochs": epochs, "lr_steps": [4], "checkpoint_minutes": 1e-9, **more}
    return ScheduleSettings(**settings)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_the_loss_falls_and_the_accuracy_rises(name: str, tmp_path: Path) -> None:
    history = train(_Toy(OPTIMIZERS[name]), tmp_path, _schedule(), quiet=True)
    assert [h["epoch"] for h in history] == list(range(6))
    assert history[-1]["train_total"] < 0.6 * history[0]["train_total"]
    assert history[-1]["validation_accuracy"] > 0.9
    assert history[3]["lr"] == pytest.approx(10 * history[4]["lr"])
    assert list((tmp_path / "tensorboard").iterdir())


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
@pytest.mark.parametrize("killed_at", [4, 6, 19])
def test_interrupted_and_resumed_equals_uninterrupted(
    name: str, killed_at: int, tmp_path: Path
) -> None:
    whole = _Toy(OPTIMIZERS[name])
    expected = train(whole, tmp_path / "whole", _schedule(), quiet=True)
    with pytest.raises(_InterruptedError):
        train(_Toy(OPTIMIZERS[name], killed_at), tmp_path / "torn", _schedule(), quiet=True)
    resumed = _Toy(OPTIMIZERS[name])
    history = train(resumed, tmp_path / "torn", _schedule(), resume=True, quiet=True)
    for one, other in zip(history, expected, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    for weight, value in get_weights(whole.module).items():
        np.testing.assert_array_equal(get_weights(resumed.module)[weight], value)


def test_the_best_weights_are_kept_beside_the_last(tmp_path: Path) -> None:
    task = _Toy(OptimizerSettings(name="sgd", lr=2.0))
    history = train(task, tmp_path, _schedule(), quiet=True)
    losses = [h["validation_loss"] for h in history]
    state = load_checkpoint(tmp_path / BEST, task.module, None)
    assert state["best_epoch"] == int(np.argmin(losses))
    task.module.eval()
    assert task.validate()["loss"] == pytest.approx(min(losses), rel=1e-5)


def test_it_stops_where_nothing_gets_better(tmp_path: Path) -> None:
    task = _Toy(OptimizerSettings(name="sgd", lr=1e-12, momentum=0.0))
    task.module.dropout.p = 0.0
    task.validate = lambda: {"loss": 1.0}  # type: ignore[method-assign]
    history = train(task, tmp_path, _schedule(epochs=50, patience=3), quiet=True)
    assert len(history) == 4


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_accumulated_batches_are_one_larger_batch(name: str, tmp_path: Path) -> None:
    trained = []
    for size, accumulate in ((16, 2), (32, 1)):
        task = _Toy(OPTIMIZERS[name])
        task.size, task.noise, task.module.dropout.p = size, 0.0, 0.0
        train(task, tmp_path / str(size), _schedule(2, accumulate=accumulate), quiet=True)
        assert task.optimizer.n_step == 4
        trained.append(get_weights(task.module))
    for weight, value in trained[0].items():
        np.testing.assert_allclose(trained[1][weight], value, rtol=1e-4, atol=1e-6)


def test_a_run_that_diverges_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no longer finite(.|\n)*optimizer\.lr"):
        train(_Toy(OptimizerSettings(lr=1e9)), tmp_path, _schedule(), quiet=True)


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    train(_Toy(OPTIMIZERS["sgd"]), tmp_path, _schedule(epochs=1), quiet=True)
    with pytest.raises(UsageError, match="--resume"):
        train(_Toy(OPTIMIZERS["sgd"]), tmp_path, _schedule(epochs=1), quiet=True)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / LAST).write_bytes(b"torn")
    with pytest.raises(SourceError, match=r"last\.safetensors"):
        train(_Toy(OPTIMIZERS["sgd"]), tmp_path, _schedule(), resume=True, quiet=True)


def test_mixed_precision_needs_cuda(tmp_path: Path) -> None:
    if device() == "cuda":
        pytest.skip("Jittor runs on CUDA here, where mixed precision is allowed")
    schedule = ScheduleSettings(epochs=1, precision="mixed")
    with pytest.raises(UsageError, match="needs CUDA"):
        train(_Toy(OptimizerSettings()), tmp_path, schedule, quiet=True)
