"""Which processes a configuration needs, and who listens to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from jack_stream.config import Config, StreamSettings
from jack_stream.errors import ConfigError

__all__ = ["Role", "WorkerPlan", "plan", "sources"]

Role: TypeAlias = Literal[
    "camera",
    "microphone",
    "scene",
    "recording",
    "pose",
    "rules",
    "journal",
    "inference",
    "gate",
    "metrics",
    "view",
]


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """One process.

    Attributes:
        role: what it does.
        stream: the stream that it serves; empty for those that serve all.
    """

    role: Role
    stream: str = ""

    @property
    def name(self) -> str:
        """What it is called in health messages and logs."""
        return f"{self.role}.{self.stream}" if self.stream else self.role

    def receivers(self, config: Config) -> int:
        """How many processes listen to this one; it begins once they do."""
        if not self.stream:
            return 0
        stream = config.stream(self.stream)
        wanted = _wanted_by_inference(stream)
        if self.role == "pose":
            return int("pose" in wanted)
        if self.role == "microphone":
            return int("audio" in wanted)
        if self.role == "recording":
            return int(bool(wanted - {"pose"} if stream.pose else wanted)) + int(bool(stream.pose))
        heard_here = "audio" in wanted and stream.microphone is None
        return int("frame" in wanted or heard_here) + int(stream.pose is not None)


def plan(config: Config) -> list[WorkerPlan]:
    """The processes of a configuration: each stream's sources, then those that serve all.

    Raises:
        ConfigError: a method looks at something that no process of its stream publishes, or there
            are rules and no journal.
    """
    for stream in config.streams:
        _check_sources(stream)
    if config.rules and not config.journal.enabled:
        raise ConfigError(
            "[[rules]] need the journal, which alerts go through",
            hint="Set journal.enabled = true, or leave the rules out.",
        )
    roles: tuple[Role, ...] = ("camera", "microphone", "scene", "recording", "pose")
    workers = [
        WorkerPlan(role, stream.name)
        for stream in config.streams
        for role in roles
        if getattr(stream, role) is not None
    ]
    gates = [] if config.gate is None else [WorkerPlan("gate")]
    rules = [WorkerPlan("rules")] if config.rules else []
    journals = [WorkerPlan("journal")] if config.journal.enabled else []
    metrics = [] if config.metrics.address == "off" else [WorkerPlan("metrics")]
    views = [WorkerPlan("view")] if config.view.enabled else []
    return [*workers, WorkerPlan("inference"), *gates, *rules, *journals, *metrics, *views]


def sources(config: Config, stream: str, *, poses_only: bool = False) -> list[str]:
    """Where a stream's captures are published.

    Args:
        config: the configuration.
        stream: the stream's name.
        poses_only: leave pictures and sound out.

    Raises:
        ConfigError: there is no such stream.
    """
    devices = {"pose"} if poses_only else {"camera", "microphone", "scene", "recording", "pose"}
    roles = [one.role for one in plan(config) if one.stream == stream and one.role in devices]
    remote = config.stream(stream).remote
    if remote is not None and (not poses_only or "pose" in remote.kinds):
        return [config.capture_endpoint(stream, role) for role in ("remote", *roles)]
    return [config.capture_endpoint(stream, role) for role in roles]


_ADVICE = {
    "pose": "add [streams.pose], which finds people in the pictures",
    "frame": "add a camera",
    "audio": "add a microphone, or a camera with sound = true",
}


def _check_sources(stream: StreamSettings) -> None:
    if stream.recording is not None:
        return  # what is in it shows when it is played
    there = {"pose": stream.pose is not None, "frame": bool(stream.picture_source)}
    heard = stream.camera is not None and stream.camera.sound
    there["audio"] = heard or stream.microphone is not None or stream.scene is not None
    if stream.remote is not None:
        there |= dict.fromkeys(stream.remote.kinds, True)
    missing = sorted(kind for kind in _wanted_by_inference(stream) if not there[kind])
    if missing:
        raise ConfigError(
            f"stream {stream.name!r}: its analyzers look at {missing[0]} data, which nothing gives",
            hint=_ADVICE[missing[0]],
        )


def _wanted_by_inference(stream: StreamSettings) -> set[str]:
    from jack_stream.models.registry import METHODS  # noqa: PLC0415 - capture needs no models

    names = {"video": "frame", "audio": "audio", "pose": "pose"}
    return {
        names[modality]
        for analyzer in stream.analyzers
        if analyzer.method in METHODS
        for modality in METHODS[analyzer.method].modalities
        if modality in names
    }
