"""Does BPM-GCN answer better in steps once it has learned in steps?

    python -m benchmarks.gait_steps_learning DATASET1 DATASET2 [--steps 300]

The weights that ship go on learning through their step form, of what they themselves say of whole
windows: a window of 48 frames, then three steps of 16, states passed on and gradients through
them, on made walks and on Bandai-Namco's walks (the two files) that the weights learned from, as a
camera sees them. Batch normalisation keeps its statistics. No label is used. Told is how near the
answers come to those of the shipped weights' windows, on walks that were not learned from.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.continual_gait import Recording, demo_walks, made_walks, on_grid, recorded_walks
from jack_stream import runtime
from jack_stream.features.gait_window import GaitPreprocessing
from jack_stream.inference.catalogue import shipped_bundle
from jack_stream.models.labels import EMOTION_GAIT
from jack_stream.models.registry import Model, load
from trainers.augmentation.camera import mirrored, seen_by_a_camera
from trainers.bpm_gcn.examples import matching
from trainers.bpm_gcn.recipe import GaitRecipe
from trainers.data.made_walks import FRAME_RATE_HZ, Variation, make_walk
from trainers.data.walks import read_walks
from trainers.metrics.classification import softmax
from trainers.recipe import read_recipe

WINDOW, STEP = 48, 16
ENDS = (48, 64, 80, 96)
"""Where the window and the steps of an example end, in frames."""
MADE = 400
Array = npt.NDArray[Any]


def walks_to_learn(files: Sequence[Path], grid: GaitPreprocessing) -> tuple[list[Array], int]:
    """Joints ``[T, 16, 3]`` of recorded and then made walks, and how many are recorded."""
    data = read_recipe(GaitRecipe, "bpm-gcn-distilled", []).data
    walks = [w for file in files for w in read_walks(file) if w.content in data.contents]
    hidden = {walk.name for walk in matching(walks, data.leave_out)}
    found = []
    for walk in walks:
        if walk.name not in hidden and zlib.crc32(walk.name.encode()) % 1000 >= 100:
            joints = on_grid(walk.joints, walk.frame_rate_hz, grid)
            if len(joints) >= WINDOW:
                found.append(np.tile(joints, (-(-ENDS[-1] // len(joints)), 1, 1)))
    for i in range(MADE):
        label, rng = EMOTION_GAIT[i % len(EMOTION_GAIT)], np.random.default_rng([5, i])
        walk_joints = make_walk(label, rng, Variation(), seconds=9.0).astype(np.float64)
        found.append(on_grid(walk_joints, FRAME_RATE_HZ, grid))
    return found, len(found) - MADE


def example(
    walks: Sequence[Array], recorded: int, grid: GaitPreprocessing, rng: np.random.Generator
) -> list[dict[str, Array]]:
    """The inputs of the windows that end with an example's window and steps."""
    of_made = rng.random() >= 0.5
    which = recorded + rng.integers(MADE) if of_made else rng.integers(recorded)
    joints = walks[which]
    start = rng.integers(len(joints) - ENDS[-1] + 1)
    joints = joints[start : start + ENDS[-1]]
    if rng.random() < 0.5:
        joints = mirrored(joints)
    joints = seen_by_a_camera(joints, rng, rng.random())
    return [grid.inputs(joints[end - WINDOW : end]) for end in ENDS]


def learn(model: Model, teacher: Model, files: Sequence[Path], steps: int, batch: int) -> None:
    """Let a model learn through its step form what the teacher says of windows."""
    # Imported here because they import Jittor, which main prepares.
    from jack_stream.models.bpm_gcn_steps import _Stream  # noqa: PLC0415
    from jack_stream.runtime import jittor  # noqa: PLC0415
    from trainers.adam import Adam  # noqa: PLC0415

    jt, grid = jittor(), grid_of(teacher)
    walks, recorded = walks_to_learn(files, grid)
    network, rng = model.module, np.random.default_rng(0)
    network.train()
    for part in network.modules():
        if type(part).__name__.startswith("BatchNorm"):
            part.is_train = False
    optimizer = Adam([p for p in network.parameters() if not p.is_stop_grad()], 3e-4)
    for step in range(steps):
        examples = [example(walks, recorded, grid, rng) for _ in range(batch)]
        loss, held = 0.0, None
        for k, rows in enumerate(zip(*examples, strict=True)):
            new = WINDOW if k == 0 else STEP
            inputs = {n: np.concatenate([row[n] for row in rows]) for n in rows[0]}
            wanted = jt.array(softmax(teacher.infer(inputs)["logits"]).astype(np.float32))
            posture, movement = (jt.array(inputs[n][:, :, -new:]) for n in ("posture", "movement"))
            time_form = _Stream(
                None if held is None else iter(held), window=WINDOW, new=new, delayed=False
            )
            logits = network.heads(*network.streams(posture, movement, time_form))["logits"]
            held = time_form.kept
            loss = loss - (wanted * jt.nn.log_softmax(logits, dim=1)).sum(1).mean() / len(ENDS)
        optimizer.step(loss)
        if step == int(0.7 * steps):
            optimizer.lr *= 0.25
    network.eval()


