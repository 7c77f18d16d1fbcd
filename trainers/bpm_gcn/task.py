"""BPM-GCN in the training loop: from walks to losses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.errors import UsageError
from jack_stream.features import gait
from jack_stream.features.gait_window import GaitPreprocessing, normalise
from jack_stream.models.labels import EMOTION_GAIT
from jack_stream.models.registry import Model, create
from jack_stream.runtime import jittor
from trainers.augmentation.camera import mirrored, seen_by_a_camera
from trainers.augmentation.gait import random_move
from trainers.bpm_gcn.examples import Examples, distilled, labelled, matching, split
from trainers.bpm_gcn.recipe import DataSettings, GaitRecipe
from trainers.bpm_gcn.teacher import Teacher
from trainers.data.walks import Walk, read_walks
from trainers.loop import make_optimizer
from trainers.losses.bpm_gcn import bpm_gcn_loss
from trainers.losses.class_weights import class_weights
from trainers.metrics.classification import average_recall, confusion_matrix, softmax

__all__ = ["GaitData", "GaitTask", "gather", "logits_of"]

jt = jittor()


class GaitData:
    """A run's three parts.

    Attributes:
        training: what the weights come from.
        validation: held-out recordings of the same kinds; chooses the best epoch.
        calibration: other recordings with labels of their own; may be empty.
    """

    def __init__(self, training: Examples, validation: Examples, calibration: Examples) -> None:
        self.training, self.validation, self.calibration = training, validation, calibration


def gather(recipe: GaitRecipe) -> GaitData:
    """Read, judge, cut and divide a recipe's data.

    Raises:
        UsageError: nothing is there to learn from, or motion without a teacher.
        SourceError: a file can't be read.
    """
    data, grid = recipe.data, recipe.gait_preprocessing
    certain = labelled(_read(data.labelled), grid, data.hop_s)
    judged = labelled([], grid, data.hop_s)
    if data.motion:
        walks = [w for w in _read(data.motion) if w.content in data.contents]
        hidden = {w.name for w in matching(walks, data.leave_out)}
        judged = distilled(
            [w for w in walks if w.name not in hidden],
            _teacher(data),
            grid,
            data.hop_s,
            neutral=data.neutral,
            neutral_share=data.neutral_share,
        )
    training, validation = split(Examples.joined([certain, judged]), data.validation_share)
    if not len(training) or not len(validation):
        raise UsageError("the data are too few to hold some out for validation")
    outside = matching(_read(data.calibration), data.calibration_names)
    calibration = labelled(outside, grid, data.hop_s)
    if shared := set(calibration.clips) & (set(training.clips) | set(validation.clips)):
        raise UsageError(f"{min(shared)} is to be trained on and calibrated on")
    return GaitData(training, validation, calibration)


class GaitTask:
    """BPM-GCN in the training loop.

    Attributes:
        model: what is trained.
        module: its Jittor module.
        optimizer: of its parameters.
    """

    def __init__(self, recipe: GaitRecipe, data: GaitData) -> None:
        jt.set_global_seed(recipe.schedule.seed)
        self.model: Model = create("bpm-gcn", **recipe.architecture)
        self.module = self.model.module
        self.optimizer = make_optimizer(self.module, recipe.optimizer)
        self._recipe, self._data = recipe, data
        self._grid = recipe.gait_preprocessing
        self._weights = class_weights(recipe.loss.class_weights, data.training.targets.sum(0))

    def batches(self, rng: np.random.Generator) -> Sequence[npt.NDArray[np.int64]]:
        """Indices of the training examples, batch by batch."""
        training, wanted = self._data.training, self._recipe.data.samples_per_epoch
        if wanted:
            mass = training.targets.sum(0)
            chance = np.cumsum((training.targets / np.maximum(mass, 1e-6)).sum(1))
            order = np.searchsorted(chance / chance[-1], rng.random(wanted), side="right")
        else:
            order = rng.permutation(len(training))
        size = self._recipe.schedule.batch
        return [order[i : i + size] for i in range(0, len(order), size)]

    def loss(self, batch: npt.NDArray[np.int64], rng: np.random.Generator) -> dict[str, Any]:
        """The losses of the chosen examples, augmented."""
        training = self._data.training
        samples = [self._sample(training.windows[i].astype(np.float64), rng) for i in batch]
        posture, movement, affective = (np.stack(part) for part in zip(*samples, strict=True))
        outputs = self.module(jt.array(posture), jt.array(movement))
        targets = jt.array(training.targets[batch])
        return bpm_gcn_loss(outputs, targets, jt.array(affective), weights=self._weights)

    def validate(self) -> dict[str, float]:
        """Cross entropy with the held-out targets and the recall of their likeliest classes."""
        validation = self._data.validation
        probabilities = softmax(logits_of(self.model, self._grid, validation.windows))
        entropy = -(validation.targets * np.log(probabilities + 1e-12)).sum(1)
        matrix = confusion_matrix(validation.classes, probabilities.argmax(1), len(EMOTION_GAIT))
        return {"loss": float(entropy.mean()), "recall": average_recall(matrix)}

    def _sample(
        self, joints: npt.NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], ...]:
        how = self._recipe.augmentation
        if how.mirror and rng.random() < 0.5:
            joints = mirrored(joints)
        if how.camera:
            joints = seen_by_a_camera(joints, rng, how.camera * rng.random())
        points = normalise(joints, heading=self._grid.heading, height=self._grid.height)
        posture, movement = gait.posture(points), gait.movement(points)
        affective = gait.affective_features(points).astype(np.float32).ravel()
        if how.random_move:
            posture, movement = random_move(posture, rng), random_move(movement, rng)
        return posture, movement, affective


def logits_of(
    model: Model, preprocessing: GaitPreprocessing, windows: npt.ArrayLike, batch: int = 32
) -> npt.NDArray[np.float64]:
    """The network's logits ``[N, 4]`` for windows ``[N, frames, 16, 3]``, as on a live stream."""
    joints = np.asarray(windows, np.float64)
    scored = []
    for i in range(0, len(joints), batch):
        inputs = [preprocessing.inputs(one) for one in joints[i : i + batch]]
        together = {name: np.concatenate([one[name] for one in inputs]) for name in inputs[0]}
        scored.append(model.infer(together)["logits"])
    return np.concatenate(scored).astype(np.float64)


def _read(paths: Sequence[Path]) -> list[Walk]:
    return [walk for path in paths for walk in read_walks(path.expanduser())]


def _teacher(data: DataSettings) -> Teacher:
    if data.teacher is None:
        raise UsageError(
            "data.motion has no labels, so it needs a teacher",
            hint="Name STEP's weights: --teacher step_....npz",
        )
    return Teacher.read(data.teacher, data.reference)
