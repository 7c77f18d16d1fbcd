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
from jack_stream.events.schema import Event, decode
from jack_stream.inference.catalogue import ANALYZERS, check_methods, shipped_bundle
from jack_stream.models.registry import METHODS
from jack_stream.weights.card import parse_card
from tests.documents import FENCE, PAGES, ROOT, Block, blocks
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
    if isinstance(event, Event):  # an alert else
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


_MODALITIES = {"画面": "video", "声音": "audio", "姿态": "pose"}


@pytest.mark.parametrize(("name", "live"), [("README.md", "yes"), ("README.zh-CN.md", "是")])
def test_the_readme_names_each_method_and_tells_the_truth_about_its_weights(
    name: str, live: str
) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    table = {
        row.split("|")[1].strip(" `"): row for row in re.findall(r"^\| `.*$", text, re.MULTILINE)
    }
    assert set(table) == set(METHODS)
    for method, row in table.items():
        cells = [cell.strip() for cell in row.split("|")]
        shown = [_MODALITIES.get(one, one) for one in re.split(", |、", cells[2])]
        assert shown == list(METHODS[method].modalities), row
        assert (cells[5] == live) == (method in ANALYZERS), row
        assert ("untrained" in cells[6]) == (shipped_bundle(method) is None), row


def test_methods_are_described_with_their_papers() -> None:
    text = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    for method in METHODS:
        assert f"`{method}`" in text
    for method in ANALYZERS:
        section = text.split(f"\n## `{method}`\n")[1].split("\n## ")[0]
        source = METHODS[method].source
        assert method == "vaanet-audio" or source.split(" et al.")[0] in section, source


def _skeleton(name: str) -> list[str]:
    """The blocks that both languages share, without comments and the space before them."""
    shared = {"sh", "python", "toml", "json"}
    found = FENCE.finditer((ROOT / name).read_text("utf-8"))
    return [re.sub(r"\s+#.*", "", match[3]) for match in found if match[2] in shared]


def test_both_languages_show_the_same_commands_in_the_same_order() -> None:
    english, chinese = _skeleton("README.md"), _skeleton("README.zh-CN.md")
    assert len(english) >= 10
    assert english == chinese


def test_both_languages_lead_to_the_same_pages() -> None:
    def pages(name: str) -> set[str]:
        found = {target for target, _ in _LINK.findall((ROOT / name).read_text("utf-8"))}
        return found - {"README.md", "README.zh-CN.md"}

    assert pages("README.md") == pages("README.zh-CN.md")


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {target for target, _ in _LINK.findall(index.read_text(encoding="utf-8"))}
    assert {page.name for page in index.parent.glob("*.md")} - {"README.md"} <= listed


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target, anchor in _LINK.findall(path.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        page_ = (path.parent / target) if target else path
        assert page_.exists(), f"{path.name}: {target}"
        if anchor:
            assert anchor[1:] in _anchors(page_), f"{path.name}: {target}{anchor}"


def _anchors(path: Path) -> set[str]:
    """Where one can link to in a page, as code hosts name headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
