"""``jack-train data``: look at data, and make some."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Look at data, and make some.", no_args_is_help=True)


@app.command("make-gaits")
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


@app.command()
def check(
    walks: Annotated[
        list[Path],
        typer.Argument(
            help="Walks: Bandai-Namco's positions (.npz), Emotion-Gait's features (.h5, its labels "
            "beside it), or those that `jack-train data make-gaits` made.",
            metavar="WALKS...",
        ),
    ],
) -> None:
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
