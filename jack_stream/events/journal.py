"""The journal: every published event in one SQLite file, written before it is published.

One process writes it; any number may read it meanwhile (journal_reader.py). The file is in WAL
mode with ``synchronous=FULL``: what :meth:`Journal.keep` has returned survives a kill of any
process and, on a disk that keeps what it has confirmed, a loss of power.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from jack_stream.closing import Closing
from jack_stream.errors import ConfigError, JournalCorruptError, JournalError
from jack_stream.events.schema import Alert, AnyEvent, Position, encode

__all__ = [
    "ALERTS",
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "Journal",
    "check_version",
    "explain",
    "set_aside",
]

SCHEMA_VERSION = 1
APPLICATION_ID = 0x4A41434B
"""The letters JACK, so that no other program's database is taken for a journal."""
ALERTS = "alert/"
"""Begins what stands in the column ``method`` for an alert: ``alert/<rule>/<method>/<person>``."""
_BUSY_MS = 5000
_WAL_BYTES = 4 * 1024 * 1024
_PRUNED_AT_ONCE = 1000
_VACUUMED_PAGES = 1000
_SESSIONS_KEPT = 16
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    published_at_ns INTEGER NOT NULL,
    stream TEXT NOT NULL,
    method TEXT NOT NULL,
    payload BLOB NOT NULL
);
CREATE INDEX events_by_time ON events (published_at_ns);
CREATE TABLE topics (
    stream TEXT NOT NULL, method TEXT NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (stream, method)
) WITHOUT ROWID;
CREATE TABLE feeds (
    session TEXT PRIMARY KEY, number INTEGER NOT NULL, head INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
"""``payload`` is the JSON as it is published; ``topics`` has the newest number of each stream's
methods, of its alerts as a whole (``alert/``), and of each alert that has begun and not ended;
``feeds`` how far each run of inference has been taken in, so that what it sends again is not kept
twice."""


class Journal(Closing):
    """The file, open for writing; it is made if there is none.

    Args:
        path: the file; its folder is made for its owner alone if need be.

    Raises:
        JournalError: it can't be written now: no room, no right, a failing disk.
        JournalCorruptError: it is damaged, see :func:`set_aside`.
        ConfigError: another process writes it, a newer release wrote it, or it is something else.

    Attributes:
        name: random, so that numbers of one file are never taken for another's.
        first: number of the oldest event; ``head + 1`` where there is none.
        head: number of the newest event ever kept, 0 before the first.
    """

    name: str
    first: int
    head: int
    _newest: dict[str, int]
    _inode: int

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = _lock(path)
        try:
            with explain(path):
                self._database = _open(path)
                self._make()
                self._read()
        except BaseException:
            self.close()
            raise

    def keep(self, events: Sequence[AnyEvent], feeds: Mapping[str, int]) -> list[list[bytes]]:
        """Write events down, all or none, and return when they are on the disk.

        Args:
            events: in the order of publication.
            feeds: session -> how far it has been taken in, once these are kept.

        Returns:
            the events as they are to be published: topic and JSON with their positions.

        Raises:
            JournalError: none was kept.
        """
        number, newest = self.head, dict(self._newest)
        placed: list[AnyEvent] = []
        for event in events:
            number += 1
            position = Position(
                journal=self.name, number=number, previous=newest.get(event.stream, 0)
            )
            newest[event.stream] = number
            placed.append(msgspec.structs.replace(event, position=position))
        parts = [encode(one) for one in placed]
        rows = [
            (self.head + i, one.published_at_ns, one.stream, _lane(one), payload)
            for i, (one, (_, payload)) in enumerate(zip(placed, parts, strict=True), start=1)
        ]
        with self._transaction() as database:
            database.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", rows)
            database.executemany(
                "INSERT OR REPLACE INTO topics VALUES (?, ?, ?)",
                [(*topic, last) for topic, last in _topics(placed).items()],
            )
            database.execute("DELETE FROM topics WHERE number = 0")
            database.executemany(
                "INSERT OR REPLACE INTO feeds VALUES (?, ?, ?)",
                [(session, last, number) for session, last in feeds.items()],
            )
            database.execute(
                "DELETE FROM feeds WHERE session NOT IN"
                " (SELECT session FROM feeds ORDER BY head DESC LIMIT ?)",
                (_SESSIONS_KEPT,),
            )
        self.head, self._newest = number, newest
        return parts

    def fed(self, session: str) -> int:
        """How far a session has been taken in; -1 if not at all."""
        with explain(self.path):
            row = self._database.execute(
                "SELECT number FROM feeds WHERE session = ?", (session,)
            ).fetchone()
        return -1 if row is None else int(row[0])

    def forget_alerts(self, rules: Collection[str]) -> None:
        """Let nothing of rules but these count as begun and not ended: nobody ends it any more.

        Raises:
            JournalError: it can't be written now.
        """
        with self._transaction() as database:
            open_ = database.execute(
                "SELECT stream, method FROM topics WHERE method GLOB ?", (f"{ALERTS}?*",)
            ).fetchall()
            gone = [one for one in open_ if one[1].split("/")[1] not in rules]
            database.executemany("DELETE FROM topics WHERE stream = ? AND method = ?", gone)

    def prune(self, *, older_than_ns: int, max_bytes: int) -> int:
        """Delete the oldest events that are too old or too many, a thousand at most.

        Args:
            older_than_ns: events that were published before this go.
            max_bytes: of the file; more than that makes the oldest go.

        Returns:
            how many went; call again while it is not 0.

        Raises:
            JournalError: it can't be written now.
        """
        with explain(self.path):
            oldest = self._database.execute(
                "SELECT number, published_at_ns FROM events ORDER BY number LIMIT ?",
                (_PRUNED_AT_ONCE,),
            ).fetchall()
            size = self.size_bytes()
        gone = 0
        while gone < len(oldest) and oldest[gone][1] < older_than_ns:
            gone += 1
        if size > max_bytes:  # the share that is too much, as far as one can tell from the size
            count = self.head - self.first + 1
            gone = min(len(oldest), max(gone, 1 + count * (size - max_bytes) // size))
        if gone == 0:
            return 0
        with self._transaction() as database:
            database.execute("DELETE FROM events WHERE number <= ?", (oldest[gone - 1][0],))
        self.first = oldest[gone - 1][0] + 1
        with explain(self.path):
            # Unlike execute(), this runs the pragma to its end instead of one page far.
            self._database.executescript(f"PRAGMA incremental_vacuum({_VACUUMED_PAGES});")
        return gone

    def size_bytes(self) -> int:
        """What the events take up in the file."""
        with explain(self.path):
            pages, free, size = (
                int(self._database.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_count", "freelist_count", "page_size")
            )
        return (pages - free) * size

    def is_in_place(self) -> bool:
        """Whether the file still stands at its path."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Close the file and let others write it."""
        with contextlib.suppress(sqlite3.Error, AttributeError):
            self._database.close()
        os.close(self._lock)

    def _make(self) -> None:
        """Make the tables where there are none, and try whether the disk takes anything."""
        database = self._database
        database.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables == 0:
            database.execute("PRAGMA auto_vacuum = INCREMENTAL")
            database.execute("PRAGMA journal_mode = WAL").fetchone()
            database.executescript(_SCHEMA)
        check_version(database, self.path)
        database.execute("PRAGMA journal_mode = WAL").fetchone()
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        with self._transaction():
            database.execute(
                "INSERT OR IGNORE INTO meta VALUES ('name', ?)", (secrets.token_hex(8),)
            )
            database.execute(
                "INSERT OR REPLACE INTO meta VALUES ('opened_at_ns', ?)", (str(time.time_ns()),)
            )

    def _read(self) -> None:
        database = self._database
        self.name = str(database.execute("SELECT value FROM meta WHERE key = 'name'").fetchone()[0])
        row = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        self.head = 0 if row is None else int(row[0])
        first = database.execute("SELECT min(number) FROM events").fetchone()[0]
        self.first = self.head + 1 if first is None else int(first)
        self._newest = dict(
            database.execute("SELECT stream, max(number) FROM topics GROUP BY stream")
        )
        self._inode = self.path.stat().st_ino

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with explain(self.path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise


def _lane(event: AnyEvent) -> str:
    """What stands in the column ``method``."""
    if isinstance(event, Alert):
        return f"{ALERTS}{event.rule}/{event.model.method}/{event.person}"
    return event.model.method


def _topics(placed: Sequence[AnyEvent]) -> dict[tuple[str, str], int]:
    """Stream and lane -> the newest number; 0 for an alert that has ended."""
    topics: dict[tuple[str, str], int] = {}
    for one in placed:
        number = 0 if one.position is None else one.position.number
        if isinstance(one, Alert):
            topics[one.stream, ALERTS] = number
            number = number if one.state == "began" else 0
        topics[one.stream, _lane(one)] = number
    return topics


def check_version(database: sqlite3.Connection, path: Path) -> None:
    """Raise ConfigError unless a database is a journal of a version that this release knows."""
    kind = database.execute("PRAGMA application_id").fetchone()[0]
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if kind != APPLICATION_ID:
        raise ConfigError(
            f"{path}: is a database, but no journal of events",
            hint="Set journal.path to a file of its own.",
        )
    if version > SCHEMA_VERSION:
        raise ConfigError(
            f"{path}: was written by a newer release (journal version {version}; this one knows"
            f" {SCHEMA_VERSION})",
            hint="Install that release again, or set journal.path to another file.",
        )


@contextlib.contextmanager
def explain(path: Path) -> Iterator[None]:
    """Turn SQLite's errors and the system's into ours.

    Raises:
        JournalError: trying again later may help.
        JournalCorruptError: it won't.
    """
    try:
        yield
    except sqlite3.OperationalError as error:  # full, read-only, busy, input/output error
        lacks = str(error).startswith("no such")  # a table
        raise (JournalCorruptError if lacks else JournalError)(f"{path}: {error}") from error
    except sqlite3.ProgrammingError:
        raise  # our own mistake, and none of the file's
    except sqlite3.Error as error:
        raise JournalCorruptError(f"{path}: {error}") from error
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}") from error


def set_aside(path: Path) -> Path:
    """Rename a damaged journal with all that belongs to it; nothing is deleted.

    Returns:
        its new name, which ends with the time.

    Raises:
        JournalError: it can't be renamed.
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (path.with_name(f"{path.name}.corrupt-{moment}-{i}") for i in range(1, 1000))
    with explain(path):
        aside = next(name for name in names if not name.exists())
        for part in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + part).rename(aside.with_name(aside.name + part))
    return aside


def _lock(path: Path) -> int:
    """Hold the right to write a journal, until the process ends or closes what is returned."""
    with explain(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise ConfigError(
                f"{path}: another jack-stream writes this journal",
                hint="End it, set journal.path to another file, or journal.enabled = false.",
            ) from error
    return lock


def _open(path: Path) -> sqlite3.Connection:
    with contextlib.suppress(FileExistsError):  # SQLite would make it readable for others
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return sqlite3.connect(path, isolation_level=None, cached_statements=32)
