"""HTTP and WebSocket around the hub."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

import jack_stream
from jack_stream.config import Config
from jack_stream.errors import JackError
from jack_stream.service.notice import language_for, notice_page
from jack_stream.view.page.access import NOTICE, Guard
from jack_stream.view.page.history import History
from jack_stream.view.page.hub import Hub
from jack_stream.view.page.viewer import Said, Viewer

__all__ = ["make_app"]

_STATIC = Path(str(files("jack_stream.view.page"))) / "static"
_said = msgspec.json.Decoder(Said).decode
_TRY_AGAIN_LATER = 1013
_POLICY = 1008


def make_app(config: Config, hub: Hub) -> Guard:
    """The page as an ASGI application.

    Args:
        config: the system to look at, which may be running or not.
        hub: what the page shows.
    """
    history = History(config)

    async def index(_: Request) -> Response:
        return FileResponse(_STATIC / "index.html")

    async def about(_: Request) -> Response:
        streams = [
            {
                "name": stream.name,
                "methods": [analyzer.method for analyzer in stream.analyzers],
                "pictures": stream.picture_source != "",
            }
            for stream in config.streams
        ]
        purpose = {**config.purpose.model_dump(), "observes_people": config.observes_people}
        return JSONResponse(
            {"version": jack_stream.__version__, "streams": streams, "purpose": purpose}
        )

    async def notice(request: Request) -> Response:
        asked = request.query_params.get("lang", "")
        language = language_for(asked, request.headers.get("accept-language", ""))
        return HTMLResponse(notice_page(config, language))

    async def past(request: Request) -> Response:
        try:
            found = await asyncio.to_thread(history.find, request.query_params)
        except JackError as error:
            return JSONResponse({"error": str(error)}, 400)
        return Response(found, media_type="application/x-ndjson")

    app = Starlette(
        routes=[
            Route("/", index),
            Route("/about", about),
            Route("/events", past),
            Route(NOTICE, notice),
            WebSocketRoute("/live", _live),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ],
    )
    app.state.hub = hub
    return Guard(app, config.view.token)


async def _live(socket: WebSocket) -> None:
    """One browser, from its coming to its going."""
    hub: Hub = socket.app.state.hub
    await socket.accept()
    viewer = Viewer(hub.streams)
    hub.join(viewer)
    sending = asyncio.create_task(_send(socket, viewer))
    try:
        while True:
            viewer.hear(_said(await socket.receive_text()))
            hub.ready()
    except WebSocketDisconnect:
        pass
    except msgspec.DecodeError:
        await socket.close(_POLICY, "not a message of this page")
    finally:
        hub.leave(viewer)
        sending.cancel()


async def _send(socket: WebSocket, viewer: Viewer) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):  # it went; the other task sees to it
        while (message := await viewer.waiting.get()) is not None:
            if isinstance(message, str):
                await socket.send_text(message)
            else:
                await socket.send_bytes(message)
        await socket.close(_TRY_AGAIN_LATER, "too slow for what there is to show")
