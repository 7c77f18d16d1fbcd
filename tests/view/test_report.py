"""The page about a file says everything, needs nothing else, and believes nobody's text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from jack_stream.config import PurposeSettings
from jack_stream.errors import SourceError
from jack_stream.events.schema import EventSegment
from jack_stream.inference.catalogue import shipped_bundle
from jack_stream.view.keyframes import KeyFrame, choose
from jack_stream.view.report import write_report
from jack_stream.weights import read_bundle
from tests.events.making import alert, event


class _Page(HTMLParser):
    """Its text, the names of its elements, and everything that it would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: list[str] = []
        self.fetched: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        for name, value in attrs:
            if name == "src" or (name == "href" and tag == "link"):
                self.fetched.append(value or "")

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


def _written(tmp_path: Path, *args: object, **more: Any) -> _Page:
    path = tmp_path / "out.html"
    write_report(path, Path("a clip.mp4"), *args, **more)  # type: ignore[arg-type]
    return _Page(path.read_text(encoding="utf-8"))


def test_it_sums_up_who_was_read_as_what(tmp_path: Path) -> None:
    events = [event(n, start_s=float(n), label="happy" if n else "sad") for n in range(4)]
    page = _written(tmp_path, events, [], {})
    assert "a clip.mp4" in page.text
    assert "person 1 bpm-gcn 0.0 s to 5.0 s 4 happy 75 %, sad 25 % 0.75 0" in page.text
    assert "svg" in page.elements
    assert "UNTRAINED" not in page.text


def test_noise_is_called_noise(tmp_path: Path) -> None:
    assert "UNTRAINED" in _written(tmp_path, [event(trained=False)], [], {}).text


def test_it_says_what_it_was_made_for(tmp_path: Path) -> None:
    assert "Purpose: not stated" in _written(tmp_path, [event()], [], {}).text
    said = PurposeSettings(
        use="education", text="<b>a</b>", exemption="medical", reason="therapy", contact="a@b"
    )
    page = _written(tmp_path, [event()], [], {}, purpose=said)
    assert "education: <b>a</b> · exempt for medical reasons: therapy · a@b" in page.text


def test_nothing_found_is_said(tmp_path: Path) -> None:
    assert "Nothing was read" in _written(tmp_path, [], [], {}).text


def test_a_stretch_that_two_windows_found_stands_once(tmp_path: Path) -> None:
    stretch = EventSegment(
        label="sad", score=1.5, start_ns=0, end_ns=2_000_000_000, start_s=0.0, end_s=2.0
    )
    events = [event(n, start_s=float(n), segments=(stretch,)) for n in range(2)]
    page = _written(tmp_path, events, [], {})
    assert page.text.count("sad 0.0 s to 2.0 s 1.50") == 1


def test_alerts_stand_on_it_with_what_ended_them(tmp_path: Path) -> None:
    second = 10**9
    events = [event(n, start_s=float(n)) for n in range(6)]
    began = alert(since_ns=2 * second, at_ns=3 * second, window=events[1].window)
    ended = alert(
        1, since_ns=2 * second, at_ns=5 * second, window=events[3].window, state="ended",
        reason="below",
    )  # fmt: skip
    lasting = alert(2, rule="<b>worse", person=None, at_ns=6 * second, window=events[4].window)
    page = _written(tmp_path, events, [], {}, alerts=[lasting, ended, began])
    assert "unhappy person 1 bpm-gcn 3.0 s to 5.0 s sad or angry 75 %" in page.text
    assert "<b>worse the scene bpm-gcn 6.0 s to the end" in page.text
    assert page.text.index("unhappy person") < page.text.index("<b>worse")
    assert "alert: unhappy" in (tmp_path / "out.html").read_text(encoding="utf-8"), (
        "in the timeline"
    )


def test_no_alert_is_said_where_there_are_rules(tmp_path: Path) -> None:
    said = "No rule gave an alert."
    assert said in _written(tmp_path, [event()], [], {}, alerts=[]).text
    assert said not in _written(tmp_path, [event()], [], {}).text


def test_it_fetches_nothing_and_shows_its_pictures(tmp_path: Path) -> None:
    events = [event(0), event(1, start_s=1.0)]
    frames = [KeyFrame(moment, b"\xff\xd8picture") for moment in choose(events)]
    page = _written(tmp_path, events, frames, {})
    assert page.fetched
    assert all(url.startswith("data:image/jpeg;base64,") for url in page.fetched)
    assert "script" not in page.elements


def test_text_from_outside_stays_text(tmp_path: Path) -> None:
    evil = '<img src=x onerror="alert(1)">'
    page = _written(tmp_path, [event(stream="door", label=evil, probabilities={evil: 1.0})], [], {})
    assert "img" not in page.elements


def test_the_cards_figures_and_caveats_are_on_it(tmp_path: Path) -> None:
    folder = shipped_bundle("bpm-gcn")
    assert folder is not None
    bundle = read_bundle(folder)
    model = event().model.__class__(method="bpm-gcn", bundle=bundle.digest, trained=True)
    page = _written(tmp_path, [event(model=model)], [], {bundle.digest: bundle.card})
    plain = re.sub(r"\s+", " ", page.text)
    for metric in bundle.card.metrics:
        assert f"{metric.value:.3f}" in plain
    for caveat in bundle.card.caveats:
        assert " ".join(caveat.split()) in plain
    assert "CC BY-NC" in plain


def test_a_place_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere"):
        write_report(tmp_path / "nowhere" / "a.html", Path("a.mp4"), [], [], {})
