"""BPM-GCN's windowed form next to its step form: what a hop costs, and how far answers differ.

    python -m benchmarks.continual_gait cost
    python -m benchmarks.continual_gait accuracy [--walks FILE [--only PATTERN]]...

Cost is the process's CPU time with one thread, the forms taking turns within one run. Accuracy is
that of the weights that ship, on made walks, on the demo's four styles one after another, and on
recordings where there are any.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from jack_stream import runtime
from jack_stream.capture.scene.walk import STYLES, landmarks, world_landmarks
from jack_stream.clock import NS_PER_S
from jack_stream.config import AnalyzerSettings
from jack_stream.features.gait_window import GaitPreprocessing
from jack_stream.features.skeleton import from_mediapipe, joint_index
from jack_stream.inference.analyzer import Analyzer
from jack_stream.inference.batch import predict
from jack_stream.inference.catalogue import make_analyzer, shipped_bundle
from jack_stream.models.labels import EMOTION_GAIT
from jack_stream.models.registry import Model, create, load
from jack_stream.window.spec import Window
from jack_stream.wire.messages import Poses, Stamp
from trainers.data.made_walks import FRAME_RATE_HZ, Variation, make_walk
from trainers.data.walks import read_walks
from trainers.metrics.classification import softmax

PERSONS = (1, 4, 16)
STEPS = (48, 24, 16, 8, 4)
FORMS = ((16, False), (24, False), (8, False), (4, False), (16, True))
"""Frames of a step, and whether it is the delayed form."""
Array = npt.NDArray[Any]


class Recording(NamedTuple):
    """A walk on the network's time grid: joints ``[T, 16, 3]``, and a label per frame."""

    joints: Array
    labels: Sequence[str | None]


# Cost ------------------------------------------------------------------------------------------


def cost(repeats: int) -> None:
    """Print CPU milliseconds per hop and person, network alone and with preparation."""
    bundle = shipped_bundle("bpm-gcn")
    assert bundle is not None
    networks = (
        ("as shipped, width 16", load(bundle)),
        ("the paper's, width 64", create("bpm-gcn")),
    )
    head = "| weights | persons | window | " + " | ".join(f"{t} frames" for t in STEPS)
    print(head + " |\n|" + "---|" * (len(STEPS) + 3))
    for name, model in networks:
        for persons in PERSONS:
            found = turns(_networks(model, persons), repeats)
            print(f"| {name} | {persons} | " + _per_person(found, persons))
    print("\n| persons | window, in all | steps of 16, in all |\n|---|---|---|")
    for persons in PERSONS:
        print(f"| {persons} | " + _per_person(turns(_analyzers(persons), repeats), persons))


def turns(forms: Sequence[Callable[[], object]], repeats: int) -> list[list[float]]:
    """CPU seconds of some calls that take turns, after two turns that do not count."""
    found: list[list[float]] = [[] for _ in forms]
    for turn in range(repeats + 2):
        for form, seconds in zip(forms, found, strict=True):
            start = time.process_time()
            form()
            if turn >= 2:
                seconds.append(time.process_time() - start)
    return found


def _per_person(found: list[list[float]], persons: int) -> str:
    """Medians in milliseconds and what share of the first they are, as cells of a table."""
    medians = [statistics.median(seconds) * 1e3 / persons for seconds in found]
    cells = [f"{medians[0]:.2f} ms"]
    cells += [f"{one:.2f} ms ({one / medians[0]:.2f})" for one in medians[1:]]
    return " | ".join(cells) + " |"


def _networks(model: Model, persons: int) -> list[Callable[[], object]]:
    from jack_stream.models.bpm_gcn_steps import GaitSteps  # noqa: PLC0415 - imports Jittor

    rng, steps = np.random.default_rng(0), GaitSteps(model.module)

    def inputs(frames: int) -> dict[str, Array]:
        sizes = {"posture": 3, "movement": 8}
        shape = {name: (persons, c, frames, 16, 1) for name, c in sizes.items()}
        return {name: rng.normal(0, 0.3, one).astype(np.float32) for name, one in shape.items()}

    whole = inputs(48)
    _, state = steps.step(None, **whole)

    def step(frames: int) -> Callable[[], object]:
        new = inputs(frames)
        return lambda: steps.step(state if frames < 48 else None, **new)

    return [lambda: model.infer(whole), *map(step, STEPS)]


