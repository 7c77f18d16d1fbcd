"""Sections about the system as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from jack_stream.config.fields import Cores, Endpoint, PublicEndpoint, Section
from jack_stream.log import LogFormat
from jack_stream.wire.keys import default_folder
from jack_stream.wire.policy import Policy

__all__ = [
    "EventsSettings",
    "GateSettings",
    "JournalSettings",
    "RecycleSettings",
    "RuntimeSettings",
]


class RuntimeSettings(Section):
    """What all processes share."""

    directory: Path | None = Field(
        default=None, description="Folder of the ipc sockets; the user's runtime folder if absent."
    )
    threads: int | None = Field(
        default=None, ge=1, le=256, description="Threads of the models; all cores if absent."
    )
    cpus: Cores | None = Field(
        default=None,
        description="Cores for all of this, divided between capture, pose and inference: `all`, how"
        " many (2), or which (`0,2-3`). Undivided if absent.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where the models run; auto takes CUDA where it is usable."
    )
    policy: Policy = Field(
        default=Policy.LIVE,
        description="live: the newest data wins. lossless: nothing is dropped, sources wait.",
    )
    weights: dict[str, Annotated[float, Field(gt=0, le=1000)]] = Field(
        default={},
        description="Method -> its share of the machine where that is scarce; 1 for the others.",
    )
    log_format: LogFormat = Field(default="text", description="Log lines as text or as JSON.")
    trace: Path | None = Field(
        default=None,
        description="A file for a trace of what every process did when (docs/profiling.md).",
    )


class EventsSettings(Section):
    """Where events and health are published."""

    endpoint: Endpoint = Field(
        default="tcp://127.0.0.1:5577", description="PUB socket of the emotion events."
    )
    health_endpoint: Endpoint = Field(
        default="tcp://127.0.0.1:5578", description="PUB socket of all processes' health."
    )
    replay_endpoint: Endpoint | None = Field(
        default=None,
        description="ROUTER socket that gives out what the journal keeps. If absent, `endpoint`"
        " with its port plus 2, or with `.replay` after its path.",
    )


class JournalSettings(Section):
    """Every event is kept in a file before it is published, so that none is lost on the way."""

    enabled: bool = Field(default=True, description="false: events are published and not kept.")
    path: Path | None = Field(
        default=None,
        description="The file, readable by its owner alone. If absent, `events.sqlite` in"
        " systemd's state directory or in ~/.local/state/jack-stream.",
    )
    max_age_days: float = Field(default=30.0, gt=0, description="Older events are deleted.")
    max_size_mb: float = Field(
        default=500.0, ge=1, description="The oldest events are deleted beyond that."
    )


class RecycleSettings(Section):
    """When a new inference process takes over from the old one, without losing a window."""

    inference_hours: float | None = Field(
        default=None, gt=0, description="After so many hours; never for its age if absent."
    )
    inference_mb: float | None = Field(
        default=None,
        ge=100,
        description="When it holds so many MiB of memory; never for its size if absent. Twice that"
        " is needed while both run.",
    )


class GateSettings(Section):
    """What other machines may reach, with keys; without this section they reach nothing."""

    keys: Path = Field(
        default_factory=default_folder,
        description="Folder of keys: `gate.key_secret`, and the lists of who may do what.",
    )
    events: PublicEndpoint | None = Field(
        default=None, description="Events for keys that may subscribe, as tcp://0.0.0.0:5587."
    )
    health: PublicEndpoint | None = Field(
        default=None, description="Health for keys that may subscribe, as tcp://0.0.0.0:5588."
    )
    replay: PublicEndpoint | None = Field(
        default=None,
        description="What the journal keeps, for keys that may subscribe, as tcp://0.0.0.0:5589.",
    )
    captures: PublicEndpoint | None = Field(
        default=None,
        description="Where keys that may publish send what `[streams.remote]` wants.",
    )
    insecure: bool = Field(
        default=False,
        description="true: no keys. Whoever reaches the addresses reads all and sends anything.",
    )
