"""A training step next to PyTorch's, in one interleaved run.

    python benchmarks/train_steps.py --torch-python /path/to/venv/bin/python [METHOD...]

Forward, losses, backward and the optimizer's step, with the paper's recipe on random data
(training_data.py). Both sides take turns in processes of their own, so that a disturbance on the
machine hits both; ratios are ours to PyTorch's, turn by turn. ``busy`` is processor time, which
other work on the machine hardly touches.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys

from models import Worker


def measure(
    method: str, torch_python: str, threads: int, turns: int, repeat: int
) -> dict[str, object]:
    workers = {
        "ours": Worker([sys.executable, "jack_step_worker.py", method, str(threads)]),
        "torch": Worker(
            [torch_python, "torch_step_worker.py", method, str(threads)],
            OMP_NUM_THREADS=str(threads),
        ),
    }
    for name, worker in workers.items():
        assert worker.read() is not None, f"{name} does not train {method}"
    medians: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
    peaks: dict[str, float] = {}
    for _ in range(turns):
        for name, worker in workers.items():
            answer = worker.ask(repeat)
            medians[name].append({k: statistics.median(answer[k]) for k in ("seconds", "busy")})
            peaks[f"{name}_peak_mib"] = answer["peak_mib"]
    for worker in workers.values():
        worker.end()
    row: dict[str, object] = {"method": method, "threads": threads, **peaks}
    for kind in ("seconds", "busy"):
        pairs = [(a[kind], b[kind]) for a, b in zip(medians["ours"], medians["torch"], strict=True)]
        ratios = sorted(a / b for a, b in pairs)
        row[f"ours_{kind}"] = statistics.median(a for a, _ in pairs)
        row[f"torch_{kind}"] = statistics.median(b for _, b in pairs)
        row[f"ratio_{kind}"] = statistics.median(ratios)
        row[f"ratios_{kind}"] = [round(r, 2) for r in ratios]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*", default=["bpm-gcn", "tsl-net", "vaanet-audio"])
    parser.add_argument("--torch-python", default=os.environ.get("JACK_TORCH_PYTHON", ""))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--repeat", type=int, default=3, help="steps in a turn")
    arguments = parser.parse_args()
    if not arguments.torch_python:
        parser.error("--torch-python, or JACK_TORCH_PYTHON, must name a Python with PyTorch")
    for method in arguments.methods:
        row = measure(
            method, arguments.torch_python, arguments.threads, arguments.turns, arguments.repeat
        )
        rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}
        print(json.dumps(rounded), flush=True)


if __name__ == "__main__":
    main()
