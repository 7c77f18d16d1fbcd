"""A network of pictures and sound in two halves: a backbone that may be frozen, and the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from jack_stream.errors import UsageError
from jack_stream.features import fbank, mfcc
from jack_stream.models.audio_stream import into_pieces
from jack_stream.models.mart import MART
from jack_stream.models.registry import Model
from jack_stream.runtime import jittor
from trainers.audio_visual.samples import Inputs, Sampling

__all__ = [
    "BACKBONE",
    "DEFAULT_SNIPPETS",
    "backbone_digest",
    "encoded",
    "encoded_inputs",
    "forward",
    "head",
    "heard",
    "in_backbone",
    "sampling_of",
    "together",
]

jt = jittor()
Var = Any

BACKBONE = "resnet."
"""What the names of the visual backbone's weights begin with."""

_SOUNDS: Mapping[str, tuple[Literal["mfcc", "fbank"], int]] = {
    "vaanet": ("mfcc", mfcc.PIECE_FRAMES),
    "cten": ("fbank", fbank.SEGMENT_FRAMES),
    "mart": ("fbank", fbank.SEGMENT_FRAMES),
}
"""Method -> how it hears, and frames of a piece of sound."""

_ENCODER, _CLASSIFIERS = "vit.", ("vit.a_fc.", "vit.v_fc.")
"""MART's encoder of both streams is its backbone; its classifiers are called as if part of it."""

DEFAULT_SNIPPETS = 16
"""Of a clip that MART judges, as its authors validate."""

_AT_ONCE = 8
"""Snippets that a frozen backbone sees at once, which bounds the memory it takes."""


def encoded(module: Any, visual: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """What a frozen backbone makes of snippets: uint8 [..., 3, 16, 112, 112] -> float32 [..., F].

    Features that were made before, which are float32, come back as they are.
    """
    if visual.dtype == np.float32:
        return visual
    lead, snippets = visual.shape[:-4], visual.reshape(-1, *visual.shape[-4:])
    parts = [
        module.backbone(jt.array(snippets[at : at + _AT_ONCE].astype(np.float32))).numpy()
        for at in range(0, len(snippets), _AT_ONCE)
    ]
    features = np.concatenate(parts)
    return features.reshape(*lead, *features.shape[1:])


def together(samples: Sequence[Inputs]) -> Inputs:
    """A batch: both arrays with a leading axis B."""
    return Inputs(np.stack([s.visual for s in samples]), np.stack([s.audio for s in samples]))


def heard(module: Any, sampling: Sampling, audio: npt.NDArray[np.float32]) -> Var:
    """The features of a batch's sound: float32 [B, P * frames, bands] -> [B, P, features]."""
    pieces = into_pieces(jt.array(audio), sampling.pieces)
    return module.encode_audio(pieces)["piece"].reshape(len(audio), sampling.pieces, -1)


def head(module: Any, visual: npt.NDArray[Any], piece: Var) -> dict[str, Var]:
    """All that comes after what can be kept.

    Args:
        module: VAANet or CTEN.
        visual: a batch's pixels [B, S, 3, 16, 112, 112] or backbone features [B, S, ...].
        piece: from `heard`.

    Returns:
        What ``module.execute`` does.
    """
    batch, snippets = visual.shape[:2]
    if module.freeze_backbone:
        maps = jt.array(encoded(module, visual))
    else:
        maps = module.backbone(jt.array(visual.astype(np.float32)).reshape(-1, *visual.shape[2:]))
        maps = maps.reshape(batch, snippets, *maps.shape[1:])
    seen = module.attend(maps.reshape(batch * snippets, *maps.shape[2:]))
    rows = {name: value.reshape(batch, snippets, value.shape[-1]) for name, value in seen.items()}
    outputs: dict[str, Var] = module.head(**rows, piece=piece)
    return outputs


def encoded_inputs(module: Any, inputs: Inputs) -> Inputs:
    """Inputs, of one clip or of a batch, with a frozen backbone's features in place of pixels.

    MART's backbone sees and hears at once: its features are float32 [..., S, width] for both.
    """
    if not isinstance(module, MART):
        return Inputs(encoded(module, inputs.visual), inputs.audio)
    if inputs.visual.dtype == np.float32:
        return inputs
    lead, snippets = inputs.visual.shape[:-4], inputs.visual.reshape(-1, 3, 16, 112, 112)
    sounds = inputs.audio.reshape(len(snippets), fbank.SEGMENT_FRAMES, -1)
    parts = []
    with jt.no_grad():
        for at in range(0, len(snippets), _AT_ONCE):
            some = slice(at, at + _AT_ONCE)
            seen = jt.array(snippets[some].astype(np.float32))
            parts.append(jt.fetch_sync(list(module.encode_snippets(seen, jt.array(sounds[some])))))
    visual, audio = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Inputs(visual.reshape(*lead, -1), audio.reshape(*lead, -1))


def forward(module: Any, sampling: Sampling, inputs: Inputs) -> dict[str, Var]:
    """What ``module.execute`` returns for a batch of pixels or of backbone features."""
    if isinstance(module, MART):
        if getattr(module, "freeze_backbone", False):
            features = encoded_inputs(module, inputs)
            return module.head(jt.array(features.visual), jt.array(features.audio))
        outputs: dict[str, Var] = module(
            jt.array(inputs.visual.astype(np.float32)), jt.array(inputs.audio)
        )
        return outputs
    return head(module, inputs.visual, heard(module, sampling, inputs.audio))


def sampling_of(model: Model, snippets: int | None = None, **more: Any) -> Sampling:
    """What a network takes.

    Args:
        model: of a method that is trained here.
        snippets: of a clip, where the architecture leaves that open (MART).
        more: further settings of `Sampling`.

    Raises:
        UsageError: it is of another method.
    """
    if model.method not in _SOUNDS:
        raise UsageError(f"{model.method} is not trained on clips of pictures and sound")
    sound, frames = _SOUNDS[model.method]
    if model.method == "mart":
        count = snippets or DEFAULT_SNIPPETS
        return Sampling(count, sound, count, **more)
    snippets, samples = int(model.input_spec["visual"][1]), int(model.input_spec["audio"][1])
    return Sampling(snippets, sound, samples // frames, **more)


def in_backbone(name: str) -> bool:
    """Whether a weight belongs to what ``freeze_backbone`` freezes."""
    return name.startswith((BACKBONE, _ENCODER)) and not name.startswith(_CLASSIFIERS)


def backbone_digest(model: Model) -> str:
    """SHA-256 of the backbone's weights: what features that are kept depend on."""
    sha = hashlib.sha256()
    for name, value in sorted(model.weights().items()):
        if in_backbone(name):
            sha.update(name.encode())
            sha.update(np.ascontiguousarray(value).data)
    return sha.hexdigest()
