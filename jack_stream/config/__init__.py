"""The configuration: what may stand in a TOML file, how it is read, and what its errors say."""

from __future__ import annotations

from jack_stream.config.fields import Pace
from jack_stream.config.purpose import NOT_STATED, PurposeSettings, Use
from jack_stream.config.reading import dumps, load, loads, parse
from jack_stream.config.rules import RuleSettings
from jack_stream.config.streams import (
    AnalyzerSettings,
    CameraSettings,
    MicrophoneSettings,
    PoseSettings,
    RecordingSettings,
    RemoteSettings,
    SceneSettings,
    StreamSettings,
)
from jack_stream.config.system import (
    EventsSettings,
    GateSettings,
    JournalSettings,
    RecycleSettings,
    RuntimeSettings,
)
from jack_stream.config.web import MetricsSettings, ViewSettings
from jack_stream.config.whole import Config, default_journal

__all__ = [
    "NOT_STATED",
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
    "PurposeSettings",
    "RecordingSettings",
    "RecycleSettings",
    "RemoteSettings",
    "RuleSettings",
    "RuntimeSettings",
    "SceneSettings",
    "StreamSettings",
    "Use",
    "ViewSettings",
    "default_journal",
    "dumps",
    "load",
    "loads",
    "parse",
]
