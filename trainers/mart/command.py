"""``jack-train mart``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from trainers.audio_visual import options

__all__ = ["Stage", "train"]

Stage = Literal["pretrain", "finetune", "both"]


def train(
    *,
    run: options.RunArgument,
    data: options.DataOption = None,
    stage: Annotated[
        Stage, typer.Option(help="Masked pre-training, fine-tuning, or one after the other.")
    ] = "both",
    recipe: options.RecipeOption = "mart",
    set_: options.SetOption = None,
    init: options.InitOption = None,
    test: options.TestOption = None,
    resume: options.ResumeOption = False,
) -> None:
    """Train MART on clips in its two stages, test it, and write a bundle."""
    from trainers.mart.recipe import MartRecipe  # noqa: PLC0415
    from trainers.mart.run import run_recipe  # noqa: PLC0415 - imports Jittor
    from trainers.recipe import read_recipe  # noqa: PLC0415

    settings = read_recipe(MartRecipe, recipe, options.overrides(data, test, set_))
    bundle = run_recipe(settings, run, stage=stage, resume=resume, init=init)
    options.say(bundle, bundle.path.parent)
