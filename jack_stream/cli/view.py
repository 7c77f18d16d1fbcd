"""``jack-stream view``: the live page in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from jack_stream.cli.options import ConfigOption, SetOption, load_config
from jack_stream.config import ViewSettings
from jack_stream.errors import UsageError

__all__ = ["view"]


def view(
    config: ConfigOption,
    overrides: SetOption = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; `view.address` has another default.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="TCP port.")] = None,
    token: Annotated[
        str | None,
        typer.Option(
            help="What browsers must bring; made up if absent where other machines get in.",
            envvar="JACK_STREAM_VIEW_TOKEN",
        ),
    ] = None,
    show_faces: Annotated[bool, typer.Option("--show-faces", help="Do not blur faces.")] = False,
) -> None:
    """Show a running system in the browser: pictures, readings, their course over time.

    Use the configuration that `jack-stream run` uses, which serves the page itself with `--view`.
    The page may come and go without the system noticing. On an address that other machines reach
    it takes a token; it is not encrypted, so put a TLS proxy before it or use an SSH tunnel.
    """
    from jack_stream import log  # noqa: PLC0415
    from jack_stream.clock import Clock  # noqa: PLC0415
    from jack_stream.service.signals import stop_on_signals  # noqa: PLC0415
    from jack_stream.view.page import process  # noqa: PLC0415
    from jack_stream.wire.health import HealthReporter  # noqa: PLC0415

    loaded = load_config(config, overrides)
    settings = _settings(loaded.view, host, port, token, show_faces=show_faces)
    log.set_up(loaded.runtime.log_format)
    key = "" if settings.token is None else f"/?token={settings.token}"
    typer.echo(f"The page is at {settings.url}{key}")
    with HealthReporter("view", "", clock=Clock()) as health:
        seen = loaded.model_copy(update={"view": settings})
        process.run(seen, stop=stop_on_signals(), health=health)


def _settings(
    settings: ViewSettings,
    host: str | None,
    port: int | None,
    token: str | None,
    *,
    show_faces: bool,
) -> ViewSettings:
    """The configuration's, with what was given on the command line."""
    from jack_stream.view.page.access import is_loopback, new_token  # noqa: PLC0415

    if token is not None and len(token) < 8:
        raise UsageError("--token: a token of less than 8 characters can be guessed")
    host, port = host or settings.place[0], port or settings.place[1]
    token = token or settings.token
    if token is None and not is_loopback(host):
        token = new_token()
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    shows = show_faces or settings.show_faces
    return settings.model_copy(update={"address": address, "token": token, "show_faces": shows})
