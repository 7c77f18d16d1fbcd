"""What a network begins with: weights of its own kind, of backbones, and chance for the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
from pydantic import TypeAdapter

from jack_stream.errors import BundleError, SourceError, UsageError
from jack_stream.models.registry import Model
from jack_stream.weights import TrainingData, read_bundle
from jack_stream.weights.bundle import SINGLE_FILE_SUFFIX
from jack_stream.weights.checkpoint import read_checkpoint
from jack_stream.weights.importing import fit
from trainers.audio_visual.network import BACKBONE, in_backbone
from trainers.loop import LAST

__all__ = ["Beginning", "begin", "begin_or_remember", "is_bundle"]

Array = npt.NDArray[Any]

_BACKBONES = (BACKBONE, "a_resnet.")
_KEPT = "beginning.json"


@dataclass(frozen=True)
class Beginning:
    """Where a network's first weights came from.

    Attributes:
        said: sentences for the report and the screen.
        training_data: what those weights were trained with, whose licences go on to the bundle.
    """

    said: tuple[str, ...]
    training_data: tuple[TrainingData, ...]

    def write(self, path: Path) -> None:
        """Keep it for a run that goes on later."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_JSON.dump_json(self))

    @classmethod
    def read(cls, path: Path) -> Beginning:
        """What `write` kept.

        Raises:
            SourceError: it can't be read.
        """
        try:
            return _JSON.validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise SourceError(f"{path}: can't be read: {error}") from error


_JSON = TypeAdapter(Beginning)


def begin(model: Model, init: Path | None, backbones: Sequence[Path], *, frozen: bool) -> Beginning:
    """Give a network the weights of files as far as they fit.

    Args:
        model: changed in place.
        init: a bundle of the same or a related network; everything that fits is taken, so that
            other classes or another number of snippets cost only the layers they concern.
        backbones: bundles or checkpoints (3D ResNet-101 of Kinetics, ResNet-18 of ImageNet, or a
            network that contains them) of which the backbones' weights alone are taken.
        frozen: the visual backbone will stay as it is, so it must come from somewhere.

    Raises:
        BundleError: a file can't be read, or nothing in it fits.
        UsageError: a backbone is to be frozen that nothing was loaded into.
    """
    expected = model.weights()
    taken: dict[str, Array] = {}
    said: list[str] = []
    licences: list[TrainingData] = []
    sources = [(init, ("",))] if init else []
    for path, wanted in [*sources, *((path, _BACKBONES) for path in backbones)]:
        found, data = _read(path)
        kind, fitted = fit(model.method, found, expected)
        fits = {
            name: value
            for name, value in fitted.matched.items()
            if value.shape == expected[name].shape and name.startswith(wanted)
        }
        if not fits:
            raise BundleError(
                f"{path}: read as {kind}, none of its {len(found)} tensors fits {model.method}",
                hint=f"Its architecture is {model.architecture}.",
            )
        said.append(f"{len(fits)} of {len(expected)} tensors come from {path} (read as {kind})")
        if unused := [*fitted.unexpected, *fitted.left_out, *fitted.misshaped]:
            said.append(f"not used of {path.name}: {_grouped(unused)}")
        taken |= fits
        licences += data
    chance = sorted(expected.keys() - taken.keys())
    if frozen and any(in_backbone(name) for name in chance):
        raise UsageError(
            "the backbone is to be frozen, but no trained weights were given for it",
            hint="Name some with --init, or of 3D ResNet-101 (Kinetics, as in the papers) with "
            "--init-backbone, or train it: --set model.freeze_backbone=false.",
        )
    if chance:
        said.append(f"{len(chance)} tensors begin at random: {_grouped(chance)}")
    model.set_weights({**expected, **taken})
    return Beginning(tuple(said), tuple(dict.fromkeys(licences)))


def begin_or_remember(
    model: Model,
    init: Path | None,
    run: Path,
    *,
    resume: bool,
    backbones: Sequence[Path] = (),
    frozen: bool = False,
) -> Beginning:
    """As `begin`; a run that goes on knows it still.

    Args:
        model: changed in place, unless the run goes on.
        init: see `begin`.
        run: the run's folder, where it is kept.
        resume: whether the run goes on if it was begun.
        backbones: see `begin`.
        frozen: see `begin`.
    """
    kept = run / _KEPT
    # A run that was ended before its first checkpoint has nothing to go on from.
    if resume and kept.exists() and (run / LAST).exists():
        return Beginning.read(kept)
    beginning = begin(model, init, backbones, frozen=frozen)
    beginning.write(kept)
    return beginning


def is_bundle(path: Path) -> bool:
    """Whether a file or folder of weights is a bundle, whose card says what it learned from."""
    path = path.expanduser()
    return path.is_dir() or path.suffix == SINGLE_FILE_SUFFIX


def _read(path: Path) -> tuple[Mapping[str, Array], list[TrainingData]]:
    """The tensors of a bundle or of a checkpoint, and what is known of their data."""
    path = path.expanduser()
    if is_bundle(path):
        bundle = read_bundle(path)
        return bundle.tensors, list(bundle.card.training_data)
    unknown = TrainingData(name=f"what {path.name} was trained with", licence="not stated")
    return read_checkpoint(path).tensors, [unknown]


def _grouped(names: Sequence[str]) -> str:
    """Names by their first part, with their number: ``resnet (519), av_fc (2)``."""
    parts = (name.removeprefix("module.").split(":")[0].split(".")[0] for name in names)
    counts = Counter(parts)
    return ", ".join(f"{name} ({count})" for name, count in counts.items())
