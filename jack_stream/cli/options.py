"""Options that several commands share, and how they become a configuration."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from jack_stream import config as configuration
from jack_stream.config import Config
from jack_stream.errors import ConfigError, SourceError

__all__ = [
    "ConfigOption",
    "EventsOption",
    "HealthOption",
    "InsecureOption",
    "KeyOption",
    "ServerKeyOption",
    "SetOption",
    "check_before_start",
    "load_config",
    "ready_configurations",
]

ConfigOption = Annotated[
    str,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE|NAME",
        help="A TOML file, or the name of a ready configuration (`jack-stream config list`).",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override one value, such as streams.0.camera.source=1. May be repeated.",
    ),
]
EventsOption = Annotated[
    str, typer.Option("--events", metavar="ENDPOINT", help="Where events are published.")
]
HealthOption = Annotated[
    str, typer.Option("--health", metavar="ENDPOINT", help="Where health is published.")
]

KeyOption = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="Your secret key, for another machine's gate."),
]
ServerKeyOption = Annotated[
    Path | None,
    typer.Option("--server-key", metavar="FILE", help="That gate's public key."),
]
InsecureOption = Annotated[
    bool,
    typer.Option(
        "--insecure",
        help="Connect to other machines without keys: all can be read and forged on the way.",
    ),
]


def ready_configurations() -> dict[str, Path]:
    """The configurations that come with the package, by name."""
    package = Path(str(files("jack_stream")))
    # In a wheel they lie in the package, in a checkout beside it.
    for folder in (package / "configs", package.parent / "configs"):
        if found := sorted(folder.glob("*.toml")):
            return {path.stem: path for path in found}
    return {}


def load_config(name: str, overrides: list[str] | None) -> Config:
    """Read the configuration that an option names.

    Raises:
        ConfigError: there is none, or something in it is wrong.
    """
    path = Path(name)
    ready = ready_configurations()
    if not path.exists() and name in ready:
        path = ready[name]
    elif not path.exists():
        raise ConfigError(
            f"{name}: there is no such file or ready configuration",
            hint=f"ready configurations: {', '.join(ready)}",
        )
    return configuration.load(path, overrides or ())


def check_before_start(config: Config) -> None:
    """Find mistakes before any process is started and any model compiled.

    Raises:
        ConfigError: a method is not there or would see nothing, a rule can't hold, the gate has
            no key, or cores are wanted that are not allowed.
        SourceError: a file that is to be played is not there.
    """
    from jack_stream.inference.catalogue import check_methods  # noqa: PLC0415
    from jack_stream.service.cores import division  # noqa: PLC0415
    from jack_stream.service.plan import plan  # noqa: PLC0415
    from jack_stream.service.rule_check import check_rules  # noqa: PLC0415
    from jack_stream.wire.guard import check_keys  # noqa: PLC0415

    check_methods(settings for stream in config.streams for settings in stream.analyzers)
    plan(config)
    division(config)
    check_rules(config)
    if config.gate is not None and not config.gate.insecure:
        check_keys(config.gate.keys)
    for stream in config.streams:
        paths = [stream.recording.path] if stream.recording is not None else []
        source = stream.camera.source.removeprefix("file://") if stream.camera is not None else ""
        # A device may still be plugged in; what an address leads to shows when it is opened.
        if source and not (source.isdigit() or source.startswith("/dev/") or "://" in source):
            paths.append(Path(source))
        for path in paths:
            if not path.exists():
                raise SourceError(f"stream {stream.name!r}: {path}: there is no such file")
