"""VAANet's audio stream on a microphone: no camera needed."""

from __future__ import annotations

import numpy as np

from jack_stream.clock import NS_PER_S
from jack_stream.config import AnalyzerSettings
from jack_stream.inference.analyzer import Prediction
from jack_stream.inference.grid import missing_sound
from jack_stream.inference.sound import MfccPieces, heard
from jack_stream.models.registry import Model
from jack_stream.window.spec import Window, WindowSpec
from jack_stream.wire.messages import Audio, Frame, Stamp

__all__ = ["VoiceAnalyzer"]

DEFAULT_WINDOW_S = 3.0
DEFAULT_HOP_S = 1.0
SILENCE_DBFS = -55.0
"""Below this level (of the window's root mean square) nobody is speaking."""


class VoiceAnalyzer:
    """Listens to a window's sound.

    Args:
        model: ``vaanet-audio``.
        settings: window, hop and lateness.
    """

    def __init__(self, model: Model, settings: AnalyzerSettings) -> None:
        self.model = model
        self.spec = WindowSpec(
            length_ns=round((settings.window_s or DEFAULT_WINDOW_S) * NS_PER_S),
            hop_ns=round((settings.hop_s or DEFAULT_HOP_S) * NS_PER_S),
            modalities=("audio",),
            lateness_ns=round(settings.lateness_s * NS_PER_S),
        )
        self._pieces = MfccPieces(int(model.module.audio_n_segments))

    def shrink(self, frame: Frame) -> Frame:
        """Pictures are not looked at."""
        return frame

    def predict(self, window: Window) -> list[Prediction]:
        """One prediction for what is heard; none for silence."""
        samples, rate, captured = heard(window)
        if captured == 0 or 20 * np.log10(_rms(samples) + 1e-12) < SILENCE_DBFS:
            return []
        pieces = self._pieces(samples, rate)
        outputs = self.model.infer({"audio": pieces.reshape(1, -1, pieces.shape[-1])})
        return [Prediction(outputs["logits"][0], None, captured, missing_sound(captured))]

    def warm_up(self) -> None:
        """Listen to made-up noise."""
        rng = np.random.default_rng(0)
        noise = rng.standard_normal(round(self.spec.length_ns * 44100 / NS_PER_S)) * 0.1
        sound = Audio(Stamp("warm-up", 0, 0, "warm-up"), noise.astype(np.float32), 44100)
        self.predict(
            Window(
                "warm-up",
                0,
                0,
                0,
                self.spec.length_ns,
                {"audio": (sound,)},
                (),
                self.spec.length_ns,
            )
        )


def _rms(samples: np.typing.NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
