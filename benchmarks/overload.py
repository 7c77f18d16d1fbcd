"""What happens when more windows come than inference can take?

    python benchmarks/overload.py [--loads 0.5 1 2 10] [--streams 16] [--seconds 30]

Walkers' true poses at 25 a second per stream, BPM-GCN with weights of chance, real processes and
sockets in real time. First all streams bring a window with nearly every picture, which says how
many the model can take; then the hop is set so that they bring the stated multiple of that. The
first stream is greedy: it brings four times as many windows as each other one.

Served and shed are counted from the events' window numbers. Age is from the capture of a window's
newest sample to the event's publication. Bound is what the queue promises: two rounds of all.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
from jack_stream.service.session import private
from jack_stream.wire.policy import Policy
from jack_stream.wire.publisher import Publisher

GREED = 4
ROUNDS = 2
START_WITHIN_S = 300.0
SETTLING_S = 3.0


def _config(streams: int, hop_s: float) -> Config:
    tables: list[dict[str, Any]] = [
        {
            "name": f"s{number:02}",
            "scene": {"seconds": 3600},
            "pose": {},
            "analyzers": [
                {
                    "method": "bpm-gcn",
                    "bundle": "untrained",
                    "hop_s": hop_s / GREED if number == 0 else hop_s,
                }
            ],
        }
        for number in range(streams)
    ]
    return parse({"streams": tables}, "benchmark")


def _play(publishers: list[Publisher], stop: threading.Event) -> None:
    scene, clock = Scene(("happy", "sad"), seconds=600), Clock()
    for publisher in publishers:
        publisher.wait_for_receivers(stop)
    begin_ns = clock.now_ns()
    for number in count():
        due_ns = begin_ns + number * NS_PER_S // FPS
        if stop.wait(max(0.0, (due_ns - clock.now_ns()) / NS_PER_S)):
            return
        keypoints, world = scene.keypoints(number / FPS)
        for publisher in publishers:
            now_ns = clock.now_ns()
            publisher.poses([1], [1.0], keypoints[None], world[None], now_ns, frame_size=(640, 480))


@contextmanager
def _running(streams: int, hop_s: float) -> Iterator[tuple[Config, subprocess.Popen[bytes]]]:
    """Inference in a process of its own, fed by a thread of this one."""
    stop = threading.Event()
    with ExitStack() as stack:
        config = stack.enter_context(private(_config(streams, hop_s)))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "bench.toml").write_text(dumps(config))
        publishers = [
            stack.enter_context(
                Publisher(
                    config.capture_endpoint(stream.name, "pose"),
                    stream.name,
                    policy=Policy.LIVE,
                    clock=Clock(),
                    wait_for=1,
                )
            )
            for stream in config.streams
        ]
        player = threading.Thread(target=_play, args=(publishers, stop))
        player.start()
        command = [sys.executable, "-m", "jack_stream", "infer", "-c", str(folder / "bench.toml")]
        process = subprocess.Popen(command)
        try:
            yield config, process
        finally:
            stop.set()
            player.join()
            process.terminate()
            process.wait(20)


def _measure(streams: int, hop_s: float, seconds: float) -> tuple[list[Event], list[int]]:
    """The events of some seconds, and the process's memory before and after."""
    found: list[Event] = []
    with (
        _running(streams, hop_s) as (config, process),
        Subscription(config.events.endpoint) as events,
    ):
        until_s = time.monotonic() + START_WITHIN_S
        while events.next(1.0) is None:
            if process.poll() is not None or time.monotonic() > until_s:
                raise RuntimeError("inference gave no event; see above why")
        settled_s = time.monotonic() + SETTLING_S
        while (left_s := settled_s - time.monotonic()) > 0:
            events.next(left_s)
        memory = [_resident_kb(process.pid)]
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            if (event := events.next(left_s)) is not None:
                found.append(event)
        memory.append(_resident_kb(process.pid))
    return found, memory


def _resident_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def _row(load: float, events: list[Event], memory: list[int], streams: int, cost_s: float) -> str:
    numbers: dict[str, list[int]] = defaultdict(list)
    for event in events:
        numbers[event.stream].append(event.window.index)
    made = {name: max(found) - min(found) + 1 for name, found in numbers.items()}
    shed = {name: 1 - len(found) / made[name] for name, found in numbers.items()}
    others = [name for name in numbers if name != "s00"]
    served = [len(numbers[name]) for name in others]
    ages = np.array([event.latency.total_ms for event in events])
    p50, p99 = np.percentile(ages, [50, 99])
    cells = [
        f"{load:g}",
        str(sum(made.values())),
        f"{1 - len(events) / sum(made.values()):.0%}",
        f"{shed['s00']:.0%}",
        f"{min(shed[n] for n in others):.0%} to {max(shed[n] for n in others):.0%}",
        f"{len(numbers['s00'])}; {min(served)} to {max(served)}",
        f"{p50:.0f}",
        f"{p99:.0f}",
        f"{ages.max():.0f}",
        f"{1000 * ROUNDS * streams * cost_s:.0f}",
        f"{(memory[1] - memory[0]) / 1024:+.1f}",
        f"{os.getloadavg()[0]:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--loads", type=float, nargs="+", default=[0.5, 1, 2, 10])
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=30, help="of measuring, per load")
    options = parser.parse_args()
    log.set_up()
    most, _ = _measure(options.streams, GREED / FPS, 10)
    cost_s = 10 / len(most)
    print(
        f"{1 / cost_s:.0f} windows a second at the most; {options.streams} streams, one greedy.\n"
    )
    print(
        "| load | windows | shed | greedy stream | others | served: greedy; others"
        " | age p50 ms | p99 ms | max ms | bound ms | memory MiB | machine's load |"
    )
    print("|---" * 12 + "|")
    for load in options.loads:
        hop_s = (options.streams - 1 + GREED) * cost_s / load
        events, memory = _measure(options.streams, hop_s, options.seconds)
        print(_row(load, events, memory, options.streams, cost_s), flush=True)


if __name__ == "__main__":
    main()
