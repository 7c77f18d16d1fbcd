"""VAANet and CTEN on a stream of pictures and sound."""

from __future__ import annotations

import numpy as np

from jack_stream.clock import NS_PER_S
from jack_stream.config import AnalyzerSettings
from jack_stream.features.spatial import centre_view
from jack_stream.inference.analyzer import Prediction, reduced
from jack_stream.inference.grid import cells_spec, evidence, flicker
from jack_stream.inference.snippets import SnippetCache
from jack_stream.inference.sound import SoundPieces, heard
from jack_stream.models.registry import Model
from jack_stream.window.spec import Window
from jack_stream.wire.messages import Frame

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

    def __init__(self, model: Model, settings: AnalyzerSettings, pieces: SoundPieces) -> None:
        self.model = model
        snippets = int(model.input_spec["visual"][1])
        window_s = settings.window_s or snippets * SNIPPET_S
        period_ns = round(window_s * NS_PER_S / snippets)
        self.spec = cells_spec(
            model.method, settings, period_ns=period_ns, length_ns=period_ns * snippets
        )
        self.snippets = SnippetCache(
            lambda clips: model.encode("visual", clips), period_ns=period_ns, fps=TRAINING_FPS
        )
        self._pieces = pieces
        self._period_ns = period_ns

    def shrink(self, frame: Frame) -> Frame:
        """Keep the view that the network takes, 112 pixels square."""
        return reduced(frame, centre_view(frame.image, _SIDE))

    def predict(self, window: Window) -> list[Prediction]:
        """One prediction for the scene; none without any picture."""
        if not window.frames:
            return []
        features, empty = self.snippets.features(window)
        samples, rate, captured = heard(window)
        features |= self.model.encode("audio", self._pieces(samples, rate))
        outputs = self.model.head({name: value[np.newaxis] for name, value in features.items()})
        cells = self.spec.length_ns // self._period_ns
        support, degraded = evidence(cells, empty, captured)
        attention = outputs["gamma"][0]
        return [Prediction(outputs["logits"][0], None, support, degraded, attention=attention)]

    def warm_up(self) -> None:
        """Look at two made-up windows that overlap: all snippets new, then one."""
        for start_ns in (0, self.spec.hop_ns):
            self.predict(flicker(start_ns, start_ns + self.spec.length_ns, _SIDE))
        self.snippets.encoded = 0
