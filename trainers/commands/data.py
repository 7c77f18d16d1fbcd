"""``jack-train data``: look at data, prepare it, and make some."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainers.commands import prepare

if TYPE_CHECKING:
    from trainers.data.stock.inventory import Inventory

__all__ = ["app"]

app = typer.Typer(help="Look at data, prepare it, and make some.", no_args_is_help=True)
app.add_typer(prepare.app, name="prepare")


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
    paths: Annotated[
        list[Path],
        typer.Argument(help="Data sets: a folder, an annotation JSON, or a file of walks."),
    ],
    *,
    decode: Annotated[
        bool, typer.Option("--decode", help="Decode every picture and sound of videos.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that decode.")] = 2,
    all_: Annotated[
        bool, typer.Option("--all", help="List every item that can't be used, not ten.")
    ] = False,
) -> None:
    """Say what is in data sets of any layout, what is missing and what is damaged.

    The exit code is 1 if anything is missing or damaged.
    """
    from trainers.data.stock.take import take_stock  # noqa: PLC0415

    sound = True
    for path in paths:
        inventory = take_stock(path, decode=decode, jobs=jobs)
        _show(path, inventory, len(inventory.faults) if all_ else 10)
        sound = sound and not inventory.faults
    if not sound:
        raise typer.Exit(1)


def _show(path: Path, inventory: Inventory, listed: int) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    typer.echo(f"{path}: {inventory.layout}")
    table = Table()
    for i, column in enumerate(inventory.columns):
        table.add_column(column, justify="right" if i else "left", no_wrap=True)
    for row in inventory.rows[:-1]:
        table.add_row(*row)
    table.add_section()
    table.add_row(*inventory.rows[-1], style="bold")
    # A pipe has no width, and must not be cut off.
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    for note in inventory.notes:
        typer.echo(note)
    for fault in inventory.faults[:listed]:
        typer.echo(f"can't be used: {fault.name}: {fault.reason}")
    more = len(inventory.faults) - listed
    if more > 0:
        typer.echo(f"and {more} more; --all lists them")
    count = len(inventory.faults)
    typer.echo(f"{count} fault{'' if count == 1 else 's'}" if count else "no faults")
