"""A whole configuration."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import platformdirs
from pydantic import Field, model_validator

from jack_stream.config.fields import Section
from jack_stream.config.purpose import PurposeSettings
from jack_stream.config.rules import RuleSettings
from jack_stream.config.streams import StreamSettings
from jack_stream.config.system import (
    EventsSettings,
    GateSettings,
    JournalSettings,
    RecycleSettings,
    RuntimeSettings,
)
from jack_stream.config.web import MetricsSettings, ViewSettings
from jack_stream.errors import ConfigError
from jack_stream.wire.policy import Policy

__all__ = ["Config", "default_journal"]


class Config(Section):
    """A whole configuration."""

    purpose: PurposeSettings = PurposeSettings()
    runtime: RuntimeSettings = RuntimeSettings()
    events: EventsSettings = EventsSettings()
    journal: JournalSettings = JournalSettings()
    gate: GateSettings | None = None
    metrics: MetricsSettings = MetricsSettings()
    view: ViewSettings = ViewSettings()
    recycle: RecycleSettings = RecycleSettings()
    streams: tuple[StreamSettings, ...] = Field(min_length=1)
    rules: tuple[RuleSettings, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Config:
        names = [stream.name for stream in self.streams]
        if double := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two streams have the name {double[0]!r}")
        remote = [stream.name for stream in self.streams if stream.remote is not None]
        if remote and (self.gate is None or self.gate.captures is None):
            raise ValueError(
                f"stream {remote[0]!r} comes from another machine: set captures in [gate]"
            )
        return self

    @model_validator(mode="after")
    def _rules_fit(self) -> Config:
        names = [rule.name for rule in self.rules]
        if double := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two rules have the name {double[0]!r}")
        streams = [stream.name for stream in self.streams]
        for rule in self.rules:
            if missing := [name for name in rule.streams if name not in streams]:
                raise ValueError(
                    f"rule {rule.name!r} is about stream {missing[0]!r}; there are"
                    f" {', '.join(streams)}"
                )
        return self

    @model_validator(mode="after")
    def _weights_fit(self) -> Config:
        methods = {one.method for stream in self.streams for one in stream.analyzers}
        if unknown := sorted(set(self.runtime.weights) - methods):
            raise ValueError(
                f"runtime.weights has {unknown[0]!r}, which is no method of any analyzer"
                f" ({', '.join(sorted(methods)) or 'there are none'})"
            )
        return self

    @model_validator(mode="after")
    def _can_recycle(self) -> Config:
        wanted = self.recycle.inference_hours is not None or self.recycle.inference_mb is not None
        if wanted and not (self.journal.enabled and self.runtime.policy is Policy.LIVE):
            raise ValueError(
                "[recycle] needs the journal and the live policy: two processes take turns then"
            )
        return self

    @model_validator(mode="after")
    def _page_holds_nothing_up(self) -> Config:
        if self.view.enabled and self.runtime.policy is not Policy.LIVE:
            raise ValueError("[view] needs the live policy: captures would wait for a slow page")
        return self

    @property
    def observes_people(self) -> bool:
        """Whether anything but a drawn scene is looked at."""
        return any(stream.scene is None for stream in self.streams)

    @property
    def directory(self) -> Path:
        """The folder of the ipc sockets."""
        if self.runtime.directory is not None:
            return self.runtime.directory.absolute()
        if folder := os.environ.get("RUNTIME_DIRECTORY"):  # systemd's
            return Path(folder)
        if folder := os.environ.get("XDG_RUNTIME_DIR"):
            return Path(folder) / "jack-stream"
        return Path(tempfile.gettempdir()) / f"jack-stream-{os.getuid()}"

    def capture_endpoint(self, stream: str, device: str) -> str:
        """Where a stream's camera, microphone, pose or scene process publishes."""
        return f"ipc://{self.directory}/{stream}.{device}"

    @property
    def health_inbox(self) -> str:
        """Where the supervisor collects the processes' health."""
        return f"ipc://{self.directory}/health"

    @property
    def trace_parts(self) -> Path | None:
        """The folder in which the processes leave their parts of a trace, if one is wanted."""
        path = self.runtime.trace
        return None if path is None else path.absolute().with_name(f"{path.name}.parts")

    @property
    def journal_inbox(self) -> str:
        """Where inference hands its events to the journal."""
        return f"ipc://{self.directory}/journal"

    @property
    def rules_memory(self) -> Path:
        """Where the rules' state is kept, beside the journal."""
        return self.journal_path.with_name(f"{self.journal_path.name}.rules")

    @property
    def journal_path(self) -> Path:
        """The journal's file."""
        return default_journal() if self.journal.path is None else self.journal.path.absolute()

    @property
    def replay_endpoint(self) -> str:
        """Where the journal gives out what it keeps."""
        if self.events.replay_endpoint is not None:
            return self.events.replay_endpoint
        start, _, port = self.events.endpoint.rpartition(":")
        if self.events.endpoint.startswith("ipc:"):
            return f"{self.events.endpoint}.replay"
        return f"{start}:{port if port == '*' else int(port) + 2}"

    def stream(self, name: str) -> StreamSettings:
        """The stream of this name.

        Raises:
            ConfigError: there is none.
        """
        for stream in self.streams:
            if stream.name == name:
                return stream
        known = ", ".join(stream.name for stream in self.streams)
        raise ConfigError(f"there is no stream {name!r}", hint=f"the configuration has {known}")


def default_journal() -> Path:
    """Where events are kept unless a configuration says otherwise."""
    folder = os.environ.get("STATE_DIRECTORY")  # systemd's
    state = Path(folder) if folder else platformdirs.user_state_path("jack-stream")
    return state / "events.sqlite"
