"""What do many streams cost on one machine, answered together and one by one?

    python benchmarks/streams.py [--methods vaanet cten bpm-gcn] [--streams 1 2 4 8 16]
        [--hop 2] [--seconds 4] [--turns 1] [--threads N]

Windows of noise, or of a walker, of as many streams as said, weights of chance, in one process
without sockets. First all streams have a window at once: how long until all have their results,
as the scheduler takes them up and one by one, turn by turn in one run. Then windows come in real
time, one of each stream per hop, spread over it: how old the results are when they are there, from
the window's end, and which share was shed. `streams at most` is the hop divided by the cost of a
window: what would keep the machine busy all the time. Few streams get more turns than asked for:
what they cost is small and so less certain. `hops.py` holds a hop against running the whole clip.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from dataclasses import replace

import numpy as np

from jack_stream import runtime
from jack_stream.clock import NS_PER_S, Clock
from jack_stream.config import AnalyzerSettings
from jack_stream.inference.batch import predict
from jack_stream.inference.catalogue import make_analyzer
from jack_stream.inference.cost import Cost
from jack_stream.inference.queue import Job, WindowQueue
from jack_stream.inference.scheduler import Scheduler
from jack_stream.inference.warming import warm_up
from jack_stream.wire.policy import Policy

STOP = threading.Event()


class Streams:
    """Streams that a method looks at, each with its analyzer and its windows."""

    def __init__(self, settings: AnalyzerSettings, count: int) -> None:
        self.analyzers = [make_analyzer(settings) for _ in range(count)]
        self.cost: Cost = warm_up(make_analyzer(settings))
        self._windows = self.analyzers[0].examples()
        first = next(self._windows)
        for number, analyzer in enumerate(self.analyzers):
            predict(analyzer, replace(first, stream=str(number)))

    def next_jobs(self, count: int) -> list[Job]:
        """The next window of each of the first streams."""
        window = next(self._windows)
        now_ns = Clock().now_ns()
        return [
            Job(replace(window, stream=str(number)), analyzer, now_ns)
            for number, analyzer in enumerate(self.analyzers[:count])
        ]


def one_by_one(jobs: list[Job]) -> None:
    for job in jobs:
        predict(job.analyzer, job.window)


def together(jobs: list[Job], cost: Cost) -> list[int]:
    """The sizes of the batches that the scheduler made."""
    queue = WindowQueue(Policy.LIVE)
    for job in jobs:
        queue.put(job, STOP)
    scheduler = Scheduler(queue, Clock(), {jobs[0].analyzer.model: cost})
    sizes = []
    while (batch := scheduler.next(0.0)) is not None:
        sizes.append(len(batch.jobs))
    return sizes


def costs(streams: Streams, count: int, turns: int) -> tuple[float, float, float]:
    """Seconds per window together and one by one, and the usual batch."""
    seconds: dict[str, list[float]] = {"together": [], "alone": []}
    sizes: list[int] = []
    for turn in range(2 * turns):
        jobs = streams.next_jobs(count)
        began_s = time.perf_counter()
        if turn % 2:
            one_by_one(jobs)
        else:
            sizes += together(jobs, streams.cost)
        seconds["alone" if turn % 2 else "together"].append(time.perf_counter() - began_s)
    return min(seconds["together"]) / count, min(seconds["alone"]) / count, float(np.mean(sizes))


def live(streams: Streams, count: int, hop_s: float, seconds: float) -> tuple[list[float], float]:
    """Ages of results in seconds, and the share of the windows that was shed."""
    queue, clock, stop = WindowQueue(Policy.LIVE), Clock(), threading.Event()
    hops = int(seconds / hop_s)
    made = [streams.next_jobs(count) for _ in range(hops)]

    def feed() -> None:
        begin_s = time.monotonic()
        for hop, jobs in enumerate(made):
            for number in range(count):
                due_s = begin_s + (hop + number / count) * hop_s
                if stop.wait(max(0.0, due_s - time.monotonic())):
                    return
                job = jobs[number]
                queue.put(Job(job.window, job.analyzer, clock.now_ns()), stop)

    feeder = threading.Thread(target=feed)
    scheduler = Scheduler(queue, clock, {streams.analyzers[0].model: streams.cost})
    feeder.start()
    ages = []
    while feeder.is_alive() or len(queue):
        if (batch := scheduler.next(0.1)) is not None:
            ages += [(batch.done_ns - job.ready_at_ns) / NS_PER_S for job in batch.jobs]
    feeder.join()
    return ages, sum(queue.shed.values()) / (hops * count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--methods", nargs="+", default=["bpm-gcn", "vaanet", "cten"])
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--hop", type=float, help="in seconds; 1 for bpm-gcn and 2 for others")
    parser.add_argument("--seconds", type=float, default=4, help="in real time, per row")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    runtime.prepare(threads=options.threads, device="cpu")
    print(
        "| method | hop s | streams | together ms | alone ms | ratio | batch | age p50 ms | p99 ms"
        " | shed | streams at most | load |"
    )
    print("|---" * 12 + "|")
    for method in options.methods:
        hop_s = options.hop or (1.0 if method == "bpm-gcn" else 2.0)
        settings = AnalyzerSettings(method=method, bundle="untrained", hop_s=hop_s)
        streams = Streams(settings, max(options.streams))
        for count in sorted(options.streams, reverse=True):  # so that none has missed a window
            each_s, alone_s, size = costs(streams, count, max(options.turns, 4 // count))
            ages, shed = live(streams, count, hop_s, options.seconds)
            p50, p99 = np.percentile(ages, [50, 99]) * 1e3
            cells = [
                method, f"{hop_s:g}", f"{count}", f"{each_s * 1e3:.1f}", f"{alone_s * 1e3:.1f}",
                f"{each_s / alone_s:.2f}", f"{size:.1f}", f"{p50:.0f}", f"{p99:.0f}",
                f"{shed:.0%}", f"{hop_s / each_s:.0f}", f"{os.getloadavg()[0]:.1f}",
            ]  # fmt: skip
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
