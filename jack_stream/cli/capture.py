"""``jack-stream capture``: one capture process by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import typer

from jack_stream import log
from jack_stream.cli.options import InsecureOption, KeyOption, ServerKeyOption
from jack_stream.clock import Clock
from jack_stream.config import CameraSettings, MicrophoneSettings, PoseSettings
from jack_stream.service.signals import stop_on_signals
from jack_stream.wire.access import Access
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.messages import Health
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher, flush

__all__ = ["app"]

app = typer.Typer(
    help="Run one capture process by itself and publish what it captures.", no_args_is_help=True
)
_Stream = Annotated[str, typer.Option(help="Name of the stream.")]
_Endpoint = Annotated[
    str, typer.Option(metavar="ENDPOINT", help="Where to publish: ipc:///path or loopback tcp.")
]
_Wait = Annotated[
    int, typer.Option(min=0, help="Begin once so many receivers listen (files lose nothing).")
]
_Connect = Annotated[
    str | None,
    typer.Option(
        metavar="ENDPOINT",
        help="Send to another machine's gate instead, as tcp://HOST:5586.",
        show_default=False,
    ),
]
_Lossless = Annotated[bool, typer.Option(help="Hold the source up instead of dropping.")]


class _Target(NamedTuple):
    """Where to publish: an address to bind, or with an access a gate to connect to."""

    stream: str
    endpoint: str
    access: Access | None


@app.command()
def camera(
    source: Annotated[
        str, typer.Argument(help="Index, device, file, folder of images, or URL.", metavar="SOURCE")
    ],
    stream: _Stream = "camera",
    endpoint: _Endpoint = "tcp://127.0.0.1:5571",
    width: Annotated[int, typer.Option(min=16, help="Pictures are resized to this.")] = 640,
    fast: Annotated[bool, typer.Option(help="Play a file as fast as it can be read.")] = False,
    loop: Annotated[bool, typer.Option(help="Start a file again at its end.")] = False,
    wait_for: _Wait = 0,
    lossless: _Lossless = False,
    connect: _Connect = None,
    key: KeyOption = None,
    server_key: ServerKeyOption = None,
    insecure: InsecureOption = False,
) -> None:
    """Publish the pictures (and sound) of a camera, file, folder of images or URL."""
    from jack_stream.capture import camera as capture  # noqa: PLC0415

    pace = "fast" if fast else "realtime"
    settings = CameraSettings(source=source, width=width, pace=pace, loop=loop)
    access = Access.of(key, server_key, insecure=insecure) if connect else None
    target = _Target(stream, connect or endpoint, access)
    _run(capture.run, settings, "camera", target, lossless, wait_for)


@app.command()
def microphone(
    device: Annotated[
        str | None,
        typer.Argument(help="Part of a name, index, file or URL; the default if left out."),
    ] = None,
    stream: _Stream = "microphone",
    endpoint: _Endpoint = "tcp://127.0.0.1:5572",
    sample_rate: Annotated[int, typer.Option(min=8000, help="Published rate in Hz.")] = 44100,
    wait_for: _Wait = 0,
    lossless: _Lossless = False,
    connect: _Connect = None,
    key: KeyOption = None,
    server_key: ServerKeyOption = None,
    insecure: InsecureOption = False,
) -> None:
    """Publish the sound of a microphone, file or URL."""
    from jack_stream.capture import microphone as capture  # noqa: PLC0415

    settings = MicrophoneSettings(device=device, sample_rate=sample_rate)
    access = Access.of(key, server_key, insecure=insecure) if connect else None
    target = _Target(stream, connect or endpoint, access)
    _run(capture.run, settings, "microphone", target, lossless, wait_for)


@app.command()
def pose(
    source: Annotated[
        str, typer.Option("--from", metavar="ENDPOINT", help="Where a camera publishes.")
    ] = "tcp://127.0.0.1:5571",
    stream: _Stream = "camera",
    endpoint: _Endpoint = "tcp://127.0.0.1:5573",
    max_persons: Annotated[int, typer.Option(min=1, max=16, help="Followed at once.")] = 4,
    wait_for: _Wait = 0,
    lossless: _Lossless = False,
    connect: _Connect = None,
    key: KeyOption = None,
    server_key: ServerKeyOption = None,
    insecure: InsecureOption = False,
) -> None:
    """Find the people in a camera's pictures and publish their poses."""
    from jack_stream.capture.pose import process  # noqa: PLC0415

    settings = PoseSettings(max_persons=max_persons)

    def run(settings: PoseSettings, publisher: Publisher, **common: Any) -> None:
        process.run(settings, source, publisher, **common)

    access = Access.of(key, server_key, insecure=insecure) if connect else None
    target = _Target(stream, connect or endpoint, access)
    _run(run, settings, "pose", target, lossless, wait_for)


def _run(
    capture: Callable[..., None],
    settings: object,
    role: str,
    target: _Target,
    lossless: bool,
    wait_for: int,
) -> None:
    log.set_up()
    clock, stop = Clock(), stop_on_signals()
    policy = Policy.LOSSLESS if lossless else Policy.LIVE
    stream, endpoint, access = target
    with (
        Publisher(
            endpoint, stream, policy=policy, clock=clock, wait_for=wait_for, access=access
        ) as publisher,
        HealthReporter(f"{role}.{stream}", stream, clock=clock) as health,
    ):
        place = f"published at {publisher.endpoint}" if access is None else f"sent to {endpoint}"
        typer.echo(f"{role} {stream!r} is {place}", err=True)
        ended = threading.Event()
        teller = threading.Thread(target=_tell, args=(health, ended))
        teller.start()
        try:
            capture(settings, publisher, clock=clock, stop=stop, health=health)
        finally:
            ended.set()
            teller.join()
            if health.last is not None:
                typer.echo(_line(health.last), err=True)
    flush()


def _tell(health: HealthReporter, ended: threading.Event) -> None:
    while not ended.wait(5.0):
        if health.last is not None:
            typer.echo(_line(health.last), err=True)


def _line(health: Health) -> str:
    numbers = {**health.gauges, **health.counters}
    told = "  ".join(f"{name} {value:g}" for name, value in numbers.items())
    return f"{health.state}: {told}  {health.detail}".rstrip()
