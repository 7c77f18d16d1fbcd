"""What the documentation shows is tried, so that it can't rot."""

from __future__ import annotations

import json
import re
import sys
from itertools import repeat
from pathlib import Path

import pytest

from jack_stream import config as configuration
from jack_stream.cli.options import ready_configurations
from jack_stream.config.page import page
from jack_stream.events.publisher import EventPublisher
from jack_stream.events.schema import decode
from jack_stream.inference.catalogue import ANALYZERS, check_methods, shipped_bundle
from jack_stream.models.registry import METHODS
from jack_stream.weights.card import parse_card
from tests.documents import PAGES, ROOT, Block, blocks
from tests.subscribers import started, until_printed

PUBLISHED_AT = "tcp://127.0.0.1:5577"
_LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
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


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_events_that_are_shown_are_events(block: Block) -> None:
    event = decode([b"event", json.dumps(json.loads(block.text)).encode()])
    assert event.label in event.probabilities


@pytest.mark.parametrize("block", [b for b in blocks("python") if b.runs], ids=str)
def test_subscribers_print_what_is_published(block: Block, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/events"
    assert PUBLISHED_AT in block.text
    code = block.text.replace(PUBLISHED_AT, endpoint)
    shown = next(b for b in blocks("json") if b.page.name == "README.md")
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
