"""VAANet's audio stream: what is heard gets a prediction, silence gets none."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from jack_stream.config import AnalyzerSettings
from jack_stream.errors import ConfigError
from jack_stream.inference.batch import predict
from jack_stream.inference.voice import VoiceAnalyzer
from jack_stream.inference.warming import warm_up
from tests.inference.streams import S, frame, noise_blocks, window


class _Network:
    method, origin, labels, trained = "vaanet-audio", None, ("a", "b"), False
    input_spec: ClassVar = {"audio": ("B", 512, 32)}

    def __init__(self) -> None:
        self.heard: list[np.ndarray] = []

    def infer(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.heard.append(inputs["audio"])
        rows = len(inputs["audio"])
        gamma = np.tile(np.array([[0.5, 1.5]], np.float32), (rows, 1))
        return {"logits": np.tile(np.array([[1.0, 2.0]], np.float32), (rows, 1)), "gamma": gamma}


@pytest.fixture
def analyzer() -> VoiceAnalyzer:
    return VoiceAnalyzer(_Network(), AnalyzerSettings(method="vaanet-audio"))  # type: ignore[arg-type]


def _predict(analyzer: VoiceAnalyzer, blocks: Any) -> Any:
    return predict(analyzer, window({"audio": blocks}, 0, analyzer.spec.length_ns))


def test_a_voice_is_listened_to(analyzer: VoiceAnalyzer) -> None:
    (prediction,) = _predict(analyzer, noise_blocks(3.0))
    assert prediction.logits.tolist() == [1.0, 2.0]
    assert prediction.support == 1.0
    assert prediction.degraded == ()
    assert analyzer.model.heard[0].shape == (1, 512, 32)  # type: ignore[attr-defined]


def test_silence_and_missing_sound_give_nothing(analyzer: VoiceAnalyzer) -> None:
    assert _predict(analyzer, []) == []
    assert _predict(analyzer, noise_blocks(3.0, level=0.0)) == []
    assert _predict(analyzer, noise_blocks(3.0, level=1e-3)) == []  # -60 dB
    assert len(_predict(analyzer, noise_blocks(3.0, level=3e-3))) == 1  # -50 dB


def test_missing_sound_is_no_support_and_is_named(analyzer: VoiceAnalyzer) -> None:
    (prediction,) = _predict(analyzer, noise_blocks(1.2))
    assert prediction.support == pytest.approx(0.4)
    assert prediction.degraded == ("60% of the sound missing",)


def test_the_window_is_the_configurations() -> None:
    settings = AnalyzerSettings(method="vaanet-audio", window_s=2.0, hop_s=0.5, lateness_s=0.1)
    analyzer = VoiceAnalyzer(_Network(), settings)  # type: ignore[arg-type]
    spec = analyzer.spec
    assert (spec.length_ns, spec.hop_ns, spec.lateness_ns) == (2 * S, S // 2, S // 10)
    assert spec.modalities == ("audio",)


def test_pictures_pass_unchanged(analyzer: VoiceAnalyzer) -> None:
    seen = frame(0, 0)
    assert analyzer.shrink(seen) is seen


def test_warming_up_runs_the_network(analyzer: VoiceAnalyzer) -> None:
    warm_up(analyzer)
    assert len(analyzer.model.heard) >= 5  # type: ignore[attr-defined]


def test_a_window_that_is_too_long_is_refused() -> None:
    settings = AnalyzerSettings(method="vaanet-audio", window_s=7.0)
    with pytest.raises(ConfigError, match=r"hear 5\.94"):
        VoiceAnalyzer(_Network(), settings)  # type: ignore[arg-type]
