"""``jack-stream capture``: one capture process by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple

import typer

from jack_stream import log
from jack_stream.capture.alignment import Alignment
from jack_stream.capture.redact import redact
from jack_stream.cli.options import InsecureOption, KeyOption, ServerKeyOption
from jack_stream.clock import Clock
from jack_stream.config import CameraSettings, MicrophoneSettings, PoseSettings
from jack_stream.features.views import VIEWS
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
_Offset = Annotated[
    float,
    typer.Option(min=-5000, max=5000, help="How much too late the source stamps what it gives."),
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
    offset_ms: _Offset = 0.0,
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
    settings = CameraSettings(source=source, width=width, pace=pace, loop=loop, offset_ms=offset_ms)
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
    offset_ms: _Offset = 0.0,
    wait_for: _Wait = 0,
    lossless: _Lossless = False,
    connect: _Connect = None,
    key: KeyOption = None,
    server_key: ServerKeyOption = None,
    insecure: InsecureOption = False,
) -> None:
    """Publish the sound of a microphone, file or URL."""
    from jack_stream.capture import microphone as capture  # noqa: PLC0415

    settings = MicrophoneSettings(device=device, sample_rate=sample_rate, offset_ms=offset_ms)
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


@app.command()
def align(
    source: Annotated[
        str | None, typer.Argument(help="A file or URL with sound.", metavar="[SOURCE]")
    ] = None,
    camera: Annotated[str, typer.Option(help="Index, device or URL of a camera.")] = "0",
    microphone: Annotated[
        str, typer.Option(help="Part of a microphone's name, index, file or URL.")
    ] = "default",
    seconds: Annotated[
        float, typer.Option(min=3, max=3600, help="How long to watch and listen to devices.")
    ] = 30.0,
) -> None:
    """Measure how far pictures and sound are apart, by flashes and beeps that coincide.

    Give SOURCE, or a camera and a microphone. Make six or more sudden lights together with a sharp
    sound, at uneven intervals: switch a lamp that clicks, or play a clip on a phone.
    """
    from jack_stream.capture.measuring import measure  # noqa: PLC0415

    log.set_up()
    device = None if microphone == "default" else microphone
    heard = MicrophoneSettings(device=device, sample_rate=16000) if source is None else None
    # Small pictures: only their brightness counts.
    seen = CameraSettings(
        source=source or camera, width=160, sound=source is not None, sample_rate=16000
    )
    stop = stop_on_signals()
    typer.echo("watching and listening; Ctrl-C ends it earlier", err=True)
    found = measure(seen, heard, seconds, clock=Clock(), stop=stop)
    typer.echo("\n".join(_told(found, seen, heard)))


def _told(
    found: Alignment, seen: CameraSettings, heard: MicrophoneSettings | None
) -> Iterator[str]:
    """What was measured, for people, and the line that goes into the configuration."""
    yield f"{found.flashes} flashes and {found.beeps} beeps, {found.pairs} of them together"
    known = f"known to within {found.uncertainty_ms:.1f} ms"
    size = round(abs(found.offset_ms), 1)
    late, early = ("pictures", "sound") if found.offset_ms > 0 else ("sound", "pictures")
    yield f"{late}: stamped {size} ms later than {early}, {known}"
    if found.drift_ppm is None or found.drift_uncertainty_ppm is None:
        yield "drift: measured for too short; it takes 20 seconds and five pairs"
    elif abs(found.drift_ppm) <= found.drift_uncertainty_ppm:
        yield f"drift: none that could be told; less than {found.drift_uncertainty_ppm:.0f} ppm"
    else:
        yield (
            f"drift: the pictures' clock runs {found.drift_ppm:+.0f} ppm against the sound's,"
            f" known to within {found.drift_uncertainty_ppm:.0f} ppm"
        )
    if size <= found.uncertainty_ms:
        yield "That is not told from none at all: leave the configuration as it is."
        return
    yield "To take it off, write into the stream's configuration:"
    if late == "sound" and heard is not None:
        name = "" if heard.device is None else f"device = {json.dumps(redact(heard.device))}, "
        yield f"microphone = {{ {name}offset_ms = {size} }}"
    else:
        key = "offset_ms" if late == "pictures" else "sound_offset_ms"
        yield f"camera = {{ source = {json.dumps(redact(seen.source))}, {key} = {size} }}"


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
            endpoint,
            stream,
            policy=policy,
            clock=clock,
            wait_for=wait_for,
            views=VIEWS,
            access=access,
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
