"""MART's two stages: pre-training makes a bundle that fine-tuning begins from."""

from __future__ import annotations

from pathlib import Path

from jack_stream.errors import UsageError
from jack_stream.weights import Bundle
from trainers.audio_visual.run import run_clips
from trainers.mart.command import Stage
from trainers.mart.pretraining import PretrainingTask
from trainers.mart.recipe import MartRecipe
from trainers.mart.task import MartTask
from trainers.parallel import world

__all__ = ["PRETRAINING", "run_recipe"]

PRETRAINING = "pretraining"
"""Folder in a run's folder that has the first stage, a whole run of its own."""


def run_recipe(
    recipe: MartRecipe,
    run: Path,
    *,
    stage: Stage = "both",
    resume: bool = False,
    init: Path | None = None,
) -> Bundle:
    """Everything from a data set to a tested bundle; see `run_clips`.

    Args:
        recipe: the settings.
        run: the run's folder.
        stage: ``pretrain`` writes ``run/pretraining/bundle``; ``finetune`` begins there (or with
            ``init``) and writes ``run/bundle``; ``both``.
        resume: go on where the run was interrupted.
        init: a bundle or a checkpoint to begin from.
    """
    if stage == "both" and world()[1] > 1:
        raise UsageError(
            "several processes can't train both stages in one go",
            hint="Run --stage pretrain, then --stage finetune.",
        )
    first = run / PRETRAINING
    if stage != "finetune":
        bundle = run_clips(PretrainingTask, recipe.for_pretraining, first, resume=resume, init=init)
        if stage == "pretrain":
            return bundle
        init = bundle.path
    elif init is None and (first / "bundle").exists():
        init = first / "bundle"
    return run_clips(MartTask, recipe, run, resume=resume, init=init)
