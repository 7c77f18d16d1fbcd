"""How long from capture to event, beyond the model's own time, and what each process costs?

    python benchmarks/latency.py [--seconds 40] [CASE...]

Every case runs real processes over real sockets in real time, with weights of chance, and reads the
latency that each event carries; the way to this subscriber is added. The first events do not count.

- ``poses``: a walker's true poses at 25 a second, BPM-GCN, a window each second.
- ``pictures``: pictures of 640x480 at 25 a second and 44.1 kHz sound in blocks of 20 ms, VAANet.
- ``demo``: the whole demo: scene, MediaPipe's poses, BPM-GCN.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from jack_stream import log
from jack_stream.capture.scene import FPS, Scene
from jack_stream.clock import NS_PER_S, Clock
from jack_stream.config import Config, dumps, parse
from jack_stream.events.schema import Event
from jack_stream.events.subscriber import Subscription
from jack_stream.features.views import VIEWS
from jack_stream.service.session import private
from jack_stream.service.supervisor import Supervisor
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher

SAMPLE_RATE = 44100
BLOCK = SAMPLE_RATE // 50
SKIPPED = 2
START_WITHIN_S = 400.0
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")

Pids = Callable[[], Mapping[str, int | None]]


@dataclass
class Figures:
    """What one case measured."""

    beyond_ms: list[float] = field(default_factory=list)
    model_ms: list[float] = field(default_factory=list)
    cores: dict[str, float] = field(default_factory=dict)

    def add(self, event: Event, received_ns: int) -> None:
        latency = event.latency
        on_the_way_ms = (received_ns - event.published_at_ns) / 1e6
        self.beyond_ms.append(latency.total_ms - latency.inference_ms + on_the_way_ms)
        self.model_ms.append(latency.inference_ms)


def _config(method: str, *, pose: bool, seconds: float = 3600) -> Config:
    stream: dict[str, Any] = {
        "name": "bench",
        "scene": {"seconds": seconds},
        "analyzers": [{"method": method, "bundle": "untrained"}],
    }
    if pose:
        stream["pose"] = {}
    return parse({"streams": [stream]}, "benchmark")


def _publish_poses(publisher: Publisher, at_ns: int, number: int, scene: Scene) -> None:
    keypoints, world = scene.keypoints(number / FPS)
    publisher.poses([1], [1.0], keypoints[None], world[None], at_ns, frame_size=(640, 480))


def _publish_pictures(publisher: Publisher, at_ns: int, number: int, scene: Scene) -> None:
    for block in range(2):
        begin = (2 * number + block) / 50
        samples = scene.samples(begin, begin + 1 / 50, SAMPLE_RATE)[:BLOCK]
        # A block is there when its last sample is: it began 20 or 40 ms ago.
        publisher.audio(samples, SAMPLE_RATE, at_ns - (2 - block) * NS_PER_S // 50)
    publisher.frame(scene.frame(number / FPS), at_ns)


PUBLISHED = {
    "poses": ("bpm-gcn", "pose", _publish_poses),
    "pictures": ("vaanet", "scene", _publish_pictures),
}
CASES = (*PUBLISHED, "demo")


def _play(case: str, publisher: Publisher, stop: threading.Event) -> None:
    """Publish 25 times a second, each sample stamped with the time of its publication."""
    scene, clock = Scene(("happy", "sad"), seconds=600), Clock()
    publish = PUBLISHED[case][2]
    publisher.wait_for_receivers(stop)
    begin_ns = clock.now_ns()
    for number in count():
        due_ns = begin_ns + number * NS_PER_S // FPS
        if stop.wait(max(0.0, (due_ns - clock.now_ns()) / NS_PER_S)):
            return
        publish(publisher, clock.now_ns(), number, scene)


@contextmanager
def _published(case: str) -> Iterator[tuple[Config, Pids]]:
    """Inference alone, fed by a thread of this process."""
    method, device, _ = PUBLISHED[case]
    stop = threading.Event()
    with ExitStack() as stack:
        config = stack.enter_context(private(_config(method, pose=device == "pose")))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "bench.toml").write_text(dumps(config))
        command = [sys.executable, "-m", "jack_stream", "infer", "-c", str(folder / "bench.toml")]
        publisher = stack.enter_context(
            Publisher(
                config.capture_endpoint("bench", device),
                "bench",
                policy=Policy.LIVE,
                clock=Clock(),
                wait_for=1,
                views=VIEWS,
            )
        )
        player = threading.Thread(target=_play, args=(case, publisher, stop))
        player.start()
        process = subprocess.Popen(command)
        try:
            yield config, lambda: {"inference": None if process.poll() else process.pid}
        finally:
            stop.set()
            player.join()
            process.terminate()
            process.wait(10)


@contextmanager
def _demo(seconds: float) -> Iterator[tuple[Config, Pids]]:
    """All processes of the demo, under the supervisor."""
    stop = threading.Event()
    with private(_config("bpm-gcn", pose=True, seconds=seconds + 10)) as config:
        supervisor = Supervisor(config)
        thread = threading.Thread(target=supervisor.run, args=(stop,))
        thread.start()
        try:
            yield config, lambda: {name: c.pid for name, c in supervisor.children.items()}
        finally:
            stop.set()
            thread.join()


def _cpu_s(pid: int) -> float:
    """User and system time of a process, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def _await_event(case: str, events: Subscription, pids: Pids) -> None:
    until_s = time.monotonic() + START_WITHIN_S
    while events.next(5.0) is None:
        if not any(pids().values()):
            raise RuntimeError(f"{case}: the processes ended without an event; see above why")
        if time.monotonic() > until_s:
            raise TimeoutError(f"{case}: no event in {START_WITHIN_S:.0f} s")


def _measure(case: str, seconds: float) -> Figures:
    figures, clock = Figures(), Clock()
    running = _demo(seconds) if case == "demo" else _published(case)
    with running as (config, pids), Subscription(config.events.endpoint) as events:
        for _ in range(SKIPPED):
            _await_event(case, events, pids)
        began_s = time.monotonic()
        before = {name: _cpu_s(pid) for name, pid in pids().items() if pid}
        while (left_s := began_s + seconds - time.monotonic()) > 0:
            event = events.next(left_s)
            if event is not None:
                figures.add(event, clock.now_ns())
        took_s = time.monotonic() - began_s
        for name, pid in pids().items():
            if pid and name in before:
                figures.cores[name] = (_cpu_s(pid) - before[name]) / took_s
    return figures


def _row(case: str, figures: Figures) -> str:
    cells = [case, str(len(figures.beyond_ms))]
    for values in (figures.beyond_ms, figures.model_ms):
        cells += [f"{value:.1f}" for value in np.percentile(values, [50, 99])]
    cells.append(", ".join(f"{name} {share:.0%}" for name, share in figures.cores.items()))
    cells.append(f"{os.getloadavg()[0]:.1f}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--seconds", type=float, default=40, help="of measuring, per case")
    options = parser.parse_args()
    log.set_up()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"{', '.join(unknown)}: choose from {', '.join(CASES)}")
    print("| case | events | beyond p50 ms | p99 ms | model p50 ms | p99 ms | CPU | load |")
    print("|---" * 8 + "|")
    for case in options.cases or CASES:
        print(_row(case, _measure(case, options.seconds)), flush=True)


if __name__ == "__main__":
    main()
