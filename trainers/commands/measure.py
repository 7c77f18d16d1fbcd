"""``jack-train test``: the papers' metrics of a bundle on a data set."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Protocol, cast

import typer

from jack_stream.errors import UsageError

__all__ = ["METHODS", "measure"]

METHODS = {
    "bpm-gcn": "trainers.bpm_gcn.measure",
    "vaanet": "trainers.vaanet.measure",
    "vaanet-audio": "trainers.vaanet_audio.measure",
    "cten": "trainers.cten.measure",
    "mart": "trainers.mart.measure",
    "tsl-net": "trainers.tsl_net.measure",
}
"""Where each method's ``measure(model, paths, names, split) -> Results`` is."""


def measure(
    *,
    bundle: Annotated[Path, typer.Argument(help="A bundle of weights.")],
    data: Annotated[
        list[Path],
        typer.Argument(help="What to test on; `jack-train data check` says what is in it."),
    ],
    only: Annotated[
        list[str] | None,
        typer.Option(help="Names of recordings, * is anything; repeatable.", metavar="PATTERN"),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="A part of the data: training, validation, test; else what is for tests."
        ),
    ] = None,
    per_video: Annotated[
        Path | None, typer.Option(help="Write one line per recording to this CSV file.")
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(help="Of bpm-gcn: STEP's published weights (.npz), tested as well."),
    ] = None,
) -> None:
    """Test a bundle on labelled recordings, each counted once."""
    from jack_stream.models import load  # noqa: PLC0415 - imports Jittor
    from trainers.evaluation import Results  # noqa: PLC0415

    class Measure(Protocol):
        def __call__(
            self, model: object, paths: list[Path], names: list[str], split: str | None
        ) -> Results: ...

    names = only or ["*"]
    model = load(bundle)
    if model.method not in METHODS:
        raise UsageError(
            f"{bundle}: is of {model.method}, which test does not know",
            hint=f"It knows {', '.join(METHODS)}.",
        )
    if teacher is not None and model.method != "bpm-gcn":
        raise UsageError("--teacher is for bundles of bpm-gcn")
    results = cast("Measure", import_module(METHODS[model.method]).measure)(
        model, data, names, split
    )
    typer.echo("\n".join(results.lines()))
    if per_video is not None:
        results.write_csv(per_video)
    if teacher is not None:
        from trainers.bpm_gcn.measure import evaluate_teacher  # noqa: PLC0415
        from trainers.bpm_gcn.teacher import Teacher  # noqa: PLC0415

        judge = Teacher.read(teacher)
        typer.echo("The teacher:\n" + "\n".join(evaluate_teacher(judge, data, names).lines()))
