"""One run of VAANet's recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jack_stream.weights import Bundle
from trainers.audio_visual.run import run_clips
from trainers.vaanet.recipe import VAANetRecipe
from trainers.vaanet.task import VAANetTask

__all__ = ["run_recipe"]


def run_recipe(
    recipe: VAANetRecipe,
    run: Path,
    *,
    resume: bool = False,
    init: Path | None = None,
    backbones: Sequence[Path] = (),
) -> Bundle:
    """Everything from a data set to a tested bundle; see `run_clips`."""
    return run_clips(VAANetTask, recipe, run, resume=resume, init=init, backbones=backbones)
