"""MART on a stream: each snippet, its pictures and its sound together, is encoded once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jack_stream.clock import NS_PER_S
from jack_stream.config import AnalyzerSettings
from jack_stream.features import fbank
from jack_stream.features.spatial import centre_view
from jack_stream.inference.analyzer import Prediction, reduced
from jack_stream.inference.audio_visual import SNIPPET_S, TRAINING_FPS
from jack_stream.inference.grid import cells_spec, evidence, flicker
from jack_stream.inference.snippets import cells_of, clip_of, nearest, pictures_of_cells
from jack_stream.inference.sound import SoundCache
from jack_stream.models.inputs import check_outputs
from jack_stream.models.registry import Model
from jack_stream.window.spec import Window
from jack_stream.wire.messages import Frame

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

    def __init__(self, model: Model, settings: AnalyzerSettings) -> None:
        # Imported here because it imports Jittor, which the process must have prepared.
        from jack_stream.models.mart_stream import MARTStream  # noqa: PLC0415

        self.model = model
        length_ns = DEFAULT_SNIPPETS * PERIOD_NS
        if settings.window_s is not None:
            length_ns = round(settings.window_s * NS_PER_S)
        self.spec = cells_spec(model.method, settings, period_ns=PERIOD_NS, length_ns=length_ns)
        self.network = MARTStream(model.module)
        self._sound = SoundCache(_spectrogram, PERIOD_NS)

    def shrink(self, frame: Frame) -> Frame:
        """Keep the view that the network takes, 112 pixels square."""
        return reduced(frame, centre_view(frame.image, _SIDE))

    def predict(self, window: Window) -> list[Prediction]:
        """One prediction for the scene; none without any picture."""
        chosen = pictures_of_cells(window, PERIOD_NS, TRAINING_FPS)
        if not chosen:
            return []
        cells = cells_of(window, PERIOD_NS)
        clips = {cell: clip_of(pictures) for cell, pictures in chosen.items()}
        visual = np.stack([clips[nearest(cell, chosen)] for cell in cells])
        sounds, captured = self._sound.features(window)
        outputs = self.network.infer(cells[0], visual, sounds.reshape(-1, sounds.shape[-1]))
        check_outputs(self.model.method, outputs)
        support, degraded = evidence(len(cells), len(cells) - len(chosen), captured)
        return [Prediction(outputs["logits"][0], None, support, degraded)]

    def warm_up(self) -> None:
        """Look at two made-up windows that overlap: two snippets, then one new."""
        for start_ns in (0, PERIOD_NS):
            self.predict(flicker(start_ns, start_ns + 2 * PERIOD_NS, _SIDE))


def _spectrogram(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """A snippet's own sound as normalised filter banks, float32 ``[100, 128]``.

    98 whole frames fit into a second; the first two stand once more at its end.
    """
    bands = fbank.Fbank(sample_rate).whole(samples)
    return fbank.normalise(fbank.select_segments(bands, 1))
