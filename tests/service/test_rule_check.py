"""Rules that can never hold are found before anything starts."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from jack_stream.cli.options import ready_configurations
from jack_stream.config import Config, load, loads, parse
from jack_stream.errors import ConfigError
from jack_stream.service.plan import plan
from jack_stream.service.rule_check import check_rules

_RULE = {"name": "unhappy", "labels": ["sad", "angry"], "above": 0.7}


def _config(rule: dict[str, Any], **more: Any) -> Config:
    def stream(name: str, *analyzers: dict[str, str]) -> dict[str, Any]:
        return {"name": name, "camera": {"source": "0"}, "pose": {}, "analyzers": analyzers}

    streams = [
        stream("door", {"method": "bpm-gcn", "bundle": "default"}),
        stream("hall", {"method": "vaanet"}, {"method": "tsl-net"}) | {"fusion": {}},
        stream("attic"),
    ]
    return parse({"streams": streams, "rules": [_RULE | rule], **more}, "a test")


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"labels": ["negative", "sadness", "sad"]},
        {"labels": ["negative"], "methods": ["tsl-net"], "streams": ["hall"]},
        {"command": [sys.executable, "-c", "pass"]},
        {"command": ["sh"]},
        {"labels": ["neutral"], "methods": ["fusion"], "streams": ["hall"]},
    ],
)
def test_a_rule_that_can_hold_is_taken(rule: dict[str, Any]) -> None:
    check_rules(_config(rule))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"labels": ["sad", "angr"]}, "no method of its streams knows 'angr'"),
        ({"labels": ["angr"]}, "did you mean 'angry'?"),
        ({"labels": ["uncertain"]}, "no method of its streams knows 'uncertain'"),
        ({"streams": ["hall"]}, "no method of its streams knows 'sad'"),
        ({"streams": ["door", "attic"]}, "no method of stream 'attic' knows any of its labels"),
        ({"streams": ["attic"]}, "no analyzer is there for it"),
        ({"methods": ["mart"]}, "no analyzer of its streams is 'mart'"),
        ({"methods": ["bpm-gcn"], "labels": ["joy"]}, "knows 'joy'"),
        ({"command": ["no-such-program"]}, "there is no program 'no-such-program'"),
    ],
)
def test_a_rule_that_can_not_hold_is_refused(rule: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_rules(_config(rule))
    assert said in str(refused.value)
    assert "unhappy" in str(refused.value)


@pytest.mark.parametrize("name", ready_configurations())
def test_the_rules_of_ready_configurations_can_hold(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ready_configurations()[name]
    for variable in re.findall(r"\$\{(\w+)\}", path.read_text(encoding="utf-8")):
        monkeypatch.setenv(variable, "rtsp://192.0.2.1/x")
    check_rules(load(path))


@pytest.mark.parametrize("number", range(2))
def test_the_rules_of_the_documentation_can_hold(number: int) -> None:
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
    block = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[number]
    config = loads(block, f"block {number}")
    assert config.rules
    without = [rule.model_copy(update={"command": ()}) for rule in config.rules]
    check_rules(config.model_copy(update={"rules": without}))


def test_rules_have_a_process_of_their_own_that_ends_before_the_journal() -> None:
    config = _config({}).model_copy(update={"streams": _config({}).streams[:1]})
    roles = [one.role for one in plan(config)]
    assert roles.index("inference") < roles.index("rules") < roles.index("journal")
    without = config.model_copy(update={"rules": ()})
    assert "rules" not in [one.role for one in plan(without)]


def test_rules_need_the_journal() -> None:
    with pytest.raises(ConfigError, match="need the journal"):
        plan(_config({}, journal={"enabled": False}))
