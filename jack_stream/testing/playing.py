"""Writes messages down as a recording, and plays recordings on an address."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from jack_stream.capture import replay
from jack_stream.capture.recording import RecordingWriter
from jack_stream.clock import Clock
from jack_stream.config import RecordingSettings
from jack_stream.features.views import VIEWS
from jack_stream.wire.codec import encode
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.messages import Message
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher

__all__ = ["play_recording", "write_recording"]


def write_recording(path: Path, messages: Iterable[Message]) -> None:
    """Write messages as if each had come in the moment in which it was captured.

    Args:
        path: the file, which must not exist.
        messages: in the order in which they are to be played.

    Raises:
        UsageError: the file exists.
        SourceError: it can't be written.
    """
    with RecordingWriter(path, started_at_ns=Clock().now_ns()) as writer:
        for message in messages:
            writer.write(message.stamp.captured_at_ns, encode(message))


@contextmanager
def play_recording(
    path: Path,
    endpoint: str,
    *,
    pace: Literal["realtime", "fast"] = "fast",
    receivers: int = 1,
) -> Iterator[Publisher]:
    """Play a recording on an address while the block runs; nothing is dropped.

    Playing begins when ``receivers`` have connected. Leaving the block ends it.

    Args:
        path: the recording.
        endpoint: where to bind.
        pace: with the recording's own timing, or as fast as it is taken.
        receivers: how many to wait for.

    Raises:
        JackError: the recording can't be played; raised on leaving the block.
    """
    clock, stop = Clock(), threading.Event()
    failures: list[Exception] = []
    with Publisher(
        endpoint,
        "recording",
        policy=Policy.LOSSLESS,
        clock=clock,
        wait_for=receivers,
        views=VIEWS,
    ) as publisher:

        def play() -> None:
            health = HealthReporter("recording", "recording", clock=clock)
            settings = RecordingSettings(path=path, pace=pace)
            try:
                replay.run(settings, publisher, clock=clock, stop=stop, health=health)
            except Exception as error:  # noqa: BLE001 - handed to the one who plays, below
                failures.append(error)

        player = threading.Thread(target=play, name="play_recording", daemon=True)
        player.start()
        try:
            yield publisher
        finally:
            stop.set()
            publisher.close()
            player.join()
    if failures:
        raise failures[0]
