"""VAANet and CTEN on a stream of pictures and sound."""

from __future__ import annotations

import numpy as np

from jack_stream.clock import NS_PER_S
from jack_stream.config import AnalyzerSettings
from jack_stream.errors import ConfigError
from jack_stream.features.spatial import centre_view
from jack_stream.inference.analyzer import Prediction, reduced
from jack_stream.inference.snippets import SnippetCache
from jack_stream.inference.sound import SoundPieces, heard
from jack_stream.models.registry import Model
from jack_stream.window.spec import Window, WindowSpec
from jack_stream.wire.messages import Audio, Frame, Stamp

__all__ = ["AudioVisualAnalyzer"]

SNIPPET_S = 1.0
"""Default length of the piece of video that one snippet stands for."""
TRAINING_FPS = 25.0
_SIDE = 112
_SILENT_SHARE = 0.999


class AudioVisualAnalyzer:
    """Looks at a window's snippets, each encoded once, and listens to its sound.

    Args:
        model: a method whose items are ``visual`` and ``audio``.
        settings: the window must be a whole number of hops, and the hop of snippets.
        pieces: how sound becomes the model's items.
    """

    def __init__(self, model: Model, settings: AnalyzerSettings, pieces: SoundPieces) -> None:
        self.model = model
        snippets = int(model.input_spec["visual"][1])
        window_s = settings.window_s or snippets * SNIPPET_S
        period_ns = round(window_s * NS_PER_S / snippets)
        hop_ns = round((settings.hop_s or period_ns / NS_PER_S) * NS_PER_S)
        if hop_ns % period_ns:
            raise ConfigError(
                f"analyzer {model.method}: hop_s = {hop_ns / NS_PER_S:g} is no multiple of a"
                f" snippet's {period_ns / NS_PER_S:g} s (window_s = {window_s:g} has {snippets})",
                hint="A hop of whole snippets lets each be encoded once.",
            )
        self.spec = WindowSpec(
            length_ns=period_ns * snippets,
            hop_ns=hop_ns,
            modalities=("frame", "audio"),
            lateness_ns=round(settings.lateness_s * NS_PER_S),
        )
        self.snippets = SnippetCache(
            lambda clips: model.encode("visual", clips), period_ns=period_ns, fps=TRAINING_FPS
        )
        self._pieces = pieces

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
        snippets = len(next(iter(features.values())))
        degraded = [f"{empty} of {snippets} snippets without a picture"] if empty else []
        if 0 < captured < _SILENT_SHARE:
            degraded.append(f"{1 - captured:.0%} of the sound missing")
        support = (1 - empty / snippets + captured) / 2
        return [Prediction(outputs["logits"][0], None, support, tuple(degraded))]

    def warm_up(self) -> None:
        """Look at two made-up windows that overlap: all snippets new, then one."""
        for index in (0, 1):
            self.predict(_flicker(self.spec, index))
        self.snippets.encoded = 0


def _flicker(spec: WindowSpec, index: int) -> Window:
    rng = np.random.default_rng(index)
    start, end = index * spec.hop_ns, index * spec.hop_ns + spec.length_ns
    frames = tuple(
        Frame(
            Stamp("warm-up", seq, at_ns, "warm-up"),
            rng.integers(0, 256, (_SIDE, _SIDE, 3), np.uint8),
            (_SIDE, _SIDE),
        )
        for seq, at_ns in enumerate(range(start, end, NS_PER_S // 10))
    )
    noise = rng.standard_normal(round(spec.length_ns * 44100 / NS_PER_S)).astype(np.float32)
    sound = Audio(Stamp("warm-up", 0, start, "warm-up"), noise * np.float32(0.1), 44100)
    return Window("warm-up", index, 0, start, end, {"frame": frames, "audio": (sound,)}, (), end)
