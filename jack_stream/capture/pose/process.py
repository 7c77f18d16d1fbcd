"""The process that turns a camera's frames into poses."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

import numpy as np

from jack_stream import trace
from jack_stream.capture.pose.tracker import Person, PoseTracker
from jack_stream.clock import TimeSource
from jack_stream.config import PoseSettings
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.messages import POSE_LANDMARKS, End, Frame
from jack_stream.wire.publisher import Publisher
from jack_stream.wire.receiver import Receiver

__all__ = ["run"]

_WAIT_S = 0.2


def run(
    settings: PoseSettings,
    source: str,
    publisher: Publisher,
    *,
    clock: TimeSource,
    stop: threading.Event,
    health: HealthReporter,
    over: Collection[str] = (),
) -> None:
    """Publish the people in every frame received until the stream ends or ``stop`` is set.

    Args:
        settings: how many people to follow.
        source: where one stream's ``frame`` and ``end`` messages are published.
        publisher: takes one ``pose`` message per frame, with the frame's time, and the end; frames
            are received by its policy.
        clock: tells how old a frame is when its poses are published.
        stop: set to end early.
        health: told how it goes.
        over: streams whose source is gone for good, whether it says so or not; may grow.

    Raises:
        MissingDependencyError: MediaPipe can't be imported.
    """
    health.report("starting", detail="loading MediaPipe's networks")
    tracker = PoseTracker(settings.max_persons)
    counters = {"frames": 0, "poses": 0}
    health.report("running", counters)
    # Subscribed once the networks are loaded: a source that waits for this loses no picture.
    receiver = Receiver(
        [source],
        {"frame", "end"},
        policy=publisher.policy,
        capacity={"frame": settings.capacity},
    )
    try:
        with receiver:
            _follow(
                tracker, receiver, publisher, counters, over, clock=clock, stop=stop, health=health
            )
    finally:
        tracker.close()
    health.report("stopped", {**counters, **receiver.counters()})


def _follow(
    tracker: PoseTracker,
    receiver: Receiver,
    publisher: Publisher,
    counters: dict[str, int],
    over: Collection[str],
    *,
    clock: TimeSource,
    stop: threading.Event,
    health: HealthReporter,
) -> None:
    while not stop.is_set():
        message = receiver.get(_WAIT_S)
        if message is None:
            health.report("running", {**counters, **receiver.counters()})
            if publisher.stream in over:
                publisher.end("its source is gone")
                break
        elif isinstance(message, Frame):
            began = time.perf_counter()
            with trace.span("model", "pose", sample=trace.sample(message.stamp)):
                people = tracker.step(message.image, message.stamp.captured_at_ns)
            took_ms = (time.perf_counter() - began) * 1e3
            _publish(publisher, message, people)
            counters["frames"] += 1
            counters["poses"] += len(people)
            age_ms = (clock.now_ns() - message.stamp.captured_at_ns) / 1e6
            gauges = {"people": len(people), "step_ms": took_ms, "age_ms": age_ms}
            health.report("running", {**counters, **receiver.counters()}, gauges)
        elif isinstance(message, End):
            stamp = message.stamp
            publisher.end(message.reason, stamp.captured_at_ns, origin_ns=stamp.origin_ns)
            break


def _publish(publisher: Publisher, frame: Frame, people: list[Person]) -> None:
    empty = np.zeros((0, POSE_LANDMARKS, 4), np.float32)
    publisher.poses(
        [person.id for person in people],
        [person.score for person in people],
        np.stack([person.landmarks.keypoints for person in people]) if people else empty,
        np.stack([person.landmarks.world for person in people]) if people else empty,
        frame.stamp.captured_at_ns,
        frame_size=(frame.image.shape[1], frame.image.shape[0]),
        origin_ns=frame.stamp.origin_ns,
    )
