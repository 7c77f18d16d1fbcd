"""What people are told is what the configuration says, in their language, and nothing else."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from jack_stream.cli.app import app
from jack_stream.config import Config, parse
from jack_stream.service.notice import Language, language_for, notice_page, notice_text

PURPOSE = {
    "use": "workplace",
    "text": "Warning of <b>panic</b> & alarm",
    "responsible": "Cranes\n## Ltd",
    "contact": "dpo@example.org",
    "exemption": "safety",
    "reason": "works <script>alert(1)</script> council",
}
RULE = {"name": "sad", "labels": ["sad"], "above": 0.5}
CAMERA = {"name": "cabin", "camera": {"source": "0"}, "pose": {}}


def _config(stream: dict[str, Any] = CAMERA, **sections: Any) -> Config:
    return parse({"streams": [stream], **sections}, "test")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("language", Language)
def test_what_is_stated_is_told(language: Language) -> None:
    text = notice_text(_config(purpose=PURPOSE, journal={"max_age_days": 7.5}), language)
    for said in (PURPOSE["text"], "Cranes ## Ltd", "dpo@example.org", PURPOSE["reason"], " 7.5 "):
        assert said in text
    assert "cabin" not in text, "the streams' names are nobody's business"


@pytest.mark.parametrize("language", Language)
def test_a_page_is_sound_and_takes_nothing_for_markup(language: Language) -> None:
    found = _Tags()
    page = notice_page(_config(purpose=PURPOSE), language)
    found.feed(page)
    assert set(found.tags) == {"html", "head", "meta", "title", "body", "main", "h1", "h2", "p"}
    assert found.tags.count("h1") == 1
    assert found.tags.count("h2") == 6
    assert PURPOSE["text"] in found.text
    assert f'lang="{language.value}"' in page


def test_what_is_not_stated_is_called_that() -> None:
    lines = notice_text(_config(), Language.en).splitlines()
    assert lines[lines.index("## What for") + 1] == "Not stated."
    assert lines[lines.index("## Who is responsible") + 1] == "Not stated."
    assert "未说明。" in notice_text(_config(), Language.zh)


@pytest.mark.parametrize(
    ("stream", "sections", "there", "not_there"),
    [
        (CAMERA, {}, ["Pictures of", "hold themselves", "30 days", "blurred"], ["Sound.", "drawn"]),
        ({"name": "a", "microphone": {}}, {}, ["Sound."], ["Pictures of", "blurred"]),
        ({"name": "a", "camera": {"source": "rtsp://c/1"}}, {}, ["Sound."], ["hold themselves"]),
        ({"name": "a", "scene": {}, "pose": {}}, {}, ["Nobody is observed"], ["Pictures of"]),
        ({"name": "a", "recording": {"path": "x"}}, {}, ["recorded before"], ["Pictures of"]),
        (CAMERA, {"journal": {"enabled": False}}, ["not kept by"], ["days"]),
        (CAMERA, {"rules": [RULE]}, ["an alert is raised."], ["acts"]),
        (CAMERA, {"rules": [RULE | {"command": ["ring"]}]}, ["another system acts on it."], []),
        (CAMERA, {"view": {"show_faces": True}}, ["faces shown"], ["blurred"]),
        (
            {**CAMERA, "analyzers": [{"method": "bpm-gcn"}]},
            {},
            ["is chance", "in use: bpm-gcn."],
            [],
        ),
    ],
)
def test_it_tells_what_is_captured_and_kept(
    stream: dict[str, Any], sections: dict[str, Any], there: list[str], not_there: list[str]
) -> None:
    text = notice_text(_config(stream, **sections), Language.en)
    assert [words for words in there if words not in text] == []
    assert [words for words in not_there if words in text] == []


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        ("", "", "en"),
        ("zh", "en", "zh"),
        ("ZH-Hant", "en", "zh"),
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "de-DE, en;q=0.5, zh;q=0.7", "zh"),
        ("", "en-GB,zh;q=0.3", "en"),
        ("fr", "fr", "en"),
    ],
)
def test_everyone_reads_their_language(asked: str, accepted: str, language: str) -> None:
    assert language_for(asked, accepted).value == language


@given(st.text(), st.text() | st.from_regex(r"(zh|en)(-[A-Z]+)?;q=[0-9.]*(, ?\w+)*"))
def test_whatever_a_browser_says_there_is_a_language(asked: str, accepted: str) -> None:
    assert language_for(asked, accepted) in Language


def test_the_command_prints_it_and_names_the_gaps() -> None:
    done = CliRunner().invoke(app, ["notice", "-c", "webcam", "--set", "purpose.use=home"])
    assert done.exit_code == 0
    assert "Home use" in done.stdout
    assert "does not state purpose.text, purpose.responsible, purpose.contact" in done.stderr
    page = CliRunner().invoke(app, ["notice", "-c", "demo", "-l", "zh", "--html"])
    assert page.stdout.startswith("<!doctype html>")
    assert page.stderr == ""
