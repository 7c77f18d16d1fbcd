"""The page answers this machine, and others that have its token; no foreign page gets in."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from jack_stream.view.page.access import Guard, is_loopback, new_token

TOKEN = "a token of some length"  # noqa: S105 - of a test


async def _page(_: Request) -> Response:
    return PlainTextResponse("the page")


async def _live(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("welcome")
    await socket.close()


def _client(token: str | None, host: str = "localhost:8765") -> TestClient:
    routes = [Route("/", _page), Route("/notice", _page), WebSocketRoute("/live", _live)]
    app = Starlette(routes=routes)
    return TestClient(Guard(app, token), base_url=f"http://{host}", follow_redirects=False)


def _welcome(client: TestClient, origin: str) -> str:
    place = str(client.base_url).replace("http:", "ws:") + "/live"
    with client.websocket_connect(place, headers={"origin": origin}) as socket:
        return str(socket.receive_text())


@pytest.mark.parametrize("host", ["localhost:8765", "127.0.0.1:8765", "[::1]:8765"])
def test_this_machine_needs_no_token(host: str) -> None:
    response = _client(None, host).get("/")
    assert response.text == "the page"
    assert "default-src 'self'" in response.headers["content-security-policy"]


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "192.0.2.7:8765", ""])
def test_a_foreign_name_for_this_machine_is_refused(host: str) -> None:
    response = _client(None).get("/", headers={"host": host})
    assert response.status_code == 403
    assert "the page" not in response.text


def test_only_the_page_itself_opens_its_socket() -> None:
    client = _client(None)
    assert _welcome(client, "http://localhost:8765") == "welcome"
    for origin in ("http://evil.example", "http://localhost:9999", "null", ""):
        with pytest.raises(WebSocketDisconnect):
            _welcome(client, origin)


def test_the_token_in_the_address_becomes_a_cookie() -> None:
    client = _client(TOKEN, "192.0.2.7:8765")
    first = client.get("/", params={"token": TOKEN})
    assert first.status_code == 303
    assert first.headers["location"] == "/"
    assert "HttpOnly" in first.headers["set-cookie"]
    assert client.get("/").text == "the page"
    assert _welcome(client, "http://192.0.2.7:8765") == "welcome"


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN[:-1], TOKEN + "x", "ünïcode"])
def test_without_the_right_token_nothing_is_shown(token: str | None) -> None:
    client = _client(TOKEN, "192.0.2.7:8765")
    given = {} if token is None else {"token": token}
    assert client.get("/", params=given).status_code == 403
    with pytest.raises(WebSocketDisconnect):
        _welcome(client, "http://192.0.2.7:8765")


def test_the_notice_is_for_all_who_reach_the_page() -> None:
    assert _client(TOKEN, "192.0.2.7:8765").get("/notice").status_code == 200
    assert _client(None).get("/notice", headers={"host": "evil.example"}).status_code == 403


def test_addresses_of_this_machine_only_are_told_apart() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.0.2.7", "camera.local", "")))  # noqa: S104


def test_tokens_differ_and_are_long() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 21
