"""The command line of the trainers: ``jack-train``."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from jack_stream.errors import JackError, UsageError

__all__ = ["app", "main"]

app = typer.Typer(
    name="jack-train",
    help="Train the models that jack-stream runs: recordings in, a bundle of weights out.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Look at data, and make some.", no_args_is_help=True)
app.add_typer(data_app, name="data")

WalksArgument = Annotated[
    list[Path],
    typer.Argument(
        help="Walks: Bandai-Namco's positions (.npz), Emotion-Gait's features (.h5, its labels "
        "beside it), or those that `jack-train data make-gaits` made.",
        metavar="WALKS...",
    ),
]
TeacherOption = Annotated[
    Path | None, typer.Option(help="STEP's published weights as plain arrays (.npz).")
]


def main() -> None:
    """Run the command line and exit; a user's mistake ends with a message and a fitting code."""
    try:
        app()
    except JackError as error:
        print(f"jack-train: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


@app.command("bpm-gcn")
def bpm_gcn(
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
    teacher: TeacherOption = None,
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
    from trainers.bpm_gcn import GaitRecipe  # noqa: PLC0415 - imports Jittor
    from trainers.gait_run import run_recipe  # noqa: PLC0415
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


@app.command("test")
def measure(
    *,
    bundle: Annotated[Path, typer.Argument(help="A bundle of weights.")],
    walks: WalksArgument,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Names of recordings, * is anything; repeatable.", metavar="PATTERN"),
    ] = None,
    per_video: Annotated[
        Path | None, typer.Option(help="Write one line per recording to this CSV file.")
    ] = None,
    teacher: TeacherOption = None,
) -> None:
    """Test a gait bundle on labelled recordings, each counted once."""
    from jack_stream.features.gait_window import GaitPreprocessing  # noqa: PLC0415
    from jack_stream.models import load  # noqa: PLC0415 - imports Jittor
    from trainers.data.gait import Examples  # noqa: PLC0415
    from trainers.evaluation import evaluate, test_examples  # noqa: PLC0415
    from trainers.gait_run import judge_of  # noqa: PLC0415

    model = load(bundle)
    card: Any = model.origin.card if model.origin else None
    if model.method != "bpm-gcn":
        raise UsageError(f"{bundle}: is of {model.method}; test knows bpm-gcn so far")
    grid = GaitPreprocessing.from_card(card.preprocessing)
    examples = Examples.joined([test_examples(path, only or ["*"], grid) for path in walks])
    result = evaluate(examples, judge_of(model, grid, card.decision.temperature))
    typer.echo("\n".join(result.lines()))
    if per_video is not None:
        result.write_csv(per_video)
    if teacher is not None:
        _test_teacher(teacher, walks, only or ["*"])


@data_app.command("make-gaits")
def make_gaits(
    out: Annotated[Path, typer.Argument(help="The .npz file to write.")],
    walks: Annotated[int, typer.Option(min=4, help="How many walks of 5 s.")] = 1600,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same walks.")] = 0,
) -> None:
    """Make walks of a jointed body in four moods, with differences between persons.

    They are stimuli after the literature, not data about people.
    """
    from trainers.data.made_walks import write_walks  # noqa: PLC0415

    write_walks(out, walks, seed)
    typer.echo(f"{out}: {walks} walks, seed {seed}")


@data_app.command()
def check(walks: WalksArgument) -> None:
    """Say what is in files of walks: recordings, seconds, contents, labels."""
    from trainers.data.walks import read_walks  # noqa: PLC0415

    for path in walks:
        found = read_walks(path)
        seconds = sum(len(walk.joints) / walk.frame_rate_hz for walk in found)
        typer.echo(f"{path}: {len(found)} recordings, {seconds:.0f} s")
        for what, values in (
            ("content", [walk.content for walk in found]),
            ("label", [walk.label or "none" for walk in found]),
        ):
            counts = ", ".join(f"{name} {n}" for name, n in sorted(Counter(values).items()))
            typer.echo(f"  {what}: {counts}")


def _test_teacher(weights: Path, walks: list[Path], names: list[str]) -> None:
    """What the teacher alone makes of the same recordings."""
    from trainers.bpm_gcn import REFERENCE  # noqa: PLC0415
    from trainers.evaluation import evaluate_teacher  # noqa: PLC0415
    from trainers.teacher import Teacher  # noqa: PLC0415

    judge = Teacher.read(weights, weights.with_name(REFERENCE))
    typer.echo("The teacher:")
    typer.echo("\n".join(evaluate_teacher(judge, walks, names).lines()))


if __name__ == "__main__":
    main()
