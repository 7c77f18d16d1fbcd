"""``jack-stream events``: the right events, in every form."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jack_stream.cli.app import app
from jack_stream.cli.events import moment
from jack_stream.errors import JournalError, UsageError
from jack_stream.events.journal import Journal
from tests.events.making import alert, event

NOW_NS = 1_772_352_000 * 10**9  # 2026-03-01T08:00:00Z
MINUTE_NS = 60 * 10**9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "events.sqlite"
    with Journal(path) as journal:
        journal.keep(
            [
                event(
                    i,
                    stream=("door", "hall")[i % 2],
                    method=("bpm-gcn", "vaanet")[i // 2 % 2],
                    published_at_ns=NOW_NS + i * MINUTE_NS,
                    trained=i != 3,
                )
                for i in range(60)
            ],
            {},
        )
    return path


def _run(path: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["events", "--journal", str(path), *words])


def _numbers(path: Path, *words: str) -> list[int]:
    result = _run(path, "--json", *words)
    assert result.exit_code == 0, result.output
    return [json.loads(line)["position"]["number"] for line in result.output.splitlines()]


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ([], range(1, 61)),
        (["--limit", "3"], range(58, 61)),
        (["--limit", "0"], []),
        (["--since", "2026-03-01T08:55:00Z"], range(56, 61)),
        (["--until", "2026-03-01T08:02:00Z"], [1, 2]),
        (["--since", "2026-03-01T08:10Z", "--until", "2026-03-01T08:20Z", "-n", "2"], [19, 20]),
        (["--stream", "hall", "--limit", "2"], [58, 60]),
        (["--stream", "hall", "--method", "vaanet", "-n", "1"], [60]),
        (["--method", "bpm-gcn", "--until", "2026-03-01T08:05Z"], [1, 2, 5]),
        (["--stream", "attic"], []),
        (["--since", "1h"], []),
    ],
)
def test_the_wanted_events_are_printed(path: Path, words: list[str], numbers: list[int]) -> None:
    assert _numbers(path, *words) == list(numbers)


def test_the_table_shows_the_newest_fifty_and_calls_noise_noise(path: Path) -> None:
    lines = _run(path).output.splitlines()
    assert len(lines) == 1 + 50
    assert lines[0].split() == ["published", "stream", "method", "who", "reading"]
    assert "person 1  happy 75%" in lines[-1]
    (noise,) = [line for line in _run(path, "-n", "60").output.splitlines() if "UNTRAINED" in line]
    assert "hall" in noise


def test_csv_has_a_row_per_event(path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(_run(path, "--csv").output)))
    assert len(rows) == 60
    assert rows[3]["number"] == "4"
    assert rows[3]["published_at"] == "2026-03-01T08:03:00.000+00:00"
    assert rows[3]["trained"] == "False"
    assert (rows[3]["label"], rows[3]["confidence"]) == ("happy", "0.75")


def test_alerts_stand_out_among_the_events_and_are_no_rows_of_csv(path: Path) -> None:
    with Journal(path) as journal:
        journal.keep([alert(published_at_ns=NOW_NS), alert(1, state="ended", reason="gone")], {})
    table = _run(path, "-n", "3").output.splitlines()
    assert "person 1  ALERT unhappy began, sad+angry 75%" in table[2]
    assert "person 1  ALERT unhappy ended, sad+angry 75% gone" in table[3]
    assert _numbers(path, "-n", "3") == [60, 61, 62]
    assert len(_run(path, "--csv").output.splitlines()) == 1 + 60


def test_follow_goes_on_with_what_is_written(path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "jack_stream", "events", "--journal", str(path), "-f", "-n", "1",
         "--json"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout as out:
        assert json.loads(out.readline())["position"]["number"] == 60
        with Journal(path) as journal:
            journal.keep([event(60), event(61)], {})
            assert [json.loads(out.readline())["seq"] for _ in range(2)] == [60, 61]
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) == 0


def test_a_folder_that_is_read_only_is_read(path: Path) -> None:
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        assert len(_numbers(path)) == 60
    finally:
        path.parent.chmod(0o700)


def test_what_can_not_be_read_is_said(tmp_path: Path, path: Path) -> None:
    missing = _run(tmp_path / "none")
    assert isinstance(missing.exception, JournalError)
    assert "there is no such journal" in str(missing.exception)
    assert "--journal FILE" in str(missing.exception)
    assert isinstance(_run(path, "--json", "--csv").exception, UsageError)
    path.write_bytes(b"noise" * 1000)
    assert isinstance(_run(path).exception, JournalError)


def test_moments() -> None:
    assert moment(None, 7) == 7
    assert moment("2026-03-01T08:00:00Z", 0) == NOW_NS
    assert moment("2026-03-01T09:00:00.5+01:00", 0) == NOW_NS + 5 * 10**8
    ago_s = (time.time_ns() - moment("1.5h", 0)) / 1e9
    assert 5399 < ago_s < 5460
    for text in ("", "soon", "10", "10 y", "-5m", "2026-13-01"):
        with pytest.raises(UsageError, match="is no time"):
            moment(text, 0)
