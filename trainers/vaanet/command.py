"""``jack-train vaanet``."""

from __future__ import annotations

from trainers.audio_visual import options

__all__ = ["train"]


def train(
    *,
    run: options.RunArgument,
    data: options.DataOption = None,
    recipe: options.RecipeOption = "vaanet",
    set_: options.SetOption = None,
    init: options.InitOption = None,
    init_backbone: options.BackboneOption = None,
    test: options.TestOption = None,
    resume: options.ResumeOption = False,
) -> None:
    """Train VAANet on clips of pictures and sound, test it, and write a bundle."""
    from trainers.recipe import read_recipe  # noqa: PLC0415
    from trainers.vaanet.recipe import VAANetRecipe  # noqa: PLC0415
    from trainers.vaanet.run import run_recipe  # noqa: PLC0415 - imports Jittor

    settings = read_recipe(VAANetRecipe, recipe, options.overrides(data, test, set_))
    bundle = run_recipe(settings, run, resume=resume, init=init, backbones=init_backbone or ())
    options.say(bundle, run)