def _analyzers(persons: int) -> list[Callable[[], object]]:
    """A hop of each form in the service, from poses at 25 a second to predictions."""
    forms = []
    for form in ("window", "steps"):
        settings = AnalyzerSettings(
            method="bpm-gcn", bundle="default", form=form, hop_s=1.0667, lateness_s=0.0
        )
        analyzer = make_analyzer(settings)
        windows = _windows(analyzer, persons)
        forms.append(_hop(analyzer, windows, persons))
    return forms


def _hop(analyzer: Analyzer, windows: Iterator[Window], persons: int) -> Callable[[], object]:
    def hop() -> None:
        assert len(predict(analyzer, next(windows))) == persons

    return hop


def _windows(analyzer: Analyzer, persons: int) -> Iterator[Window]:
    """Windows in which some people walk on for ever, cut before the clock runs."""
    spec, period_ns, index = analyzer.spec, NS_PER_S // 25, 0
    while True:
        start_ns = index * spec.hop_ns
        first, end = -(-start_ns // period_ns), (start_ns + spec.length_ns) // period_ns
        world = _walking(np.arange(first, end) / 25, persons)
        poses = tuple(
            Poses(
                Stamp("bench", seq, seq * period_ns, "bench"),
                tuple(range(persons)),
                (1.0,) * persons,
                one,
                one,
                (640, 480),
            )
            for seq, one in zip(range(first, end), world, strict=True)
        )
        end_ns = start_ns + spec.length_ns
        yield Window("bench", index, 0, start_ns, end_ns, {"pose": poses}, (), end_ns)
        index += 1


def _walking(seconds: Array, persons: int) -> Array:
    """World landmarks ``[T, persons, 33, 4]``."""
    style = STYLES["neutral"]
    world = world_landmarks(landmarks(style, 2 * np.pi * style.cadence * seconds), 0.6)
    seen = np.concatenate([world, np.ones((*world.shape[:2], 1))], 2).astype(np.float32)
    return np.repeat(seen[:, np.newaxis], persons, 1)


# Accuracy --------------------------------------------------------------------------------------


def accuracy(files: Sequence[Path], patterns: Sequence[str]) -> None:
    """Print how far the step forms are from the windowed one, and what each gets right."""
    bundle = shipped_bundle("bpm-gcn")
    assert bundle is not None
    model = load(bundle)
    assert model.origin is not None
    grid = GaitPreprocessing.from_card(model.origin.card.preprocessing)
    sets = {
        "made walks of 16 s": made_walks(grid),
        "the demo's four styles in turn": demo_walks(grid),
    }
    for file in files:
        for pattern in patterns or ["*"]:
            sets[f"{file.name}, {pattern}"] = recorded_walks(file, pattern, grid)
    print(
        "| walks | step | hops | same label | mean difference | largest | recall: steps | window |"
    )
    print("|" + "---|" * 8)
    for name, recordings in sets.items():
        for frames, delayed in FORMS:
            row = compared(model, grid, recordings, frames, delayed=delayed)
            print(f"| {name} | {frames}{', delayed' if delayed else ''} | {row} |", flush=True)


def compared(
    model: Model,
    grid: GaitPreprocessing,
    recordings: Sequence[Recording],
    frames: int,
    *,
    delayed: bool,
) -> str:
    """One row: both forms at every hop but the first, which is the same in both."""
    from jack_stream.models.bpm_gcn_steps import GaitSteps  # noqa: PLC0415 - imports Jittor

    steps, found, labels = GaitSteps(model.module, delayed=delayed), [], []
    for joints, known in recordings:
        state = None
        for end in range(grid.frames, len(joints) + 1, frames):
            inputs = grid.inputs(joints[end - grid.frames : end])
            new = grid.frames if state is None else frames
            taken, state = steps.step(state, **{n: v[:, :, -new:] for n, v in inputs.items()})
            if end > grid.frames:
                found.append((taken["logits"][0], model.infer(inputs)["logits"][0]))
                within = set(known[end - grid.frames : end])
                labels.append(within.pop() if len(within) == 1 else None)
    assert model.origin is not None
    logits = np.array(found, np.float64) / model.origin.card.decision.temperature
    mine, theirs = softmax(logits[:, 0]), softmax(logits[:, 1])
    apart = np.abs(mine - theirs)
    same = (mine.argmax(1) == theirs.argmax(1)).mean()
    recalls = " | ".join(_recall(one.argmax(1), labels) for one in (mine, theirs))
    return f"{len(found)} | {same:.1%} | {apart.mean():.3f} | {apart.max():.2f} | {recalls}"


def _recall(predicted: Array, labels: Sequence[str | None]) -> str:
    """Average recall over the classes that occur, by hop."""
    truth = np.array([-1 if label is None else EMOTION_GAIT.index(label) for label in labels])
    each = [(predicted[truth == c] == c).mean() for c in np.unique(truth[truth >= 0])]
    return f"{np.mean(each):.2f} of {len(each)}" if each else "no labels"


def on_grid(joints: Array, rate_hz: float, grid: GaitPreprocessing) -> Array:
    """A whole recording ``[T, 16, 3]`` on the network's time grid."""
    joints = joints - joints[:, [joint_index("root")]]
    times = np.round(np.arange(len(joints)) / rate_hz * NS_PER_S).astype(np.int64)
    whole = int((len(joints) - 1) / rate_hz * grid.frame_rate_hz) + 1
    seen = np.isfinite(joints).all(-1).astype(np.float64)
    long = GaitPreprocessing(
        frames=whole,
        frame_rate_hz=grid.frame_rate_hz,
        max_gap_s=grid.max_gap_s,
        min_visibility=grid.min_visibility,
    )
    return long.resample(times, joints, seen, 0).joints


def made_walks(grid: GaitPreprocessing) -> list[Recording]:
    """Walks of 16 s that nobody learned from."""
    found = []
    for i in range(24):
        label = EMOTION_GAIT[i % len(EMOTION_GAIT)]
        walk = make_walk(label, np.random.default_rng([999, i]), Variation(), seconds=16.0)
        joints = on_grid(walk.astype(np.float64), FRAME_RATE_HZ, grid)
        found.append(Recording(joints, [label] * len(joints)))
    return found


def demo_walks(grid: GaitPreprocessing) -> list[Recording]:
    """Twelve seconds of each style, for some persons, each walking on into the next style."""
    found = []
    seconds = np.arange(12 * 25) / 25
    for seed in range(6):
        rng, parts, labels, phase = np.random.default_rng(seed), [], [], 0.0
        for label in EMOTION_GAIT:
            style = STYLES[label].varied(rng, 0.1)
            phases = phase + 2 * np.pi * style.cadence * seconds
            phase = float(phases[-1])
            world = world_landmarks(landmarks(style, phases), 0.6)
            parts.append(from_mediapipe(world, np.ones(world.shape[:2]))[0])
            labels += [label] * round(12 * grid.frame_rate_hz)
        joints = on_grid(np.concatenate(parts), 25.0, grid)
        found.append(Recording(joints, labels[: len(joints)]))
    return found


def recorded_walks(file: Path, pattern: str, grid: GaitPreprocessing) -> list[Recording]:
    """A file's walks with names of a pattern."""
    walks = [walk for walk in read_walks(file) if fnmatchcase(walk.name, pattern)]
    found = [(on_grid(walk.joints, walk.frame_rate_hz, grid), walk.label) for walk in walks]
    return [Recording(joints, [label] * len(joints)) for joints, label in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("cost", "accuracy"))
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--walks", type=Path, action="append", default=[], help="file of walks")
    parser.add_argument("--only", action="append", default=[], help="names of recordings")
    arguments = parser.parse_args()
    runtime.prepare(threads=1)
    if arguments.what == "cost":
        cost(arguments.repeats)
    else:
        accuracy(arguments.walks, arguments.only)


if __name__ == "__main__":
    main()
