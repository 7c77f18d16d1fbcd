"""A running system and someone who looks at its events, in one process."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from jack_stream import log
from jack_stream.config import (
    Config,
    EventsSettings,
    JournalSettings,
    MetricsSettings,
    Pace,
    RecordingSettings,
    RecycleSettings,
    StreamSettings,
    ViewSettings,
)
from jack_stream.events.schema import Alert, Event
from jack_stream.events.subscriber import Subscription
from jack_stream.service.supervisor import Supervisor
from jack_stream.wire.messages import Health
from jack_stream.wire.policy import Policy

__all__ = ["private", "recorded", "run_session"]

_SLICE_S = 0.1


@contextlib.contextmanager
def private(config: Config) -> Iterator[Config]:
    """The configuration with its sockets in a new folder, so that it may run beside others."""
    with tempfile.TemporaryDirectory(prefix="jack-stream-") as folder:
        yield _moved(config, Path(folder))


def _moved(config: Config, folder: Path) -> Config:
    runtime = config.runtime.model_copy(update={"directory": folder})
    events = EventsSettings(
        endpoint=f"ipc://{folder}/events", health_endpoint=f"ipc://{folder}/health-out"
    )
    # Whoever runs it gets all events in hand and keeps what it wants.
    journal = JournalSettings(enabled=False)
    metrics = MetricsSettings(address="off")
    update = {"runtime": runtime, "events": events, "journal": journal, "metrics": metrics}
    update |= {"recycle": RecycleSettings(), "view": ViewSettings()}
    return config.model_copy(update={**update, "rules": ()})


def recorded(config: Config, recording: Path, *, fast: bool) -> Config:
    """The configuration with a recording in place of its first stream's devices, and no other.

    Args:
        config: whose analyzers are to look at the recording.
        recording: a file that ``jack-stream record`` wrote.
        fast: lossless and as fast as the models go, instead of with its own timing.
    """
    pace: Pace = "fast" if fast else "realtime"
    stream = StreamSettings(
        name=config.streams[0].name,
        recording=RecordingSettings(path=recording, pace=pace),
        analyzers=config.streams[0].analyzers,
    )
    policy = Policy.LOSSLESS if fast else config.runtime.policy
    runtime = config.runtime.model_copy(update={"policy": policy})
    rules = tuple(
        rule.model_copy(update={"streams": rule.streams and (stream.name,)})
        for rule in config.rules
        if not rule.streams or stream.name in rule.streams
    )
    return config.model_copy(update={"runtime": runtime, "streams": (stream,), "rules": rules})


def run_session(
    config: Config,
    stop: threading.Event,
    *,
    on_event: Callable[[Event], None],
    on_alert: Callable[[Alert], None] = lambda _: None,
    on_health: Callable[[Health], None] = lambda _: None,
    on_turn: Callable[[], None] = lambda: None,
) -> int:
    """Run a configuration and hand its events to a function, none missing.

    Args:
        config: what to run.
        stop: ends it.
        on_event: called with each event, in this thread.
        on_alert: called with each alert, in this thread.
        on_health: called with each report, in the supervisor's thread.
        on_turn: called about ten times a second, in this thread.

    Returns:
        0, or the exit code of the process whose failure ended the run.
    """
    log.set_up(config.runtime.log_format, quiet=True)
    supervisor = Supervisor(config, on_health=on_health)
    codes: list[int] = []
    # Subscribed before inference binds, so that not even the first event is missed.
    with Subscription(config.events.endpoint) as subscription:
        thread = threading.Thread(target=lambda: codes.append(supervisor.run(stop)))
        thread.start()
        while True:
            said = subscription.take(_SLICE_S)
            if isinstance(said, Alert):
                on_alert(said)
            elif said is not None:
                on_event(said)
            elif not thread.is_alive():
                break
            on_turn()
        thread.join()
    return codes[0] if codes else 1
