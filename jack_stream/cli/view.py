"""``jack-stream view``: the live page in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from jack_stream.cli.options import ConfigOption, SetOption, load_config
from jack_stream.errors import UsageError

__all__ = ["view"]


def view(
    config: ConfigOption,
    overrides: SetOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port.")] = 8765,
    token: Annotated[
        str | None,
        typer.Option(
            help="What browsers on other machines must bring; made up if absent.",
            envvar="JACK_STREAM_VIEW_TOKEN",
        ),
    ] = None,
    show_faces: Annotated[bool, typer.Option("--show-faces", help="Do not blur faces.")] = False,
) -> None:
    """Show a running system in the browser: pictures, readings, their course over time.

    Use the configuration that `jack-stream run` uses. The page may come and go without the system
    noticing. On an address that other machines reach it takes a token; it is not encrypted, so
    put a TLS proxy before it or use an SSH tunnel.
    """
    import asyncio  # noqa: PLC0415

    from jack_stream import log  # noqa: PLC0415
    from jack_stream.view.page.access import is_loopback, new_token  # noqa: PLC0415
    from jack_stream.view.page.server import make_app, serve  # noqa: PLC0415

    loaded = load_config(config, overrides)
    if token is not None and len(token) < 8:
        raise UsageError("--token: a token of less than 8 characters can be guessed")
    if token is None and not is_loopback(host):
        token = new_token()
    log.set_up(loaded.runtime.log_format)
    shown = "localhost" if is_loopback(host) else host
    key = "" if token is None else f"/?token={token}"
    typer.echo(f"The page is at http://{shown}:{port}{key}")
    asyncio.run(serve(make_app(loaded, show_faces=show_faces, token=token), host, port))
