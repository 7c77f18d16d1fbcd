"""The process that plays the demo's scene as a camera with a microphone would."""

from __future__ import annotations

import threading

from jack_stream.capture.scene.scene import FPS, Scene
from jack_stream.clock import NS_PER_S, TimeSource
from jack_stream.config import SceneSettings
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.publisher import Publisher

__all__ = ["BLOCKS_PER_FRAME", "SAMPLE_RATE", "run"]

SAMPLE_RATE = 44100
BLOCKS_PER_FRAME = 2
"""Blocks of 20 ms: 882 samples."""
_SLICE_S = 0.1


def run(
    settings: SceneSettings,
    publisher: Publisher,
    *,
    clock: TimeSource,
    stop: threading.Event,
    health: HealthReporter,
) -> None:
    """Publish the scene's frames and sound on one time line, then the end.

    Poses are not published: the pose process finds the drawn walker as it finds people.

    Args:
        settings: which styles, how long, how fast.
        publisher: takes ``frame``, ``audio`` and ``end`` messages.
        clock: gives the time of the scene's start.
        stop: set to end early; no end is published then.
        health: told how it goes.
    """
    scene = Scene(settings.styles, settings.seed, settings.seconds)
    health.report("starting")
    publisher.wait_for_receivers(stop)
    origin_ns = clock.now_ns()
    frames = max(round(settings.seconds * FPS), 1)
    counters = {"frames": 0, "audio_blocks": 0}
    for number in range(frames):
        late_ms = 0.0
        image = scene.frame(number / FPS)
        if settings.pace == "realtime":
            late_ms = _wait_until(origin_ns + (number + 1) * NS_PER_S // FPS, clock, stop)
        if stop.is_set():
            break
        publisher.frame(image, origin_ns + number * NS_PER_S // FPS, origin_ns=origin_ns)
        _publish_sound(scene, number, publisher, origin_ns)
        counters["frames"] += 1
        counters["audio_blocks"] += BLOCKS_PER_FRAME
        health.report("running", counters, {"late_ms": late_ms}, scene.style(number / FPS))
    else:
        end_ns = origin_ns + frames * NS_PER_S // FPS
        publisher.end("end of the scene", end_ns, origin_ns=origin_ns)
    health.report("stopped", counters)


def _publish_sound(scene: Scene, number: int, publisher: Publisher, origin_ns: int) -> None:
    """The sound of one frame's 40 ms."""
    blocks_per_s = FPS * BLOCKS_PER_FRAME
    for block in range(number * BLOCKS_PER_FRAME, (number + 1) * BLOCKS_PER_FRAME):
        samples = scene.samples(block / blocks_per_s, (block + 1) / blocks_per_s, SAMPLE_RATE)
        at_ns = origin_ns + block * NS_PER_S // blocks_per_s
        publisher.audio(samples, SAMPLE_RATE, at_ns, origin_ns=origin_ns)


def _wait_until(at_ns: int, clock: TimeSource, stop: threading.Event) -> float:
    """Wait; returns by how many milliseconds the time had passed already."""
    late_ms = max(clock.now_ns() - at_ns, 0) / 1e6
    while not stop.is_set() and (left_ns := at_ns - clock.now_ns()) > 0:
        stop.wait(min(left_ns / NS_PER_S, _SLICE_S))
    return late_ms
