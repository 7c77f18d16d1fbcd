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
from jack_stream.models.registry import Model
from jack_stream.runtime import jittor
from trainers.audio_visual.samples import Inputs, Sampling

__all__ = [
    "BACKBONE",
    "backbone_digest",
    "encoded",
    "forward",
    "head",
    "heard",
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
}
"""Method -> how it hears, and frames of a piece of sound."""

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


def forward(module: Any, sampling: Sampling, inputs: Inputs) -> dict[str, Var]:
    """What ``module.execute`` returns for a batch of pixels or of backbone features."""
    return head(module, inputs.visual, heard(module, sampling, inputs.audio))


def sampling_of(model: Model, **more: Any) -> Sampling:
    """What a network takes; ``more`` are further settings of `Sampling`.

    Raises:
        UsageError: it is of another method.
    """
    if model.method not in _SOUNDS:
        raise UsageError(f"{model.method} is not trained on clips of pictures and sound")
    sound, frames = _SOUNDS[model.method]
    snippets, samples = int(model.input_spec["visual"][1]), int(model.input_spec["audio"][1])
    return Sampling(snippets, sound, samples // frames, **more)


def backbone_digest(model: Model) -> str:
    """SHA-256 of the visual backbone's weights: what features that are kept depend on."""
    sha = hashlib.sha256()
    for name, value in sorted(model.weights().items()):
        if name.startswith(BACKBONE):
            sha.update(name.encode())
            sha.update(np.ascontiguousarray(value).data)
    return sha.hexdigest()
