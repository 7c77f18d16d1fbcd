"""Reads a journal, also while another process writes it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from jack_stream.closing import Closing
from jack_stream.errors import JournalError
from jack_stream.events.journal import ALERTS, check_version, explain
from jack_stream.events.schema import AnyEvent, decode, encode

__all__ = ["JournalReader", "Page"]

_LOOKED_AT = 10_000
_PEOPLE = 64
_WANTED = (
    " (:stream IS NULL OR stream = :stream) AND (:method IS NULL OR method = :method)"
    f" AND (:alerts OR method NOT GLOB '{ALERTS}*')"
)


@dataclass(frozen=True)
class Page:
    """Some of a journal's events.

    Attributes:
        events: JSON as it was published, in the order of the numbers.
        up_to: all that was asked for up to this number is in here; go on after it.
        gone: how many of the numbers that were asked for the journal has no longer.
    """

    events: list[bytes]
    up_to: int
    gone: int


class JournalReader(Closing):
    """A journal as it is now: whatever is written after the opening is not seen.

    Args:
        path: the file.

    Raises:
        JournalError: there is none or it can't be read.
        ConfigError: it is no journal, or a newer release's.

    Attributes:
        name: the journal's.
        first: number of its oldest event; ``head + 1`` where there is none.
        head: number of the newest.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with explain(path), contextlib.ExitStack() as undo:
            if not path.is_file():
                raise JournalError(f"{path}: there is no such journal")
            self._database = _open(path)
            undo.callback(self._database.close)
            self._database.execute("BEGIN")
            check_version(self._database, path)
            self.name = str(self._one("SELECT value FROM meta WHERE key = 'name'", ""))
            self.head = int(self._one("SELECT seq FROM sqlite_sequence WHERE name = 'events'", 0))
            self.first = int(self._one("SELECT min(number) FROM events", self.head + 1))
            undo.pop_all()

    def page(
        self,
        after: int = 0,
        *,
        stream: str | None = None,
        method: str | None = None,
        alerts: bool = False,
        limit: int = 500,
        max_bytes: int = 1 << 20,
    ) -> Page:
        """The events that follow a number.

        Costs the same however few of them are wanted: it looks at ten thousand at most.

        Args:
            after: the number before the first that is wanted.
            stream: only this stream's.
            method: only this method's, and no alerts.
            alerts: with the alerts.
            limit: the most of them.
            max_bytes: the most of their JSON, but for the first.
        """
        start = max(after, self.first - 1)
        end = min(self.head, start + _LOOKED_AT)
        events: list[bytes] = []
        size = 0
        with explain(self.path):
            rows = self._database.execute(
                "SELECT number, payload FROM events"  # noqa: S608 - a constant
                f" WHERE number > :start AND number <= :end AND {_WANTED} ORDER BY number",
                {"start": start, "end": end, "stream": stream, "method": method, "alerts": alerts},
            )
            up_to = start
            for number, payload in rows:
                size += len(payload)
                if len(events) == limit or (events and size > max_bytes):
                    return Page(events, up_to, start - after)
                events.append(payload)
                up_to = number
        return Page(events, max(end, start), start - after)

    def last(
        self, *, stream: str | None = None, method: str | None = None, alerts: bool = False
    ) -> list[bytes]:
        """How things stand: of each stream and method the newest window's events, all people's.

        With ``alerts`` and without a method also the alerts that have begun and not ended.

        Returns:
            JSON, marked as retained, in the order of the numbers.
        """
        found: list[tuple[int, bytes]] = []
        with explain(self.path):
            topics = self._database.execute(
                "SELECT stream, method, number FROM topics"  # noqa: S608 - a constant
                f" WHERE number >= :first AND {_WANTED}",
                {"first": self.first, "stream": stream, "method": method, "alerts": alerts},
            ).fetchall()
            for topic in topics:
                if topic[1] != ALERTS:  # the newest of all, which may be an end
                    found += self._newest_window(*topic)
        return [payload for _, payload in sorted(found)]

    def _newest_window(self, stream: str, method: str, number: int) -> list[tuple[int, bytes]]:
        """The events of one window, which one after another were published together."""
        rows = self._database.execute(
            "SELECT number, payload FROM events WHERE number > ? AND number <= ?"
            " AND stream = ? AND method = ? ORDER BY number DESC",
            (number - _PEOPLE, number, stream, method),
        ).fetchall()
        read = [(at, decode([b"", payload])) for at, payload in rows]
        people: dict[int | None, tuple[int, bytes]] = {}
        for at, event in read:  # of an alert, there is one
            if _window(event) != _window(read[0][1]):
                break
            marked = msgspec.structs.replace(event, retained=True)
            people.setdefault(event.person, (at, encode(marked)[1]))
        return list(people.values())

    def first_since(self, published_at_ns: int) -> int:
        """The smallest number of an event that was published at that time or after."""
        with explain(self.path):
            return int(
                self._one(
                    "SELECT min(number) FROM events WHERE published_at_ns >= :since",
                    self.head + 1,
                    {"since": published_at_ns},
                )
            )

    def newest(
        self,
        limit: int,
        *,
        stream: str | None = None,
        method: str | None = None,
        alerts: bool = False,
    ) -> int:
        """The number of the last but ``limit`` of a stream's and method's events."""
        with explain(self.path):
            return int(
                self._one(
                    "SELECT min(number) FROM (SELECT number FROM events"  # noqa: S608 - a constant
                    f" WHERE {_WANTED}"
                    " ORDER BY number DESC LIMIT :limit)",
                    self.head + 1,
                    {"stream": stream, "method": method, "alerts": alerts, "limit": limit},
                )
            )

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    def _one(self, query: str, otherwise: Any, values: Mapping[str, object] | None = None) -> Any:
        row = self._database.execute(query, values or {}).fetchone()
        return otherwise if row is None or row[0] is None else row[0]


def _window(event: AnyEvent) -> tuple[str, int]:
    return event.session, event.window.index


def _open(path: Path) -> sqlite3.Connection:
    place = quote(str(path.absolute()))
    database = sqlite3.connect(f"file:{place}?mode=ro", uri=True, isolation_level=None)
    try:
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        # WAL needs a file beside it, which a folder that is read-only has no room for; nobody
        # writes a journal there either.
        database.close()
        if path.with_name(f"{path.name}-wal").exists():
            raise
        return sqlite3.connect(f"file:{place}?immutable=1", uri=True, isolation_level=None)
    return database
