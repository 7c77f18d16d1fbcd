"""All commands, in the order that ``--help`` shows them."""

from __future__ import annotations

from typing import Annotated

import typer

import jack_stream
from jack_stream.cli import (
    analyze,
    capture,
    check,
    config,
    events,
    keys,
    live,
    notice,
    recording,
    view,
    weights,
    worker,
)

__all__ = ["app"]

app = typer.Typer(
    name="jack-stream",
    help="Live affective computing: cameras, microphones and body poses in, timed emotion events"
    " out.\n\nStart with `jack-stream demo`; then `jack-stream run --config webcam`.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"jack-stream {jack_stream.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool | None,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = None,
) -> None:
    pass


app.command()(live.demo)
app.command()(live.run)
app.command()(live.watch)
app.command()(view.view)
app.command()(notice.notice)
app.command()(events.events)
app.command()(analyze.analyze)
app.add_typer(capture.app, name="capture")
app.command()(live.infer)
app.command()(live.reload)
app.command()(recording.record)
app.command()(recording.replay)
app.command()(check.devices)
app.command()(check.models)
app.add_typer(weights.app, name="weights")
app.command()(check.doctor)
app.command()(check.warmup)
app.add_typer(config.app, name="config")
app.add_typer(keys.app, name="keys")
app.command(hidden=True)(worker.worker)
