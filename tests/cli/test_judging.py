"""Rules of a configuration over a file's events."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jack_stream.cli.app import app
from jack_stream.cli.judging import judge_by
from jack_stream.config import Config, parse
from tests.events.making import event

_RULES = """
[[streams]]
name = "another"
camera = { source = "0" }

[[rules]]
name = "sad"
streams = ["another"]
labels = ["sad", "angry"]
above = 0.7
for_s = 1
command = ["sh", "-c", "cat >> OUT"]

[[rules]]
name = "joyful"
labels = ["joy"]
above = 0.7
"""


@pytest.fixture
def rules(tmp_path: Path) -> str:
    path = tmp_path / "rules.toml"
    path.write_text(_RULES.replace("OUT", str(tmp_path / "out")), encoding="utf-8")
    return str(path)


def _film() -> Config:
    analyzers = [{"method": "bpm-gcn", "bundle": "default"}]
    stream = {"name": "film", "camera": {"source": "0"}, "pose": {}, "analyzers": analyzers}
    return parse({"streams": [stream]}, "a film")


@pytest.mark.parametrize("act", [False, True])
def test_a_films_alerts_are_told_with_its_times_and_acted_on_only_if_asked(
    rules: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], act: bool
) -> None:
    with judge_by(rules, _film(), act=act) as judge:
        for i, share in enumerate((0.9, 0.9, 0.2, 0.9, 0.9)):
            shares = {"happy": 1 - share, "sad": share}
            judge.take(event(i, stream="film", start_s=4.0 + i, probabilities=shares))
        judge.finish(threading.Event())
    judge.tell()
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "ALERT sad: person 1, 7.0 s to 8.0 s (bpm-gcn: sad + angry 90%)",
        "ALERT sad: person 1, 10.0 s to the end (bpm-gcn: sad + angry 90%)",
    ]
    assert "Rule joyful is not about what is looked for here" in told.err
    acted = tmp_path / "out"
    assert len(acted.read_text().splitlines() if acted.exists() else []) == 2 * act


def test_a_webhook_that_may_be_a_secret_is_not_shown_and_a_rule_that_can_not_hold_is(
    rules: str,
) -> None:
    with Path(rules).open("a", encoding="utf-8") as file:
        file.write('webhook = "https://example.org/secret"\n')
    shown = CliRunner().invoke(app, ["config", "show", rules])
    assert shown.exit_code == 0
    assert "above = 0.7" in shown.output
    assert "secret" not in shown.output
    checked = CliRunner().invoke(app, ["config", "check", rules])
    assert "no method of its streams knows 'sad'" in str(checked.exception)


def test_without_rules_nothing_is_told(rules: str, capsys: pytest.CaptureFixture[str]) -> None:
    with judge_by(None, _film(), act=False) as judge:
        assert judge.take(event()) == []
    judge.tell()
    assert capsys.readouterr().out == ""
    with judge_by(rules, _film(), act=False) as judge:
        judge.take(event())
    judge.tell()
    assert "No rule gave an alert." in capsys.readouterr().out
