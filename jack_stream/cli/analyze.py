"""``jack-stream analyze``: one video file in, its events and a summary out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tomli_w
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from jack_stream.cli.options import SetOption
from jack_stream.config import Config, loads
from jack_stream.errors import SourceError, UsageError
from jack_stream.events.schema import Alert, AnyEvent, Event, encode
from jack_stream.service.signals import stop_on_signals
from jack_stream.wire.messages import Health

if TYPE_CHECKING:
    from jack_stream.capture.contents import Contents

__all__ = ["analyze"]


def analyze(
    file: Annotated[Path, typer.Argument(help="A video or sound file.")],
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            help="What to look with; may be repeated. [bpm-gcn; vaanet-audio for sound alone]",
        ),
    ] = None,
    bundle: Annotated[str, typer.Option(help="Weights: a path, `default` or `untrained`.")] = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Events as JSON lines. [FILE.events.jsonl]"),
    ] = None,
    hop: Annotated[float | None, typer.Option(min=0.1, help="Seconds between windows.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the timeline into this PNG file.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with everything into this HTML file.")
    ] = None,
    show_faces: Annotated[
        bool, typer.Option("--show-faces", help="Do not blur faces in the report's pictures.")
    ] = False,
    rules: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|NAME", help="Also give the alerts of this configuration's rules."
        ),
    ] = None,
    act: Annotated[
        bool, typer.Option("--act", help="Run the rules' commands and webhooks, too.")
    ] = False,
    overrides: SetOption = None,
) -> None:
    """Analyze a file, losing nothing: the same processes as live, as fast as they can go.

    Writes one JSON event or alert per line and prints a summary. What it is for is stated with
    `--set`, such as `--set purpose.use=research`.
    """
    from jack_stream.capture.contents import contents_of  # noqa: PLC0415 - slow to import
    from jack_stream.cli.judging import judge_by  # noqa: PLC0415
    from jack_stream.inference.catalogue import check_name  # noqa: PLC0415
    from jack_stream.service.session import private, run_session  # noqa: PLC0415
    from jack_stream.view.summary import summarise  # noqa: PLC0415
    from jack_stream.view.timeline import save_timeline  # noqa: PLC0415

    out = out or file.with_name(f"{file.name}.events.jsonl")
    _check_paths(file, {"--out": out, "--picture": picture, "--report": report})
    for name in method or ():
        check_name(name)
    contents = contents_of(file)
    methods = method or ["bpm-gcn" if contents.pictures else "vaanet-audio"]
    _check_contents(file, contents, methods)
    configured = _configuration(file, methods, bundle, hop, overrides or [])
    judge = judge_by(rules, configured, act=act)
    stop = stop_on_signals()
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[media]}"),
        TimeElapsedColumn(), console=console, disable=not console.is_terminal,
    )  # fmt: skip
    events: list[Event] = []
    with private(configured) as config, progress, judge, out.open("wb") as lines:
        task = progress.add_task("starting", total=contents.duration_s, media="")

        def keep(event: Event) -> None:
            events.append(event)
            said: list[AnyEvent] = [event, *judge.take(event)]
            lines.writelines(encode(one)[1] + b"\n" for one in said)

        def look(health: Health) -> None:
            if health.process == "inference":
                progress.update(task, description=health.detail or "analyzing")
            if (media_s := health.gauges.get("media_s")) is not None:
                progress.update(task, completed=media_s, media=f"{media_s:.0f} s")

        code = run_session(config, stop, on_event=keep, on_health=look)
        judge.finish(stop)
    if stop.is_set():
        typer.echo("stopped before the end; what was found so far:", err=True)
    typer.echo(summarise(events))
    judge.tell()
    typer.echo(f"{len(events)} events are in {out}.")
    if picture is not None and events:
        save_timeline(events, picture, alerts=judge.alerts or ())
        typer.echo(f"The timeline is drawn in {picture}.")
    if report is not None:
        _write_report(report, file, configured, events, judge.alerts, show_faces=show_faces)
        typer.echo(f"The report is {report}.")
    sys.exit(code)


def _check_paths(file: Path, written: Mapping[str, Path | None]) -> None:
    """Find out now, not after minutes of work, that a file is missing or can't be written."""
    if not file.is_file():
        raise SourceError(f"{file}: there is no such file")
    for option, path in written.items():
        if path is not None and not path.parent.is_dir():
            raise UsageError(f"{option} {path}: the folder {path.parent} does not exist")


def _check_contents(file: Path, contents: Contents, methods: Sequence[str]) -> None:
    """Find out before anything starts that a method has nothing to look at or to listen to."""
    from jack_stream.models.registry import METHODS  # noqa: PLC0415

    for method in methods:
        needed = METHODS[method].modalities if method in METHODS else ()
        if not contents.pictures and {"video", "pose"} & set(needed):
            raise SourceError(
                f"{file} has no pictures that can be decoded, and {method} looks at pictures",
                hint="`--method vaanet-audio` reads a voice alone.",
            )
        if not contents.sound and needed == ("audio",):
            raise SourceError(f"{file} has no sound that can be decoded for {method} to listen to")


def _write_report(
    path: Path,
    file: Path,
    config: Config,
    events: list[Event],
    alerts: Sequence[Alert] | None,
    *,
    show_faces: bool,
) -> None:
    from jack_stream.inference.catalogue import bundle_path  # noqa: PLC0415
    from jack_stream.view.faces import FaceBlur  # noqa: PLC0415 - imports MediaPipe
    from jack_stream.view.keyframes import choose, take  # noqa: PLC0415
    from jack_stream.view.report import write_report  # noqa: PLC0415
    from jack_stream.weights import read_bundle  # noqa: PLC0415

    stream, cards = config.streams[0], {}
    for analyzer in stream.analyzers:
        if (bundle := bundle_path(analyzer.method, analyzer.bundle)) is not None:
            found = read_bundle(bundle)
            cards[found.digest] = found.card
    frames = []
    if stream.camera is not None:
        with ExitStack() as stack:
            change = np.copy if show_faces else stack.enter_context(FaceBlur())
            frames = take(file, choose(events), change)
    write_report(path, file, events, frames, cards, alerts=alerts, purpose=config.purpose)


def _configuration(
    file: Path, methods: list[str], bundle: str, hop: float | None, overrides: list[str]
) -> Config:
    from jack_stream.inference.catalogue import check_methods, shipped_bundle  # noqa: PLC0415
    from jack_stream.models.registry import METHODS  # noqa: PLC0415

    analyzers: list[dict[str, Any]] = []
    for method in methods:
        chosen = bundle or ("default" if shipped_bundle(method) else "untrained")
        analyzers.append({"method": method, "bundle": chosen, "lateness_s": 60.0})
        if hop is not None:
            analyzers[-1]["hop_s"] = hop
    modalities = {m for name in methods if name in METHODS for m in METHODS[name].modalities}
    stream: dict[str, Any] = {"name": _stream_name(file), "analyzers": analyzers}
    if modalities == {"audio"}:
        stream["microphone"] = {"device": str(file.absolute()), "pace": "fast"}
    else:
        sound = "audio" in modalities
        stream["camera"] = {"source": str(file.absolute()), "pace": "fast", "sound": sound}
    if "pose" in modalities:
        stream["pose"] = {}
    table = {"runtime": {"policy": "lossless"}, "streams": [stream]}
    config = loads(tomli_w.dumps(table), str(file), overrides)
    check_methods(config.streams[0].analyzers)
    return config


def _stream_name(file: Path) -> str:
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in file.stem)
    return name[:32] or "file"
