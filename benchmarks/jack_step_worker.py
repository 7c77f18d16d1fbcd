"""Our training steps, timed on demand; benchmarks/train_steps.py talks to it.

    jack_step_worker.py METHOD THREADS

It prints one JSON line after the first step, and one for every number of steps that it reads: the
seconds and the processor's seconds of each, and its memory. A step is what trainers/loop.py does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from step_clock import answer
from training_data import EMOTIONS, VOICES, gait_batch, sentiment_video, voice_batch

from jack_stream import runtime


def take(optimizer: Any, batches: list[Callable[[], Mapping[str, Any]]]) -> float:
    """One step of the optimizer on batches whose losses are averaged."""
    total = 0.0
    for number, losses_of in enumerate(batches, start=1):
        losses = losses_of()
        optimizer.backward(losses["total"] / len(batches))
        if number == len(batches):
            optimizer.step()
        else:
            optimizer.n_step -= 1
        total += {name: value.item() for name, value in losses.items()}["total"]
    return total


def gait() -> Callable[[int], float]:
    from jack_stream.models.registry import create  # noqa: PLC0415 - imports Jittor
    from trainers.bpm_gcn.recipe import GaitRecipe  # noqa: PLC0415
    from trainers.loop import make_optimizer  # noqa: PLC0415
    from trainers.losses.bpm_gcn import bpm_gcn_loss  # noqa: PLC0415
    from trainers.recipe import read_recipe  # noqa: PLC0415

    recipe, jt = read_recipe(GaitRecipe, "bpm-gcn"), runtime.jittor()
    module = create("bpm-gcn", **recipe.architecture).module
    optimizer = make_optimizer(module, recipe.optimizer)

    def losses_of(number: int) -> Mapping[str, Any]:
        batch = {name: jt.array(value) for name, value in gait_batch(number).items()}
        outputs = module(batch["posture"], batch["movement"])
        return bpm_gcn_loss(outputs, batch["classes"], batch["affective"])

    return lambda number: take(optimizer, [lambda: losses_of(number)])


def sentiment() -> Callable[[int], float]:
    from jack_stream.models.registry import create  # noqa: PLC0415 - imports Jittor
    from trainers.data.tsl300 import Item  # noqa: PLC0415
    from trainers.recipe import read_recipe  # noqa: PLC0415
    from trainers.tsl_net.recipe import SentimentRecipe  # noqa: PLC0415
    from trainers.tsl_net.task import SentimentTask  # noqa: PLC0415

    recipe = read_recipe(SentimentRecipe, "tsl-net")
    task = SentimentTask(recipe, create("tsl-net", **recipe.architecture), [], [])

    def step(number: int) -> float:
        items = [
            Item(**{name: value[0] for name, value in video.items()})
            for video in sentiment_video(number)
        ]
        return take(task.optimizer, [lambda item=item: task.item_loss(item) for item in items])

    return step


def voice() -> Callable[[int], float]:
    from jack_stream.models.registry import create  # noqa: PLC0415 - imports Jittor
    from trainers.loop import make_optimizer  # noqa: PLC0415
    from trainers.losses.class_weights import weighted_mean  # noqa: PLC0415
    from trainers.losses.cross_entropy import cross_entropy  # noqa: PLC0415
    from trainers.recipe import read_recipe  # noqa: PLC0415
    from trainers.vaanet_audio.recipe import VoiceRecipe  # noqa: PLC0415

    recipe, jt = read_recipe(VoiceRecipe, "vaanet-audio-speech"), runtime.jittor()
    module = create("vaanet-audio", **recipe.architecture(EMOTIONS)).module
    optimizer = make_optimizer(module, recipe.optimizer)

    def losses_of(number: int) -> Mapping[str, Any]:
        batch = voice_batch(number)
        targets = jt.array(batch["targets"])
        losses = cross_entropy(module(jt.array(batch["audio"]), VOICES)["logits"], targets)
        return {"total": weighted_mean(losses, targets, batch["weights"])}

    return lambda number: take(optimizer, [lambda: losses_of(number)])


STEPS = {"bpm-gcn": gait, "tsl-net": sentiment, "vaanet-audio": voice}


def main() -> None:
    method, threads = sys.argv[1], int(sys.argv[2])
    runtime.prepare(threads=threads, device="cpu")
    step = STEPS[method]()
    jt = runtime.jittor()

    def whole(number: int) -> None:
        step(number)
        jt.sync_all()

    for number in range(3):
        whole(number)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(whole, int(line))), flush=True)


if __name__ == "__main__":
    main()
