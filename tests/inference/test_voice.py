"""VAANet's audio stream: what is heard gets a prediction, silence gets none."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from jack_stream.config import AnalyzerSettings
from jack_stream.errors import ConfigError
from jack_stream.inference.batch import Task, answer, predict
from jack_stream.inference.voice import VoiceAnalyzer
from jack_stream.inference.warming import warm_up
from jack_stream.window.spec import Window
from tests.inference.streams import S, frame, noise_blocks, window


class _Network:
    method, origin, labels, trained = "vaanet-audio", None, ("a", "b"), False
    input_spec: ClassVar = {"audio": ("B", 512, 32)}
    item_spec: ClassVar = {"audio": ("N", 256, 32)}

    def __init__(self) -> None:
        self.heard: list[np.ndarray] = []
        self.known: list[dict[str, np.ndarray]] = []

    def encode(self, _: str, pieces: np.ndarray) -> dict[str, np.ndarray]:
        self.heard.append(pieces)
        return {"piece": pieces.mean((1, 2))[:, np.newaxis] + np.zeros(3, np.float32)}

    def head(self, features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.known.append(features)
        rows = len(features["piece"])
        gamma = np.tile(np.array([[0.5, 1.5]], np.float32), (rows, 1))
        return {"logits": np.tile(np.array([[1.0, 2.0]], np.float32), (rows, 1)), "gamma": gamma}


class _Adapting(_Network):
    """As a bundle whose card says that voices are got to know."""

    class origin:  # noqa: N801 - stands for an attribute
        class card:  # noqa: N801
            preprocessing: ClassVar = {"adaptation_s": 15.0}


class _Pausing(_Network):
    """As a bundle that leaves out pauses: two pieces of 1 s."""

    input_spec: ClassVar = {"audio": ("B", 80, 40)}
    item_spec: ClassVar = {"audio": ("N", 40, 40)}

    class origin:  # noqa: N801 - stands for an attribute
        class card:  # noqa: N801
            preprocessing: ClassVar = {
                "kind": "log-mel",
                "sample_rate": 16000,
                "hop": 400,
                "n_fft": 1024,
                "bands": 40,
                "silent_db": 40.0,
                "adaptation_s": 15.0,
            }


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
    assert analyzer.model.heard[0].shape == (2, 256, 32)  # type: ignore[attr-defined]
    assert analyzer.model.known[0]["familiarity"].tolist() == [0.0]  # type: ignore[attr-defined]


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


def _adapting() -> tuple[_Adapting, VoiceAnalyzer]:
    network = _Adapting()
    return network, VoiceAnalyzer(network, AnalyzerSettings(method="vaanet-audio"))  # type: ignore[arg-type]


def _next_window(analyzer: VoiceAnalyzer, index: int, level: float = 0.1) -> Window:
    spec = analyzer.spec
    blocks = noise_blocks(6.0, level=level)
    return window({"audio": blocks}, index * spec.hop_ns, spec.length_ns)


def test_a_voice_is_got_to_know_from_window_to_window() -> None:
    network, analyzer = _adapting()
    for index in range(3):
        predict(analyzer, _next_window(analyzer, index))
    shares = [float(rows["familiarity"][0]) for rows in network.known]
    assert shares == pytest.approx([3 / 18, 4 / 19, 5 / 20])  # of 3 s, then a new one each
    pieces = [heard.mean((1, 2)) for heard in network.heard]
    expected = (3 * pieces[0].mean() + pieces[1].mean() + pieces[2].mean()) / 5
    assert network.known[2]["voice_mean"][0] == pytest.approx([expected] * 3, rel=1e-4)


def test_windows_that_are_looked_at_together_know_as_much_as_one_by_one() -> None:
    apart, analyzer = _adapting()
    for index in range(4):
        predict(analyzer, _next_window(analyzer, index))
    together, other = _adapting()
    answer([Task(other.look(_next_window(other, index))) for index in range(4)])
    for name in ("familiarity", "voice_mean", "voice_variance"):
        one_by_one = np.concatenate([rows[name] for rows in apart.known])
        assert np.concatenate([r[name] for r in together.known]) == pytest.approx(one_by_one)


def test_a_window_that_is_given_up_is_as_if_it_had_not_been_heard() -> None:
    network, analyzer = _adapting()
    predict(analyzer, _next_window(analyzer, 0))
    Task(analyzer.look(_next_window(analyzer, 1))).tell(RuntimeError("the model failed"))
    predict(analyzer, _next_window(analyzer, 2))
    assert float(network.known[-1]["familiarity"][0]) == pytest.approx(4 / 19)


def test_a_pause_in_a_window_is_no_acquaintance() -> None:
    network = _Pausing()
    analyzer = VoiceAnalyzer(network, AnalyzerSettings(method="vaanet-audio"))  # type: ignore[arg-type]
    predict(analyzer, window({"audio": noise_blocks(0.9)}, 0, analyzer.spec.length_ns))
    (rows,) = network.known
    assert rows["sounding"].tolist() == [[1.0, 0.0]]
    spoken_piece = network.heard[0][0].mean()
    assert rows["voice_mean"][0] == pytest.approx([spoken_piece] * 3, rel=1e-4)


def test_silence_is_no_acquaintance() -> None:
    network, analyzer = _adapting()
    predict(analyzer, _next_window(analyzer, 0, level=0.0))
    predict(analyzer, _next_window(analyzer, 1))
    assert float(network.known[-1]["familiarity"][0]) == pytest.approx(3 / 18)
