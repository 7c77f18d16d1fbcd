"""MART on a stream: a hop encodes the snippets that are new.

Snippets never see each other in the transformer, but picture and sound of one snippet do, so what
is kept is the pair of features of a whole snippet. The answer equals `MART.execute` of the whole
window to float rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jack_stream.errors import ModelInputError
from jack_stream.models.mart import AUDIO_FRAMES, MART
from jack_stream.runtime import jittor

__all__ = ["MARTStream"]

jt = jittor()
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Snippet:
    visual: Array
    audio: Array
    features: tuple[Array, Array]

    def holds(self, visual: Array, audio: Array) -> bool:
        return np.array_equal(self.visual, visual) and np.array_equal(self.audio, audio)


class MARTStream:
    """The windows of one stream, answered one after the other.

    Args:
        network: in evaluation mode; its weights must stay as they are.

    Attributes:
        encoded: how many snippets the last window had encoded.
    """

    def __init__(self, network: MART) -> None:
        self._network = network
        self._snippets: dict[int, _Snippet] = {}
        self.encoded = 0

    def infer(self, first: int, visual: Array, audio: Array) -> dict[str, Array]:
        """The outputs of `MART.execute` for one window.

        Args:
            first: index of the window's first snippet, counted from the stream's start.
            visual: float32 [S, 3, 16, 112, 112], pixels 0..255.
            audio: float32 [100 S, 128], normalised fbank.

        Returns:
            The network's outputs with a leading axis of 1.

        Raises:
            ModelInputError: the sound is not 100 frames for each snippet.
        """
        if len(audio) != AUDIO_FRAMES * len(visual):
            raise ModelInputError(
                f"mart: {len(visual)} snippets need {AUDIO_FRAMES * len(visual)} frames of sound, "
                f"not {len(audio)}"
            )
        sounds = audio.reshape(len(visual), AUDIO_FRAMES, -1)
        held = self._snippets
        self._snippets = {
            first + at: snippet
            for at in range(len(visual))
            if (snippet := held.get(first + at)) and snippet.holds(visual[at], sounds[at])
        }
        self._encode(first, visual, sounds)
        ordered = [self._snippets[first + at].features for at in range(len(visual))]
        with jt.no_grad():
            stacked = (jt.array(np.stack(part)[None]) for part in zip(*ordered, strict=True))
            outputs = self._network.head(*stacked)
            return dict(zip(outputs, jt.fetch_sync(list(outputs.values())), strict=True))

    def _encode(self, first: int, visual: Array, sounds: Array) -> None:
        new = [at for at in range(len(visual)) if first + at not in self._snippets]
        self.encoded = len(new)
        if not new:
            return
        with jt.no_grad():
            features = self._network.encode_snippets(jt.array(visual[new]), jt.array(sounds[new]))
            rows = zip(*jt.fetch_sync(list(features)), strict=True)
        for at, (seen, heard) in zip(new, rows, strict=True):
            self._snippets[first + at] = _Snippet(
                visual[at].copy(), sounds[at].copy(), (seen, heard)
            )
