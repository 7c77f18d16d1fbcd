"""How long from capture to event, stage by stage, with nothing else to do and under load?

    python -m benchmarks.latency [--seconds 20] [CASE...]

Every case runs real processes over real sockets in real time, with weights of chance, and reads the
latency that each event carries; the way to this subscriber is added. The first events do not count.

- ``poses``: a walker's true poses at 25 a second, BPM-GCN, a window each second.
- ``busy``: 16 such streams, whose hop is set so that inference has 80 % of what it can take at the
  most, which is measured first.
- ``busy-together``: the same, but all windows end in the same moment, not at phases of their own.
- ``pictures``: pictures of 640x480 at 25 a second and 44.1 kHz sound in blocks of 20 ms, VAANet.
- ``demo``: the whole demo: scene, MediaPipe's poses, BPM-GCN.

Overhead is from the capture of the sample by which a window is seen to be complete (the first one
after its end) to the event at the subscriber, without the model's time and without the time in
which the model was busy with other windows (queue).
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from benchmarks.feeding import FPS, Source, cpu_s, fed, in_step_s, machine, poses_config, walkers
from jack_stream import log
from jack_stream.capture.scene import Scene
from jack_stream.clock import NS_PER_S, Clock
from jack_stream.config import Config, parse
from jack_stream.events.schema import Event
from jack_stream.events.subscriber import Subscription
from jack_stream.features.views import VIEWS
from jack_stream.service.session import private
from jack_stream.service.supervisor import Supervisor
from jack_stream.wire.publisher import Publisher

SAMPLE_RATE = 44100
BLOCK = SAMPLE_RATE // 50
SKIPPED = 2
START_WITHIN_S = 400.0
BUSY_STREAMS = 16
BUSY_SHARE = 0.8
FULL_HOP_S = 2 / FPS
STAGES = ("capture_to_window", "queue", "batch", "inference", "publish")
CASES = ("poses", "busy", "busy-together", "pictures", "demo")

Pids = Callable[[], Mapping[str, int | None]]


@dataclass
class Figures:
    """What one case measured, in milliseconds, and each process's share of a core."""

    ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cores: dict[str, float] = field(default_factory=dict)

    def add(self, event: Event, received_ns: int, source: Source | None) -> None:
        latency = event.latency
        behind_ms = 0.0 if source is None else source.behind_ns / 1e6
        way_ms = (received_ns - event.published_at_ns) / 1e6
        self.ms["total"].append(latency.total_ms - behind_ms + way_ms)
        for stage in STAGES:
            self.ms[stage].append(getattr(latency, f"{stage}_ms"))
        self.ms["capture_to_window"][-1] -= behind_ms
        self.ms["way"].append(way_ms)
        if source is not None:
            since_ms = (received_ns - source.completed_ns(event)) / 1e6
            self.ms["overhead"].append(since_ms - latency.queue_ms - latency.inference_ms)


def _config(method: str, *, pose: bool, seconds: float = 3600) -> Config:
    stream: dict[str, Any] = {
        "name": "s00",
        "scene": {"seconds": seconds},
        "analyzers": [{"method": method, "bundle": "untrained"}],
    }
    if pose:
        stream["pose"] = {}
    return parse({"streams": [stream]}, "benchmark")


@cache
def _pictures() -> tuple[list[Any], list[Any]]:
    """Two seconds of pictures and of blocks of sound, made before they are needed."""
    scene = Scene(("happy", "sad"), seconds=600)
    sound = scene.samples(0, 2, SAMPLE_RATE)
    blocks = [sound[begin : begin + BLOCK] for begin in range(0, len(sound), BLOCK)]
    return [scene.frame(number / FPS) for number in range(2 * FPS)], blocks


