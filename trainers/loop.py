"""The loop that every recipe runs in: epochs, checkpoints, the best weights, going on later."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tensorboardX import SummaryWriter
from tqdm import tqdm

from jack_stream.errors import UsageError
from jack_stream.runtime import device, jittor
from trainers.adam import Adam
from trainers.checkpoint import load_checkpoint, save_checkpoint
from trainers.parallel import is_first, share
from trainers.recipe import OptimizerSettings, ScheduleSettings

__all__ = ["BEST", "LAST", "Task", "make_optimizer", "train"]

jt = jittor()

_MIXED = 4
"""Jittor's level at which float16 is preferred, but sums and exponentials stay float32."""

LAST, BEST = "last.safetensors", "best.safetensors"


class Task(Protocol):
    """What a method brings into the loop.

    Attributes:
        module: the network.
        optimizer: of its parameters.
    """

    module: Any
    optimizer: Any

    def batches(self, rng: np.random.Generator) -> Sequence[Any]:
        """An epoch's batches, in the order that ``rng`` gives; they depend on nothing else."""

    def loss(self, batch: Any, rng: np.random.Generator) -> Mapping[str, Any]:
        """Scalar Vars by name, among them ``total``."""

    def validate(self) -> Mapping[str, float]:
        """Figures by name, among them ``loss``, by which the best weights are chosen.

        Without ``loss``, as where nothing is held out, only the last weights are kept.
        """


@dataclass
class _State:
    """What a checkpoint says besides the numbers."""

    epoch: int = 0
    step: int = 0
    best: float = float("inf")
    best_epoch: int = -1
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


def make_optimizer(module: Any, settings: OptimizerSettings) -> Any:
    """The optimizer of a recipe over all parameters that have a gradient."""
    module.train()  # in evaluation mode Jittor stops all gradients
    parameters = [p for p in module.parameters() if not p.is_stop_grad()]
    if settings.name == "adam":
        return Adam(parameters, settings.lr, weight_decay=settings.weight_decay)
    return jt.optim.SGD(
        parameters,
        settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.momentum > 0,
    )


def train(
    task: Task, run: Path, schedule: ScheduleSettings, *, resume: bool = False, quiet: bool = False
) -> list[dict[str, float]]:
    """Train, and leave the last and the best weights in the run's folder.

    Every random number comes from (seed, epoch, step), so that a run which was interrupted at any
    step ends in the same numbers as one that was not. Where ``mpirun`` started several processes,
    each takes its share of the batches; the first one writes, and the others end here.

    Args:
        task: the method.
        run: the folder of this run.
        schedule: how long, and with which seed.
        resume: go on from the folder's last checkpoint, where there is one.
        quiet: no progress bar.

    Returns:
        One mapping of figures per epoch; the task's module holds the last weights.

    Raises:
        UsageError: the folder holds a run already, and ``resume`` is off; or mixed precision is
            asked for without CUDA; or the loss diverged.
        MissingDependencyError: several processes were started that can't speak to each other.
    """
    run.mkdir(parents=True, exist_ok=True)
    state = _begin(task, run, resume=resume)
    base_lr = task.optimizer.lr
    first = is_first()
    folder = str(run / "tensorboard")
    with SummaryWriter(folder, purge_step=state.epoch, write_to_disk=first) as writer:
        while state.epoch < schedule.epochs and not _is_stuck(state, schedule):
            task.optimizer.lr = base_lr * schedule.lr_share(state.epoch)
            started = time.monotonic()
            with _precision(schedule):
                _epoch(task, run, schedule, state, quiet=quiet or not first)
            figures = {
                "epoch": state.epoch,
                "lr": task.optimizer.lr,
                **{f"train_{name}": value for name, value in state.sums.items()},
                **{f"validation_{name}": value for name, value in _validated(task).items()},
                "seconds": round(time.monotonic() - started, 1),
            }
            for name, value in figures.items():
                writer.add_scalar(name, value, state.epoch)
            _finish_epoch(task, run, state, figures)
    if not first:
        sys.exit()  # the first one tests, and writes the bundle
    return state.history


def _precision(schedule: ScheduleSettings) -> Any:
    """In whose scope the network runs in the recipe's precision."""
    if schedule.precision == "float32":
        return nullcontext()
    if device() != "cuda":
        raise UsageError(
            'schedule.precision = "mixed" needs CUDA, and Jittor runs on the CPU here',
            hint='Set schedule.precision = "float32".',
        )
    return jt.flag_scope(auto_mixed_precision_level=_MIXED)


def _begin(task: Task, run: Path, *, resume: bool) -> _State:
    for group in task.optimizer.param_groups:
        # Jittor would make them in the first backward pass, whose order of computing, and with it
        # the last bits of what is summed over batches, would then be another than in later ones.
        group["grads"] = [jt.zeros_like(p).stop_grad() for p in group["params"]]
    last = run / LAST
    if not last.exists():
        return _State()
    if not resume:
        raise UsageError(
            f"{run}: holds a run already", hint="Go on with --resume, or name another folder."
        )
    known = load_checkpoint(last, task.module, task.optimizer)
    known.pop("n_step")
    return _State(**known)


def _is_stuck(state: _State, schedule: ScheduleSettings) -> bool:
    return 0 < schedule.patience <= state.epoch - 1 - state.best_epoch


def _epoch(
    task: Task, run: Path, schedule: ScheduleSettings, state: _State, *, quiet: bool
) -> None:
    """The rest of an epoch; afterwards ``state.sums`` holds the means of the losses."""
    task.module.train()
    batches = share(task.batches(np.random.default_rng([schedule.seed, state.epoch])))
    saved = time.monotonic()
    todo = range(state.step, len(batches))
    for step in tqdm(todo, f"epoch {state.epoch + 1}/{schedule.epochs}", disable=quiet):
        jt.set_global_seed((schedule.seed * 7919 + state.epoch * 104729 + step) % 2**31)
        rng = np.random.default_rng([schedule.seed, state.epoch, step])
        losses = task.loss(batches[step], rng)
        task.optimizer.backward(losses["total"] / schedule.accumulate)
        whole = (step + 1) % schedule.accumulate == 0 or step + 1 == len(batches)
        if whole:
            task.optimizer.step()
        else:
            task.optimizer.n_step -= 1  # Adam corrects its moments by steps, not by batches
        for name, value in losses.items():
            state.sums[name] = state.sums.get(name, 0.0) + value.item() / len(batches)
        if not math.isfinite(state.sums["total"]):
            raise UsageError(
                f"epoch {state.epoch + 1}, step {step + 1}: the loss is no longer finite",
                hint="Go on from the last checkpoint with a smaller optimizer.lr (--resume).",
            )
        state.step = step + 1
        if whole and time.monotonic() - saved > 60 * schedule.checkpoint_minutes:
            save_checkpoint(run / LAST, task.module, task.optimizer, vars(state))
            saved = time.monotonic()


def _validated(task: Task) -> Mapping[str, float]:
    task.module.eval()
    with jt.no_grad():
        return task.validate()


def _finish_epoch(task: Task, run: Path, state: _State, figures: dict[str, float]) -> None:
    state.history.append(figures)
    better = figures.get("validation_loss", math.inf) < state.best
    if better:
        state.best, state.best_epoch = figures["validation_loss"], state.epoch
    state.epoch, state.step, state.sums = state.epoch + 1, 0, {}
    if better:
        save_checkpoint(run / BEST, task.module, task.optimizer, vars(state))
    save_checkpoint(run / LAST, task.module, task.optimizer, vars(state))
