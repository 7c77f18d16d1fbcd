"""``jack-stream events --plot``: kept events as a picture."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import typer

from jack_stream.errors import UsageError
from jack_stream.events.schema import Alert, AnyEvent, Event

__all__ = ["check_picture", "plot"]

_KINDS = (".png", ".svg", ".pdf")
_EVENTS = 100_000
_PANELS = 40
_NARROW = "Narrow it down with --stream, --method, --since, --until or --limit."


def check_picture(path: Path) -> None:
    """Find out before anything is read that a picture can't be written.

    Raises:
        UsageError: its folder does not exist, or its ending names no kind of picture.
    """
    if path.suffix.lower() not in _KINDS:
        raise UsageError(f"--plot {path}: the name must end in {', '.join(_KINDS)}")
    if not path.parent.is_dir():
        raise UsageError(f"--plot {path}: the folder {path.parent} does not exist")


def plot(kept: Iterable[AnyEvent], path: Path) -> None:
    """Draw a panel for each stream, method and person, with alerts, and say what was drawn.

    Raises:
        UsageError: there is nothing to draw, or more than a picture can hold.
    """
    from jack_stream.view.groups import by_whom  # noqa: PLC0415
    from jack_stream.view.timeline import save_timeline  # noqa: PLC0415 - imports Matplotlib

    everything = list(islice(kept, _EVENTS + 1))
    if len(everything) > _EVENTS:
        raise UsageError(f"these are more than {_EVENTS:,} events", hint=_NARROW)
    found = [one for one in everything if isinstance(one, Event)]
    alerts = [one for one in everything if isinstance(one, Alert)]
    if not found:
        raise UsageError(
            "there is nothing to draw: no event of the journal was asked for",
            hint="`jack-stream events` shows what there is; widen --since, --stream or --method.",
        )
    panels = len(by_whom(found))
    if panels > _PANELS:
        raise UsageError(
            f"{panels} streams, methods and people: at most {_PANELS} can be drawn", hint=_NARROW
        )
    save_timeline(found, path, alerts=alerts, clock=True)
    counted = ((len(found), "event"), (len(alerts), "alert"), (panels, "panel"))
    said = ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counted)
    typer.echo(f"{said}: {path}")
    if noise := sum(not event.model.trained for event in found):
        typer.secho(f"{noise} of them are UNTRAINED: noise, and marked so.", fg="red")
