"""MART on a stream: each snippet, its pictures and its sound together, is encoded once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jack_stream.clock import NS_PER_S
from jack_stream.config import AnalyzerSettings
from jack_stream.features import fbank
from jack_stream.inference.analyzer import Arrays, Ask, Look, Prediction, Step, reduced
from jack_stream.inference.audio_visual import SNIPPET_S, TRAINING_FPS
from jack_stream.inference.grid import cells_spec, evidence, flickers
from jack_stream.inference.snippets import (
    Piece,
    PieceCache,
    cells_of,
    clip_of,
    identities,
    nearest,
    pictures_of_cells,
)
from jack_stream.inference.sound import SoundCache
from jack_stream.models.registry import Model
from jack_stream.window.spec import Window
from jack_stream.wire.messages import Frame, View

__all__ = ["MartAnalyzer"]

DEFAULT_SNIPPETS = 16
"""As the authors validate."""
PERIOD_NS = round(SNIPPET_S * NS_PER_S)
_SIDE = 112


class MartAnalyzer:
    """Looks at and listens to a window's snippets of one second.

    MART's text branch takes part in its training only, so nothing is read here.

    Args:
        model: ``mart``.
        settings: window and hop must be whole numbers of seconds.
    """

    view: View = "112"

    def __init__(self, model: Model, settings: AnalyzerSettings) -> None:
        self.model = model
        length_ns = DEFAULT_SNIPPETS * PERIOD_NS
        if settings.window_s is not None:
            length_ns = round(settings.window_s * NS_PER_S)
        self.spec = cells_spec(model.method, settings, period_ns=PERIOD_NS, length_ns=length_ns)
        self.snippets = PieceCache(Step(model, "encode", self._encode, most=8))
        self._head = Step(model, "head", model.head)
        self._sound = SoundCache(_spectrogram, PERIOD_NS)

    def shrink(self, frame: Frame) -> Frame:
        """Keep the view that the network takes, 112 pixels square."""
        return reduced(frame, self.view)

    def look(self, window: Window) -> Look:
        """One prediction for the scene; none without any picture."""
        chosen = pictures_of_cells(window, PERIOD_NS, TRAINING_FPS)
        if not chosen:
            return []
        cells = cells_of(window, PERIOD_NS)
        sounds, captured = self._sound.features(window)
        pieces = self.snippets.take(
            _piece((window.origin_ns, cell), chosen[nearest(cell, chosen)], sound)
            for cell, sound in zip(cells, sounds, strict=True)
        )
        yield from pieces.encode()
        features = pieces.features(range(len(cells)))
        windows = {name: value[np.newaxis] for name, value in features.items()}
        outputs = yield Ask(self._head, windows)
        support, degraded = evidence(len(cells), len(cells) - len(chosen), captured)
        return [Prediction(outputs["logits"][0], None, support, degraded)]

    def examples(self) -> Iterator[Window]:
        """Windows of noise, of two snippets: how many a window has changes nothing in the rest."""
        return flickers(replace(self.spec, length_ns=2 * PERIOD_NS), _SIDE)

    def _encode(self, rows: Arrays) -> Arrays:
        return self.model.run(self._features, rows)

    def _features(self, clips: Any, sounds: Any) -> dict[str, Any]:
        visual, audio = self.model.module.encode_snippets(clips, sounds)
        return {"visual": visual, "audio": audio}


def _piece(
    place: tuple[int, int], pictures: list[Frame], spectrogram: NDArray[np.float32]
) -> Piece:
    def make() -> Arrays:
        return {"clips": clip_of(pictures), "sounds": spectrogram}

    return Piece(place, (identities(pictures), spectrogram.tobytes()), make)


def _spectrogram(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """A snippet's own sound as normalised filter banks, float32 ``[100, 128]``.

    98 whole frames fit into a second; the first two stand once more at its end.
    """
    bands = fbank.Fbank(sample_rate).whole(samples)
    return fbank.normalise(fbank.select_segments(bands, 1))
