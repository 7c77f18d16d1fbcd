"""How well a gait bundle, or the teacher, reads walks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from jack_stream.errors import UsageError
from jack_stream.features.gait_window import GaitPreprocessing
from jack_stream.models.labels import EMOTION_GAIT
from jack_stream.models.registry import Model
from trainers.bpm_gcn.examples import Examples, distilled, labelled, matching
from trainers.bpm_gcn.task import logits_of
from trainers.bpm_gcn.teacher import Teacher
from trainers.data.walks import read_walks
from trainers.evaluation import ClipResults
from trainers.metrics.classification import per_clip, softmax

__all__ = [
    "TEST_HOP_S",
    "Judge",
    "evaluate",
    "evaluate_teacher",
    "judge_of",
    "measure",
    "test_examples",
]

TEST_HOP_S = 0.5
Judge = Callable[[Examples], npt.NDArray[np.float64]]
"""From examples to probabilities ``[N, 4]`` of their windows."""


def measure(
    model: Model, paths: Sequence[Path], names: Sequence[str], split: str | None
) -> ClipResults:
    """What ``jack-train test`` says of a gait bundle.

    Args:
        model: with its card.
        paths: files of labelled walks.
        names: patterns of recordings' names.
        split: must be None: walks are in no published parts.

    Raises:
        UsageError: no walk fits, or a part is asked for.
    """
    if split is not None:
        raise UsageError(f"--split {split}: files of walks have no parts", hint="Use --only.")
    card = model.origin.card if model.origin else None
    if card is None:
        raise UsageError("the gait network has no card, so its preprocessing is not known")
    grid = GaitPreprocessing.from_card(card.preprocessing)
    examples = Examples.joined([test_examples(path, names, grid) for path in paths])
    return evaluate(examples, judge_of(model, grid, card.decision.temperature))


def judge_of(model: Model, grid: GaitPreprocessing, temperature: float) -> Judge:
    """A network's calibrated probabilities of examples' windows."""
    return lambda examples: softmax(logits_of(model, grid, examples.windows) / temperature)


def evaluate(examples: Examples, judge: Judge) -> ClipResults:
    """Judge labelled examples and sum up by recording.

    Raises:
        UsageError: there are no labelled recordings.
    """
    if not len(examples):
        raise UsageError("there is no labelled walk to test on")
    clips, probabilities = per_clip(judge(examples), examples.clips)
    _, first, windows = np.unique(examples.clips, return_index=True, return_counts=True)
    return ClipResults(EMOTION_GAIT, clips, examples.classes[first], probabilities, windows)


def test_examples(path: Path, names: Sequence[str], grid: GaitPreprocessing) -> Examples:
    """A file's labelled walks whose name fits, in overlapping windows.

    Raises:
        UsageError: there is none.
    """
    examples = labelled(matching(read_walks(path.expanduser()), names), grid, TEST_HOP_S)
    if not len(examples):
        raise UsageError(f"{path}: has no labelled walk named {' or '.join(names)}")
    return examples


def evaluate_teacher(teacher: Teacher, paths: Sequence[Path], names: Sequence[str]) -> ClipResults:
    """What the teacher alone makes of the labelled walks whose name fits."""
    walks = matching([walk for path in paths for walk in read_walks(path)], names)
    grid = GaitPreprocessing()
    judged = distilled([w for w in walks if w.label is not None], teacher, grid, TEST_HOP_S)
    examples = labelled(walks, grid, TEST_HOP_S)
    return evaluate(examples, lambda _: judged.targets.astype(np.float64))
