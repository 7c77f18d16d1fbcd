"""PyTorch's training steps, timed on demand; benchmarks/train_steps.py talks to it.

    torch_step_worker.py METHOD THREADS

It answers as jack_step_worker.py does.
"""

from __future__ import annotations

import json
import sys
import warnings

import torch
from step_clock import answer
from torch_training import STEPS


def main() -> None:
    method, threads = sys.argv[1], int(sys.argv[2])
    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    step = STEPS[method]()
    for number in range(3):
        step(number)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(step, int(line))), flush=True)


if __name__ == "__main__":
    main()
