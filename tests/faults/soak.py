"""Does anything grow when the system runs for long? Hours of windows in minutes.

    python tests/faults/soak.py [--hours 24] [--folder DIR]

Two recordings of a walker's poses, as long as asked for, are played as fast as inference takes them
(nothing is dropped), through the processes of ``jack-stream run``. Every ten seconds each process's
memory, open files and sockets are read; a subscriber counts the events and looks for gaps. Each of
the two recordings takes 45 MB per hour in the folder and is deleted at the end.

Growth is a straight line through the memory of all but the first tenth of the windows.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from jack_stream.capture.recording import RecordingWriter
from jack_stream.capture.scene import Scene
from jack_stream.clock import NS_PER_S
from jack_stream.config import dumps, parse
from jack_stream.events.subscriber import Subscription
from jack_stream.wire.codec import encode
from jack_stream.wire.messages import End, Poses, Stamp

RATE_HZ = 10
STREAMS = ("left", "right")
EVERY_S = 10.0
SETTLED = 0.1
START_NS = 1_700_000_000 * NS_PER_S


@dataclass
class Sample:
    """One process at one moment."""

    windows: int
    resident_mib: float
    files: int
    sockets: int


@dataclass
class Watched:
    """What was seen of all processes, and of the events."""

    processes: dict[str, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    inference_ms: list[float] = field(default_factory=list)
    windows: dict[str, int] = field(default_factory=dict)
    gaps: int = 0


def write_poses(path: Path, stream: str, hours: float) -> None:
    """A walker's poses; one walk of a minute, again and again."""
    scene = Scene(("happy", "sad"), seconds=60)
    looks = [scene.keypoints(number / RATE_HZ) for number in range(60 * RATE_HZ)]
    with RecordingWriter(path, started_at_ns=START_NS) as writer:
        count = int(hours * 3600 * RATE_HZ)
        for number in range(count):
            at_ns = START_NS + number * NS_PER_S // RATE_HZ
            keypoints, world = looks[number % len(looks)]
            stamp = Stamp(stream, number, at_ns, stream, START_NS)
            poses = Poses(stamp, (1,), (1.0,), keypoints[None], world[None], (640, 480))
            writer.write(at_ns, encode(poses))
        end = Stamp(stream, 0, START_NS + count * NS_PER_S // RATE_HZ, stream, START_NS)
        writer.write(end.captured_at_ns, encode(End(end, "the end of the soak")))


def processes(pid: int) -> Iterator[tuple[str, int]]:
    """The service's processes: name and number, the supervisor first."""
    yield "supervisor", pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        if "worker" in words:
            after = words[words.index("worker") + 1 :]
            yield next(word for word in after if not word.startswith("-")), int(child)


def look(pid: int, windows: int) -> Sample:
    """A process's memory, files and sockets."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    files = list(Path(f"/proc/{pid}/fd").iterdir())
    return Sample(windows, resident / 1024, len(files), sum(link.is_socket() for link in files))


def watch(service: subprocess.Popen[bytes], events: Subscription) -> Watched:
    """Read events until the service ends by itself."""
    seen, due = Watched(), time.monotonic() + EVERY_S
    while True:
        event = events.next(1.0)
        if event is not None:
            last = seen.windows.get(event.stream, -1)
            seen.gaps += event.window.index - last - 1 if last >= 0 else 0
            seen.windows[event.stream] = event.window.index
            seen.inference_ms.append(event.latency.inference_ms)
        elif service.poll() is not None:
            return seen
        if time.monotonic() > due and service.poll() is None:
            due += EVERY_S
            for name, pid in list(processes(service.pid)):
                seen.processes[name].append(look(pid, len(seen.inference_ms)))


def report(seen: Watched, hours: float, took_s: float) -> list[str]:
    """The table."""
    total = len(seen.inference_ms)
    lines = [
        f"{total} windows of {len(seen.windows)} streams, {hours:g} h of each, {took_s:.0f} s",
        f"windows missing: {seen.gaps}",
        "",
        "| process | MiB at first | at the end | per million windows | files | sockets |",
        "|---|---|---|---|---|---|",
    ]
    for name, samples in seen.processes.items():
        settled = [one for one in samples if one.windows >= SETTLED * total]
        if len(settled) < 2:
            continue
        slope = np.polyfit(
            [one.windows / 1e6 for one in settled], [one.resident_mib for one in settled], 1
        )[0]
        first, last = settled[0], settled[-1]
        lines.append(
            f"| {name} | {first.resident_mib:.1f} | {last.resident_mib:.1f} | {slope:+.1f} "
            f"| {first.files} to {last.files} | {first.sockets} to {last.sockets} |"
        )
    tenths = [np.median(part) for part in np.array_split(seen.inference_ms, 10)]
    lines += ["", f"A window's inference, median ms by tenths: {np.round(tenths, 2).tolist()}"]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--hours", type=float, default=24, help="of each of the two streams")
    parser.add_argument("--folder", type=Path, help="for the recordings")
    parser.add_argument("--port", type=int, default=19577, help="of the metrics")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        for stream in STREAMS:
            write_poses(folder / f"{stream}.jackrec", stream, options.hours)
        streams = [
            {
                "name": stream,
                "recording": {"path": str(folder / f"{stream}.jackrec"), "pace": "fast"},
                "analyzers": [{"method": "bpm-gcn", "bundle": "default"}],
            }
            for stream in STREAMS
        ]
        settings = {
            "streams": streams,
            "runtime": {"policy": "lossless", "threads": 1, "directory": str(folder / "run")},
            "events": {
                "endpoint": f"ipc://{folder}/events",
                "health_endpoint": f"ipc://{folder}/health",
            },
            "journal": {"path": str(folder / "events.sqlite")},
            "metrics": {"address": f"127.0.0.1:{options.port}"},
        }
        config = parse(settings, "soak")
        (folder / "soak.toml").write_text(dumps(config))
        command = [sys.executable, "-m", "jack_stream", "run", "-c", str(folder / "soak.toml")]
        with Subscription(config.events.endpoint) as events:
            began_s = time.monotonic()
            service = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
            try:
                seen = watch(service, events)
            finally:
                service.send_signal(signal.SIGTERM)
                service.wait(30)
        table = report(seen, options.hours, time.monotonic() - began_s)
        print("\n".join(table))


if __name__ == "__main__":
    main()
