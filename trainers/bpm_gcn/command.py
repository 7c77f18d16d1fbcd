"""``jack-train bpm-gcn``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["train"]


def train(
    *,
    run: Annotated[Path, typer.Argument(help="The run's folder: checkpoints, report, bundle.")],
    recipe: Annotated[
        str, typer.Option(help="`bpm-gcn` (the paper's), `bpm-gcn-distilled`, or a TOML file.")
    ] = "bpm-gcn",
    labelled: Annotated[
        list[Path] | None, typer.Option(help="Walks whose labels are believed; repeatable.")
    ] = None,
    motion: Annotated[
        list[Path] | None, typer.Option(help="Walks that the teacher judges; repeatable.")
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="STEP's published weights as plain arrays (.npz).")
    ] = None,
    calibration: Annotated[
        list[Path] | None,
        typer.Option(help="Labelled walks for temperature and threshold only; repeatable."),
    ] = None,
    test: Annotated[
        list[Path] | None, typer.Option(help="Labelled walks to test on at the end; repeatable.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; repeatable."),
    ] = None,
    init: Annotated[Path | None, typer.Option(help="Begin from this bundle's weights.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the run was interrupted.")
    ] = False,
) -> None:
    """Train the gait network, test it, and write a bundle."""
    from trainers.bpm_gcn.recipe import GaitRecipe  # noqa: PLC0415
    from trainers.bpm_gcn.run import run_recipe  # noqa: PLC0415 - imports Jittor
    from trainers.recipe import read_recipe  # noqa: PLC0415

    data = {"labelled": labelled, "motion": motion, "calibration": calibration, "test": test}
    given = [f"data.{k}={[str(p) for p in v]}" for k, v in data.items() if v]
    if teacher is not None:
        given.append(f"data.teacher={str(teacher)!r}")
    settings = read_recipe(GaitRecipe, recipe, [*given, *(set_ or [])])
    bundle = run_recipe(settings, run, resume=resume, init=init)
    for metric in bundle.card.metrics:
        typer.echo(f"{metric.name:18} {metric.value:.3f} on {metric.measured_on}")
    typer.echo(f"{bundle.path}: SHA-256 {bundle.digest}; see {run / 'report.md'}")
