"""``jack-train vaanet-audio``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jack_stream.errors import UsageError

__all__ = ["train"]


def train(
    *,
    run: Annotated[Path, typer.Argument(help="The run's folder: checkpoints, report, bundle.")],
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="A data set to learn from: RAVDESS, EmoDB, or sounds with a CSV; repeatable."
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="`vaanet-audio` (the paper's), `vaanet-audio-speech`, or a file.")
    ] = "vaanet-audio",
    folds: Annotated[
        int | None, typer.Option(min=2, help="Evaluate by so many parts of the speakers.")
    ] = None,
    leave_one_speaker_out: Annotated[
        bool, typer.Option("--leave-one-speaker-out", help="Evaluate with each speaker held out.")
    ] = False,
    across: Annotated[
        bool, typer.Option("--across", help="Evaluate on each data set after learning the others.")
    ] = False,
    test: Annotated[
        list[Path] | None, typer.Option(help="Another data set to test on at the end; repeatable.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; repeatable."),
    ] = None,
    skip_corrupt: Annotated[
        bool, typer.Option("--skip-corrupt", help="Leave out recordings that are damaged.")
    ] = False,
    init: Annotated[
        Path | None, typer.Option(help="Begin with this bundle's or checkpoint's weights.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the run was interrupted.")
    ] = False,
) -> None:
    """Train VAANet's audio stream on voices, test it by speaker, and write a bundle."""
    from trainers.recipe import read_recipe  # noqa: PLC0415
    from trainers.vaanet_audio.recipe import VoiceRecipe  # noqa: PLC0415
    from trainers.vaanet_audio.run import run_recipe  # noqa: PLC0415 - imports Jittor

    if leave_one_speaker_out and folds is not None:
        raise UsageError("--folds and --leave-one-speaker-out exclude each other")
    given = [
        f"data.{key}={[str(path) for path in paths]}"
        for key, paths in (("paths", data), ("test", test))
        if paths
    ]
    if leave_one_speaker_out or folds is not None:
        given.append(f"data.folds={folds or 0}")
    given += [
        f"data.{k}=true" for k, on in (("across", across), ("skip_corrupt", skip_corrupt)) if on
    ]
    settings = read_recipe(VoiceRecipe, recipe, [*given, *(set_ or [])])
    bundle = run_recipe(settings, run, resume=resume, init=init)
    for metric in bundle.card.metrics:
        typer.echo(f"{metric.name:28} {metric.value:.3f} on {metric.measured_on}")
    typer.echo(f"{bundle.path}: SHA-256 {bundle.digest}; see {run / 'report.md'}")
