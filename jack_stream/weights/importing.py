"""From foreign checkpoints to a bundle: names, shapes, and a card that says what is not known."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from jack_stream.errors import BundleError, UsageError
from jack_stream.weights.card import Card, Provenance, TrainingData
from jack_stream.weights.checkpoint import read_checkpoint
from jack_stream.weights.names import adapted, architecture_of, fitting_map, is_ignored

__all__ = ["Fit", "Imported", "card_of", "fit", "import_checkpoints"]

Array = NDArray[Any]
_LISTED = 20


@dataclass(frozen=True)
class Fit:
    """How a checkpoint's entries meet a model's.

    Attributes:
        matched: name -> array, in the model's names.
        missing: names that the model has and the checkpoint has not.
        unexpected: names that the checkpoint has and the model has not.
        misshaped: "name: shape, expected shape" of entries with another shape or type.
        left_out: entries that the kind of checkpoint is known to have in vain.
    """

    matched: Mapping[str, Array]
    missing: Sequence[str]
    unexpected: Sequence[str]
    misshaped: Sequence[str]
    left_out: Sequence[str]


@dataclass(frozen=True)
class Imported:
    """The outcome of an import, ready for a card.

    Attributes:
        architecture: arguments of the model.
        tensors: a value for every weight of the model.
        kinds: what each checkpoint was taken for, one sentence each.
        initial: names that no checkpoint had; they keep an initial value of chance.
        unused: names of the checkpoints that were not used.
    """

    architecture: Mapping[str, Any]
    tensors: Mapping[str, Array]
    kinds: Sequence[str]
    initial: Sequence[str]
    unused: Sequence[str]


def fit(method: str, found: Mapping[str, Array], expected: Mapping[str, Array]) -> tuple[str, Fit]:
    """Compare a checkpoint with a model.

    Args:
        method: the model's method.
        found: the checkpoint's tensors.
        expected: the model's weights.

    Returns:
        What kind of checkpoint it was taken for, and the comparison.
    """
    shapes = {name: value.shape for name, value in expected.items()}
    names = fitting_map(method, found, shapes)
    matched: dict[str, Array] = {}
    unexpected, misshaped, left_out = [], [], []
    for name, value in found.items():
        target = names.target(name)
        if target is None or is_ignored(target):
            left_out.append(name)
        elif target not in shapes:
            unexpected.append(name)
        else:
            ready = adapted(target, value, shapes[target])
            if ready.shape != shapes[target] or ready.dtype.kind != "f":
                wanted = f"float32 {list(shapes[target])}"
                misshaped.append(f"{name}: {value.dtype} {list(value.shape)}, expected {wanted}")
            matched[target] = ready
    missing = sorted(shapes.keys() - matched.keys())
    return names.title, Fit(matched, missing, unexpected, misshaped, left_out)


def import_checkpoints(
    method: str,
    paths: Sequence[Path],
    *,
    architecture: Mapping[str, Any] | None = None,
    entry: str | None = None,
    allow_missing: Collection[str] = (),
    allow_unexpected: Collection[str] = (),
) -> Imported:
    """Read checkpoints for a model; every one of its weights must be in exactly one of them.

    Args:
        method: the model's method.
        paths: one checkpoint, or several parts of one model (a backbone each).
        architecture: arguments of the model; class and segment counts that are not given are
            taken from the checkpoints.
        entry: the key of the state dict inside the checkpoints.
        allow_missing: patterns of weights that may keep an initial value.
        allow_unexpected: patterns of entries that may be left out.

    Raises:
        BundleError: entries are missing, unexpected, mis-shaped or twice there; all are listed.
    """
    from jack_stream.models import create, untrained  # noqa: PLC0415 - readers need no Jittor

    checkpoints = [(path, read_checkpoint(path, entry).tensors) for path in paths]
    known: dict[str, Any] = {}
    for _, tensors in checkpoints:
        known |= architecture_of(method, tensors)
    known |= architecture or {}
    expected = create(method, **known).weights()
    matched: dict[str, Array] = {}
    kinds, unused, faults = [], [], []
    for path, tensors in checkpoints:
        title, found = fit(method, tensors, expected)
        kinds.append(f"{path.name} was read as a checkpoint of {title}.")
        twice = sorted(found.matched.keys() & matched.keys())
        faults += _listed(f"{path}: in an earlier checkpoint as well", twice)
        faults += _listed(f"{path}: unexpected", _unmatched(found.unexpected, allow_unexpected))
        faults += _listed(f"{path}: mis-shaped", found.misshaped)
        matched |= found.matched
        unused += [*found.unexpected, *found.left_out]
    initial = sorted(expected.keys() - matched.keys())
    faults += _listed("missing", _unmatched(initial, allow_missing))
    if faults:
        raise BundleError(
            f"the checkpoint does not fit {method}:\n  " + "\n  ".join(faults),
            hint="Allow entries with --allow-missing PATTERN or --allow-unexpected PATTERN (* is "
            "anything), or give other architecture arguments with --set NAME=VALUE.",
        )
    if initial:
        chance = untrained(method, **known).weights()
        matched |= {name: chance[name] for name in initial}
    return Imported(known, matched, kinds, initial, unused)


def _unmatched(names: Iterable[str], patterns: Collection[str]) -> list[str]:
    return [name for name in names if not any(fnmatchcase(name, p) for p in patterns)]


def _listed(what: str, entries: Sequence[str]) -> list[str]:
    if not entries:
        return []
    more = f"\n    and {len(entries) - _LISTED} more" if len(entries) > _LISTED else ""
    return [f"{what} ({len(entries)}):\n    " + "\n    ".join(entries[:_LISTED]) + more]


def card_of(
    method: str,
    imported: Imported,
    *,
    labels: Sequence[str] | None,
    training_data: Sequence[TrainingData],
    caveats: Sequence[str],
    preprocessing: Mapping[str, Any],
    provenance: Provenance,
) -> Card:
    """The card of an imported bundle, which claims nothing that was not said.

    Args:
        method: the model's method.
        imported: what was imported.
        labels: class names; None leaves them to the method's own.
        training_data: what is known of it; if nothing is, the card says so.
        caveats: a user's own.
        preprocessing: the card's table.
        provenance: who imported it, how.

    Raises:
        UsageError: there are more or fewer labels than classes.
    """
    classes = imported.architecture.get("n_classes", imported.architecture.get("num_classes"))
    if labels and classes not in (None, len(labels)):
        raise UsageError(
            f"{len(labels)} labels were given, but the checkpoint has {classes} classes"
        )
    stated = list(imported.kinds)
    if not training_data:
        stated.append("What the checkpoint was trained with was not stated when it was imported.")
        training_data = [TrainingData(name="not stated", licence="unknown")]
    if imported.initial:
        stated.append(f"{len(imported.initial)} weights were in no checkpoint and are random.")
    return Card(
        method=method,
        architecture=imported.architecture,
        labels=list(labels or []),
        preprocessing=preprocessing,
        trained=not imported.initial,
        training_data=list(training_data),
        caveats=[*stated, *caveats],
        provenance=provenance,
    )
