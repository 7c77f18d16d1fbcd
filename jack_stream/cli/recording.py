"""``record`` and ``replay``: keep what was captured, and play it again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from jack_stream.cli.options import ConfigOption, SetOption, check_before_start, load_config
from jack_stream.service.signals import stop_on_signals

__all__ = ["record", "replay"]


def record(
    out: Annotated[Path, typer.Argument(help="The file to write; it must not exist yet.")],
    config: ConfigOption,
    overrides: SetOption = None,
    stream: Annotated[
        str | None, typer.Option(help="Which stream; needed where there are several.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="How long; until Ctrl-C if left out.")
    ] = None,
    poses_only: Annotated[
        bool, typer.Option(help="Keep no pictures and no sound, only poses.")
    ] = False,
) -> None:
    """Record the messages of a stream that a running system captures.

    This writes raw pictures and sound to disk, readable by you alone, and only when you ask.
    Start the system first: `jack-stream run --config ...` with the same configuration.
    """
    from jack_stream.capture.record import RecordLimits  # noqa: PLC0415
    from jack_stream.capture.record import record as write  # noqa: PLC0415
    from jack_stream.clock import Clock  # noqa: PLC0415
    from jack_stream.service.plan import sources  # noqa: PLC0415

    loaded = load_config(config, overrides)
    name = stream or loaded.streams[0].name
    if stream is None and len(loaded.streams) > 1:
        raise typer.BadParameter("the configuration has several streams; name one with --stream")
    endpoints = sources(loaded, name, poses_only=poses_only)
    limits = RecordLimits() if seconds is None else RecordLimits(max_s=seconds)
    # Not awaited: a system that starts later must wait for its own receivers, not for this one.
    summary = write(
        endpoints, out, clock=Clock(), stop=stop_on_signals(), limits=limits, awaited=False
    )
    typer.echo(f"{summary.messages} messages are in {out} ({summary.bytes_written / 1e6:.1f} MB).")


def replay(
    file: Annotated[Path, typer.Argument(help="What `jack-stream record` wrote.")],
    config: ConfigOption,
    overrides: SetOption = None,
    fast: Annotated[bool, typer.Option(help="As fast as the models can go.")] = False,
) -> None:
    """Play a recording through the analyzers of a configuration, in place of its devices.

    The first stream's sources are replaced by the recording; its analyzers look at it.
    """
    from jack_stream import log  # noqa: PLC0415
    from jack_stream.service.session import recorded  # noqa: PLC0415
    from jack_stream.service.supervisor import Supervisor  # noqa: PLC0415

    loaded = recorded(load_config(config, overrides), file, fast=fast)
    check_before_start(loaded)
    log.set_up(loaded.runtime.log_format)
    sys.exit(Supervisor(loaded).run(stop_on_signals()))
