"""How many people's gaits can be read at once, before results come too late?

    python -m benchmarks.persons [--limit-ms 250] [--streams 8] [--seconds 9] [--cpus 0 1]

Made-up walkers at 25 poses a second, BPM-GCN with the weights that ship, a window per person each
second: real sockets, and a real process, fed by a thread of this one on the same cores. The number
of people is doubled, then halved in, until it is known to a sixteenth. It is too high if the 99th
percentile of the results' age, from the capture of a window's newest sample to the event's
publication, is above the limit, or if results are missing. A pose message holds 64 people at the
most, so there are several streams, with as many people in each.

First capture times lie behind the clock so that all streams' windows end in the same moment: the
last result of a second waits for all others. Then they are the clock's, as devices' are, and each
stream's windows end at a phase of their own.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.feeding import (
    Fed,
    Source,
    cpu_s,
    fed,
    in_step_s,
    machine,
    poses_config,
    walkers,
)
from jack_stream import log

PER_MESSAGE = 64
HOP_S = 1.0
SETTLE_S = 4.0
SERVED = 0.85  # a window more or less at either end


@dataclass(frozen=True, slots=True)
class Try:
    """What so many people came to.

    Attributes:
        people: how many there were.
        p50_ms: the results' age.
        p99_ms: likewise.
        served: events that came, as a share of those that should have.
        cores: CPU time of the inference process per second.
    """

    people: int
    p50_ms: float
    p99_ms: float
    served: float
    cores: float


def most(passes: Callable[[int], bool], first: int, limit: int) -> int:
    """The largest number that passes, to a sixteenth: doubled, then halved in; 0 if none does.

    Args:
        passes: whether a number passes; assumed not to pass again above one that did not.
        first: where to begin.
        limit: no more than this is tried.
    """
    good, bad = 0, first
    while bad <= limit and passes(bad):
        good, bad = bad, 2 * bad
    bad = min(bad, limit + 1)
    while bad - good > max(1, good // 16):
        middle = (good + bad) // 2
        if passes(middle):
            good = middle
        else:
            bad = middle
    return good


class People:
    """So many people, spread over the streams."""

    def __init__(self, streams: int) -> None:
        self.count = 1
        self._streams = streams

    def of(self, stream: int) -> range:
        """Who is in a stream."""
        more = self.count % self._streams > stream
        return range(self.count // self._streams + more)


def attempt(running: Fed, people: People, count: int, seconds: float) -> Try:
    people.count = count
    for _ in running.hear(SETTLE_S):
        pass
    before_s, began_s = cpu_s(running.process.pid), time.monotonic()
    ages = [running.sources[event.stream].age_ms(event) for event in running.hear(seconds)]
    took_s = time.monotonic() - began_s
    cores = (cpu_s(running.process.pid) - before_s) / took_s
    p50, p99 = np.percentile(ages, [50, 99]) if ages else (np.inf, np.inf)
    return Try(count, float(p50), float(p99), len(ages) * HOP_S / (count * took_s), cores)


def search(
    streams: int, seconds: float, limit_ms: float, first: int, *, together: bool
) -> tuple[int, list[Try]]:
    """How many people are the most, and all tries."""
    people = People(streams)
    sources = [
        Source(walkers(partial(people.of, n)), in_step_s(n, HOP_S) if together else 0.0)
        for n in range(streams)
    ]
    tries: dict[int, Try] = {}

    def passes(count: int) -> bool:
        one = tries[count] = attempt(running, people, count, seconds)
        return one.p99_ms <= limit_ms and one.served >= SERVED

    with fed(poses_config(streams, "default", [HOP_S] * streams), sources) as running:
        running.wait_for_event()
        found = most(passes, first, streams * PER_MESSAGE)
    return found, sorted(tries.values(), key=lambda one: one.people)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--limit-ms", type=float, default=250)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=9, help="of measuring, per try")
    parser.add_argument("--first", type=int, default=16, help="people to begin with")
    parser.add_argument("--cpus", type=int, nargs="+", default=[0, 1], help="cores to use")
    options = parser.parse_args()
    log.set_up()
    os.sched_setaffinity(0, options.cpus)
    print(machine())
    print(
        "| windows end | people | age p50 ms | p99 ms | served | cores | CPU ms a person and hop |"
    )
    print("|---" * 7 + "|")
    for together in (True, False):
        found, tries = search(
            options.streams, options.seconds, options.limit_ms, options.first, together=together
        )
        for one in tries:
            cost_ms = one.cores * HOP_S / max(one.people * one.served, 1e-9) * 1e3
            people = f"**{one.people}**" if one.people == found else f"{one.people}"
            print(
                f"| {'together' if together else 'at phases of their own'} | {people}"
                f" | {one.p50_ms:.0f} | {one.p99_ms:.0f} | {one.served:.0%}"
                f" | {one.cores:.2f} | {cost_ms:.1f} |",
                flush=True,
            )
    print(machine())


if __name__ == "__main__":
    main()
