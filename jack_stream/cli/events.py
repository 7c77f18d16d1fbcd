"""``jack-stream events``: what the journal has kept."""

from __future__ import annotations

import contextlib
import csv
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any

import typer

from jack_stream.cli.options import load_config
from jack_stream.cli.plot import check_picture, plot
from jack_stream.config import default_journal
from jack_stream.errors import JournalError, UsageError
from jack_stream.events.journal_reader import JournalReader
from jack_stream.events.schema import Alert, AnyEvent, Event, decode
from jack_stream.service.signals import stop_on_signals

__all__ = ["events", "moment"]

_FOLLOW_S = 0.2
_SHOWN = 50
_DRAWN = 2000
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_EVER_NS = 2**63 - 1


@dataclass(frozen=True)
class _Wanted:
    """Which events."""

    since_ns: int
    until_ns: int
    stream: str | None
    method: str | None
    alerts: bool


def events(
    since: Annotated[
        str | None, typer.Option(help="Published then or after: 10m, 2h, 3d ago, or ISO time.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Published before; as --since.")] = None,
    stream: Annotated[str | None, typer.Option(help="Only this stream's.")] = None,
    method: Annotated[str | None, typer.Option(help="Only this method's.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, as published.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--plot", help="Draw a timeline into this PNG, SVG or PDF file.", metavar="FILE"
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=0, help="Only the newest so many.")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option("--config", "-c", metavar="FILE|NAME", help="Whose journal."),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(help="The journal's file.", metavar="FILE", show_default=False),
    ] = None,
) -> None:
    """Print the events that were kept, oldest first; the newest 50 unless you ask for others.

    Reads the file, whether `jack-stream run` writes it just now or not. All are printed with
    --json or --csv, or where --since, --until or --limit says which. --plot draws the newest
    2000 unless you say which. Alerts are among them, but for --csv.
    """
    if (as_json, as_csv, picture is not None).count(True) > 1:
        raise UsageError("--json, --csv and --plot: choose one")
    if picture is not None:
        check_picture(picture)
        if follow:
            raise UsageError("--plot draws what there is; leave --follow out")
    path = journal or (load_config(config, []).journal_path if config else default_journal())
    wanted = _Wanted(moment(since, 0), moment(until, _EVER_NS), stream, method, not as_csv)
    if limit is None and not (as_json or as_csv or since or until):
        limit = _SHOWN if picture is None else _DRAWN
    stop = stop_on_signals() if follow else None
    with _explained(path):
        name, after = _start(path, wanted, limit)
        if picture is not None:
            with JournalReader(path) as reader:
                plot(_about(reader, after, wanted), picture)
            return
        show = _printer(as_json=as_json, as_csv=as_csv)
        while True:
            with JournalReader(path) as reader:
                if reader.name != name:  # a damaged one was set aside
                    name, after = reader.name, 0
                after = _print_all(reader, after, wanted, show)
            sys.stdout.flush()
            if stop is None or stop.wait(_FOLLOW_S):
                return


def moment(text: str | None, otherwise_ns: int) -> int:
    """Nanoseconds since 1970 of a time like ``10m`` (ago) or ISO 8601 (local without a zone).

    Raises:
        UsageError: it is neither.
    """
    if text is None:
        return otherwise_ns
    if match := _AGO.match(text.strip()):
        ago = timedelta(**{_UNITS[match[2]]: float(match[1])})
        return time.time_ns() - round(ago.total_seconds() * 1e9)
    try:
        # Python 3.10 does not know the letter.
        read = datetime.fromisoformat(re.sub(r"[zZ]\Z", "+00:00", text.strip()))
    except ValueError:
        raise UsageError(
            f"{text!r} is no time", hint="Write 90s, 10m, 2h, 3d, or 2026-03-01T08:30."
        ) from None
    return round(read.timestamp() * 1e6) * 1000


