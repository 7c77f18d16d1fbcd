"""What the inference process is made of, from its configuration."""

from __future__ import annotations

from jack_stream import runtime
from jack_stream.clock import TimeSource
from jack_stream.config import Config, StreamSettings
from jack_stream.events.feed import EventFeed
from jack_stream.events.publisher import EventOutlet, EventPublisher
from jack_stream.inference.analyzer import Analyzer
from jack_stream.inference.catalogue import check_methods, make_analyzer
from jack_stream.inference.cost import Cost
from jack_stream.inference.pace import Pace
from jack_stream.inference.warming import warm_up
from jack_stream.models.registry import Model
from jack_stream.window.spec import Modality
from jack_stream.wire.policy import Policy

__all__ = ["endpoints_of", "load_analyzers", "make_outlet", "make_pace", "measure_costs"]

_DEVICES: dict[Modality, tuple[str, ...]] = {
    "frame": ("camera", "scene", "recording", "remote"),
    "audio": ("microphone", "camera", "scene", "recording", "remote"),
    "pose": ("pose", "recording", "remote"),
}


def endpoints_of(config: Config, stream: StreamSettings, modalities: set[Modality]) -> list[str]:
    """The addresses of a stream's processes that publish any of these modalities."""
    devices: list[str] = []
    for modality in sorted(modalities):
        for device in _DEVICES[modality]:
            if getattr(stream, device) is not None and device not in devices:
                devices.append(device)
                break
    return [config.capture_endpoint(stream.name, device) for device in devices]


def make_outlet(config: Config) -> EventOutlet:
    """Where events go: to the journal, which publishes them, or straight to the subscribers."""
    if config.journal.enabled:
        patient = config.runtime.policy is Policy.LOSSLESS
        return EventFeed(config.journal_inbox, patient=patient)
    return EventPublisher(config.events.endpoint)


def load_analyzers(config: Config) -> dict[str, list[Analyzer]]:
    """Make Jittor ready and load all models, each once however many streams it looks at.

    Raises:
        JackError: something is missing or wrong; nothing is captured before this is sound.
    """
    check_methods(settings for stream in config.streams for settings in stream.analyzers)
    runtime.prepare(threads=config.runtime.threads, device=config.runtime.device)
    return {
        stream.name: [make_analyzer(settings) for settings in stream.analyzers]
        for stream in config.streams
    }


def measure_costs(config: Config) -> dict[Model, Cost]:
    """Let each loaded model answer made-up windows, so that all its kernels are compiled."""
    costs: dict[Model, Cost] = {}
    for settings in {one: None for stream in config.streams for one in stream.analyzers}:
        analyzer = make_analyzer(settings)  # one of its own, which has the same model
        cost = warm_up(analyzer)
        costs.setdefault(analyzer.model, cost)
    return costs


def make_pace(config: Config, analyzers: dict[str, list[Analyzer]], clock: TimeSource) -> Pace:
    """How often each stream is looked at; as configured, under the lossless policy.

    Args:
        config: the whole configuration.
        analyzers: stream -> its analyzers, in the configuration's order.
        clock: the time line.

    Raises:
        ConfigError: an analyzer's `max_hop_s` is less than its hop.
    """
    live = config.runtime.policy is Policy.LIVE
    lanes = {
        (stream.name, analyzer): settings.max_hop_s if live else None
        for stream in config.streams
        for settings, analyzer in zip(stream.analyzers, analyzers[stream.name], strict=True)
    }
    return Pace(lanes, clock.now_ns())
