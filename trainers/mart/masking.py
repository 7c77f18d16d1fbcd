"""What MART hides: visual tokens by the attention that they get, and bands and times of sound."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from jack_stream.features.fbank import normalise
from jack_stream.features.mel import Bands

__all__ = ["hide_tubelets", "mask_ratio", "ranked_mask", "spec_augment"]

Mask = npt.NDArray[np.bool_]

_TUBELET, _PATCH = 2, 16
_MEAN_PIXEL = 100.0  # what the network subtracts: zero after normalisation
_FIRST, _GROWTH, _GREATEST = 0.1, 0.8, 0.5


def mask_ratio(epoch: int, epochs: int) -> float:
    """The share of tokens that is masked in an epoch, counted from 0: from 0.1 to 0.5."""
    return _FIRST + _GROWTH * min(_GREATEST, epoch / epochs)


def ranked_mask(attention: npt.NDArray[np.float32], progress: float, revealed: int) -> Mask:
    """(7) of the paper: hide the tokens ranked from S to S + ceil(alpha M); the S highest stay.

    Args:
        attention: float32 [N, M].
        progress: alpha, 0..1, the share of the training that is over.
        revealed: S.

    Returns:
        Bool [N, M].
    """
    last = revealed + int(np.ceil(progress * attention.shape[1]))
    order = np.argsort(-attention, axis=1, kind="stable")[:, revealed:last]
    mask = np.zeros(attention.shape, bool)
    np.put_along_axis(mask, order, values=True, axis=1)
    return mask


def hide_tubelets(clips: npt.NDArray[np.float32], mask: Mask) -> npt.NDArray[np.float32]:
    """Clips whose masked tubelets show nothing.

    Args:
        clips: float32 [S, 3, T, H, W], pixels 0..255.
        mask: bool [S, tokens], in the order of the network's tubelets (2 x 16 x 16).

    Returns:
        float32 [S, 3, T, H, W]; masked pixels have the value that the network subtracts.
    """
    s, _, t, h, w = clips.shape
    grid = mask.reshape(s, 1, t // _TUBELET, h // _PATCH, w // _PATCH)
    hidden = grid.repeat(_TUBELET, 2).repeat(_PATCH, 3).repeat(_PATCH, 4)
    return np.where(hidden, np.float32(_MEAN_PIXEL), clips)


def spec_augment(bands: Bands, rng: np.random.Generator, *, widest: int, longest: int) -> Bands:
    """Hide a run of bands and a run of times (Park et al., Interspeech 2019).

    Args:
        bands: normalised filter bank, float32 [frames, bands].
        rng: draws how many, then where.
        widest: at most so many bands.
        longest: at most so many frames.

    Returns:
        float32 [frames, bands]; what is hidden has a log energy of 0, as in AST.
    """
    hidden = bands.copy()
    nothing = normalise(np.zeros((), np.float32))
    for axis, most in ((1, widest), (0, longest)):
        size = bands.shape[axis]
        count = int(rng.integers(min(most, size) + 1))
        start = int(rng.integers(size - count + 1))
        run = slice(start, start + count)
        hidden[(run, slice(None)) if axis == 0 else (slice(None), run)] = nothing
    return hidden
