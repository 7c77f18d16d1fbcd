"""What an epoch of training costs: time and memory here, and time on a GPU by its arithmetic.

    python benchmarks/training.py [METHOD...] [--batch 4] [--steps 2]

The paper's network is trained for some steps on made clips of the paper's size (107 s at 30 frames
per second, 320x240, sound at 44.1 kHz), reading and all, in a process of its own. What an epoch of
the paper's data set would take is worked out from the clips per second. ``busy`` is processor time
over all cores, of the network and of the processes that read, which other work on the machine
hardly touches: on N idle cores a step takes about busy / N.

The GPU's time counts multiplications and additions of every layer (twice the multiply-accumulates;
three times the forward pass where there is a gradient) and assumes 7.8 TFLOP/s: 40 % of what an
A100 does in float32 without tensor cores. Reading is left out there.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_STEPS_AT_MOST = 16
HERE = Path(__file__).resolve().parent
GPU_FLOPS = 0.4 * 19.5e12
RESNET3D_GMAC = 13.89  # a snippet of 16x112x112 through 3D ResNet-101


@dataclass(frozen=True)
class Entry:
    """A method's step and what its epoch consists of.

    Attributes:
        steps: batch, folder for made data -> a context whose value makes one step when called.
        epoch: examples of the paper's training part.
        epochs: of the paper.
        gmac: multiply-accumulates of a step per example, gradients included.
        data: the paper's data set.
    """

    steps: Callable[[int, Path], Any]
    epoch: int
    epochs: int
    gmac: float
    data: str


def made_clip(folder: Path, seconds: int = 107, rate: int = 30) -> Any:
    """A clip of the size of VideoEmotion-8's; all its pictures are links to one file."""
    from trainers.data.clips import Clip  # noqa: PLC0415

    rng = np.random.default_rng(0)
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    coarse = rng.integers(0, 256, (15, 20, 3), np.uint8)
    Image.fromarray(coarse).resize((320, 240)).save(folder / "one.jpg", quality=90)
    for number in range(1, seconds * rate + 1):
        (pictures / f"{number:06d}.jpg").symlink_to(folder / "one.jpg")
    with wave.open(str(folder / "sound.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(rng.integers(-9000, 9000, seconds * 44_100, np.int16).tobytes())
    return Clip("made", 0, pictures, folder / "sound.wav", seconds * rate, float(rate))


@contextmanager
def clip_steps(
    recipe_kind: type, task_kind: type, overrides: tuple[str, ...], batch: int, folder: Path
) -> Iterator[Callable[[], None]]:
    """Steps of VAANet or CTEN: read, forward, backward, the optimizer."""
    from jack_stream.models import create  # noqa: PLC0415 - imports Jittor
    from jack_stream.models.labels import VIDEO_EMOTION_8  # noqa: PLC0415
    from jack_stream.runtime import jittor  # noqa: PLC0415
    from trainers.audio_visual.division import Division  # noqa: PLC0415
    from trainers.audio_visual.features import FeatureStore  # noqa: PLC0415
    from trainers.audio_visual.network import sampling_of  # noqa: PLC0415
    from trainers.audio_visual.workers import Workers  # noqa: PLC0415
    from trainers.losses.pcce import polarity  # noqa: PLC0415
    from trainers.recipe import read_recipe  # noqa: PLC0415

    jt = jittor()
    settings = [f"schedule.batch={batch}", *overrides]
    recipe = read_recipe(recipe_kind, recipe_kind.method, settings)
    clip = made_clip(folder)
    polarities = polarity(VIDEO_EMOTION_8)
    many = (clip,) * (batch * _STEPS_AT_MOST)
    data = Division("made", VIDEO_EMOTION_8, polarities, many, many[:1], {}, "", "")
    model = create(recipe.method, **recipe.architecture(8))
    with Workers(recipe.data.workers) as workers:
        store = FeatureStore(folder / "features", model, sampling_of(model), workers)
        task = task_kind(recipe, model, data, store)
        task.module.train()
        batches = iter(task.batches(np.random.default_rng(0)))
        rng = np.random.default_rng(1)

        def step() -> None:
            task.optimizer.backward(task.loss(next(batches), rng)["total"])
            task.optimizer.step()
            jt.sync_all(True)

        yield step


def vaanet(batch: int, folder: Path, *overrides: str) -> Any:
    from trainers.vaanet.recipe import VAANetRecipe  # noqa: PLC0415
    from trainers.vaanet.task import VAANetTask  # noqa: PLC0415 - imports Jittor

    return clip_steps(VAANetRecipe, VAANetTask, overrides, batch, folder)


def mart(batch: int, folder: Path, *overrides: str) -> Any:
    """Fine-tuning; 12 snippets a clip unless overridden."""
    from trainers.mart.recipe import MartRecipe  # noqa: PLC0415
    from trainers.mart.task import MartTask  # noqa: PLC0415 - imports Jittor

    return clip_steps(MartRecipe, MartTask, overrides, batch, folder)


def cten(batch: int, folder: Path, *overrides: str) -> Any:
    from trainers.cten.recipe import CTENRecipe  # noqa: PLC0415
    from trainers.cten.task import CTENTask  # noqa: PLC0415 - imports Jittor

    return clip_steps(CTENRecipe, CTENTask, overrides, batch, folder)


@contextmanager
def sentiment_steps(batch: int, folder: Path) -> Iterator[Callable[[], None]]:
    """Steps of TSL-Net on videos of TSL-300's mean length, 408 segments, features and all."""
    from jack_stream.models import create  # noqa: PLC0415 - imports Jittor
    from jack_stream.runtime import jittor  # noqa: PLC0415
    from trainers.data.tsl300 import Point, SentimentVideo  # noqa: PLC0415
    from trainers.recipe import read_recipe  # noqa: PLC0415
    from trainers.tsl_net.recipe import SentimentRecipe  # noqa: PLC0415
    from trainers.tsl_net.task import SentimentTask  # noqa: PLC0415

    jt, rng = jittor(), np.random.default_rng(0)
    np.save(folder / "rgb.npy", rng.random((408, 1024), np.float32))
    np.save(folder / "mel.npy", rng.normal(-30, 10, (408 * 32, 60)).astype(np.float32))
    points = tuple(Point(frame % 2, frame) for frame in range(301, 6400, 601))
    video = SentimentVideo("made", folder / "rgb.npy", folder / "mel.npy", 25.0, points, ())
    recipe = read_recipe(SentimentRecipe, "tsl-net")
    task = SentimentTask(recipe, create("tsl-net", **recipe.architecture), [video], [])

    def step() -> None:
        for number in range(1, batch + 1):
            task.optimizer.backward(task.loss(0, rng)["total"] / batch)
            task.optimizer.n_step -= number < batch
        task.optimizer.step()
        jt.sync_all(True)

    yield step


KEPT = "data.cached_views=1"
VE8 = "VideoEmotion-8"
# The sound and the heads: 231.4 and 238.2 GMAC of a forward pass of 16 snippets, less the backbone.
VAANET_REST, CTEN_REST = 231.4 - 16 * RESNET3D_GMAC, 238.2 - 16 * RESNET3D_GMAC
MART_GMAC = 96.6 / 2  # a snippet through both streams

ENTRIES: dict[str, Entry] = {
    "vaanet": Entry(vaanet, 731, 150, 10 * RESNET3D_GMAC + 3 * VAANET_REST, VE8),
    "vaanet-kept": Entry(lambda b, f: vaanet(b, f, KEPT), 731, 150, 3 * VAANET_REST, VE8),
    "cten": Entry(cten, 731, 100, 3 * 16 * RESNET3D_GMAC + 3 * CTEN_REST, VE8),
    "cten-kept": Entry(lambda b, f: cten(b, f, KEPT), 731, 100, 3 * CTEN_REST, VE8),
    "mart": Entry(mart, 731, 150, 3 * 12 * MART_GMAC, VE8),
    # Of a video of 408 segments: the network, and the reverse mapping that only training has.
    "tsl-net": Entry(sentiment_steps, 1600, 20, 3 * 408 * (0.0401 + 0.0818), "TSL-300"),
}
"""Add a line for a method; ``-kept`` are those whose frozen features come from files."""


def busy() -> float:
    """Processor seconds of this process and of those that it started, which are its group."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[2]) == os.getpgrp():
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(name: str, batch: int, steps: int) -> dict[str, Any]:
    entry = ENTRIES[name]
    with tempfile.TemporaryDirectory() as folder, entry.steps(batch, Path(folder)) as step:
        step()
        step()
        taken = []
        for _ in range(steps):
            started, used = time.perf_counter(), busy()
            step()
            taken.append((time.perf_counter() - started, busy() - used))
    seconds = min(wall for wall, _ in taken)
    return {
        "name": name,
        "batch": batch,
        "step_s": seconds,
        "busy_s": min(used for _, used in taken),
        "rss_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def show(row: dict[str, Any]) -> None:
    entry = ENTRIES[row["name"]]
    rate = row["batch"] / row["step_s"]
    gpu_s = 2e9 * entry.gmac * entry.epoch / GPU_FLOPS
    cells = [
        row["name"], str(row["batch"]), f"{row['step_s'] * 1e3:.0f}", f"{row['busy_s'] * 1e3:.0f}",
        f"{rate:.2f}", f"{row['rss_gib']:.1f}", f"{entry.epoch / rate / 60:.0f}",
        f"{row['busy_s'] / 2 / row['batch'] * entry.epoch / 60:.0f}",
        f"{entry.gmac:.0f}", f"{gpu_s:.0f}", f"{gpu_s * entry.epochs / 3600:.1f}",
    ]  # fmt: skip
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("methods", nargs="*", default=list(ENTRIES))
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--one", action="store_true", help="this process measures; used by itself")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.methods[0], arguments.batch, arguments.steps)))
        return
    print(
        "| method | batch | step ms | busy ms | clips/s | peak GiB | epoch min, as measured | epoch"
        " min, two idle cores | GMAC a clip | GPU s an epoch | GPU h in all |"
    )
    print("|" + "---|" * 11)
    for name in arguments.methods:
        more = [name, "--one", "--batch", str(arguments.batch), "--steps", str(arguments.steps)]
        done = subprocess.run(
            [sys.executable, __file__, *more],
            stdout=subprocess.PIPE,
            check=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        )
        show(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
