"""Where the page may be served, and with what."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from jack_stream.cli.app import app
from jack_stream.config import Config, parse
from jack_stream.errors import ConfigError

TOKEN, SHORT = "long enough", "hunter2"


def _config(**view: Any) -> Config:
    return parse({"view": view, "streams": [{"name": "door", "camera": {"source": "0"}}]}, "test")


@pytest.mark.parametrize(
    ("address", "place", "url"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80), "http://localhost:80"),
        ("[::1]:8765", ("::1", 8765), "http://localhost:8765"),
        ("localhost:1", ("localhost", 1), "http://localhost:1"),
    ],
)
def test_on_this_machine_alone_it_needs_no_token(
    address: str, place: tuple[str, int], url: str
) -> None:
    view = _config(address=address).view
    assert (view.place, view.url, view.enabled) == (place, url, False)


def test_where_others_reach_it_it_needs_a_token() -> None:
    with pytest.raises(ConfigError, match=r"set view\.token"):
        _config(address="0.0.0.0:8765")
    view = _config(address="0.0.0.0:8765", token=TOKEN).view
    assert view.url == "http://0.0.0.0:8765"


@pytest.mark.parametrize("address", ["8765", "127.0.0.1", "127.0.0.1:99999", "a b:1", ":1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"view\.address"):
        _config(address=address)


def test_the_token_is_repeated_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        _config(token=SHORT)
    assert "view.token" in str(caught.value)
    assert SHORT not in str(caught.value)
    path = tmp_path / "page.toml"
    text = '[view]\ntoken = "hunter2hunter2"\n[[streams]]\nname = "a"\ncamera = { source = "0" }\n'
    path.write_text(text)
    shown = CliRunner().invoke(app, ["config", "show", str(path)]).output
    assert 'token = "***"' in shown
