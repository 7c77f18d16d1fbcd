"""``jack-train tsl-net``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainers.audio_visual import options

__all__ = ["train"]


def train(
    *,
    run: options.RunArgument,
    data: Annotated[
        Path | None, typer.Option(help="A folder laid out as TSL-300; docs/training.md shows it.")
    ] = None,
    recipe: options.RecipeOption = "tsl-net",
    i3d: Annotated[
        Path | None,
        typer.Option(help="The bundle that made the features; the new bundle runs with it."),
    ] = None,
    set_: options.SetOption = None,
    init: options.InitOption = None,
    test: Annotated[
        Path | None, typer.Option(help="Another such folder, whose test part is tested on too.")
    ] = None,
    resume: options.ResumeOption = False,
) -> None:
    """Train TSL-Net on features and labelled points, test it, and write a bundle."""
    from trainers.recipe import read_recipe  # noqa: PLC0415
    from trainers.tsl_net.recipe import SentimentRecipe  # noqa: PLC0415
    from trainers.tsl_net.run import run_recipe  # noqa: PLC0415 - imports Jittor

    given = [f"data.i3d={str(i3d)!r}"] if i3d else []
    settings = read_recipe(SentimentRecipe, recipe, [*given, *options.overrides(data, test, set_)])
    options.say(run_recipe(settings, run, resume=resume, init=init), run)
