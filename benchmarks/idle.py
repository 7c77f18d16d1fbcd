"""What does one more stream cost in memory and processor time, by process?

    python -m benchmarks.idle [--streams 1 4] [--seconds 5] [CASE...]

The whole system runs with so few and with so many streams, real processes under the supervisor; the
difference by the number of streams is what a stream costs. Memory is the proportional set size:
what processes share counts once. Processor time is in percent of one core.

- ``unwatched``: a camera (a file of 640x480 at 25 pictures a second with sound, decoded as from a
  network camera) that nobody looks at.
- ``nobody``: poses 25 times a second with nobody in them, from a recording; BPM-GCN, 1 s hop.
- ``walker``: the same with a walker in them: busy.
- ``silence``: sound with nothing in it, from a recording; vaanet-audio.
- ``voice``: the demo's scene and its sound, vaanet-audio: busy.
- ``demo``: scene, MediaPipe's poses, BPM-GCN: busy; on two cores more than two of them want all.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.feeding import FPS, cpu_s, machine
from jack_stream import log
from jack_stream.capture.scene import Scene
from jack_stream.clock import NS_PER_S
from jack_stream.config import Config, parse
from jack_stream.service.session import private
from jack_stream.service.supervisor import Supervisor
from jack_stream.testing import PatternSource, write_recording
from jack_stream.wire.messages import Audio, Message, Poses, Stamp

SAMPLE_RATE = 44100
BLOCK = SAMPLE_RATE // FPS
SETTLE_S = 5.0
START_WITHIN_S = 300.0
RECORDED_S = 120
FILMED_S = 10
CASES = ("unwatched", "nobody", "walker", "silence", "voice", "demo")


class Cost(NamedTuple):
    """What a process takes: its proportional set size, and its share of a core."""

    mib: float
    cores: float


def recorded(case: str) -> Iterator[Message]:
    """The messages of a recording."""
    scene = Scene(("happy", "sad"), seconds=RECORDED_S)
    for number in range(RECORDED_S * FPS):
        stamp = Stamp("bench", number, NS_PER_S + number * NS_PER_S // FPS, "bench", NS_PER_S)
        if case == "silence":
            yield Audio(stamp, np.zeros(BLOCK, np.float32), SAMPLE_RATE)
            continue
        people = 1 if case == "walker" else 0
        keypoints, world = (one[None][:people] for one in scene.keypoints(number / FPS))
        yield Poses(stamp, (1,) * people, (1.0,) * people, keypoints, world, (640, 480))


def config_of(case: str, streams: int, folder: Path) -> Config:
    recording = folder / f"{case}.rec"
    if case in {"nobody", "walker", "silence"} and not recording.exists():
        write_recording(recording, recorded(case))
    source: dict[str, Any] = {"scene": {"seconds": 3600}}
    if recording.exists():
        source = {"recording": {"path": str(recording)}}
    if case == "unwatched":
        film = folder / "film.mkv"
        if not film.exists():
            PatternSource(640, 480).write(film, FILMED_S)
        source = {"camera": {"source": str(film), "loop": True}}
    if case == "demo":
        source["pose"] = {}
    if case in {"silence", "voice"}:
        source["analyzers"] = [{"method": "vaanet-audio"}]
    elif case != "unwatched":
        source["analyzers"] = [{"method": "bpm-gcn"}]
    return parse({"streams": [{"name": f"s{n}", **source} for n in range(streams)]}, "benchmark")


def pss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def measure(config: Config, seconds: float) -> dict[str, Cost]:
    """What each kind of process takes, all of its kind together."""
    stop = threading.Event()
    with private(config) as moved:
        supervisor = Supervisor(moved)
        thread = threading.Thread(target=supervisor.run, args=(stop,))
        thread.start()
        try:
            _await_running(supervisor)
            time.sleep(SETTLE_S)
            pids = {name: child.pid for name, child in supervisor.children.items() if child.pid}
            before, began_s = {name: cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
            time.sleep(seconds)
            took_s = time.monotonic() - began_s
            total: dict[str, Cost] = defaultdict(lambda: Cost(0, 0))
            for name, pid in pids.items():
                kind, (mib, cores) = name.split(".")[0], total[name.split(".")[0]]
                cores += (cpu_s(pid) - before[name]) / took_s
                total[kind] = Cost(mib + pss_mib(pid), cores)
            return dict(total)
        finally:
            stop.set()
            thread.join()


def _await_running(supervisor: Supervisor) -> None:
    until_s = time.monotonic() + START_WITHIN_S
    while time.monotonic() < until_s:
        states = [c.health.state for c in supervisor.children.values() if c.health is not None]
        if len(states) == len(supervisor.children) and set(states) <= {"running", "degraded"}:
            return
        time.sleep(0.1)
    raise TimeoutError(f"not all processes run after {START_WITHIN_S:.0f} s")


def per_stream(few: Mapping[str, Cost], many: Mapping[str, Cost], streams: int) -> dict[str, Cost]:
    """What each of so many more streams takes, by kind of process and in all."""
    found = {
        kind: Cost(
            (many[kind].mib - few[kind].mib) / streams,
            (many[kind].cores - few[kind].cores) / streams,
        )
        for kind in few
    }
    found["in all"] = Cost(sum(c.mib for c in found.values()), sum(c.cores for c in found.values()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--streams", type=int, nargs=2, default=[1, 4], metavar=("FEW", "MANY"))
    parser.add_argument("--seconds", type=float, default=5, help="of measuring")
    options = parser.parse_args()
    log.set_up(quiet=True)
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"{', '.join(unknown)}: choose from {', '.join(CASES)}")
    few, many = options.streams
    print(machine())
    print(f"| case | process | {few} stream: MiB | CPU | a stream more: MiB | CPU | load |")
    print("|---" * 7 + "|")
    with tempfile.TemporaryDirectory() as folder:
        for case in options.cases or CASES:
            costs = [
                measure(config_of(case, count, Path(folder)), options.seconds)
                for count in (few, many)
            ]
            base = per_stream({kind: Cost(0, 0) for kind in costs[0]}, costs[0], 1)
            for kind, more in per_stream(costs[0], costs[1], many - few).items():
                print(
                    f"| {case} | {kind} | {base[kind].mib:.0f} | {base[kind].cores:.1%}"
                    f" | {more.mib:.1f} | {more.cores:.1%} | {os.getloadavg()[0]:.1f} |",
                    flush=True,
                )
    print(machine())


if __name__ == "__main__":
    main()
