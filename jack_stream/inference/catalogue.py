"""From the configuration's analyzers to analyzers with loaded models."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path

from jack_stream.config import AnalyzerSettings
from jack_stream.errors import BundleError, ConfigError
from jack_stream.features.gait_window import GaitPreprocessing
from jack_stream.inference.analyzer import Analyzer
from jack_stream.inference.audio_visual import AudioVisualAnalyzer
from jack_stream.inference.gait import GaitAnalyzer
from jack_stream.inference.gait_steps import GaitStepsAnalyzer, hop_frames
from jack_stream.inference.localisation import LocalisationAnalyzer
from jack_stream.inference.mart import MartAnalyzer
from jack_stream.inference.sound import FbankPieces, MfccPieces
from jack_stream.inference.voice import VoiceAnalyzer
from jack_stream.models.registry import Model, load, untrained
from jack_stream.weights.bundle import read_card

__all__ = [
    "ANALYZERS",
    "STEPS",
    "bundle_path",
    "check_methods",
    "check_name",
    "make_analyzer",
    "shipped_bundle",
]

_UNTRAINED_SEED = 0

ANALYZERS: dict[str, Callable[[Model, AnalyzerSettings], Analyzer]] = {
    "bpm-gcn": GaitAnalyzer,
    "vaanet": lambda model, settings: AudioVisualAnalyzer(
        model, settings, MfccPieces(int(model.module.audio_n_segments))
    ),
    "cten": lambda model, settings: AudioVisualAnalyzer(
        model, settings, FbankPieces(int(model.input_spec["visual"][1]))
    ),
    "vaanet-audio": VoiceAnalyzer,
    "tsl-net": lambda model, settings: LocalisationAnalyzer(model, settings, _i3d_for(model)),
    "mart": MartAnalyzer,
}
"""Method -> how it looks at a stream."""

STEPS: dict[str, Callable[[Model, AnalyzerSettings], Analyzer]] = {"bpm-gcn": GaitStepsAnalyzer}
"""Method -> how it looks at a stream in steps."""


def check_name(method: str) -> None:
    """Check that there is such a method for streams.

    Raises:
        ConfigError: there is none.
    """
    if method not in ANALYZERS:
        close = difflib.get_close_matches(method, ANALYZERS, n=1)
        raise ConfigError(
            f"analyzers: method = {method!r} can't look at a stream",
            hint=(f"did you mean {close[0]!r}? " if close else "")
            + f"there are {', '.join(ANALYZERS)}",
        )


def check_methods(settings: Iterable[AnalyzerSettings]) -> None:
    """Check that every analyzer's method can run on a stream, before anything is loaded.

    Raises:
        ConfigError: one can't.
        BundleError: the weights that a step form's hop depends on can't be read.
    """
    for one in settings:
        check_name(one.method)
        if one.form == "steps" and one.method not in STEPS:
            raise ConfigError(
                f'analyzers: form = "steps", but {one.method} has no step form',
                hint=f"Leave form out; only {', '.join(STEPS)} has one.",
            )
        if one.form == "steps":
            path = bundle_path(one.method, one.bundle)
            card = {} if path is None else read_card(path).preprocessing
            hop_frames(one.hop_s, GaitPreprocessing.from_card(card))


def make_analyzer(settings: AnalyzerSettings) -> Analyzer:
    """An analyzer with its model; models are shared between analyzers with the same weights.

    Raises:
        ConfigError: the method can't look at a stream, or its settings do not fit it.
        BundleError: the weights are missing, damaged, or another method's.
    """
    check_methods([settings])
    model = _model(settings.method, settings.bundle)
    forms = STEPS if settings.form == "steps" else ANALYZERS
    return forms[settings.method](model, settings)


def shipped_bundle(method: str) -> Path | None:
    """The bundle of a method that comes with the package, None where there is none."""
    path = Path(str(files("jack_stream.weights"))) / "shipped" / method
    return path if path.is_dir() else None


def bundle_path(method: str, bundle: str) -> Path | None:
    """Where the weights lie that a configuration calls ``bundle``; None for weights of chance.

    Raises:
        BundleError: ``default`` is meant, and none comes with the package.
    """
    if bundle == "untrained":
        return None
    path = shipped_bundle(method) if bundle == "default" else Path(bundle)
    if path is None:
        raise BundleError(
            f"no trained weights of {method} come with this release",
            hint='Train some (jack-train --help), or say bundle = "untrained" to try the pipeline.',
        )
    return path


@cache
def _model(method: str, bundle: str) -> Model:
    path = bundle_path(method, bundle)
    if path is None:
        return untrained(method, _UNTRAINED_SEED)
    model = load(path)
    if model.method != method:
        raise BundleError(
            f"{path}: is a bundle of {model.method}, but the configuration wants {method}"
        )
    return model


def _i3d_for(model: Model) -> Model:
    """The network that a TSL-Net's visual features come from, named by its card.

    Raises:
        BundleError: the card names none, or none that is trained, although TSL-Net is trained.
    """
    if model.origin is None:
        return _model("i3d", "untrained")
    card, path = model.origin.card, model.origin.path
    named = card.preprocessing.get("i3d")
    if named is None and not card.trained:
        return _model("i3d", "untrained")
    if not isinstance(named, str):
        raise BundleError(
            f"{path}: preprocessing.i3d is missing: the bundle of the I3D network that the visual"
            " features come from",
            hint="Import it with `jack-stream weights import --method i3d`, and write its path into"
            " the card, from the card's folder.",
        )
    folder = path if path.is_dir() else path.parent
    network = _model("i3d", str(folder / named))
    if card.trained and not network.trained:
        raise BundleError(f"{folder / named}: is untrained, but {path} was trained on I3D features")
    return network