def _publish_pictures(publisher: Publisher, at_ns: int, number: int) -> None:
    pictures, blocks = _pictures()
    for block in range(2):
        samples = blocks[(2 * number + block) % len(blocks)]
        # A block is there when its last sample is: it began 20 or 40 ms ago.
        publisher.audio(samples, SAMPLE_RATE, at_ns - (2 - block) * NS_PER_S // 50)
    publisher.frame(pictures[number % len(pictures)], at_ns)


def _walkers(hop_s: float, *, together: bool) -> list[Source]:
    publish = walkers(lambda: (1,))
    return [Source(publish, in_step_s(n, hop_s) if together else 0.0) for n in range(BUSY_STREAMS)]


@cache
def _busy_hop_s() -> float:
    """The hop at which so many streams bring 80 % of the windows that inference can take."""
    config = poses_config(BUSY_STREAMS, "untrained", [FULL_HOP_S] * BUSY_STREAMS)
    with fed(config, _walkers(FULL_HOP_S, together=False)) as running:
        running.wait_for_event()
        for _ in running.hear(3):
            pass
        most = sum(1 for _ in running.hear(6)) / 6
    print(f"inference takes {most:.0f} windows a second at the most\n", flush=True)
    return BUSY_STREAMS / (BUSY_SHARE * most)


def _fed_case(case: str) -> tuple[Config, Sequence[Source], dict[str, Any]]:
    if case == "pictures":
        _pictures()
        config = _config("vaanet", pose=False)
        return config, [Source(_publish_pictures)], {"device": "scene", "views": VIEWS}
    if case == "poses":
        return poses_config(1, "untrained", [1.0]), [Source(walkers(lambda: (1,)))], {}
    hop_s = _busy_hop_s()
    config = poses_config(BUSY_STREAMS, "untrained", [hop_s] * BUSY_STREAMS)
    return config, _walkers(hop_s, together=case == "busy-together"), {}


@contextmanager
def _running(
    case: str, seconds: float
) -> Iterator[tuple[Subscription, Pids, Mapping[str, Source]]]:
    if case == "demo":
        with (
            _demo(seconds) as (config, pids),
            Subscription(config.events.endpoint) as events,
        ):
            yield events, pids, {}
        return
    config, sources, options = _fed_case(case)
    with fed(config, sources, **options) as one:
        process = one.process
        yield (
            one.events,
            lambda: {"inference": None if process.poll() else process.pid},
            one.sources,
        )


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


def _await_event(case: str, events: Subscription, pids: Pids) -> None:
    until_s = time.monotonic() + START_WITHIN_S
    while events.next(5.0) is None:
        if not any(pids().values()):
            raise RuntimeError(f"{case}: the processes ended without an event; see above why")
        if time.monotonic() > until_s:
            raise TimeoutError(f"{case}: no event in {START_WITHIN_S:.0f} s")


def _measure(case: str, seconds: float) -> Figures:
    figures, clock = Figures(), Clock()
    with _running(case, seconds) as (events, pids, sources):
        for _ in range(SKIPPED * max(1, len(sources))):
            _await_event(case, events, pids)
        began_s = time.monotonic()
        before = {name: cpu_s(pid) for name, pid in pids().items() if pid}
        while (left_s := began_s + seconds - time.monotonic()) > 0:
            if (event := events.next(left_s)) is not None:
                figures.add(event, clock.now_ns(), sources.get(event.stream))
        took_s = time.monotonic() - began_s
        for name, pid in pids().items():
            if pid and name in before:
                figures.cores[name] = (cpu_s(pid) - before[name]) / took_s
    return figures


def _row(case: str, figures: Figures) -> str:
    cells = [case, str(len(figures.ms["total"]))]
    for name in ("total", *STAGES, "way", "overhead"):
        values = figures.ms[name]
        p50, p99 = np.percentile(values, [50, 99]) if values else (np.nan, np.nan)
        cells.append(f"{p50:.1f}, {p99:.1f}" if values else "")
    cells.append(", ".join(f"{name} {share:.0%}" for name, share in figures.cores.items()))
    cells.append(f"{os.getloadavg()[0]:.1f}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--seconds", type=float, default=20, help="of measuring, per case")
    options = parser.parse_args()
    log.set_up()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"{', '.join(unknown)}: choose from {', '.join(CASES)}")
    cases = options.cases or CASES
    print(machine(), flush=True)
    rows = [_row(case, _measure(case, options.seconds)) for case in cases]
    print("Milliseconds, p50 and p99.\n")
    print(f"| case | events | in all | {' | '.join(STAGES)} | way | overhead | CPU | load |")
    print("|---" * (len(STAGES) + 7) + "|", *rows, machine(), sep="\n")


if __name__ == "__main__":
    main()
