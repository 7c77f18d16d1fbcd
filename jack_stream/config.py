"""The configuration: what may stand in a TOML file, how it is read, and what its errors say."""

from __future__ import annotations

import difflib
import os
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
import tomli_w
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from jack_stream import toml
from jack_stream.capture.address import check_address, is_address
from jack_stream.capture.redact import redact
from jack_stream.errors import ConfigError, SourceError
from jack_stream.log import LogFormat
from jack_stream.wire.endpoint import check_endpoint, check_public
from jack_stream.wire.keys import default_folder
from jack_stream.wire.policy import Policy

__all__ = [
    "AnalyzerSettings",
    "CameraSettings",
    "Config",
    "EventsSettings",
    "GateSettings",
    "JournalSettings",
    "MetricsSettings",
    "MicrophoneSettings",
    "Pace",
    "PoseSettings",
    "RecordingSettings",
    "RemoteSettings",
    "RuntimeSettings",
    "SceneSettings",
    "StreamSettings",
    "default_journal",
    "dumps",
    "load",
    "loads",
    "parse",
]

_ENVIRONMENT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _endpoint(value: str) -> str:
    try:
        return check_endpoint(value)
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _public(value: str) -> str:
    try:
        return check_public(value)
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _source(value: str) -> str:
    try:
        if is_address(bare := value.removeprefix("file://")):
            check_address(bare)
    except SourceError as error:
        raise ValueError(str(error)) from error
    return value


