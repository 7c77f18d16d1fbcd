"""What the documentation shows is tried, so that it can't rot."""

from __future__ import annotations

import json
import re
import shlex
import sys
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

import trainers.cli
from jack_stream import config as configuration
from jack_stream.cli.app import app
from jack_stream.cli.options import ready_configurations
from jack_stream.config.page import page
from jack_stream.events.publisher import EventPublisher
from jack_stream.events.schema import decode
from jack_stream.inference.catalogue import ANALYZERS, check_methods, shipped_bundle
from jack_stream.models.registry import METHODS
from jack_stream.weights.card import parse_card
from tests.subscribers import started, until_printed

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PUBLISHED_AT = "tcp://127.0.0.1:5577"
_FENCE = re.compile(r"(<!-- runs -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    runs: bool

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def _blocks(language: str) -> list[Block]:
    found = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            line = text[: match.start(2)].count("\n") + 1
            found.append(Block(path, line, match[2], match[3], bool(match[1])))
    return [block for block in found if block.language == language]


def _lines(*starts: str) -> list[tuple[str, str]]:
    """Shell lines with a word in front, and where they stand."""
    joined = [(str(b), b.text.replace("\\\n", " ")) for b in _blocks("sh")]
    lines = [(where, line.strip()) for where, text in joined for line in text.splitlines()]
    return [(where, line) for where, line in lines if re.match(rf"({'|'.join(starts)})\b", line)]


@pytest.mark.parametrize(("where", "line"), _lines("jack-stream", "jack-train"))
def test_commands_are_understood(
    where: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program, *words = shlex.split(line, comments=True)
    if ">" in words:
        words = words[: words.index(">")]
    command = typer.main.get_command(app if program == "jack-stream" else trainers.cli.app)
    while isinstance(command, typer.core.TyperGroup):
        name = words.pop(0)
        assert name in command.commands, f"{where}: there is no command {name!r}: {line}"
        command = command.commands[name]
    context = command.make_context(command.name, words)
    named = context.params.get("config") or context.params.get("name")
    if isinstance(named, str) and not named.endswith(".toml"):
        assert named in ready_configurations(), f"{where}: {line}"


@pytest.mark.parametrize(("where", "line"), _lines("make", "python"))
def test_targets_and_scripts_are_there(where: str, line: str) -> None:
    first, second, *more = shlex.split(line, comments=True)
    if second == "-m":
        second = f"{more[0].replace('.', '/')}.py"
    if first == "make" and not second.startswith("-"):
        assert re.search(rf"^{second}:", (ROOT / "Makefile").read_text(), re.MULTILINE), where
    elif first == "python":
        assert (ROOT / second).is_file(), where


@pytest.mark.parametrize("block", _blocks("toml"), ids=str)
def test_configurations_and_cards_are_sound(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in re.findall(r"\$\{(\w+)\}", block.text):
        monkeypatch.setenv(variable, "rtsp://192.0.2.1/x")
    if "schema_version" in block.text:
        text = block.text.replace('sha256 = "..."', f'sha256 = "{"0" * 64}"')
        parse_card(text, str(block))
        return
    loaded = configuration.loads(block.text, str(block))
    check_methods(settings for stream in loaded.streams for settings in stream.analyzers)


@pytest.mark.parametrize("name", ready_configurations())
def test_ready_configurations_are_sound(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ready_configurations()[name]
    for variable in re.findall(r"\$\{(\w+)\}", path.read_text()):
        monkeypatch.setenv(variable, "rtsp://192.0.2.1/x")
    loaded = configuration.load(path)
    check_methods(settings for stream in loaded.streams for settings in stream.analyzers)
    assert path.read_text().startswith("# "), "the first line says what it is for"


@pytest.mark.parametrize("block", _blocks("python"), ids=str)
def test_python_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", _blocks("json"), ids=str)
def test_events_that_are_shown_are_events(block: Block) -> None:
    event = decode([b"event", json.dumps(json.loads(block.text)).encode()])
    assert event.label in event.probabilities


@pytest.mark.parametrize("block", [b for b in _blocks("python") if b.runs], ids=str)
def test_subscribers_print_what_is_published(block: Block, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/events"
    assert PUBLISHED_AT in block.text
    code = block.text.replace(PUBLISHED_AT, endpoint)
    shown = next(b for b in _blocks("json") if b.page.name == "README.md")
    event = decode([b"event", shown.text.encode()])
    with EventPublisher(endpoint) as publisher, started([sys.executable, "-c", code]) as printed:
        line = until_printed(publisher, repeat(event), printed, lambda line: event.label in line)
    assert "untrained" in line or "False" in line, "whoever shows a label says that it is noise"


def test_the_page_of_keys_is_the_one_that_the_code_makes() -> None:
    committed = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert committed == page(), "run: jack-stream config keys > docs/configuration.md"


def test_the_page_of_keys_lists_each_key_and_its_limits() -> None:
    made = page()
    for section in ("[runtime]", "[[streams]]", "[streams.camera]", "[[streams.analyzers]]"):
        assert f"## `{section}`" in made
    assert "| `threads` | integer, at least 1, at most 256 |" in made
    assert '| `pace` | `"realtime"` or `"fast"` | `"realtime"` |' in made
    assert "| `source` | text, not empty | **must be given** |" in made


def test_the_readme_names_each_method_and_tells_the_truth_about_its_weights() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = {
        row.split("|")[1].strip(" `"): row for row in re.findall(r"^\| `.*$", text, re.MULTILINE)
    }
    assert set(table) == set(METHODS)
    for name, row in table.items():
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[2].split(", ") == list(METHODS[name].modalities), row
        assert cells[5] == ("yes" if name in ANALYZERS else "no"), row
        assert ("untrained" in cells[6]) == (shipped_bundle(name) is None), row


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in _LINK.findall(path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_an_unknown_option_would_be_found() -> None:
    command = typer.main.get_command(app)
    assert isinstance(command, typer.core.TyperGroup)
    with pytest.raises(Exception, match="nonsense"):
        command.commands["run"].make_context("run", ["--config", "demo", "--nonsense"])
