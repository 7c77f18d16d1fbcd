"""Which clips are learned from, which choose the weights, and which are only reported on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from jack_stream.errors import UsageError
from trainers.audio_visual.recipe import ClipRecipe
from trainers.data.clip import hold_out
from trainers.data.clips import Clip, ClipSet, read_clips
from trainers.losses.pcce import polarity

__all__ = ["Division", "divide", "known_polarity", "labelled_clips"]


@dataclass(frozen=True)
class Division:
    """The clips of a run.

    Attributes:
        name: of the data set, from its place.
        labels: the classes, in lower case.
        polarities: 1 for the positive ones, float32 [C]; None where that is not known.
        training: what the weights come from.
        validation: chooses the best epoch; temperature and threshold come from it as well.
        test: clips by what is reported of them; never looked at before the end.
        said: how they were divided, in words.
        digest: SHA-256 of the data set.
    """

    name: str
    labels: tuple[str, ...]
    polarities: npt.NDArray[np.float32] | None
    training: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: dict[str, tuple[Clip, ...]]
    said: str
    digest: str


def divide(recipe: ClipRecipe, found: ClipSet) -> Division:
    """Divide a data set so that nothing is chosen by what is reported.

    The published sets have a part called validation that the papers report on, and by which the
    released code chooses the epoch as well. Here it is the test, and a share of the training part
    is held out to choose by. A set with a test part of its own keeps all three.

    Raises:
        UsageError: labels differ in nothing but capitals, or their polarity is needed but unknown.
        SourceError: the other set to test on can't be read.
    """
    labels = tuple(label.lower() for label in found.labels)
    if len(set(labels)) < len(labels):
        raise UsageError(f"two of the labels are the same: {', '.join(found.labels)}")
    said = [found.split]
    training, validation, test = found.training, found.validation, found.test
    if not test:
        test = validation
        inner = hold_out(training, recipe.schedule.seed, recipe.data.validation_share)
        training, validation = inner.training, inner.validation
        said.append(
            f"its validation part is tested on; of its training part {len(validation)} clips are "
            "held out to choose the epoch by"
        )
    if not training or not validation:
        raise UsageError(f"{recipe.data.path}: too few clips to hold some out for validation")
    name = recipe.data.path.expanduser().resolve().stem if recipe.data.path else "data"
    tests = {f"{name}, its part for tests": test}
    if recipe.data.test is not None:
        tests[recipe.data.test.name] = labelled_clips(
            recipe.data.test, labels, "all", skip_corrupt=recipe.data.skip_corrupt
        )
    polarities = _polarities(recipe, labels)
    return Division(
        name, labels, polarities, training, validation, tests, "; ".join(said), found.digest()
    )


def labelled_clips(
    path: Path, labels: Sequence[str], split: str | None, *, skip_corrupt: bool = False
) -> tuple[Clip, ...]:
    """Clips of a data set under the numbers of given classes.

    Args:
        path: the data set.
        labels: the classes; a clip's ``label`` becomes a position in them.
        split: ``training``, ``validation``, ``test`` or ``all``; None takes the part for tests,
            which is the validation part of a set that has no other.
        skip_corrupt: leave out what can't be read.

    Raises:
        UsageError: the set has another class, or no such part.
        SourceError: it can't be read.
    """
    found = read_clips(path.expanduser(), skip_corrupt=skip_corrupt)
    known = {label.lower(): i for i, label in enumerate(labels)}
    if strange := [label for label in found.labels if label.lower() not in known]:
        raise UsageError(
            f"{path}: {strange[0]!r} is no class of the model", hint=f"It has {', '.join(labels)}."
        )
    places = [known[label.lower()] for label in found.labels]
    return tuple(replace(c, label=places[c.label]) for c in _part(path, found, split))


def known_polarity(labels: Sequence[str]) -> npt.NDArray[np.float32] | None:
    """1 for the positive ones of Plutchik's emotions, float32 [C]; None for other labels."""
    try:
        return polarity([label.lower() for label in labels])
    except UsageError:
        return None


def _polarities(recipe: ClipRecipe, labels: Sequence[str]) -> npt.NDArray[np.float32] | None:
    positive = recipe.loss.positive
    if strange := set(positive) - set(labels):
        raise UsageError(
            f"loss.positive: {min(strange)!r} is no label", hint=f"There are {', '.join(labels)}."
        )
    if positive:
        return np.array([label in positive for label in labels], np.float32)
    known = known_polarity(labels)
    if known is None and recipe.loss.penalty:
        raise UsageError(
            f"which of {', '.join(labels)} are positive is not known",
            hint='Say so (--set loss.positive=["..."]), or train without that (loss.penalty=0).',
        )
    return known


def _part(path: Path, found: ClipSet, split: str | None) -> Sequence[Clip]:
    if split is None:
        return found.test or found.validation
    parts = found.subsets()
    if split == "all":
        return [clip for clips in parts.values() for clip in clips]
    if split not in parts:
        raise UsageError(
            f"--split {split}: {path} has no such part",
            hint=f"It has {', '.join(parts)}; all takes everything.",
        )
    return parts[split]