Source = Annotated[str, AfterValidator(_source)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
PublicEndpoint = Annotated[str, AfterValidator(_public)]
StreamName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
Pace = Literal["realtime", "fast"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RuntimeSettings(_Section):
    """What all processes share."""

    directory: Path | None = Field(
        default=None, description="Folder of the ipc sockets; the user's runtime folder if absent."
    )
    threads: int | None = Field(
        default=None, ge=1, le=256, description="Threads of the models; all cores if absent."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where the models run; auto takes CUDA where it is usable."
    )
    policy: Policy = Field(
        default=Policy.LIVE,
        description="live: the newest data wins. lossless: nothing is dropped, sources wait.",
    )
    log_format: LogFormat = Field(default="text", description="Log lines as text or as JSON.")


class EventsSettings(_Section):
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


class JournalSettings(_Section):
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


class MetricsSettings(_Section):
    """Health and metrics over HTTP: `/healthz` and `/metrics`, without keys or encryption."""

    address: str = Field(
        default="127.0.0.1:9577",
        pattern=r"^(off|(\[[0-9a-fA-F:]+\]|[^:/\s]+):\d{1,5})$",
        description='HOST:PORT to answer at; "off" for none.',
    )
    public: bool = Field(
        default=False,
        description="true: the address may be one that other machines reach. Whoever reaches it"
        " reads the streams' names and when something happens there.",
    )

    @model_validator(mode="after")
    def _is_local_or_meant(self) -> MetricsSettings:
        if self.address != "off" and not self.public:
            try:
                check_endpoint(f"tcp://{self.address}")
            except ConfigError as error:
                raise ValueError(
                    f"metrics.address {self.address!r} can be reached from other machines, which"
                    " would read the streams' names and when something happens there, without keys;"
                    " set metrics.public = true if that is meant"
                ) from error
        return self

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)


class GateSettings(_Section):
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


class CameraSettings(_Section):
    """A source of pictures: a device, a file, an address or a folder of images."""

    source: Source = Field(
        min_length=1,
        coerce_numbers_to_str=True,
        description="Index (0), device (/dev/video0), video file, folder of images, or URL.",
    )
    width: int = Field(default=640, ge=16, le=7680, description="Pictures are resized to this.")
    height: int | None = Field(
        default=None, ge=16, le=4320, description="Keeps the aspect ratio if absent."
    )
    fps: float | None = Field(
        default=None, gt=0, le=1000, description="Asked of a device; the rate of image folders."
    )
    pace: Pace = Field(default="realtime", description="How fast files are played.")
    loop: bool = Field(default=False, description="Whether a file starts again at its end.")
    sound: bool = Field(default=True, description="Whether the source's sound is published too.")
    sample_rate: int = Field(default=44100, ge=8000, le=192000, description="Of that sound, in Hz.")
    block_ms: int = Field(default=20, ge=5, le=1000, description="Length of a block of sound.")
    open_timeout_s: float = Field(default=10.0, gt=0, description="For network sources.")
    read_timeout_s: float = Field(default=5.0, gt=0, description="Without data for so long: lost.")
    reconnect_first_s: float = Field(default=0.5, gt=0, description="First wait after a loss.")
    reconnect_max_s: float = Field(default=15.0, gt=0, description="Longest wait after a loss.")


class MicrophoneSettings(_Section):
    """A source of sound."""

    device: Source | None = Field(
        default=None,
        coerce_numbers_to_str=True,
        description="Part of a device's name, its index, or a file or URL; the default if absent.",
    )
    sample_rate: int = Field(default=44100, ge=8000, le=192000, description="Published rate in Hz.")
    block_ms: int = Field(default=20, ge=5, le=1000, description="Length of a block.")
    pace: Pace = Field(default="realtime", description="How fast files are played.")
    loop: bool = Field(default=False, description="Whether a file starts again at its end.")
    reconnect_first_s: float = Field(default=0.5, gt=0, description="First wait after a loss.")
    reconnect_max_s: float = Field(default=15.0, gt=0, description="Longest wait after a loss.")


class PoseSettings(_Section):
    """Finding people's poses in the stream's pictures."""

    max_persons: int = Field(default=4, ge=1, le=16, description="People followed at once.")
    capacity: int = Field(
        default=8, ge=1, le=256, description="Pictures that may wait before the oldest is dropped."
    )


class SceneSettings(_Section):
    """The demo's own scene: a drawn person who walks, with sound."""

    styles: tuple[Literal["happy", "sad", "angry", "neutral"], ...] = Field(
        default=("happy", "sad", "angry", "neutral"), min_length=1, description="One after another."
    )
    seconds: float = Field(default=48.0, gt=0, le=3600, description="Length of the whole scene.")
    seed: int = Field(default=1, ge=0, description="Of the walker's individual variation.")
    pace: Pace = Field(default="realtime", description="Real time, or as fast as it can be drawn.")


class RecordingSettings(_Section):
    """A recording that is played instead of devices."""

    path: Path = Field(description="A file written by `jack-stream record`.")
    pace: Pace = Field(default="realtime", description="With its own timing, or as fast as it can.")


class RemoteSettings(_Section):
    """Captures that another machine sends to `gate.captures`."""

    key: str = Field(min_length=1, description="Name of the key that alone may send this stream.")
    kinds: tuple[Literal["frame", "audio", "pose"], ...] = Field(
        default=("frame", "audio"), min_length=1, description="What it sends."
    )


class AnalyzerSettings(_Section):
    """A model that looks at the stream."""

    method: str = Field(description="A name that `jack-stream models` lists.")
    bundle: str = Field(
        default="untrained",
        description="Path of a bundle; `default` for the one that ships; `untrained` for chance.",
    )
    window_s: float | None = Field(
        default=None, gt=0, le=600, description="Window; the method's own length if absent."
    )
    hop_s: float | None = Field(
        default=None, gt=0, le=600, description="Time between windows; the method's if absent."
    )
    lateness_s: float = Field(
        default=1.0,
        ge=0,
        le=60,
        description="How long a window waits for a modality that does not come.",
    )


class StreamSettings(_Section):
    """One place that is watched: its sources, and what looks at them."""

    name: StreamName = Field(description="In topics and on screens.")
    camera: CameraSettings | None = None
    microphone: MicrophoneSettings | None = None
    pose: PoseSettings | None = None
    scene: SceneSettings | None = None
    recording: RecordingSettings | None = None
    remote: RemoteSettings | None = None
    analyzers: tuple[AnalyzerSettings, ...] = ()

    @model_validator(mode="after")
    def _one_kind_of_source(self) -> StreamSettings:
        devices = self.camera is not None or self.microphone is not None
        others = [self.scene, self.recording, self.remote]
        if [devices, *(one is not None for one in others)].count(True) != 1:
            raise ValueError(
                f"stream {self.name!r} needs a camera and/or a microphone, or a scene, or a"
                " recording, or a remote"
            )
        if self.pose is not None and not self.picture_source:
            raise ValueError(f"stream {self.name!r}: poses are found in pictures; add a camera")
        return self

    @property
    def picture_source(self) -> Literal["camera", "scene", "recording", "remote", ""]:
        """The process that publishes the stream's pictures, empty if none may."""
        if self.camera is not None:
            return "camera"
        if self.scene is not None:
            return "scene"
        if self.remote is not None and "frame" in self.remote.kinds:
            return "remote"
        return "recording" if self.recording is not None else ""


class Config(_Section):
    """A whole configuration."""

    runtime: RuntimeSettings = RuntimeSettings()
    events: EventsSettings = EventsSettings()
    journal: JournalSettings = JournalSettings()
    gate: GateSettings | None = None
    metrics: MetricsSettings = MetricsSettings()
    streams: tuple[StreamSettings, ...] = Field(min_length=1)

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
    def journal_inbox(self) -> str:
        """Where inference hands its events to the journal."""
        return f"ipc://{self.directory}/journal"

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


def load(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration file.

    Args:
        path: a TOML file.
        overrides: ``key=value`` pairs such as ``streams.0.camera.source=1``; they win.

    Raises:
        ConfigError: the file can't be read or something in it is wrong; names file, key, value.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(toml.MAX_CHARACTERS + 1)
    except OSError as error:
        raise ConfigError(
            f"{path}: can't be read: {error.strerror}",
            hint="Ready configurations are in the folder configs; name one with --config.",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: {error}") from error
    return loads(text, str(path), overrides)


def loads(text: str, source: str, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration from TOML text; ``source`` is its name in messages.

    Raises:
        ConfigError: as for :func:`load`.
    """
    try:
        table = toml.loads(text)
    except ValueError as error:
        raise ConfigError(f"{source}: not valid TOML: {error}") from error
    for override in overrides:
        _apply(table, override)
    return parse(table, source)


def parse(table: Mapping[str, Any], source: str) -> Config:
    """Check a table as TOML gives it and fill ``${NAME}`` in from the environment.

    Raises:
        ConfigError: every fault is named with its key and value.
    """
    filled: set[str] = set()
    complete = _fill_in(dict(table), source, filled)
    try:
        return Config.model_validate(complete)
    except ValidationError as error:
        faults = [_describe(fault, filled) for fault in _real(error.errors())]
        listing = "\n  ".join(faults)
        raise ConfigError(
            f"{source}: {len(faults)} thing(s) wrong:\n  {listing}",
            hint="docs/configuration.md lists every key.",
        ) from None


def _apply(table: dict[str, Any], override: str) -> None:
    """Set one dotted key; a value that is no TOML is taken as text."""
    key, equals, raw = override.partition("=")
    said = f"--set {redact(override)!r}"
    if not equals or not key.strip():
        raise ConfigError(f"{said}: write key=value, such as runtime.threads=2")
    try:
        value: Any = toml.loads(f"v = {raw}")["v"]
    except ValueError:
        value = raw
    *path, last = key.strip().split(".")
    here: Any = table
    for step in path:
        here = (
            here[_index(here, step, said)] if isinstance(here, list) else here.setdefault(step, {})
        )
        if not isinstance(here, (dict, list)):
            raise ConfigError(f"{said}: {step!r} is a value and has no keys below it")
    if isinstance(here, list):
        here[_index(here, last, said)] = value
    else:
        here[last] = value


def _index(items: list[Any], step: str, said: str) -> int:
    if step not in map(str, range(len(items))):
        raise ConfigError(
            f"{said}: {step!r} is no index into a list of {len(items)}",
            hint="Lists are counted from 0: streams.0.camera.source=1",
        )
    return int(step)


def _fill_in(value: Any, source: str, filled: set[str]) -> Any:
    """Put the environment's values in; ``filled`` collects them."""
    if isinstance(value, dict):
        return {key: _fill_in(item, f"{source}: {key}", filled) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill_in(item, f"{source}[{i}]", filled) for i, item in enumerate(value)]
    if isinstance(value, str):
        return _ENVIRONMENT.sub(lambda match: _variable(match[1], source, filled), value)
    return value


def _variable(name: str, source: str, filled: set[str]) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ConfigError(
            f"{source}: the environment variable {name} is not set",
            hint=f"Set it before the start: export {name}=..., or Environment= in the unit.",
        )
    filled.add(value)
    return value


def _real(faults: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Without the lists that Pydantic calls too short only because their items are wrong."""

    def is_echo(fault: Mapping[str, Any]) -> bool:
        here = fault["loc"]
        below = (other for other in faults if other is not fault)
        return fault["type"] == "too_short" and any(f["loc"][: len(here)] == here for f in below)

    return [fault for fault in faults if not is_echo(fault)]


def _is_echo(fault: Mapping[str, Any], errors: Sequence[Mapping[str, Any]]) -> bool:
    key = fault["loc"]
    deeper = any(len(e["loc"]) > len(key) and e["loc"][: len(key)] == key for e in errors)
    return bool(fault["type"] == "too_short" and deeper)


def _describe(fault: Mapping[str, Any], filled: Collection[str]) -> str:
    key = ".".join(str(part) for part in fault["loc"]) or "(the whole)"
    if fault["type"] == "extra_forbidden":
        return f"{key}: there is no such key{_meant(fault['loc'])}"
    if fault["type"] == "missing":
        return f"{key}: is missing"
    message = str(fault["msg"]).removeprefix("Value error, ")
    value = fault["input"]
    # What came from the environment, or is a source, may be a secret that must not get into a log.
    secret = bool({"source", "device"} & set(map(str, fault["loc"])))
    hidden = secret or isinstance(value, (dict, BaseModel)) or _contains(value, filled)
    shown = "" if hidden else f" = {redact(str(value))[:80]!r}"
    return f"{key}{shown}: {'its value is not allowed' if _contains(message, filled) else message}"


def _contains(value: object, secrets: Collection[str]) -> bool:
    return any(secret and secret in str(value) for secret in secrets)


def _meant(location: Sequence[str | int]) -> str:
    """The key that was probably meant by an unknown one."""
    known = {name for section in _sections() for name in section.model_fields}
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _sections() -> Iterator[type[BaseModel]]:
    yield Config
    yield from _Section.__subclasses__()


def dumps(config: Config) -> str:
    """The configuration as TOML that :func:`loads` reads back."""
    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))
