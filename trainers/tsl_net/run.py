"""One run of TSL-Net's recipe: read, train, test, write the bundle and the report."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from jack_stream.errors import SourceError, UsageError
from jack_stream.models.labels import TSL_300
from jack_stream.models.registry import create
from jack_stream.runtime import jittor
from jack_stream.weights import Bundle, Card, TrainingData, read_bundle, write_bundle
from trainers.audio_visual.initial import Beginning, begin_or_remember
from trainers.bundling import provenance
from trainers.checkpoint import load_checkpoint
from trainers.data.prepare.tsl import FEATURES_FROM
from trainers.data.tsl300 import SentimentSet, read_sentiments
from trainers.loop import BEST, train
from trainers.report import write_report
from trainers.tsl_net.division import divide
from trainers.tsl_net.measure import SegmentResults, localise
from trainers.tsl_net.recipe import SentimentRecipe
from trainers.tsl_net.task import SentimentTask

__all__ = ["run_recipe"]

jt = jittor()

_CANNOT_STREAM = (
    "It does not say which I3D network made its features, so that it can be tested but not run on "
    "a stream: train with --i3d, or write preprocessing.i3d into this card."
)


def run_recipe(
    recipe: SentimentRecipe, run: Path, *, resume: bool = False, init: Path | None = None
) -> Bundle:
    """Everything from features to a tested bundle ``run/bundle``.

    Args:
        recipe: the settings.
        run: the run's folder.
        resume: go on with a run that was interrupted.
        init: a bundle or checkpoint to begin from; what fits of it is taken.

    Raises:
        JackError: data, recipe or folder are wrong.
    """
    data = _read(recipe, recipe.data.path)
    training, validation = divide(data.training, recipe.data.validation_share)
    if not any(video.points for video in training) or not validation:
        raise UsageError(
            f"{recipe.data.path}: has {len(training)} videos to learn from and {len(validation)} "
            "with annotated segments to choose by; both are needed, and points in the first"
        )
    preprocessing = _preprocessing(recipe, run)
    jt.set_global_seed(recipe.schedule.seed)
    model = create("tsl-net", **recipe.architecture)
    beginning = begin_or_remember(model, init, run, resume=resume)
    task = SentimentTask(recipe, model, training, validation)
    history = train(task, run, recipe.schedule, resume=resume)
    best = load_checkpoint(run / BEST, task.module, None)
    task.module.eval()
    hide = recipe.data.hide
    tests = {f"{Path(recipe.data.path or '').name}, test part": data.test}
    if recipe.data.test is not None:
        tests[f"{recipe.data.test.name}, test part"] = _read(recipe, recipe.data.test).test
    results = {"held-out training videos": localise(model, validation, hide=hide)}
    results |= {name: localise(model, videos, hide=hide) for name, videos in tests.items()
                if any(video.segments for video in videos)}  # fmt: skip
    card = _card(recipe, data, preprocessing, results, beginning)
    bundle = write_bundle(
        run / "bundle", card, model.weights(), storage=recipe.card.storage, overwrite=True
    )
    facts = {
        "videos": f"{len(training)} to learn from, {len(validation)} to choose by",
        "left out": f"{len(data.faults)} videos",
        "labels": data.said,
        "weights at first": "; ".join(beginning.said),
        "best epoch": str(best["best_epoch"] + 1),
        "tensors": bundle.digest,
        "command": card.provenance.command,
    }
    write_report(run, "TSL-Net", history=history, results=results, facts=facts)
    return bundle


def _read(recipe: SentimentRecipe, path: Path | None) -> SentimentSet:
    if path is None:
        raise UsageError("there is nothing to learn from", hint="Name a data set: --data PATH.")
    seed, skip = recipe.schedule.seed, recipe.data.skip_corrupt
    return read_sentiments(path.expanduser(), seed=seed, skip_corrupt=skip)


def _preprocessing(recipe: SentimentRecipe, run: Path) -> dict[str, Any]:
    """What a stream, or a test, must do alike."""
    said: dict[str, Any] = {"validation_share": recipe.data.validation_share}
    if recipe.data.hide:
        said["hide"] = recipe.data.hide
    if recipe.data.i3d is not None:
        i3d = recipe.data.i3d.expanduser().resolve()
        _check_i3d(read_bundle(i3d), recipe.data.path)
        said["i3d"] = os.path.relpath(i3d, (run / "bundle").resolve())
    return said


def _check_i3d(i3d: Bundle, data: Path | None) -> None:
    """See that it is an I3D, and the one that `jack-train data prepare tsl` says it used."""
    if i3d.card.method != "i3d":
        raise UsageError(f"{i3d.path}: is a bundle of {i3d.card.method}, not of i3d")
    signed = Path(data or "").expanduser() / "features" / FEATURES_FROM
    try:
        made_by = json.loads(signed.read_bytes())["sha256"] if signed.is_file() else i3d.digest
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{signed}: can't be read: {error}") from error
    if made_by != i3d.digest:
        raise UsageError(f"{i3d.path}: is not the I3D network that made the features ({signed})")


def _card(
    recipe: SentimentRecipe,
    data: SentimentSet,
    preprocessing: dict[str, Any],
    results: dict[str, SegmentResults],
    beginning: Beginning,
) -> Card:
    stated = [item.for_card() for item in recipe.card.training_data]
    unstated = TrainingData(name=Path(recipe.data.path or "").name, licence="not stated")
    caveats = list(recipe.card.caveats)
    if recipe.data.hide:
        caveats.insert(0, f"An ablation: it was trained and tested without {recipe.data.hide}.")
    if "i3d" not in preprocessing:
        caveats.append(_CANNOT_STREAM)
    return Card(
        method="tsl-net",
        architecture=recipe.architecture,
        labels=TSL_300,
        trained=True,
        preprocessing=preprocessing,
        training_data=[*(stated or [unstated]), *beginning.training_data],
        metrics=[m for name, result in results.items() for m in result.metrics(name)],
        caveats=caveats,
        provenance=provenance(
            recipe.card.author,
            recipe.schedule.seed,
            {"data": f"sha256 {data.digest()}"},
        ),
    )
