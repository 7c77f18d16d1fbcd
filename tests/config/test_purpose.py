"""What a configuration must say of its use, and what is refused."""

from __future__ import annotations

import pytest

from jack_stream.config import Config, loads
from jack_stream.errors import ConfigError

STREAM = '\n[[streams]]\nname = "door"\ncamera = { source = "0" }\n'


def _config(purpose: str, stream: str = STREAM) -> Config:
    return loads(f"[purpose]\n{purpose}\n{stream}", "my.toml")


def _error(purpose: str) -> str:
    with pytest.raises(ConfigError) as caught:
        _config(purpose)
    return str(caught.value)


def test_nothing_stated_is_said_to_be_that() -> None:
    purpose = loads(STREAM, "my.toml").purpose
    assert purpose.use == "not stated"
    assert purpose.gaps == ["use", "text", "responsible", "contact"]


def test_what_is_stated_leaves_no_gaps() -> None:
    said = 'use = "research"\ntext = "gaits"\nresponsible = "Lab"\ncontact = "lab@example.org"'
    assert _config(said).purpose.gaps == []


@pytest.mark.parametrize("use", ["workplace", "education"])
@pytest.mark.parametrize(
    "rest", ["", 'exemption = "safety"', 'reason = "why"', 'exemption = "safety"\nreason = "  "']
)
def test_work_and_education_are_refused_without_an_exemption_and_its_reason(
    use: str, rest: str
) -> None:
    message = _error(f'use = "{use}"\n{rest}')
    assert message.startswith("my.toml: 1 thing(s) wrong:\n  purpose: use = ")
    assert f'use = "{use}" is refused' in message
    assert "Article 5(1)(f)" in message
    assert 'exemption = "medical" or "safety", and reason' in message


@pytest.mark.parametrize("use", ["workplace", "education"])
@pytest.mark.parametrize("exemption", ["medical", "safety"])
def test_they_are_allowed_with_both(use: str, exemption: str) -> None:
    purpose = _config(f'use = "{use}"\nexemption = "{exemption}"\nreason = "why"').purpose
    assert (purpose.use, purpose.exemption, purpose.reason) == (use, exemption, "why")


def test_an_exemption_alone_does_not_make_an_exempt_use() -> None:
    assert "needs no exemption" in _error('use = "home"\nexemption = "medical"\nreason = "why"')


def test_other_must_be_explained() -> None:
    assert 'text = "..."' in _error('use = "other"')


def test_a_use_beyond_the_list_is_told_the_list() -> None:
    assert "'research'" in _error('use = "spying"')


def test_a_drawn_scene_observes_nobody() -> None:
    scene = '\n[[streams]]\nname = "scene"\n[streams.scene]\n'
    assert not _config("", scene).observes_people
    assert _config("", scene + STREAM).observes_people
