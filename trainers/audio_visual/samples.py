"""From a clip to what a network takes: drawn anew for training, always the same for testing.

Worker processes import this module, so it must not import Jittor.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from jack_stream.errors import ModelInputError, SourceError
from jack_stream.features import fbank, mfcc
from jack_stream.features.erasing import Mask, kept_frames
from jack_stream.features.mel import Bands
from jack_stream.features.snippets import Indices, sample_snippets
from jack_stream.features.spatial import Augmentation, Picture, centre_view
from jack_stream.inference.sound import FbankPieces, MfccPieces
from trainers.data.clips import Clip, read_frames, read_sound, sound_rate

__all__ = ["Inputs", "Pixels", "Sample", "Sampling", "draw_snippets", "make_sample"]

Pixels = npt.NDArray[np.uint8]
"""uint8 [S, 3, 16, 112, 112], RGB."""

_SILENT_RATE = 44_100


@dataclass(frozen=True)
class Inputs:
    """What is seen and heard of one clip.

    Attributes:
        visual: pixels uint8 [S, 3, 16, 112, 112], or what the frozen backbone makes of them,
            float32 [S, ...].
        audio: float32 [P * frames, bands].
    """

    visual: npt.NDArray[Any]
    audio: Bands


@dataclass(frozen=True)
class Sampling:
    """How clips become inputs.

    With a seed a sample is drawn as the papers train: a run of 16 frames anywhere in each of S
    equal segments, one square at the centre or in a corner and at most one change (flip, rotation,
    brightness) for the whole clip; of a long sound CTEN takes a second anywhere in each of S
    blocks. Without a seed it is the view of live streams: the middle of everything.

    Attributes:
        snippets: S.
        sound: ``mfcc`` (VAANet) or ``fbank`` (CTEN, at the sound's own rate).
        pieces: P, of 256 frames of MFCC or 100 of the filter bank.
        probability: of a change to a training sample's pictures.
        hide: a modality that is blank (black, silent), for ablations.
    """

    snippets: int
    sound: Literal["mfcc", "fbank"]
    pieces: int
    probability: float = 0.3
    hide: Literal["", "picture", "sound"] = ""

    def sample(self, clip: Clip, seed: int | None = None) -> Inputs:
        """What is seen and heard of a clip.

        Args:
            clip: the clip.
            seed: draws a training sample; None takes the middle.

        Raises:
            SourceError: the clip can't be read.
        """
        rng = None if seed is None else random.Random(seed)
        visual = self._seen(clip, np.arange(clip.n_frames), rng)
        return Inputs(visual, self._heard(clip, rng))

    def erased(self, clip: Clip, kept: Mask, seed: int) -> Pixels:
        """A training sample of the kept segments' pictures alone (CTEN)."""
        return self._seen(clip, kept_frames(kept, clip.n_frames) - 1, random.Random(seed))

    def _seen(self, clip: Clip, frames: Indices, rng: random.Random | None) -> Pixels:
        if self.hide == "picture":
            return np.zeros((self.snippets, 3, 16, 112, 112), np.uint8)
        return draw_snippets(
            frames,
            self.snippets,
            lambda wanted: read_frames(clip, wanted),
            rng,
            probability=self.probability,
        )

    def _heard(self, clip: Clip, rng: random.Random | None) -> Bands:
        if clip.sound is None or self.hide == "sound":
            return self._features(np.zeros(_SILENT_RATE, np.float32), _SILENT_RATE, rng)
        rate = mfcc.SAMPLE_RATE if self.sound == "mfcc" else sound_rate(clip.sound)
        try:
            return self._features(read_sound(clip, rate), rate, rng)
        except ModelInputError as error:
            raise SourceError(f"{clip.sound}: {error}") from error

    def _features(
        self, samples: npt.NDArray[np.float32], rate: int, rng: random.Random | None
    ) -> Bands:
        if self.sound == "fbank" and rng is not None:
            bands = fbank.Fbank(rate).whole(samples[np.newaxis])
            return fbank.normalise(fbank.select_segments(bands, self.pieces, rng=rng))
        kind = MfccPieces if self.sound == "mfcc" else FbankPieces
        pieces = kind(self.pieces)(samples, rate)
        return pieces.reshape(-1, pieces.shape[-1])


@dataclass(frozen=True)
class Sample:
    """A clip as the network sees it in one step."""

    clip: Clip
    inputs: Inputs
    seed: int | None


def make_sample(sampling: Sampling, clip: Clip, seed: int | None) -> Sample:
    """A sample of a clip; see `Sampling.sample`. It is a function for the workers' sake."""
    return Sample(clip, sampling.sample(clip, seed), seed)


def draw_snippets(
    frames: Indices,
    snippets: int,
    load: Callable[[Indices], npt.NDArray[np.uint8]],
    rng: random.Random | None = None,
    *,
    probability: float = 0.3,
) -> Pixels:
    """Snippets of some of a video's frames.

    Args:
        frames: the frames to choose from, in order.
        snippets: S.
        load: frames, each once and ascending -> their pictures uint8 [F, H, W, 3].
        rng: draws the snippets' starts, then one view for all pictures, as the authors do; None
            takes the middle of each segment and the centre.
        probability: of a change; see `Augmentation.draw`.
    """
    runs = sample_snippets(frames, snippets, rng=rng)
    view: Callable[[Picture], Picture] = (
        centre_view if rng is None else Augmentation.draw(rng, probability=probability)
    )
    # A short selection is repeated, so that a frame may be wanted often.
    wanted, places = np.unique(runs, return_inverse=True)
    pictures = np.stack([view(picture) for picture in load(wanted)])
    return np.ascontiguousarray(pictures[places.reshape(runs.shape)].transpose(0, 4, 1, 2, 3))