def answers(model: Model, recordings: Sequence[Recording], *, in_steps: bool) -> Array:
    """Probabilities ``[N, 4]`` at every hop of 16 frames but each recording's first."""
    from jack_stream.models.bpm_gcn_steps import GaitSteps  # noqa: PLC0415 - imports Jittor

    grid, steps, found = grid_of(model), GaitSteps(model.module), []
    for joints, _ in recordings:
        state = None
        for end in range(WINDOW, len(joints) + 1, STEP):
            inputs = grid.inputs(joints[end - WINDOW : end])
            if in_steps:
                new = WINDOW if state is None else STEP
                said, state = steps.step(state, **{n: v[:, :, -new:] for n, v in inputs.items()})
            else:
                said = model.infer(inputs)
            if end > WINDOW:
                found.append(said["logits"][0])
    assert model.origin is not None
    return softmax(np.array(found, np.float64) / model.origin.card.decision.temperature)


def truths(recordings: Sequence[Recording]) -> Array:
    """The class at each of these hops, -1 where there is none or more than one."""
    found = []
    for joints, labels in recordings:
        for end in range(WINDOW + STEP, len(joints) + 1, STEP):
            known = {*labels[end - WINDOW : end]}
            label = known.pop() if len(known) == 1 else None
            found.append(-1 if label is None else EMOTION_GAIT.index(label))
    return np.array(found)


def row(reference: Array, said: Array, truth: Array) -> str:
    """Cells: hops, same label, mean difference, and what is right of each class."""
    right = [
        f"{(said[truth == c].argmax(1) == c).sum()} of {(truth == c).sum()}"
        for c in range(len(EMOTION_GAIT))
    ]
    same = (said.argmax(1) == reference.argmax(1)).mean()
    apart = np.abs(said - reference).mean()
    return f"{len(said)} | {same:.1%} | {apart:.3f} | {', '.join(right)} |"


def grid_of(model: Model) -> GaitPreprocessing:
    """How a model's gaits are prepared."""
    assert model.origin is not None
    return GaitPreprocessing.from_card(model.origin.card.preprocessing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs=2)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    runtime.prepare(threads=1)
    bundle = shipped_bundle("bpm-gcn")
    assert bundle is not None
    teacher, model = load(bundle), load(bundle)
    began_s = time.process_time()
    learn(model, teacher, arguments.files, arguments.steps, arguments.batch)
    print(f"learned in {time.process_time() - began_s:.0f} s of processor time\n")
    grid, file = grid_of(teacher), arguments.files[0]
    sets = {name: recorded_walks(file, name, grid) for name in ("*_walk_*", "*_walk-*")}
    sets |= {"made walks of 16 s": made_walks(grid), "the demo's": demo_walks(grid)}
    print("| walks | answers | hops | same label | mean difference |"
          " right (happy, sad, angry, neutral) |\n" + "|---" * 6 + "|")  # fmt: skip
    for name, recordings in sets.items():
        reference, truth = answers(teacher, recordings, in_steps=False), truths(recordings)
        for form in (
            "as shipped, window",
            "as shipped, steps",
            "learned, steps",
            "learned, window",
        ):
            one = teacher if form.startswith("as") else model
            said = answers(one, recordings, in_steps=form.endswith("steps"))
            print(f"| {name} | {form} | {row(reference, said, truth)}", flush=True)


if __name__ == "__main__":
    main()
