"""``doctor``, ``warmup``, ``devices``, ``models``: what is there, and is it ready?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from jack_stream.cli.options import SetOption, load_config

__all__ = ["devices", "doctor", "models", "warmup"]

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def doctor(as_json: _Json = False) -> None:
    """Check this machine, with a plain sentence for each thing that is missing.

    Exits with 0 if everything that is needed is there.
    """
    from jack_stream.service.doctor import findings  # noqa: PLC0415

    found = findings()
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
    else:
        table = Table(box=None, show_header=False)
        for one in found:
            sign = "[green]ok[/]" if one.ok else "[red]missing[/]" if one.required else "[dim]no[/]"
            advice = Text(f"\n{one.advice}" if one.advice and not one.ok else "", style="yellow")
            table.add_row(sign, one.name, Text(one.found).append_text(advice))
        Console().print(table)
    if any(one.required and not one.ok for one in found):
        sys.exit(69)


def warmup(
    config: Annotated[
        str, typer.Option("--config", "-c", metavar="FILE|NAME", help="Whose models to compile.")
    ] = "demo",
    overrides: SetOption = None,
) -> None:
    """Compile the kernels of a configuration's models now, so that a start takes seconds."""
    from jack_stream import runtime  # noqa: PLC0415
    from jack_stream.inference.catalogue import check_methods, make_analyzer  # noqa: PLC0415
    from jack_stream.inference.warming import warm_up  # noqa: PLC0415

    loaded = load_config(config, overrides)
    settings = [one for stream in loaded.streams for one in stream.analyzers]
    check_methods(settings)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("Jittor's core", total=1 + len(settings))
        runtime.prepare(threads=loaded.runtime.threads, device=loaded.runtime.device)
        runtime.jittor()
        progress.advance(task)
        for one in settings:
            progress.update(task, description=f"{one.method} ({one.bundle})")
            warm_up(make_analyzer(one))
            progress.advance(task)
    typer.echo("Ready: the compiled kernels are kept for the next start.")


def devices(as_json: _Json = False) -> None:
    """List the cameras and microphones of this machine."""
    from jack_stream.capture.devices import list_cameras, list_microphones  # noqa: PLC0415

    cameras, microphones = list_cameras(), list_microphones()
    if as_json:
        found = {
            "cameras": [asdict(one) for one in cameras],
            "microphones": [asdict(one) for one in microphones],
        }
        typer.echo(json.dumps(found, indent=2))
        return
    table = Table("", "give as", "name", "", box=None)
    for camera in cameras:
        name = Text(camera.name)  # a device's maker may write brackets, which are no markup
        table.add_row("camera", f"{camera.index} or {camera.path}", name, camera.problem)
    for one in microphones:
        about = f"{one.sample_rate} Hz, {one.host_api}{', default' if one.default else ''}"
        table.add_row("microphone", f"{one.index} or part of the name", Text(one.name), about)
    if table.row_count:
        Console().print(table)
    else:
        typer.echo("No camera and no microphone was found; files, URLs and `demo` work without.")


def models(as_json: _Json = False) -> None:
    """List the methods: what they look at, where they come from, which weights there are."""
    from jack_stream.inference.catalogue import ANALYZERS, shipped_bundle  # noqa: PLC0415
    from jack_stream.models.registry import METHODS  # noqa: PLC0415

    if as_json:
        listing = [
            {
                "method": name,
                "summary": method.summary,
                "source": method.source,
                "modalities": list(method.modalities),
                "labels": list(method.labels),
                "live": name in ANALYZERS,
                "weights": "default" if shipped_bundle(name) else None,
            }
            for name, method in METHODS.items()
        ]
        typer.echo(json.dumps(listing, indent=2))
        return
    console = Console()
    for name, method in METHODS.items():
        weights = "default" if shipped_bundle(name) else "[yellow]none: import or train[/]"
        live = "live" if name in ANALYZERS else "a part of others"
        console.print(f"[bold]{name}[/] ({' + '.join(method.modalities)}): {method.summary}")
        console.print(f"    {method.source}; {live}; weights: {weights}", style="dim")
