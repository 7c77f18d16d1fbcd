"""The rules' process: each alert is given once, whenever it dies, and nobody waits for actions."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jack_stream.clock import NS_PER_S, Clock
from jack_stream.config import RuleSettings
from jack_stream.events.alerting import Alerter
from jack_stream.events.journal_reader import JournalReader
from jack_stream.events.memory import recall
from jack_stream.events.rules import RuleBook
from jack_stream.events.schema import Alert, AnyEvent, Event, decode
from jack_stream.wire.health import HealthReporter
from tests.events.houses import House, is_taken, made

_RULE = {"name": "unhappy", "labels": ["sad"], "above": 0.7, "until_below": 0.5, "for_s": 2.0}


def _house(folder: Path, **rule: Any) -> House:
    house = House(folder)
    rules = (RuleSettings.model_validate(_RULE | rule),)
    house.config = house.config.model_copy(update={"rules": rules})
    return house


def _course(*shares: float) -> list[Event]:
    """An event a second, each of the last two."""
    return [
        made(i, start_s=100.0 + i, probabilities={"happy": 1 - share, "sad": share})
        for i, share in enumerate(shares)
    ]


def _kept(house: House) -> list[AnyEvent]:
    with JournalReader(house.config.journal_path) as reader:
        return [decode([b"", one]) for one in reader.page(alerts=True, limit=1000).events]


def _alerts(house: House) -> list[Alert]:
    return [one for one in _kept(house) if isinstance(one, Alert)]


def _essence(alerts: Sequence[Alert]) -> list[tuple[object, ...]]:
    return [(a.state, a.reason, a.person, a.since_ns, a.at_ns, a.seq) for a in alerts]


def _expected(house: House, events: Sequence[Event]) -> list[tuple[object, ...]]:
    book = RuleBook(house.config.rules, "")
    return _essence([alert for one in events for alert in book.take(one)])


def _follow(house: House, alerter: Alerter) -> None:
    """Let it judge all that is in the journal, and get its alerts in there."""
    settled = 0
    while settled < 3:
        settled = 0 if alerter.turn(0.02) else settled + 1


def _listening(house: House) -> Alerter:
    alerter = Alerter(house.config, Clock())
    house.until(lambda: not alerter.turn(0.02) and alerter.position is not None)
    return alerter


def _die(alerter: Alerter) -> None:
    """As if killed: nothing is written down, nothing is waited for."""
    alerter._feed._socket.close(linger=0)
    alerter._subscription.close()
    alerter._actions.close()


_SAD_FOR_A_WHILE = (0.9, 0.9, 0.9, 0.9, 0.3, 0.9, 0.9, 0.9, 0.9, 0.2)


def test_alerts_are_journalled_as_the_rules_say(folder: Path) -> None:
    house, events = _house(folder), _course(*_SAD_FOR_A_WHILE)
    with house.running(), house.feed() as feed, _listening(house) as alerter:
        for one in events:
            feed.publish(one)
        _follow(house, alerter)
        found = _alerts(house)
        assert len(found) == 4
        assert _essence(found) == _expected(house, events)
        assert all(a.published_at_ns >= events[0].published_at_ns for a in found)
        assert alerter.counters()["alerts.door.unhappy"] == 2
    numbers = [one.position.number for one in _kept(house) if one.position is not None]
    assert numbers == list(range(1, len(events) + 5))


@settings(max_examples=8, deadline=None)
@given(
    shares=st.lists(st.sampled_from([0.2, 0.6, 0.9, 0.9]), min_size=4, max_size=12),
    deaths=st.lists(
        st.tuples(st.integers(0, 8), st.sampled_from(["stopped", "killed", "sending"])), max_size=3
    ),
)
def test_however_often_it_dies_each_alert_is_given_once(
    shares: list[float], deaths: list[tuple[int, str]]
) -> None:
    with tempfile.TemporaryDirectory(prefix="jack-", dir="/tmp") as folder:
        house, events = _house(Path(folder)), _course(*shares)
        with house.running(), house.feed() as feed:
            alerter = _listening(house)
            for i, one in enumerate(events):
                feed.publish(one)
                for how in [how for at, how in deaths if at == i]:
                    _let_die(house, alerter, how)
                    alerter = Alerter(house.config, Clock())
            house.until(lambda: is_taken(feed))
            _follow(house, alerter)
            alerter.close()
        assert _essence(_alerts(house)) == _expected(house, events)


def _let_die(house: House, alerter: Alerter, how: str) -> None:
    if how == "stopped":
        alerter.close()
        return
    if how == "sending":  # written down and not sent
        alerter._feed.publish = lambda event: None  # type: ignore[method-assign]  # noqa: ARG005
    alerter.turn(0.05)
    alerter.turn(0)
    _die(alerter)


def test_silence_ends_an_alert(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jack_stream.events.alerting._SILENT_S", -6.5)  # and 2 s, and 5 s
    house = _house(folder)
    with house.running(), house.feed() as feed, _listening(house) as alerter:
        for one in _course(0.9, 0.9, 0.9):
            feed.publish(one)
        _follow(house, alerter)
        house.until(lambda: (alerter.turn(0.02), len(_alerts(house)))[1] == 2)
        assert _essence(_alerts(house))[1][:2] == ("ended", "gone")
        assert _alerts(house)[1].at_ns == round((104 + 5) * NS_PER_S)


def test_a_damaged_memory_is_begun_anew_and_one_that_can_not_be_written_is_said(
    folder: Path,
) -> None:
    house = _house(folder)
    house.config.rules_memory.parent.mkdir()
    house.config.rules_memory.write_bytes(b'{"session": 7')
    health = HealthReporter("rules", "", clock=Clock(), period_s=0)
    with house.running(), house.feed() as feed, _listening(house) as alerter:
        house.config.rules_memory.unlink(missing_ok=True)
        house.config.rules_memory.mkdir()  # nothing can take its place
        for one in _course(0.9, 0.9, 0.9):
            feed.publish(one)
        _follow(house, alerter)
        assert len(_alerts(house)) == 1, "alerts are given all the same"
        alerter.report(health)
        assert health.last is not None
        assert health.last.state == "degraded"
        assert "events.sqlite.rules" in health.last.detail


class _Hook(BaseHTTPRequestHandler):
    """Answers with what is in ``answers``, the last one for ever, and keeps what was posted."""

    def do_POST(self) -> None:
        posted = self.rfile.read(int(self.headers["Content-Length"]))
        hook: Hook = self.server  # type: ignore[assignment]
        hook.posted.append((self.path, self.headers["Content-Type"], posted))
        status = hook.answers.pop(0) if len(hook.answers) > 1 else hook.answers[0]
        if status == 0:
            hook.released.wait(20)
            return
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "ftp://192.0.2.1/")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Hook(HTTPServer):
    """A webhook on this machine."""

    def __init__(self, *answers: int) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.answers = list(answers)
        self.posted: list[tuple[str, str, bytes]] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/secret?room=7"

    @contextmanager
    def answering(self) -> Iterator[None]:
        thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            self.released.set()
            self.shutdown()
            thread.join()
            self.server_close()


def _acted(house: House, *shares: float) -> Alerter:
    """Judge a course of events; the alerter when all actions are done, closed."""
    with house.running(), house.feed() as feed, _listening(house) as alerter:
        for one in _course(*shares):
            feed.publish(one)
        _follow(house, alerter)
    return alerter


def test_a_webhook_is_posted_the_alert_as_it_was_published(folder: Path) -> None:
    hook = Hook(204)
    house = _house(folder, webhook=hook.url, act_on=["began", "ended"])
    with hook.answering():
        alerter = _acted(house, *_SAD_FOR_A_WHILE)
    assert [path for path, _, _ in hook.posted] == ["/secret?room=7"] * 4
    assert {kind for _, kind, _ in hook.posted} == {"application/json"}
    posted = sorted((decode([b"", body]) for _, _, body in hook.posted), key=_number)
    assert posted == _alerts(house)
    assert alerter.counters()["actions.unhappy"] == 4
    assert "actions_failed.unhappy" not in alerter.counters()


def _number(said: AnyEvent) -> int:
    return said.position.number if said.position is not None else 0


@pytest.mark.parametrize(
    ("answers", "tries", "cause"),
    [
        ([500, 503, 200], 3, ""),
        ([500], 3, "it answered 500"),
        ([404], 1, "it answered 404"),
        ([302], 1, "redirects are not followed"),
        ([0], 1, "Read timed out"),  # the hook itself answers one after the other
    ],
)
def test_a_webhook_that_fails_is_tried_again_where_that_may_help_and_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answers: list[int], tries: int, cause: str
) -> None:
    monkeypatch.setattr("jack_stream.events.actions._TRIES_AFTER_S", (0.0, 0.01, 0.01))
    hook = Hook(*answers)
    house = _house(folder, webhook=hook.url, timeout_s=0.2 if 0 in answers else 10)
    with hook.answering():
        alerter = _acted(house, 0.9, 0.9, 0.9)
        health = HealthReporter("rules", "", clock=Clock(), period_s=0)
        alerter.report(health)
    assert health.last is not None
    assert len(hook.posted) == tries
    assert health.last.counters.get("actions_failed.unhappy", 0) == bool(cause)
    assert health.last.state == ("degraded" if cause else "running")
    assert cause in health.last.detail
    assert "secret" not in health.last.detail, "its address may be as good as a password"


def _program(folder: Path, body: str) -> Path:
    path = folder / "a program.py"
    path.write_text(f"#!{sys.executable}\nimport json, sys, time\n{body}\n")
    path.chmod(0o700)
    return path


def test_a_command_gets_its_arguments_as_they_are_and_the_alert_as_its_input(folder: Path) -> None:
    out = folder / "out"
    program = _program(
        folder, f"open({str(out)!r}, 'w').write(json.dumps([sys.argv[1:], json.load(sys.stdin)]))"
    )
    words = ["two words", f"; touch {out}.never $HOME `id`", "*", ""]
    house = _house(folder, command=[str(program), *words])
    alerter = _acted(house, 0.9, 0.9, 0.9)
    arguments, said = json.loads(out.read_text())
    assert arguments == words
    assert msgspec.convert(said, Alert) == _alerts(house)[0]
    assert alerter.counters()["actions.unhappy"] == 1
    assert not out.with_name("out.never").exists()


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("sys.exit(3)", "ended with exit code 3"),
        ("time.sleep(60)", "took longer than 0.5 s and was killed"),
    ],
)
def test_a_command_that_fails_or_hangs_is_said(folder: Path, body: str, cause: str) -> None:
    house = _house(folder, command=[str(_program(folder, body))], timeout_s=0.5)
    alerter = _acted(house, 0.9, 0.9, 0.9)
    assert alerter.counters()["actions_failed.unhappy"] == 1
    assert cause in alerter._actions.trouble


def test_a_program_that_is_not_there_stops_nothing(folder: Path) -> None:
    house = _house(folder, command=["/nowhere/at-all"])
    alerter = _acted(house, *_SAD_FOR_A_WHILE)
    assert alerter.counters()["actions_failed.unhappy"] == 2
    assert "/nowhere/at-all can't be run: No such file" in alerter._actions.trouble


def test_an_action_that_was_not_done_is_done_after_a_restart(folder: Path) -> None:
    out = folder / "out"
    waiting = f"time.sleep(60)\nopen({str(out)!r}, 'a').write('done')"
    house = _house(folder, command=[str(_program(folder, waiting))], timeout_s=100)
    with house.running(), house.feed() as feed:
        alerter = _listening(house)
        for one in _course(0.9, 0.9, 0.9):
            feed.publish(one)
        house.until(lambda: (alerter.turn(0.02), alerter._actions.unfinished)[1])
        alerter.close()
        (job,) = recall(house.config.rules_memory).jobs
        assert job.alert == _alerts(house)[0]
        _program(folder, waiting.removeprefix("time.sleep(60)\n"))
        with Alerter(house.config, Clock()) as after:
            _follow(house, after)
        assert out.read_text() == "done"
        with Alerter(house.config, Clock()) as again:
            _follow(house, again)
    assert out.read_text() == "done", "it is done once"
    assert recall(house.config.rules_memory).jobs == []
