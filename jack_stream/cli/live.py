"""``demo``, ``run``, ``infer`` and ``watch``: everything that shows a running system."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from jack_stream.cli.options import (
    ConfigOption,
    EventsOption,
    HealthOption,
    InsecureOption,
    KeyOption,
    ServerKeyOption,
    SetOption,
    check_before_start,
    load_config,
)
from jack_stream.config import Config
from jack_stream.events.schema import Alert, AnyEvent, Event
from jack_stream.events.subscriber import DEFAULT_ENDPOINT, Subscription
from jack_stream.service.signals import stop_on_signals
from jack_stream.view.terminal import Board
from jack_stream.wire.access import Access
from jack_stream.wire.messages import Health
from jack_stream.wire.receiver import Receiver

__all__ = ["demo", "infer", "reload", "run", "watch"]

DEFAULT_HEALTH_ENDPOINT = "tcp://127.0.0.1:5578"
_DRAW_HZ = 5
_SLICE_S = 0.1


TraceOption = Annotated[
    Path | None,
    typer.Option(
        "--trace",
        metavar="FILE",
        dir_okay=False,
        show_default=False,
        help="Write a trace of messages, windows, batches and model runs, for ui.perfetto.dev.",
    ),
]


def run(
    config: ConfigOption,
    overrides: SetOption = None,
    show: Annotated[bool, typer.Option("--watch", help="Show the live view.")] = False,
    page: Annotated[bool, typer.Option("--view", help="Serve the live page, too.")] = False,
    trace: TraceOption = None,
    cpus: Annotated[
        str | None,
        typer.Option(
            help="Cores to divide between capture, pose and inference: all, how many, or 0,2-3.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Start all processes of a configuration and keep them alive, until Ctrl-C or SIGTERM.

    Files end by themselves. Events are published at `events.endpoint`; look at them with
    `jack-stream watch` from another terminal.
    """
    if page:
        overrides = [*(overrides or ()), "view.enabled=true"]
    overrides = [*(overrides or ()), *_tracing(trace)]
    if cpus is not None:
        overrides.append(f"runtime.cpus={cpus!r}")
    loaded = load_config(config, overrides)
    check_before_start(loaded)
    if page:
        key = "" if loaded.view.token is None else "; it asks for view.token"
        typer.echo(f"The page is at {loaded.view.url}{key}")
    stop = stop_on_signals()
    if show:
        code, _ = _shown(loaded, stop)
    else:
        from jack_stream import log  # noqa: PLC0415
        from jack_stream.service.supervisor import Supervisor  # noqa: PLC0415

        log.set_up(loaded.runtime.log_format)
        supervisor = Supervisor(loaded, reload=lambda: load_config(config, overrides))
        signal.signal(signal.SIGHUP, lambda *_: supervisor.reloading.set())
        code = supervisor.run(stop)
    sys.exit(code)


def reload(config: ConfigOption, overrides: SetOption = None) -> None:
    """Let a running system take newly read weights and analyzers, without losing a window.

    A new inference process starts beside the old one and takes over. Other changes of the
    configuration need a restart; the running system logs which. The same as SIGHUP to `run`.
    """
    from jack_stream.errors import UsageError  # noqa: PLC0415
    from jack_stream.service.lock import owner  # noqa: PLC0415

    loaded = load_config(config, overrides)
    check_before_start(loaded)
    process = owner(loaded.directory)
    if process is None:
        raise UsageError(
            f"no system runs in {loaded.directory}",
            hint="Name the configuration that it was started with, and be the same user.",
        )
    os.kill(process, signal.SIGHUP)
    typer.echo(f"Process {process} was told. What comes of it is in its log.")


def infer(config: ConfigOption, overrides: SetOption = None) -> None:
    """Run only the inference process of a configuration.

    For captures that run elsewhere on this machine (`jack-stream capture`) with the same
    `runtime.directory`. It publishes events itself, and keeps none.
    """
    from jack_stream import log  # noqa: PLC0415
    from jack_stream.service.plan import WorkerPlan  # noqa: PLC0415
    from jack_stream.service.traces import collected  # noqa: PLC0415
    from jack_stream.service.worker import run as work  # noqa: PLC0415
    from jack_stream.wire.publisher import flush  # noqa: PLC0415

    loaded = load_config(config, [*(overrides or ()), "journal.enabled=false"])
    log.set_up(loaded.runtime.log_format)
    with collected(loaded):
        work(WorkerPlan("inference"), loaded, stop_on_signals())
    flush()


