"""Which analyzers there are, and which weights they refuse."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jack_stream.config import AnalyzerSettings
from jack_stream.errors import BundleError, ConfigError
from jack_stream.inference import catalogue
from jack_stream.inference.gait import GaitAnalyzer
from jack_stream.inference.gait_steps import GaitStepsAnalyzer
from jack_stream.models.registry import METHODS


def test_every_emotion_method_can_look_at_a_stream() -> None:
    backbones = {name for name, method in METHODS.items() if not method.labels}
    assert set(catalogue.ANALYZERS) == set(METHODS) - backbones


def test_an_unknown_method_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigError, match="did you mean 'vaanet'"):
        catalogue.check_methods([AnalyzerSettings(method="vanet")])
    with pytest.raises(ConfigError, match="can't look at a stream"):
        catalogue.check_methods([AnalyzerSettings(method="i3d")])


def test_a_method_without_a_step_form_is_refused_one() -> None:
    with pytest.raises(ConfigError, match="mart has no step form"):
        catalogue.check_methods([AnalyzerSettings(method="mart", form="steps")])


@pytest.mark.parametrize("hop_s", [0.5, 0.8, 3.2])
def test_a_hop_that_steps_can_not_take_is_refused_before_anything_is_loaded(hop_s: float) -> None:
    with pytest.raises(ConfigError, match="hop_s"):
        catalogue.check_methods(
            [AnalyzerSettings(method="bpm-gcn", bundle="default", form="steps", hop_s=hop_s)]
        )


def test_a_hop_that_steps_can_take_depends_on_the_weights_card(tmp_path: Path) -> None:
    shipped = catalogue.shipped_bundle("bpm-gcn")
    assert shipped is not None
    card = (shipped / "card.toml").read_text(encoding="utf-8")
    for rate, frames, fault in (
        (30.0, 48, ""),
        (15.0, 48, "hop_s = 0.5333"),
        (15.0, 16, "have 16"),
    ):
        changed = card.replace("frame_rate_hz = 15.0", f"frame_rate_hz = {rate}")
        changed = changed.replace("frames = 48", f"frames = {frames}")
        (tmp_path / "card.toml").write_text(changed, encoding="utf-8")
        hop_s = 16 / 30 if frames == 48 else None
        settings = AnalyzerSettings(
            method="bpm-gcn", bundle=str(tmp_path), form="steps", hop_s=hop_s
        )
        with pytest.raises(ConfigError, match=fault) if fault else nullcontext():
            catalogue.check_methods([settings])


def test_the_configuration_chooses_the_form() -> None:
    forms = {
        form: type(catalogue.make_analyzer(AnalyzerSettings(method="bpm-gcn", form=form)))
        for form in ("window", "steps")
    }
    assert forms == {"window": GaitAnalyzer, "steps": GaitStepsAnalyzer}


def test_weights_that_do_not_exist_are_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nothing"):
        catalogue.make_analyzer(AnalyzerSettings(method="mart", bundle=str(tmp_path / "nothing")))


class TestI3DOfTSLNet:
    """A trained TSL-Net without the I3D of its features would give confident nonsense."""

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
        asked: list[tuple[str, str]] = []

        def model(method: str, bundle: str) -> Any:
            asked.append((method, bundle))
            return SimpleNamespace(trained="trained" in bundle.rsplit("/", 1)[-1].split("-"))

        monkeypatch.setattr(catalogue, "_model", model)
        return asked

    def _tsl_net(self, path: Path, *, trained: bool = True, **preprocessing: Any) -> Any:
        card = SimpleNamespace(trained=trained, preprocessing=preprocessing)
        return SimpleNamespace(origin=SimpleNamespace(card=card, path=path))

    def test_weights_of_chance_take_an_i3d_of_chance(self, asked: Any, tmp_path: Path) -> None:
        catalogue._i3d_for(SimpleNamespace(origin=None))  # type: ignore[arg-type]
        catalogue._i3d_for(self._tsl_net(tmp_path, trained=False))
        assert asked == [("i3d", "untrained")] * 2

    def test_the_card_names_a_bundle_beside_it(self, asked: Any, tmp_path: Path) -> None:
        catalogue._i3d_for(self._tsl_net(tmp_path, i3d="../i3d-trained"))
        single = tmp_path / "tsl.safetensors"
        single.touch()
        catalogue._i3d_for(self._tsl_net(single, i3d="i3d-trained"))
        assert asked == [
            ("i3d", str(tmp_path / "../i3d-trained")),
            ("i3d", str(tmp_path / "i3d-trained")),
        ]

    def test_trained_weights_need_a_trained_i3d(self, asked: Any, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match=r"preprocessing.i3d is missing"):
            catalogue._i3d_for(self._tsl_net(tmp_path))
        with pytest.raises(BundleError, match="is untrained, but"):
            catalogue._i3d_for(self._tsl_net(tmp_path, i3d="chance"))
        assert asked == [("i3d", str(tmp_path / "chance"))]
