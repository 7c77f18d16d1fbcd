"""One of our networks, timed on demand; benchmarks/models.py talks to it.

    jack_worker.py NETWORK THREADS

It prints one JSON line when its first result is there, and one for every number of repetitions that
it reads: seconds per full window and per hop, from NumPy arrays to NumPy arrays.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from jack_stream import models, runtime

RNG = np.random.default_rng(0)


def uniform(*shape: int, scale: float = 1.0) -> Any:
    return RNG.random(shape, dtype=np.float32) * np.float32(scale)


SNIPPETS = (1, 16, 3, 16, 112, 112)

# Network -> method, inputs of a full window.
NETWORKS: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "resnet3d-101": ("resnet3d-101", lambda: {"clip": uniform(1, 3, 16, 112, 112)}),
    "i3d": ("i3d", lambda: {"clip": uniform(1, 3, 16, 224, 224) * 2 - 1}),
    "bpm-gcn": ("bpm-gcn", lambda: gait(1)),
    "bpm-gcn-16": ("bpm-gcn", lambda: gait(16)),
    "tsl-net": ("tsl-net", lambda: {"rgb": uniform(1, 60, 1024), "mel": uniform(1, 60, 32, 60)}),
    "vaanet": (
        "vaanet",
        lambda: {"visual": uniform(*SNIPPETS, scale=255), "audio": uniform(1, 4096, 32)},
    ),
    "cten": (
        "cten",
        lambda: {"visual": uniform(*SNIPPETS, scale=255), "audio": uniform(1, 1600, 128)},
    ),
}


def gait(people: int) -> dict[str, Any]:
    return {"posture": uniform(people, 3, 48, 16, 1), "movement": uniform(people, 8, 48, 16, 1)}


def hop_of(name: str, model: Any, inputs: dict[str, Any]) -> Callable[[], Any] | None:
    """One new snippet and one new piece of sound, the rest from the cache, and the head."""
    if name not in {"vaanet", "cten"}:
        return None
    jt, module = runtime.jittor(), model.module
    piece = module.item_spec["audio"][1:]
    new = {"visual": inputs["visual"][0, :1], "audio": uniform(1, *piece)}
    cached: dict[str, Any] = {}
    with jt.no_grad():
        for key, items in new.items():
            for part, value in module.encode(key, jt.array(items)).items():
                cached[part] = np.repeat(value.numpy()[None], 16, 1)

    def hop() -> Any:
        with jt.no_grad():
            for key, items in new.items():
                for part, value in module.encode(key, jt.array(items)).items():
                    cached[part] = np.concatenate([cached[part][:, 1:], value.numpy()[None]], 1)
            outputs = module.head(**{part: jt.array(value) for part, value in cached.items()})
            return outputs["logits"].numpy()

    return hop


def timed(run: Callable[[], Any], count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    name, threads = sys.argv[1], int(sys.argv[2])
    method, make_inputs = NETWORKS[name]
    runtime.prepare(threads=threads, device="cpu")
    model, inputs = models.untrained(method), make_inputs()
    model.infer(inputs)
    print(json.dumps({"ready": True}), flush=True)
    hop = hop_of(name, model, inputs)
    model.infer(inputs)
    for line in sys.stdin:
        count = int(line)
        answer: dict[str, Any] = {"window": timed(lambda: model.infer(inputs), count)}
        if hop is not None:
            answer["hop"] = timed(hop, count)
        answer["mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
