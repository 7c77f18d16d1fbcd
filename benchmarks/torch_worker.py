"""One PyTorch network in one runtime, timed on demand; benchmarks/models.py talks to it.

    torch_worker.py NETWORK eager|script|compile|onnx THREADS

It prints one JSON line when it is ready, and one for every number of repetitions that it reads.
"""

from __future__ import annotations

import io
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode
from torch_networks import NETWORKS


def onnx_session(network: Any, inputs: tuple[torch.Tensor, ...], threads: int) -> Callable[[], Any]:
    import onnxruntime  # noqa: PLC0415 - only this runtime needs it

    buffer = io.BytesIO()
    torch.onnx.export(network, inputs, buffer, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        buffer.getvalue(), options, providers=["CPUExecutionProvider"]
    )
    names = [entry.name for entry in session.get_inputs()]
    feed = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
    return lambda: session.run(None, feed)


def runner(
    network: Any, inputs: tuple[torch.Tensor, ...], runtime: str, threads: int
) -> Callable[[], Any]:
    if runtime == "onnx":
        return onnx_session(network, inputs, threads)
    if runtime == "script":
        network = torch.jit.optimize_for_inference(
            torch.jit.freeze(torch.jit.trace(network, inputs))
        )
    elif runtime == "compile":
        network = torch.compile(network)
    return lambda: network(*inputs)


def main() -> None:
    name, runtime, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network, inputs = NETWORKS[name]()
    network.eval()
    with torch.inference_mode(runtime == "eager"), torch.no_grad():
        counter = FlopCounterMode(display=False)
        with counter:
            network(*inputs)
        run = runner(network, inputs, runtime, threads)
        run()
        print(json.dumps({"gflop": counter.get_total_flops() / 1e9}), flush=True)
        for line in sys.stdin:
            seconds = []
            for _ in range(int(line)):
                start = time.perf_counter()
                run()
                seconds.append(time.perf_counter() - start)
            status = Path("/proc/self/status").read_text()
            resident = int(status.split("VmRSS:")[1].split()[0]) / 1024
            print(json.dumps({"window": seconds, "mib": resident}), flush=True)


if __name__ == "__main__":
    main()
