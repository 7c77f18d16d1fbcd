"""VAANet and CTEN on a stream of pictures and sound."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from jack_stream.clock import NS_PER_S
from jack_stream.config import AnalyzerSettings
from jack_stream.inference.analyzer import Arrays, Ask, Look, Prediction, Step, reduced
from jack_stream.inference.grid import cells_spec, evidence, flickers
from jack_stream.inference.snippets import Piece, PieceCache, SnippetCache
from jack_stream.inference.sound import SoundPieces, heard
from jack_stream.models.registry import Model
from jack_stream.window.spec import Window
from jack_stream.wire.messages import Frame, View

__all__ = ["AudioVisualAnalyzer"]

SNIPPET_S = 1.0
"""Default length of the piece of video that one snippet stands for."""
TRAINING_FPS = 25.0
_SIDE = 112


class AudioVisualAnalyzer:
    """Looks at a window's snippets, each encoded once, and listens to its sound.

    Args:
        model: a method whose items are ``visual`` and ``audio``.
        settings: the hop must be a whole number of snippets.
        pieces: how sound becomes the model's items.
    """

    view: View = "112"

    def __init__(self, model: Model, settings: AnalyzerSettings, pieces: SoundPieces) -> None:
        self.model = model
        snippets = int(model.input_spec["visual"][1])
        window_s = settings.window_s or snippets * SNIPPET_S
        period_ns = round(window_s * NS_PER_S / snippets)
        self.spec = cells_spec(
            model.method, settings, period_ns=period_ns, length_ns=period_ns * snippets
        )
        see = Step(model, "see", lambda rows: model.encode("visual", rows["clips"]), most=8)
        self.snippets = SnippetCache(see, period_ns=period_ns, fps=TRAINING_FPS)
        listen = Step(model, "listen", lambda rows: model.encode("audio", rows["pieces"]))
        self.sounds = PieceCache(listen)
        self._head = Step(model, "head", self._read)
        self._pieces = pieces
        self._period_ns = period_ns

    def shrink(self, frame: Frame) -> Frame:
        """Keep the view that the network takes, 112 pixels square."""
        return reduced(frame, self.view)

    def look(self, window: Window) -> Look:
        """One prediction for the scene; none without any picture."""
        if not window.frames:
            return []
        snippets = self.snippets.take(window)
        samples, rate, captured = heard(window)
        sounds = self.sounds.take(map(_heard_as, self._pieces(samples, rate)))
        features = yield from snippets.features()
        yield from sounds.encode()
        features |= sounds.features(range(len(sounds.slots)))
        windows = {name: value[np.newaxis] for name, value in features.items()}
        outputs = yield Ask(self._head, windows)
        cells = self.spec.length_ns // self._period_ns
        support, degraded = evidence(cells, snippets.empty, captured)
        attention = outputs["gamma"][0]
        return [Prediction(outputs["logits"][0], None, support, degraded, attention=attention)]

    def examples(self) -> Iterator[Window]:
        """Windows of noise."""
        return flickers(self.spec, _SIDE)

    def _read(self, features: Arrays) -> Arrays:
        outputs = self.model.head(features)
        return {name: outputs[name] for name in ("logits", "gamma")}


def _heard_as(spectrogram: NDArray[np.float32]) -> Piece:
    """A piece of sound, known by its content: the same in the next window if it lies on a grid."""
    return Piece(spectrogram.tobytes(), None, lambda: {"pieces": spectrogram})
