"""The erased views of a video that CTEN is trained on, and its test on two views.

One training step looks at a video three times: whole, at its context segments alone and at its key
segments alone (``jack_stream.features.erasing`` says which those are, from the attention of the
first look). The segments' frames become a video of their own, which is sampled and augmented anew.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from jack_stream.features.erasing import Mask, kept_frames
from jack_stream.features.snippets import sample_snippets
from jack_stream.features.spatial import Augmentation, Picture, to_clip

__all__ = ["erased_visual", "judged_logits"]

Logits = npt.NDArray[np.float32]


def erased_visual(
    kept: Mask, n_frames: int, load: Callable[[int], Picture], rng: random.Random
) -> npt.NDArray[np.float32]:
    """The picture input of one video's kept segments.

    Args:
        kept: bool [S]; where nothing is kept the whole video is used.
        n_frames: frames of the video.
        load: frame number, counted from 1, -> uint8 [H, W, 3].
        rng: draws the snippets' starts, then one augmentation for all pictures, as the authors do.

    Returns:
        float32 [S, 3, 16, 112, 112], pixels 0..255, height before width.
    """
    runs = sample_snippets(kept_frames(kept, n_frames), kept.size, rng=rng)
    view = Augmentation.draw(rng)
    # A short selection is repeated, so that a frame may be asked for often.
    pictures = {number: view(load(int(number))) for number in np.unique(runs)}
    return np.stack([to_clip([pictures[number] for number in run], _as_it_is) for run in runs])


def judged_logits(
    whole: Logits, context: Logits, *, variant: Literal["released", "paper"] = "released"
) -> Logits:
    """The logits that a video is judged by.

    Args:
        whole: float32 [B, C] of the videos as they are.
        context: float32 [B, C] of their context segments.
        variant: ``released`` averages both views; ``paper`` looks at the whole video only.
    """
    return np.asarray((whole + context) / 2, np.float32) if variant == "released" else whole


def _as_it_is(picture: Picture) -> Picture:
    return picture
