import importlib
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from jack_stream.errors import BundleError, ModelInputError, UsageError
from jack_stream.models import METHODS, Model, create, load, methods, untrained
from jack_stream.models.labels import EKMAN_6, EMOTION_GAIT, VIDEO_EMOTION_8
from jack_stream.weights.bundle import write_bundle
from jack_stream.weights.card import Card, Provenance, TrainingData

pytestmark = pytest.mark.jittor

UTTERANCE = {"n_classes": 6, "audio_n_segments": 1}


def _audio(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"audio": (20 * rng.standard_normal((2, 256, 32))).astype(np.float32)}


@pytest.fixture(scope="module")
def model() -> Model:
    return untrained("vaanet-audio", seed=3, **UTTERANCE)


def test_importing_the_registry_imports_no_jittor() -> None:
    code = "import sys, jack_stream.models; sys.exit('jittor' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("method", methods())
def test_every_method_has_a_module_and_a_summary(method: str) -> None:
    entry = METHODS[method]
    path, _, name = entry.factory.partition(":")
    factory = getattr(importlib.import_module(path), name)
    assert hasattr(factory, "execute")
    assert entry.summary
    assert entry.source
    assert entry.modalities


def test_the_page_describes_every_method() -> None:
    page = (Path(__file__).parents[2] / "docs/models.md").read_text()
    rows = [line.split("|")[1].strip(" `") for line in page.splitlines() if line.startswith("| `")]
    assert set(rows) == set(methods())


def test_an_unknown_method_is_told_apart_from_a_misspelt_one() -> None:
    with pytest.raises(UsageError, match="did you mean 'vaanet-audio'"):
        create("vanet-audio")
    with pytest.raises(UsageError, match="there are vaanet, "):
        create("resnet")


def test_a_wrong_architecture_is_named() -> None:
    with pytest.raises(UsageError, match="'pieces'") as error:
        create("vaanet-audio", pieces=3)
    assert "it takes n_classes, audio_n_segments" in str(error.value)


def test_untrained_weights_depend_on_the_seed_alone(model: Model) -> None:
    again = untrained("vaanet-audio", seed=3, **UTTERANCE)
    other = untrained("vaanet-audio", seed=4, **UTTERANCE)
    first = model.infer(_audio())["logits"]
    np.testing.assert_array_equal(first, again.infer(_audio())["logits"])
    assert np.abs(first - other.infer(_audio())["logits"]).max() > 1e-3
    assert np.abs(first).max() < 10
    assert not model.trained


def test_the_same_input_gives_the_same_output_and_leaves_it_alone(model: Model) -> None:
    inputs = _audio()
    before = inputs["audio"].copy()
    first, second = model.infer(inputs), model.infer(inputs)
    assert first.keys() == {"logits", "gamma"}
    for name, value in first.items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, second[name])
    np.testing.assert_array_equal(inputs["audio"], before)


def test_inputs_are_checked_before_they_are_run(model: Model) -> None:
    with pytest.raises(ModelInputError, match=r"vaanet-audio: .* must have the shape"):
        model.infer({"audio": np.zeros((2, 255, 32), np.float32)})
    with pytest.raises(ModelInputError, match="nan"):
        model.infer({"audio": np.full((2, 256, 32), np.nan, np.float32)})
    with pytest.raises(ModelInputError, match="must have the shape"):
        model.encode("audio", np.zeros((2, 32, 256), np.float32))
    with pytest.raises(UsageError, match="no items of 'visual'"):
        model.encode("visual", np.zeros((2, 3), np.float32))


def test_a_result_that_is_not_finite_is_no_result() -> None:
    broken = untrained("vaanet-audio", **UTTERANCE)
    weights = broken.weights()
    weights["fc.bias"] = np.full(6, np.inf, np.float32)
    broken.set_weights(weights)
    with pytest.raises(ModelInputError, match="'logits' is not finite"):
        broken.infer(_audio())


def test_weights_come_out_as_they_went_in(model: Model) -> None:
    other = create("vaanet-audio", **UTTERANCE)
    other.set_weights(model.weights())
    np.testing.assert_array_equal(other.infer(_audio())["logits"], model.infer(_audio())["logits"])
    with pytest.raises(BundleError, match=r"1 missing \(fc.bias\)"):
        other.set_weights({k: v for k, v in model.weights().items() if k != "fc.bias"})


def test_labels_follow_the_classes() -> None:
    assert create("vaanet-audio").labels == VIDEO_EMOTION_8
    assert create("vaanet-audio", n_classes=6).labels == EKMAN_6
    assert create("vaanet-audio", n_classes=3).labels == ("class-0", "class-1", "class-2")
    assert METHODS["bpm-gcn"].labels == EMOTION_GAIT


def test_a_bundle_gives_the_model_it_was_made_of(model: Model, tmp_path: Path) -> None:
    card = Card(
        method="vaanet-audio",
        architecture=UTTERANCE,
        labels=("a", "b", "c", "d", "e", "f"),
        trained=True,
        training_data=[TrainingData(name="noise", licence="CC0-1.0")],
        provenance=Provenance(
            author="a test", created_at=datetime.now(timezone.utc), command="pytest"
        ),
    )
    write_bundle(tmp_path / "voice", card, model.weights())
    loaded = load(tmp_path / "voice")
    assert loaded.trained
    assert loaded.labels == ("a", "b", "c", "d", "e", "f")
    assert loaded.architecture == UTTERANCE
    np.testing.assert_array_equal(loaded.infer(_audio())["logits"], model.infer(_audio())["logits"])
