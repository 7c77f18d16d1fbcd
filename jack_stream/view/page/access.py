"""Who may open the page: everyone on this machine, and from elsewhere who has the token."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

__all__ = ["NOTICE", "Guard", "is_loopback", "new_token"]

COOKIE = "jack_stream_token"
NOTICE = "/notice"
"""The one page that needs no token: it is for the people who are observed."""
_A_DAY_S = 86_400
_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """A token that can't be guessed: 128 bits."""
    return secrets.token_urlsafe(16)


class Guard:
    """Lets requests through to the page, or refuses them.

    Without a token it takes requests only for this machine's own names, so that no foreign web page
    reaches it by a name of its own (DNS rebinding). With one, ``/?token=...`` is exchanged for a
    cookie, so that the token does not stay in the address. A WebSocket must come from this page.

    Args:
        app: the page.
        token: what a browser must have; None on loopback.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None and scope["type"] == "websocket":
            await WebSocket(scope, receive, send).close(1008, refusal)
        elif refusal is not None:
            await PlainTextResponse(refusal + "\n", 403)(scope, receive, send)
        elif scope["type"] == "http" and (given := self._given(scope)):
            response = RedirectResponse(scope["path"], 303)
            response.set_cookie(COOKIE, given, max_age=_A_DAY_S, httponly=True, samesite="strict")
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope, headers: Headers) -> str | None:
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        if self._token is None and not is_loopback(host):
            return f"This page answers to localhost only, not to {host[:100]!r}."
        if scope["type"] == "websocket":
            origin = urlsplit(headers.get("origin", "")).netloc
            if origin != headers.get("host", ""):
                return "Only this page itself may open its socket."
        is_notice = scope["type"] == "http" and scope["path"] == NOTICE
        if self._token is None or is_notice or self._given(scope):
            return None
        cookie = SimpleCookie(headers.get("cookie", ""))
        if COOKIE in cookie and hmac.compare_digest(cookie[COOKIE].value, self._token):
            return None
        return "This page needs its token: open the address that `jack-stream view` printed."

    def _given(self, scope: Scope) -> str | None:
        """The right token in the address, if it is there."""
        if self._token is None:
            return None
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        return self._token if hmac.compare_digest(given.encode(), self._token.encode()) else None


def _with_headers(send: Send) -> Send:
    async def sending(message: object) -> None:
        if isinstance(message, dict) and message.get("type") == "http.response.start":
            message["headers"] = [*message.get("headers", []), *_HEADERS]
        await send(message)  # type: ignore[arg-type]

    return sending
