"""VAANet's audio stream on a microphone: no camera needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from jack_stream.clock import NS_PER_S
from jack_stream.config import AnalyzerSettings
from jack_stream.errors import ConfigError
from jack_stream.features.familiar import FamiliarVoice
from jack_stream.features.framing import Samples
from jack_stream.features.mel import Bands
from jack_stream.features.overlapping import OverlappingMel
from jack_stream.features.voice import VoicePreprocessing
from jack_stream.inference.analyzer import Ask, Look, Prediction, Step
from jack_stream.inference.grid import missing_sound
from jack_stream.inference.sound import heard
from jack_stream.models.registry import Model
from jack_stream.window.spec import Window, WindowSpec
from jack_stream.wire.messages import Audio, Frame, Stamp

__all__ = ["SILENCE_DBFS", "VoiceAnalyzer", "level_dbfs", "preprocessing_of"]

MOST_WINDOW_S = 3.0
"""The window where nobody says how long; shorter for networks that hear less."""
DEFAULT_HOP_S = 1.0
SILENCE_DBFS = -55.0
"""Below this level (of the window's root mean square) nobody is speaking."""


@dataclass(slots=True)
class _Acquaintance:
    """What is known of the stream's voice after a window; the one before, until that is known."""

    voice: FamiliarVoice | None = None
    before: _Acquaintance | None = None

    def known(self) -> FamiliarVoice | None:
        """After this window, or else the last one that had its answers."""
        at: _Acquaintance | None = self
        while at is not None and at.voice is None:
            at = at.before
        return None if at is None else at.voice


class VoiceAnalyzer:
    """Listens to a window's sound, and gets to know the stream's voice where the card says so.

    Args:
        model: ``vaanet-audio``.
        settings: window, hop and lateness; without a window's length, what the bundle learned from.

    Raises:
        ConfigError: the window is longer than what the network hears at once.
    """

    view = None

    def __init__(self, model: Model, settings: AnalyzerSettings) -> None:
        self.model = model
        self._preprocessing = preprocessing_of(model)
        self._frames = int(model.input_spec["audio"][1])
        self._count = self._frames // int(model.item_spec["audio"][1])
        longest = self._preprocessing.seconds(self._frames)
        window_s = settings.window_s or min(longest, MOST_WINDOW_S)
        if window_s > longest:
            raise ConfigError(
                f"analyzers: window_s = {window_s:g}, but these weights of {model.method} hear"
                f" {longest:g} s at once",
                hint=f"Set window_s to {longest:g} or less, or leave it out.",
            )
        self.spec = WindowSpec(
            length_ns=round(window_s * NS_PER_S),
            hop_ns=round((settings.hop_s or DEFAULT_HOP_S) * NS_PER_S),
            modalities=("audio",),
            lateness_ns=round(settings.lateness_s * NS_PER_S),
        )
        self._pieces = Step(model, "pieces", lambda rows: model.encode("audio", rows["audio"]))
        self._head = Step(model, "head", model.head)
        self._known, self._known_until_ns = _Acquaintance(), 0
        self._spectrum, self._heard_from_ns = OverlappingMel(self._preprocessing.spectrum), 0

    def shrink(self, frame: Frame) -> Frame:
        """Pictures are not looked at."""
        return frame

    def look(self, window: Window) -> Look:
        """One prediction for what is heard; none for silence."""
        samples, rate, captured = heard(window)
        if captured == 0 or level_dbfs(samples) < SILENCE_DBFS:
            return []
        power = self._power(samples, rate, window.start_ns)
        features = self._preprocessing.features(power, self._frames)
        sounding = self._preprocessing.sounding(features, self._count)
        before, now, new_s = self._known, self._meet(), self._new_s(window)
        length = self._frames // self._count
        pieces = features.reshape(self._count, length, features.shape[1])
        encoded = (yield Ask(self._pieces, {"audio": pieces}))["piece"]
        voice = before.known() or FamiliarVoice.unknown(encoded.shape[1])
        now.voice, now.before = voice.hearing(encoded[sounding > 0], new_s), None
        rows = {"piece": encoded[np.newaxis], "sounding": sounding[np.newaxis]}
        known = now.voice.rows(self._preprocessing.adaptation_s)
        outputs = yield Ask(self._head, {**rows, **known})
        degraded, attention = missing_sound(captured), outputs["gamma"][0]
        return [Prediction(outputs["logits"][0], None, captured, degraded, attention=attention)]

    def _power(self, samples: Samples, rate: int, start_ns: int) -> Bands:
        """The window's spectrum; where nothing has to be resampled each frame's, once."""
        if rate != self._preprocessing.sample_rate:
            return self._preprocessing.power(samples, rate)
        shift = round((start_ns - self._heard_from_ns) * rate / NS_PER_S)
        self._heard_from_ns = start_ns
        return self._spectrum.window(samples, shift)

    def _meet(self) -> _Acquaintance:
        """The place of what this window will tell, behind the one before."""
        self._known = _Acquaintance(before=self._known)
        return self._known

    def _new_s(self, window: Window) -> float:
        """Seconds of a window that the one before did not have."""
        begin_ns = max(window.start_ns, min(self._known_until_ns, window.end_ns - 1))
        self._known_until_ns = window.end_ns
        return (window.end_ns - begin_ns) / NS_PER_S

    def examples(self) -> Iterator[Window]:
        """Noise."""
        rng, length_ns = np.random.default_rng(0), self.spec.length_ns
        noise = rng.standard_normal(round(length_ns * 44100 / NS_PER_S)) * 0.1
        sound = Audio(Stamp("warm-up", 0, 0, "warm-up"), noise.astype(np.float32), 44100)
        return repeat(Window("warm-up", 0, 0, 0, length_ns, {"audio": (sound,)}, (), length_ns))


def preprocessing_of(model: Model) -> VoicePreprocessing:
    """What the model's card says of its features; the paper's where there is no card.

    Raises:
        BundleError: the card's table is wrong.
    """
    if model.origin is None:
        return VoicePreprocessing()
    return VoicePreprocessing.from_card(model.origin.card.preprocessing)


def level_dbfs(samples: NDArray[np.float32]) -> float:
    """Root mean square of samples ``[n]`` in decibels of full scale; -240 is digital silence."""
    mean_square = np.mean(np.square(samples, dtype=np.float64))
    return float(20 * np.log10(np.sqrt(mean_square) + 1e-12))
