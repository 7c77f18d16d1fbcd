"""Rules in the configuration: what can't be meant is refused, with the key and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from jack_stream.config import Config, dumps, loads, parse
from jack_stream.errors import ConfigError

_RULE = {"name": "unhappy", "labels": ["sad"], "above": 0.7}


def _config(*rules: dict[str, Any]) -> Config:
    streams = [{"name": "door", "camera": {"source": "0"}}]
    return parse({"streams": streams, "rules": [_RULE | rule for rule in rules]}, "a test")


def test_an_alert_ends_a_little_below_where_it_began_unless_it_is_said_otherwise() -> None:
    config = _config({}, {"name": "other", "until_below": 0.2}, {"name": "low", "above": 0.01})
    assert [rule.ends_below for rule in config.rules] == [pytest.approx(0.65), 0.2, 0.0]


def test_it_is_read_as_it_is_written() -> None:
    config = _config({"command": ["a program", "; x"], "webhook": "https://example.org/a?b"})
    assert loads(dumps(config), "again") == config


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"labels": []}, "rules.0.labels"),
        ({"above": 1.0}, "rules.0.above"),
        ({"above": 0.0}, "rules.0.above"),
        ({"until_below": 0.8}, "until_below must not be more than above"),
        ({"for_s": -1}, "rules.0.for_s"),
        ({"name": "two words"}, "rules.0.name"),
        ({"streams": ["hall"]}, "about stream 'hall'; there are door"),
        ({"labels": ["sad"], "label": "sad"}, "did you mean 'labels'"),
        ({"command": "touch /x"}, "rules.0.command"),
        ({"command": [""]}, "command begins with the program's name"),
        ({"command": ["a\0b"]}, "rules.0.command"),
        ({"webhook": "ftp://example.org"}, "is no address like https"),
        ({"webhook": "https:///path"}, "is no address like https"),
        ({"webhook": "https://anna:secret@example.org"}, "names and passwords are not sent"),
        ({"webhook": "http://192.0.2.1/secret"}, "webhook_insecure"),
        ({"webhook": "http://localhost.example.org/"}, "webhook_insecure"),
        ({"act_on": []}, "rules.0.act_on"),
    ],
)
def test_what_can_not_be_meant_is_refused(rule: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _config(rule)
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "rule",
    [
        {"webhook": "http://127.0.0.1:8080/x"},
        {"webhook": "http://[::1]/x"},
        {"webhook": "http://localhost/x"},
        {"webhook": "https://example.org/x"},
        {"webhook": "http://192.0.2.1/x", "webhook_insecure": True},
    ],
)
def test_what_nobody_on_the_way_can_read_is_taken(rule: dict[str, Any]) -> None:
    assert _config(rule).rules[0].webhook == rule["webhook"]


def test_names_differ() -> None:
    with pytest.raises(ConfigError, match="two rules have the name 'unhappy'"):
        _config({}, {})
