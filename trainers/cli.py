"""The command line of the trainers: ``jack-train``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import typer

from jack_stream.errors import JackError
from trainers.bpm_gcn import command as bpm_gcn
from trainers.commands import data
from trainers.commands.measure import measure
from trainers.cten import command as cten
from trainers.mart import command as mart
from trainers.tsl_net import command as tsl_net
from trainers.vaanet import command as vaanet
from trainers.vaanet_audio import command as vaanet_audio

__all__ = ["app", "main", "run_alone"]

app = typer.Typer(
    name="jack-train",
    help="Train the models that jack-stream runs: recordings in, a bundle of weights out.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("bpm-gcn")(bpm_gcn.train)
app.command("vaanet")(vaanet.train)
app.command("cten")(cten.train)
app.command("vaanet-audio")(vaanet_audio.train)
app.command("mart")(mart.train)
app.command("tsl-net")(tsl_net.train)
app.command("test")(measure)
app.add_typer(data.app, name="data")


def main() -> None:
    """Run ``jack-train`` and exit; a user's mistake ends with a message and a fitting code."""
    _run(app)


def run_alone(command: Callable[..., None]) -> None:
    """One method's command as a program: ``python -m trainers.METHOD``."""
    alone = typer.Typer(rich_markup_mode="markdown", pretty_exceptions_enable=False)
    alone.command()(command)
    _run(alone)


def _run(program: Callable[[], Any]) -> None:
    try:
        program()
    except JackError as error:
        print(f"jack-train: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
