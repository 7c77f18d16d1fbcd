"""One process of a running system: takes its configuration from its parent and does its part."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

import structlog

from jack_stream import log, trace
from jack_stream.clock import Clock
from jack_stream.config import Config
from jack_stream.errors import ConfigError
from jack_stream.features.views import VIEWS
from jack_stream.inference.handover import Handover
from jack_stream.service.child import OVER
from jack_stream.service.cores import take_part
from jack_stream.service.plan import WorkerPlan, plan
from jack_stream.service.signals import stop_on_signals
from jack_stream.service.succession import SUCCESSOR
from jack_stream.wire.health import HealthReporter
from jack_stream.wire.publisher import Publisher, flush

__all__ = ["main", "run"]


def main(worker: WorkerPlan) -> None:
    """Read the configuration from the parent, and work until it goes away or says so.

    Standard input is a pipe from the parent: the configuration as one line of JSON, then
    which streams are over. So no process outlives the one that started it.

    Args:
        worker: which process this is.

    Raises:
        JackError: what can't be mended by trying again.
    """
    parent = _take_standard_input()
    line = parent.readline()
    if not line.strip():
        raise ConfigError("a worker takes its configuration from the process that starts it")
    config = Config.model_validate_json(line)
    log.set_up(config.runtime.log_format)
    structlog.contextvars.bind_contextvars(process=worker.name)
    stop = stop_on_signals(ctrl_c=False)  # the terminal's Ctrl-C is the parent's to handle
    over, handover = set[str](), Handover()
    if worker.name == SUCCESSOR:
        handover = Handover(from_ns=None, alone=False)
    listening = (parent, stop, over, handover)
    threading.Thread(target=_listen, args=listening, daemon=True).start()
    try:
        run(worker, config, stop, over, handover)
    finally:
        flush()


def run(
    worker: WorkerPlan,
    config: Config,
    stop: threading.Event,
    over: Collection[str] = (),
    handover: Handover | None = None,
) -> None:
    """Do a process's part until stopped or until its source ends.

    Args:
        worker: which part.
        config: the whole configuration.
        stop: ends it.
        over: streams of which nothing more will come; may grow meanwhile.
        handover: which windows are this process's to publish, if it is inference.
    """
    take_part(config, worker.role)
    clock = Clock()
    limit = trace.LIMIT // len(plan(config))
    with (
        trace.recording(config.trace_parts, worker.name, clock, limit),
        HealthReporter(
            worker.name, worker.stream, clock=clock, endpoint=config.health_inbox
        ) as health,
    ):
        health.report("starting")
        if worker.role == "inference":
            from jack_stream.inference import process  # noqa: PLC0415 - one role's libraries each

            process.run(config, clock=clock, stop=stop, health=health, over=over, handover=handover)
            return
        if worker.role == "journal":
            from jack_stream.events import process as journal  # noqa: PLC0415

            journal.run(config, clock=clock, stop=stop, health=health)
            return
        if worker.role == "rules":
            from jack_stream.events import alerting  # noqa: PLC0415

            alerting.run(config, clock=clock, stop=stop, health=health)
            return
        if worker.role == "metrics":
            from jack_stream.service import web  # noqa: PLC0415

            web.run(config, stop=stop, health=health)
            return
        if worker.role == "view":
            from jack_stream.view.page import process as view  # noqa: PLC0415

            view.run(config, stop=stop, health=health)
            return
        if worker.role == "gate":
            from jack_stream.service import gate  # noqa: PLC0415

            gate.run(config, clock=clock, stop=stop, health=health)
            return
        with Publisher(
            config.capture_endpoint(worker.stream, worker.role),
            worker.stream,
            policy=config.runtime.policy,
            clock=clock,
            wait_for=worker.receivers(config),
            views=VIEWS,
        ) as publisher:
            publisher.unblock_on(stop)
            _capture(worker, config, publisher, over, clock=clock, stop=stop, health=health)
        health.report("stopped", detail="the source is over" if not stop.is_set() else "")


def _capture(
    worker: WorkerPlan,
    config: Config,
    publisher: Publisher,
    over: Collection[str],
    *,
    clock: Clock,
    stop: threading.Event,
    health: HealthReporter,
) -> None:
    stream = config.stream(worker.stream)
    # Nothing is captured, and no receiver opened, before somebody listens: nothing is lost.
    if not publisher.wait_for_receivers(stop):
        return
    # Each role imports its own libraries only: a camera needs no MediaPipe, poses no PortAudio.
    if stream.pose is not None and worker.role == "pose":
        from jack_stream.capture.pose import process as pose  # noqa: PLC0415

        source = config.capture_endpoint(stream.name, stream.picture_source)
        pose.run(stream.pose, source, publisher, clock=clock, stop=stop, health=health, over=over)
    elif stream.camera_alone is not None and worker.role == "camera":
        from jack_stream.capture import camera  # noqa: PLC0415

        camera.run(stream.camera_alone, publisher, clock=clock, stop=stop, health=health)
    elif stream.microphone is not None and worker.role == "microphone":
        from jack_stream.capture import microphone  # noqa: PLC0415

        microphone.run(stream.microphone, publisher, clock=clock, stop=stop, health=health)
    elif stream.scene is not None:
        from jack_stream.capture.scene import process as scene  # noqa: PLC0415

        scene.run(stream.scene, publisher, clock=clock, stop=stop, health=health)
    elif stream.recording is not None:
        from jack_stream.capture import replay  # noqa: PLC0415

        replay.run(stream.recording, publisher, clock=clock, stop=stop, health=health)


def _take_standard_input() -> BinaryIO:
    """The parent's pipe, away from ``sys.stdin``.

    Libraries fork (Jittor to compile), and a forked child closes ``sys.stdin``: that would wait
    for ever for the lock that a thread holds while it reads from it.
    """
    parent = os.fdopen(os.dup(0), "rb")
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return parent


def _listen(parent: BinaryIO, stop: threading.Event, over: set[str], handover: Handover) -> None:
    """Take in what the parent says; its end ends this process."""
    while line := parent.readline():
        said = line.decode().rstrip("\n")
        if said.startswith(OVER):
            over.add(said.removeprefix(OVER))
        elif said.startswith("from "):
            handover.from_ns = int(said.removeprefix("from "))
        elif said.startswith("until "):
            handover.until_ns = int(said.removeprefix("until ")) or None
        elif said == "alone":
            handover.alone = True
    stop.set()