def _start(path: Path, wanted: _Wanted, limit: int | None) -> tuple[str, int]:
    """The journal's name, and the number after which to begin."""
    with JournalReader(path) as reader:
        after = reader.first_since(wanted.since_ns) - 1 if wanted.since_ns else 0
        if limit is None:
            return reader.name, after
        if limit == 0:
            return reader.name, reader.head
        if not wanted.since_ns and wanted.until_ns == _EVER_NS:  # the index knows
            newest = reader.newest(
                limit, stream=wanted.stream, method=wanted.method, alerts=wanted.alerts
            )
            return reader.name, newest - 1
        numbers = deque(map(_number, _matching(reader, after, wanted)), maxlen=limit)
        return reader.name, numbers[0] - 1 if numbers else reader.head


def _matching(reader: JournalReader, after: int, wanted: _Wanted) -> Iterator[AnyEvent]:
    while after < reader.head:
        page = reader.page(after, stream=wanted.stream, method=wanted.method, alerts=wanted.alerts)
        for payload in page.events:
            event = decode([b"", payload])
            if wanted.since_ns <= event.published_at_ns < wanted.until_ns:
                yield event
        after = page.up_to


def _about(reader: JournalReader, after: int, wanted: _Wanted) -> Iterator[AnyEvent]:
    """What matches, and the alerts about the wanted method, which are no method's own."""
    for event in _matching(reader, after, replace(wanted, method=None)):
        if wanted.method in (None, event.model.method):
            yield event


def _print_all(
    reader: JournalReader, after: int, wanted: _Wanted, show: Callable[[AnyEvent], None]
) -> int:
    for event in _matching(reader, after, wanted):
        show(event)
    return max(after, reader.head)


def _number(event: AnyEvent) -> int:
    return event.position.number if event.position is not None else 0


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except JournalError as error:
        raise JournalError(
            str(error),
            hint="Name it with --journal FILE or --config, such as /var/lib/jack-stream/"
            "events.sqlite of the systemd service, which only root may read."
            if not path.exists()
            else "",
        ) from error


def _printer(*, as_json: bool, as_csv: bool) -> Callable[[AnyEvent], None]:
    if as_json:
        from jack_stream.events.schema import encode  # noqa: PLC0415

        return lambda event: typer.echo(encode(event)[1].decode())
    if as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(_CSV)

        def write_row(event: AnyEvent) -> None:
            if isinstance(event, Event):
                writer.writerow(_CSV[name](event) for name in _CSV)

        return write_row
    typer.secho(f"{'published':<23}  {'stream':<12} {'method':<12} {'who':<9} reading", bold=True)
    return _print_line


def _print_line(event: AnyEvent) -> None:
    who = "scene" if event.person is None else f"person {event.person}"
    notes = [] if event.model.trained else ["UNTRAINED: noise"]
    if isinstance(event, Alert):
        label = f"ALERT {event.rule} {event.state}, {'+'.join(event.labels)} {event.value:.0%}"
        notes += [] if event.reason in {"above", "below"} else [event.reason]
    else:
        label = f"{event.label} {event.confidence:.0%}"
        notes += event.degraded
    line = (
        f"{_local(event.published_at_ns)}  {event.stream:<12} {event.model.method:<12} {who:<9}"
        f" {label:<20} {'; '.join(notes)}"
    )
    typer.secho(line.rstrip(), dim=not event.model.trained, bold=isinstance(event, Alert))


def _local(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9).astimezone().isoformat(" ", "milliseconds")[:23]


def _utc(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, timezone.utc).isoformat(timespec="milliseconds")


_CSV: dict[str, Callable[[Event], Any]] = {
    "number": _number,
    "published_at": lambda event: _utc(event.published_at_ns),
    "stream": lambda event: event.stream,
    "method": lambda event: event.model.method,
    "trained": lambda event: event.model.trained,
    "person": lambda event: event.person,
    "label": lambda event: event.label,
    "confidence": lambda event: round(event.confidence, 4),
    "support": lambda event: round(event.support, 4),
    "degraded": lambda event: "; ".join(event.degraded),
    "window_start_ns": lambda event: event.window.start_ns,
    "window_end_ns": lambda event: event.window.end_ns,
    "window_start_s": lambda event: event.window.start_s,
    "window_end_s": lambda event: event.window.end_s,
    "session": lambda event: event.session,
    "seq": lambda event: event.seq,
    "bundle": lambda event: event.model.bundle,
}