def watch(
    events: EventsOption = DEFAULT_ENDPOINT,
    health: HealthOption = DEFAULT_HEALTH_ENDPOINT,
    stream: Annotated[str | None, typer.Option(help="Show only this stream.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print events as JSON lines instead.")
    ] = False,
    count: Annotated[
        int | None, typer.Option(help="End after so many events.", show_default=False)
    ] = None,
    replay: Annotated[
        str | None,
        typer.Option(metavar="ENDPOINT", help="Where that gate gives out what was missed."),
    ] = None,
    key: KeyOption = None,
    server_key: ServerKeyOption = None,
    insecure: InsecureOption = False,
) -> None:
    """Show what a running system says: a line per stream and person, a bar per emotion, alerts.

    Begins with the last state of each stream, dimmed and with its time, until there is a new one.
    Another machine's is seen through its gate, with keys (docs/security.md).
    """
    access = Access.of(key, server_key, insecure=insecure)
    stop = stop_on_signals()
    board = Board()
    seen = 0

    def take(said: AnyEvent) -> None:
        nonlocal seen
        if as_json:
            _print_json(said)
        if isinstance(said, Alert):
            board.alert(said)
            return
        seen += 1
        board.event(said)
        if count is not None and seen >= count:
            stop.set()

    with (
        Subscription(
            events, stream=stream, replay=replay, retained=not as_json, access=access
        ) as subscription,
        Receiver([health], {"health"}, access=access) as reports,
        contextlib.nullcontext() if as_json else _drawing(board) as draw,
    ):
        while not stop.is_set():
            said = subscription.take(_SLICE_S)
            if said is not None:
                take(said)
            while isinstance(report := reports.get(0), Health):
                board.health(report)
            if draw is not None:
                draw()


def demo(
    camera: Annotated[
        str | None,
        typer.Option(help="Watch this camera instead of the built-in scene, such as 0."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=10, help="How long.")] = 48.0,
    picture: Annotated[
        Path, typer.Option(help="Where to save the picture of the timeline.", dir_okay=False)
    ] = Path("jack-stream-demo.png"),
    trace: TraceOption = None,
) -> None:
    """See it work, with nothing but this package: a walking figure, drawn, seen and read.

    A scene process draws a person who walks in four styles, with sound; the pose process finds
    the person in the pictures; the gait network reads the walk. Everything goes through the same
    sockets and processes as with a camera.
    """
    from jack_stream.service.session import private  # noqa: PLC0415
    from jack_stream.view.summary import summarise  # noqa: PLC0415
    from jack_stream.view.timeline import save_timeline  # noqa: PLC0415

    overrides = [f"streams.0.scene.seconds={seconds}"]
    if camera is not None:
        overrides = [f"streams.0.camera.source={camera!r}"]
    overrides += _tracing(trace)
    loaded = load_config("demo-camera" if camera else "demo", overrides)
    check_before_start(loaded)
    stop = stop_on_signals()
    if camera is not None:
        timer = threading.Timer(seconds, stop.set)
        timer.daemon = True
        timer.start()
    with private(loaded) as config:
        code, events = _shown(config, stop)
    typer.echo(summarise(events))
    if events:
        save_timeline(events, picture)
        typer.echo(f"The timeline is drawn in {picture}.")
    if trace is not None:
        typer.echo(f"The trace is {trace}; open it at ui.perfetto.dev.")
    sys.exit(code)


def _tracing(path: Path | None) -> list[str]:
    return [] if path is None else [f"runtime.trace={str(path.absolute())!r}"]


def _shown(config: Config, stop: threading.Event) -> tuple[int, list[Event]]:
    """Run a configuration under the live view; the exit code and all events."""
    from jack_stream.service.session import run_session  # noqa: PLC0415

    board, events = Board(), list[Event]()

    def take(event: Event) -> None:
        events.append(event)
        board.event(event)

    with _drawing(board) as draw:
        code = run_session(
            config,
            stop,
            on_event=take,
            on_alert=board.alert,
            on_health=board.health,
            on_turn=draw,
        )
    return code, events


@contextlib.contextmanager
def _drawing(board: Board) -> Iterator[Callable[[], None]]:
    """A function that draws the board if it is time to; prints nothing where there is no screen."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda: None
        return
    drawn_s = 0.0
    with Live(board.render(), console=console, auto_refresh=False) as live:

        def draw() -> None:
            nonlocal drawn_s
            if time.monotonic() - drawn_s >= 1 / _DRAW_HZ:
                drawn_s = time.monotonic()
                live.update(board.render(), refresh=True)

        yield draw


def _print_json(event: AnyEvent) -> None:
    from jack_stream.events.schema import encode  # noqa: PLC0415

    typer.echo(encode(event)[1].decode())
