"""A service in small, to be started by the real unit in place of `jack-stream run`.

It does what the product does that a sandbox could forbid: compiles Jittor's core and kernels, maps
them, runs a network on oneDNN (whose kernels are written at run time), looks for a person in a
picture, talks over ipc and TCP sockets, writes its state; and it tries what must be forbidden.
What it found goes as one line of JSON to the standard output.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np

from jack_stream import runtime
from jack_stream.clock import Clock
from jack_stream.events.publisher import EventPublisher
from jack_stream.models import untrained
from jack_stream.service.notify import Notifier
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher
from jack_stream.wire.receiver import Receiver


def infer() -> dict[str, object]:
    begin = time.monotonic()
    jt = runtime.jittor()
    core_s = time.monotonic() - begin
    fresh = jt.code([3], "float32", cpu_src=f"@out(0) = {os.getpid()}; @out(1) = @out(2) = 0;")
    model = untrained("bpm-gcn")
    axes = {
        name: [n if isinstance(n, int) else 1 for n in s] for name, s in model.input_spec.items()
    }
    outputs = model.infer({name: np.zeros(shape, np.float32) for name, shape in axes.items()})
    return {
        "kernel": int(fresh.numpy()[0]) == os.getpid(),
        "outputs": sorted(outputs),
        "core_s": round(core_s, 1),
        "whole_s": round(time.monotonic() - begin, 1),
    }


def look() -> bool:
    """MediaPipe on an empty picture: no person, and no exception."""
    import mediapipe as mp  # noqa: PLC0415 - slow

    with mp.solutions.pose.Pose(static_image_mode=True) as pose:
        return pose.process(np.zeros((240, 320, 3), np.uint8)).pose_landmarks is None


def stream() -> bool:
    folder = os.environ["RUNTIME_DIRECTORY"]
    with (
        Publisher(f"ipc://{folder}/door.camera", "door", policy=Policy.LIVE, clock=Clock()) as out,
        Receiver([out.endpoint], {"frame"}) as receiver,
        EventPublisher("tcp://127.0.0.1:5577"),
    ):
        while receiver.get(0.05) is None:
            out.frame(np.zeros((4, 4, 3), np.uint8), 1)
    return True


def _run_from(folder: Path) -> None:
    program = folder / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    try:
        subprocess.run([program], check=True)
    finally:
        program.unlink()


def forbidden() -> list[str]:
    """What must not work and does."""
    home = Path("/root")
    places = [os.environ["STATE_DIRECTORY"], os.environ["RUNTIME_DIRECTORY"], "/tmp", "/dev/shm"]  # noqa: S108
    attempts: dict[str, Callable[[], object]] = {
        "write to /etc": lambda: Path("/etc/jack-stream-was-here").touch(),
        "write to the installation": lambda: Path(__file__).touch(),
        "list a home": lambda: list(home.iterdir()),
        "raw sockets": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW),
        "packet sockets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM),
        "new namespaces": lambda: subprocess.run(["unshare", "-U", "true"], check=True),
        "become root": lambda: os.setuid(0),
        "real-time priority": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
        **{f"run a program from {place}": partial(_run_from, Path(place)) for place in places},
        "other devices": lambda: Path("/dev/mem").open("rb").close(),
    }
    done = []
    for name, attempt in attempts.items():
        try:
            attempt()
        except (OSError, subprocess.CalledProcessError):
            continue
        done.append(name)
    return done


def main() -> None:
    notifier = Notifier.from_environment()
    notifier.status("compiling")
    facts = {
        "uid": os.getuid(),
        "inference": infer(),
        "empty picture": look(),
        "streamed": stream(),
        "forbidden": forbidden(),
        "libraries": [av.__version__, cv2.__version__],
        "watchdog_s": notifier.watchdog_interval_s,
    }
    sys.stdout.write(f"FACTS {json.dumps(facts)}\n")
    sys.stdout.flush()
    notifier.ready()
    notifier.watchdog()
    notifier.stopping()


if __name__ == "__main__":
    main()
