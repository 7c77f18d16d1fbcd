"""The journal's file: what is kept is there, in order, whatever happens to who writes it."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.errors import ConfigError, JournalCorruptError, JournalError
from jack_stream.events.journal import SCHEMA_VERSION, Journal, set_aside
from jack_stream.events.journal_reader import JournalReader
from jack_stream.events.schema import Alert, Event, decode
from tests.events.making import alert, event

_NAMES = st.sampled_from(["door", "hall", "attic"])
_METHODS = st.sampled_from(["bpm-gcn", "vaanet"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "events.sqlite"


def _read(path: Path, after: int = 0, **wanted: str | None) -> list[Event]:
    """All events after a number, in small pages."""
    found: list[Event] = []
    with JournalReader(path) as reader:
        while after < reader.head:
            page = reader.page(after, limit=3, **wanted)  # type: ignore[arg-type]
            assert len(page.events) <= 3
            assert page.up_to > after
            read = [decode([b"", payload]) for payload in page.events]
            found += [one for one in read if isinstance(one, Event)]
            after = page.up_to
    return found


def _use(path: Path) -> None:
    """Write to a journal and delete all of it: some of it meets the damage."""
    with Journal(path) as journal:
        journal.keep([event(i) for i in range(500)], {})
        while journal.prune(older_than_ns=1 << 62, max_bytes=1):
            pass


def _numbers(events: list[Event]) -> list[int]:
    return [e.position.number for e in events if e.position is not None]


@settings(max_examples=30, deadline=None)
@given(
    groups=st.lists(st.lists(st.tuples(_NAMES, _METHODS), max_size=6), max_size=8),
    after=st.integers(0, 60),
    stream=st.one_of(st.none(), _NAMES),
    method=st.one_of(st.none(), _METHODS),
)
def test_whatever_is_kept_is_found_again(
    groups: list[list[tuple[str, str]]], after: int, stream: str | None, method: str | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.sqlite"
        published: list[Event] = []
        for group in groups:  # each by another process, so to say
            with Journal(path) as journal:
                made = [
                    event(len(published) + i, stream=name, method=how)
                    for i, (name, how) in enumerate(group)
                ]
                parts = journal.keep(made, {"cafe": len(published)})
                published += [one for one in map(decode, parts) if isinstance(one, Event)]
        if not groups:
            return
        wanted = [
            e
            for e in published[after:]
            if stream in {None, e.stream} and method in {None, e.model.method}
        ]
        assert _read(path, after, stream=stream, method=method) == wanted
        assert _numbers(published) == list(range(1, len(published) + 1))
        before: dict[str, int] = {}
        for one in published:
            assert one.position is not None
            assert one.position.previous == before.get(one.stream, 0)
            before[one.stream] = one.position.number


@settings(max_examples=20, deadline=None)
@given(ages=st.lists(st.integers(0, 100), min_size=1, max_size=30), cut=st.integers(0, 100))
def test_pruning_takes_the_old_from_the_front_and_numbers_go_on(ages: list[int], cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.sqlite"
        with Journal(path) as journal:
            journal.keep([event(i, published_at_ns=age) for i, age in enumerate(ages)], {})
            gone = journal.prune(older_than_ns=cut, max_bytes=1 << 40)
            young = [i for i, age in enumerate(ages) if age >= cut]
            assert gone == (young[0] if young else len(ages))
            assert journal.first == gone + 1
        with Journal(path) as journal:
            assert (journal.first, journal.head) == (gone + 1, len(ages))
            journal.keep([event(99)], {})
            assert journal.head == len(ages) + 1
        assert _numbers(_read(path)) == list(range(gone + 1, len(ages) + 2))
        with JournalReader(path) as reader:
            assert reader.page(0).gone == gone


def test_a_journal_keeps_to_its_size_and_gives_the_room_back(path: Path) -> None:
    with Journal(path) as journal:
        journal.keep([event(i) for i in range(3000)], {})
        full = journal.size_bytes()
        while journal.prune(older_than_ns=0, max_bytes=300_000):
            pass
        assert journal.size_bytes() <= 300_000 < full
        assert journal.head - journal.first > 100, "not more than need be"
    assert path.stat().st_size < full / 2


def test_the_last_state_is_the_newest_window_of_each_topic(path: Path) -> None:
    def seen(seq: int, index: int, person: int | None, **fields: Any) -> Event:
        made = event(seq, person=person, **fields)
        window = msgspec.structs.replace(made.window, index=index)
        return msgspec.structs.replace(made, window=window)

    with Journal(path) as journal:
        journal.keep([
            seen(0, 6, 1), seen(1, 6, 2), seen(2, 6, 3),  # person 3 leaves
            seen(0, 2, None, stream="hall", method="vaanet"),
            seen(3, 7, 1), seen(4, 7, 2),
        ], {})  # fmt: skip
    with JournalReader(path) as reader:
        last = [decode([b"", one]) for one in reader.last()]
        assert [(e.stream, e.person, e.window.index) for e in last] == [
            ("hall", None, 2), ("door", 1, 7), ("door", 2, 7),
        ]  # fmt: skip
        assert all(e.retained for e in last)
        assert reader.last(stream="attic") == []


def test_alerts_of_rules_that_are_not_there_do_not_stay_open_for_ever(path: Path) -> None:
    with Journal(path) as journal:
        journal.keep([alert(), alert(rule="other"), alert(rule="other", person=None)], {})
        journal.forget_alerts({"unhappy"})
    with JournalReader(path) as reader:
        last = [decode([b"", one]) for one in reader.last(alerts=True)]
        assert [one.rule for one in last if isinstance(one, Alert)] == ["unhappy"]
        assert len(reader.page(alerts=True).events) == 3, "what was said stays"


def test_how_far_a_session_came_outlives_the_process(path: Path) -> None:
    with Journal(path) as journal:
        journal.keep([event(0)], {"cafe": 7, "beef": 0})
    with Journal(path) as journal:
        assert (journal.fed("cafe"), journal.fed("beef"), journal.fed("dead")) == (7, 0, -1)


def test_it_is_its_owners_alone(path: Path) -> None:
    with Journal(path) as journal:
        journal.keep([event(0)], {})
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
        assert set(modes.values()) == {0o600}, modes
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    with Journal(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_may_not_write_and_many_may_read(path: Path) -> None:
    with Journal(path) as journal:
        journal.keep([event(0)], {})
        with pytest.raises(ConfigError, match="another jack-stream writes this journal"):
            Journal(path)
        with JournalReader(path) as one, JournalReader(path) as other:
            journal.keep([event(1)], {})
            assert one.head == other.head == 1, "a reader sees what was there when it came"


def test_a_newer_version_is_refused_and_left_as_it_is(path: Path) -> None:
    with Journal(path):
        pass
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    database.close()
    with pytest.raises(ConfigError, match=r"newer release \(journal version 2; this one knows 1\)"):
        Journal(path)
    with pytest.raises(ConfigError, match="newer release"):
        JournalReader(path)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE notes (text)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="no journal of events"):
        Journal(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["noise", "cut", "page"])
def test_a_damaged_file_is_called_so_and_set_aside_whole(path: Path, damage: str) -> None:
    with Journal(path) as journal:
        journal.keep([event(i) for i in range(200)], {})
    content = bytearray(path.read_bytes())
    if damage == "noise":
        content = bytearray(b"no database at all " * 100)
    elif damage == "cut":
        del content[4096 * 3 :]
    else:
        content[100:4096] = b"\xff" * 3996
    path.write_bytes(content)
    with pytest.raises(JournalCorruptError, match=r"events\.sqlite"):
        _use(path)
    aside = set_aside(path)
    assert ".corrupt-" in aside.name
    assert aside.exists()
    assert not path.exists()
    with Journal(path) as journal:
        assert journal.head == 0


def test_a_full_disk_is_an_error_after_which_it_goes_on(path: Path) -> None:
    """SQLite's own limit of pages stands for the disk: it ends in the same SQLITE_FULL."""
    with Journal(path) as journal:
        journal.keep([event(0)], {"cafe": 0})
        journal._database.execute("PRAGMA max_page_count = 20")
        with pytest.raises(JournalError, match="disk is full"):
            journal.keep([event(i) for i in range(1, 2000)], {"cafe": 1999})
        assert (journal.head, journal.fed("cafe")) == (1, 0), "all or none"
        journal._database.execute("PRAGMA max_page_count = 100000")
        journal.keep([event(1)], {"cafe": 1})
    assert [e.seq for e in _read(path)] == [0, 1]


def test_a_file_that_may_not_grow_is_an_error_and_no_damage(path: Path) -> None:
    code = f"""
import resource, sys
from pathlib import Path
from jack_stream.errors import JournalError, JournalCorruptError
from jack_stream.events.journal import Journal
from tests.events.making import event
with Journal(Path({str(path)!r})) as journal:
    journal.keep([event(0)], {{}})
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        for i in range(1, 2000):
            journal.keep([event(i)], {{}})
    except JournalCorruptError:
        sys.exit("that is no damage")
    except JournalError as error:
        print(journal.head, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    head = int(done.stdout.split()[0])
    assert head > 1
    assert len(_read(path)) == head
    with Journal(path) as journal:
        assert journal.head == head


def test_what_is_no_file_or_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="there is no such journal"):
        JournalReader(tmp_path / "none")
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(JournalError, match=r"File exists|Not a directory"):
        Journal(tmp_path / "folder" / "events.sqlite")
