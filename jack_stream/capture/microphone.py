"""The capture process of a microphone, or of the sound of a file or address."""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from pathlib import Path

from jack_stream.capture.address import is_address
from jack_stream.capture.delivery import Delivery
from jack_stream.capture.media import MediaWanted
from jack_stream.capture.medium import Medium
from jack_stream.capture.reader import SourceReader
from jack_stream.capture.reconnect import Backoff
from jack_stream.capture.sound_device import SoundDevice
from jack_stream.capture.soundtrack import SoundWanted
from jack_stream.clock import TimeSource
from jack_stream.config import MicrophoneSettings
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.publisher import Publisher

__all__ = ["open_source", "run"]


def run(
    settings: MicrophoneSettings,
    publisher: Publisher,
    *,
    clock: TimeSource,
    stop: threading.Event,
    health: HealthReporter,
) -> None:
    """Publish sound until its source ends or ``stop`` is set.

    Raises:
        SourceError: the source can't be read and trying again won't help.
        MissingDependencyError: PortAudio is needed and isn't installed.
    """
    counters: Counter[str] = Counter()
    delivery = Delivery(
        publisher, clock=clock, stop=stop, health=health, counters=counters, pace=settings.pace
    )
    source = open_source(settings, delivery.gauges)
    publisher.wait_for_receivers(stop)
    delivery.deliver(
        SourceReader(
            partial(source.samples, clock, counters),
            backoff=Backoff(settings.reconnect_first_s, settings.reconnect_max_s),
            counters=counters,
        )
    )


def open_source(settings: MicrophoneSettings, gauges: dict[str, float]) -> Medium | SoundDevice:
    """What the settings' ``device`` names; nothing is opened yet."""
    device = settings.device and settings.device.removeprefix("file://")
    offset_ns = round(settings.offset_ms * 1e6)
    wanted = SoundWanted(settings.sample_rate, settings.block_ms, offset_ns)
    if device is not None and (is_address(device) or Path(device).is_file()):
        return Medium(device, MediaWanted(None, None, wanted), loop=settings.loop, gauges=gauges)
    return SoundDevice(device, wanted, gauges)
