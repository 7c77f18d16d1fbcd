"""Every network next to PyTorch, TorchScript and ONNX Runtime, in one interleaved run.

    python benchmarks/models.py --torch-python /path/to/venv/bin/python [NETWORK...]

Each runtime has a process of its own; they take turns, a few repetitions at a time, so that a
disturbance on the machine hits all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NETWORKS = ("resnet3d-101", "i3d", "bpm-gcn", "bpm-gcn-16", "tsl-net", "vaanet", "cten", "mart")
RUNTIMES = ("eager", "script", "compile", "onnx")


class Worker:
    """A process that answers a number of repetitions with their seconds."""

    def __init__(self, command: list[str], **environment: str) -> None:
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=HERE,
            env={**os.environ, "PYTHONPATH": str(HERE.parent), **environment},
        )

    def read(self) -> dict[str, Any] | None:
        """The next answer; None where the runtime can't run this network."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line.startswith("{") else None

    def ask(self, count: int) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        answer = self.read()
        assert answer is not None, "the worker died"
        return answer

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def start_ours(name: str, threads: int, **environment: str) -> tuple[Worker, float]:
    """A worker of ours and the seconds from its start to its first result."""
    worker = Worker([sys.executable, "jack_worker.py", name, str(threads)], **environment)
    assert worker.read() is not None, f"{name} does not run"
    return worker, time.perf_counter() - worker.started


def peak_gflops(worker: Worker) -> float:
    """The best of some float32 matrix products of oneDNN: what this machine can do at most."""
    return 2 * 2048**3 / min(worker.ask(5)["window"]) / 1e9


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    ours, startup = start_ours(name, arguments.threads)
    matrices, _ = start_ours("peak", arguments.threads)
    others: dict[str, Worker] = {}
    row: dict[str, Any] = {"startup_s": startup}
    for runtime in arguments.runtimes if arguments.torch_python else ():
        command = [arguments.torch_python, "torch_worker.py", name, runtime, str(arguments.threads)]
        worker = Worker(command, OMP_NUM_THREADS=str(arguments.threads))
        if (ready := worker.read()) is None:
            print(f"  {runtime} does not run {name}", file=sys.stderr)
            continue
        others[runtime], row["gflop"] = worker, ready["gflop"]
    turns: dict[str, list[list[float]]] = {"ours": [], "hop": [], **{r: [] for r in others}}
    peak = 0.0
    for _ in range(arguments.turns):
        peak = max(peak, peak_gflops(matrices))
        answer = ours.ask(arguments.repeat)
        turns["ours"].append(answer["window"])
        turns["hop"].append(answer.get("hop", []))
        row["mib"], row["peak_mib"] = answer["mib"], answer["peak_mib"]
        for runtime, worker in others.items():
            answer = worker.ask(arguments.repeat)
            turns[runtime].append(answer["window"])
            row[f"{runtime}_mib"] = answer["mib"]
    for worker in (ours, matrices, *others.values()):
        worker.end()
    return {**row, "peak_gflops": peak, **summary(turns)}


def summary(turns: dict[str, list[list[float]]]) -> dict[str, Any]:
    """Milliseconds, and ours in proportion to each other runtime's.

    ``ratio_*`` sets the best time against the best, which other work on the machine hardly touches;
    ``median_ratio_*`` sets turn against turn and includes how each runtime takes disturbance.
    """
    found: dict[str, Any] = {}
    for runtime, lists in turns.items():
        seconds = [value for turn in lists for value in turn]
        if not seconds:
            continue
        found[f"{runtime}_ms"] = statistics.median(seconds) * 1e3
        found[f"{runtime}_best_ms"] = min(seconds) * 1e3
        if runtime not in {"ours", "hop"}:
            pairs = zip(turns["ours"], lists, strict=True)
            found[f"ratio_{runtime}"] = min(map(min, turns["ours"])) / min(seconds)
            found[f"median_ratio_{runtime}"] = statistics.median(
                statistics.median(mine) / statistics.median(theirs) for mine, theirs in pairs
            )
    return found


def soak(name: str, threads: int, count: int) -> dict[str, float]:
    """Resident memory after a hundred inferences and after many more."""
    worker, _ = start_ours(name, threads)
    before = worker.ask(100)["mib"]
    after = worker.ask(count)["mib"]
    worker.end()
    return {"soak": count, "soak_mib_before": before, "soak_mib_after": after}


def cold_seconds(name: str, threads: int) -> float:
    """Seconds to the first result where the network's kernels, but not Jittor's core, are new."""
    with tempfile.TemporaryDirectory() as cache:
        subprocess.run(
            [sys.executable, "-c", "from jack_stream.runtime import jittor; jittor()"],
            env={**os.environ, "JACK_STREAM_CACHE": cache, "PYTHONPATH": str(HERE.parent)},
            check=True,
            stderr=subprocess.DEVNULL,
        )
        worker, seconds = start_ours(name, threads, JACK_STREAM_CACHE=cache)
        worker.end()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--torch-python", default="", help="a Python with PyTorch, to compare with")
    parser.add_argument("--runtimes", nargs="+", default=RUNTIMES, choices=RUNTIMES)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cold", action="store_true", help="also compile into an empty cache")
    parser.add_argument("--soak", type=int, default=0, help="inferences to watch the memory over")
    arguments = parser.parse_args()
    for name in arguments.networks:
        row = measure(name, arguments)
        if "gflop" in row:
            row["gflops"] = row["gflop"] / row["ours_best_ms"] * 1e3
            row["of_peak"] = row["gflops"] / row["peak_gflops"]
        if arguments.cold:
            row["cold_s"] = cold_seconds(name, arguments.threads)
        if arguments.soak:
            row |= soak(name, arguments.threads, arguments.soak)
        rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}
        print(json.dumps({"network": name, **rounded}), flush=True)


if __name__ == "__main__":
    main()
