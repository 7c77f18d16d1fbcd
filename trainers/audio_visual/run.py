"""One run: clips in, the best weights with their calibration, tests, card and report out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jack_stream.errors import UsageError
from jack_stream.models.registry import Model, create
from jack_stream.runtime import jittor
from jack_stream.weights import Bundle, Card, Decision, TrainingData, write_bundle
from trainers.audio_visual.division import Division, divide
from trainers.audio_visual.features import FeatureStore
from trainers.audio_visual.initial import Beginning, begin_or_remember
from trainers.audio_visual.measure import EmotionResults, results_of
from trainers.audio_visual.network import sampling_of
from trainers.audio_visual.recipe import ClipRecipe
from trainers.audio_visual.task import ClipTask, logits_of
from trainers.audio_visual.workers import Workers
from trainers.bundling import provenance
from trainers.checkpoint import load_checkpoint
from trainers.data.clips import read_clips, sound_rate
from trainers.loop import BEST, train
from trainers.metrics.classification import abstain_threshold, fit_temperature, softmax
from trainers.report import write_report

__all__ = ["FEATURES", "run_clips"]

jt = jittor()

FEATURES = "features"
"""Folder in a run's folder where a frozen backbone's features are kept."""

_ENOUGH_TO_CALIBRATE = 20

MakeTask = Callable[[Any, Model, Division, FeatureStore], ClipTask[Any]]


@dataclass(frozen=True)
class _Outcome:
    """What training has come to."""

    decision: Decision
    results: Mapping[str, EmotionResults]
    best_epoch: int
    history: Sequence[Mapping[str, float]]
    facts: Mapping[str, str]


def run_clips(
    make_task: MakeTask,
    recipe: ClipRecipe,
    run: Path,
    *,
    resume: bool = False,
    init: Path | None = None,
    backbones: Sequence[Path] = (),
) -> Bundle:
    """Everything from a data set to a tested bundle ``run/bundle``.

    Args:
        make_task: the method's task.
        recipe: the settings.
        run: the run's folder.
        resume: go on with a run that was interrupted.
        init: see `begin`.
        backbones: see `begin`.

    Raises:
        JackError: data, recipe or folder are wrong.
    """
    if recipe.data.path is None:
        raise UsageError("there is nothing to learn from", hint="Name a data set: --data PATH.")
    found = read_clips(recipe.data.path.expanduser(), skip_corrupt=recipe.data.skip_corrupt)
    data = divide(recipe, found)
    jt.set_global_seed(recipe.schedule.seed)
    model = create(recipe.method, **recipe.architecture(len(data.labels)))
    frozen = recipe.model.freeze_backbone
    beginning = begin_or_remember(
        model, init, run, resume=resume, backbones=backbones, frozen=frozen
    )
    outcome = _trained(make_task, recipe, run, model, data, resume=resume)
    card = _card(recipe, model, data, outcome, beginning)
    bundle = write_bundle(
        run / "bundle", card, model.weights(), storage=recipe.card.storage, overwrite=True
    )
    facts = {**_facts(data, outcome, beginning), "tensors": bundle.digest}
    facts["command"] = card.provenance.command
    write_report(run, recipe.title, history=outcome.history, results=outcome.results, facts=facts)
    return bundle


def _trained(
    make_task: MakeTask,
    recipe: ClipRecipe,
    run: Path,
    model: Model,
    data: Division,
    *,
    resume: bool,
) -> _Outcome:
    """Train, take the best weights, calibrate and test them."""
    sampling = sampling_of(
        model,
        recipe.judged_snippets,
        probability=recipe.augmentation.probability,
        hide=recipe.data.hide,
    )
    with Workers(recipe.data.workers) as workers:
        store = FeatureStore(run / FEATURES, model, sampling, workers)
        task = make_task(recipe, model, data, store)
        history = train(task, run, recipe.schedule, resume=resume)
        best = load_checkpoint(run / BEST, task.module, task.optimizer)
        task.finish()
        task.module.eval()
        decision = _decision(data, task.logits(data.validation))
        results = {
            name: results_of(
                data.labels,
                clips,
                logits_of(model, sampling, clips, workers),
                temperature=decision.temperature,
                polarities=data.polarities,
            )
            for name, clips in data.test.items()
        }
    return _Outcome(decision, results, best["best_epoch"] + 1, history, task.facts())


def _decision(data: Division, logits: npt.NDArray[np.float64]) -> Decision:
    """Temperature and threshold from the held-out clips, where there are enough of them."""
    truth = np.array([clip.label for clip in data.validation], np.int64)
    if len(truth) < _ENOUGH_TO_CALIBRATE:
        return Decision()
    alike = np.ones(len(truth))
    temperature = fit_temperature(logits, truth, alike)
    threshold = abstain_threshold(softmax(logits / temperature), truth, alike)
    return Decision(temperature=temperature, abstain_below=threshold)


def _facts(data: Division, outcome: _Outcome, beginning: Beginning) -> dict[str, str]:
    everything = [*data.training, *data.validation, *(c for t in data.test.values() for c in t)]
    silent = sum(clip.sound is None for clip in everything)
    return {
        "clips": f"{len(data.training)} to learn from, {len(data.validation)} to choose by, "
        + ", ".join(f"{len(clips)} of {name}" for name, clips in data.test.items()),
        "division": data.said,
        **({"without sound": f"{silent} clips, taken as silent"} if silent else {}),
        "weights at first": "; ".join(beginning.said),
        "best epoch": str(outcome.best_epoch),
        "temperature": f"{outcome.decision.temperature:.3f}",
        "abstain below": f"{outcome.decision.abstain_below:.2f}",
        **outcome.facts,
    }


def _card(
    recipe: ClipRecipe,
    model: Model,
    data: Division,
    outcome: _Outcome,
    beginning: Beginning,
) -> Card:
    stated = [item.for_card() for item in recipe.card.training_data]
    unstated = TrainingData(name=data.name, licence="not stated")
    caveats = list(recipe.card.caveats)
    if recipe.data.hide:
        caveats.insert(0, f"An ablation: trained and tested without the {recipe.data.hide}.")
    return Card(
        method=recipe.method,
        architecture=model.architecture,
        labels=data.labels,
        trained=True,
        preprocessing=_preprocessing(recipe, data),
        decision=outcome.decision,
        training_data=list(dict.fromkeys([*(stated or [unstated]), *beginning.training_data])),
        metrics=[m for name, result in outcome.results.items() for m in result.metrics(name)],
        caveats=caveats,
        provenance=provenance(
            recipe.card.author, recipe.schedule.seed, {"data": f"sha256 {data.digest}"}
        ),
    )


def _preprocessing(recipe: ClipRecipe, data: Division) -> dict[str, Any]:
    """What was done to the clips that the figures come from, which is what streams undergo."""
    rates = {sound_rate(clip.sound) for clip in data.training if clip.sound is not None}
    return {
        "picture": "shorter side to 112 pixels, centre square, RGB 0..255",
        "snippets": "16 frames from the middle of each of the clip's equal parts",
        **({"parts": recipe.judged_snippets} if recipe.judged_snippets else {}),
        "sound_rates_hz": sorted(rates),
        **({"hide": recipe.data.hide} if recipe.data.hide else {}),
    }
