"""One run of BPM-GCN's recipe: gather, train, calibrate, test, write the bundle and the report."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jack_stream.errors import SourceError, UsageError
from jack_stream.features.gait_window import GaitPreprocessing
from jack_stream.models.labels import EMOTION_GAIT
from jack_stream.models.registry import Model
from jack_stream.weights import Bundle, Card, Decision, TrainingData, write_bundle
from trainers.audio_visual.initial import Beginning, begin_or_remember
from trainers.bpm_gcn.examples import Examples
from trainers.bpm_gcn.measure import evaluate, judge_of, test_examples
from trainers.bpm_gcn.recipe import GaitRecipe
from trainers.bpm_gcn.task import GaitData, GaitTask, gather, logits_of
from trainers.bundling import provenance
from trainers.checkpoint import load_checkpoint
from trainers.evaluation import ClipResults
from trainers.loop import BEST, train
from trainers.metrics.classification import (
    abstain_threshold,
    fit_temperature,
    softmax,
)
from trainers.report import write_report

__all__ = ["run_recipe"]

EXAMPLES = "examples.npz"


def run_recipe(
    recipe: GaitRecipe, run: Path, *, resume: bool = False, init: Path | None = None
) -> Bundle:
    """Everything from data to a tested bundle ``run/bundle``.

    Args:
        recipe: the settings.
        run: the run's folder.
        resume: go on with a run that was interrupted.
        init: a bundle or a checkpoint to begin from, as far as it fits; its licences go on.

    Raises:
        JackError: data, recipe or folder are wrong.
    """
    run.mkdir(parents=True, exist_ok=True)
    data = _gathered(recipe, run)
    task = GaitTask(recipe, data)
    beginning = begin_or_remember(task.model, init, run, resume=resume)
    history = train(task, run, recipe.schedule, resume=resume)
    best = load_checkpoint(run / BEST, task.module, None)
    task.module.eval()
    grid = recipe.gait_preprocessing
    decision = _decision(task.model, grid, data.calibration)
    judge = judge_of(task.model, grid, decision.temperature)
    results = {
        path.name: evaluate(test_examples(path, recipe.data.test_names, grid), judge)
        for path in recipe.data.test
    }
    if len(data.calibration):
        results = {"calibration": evaluate(data.calibration, judge), **results}
    card = _card(recipe, data, decision, results, beginning)
    bundle = write_bundle(
        run / "bundle",
        card,
        task.model.weights(),
        storage=recipe.card.storage,
        overwrite=True,
    )
    facts = {
        "examples": f"{len(data.training)} to learn, {len(data.validation)} to validate",
        "weights at first": "; ".join(beginning.said),
        "best epoch": str(best["best_epoch"] + 1),
        "temperature": f"{decision.temperature:.3f}",
        "abstain below": f"{decision.abstain_below:.2f}",
        "tensors": bundle.digest,
        "command": card.provenance.command,
    }
    write_report(run, "BPM-GCN", history=history, results=results, facts=facts)
    return bundle


def _gathered(recipe: GaitRecipe, run: Path) -> GaitData:
    """The run's examples, kept in its folder: a teacher takes minutes over them."""
    tests = {"test", "test_names"}
    settings = recipe.data.model_dump_json(exclude=tests) + recipe.preprocessing.model_dump_json()
    key = hashlib.sha256(settings.encode()).hexdigest()
    path, parts = run / EXAMPLES, ("training", "validation", "calibration")
    if path.exists():
        try:
            with np.load(path, allow_pickle=False) as stored:
                kept = {name: stored[name] for name in stored.files}
        except (OSError, ValueError) as error:
            raise SourceError(f"{path}: can't be read: {error}") from error
        if str(kept["key"]) != key:
            raise UsageError(
                f"{path}: was made with other data settings", hint="Name another folder."
            )
        return GaitData(*(Examples(*(kept[f"{part}/{i}"] for i in range(3))) for part in parts))
    data = gather(recipe)
    arrays = {
        f"{part}/{i}": array
        for part in parts
        for i, array in enumerate(vars(getattr(data, part)).values())
    }
    partial = path.with_name(f"{os.getpid()}.partial.npz")
    np.savez(partial, key=np.array(key), **arrays)
    partial.replace(path)  # whole or not at all, also when several train together
    return data


def _decision(model: Model, grid: GaitPreprocessing, calibration: Examples) -> Decision:
    """Temperature and threshold from recordings that were neither trained nor tested on."""
    if not len(calibration):
        return Decision()
    logits, weights = logits_of(model, grid, calibration.windows), calibration.clip_weights
    temperature = fit_temperature(logits, calibration.classes, weights)
    threshold = abstain_threshold(softmax(logits / temperature), calibration.classes, weights)
    return Decision(temperature=temperature, abstain_below=threshold)


def _card(
    recipe: GaitRecipe,
    data: GaitData,
    decision: Decision,
    results: Mapping[str, ClipResults],
    beginning: Beginning,
) -> Card:
    stated = [item.for_card() for item in recipe.card.training_data]
    sources = [*recipe.data.labelled, *recipe.data.motion]
    unstated = [TrainingData(name=path.name, licence="not stated") for path in sources]
    return Card(
        method="bpm-gcn",
        architecture=recipe.architecture,
        labels=EMOTION_GAIT,
        trained=True,
        preprocessing=recipe.gait_preprocessing.to_card(),
        decision=decision,
        training_data=list(dict.fromkeys([*(stated or unstated), *beginning.training_data])),
        metrics=[m for name, result in results.items() for m in result.metrics(name)],
        caveats=recipe.card.caveats,
        provenance=provenance(
            recipe.card.author,
            recipe.schedule.seed,
            {"training examples": f"sha256 {data.training.digest()}"},
        ),
    )
