"""One of our networks, timed on demand; benchmarks/models.py talks to it.

    jack_worker.py NETWORK THREADS

It prints one JSON line when its first result is there, and one for every number of repetitions that
it reads: seconds per full window and per hop, from NumPy arrays to NumPy arrays, and its memory.
NETWORK ``peak`` multiplies matrices instead: what the machine can do at most.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
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
    "mart": (
        "mart",
        lambda: {
            "visual": uniform(1, 2, 3, 16, 112, 112, scale=255),
            "audio": uniform(1, 200, 128),
        },
    ),
}


def gait(people: int) -> dict[str, Any]:
    return {"posture": uniform(people, 3, 48, 16, 1), "movement": uniform(people, 8, 48, 16, 1)}


def hop_of(name: str, model: Any, inputs: dict[str, Any]) -> Callable[[], Any] | None:
    """One new snippet and one new piece of sound, the rest from the cache, and the head."""
    if name == "tsl-net":
        return next_segment(model.module)
    if name == "mart":
        return next_snippet(model.module, inputs)
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


def next_segment(network: Any) -> Callable[[], Any]:
    """TSL-Net's window of 60 segments, one further at each call."""
    from jack_stream.models.tsl_stream import TSLStream  # noqa: PLC0415 - imports Jittor

    stream, places = TSLStream(network), itertools.count()
    rgb, mel = uniform(120, 1024), uniform(120, 32, 60)

    def hop() -> Any:
        first = next(places)
        segments = np.arange(first, first + 60) % 120
        return stream.infer(first, rgb[segments], mel[segments])

    return hop


def next_snippet(network: Any, inputs: dict[str, Any]) -> Callable[[], Any]:
    """MART's window of two snippets, one further at each call."""
    jt = runtime.jittor()
    clip, sound = inputs["visual"][0, :1], inputs["audio"][0, :100][None]

    def hop() -> Any:
        with jt.no_grad():
            new = jt.fetch_sync(list(network.encode_snippets(jt.array(clip), jt.array(sound))))
            both = (jt.array(np.repeat(one[None], 2, 1)) for one in new)
            return network.head(*both)["logits"].numpy()

    return hop


def with_weights(method: str) -> Any:
    """A model that takes its weights as it would from a bundle."""
    model = models.create(method, **({"seq_len": SNIPPETS[1]} if method == "vaanet" else {}))
    shapes = {name: value.shape for name, value in model.module.state_dict().items()}
    model.set_weights(
        {
            name: uniform(*shape, scale=0.1) - np.float32(0.05)
            if len(shape) > 1
            else np.ones(shape)
            for name, shape in shapes.items()
        }
    )
    return model


def matrices() -> Callable[[], Any]:
    jt = runtime.jittor()
    from jack_stream.models.layers import matmul  # noqa: PLC0415 - imports Jittor

    a = jt.array(uniform(1, 2048, 2048))

    def run() -> Any:
        with jt.no_grad():
            matmul(a, a).sync()

    return run


def memory_mib() -> dict[str, float]:
    """Resident now and at most."""
    status = Path("/proc/self/status").read_text()
    return {
        key: int(status.split(f"{field}:")[1].split()[0]) / 1024
        for key, field in (("mib", "VmRSS"), ("peak_mib", "VmHWM"))
    }


def timed(run: Callable[[], Any], count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds


def runs_of(name: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A full window and a hop; the same where a hop is a window."""
    if name == "peak":
        return matrices(), matrices()
    method, make_inputs = NETWORKS[name]
    model, inputs = with_weights(method), make_inputs()
    window = lambda: model.infer(inputs)  # noqa: E731
    return window, hop_of(name, model, inputs) or window


def main() -> None:
    name, threads = sys.argv[1], int(sys.argv[2])
    runtime.prepare(threads=threads, device="cpu")
    window, hop = runs_of(name)
    window()
    print(json.dumps({"ready": True}), flush=True)
    for run in (window, hop):
        timed(run, 2)
    for line in sys.stdin:
        count = int(line)
        answer: dict[str, Any] = {"window": timed(window, count)}
        if hop is not window:
            answer["hop"] = timed(hop, count)
        print(json.dumps({**answer, **memory_mib()}), flush=True)


if __name__ == "__main__":
    main()
