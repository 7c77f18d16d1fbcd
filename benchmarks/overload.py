"""What happens when more windows come than inference can take?

    python -m benchmarks.overload [--loads 0.5 1 2 10] [--streams 16] [--seconds 15]

Walkers' true poses at 25 a second per stream, BPM-GCN with weights of chance, real processes and
sockets in real time. First all streams bring a window with nearly every picture, which says how
many the model can take; then the hop is set so that they bring the stated multiple of that. The
first stream is greedy: it brings four times as many windows as each other one.

Served and shed are counted from the events' window numbers. Age is from the capture of a window's
newest sample to the event's publication. Bound is what the queue promises for it: the sample by
which a window is seen to be complete (40 ms), the run that is under way, and two rounds of all.
Runs cost what they cost in that row, where inference had no pause; else what they cost at the most.

At the end of each load feeding stops, and what came must be what was used and what was dropped by
reason, to the message and to the window, over the whole life of the process; or the command fails.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.feeding import FPS, Source, balance, fed, machine, poses_config, walkers
from jack_stream import log
from jack_stream.events.schema import Event

GREED = 4
ROUNDS = 2
SETTLING_S = 3.0
CALIBRATING_S = 8.0


def _measure(
    streams: int, bundle: str, hop_s: float, seconds: float
) -> tuple[list[Event], list[int], list[str]]:
    """The events of some seconds, the process's memory before and after, and the balance."""
    hops_s = [hop_s / GREED, *[hop_s] * (streams - 1)]
    sources = [Source(walkers(lambda: (1,))) for _ in range(streams)]
    with fed(poses_config(streams, bundle, hops_s), sources) as running:
        running.wait_for_event()
        for _ in running.hear(SETTLING_S):
            pass
        memory = [_resident_kb(running.process.pid)]
        found = list(running.hear(seconds))
        memory.append(_resident_kb(running.process.pid))
        return found, memory, balance(running.rest())


def _resident_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def _bound_ms(load: float, rate: float, most: float, streams: int) -> float:
    """How old a result may be, at so many windows a second now and at the most."""
    cost_s = 1 / (rate if load >= 1 else most)
    return 1000 * (1 / FPS + (1 + ROUNDS * streams) * cost_s)


def _row(load: float, events: list[Event], memory: list[int], rate: float, bound_ms: float) -> str:
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
        f"{bound_ms:.0f}",
        f"{rate:.0f}",
        f"{(memory[1] - memory[0]) / 1024:+.1f}",
        f"{os.getloadavg()[0]:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--loads", type=float, nargs="+", default=[0.5, 1, 2, 10])
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=15, help="of measuring, per load")
    parser.add_argument("--bundle", default="untrained", help="or default: the weights that ship")
    options = parser.parse_args()
    log.set_up()
    print(machine())
    most, _, _ = _measure(options.streams, options.bundle, GREED / FPS, CALIBRATING_S)
    at_most = len(most) / CALIBRATING_S
    print(f"{at_most:.0f} windows a second at the most; {options.streams} streams, one greedy.\n")
    print(
        "| load | windows | shed | greedy stream | others | served: greedy; others"
        " | age p50 ms | p99 ms | max ms | bound ms | answered a second | memory MiB"
        " | machine's load |"
    )
    print("|---" * 13 + "|")
    balances = []
    for load in options.loads:
        hop_s = (options.streams - 1 + GREED) / at_most / load
        found = _measure(options.streams, options.bundle, hop_s, options.seconds)
        events, memory, equations = found
        rate = len(events) / options.seconds
        bound_ms = _bound_ms(load, rate, at_most, options.streams)
        print(_row(load, events, memory, rate, bound_ms), flush=True)
        balances += [f"- load {load:g}: {equation}" for equation in equations]
    print("", *balances, machine(), sep="\n")


if __name__ == "__main__":
    main()
