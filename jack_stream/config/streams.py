"""Sections about what is watched, and what looks at it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from jack_stream.config.fields import Pace, Section, Source, StreamName

__all__ = [
    "AnalyzerSettings",
    "CameraSettings",
    "FusionSettings",
    "MicrophoneSettings",
    "PoseSettings",
    "RecordingSettings",
    "RemoteSettings",
    "SceneSettings",
    "StreamSettings",
]


class CameraSettings(Section):
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
    sound: bool = Field(
        default=True,
        description="Whether the source's sound is published too; never beside a microphone.",
    )
    sample_rate: int = Field(default=44100, ge=8000, le=192000, description="Of that sound, in Hz.")
    block_ms: int = Field(default=20, ge=5, le=1000, description="Length of a block of sound.")
    offset_ms: float = Field(
        default=0.0,
        ge=-5000,
        le=5000,
        description="How much later than what they show pictures are stamped; taken off their time"
        " (docs/alignment.md).",
    )
    sound_offset_ms: float = Field(
        default=0.0, ge=-5000, le=5000, description="The same for the source's sound."
    )
    open_timeout_s: float = Field(default=10.0, gt=0, description="For network sources.")
    read_timeout_s: float = Field(default=5.0, gt=0, description="Without data for so long: lost.")
    reconnect_first_s: float = Field(default=0.5, gt=0, description="First wait after a loss.")
    reconnect_max_s: float = Field(default=15.0, gt=0, description="Longest wait after a loss.")


class MicrophoneSettings(Section):
    """A source of sound."""

    device: Source | None = Field(
        default=None,
        coerce_numbers_to_str=True,
        description="Part of a device's name, its index, or a file or URL; the default if absent.",
    )
    sample_rate: int = Field(default=44100, ge=8000, le=192000, description="Published rate in Hz.")
    block_ms: int = Field(default=20, ge=5, le=1000, description="Length of a block.")
    offset_ms: float = Field(
        default=0.0,
        ge=-5000,
        le=5000,
        description="How much later than it sounded sound is stamped; taken off its time"
        " (docs/alignment.md).",
    )
    pace: Pace = Field(default="realtime", description="How fast files are played.")
    loop: bool = Field(default=False, description="Whether a file starts again at its end.")
    reconnect_first_s: float = Field(default=0.5, gt=0, description="First wait after a loss.")
    reconnect_max_s: float = Field(default=15.0, gt=0, description="Longest wait after a loss.")


class PoseSettings(Section):
    """Finding people's poses in the stream's pictures."""

    max_persons: int = Field(default=4, ge=1, le=16, description="People followed at once.")
    capacity: int = Field(
        default=8, ge=1, le=256, description="Pictures that may wait before the oldest is dropped."
    )


class SceneSettings(Section):
    """The demo's own scene: a drawn person who walks, with sound."""

    styles: tuple[Literal["happy", "sad", "angry", "neutral"], ...] = Field(
        default=("happy", "sad", "angry", "neutral"), min_length=1, description="One after another."
    )
    seconds: float = Field(default=48.0, gt=0, le=3600, description="Length of the whole scene.")
    seed: int = Field(default=1, ge=0, description="Of the walker's individual variation.")
    pace: Pace = Field(default="realtime", description="Real time, or as fast as it can be drawn.")


class RecordingSettings(Section):
    """A recording that is played instead of devices."""

    path: Path = Field(description="A file written by `jack-stream record`.")
    pace: Pace = Field(default="realtime", description="With its own timing, or as fast as it can.")


class RemoteSettings(Section):
    """Captures that another machine sends to `gate.captures`."""

    key: str = Field(min_length=1, description="Name of the key that alone may send this stream.")
    kinds: tuple[Literal["frame", "audio", "pose"], ...] = Field(
        default=("frame", "audio"), min_length=1, description="What it sends."
    )


class AnalyzerSettings(Section):
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
    max_hop_s: float | None = Field(
        default=None,
        gt=0,
        le=600,
        description="Under load every second, third ... window is skipped, up to this time between"
        " windows; never if absent, or under the policy `lossless`.",
    )
    form: Literal["window", "steps"] = Field(
        default="window",
        description="`steps` computes only what is new in a window; for `bpm-gcn`. See models.md.",
    )
    lateness_s: float = Field(
        default=1.0,
        ge=0,
        le=60,
        description="How long a window waits for a modality that does not come.",
    )


class FusionSettings(Section):
    """What a stream's methods say together, as one more method. See fusion.md."""

    scheme: Literal["eight", "six", "four", "sentiment", "valence"] = Field(
        default="sentiment", description="The classes that all are said in."
    )
    weights: dict[str, Annotated[float, Field(ge=0, le=1000)]] = Field(
        default={}, description="By method; 1 for the others; 0 leaves one out."
    )
    half_life_s: float = Field(
        default=4.0, gt=0, le=3600, description="An older event counts half after so long."
    )
    smoothing_s: float = Field(
        default=2.0, ge=0, le=3600, description="Time constant of the average; 0 for none."
    )
    patience_s: float = Field(
        default=2.0,
        ge=0,
        le=600,
        description="How far the others may be ahead of a method before it is not waited for;"
        " 600 under the policy `lossless`.",
    )
    untrained: bool = Field(
        default=False, description="Whether weights of chance, whose numbers are noise, count too."
    )


class StreamSettings(Section):
    """One place that is watched: its sources, and what looks at them."""

    name: StreamName = Field(description="In topics and on screens.")
    camera: CameraSettings | None = None
    microphone: MicrophoneSettings | None = None
    pose: PoseSettings | None = None
    scene: SceneSettings | None = None
    recording: RecordingSettings | None = None
    remote: RemoteSettings | None = None
    analyzers: tuple[AnalyzerSettings, ...] = ()
    fusion: FusionSettings | None = None

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

    @model_validator(mode="after")
    def _something_to_fuse(self) -> StreamSettings:
        if self.fusion is None:
            return self
        all_methods = [analyzer.method for analyzer in self.analyzers]
        methods = set(all_methods)
        if len(methods) < len(all_methods):
            raise ValueError(f"stream {self.name!r}: fusion needs methods that differ")
        if unknown := sorted(set(self.fusion.weights) - methods):
            raise ValueError(
                f"stream {self.name!r}: fusion.weights has {unknown[0]!r}, which is no method of"
                f" its analyzers ({', '.join(sorted(methods)) or 'there are none'})"
            )
        if not any(self.fusion.weights.get(method, 1.0) for method in methods):
            raise ValueError(f"stream {self.name!r}: fusion has no analyzer with any weight")
        return self

    @property
    def camera_alone(self) -> CameraSettings | None:
        """The camera as its process is to run it: where there is a microphone, it has no sound.

        Two sources of one modality would each be taken for a restart of the other.
        """
        if self.camera is None or self.microphone is None:
            return self.camera
        return self.camera.model_copy(update={"sound": False})

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
