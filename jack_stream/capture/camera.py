"""The capture process of a camera, a video file, a folder of images, or an address."""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TypeAlias

from jack_stream.capture.address import is_address
from jack_stream.capture.delivery import Delivery
from jack_stream.capture.device import VideoDevice
from jack_stream.capture.images import ImageFolder
from jack_stream.capture.media import MediaWanted
from jack_stream.capture.medium import Medium
from jack_stream.capture.reader import SourceReader
from jack_stream.capture.reconnect import Backoff
from jack_stream.capture.resize import Resizer
from jack_stream.capture.soundtrack import SoundWanted
from jack_stream.clock import TimeSource
from jack_stream.config import CameraSettings
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.publisher import Publisher

__all__ = ["open_source", "run"]

_Source: TypeAlias = VideoDevice | ImageFolder | Medium


def run(
    settings: CameraSettings,
    publisher: Publisher,
    *,
    clock: TimeSource,
    stop: threading.Event,
    health: HealthReporter,
) -> None:
    """Publish frames, and sound where the source has it, until it ends or ``stop`` is set.

    Raises:
        SourceError: the source can't be read and trying again won't help.
    """
    counters: Counter[str] = Counter()
    delivery = Delivery(
        publisher,
        clock=clock,
        stop=stop,
        health=health,
        counters=counters,
        pace=settings.pace,
        quiet_s=settings.read_timeout_s,
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


def open_source(settings: CameraSettings, gauges: dict[str, float]) -> _Source:
    """What the settings' ``source`` names; nothing is opened yet.

    Args:
        settings: which, and how.
        gauges: where it keeps how it fares.
    """
    source = settings.source.removeprefix("file://")
    offset_ns = round(settings.offset_ms * 1e6)
    resizer = Resizer(settings.width, settings.height)
    if source.isdigit():
        return VideoDevice(int(source), resizer, settings.fps, offset_ns)
    if source.startswith("/dev/"):
        return VideoDevice(source, resizer, settings.fps, offset_ns)
    if not is_address(source) and Path(source).is_dir():
        return ImageFolder(Path(source), resizer, settings.fps, settings.loop, offset_ns)
    sound_offset_ns = round(settings.sound_offset_ms * 1e6)
    sound = SoundWanted(settings.sample_rate, settings.block_ms, sound_offset_ns)
    return Medium(
        source,
        MediaWanted(resizer, settings.fps, sound if settings.sound else None, offset_ns),
        loop=settings.loop,
        open_timeout_s=settings.open_timeout_s,
        read_timeout_s=settings.read_timeout_s,
        gauges=gauges,
    )
