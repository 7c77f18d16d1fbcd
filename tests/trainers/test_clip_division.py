"""Who is learned from, who chooses, and who is only reported on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jack_stream.errors import UsageError
from tests.trainers.made_clips import write_clips
from trainers.audio_visual.division import divide, labelled_clips
from trainers.audio_visual.measure import results_of
from trainers.data.clips import Clip, ClipSet, read_clips
from trainers.recipe import read_recipe
from trainers.vaanet.recipe import VAANetRecipe

pytestmark = pytest.mark.jittor


def _recipe(path: Path, *overrides: str) -> VAANetRecipe:
    return read_recipe(VAANetRecipe, "vaanet", [f"data.path={str(path)!r}", *overrides])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("made") / "set", clips=24, layout="annotated")


def _names(clips: Any) -> set[str]:
    return {clip.name for clip in clips}


def test_the_published_validation_part_is_reported_on_and_chooses_nothing(folder: Path) -> None:
    found = read_clips(folder)
    data = divide(_recipe(folder, "data.validation_share=0.25"), found)
    (tested,) = data.test.values()
    assert _names(tested) == _names(found.validation)
    assert _names(data.training) | _names(data.validation) == _names(found.training)
    assert not _names(data.training) & _names(data.validation)
    assert {clip.label for clip in data.validation} == {0, 1}
    assert len(data.validation) == 4
    assert data.labels == ("anger", "joy")
    assert data.polarities is not None
    assert data.polarities.tolist() == [0, 1]
    assert "4 clips are held out" in data.said


def test_a_set_with_three_parts_keeps_them(folder: Path) -> None:
    found = read_clips(folder)
    three = replace(found, test=found.validation[:2], validation=found.validation[2:])
    data = divide(_recipe(folder), three)
    assert (data.training, data.validation) == (three.training, three.validation)
    assert list(data.test.values()) == [three.test]


def test_another_set_is_tested_on_whole(folder: Path, tmp_path: Path) -> None:
    other = write_clips(tmp_path / "other", clips=12, seed=9)
    data = divide(_recipe(folder, f"data.test={str(other)!r}"), read_clips(folder))
    assert len(data.test["other"]) == 12


def test_a_class_has_the_models_number_whatever_its_own(folder: Path) -> None:
    swapped = labelled_clips(folder, ("joy", "anger"), "all")
    usual = {clip.name: clip.label for clip in labelled_clips(folder, ("anger", "joy"), "all")}
    assert all(clip.label == 1 - usual[clip.name] for clip in swapped)
    with pytest.raises(UsageError, match="'Joy' is no class"):
        labelled_clips(folder, ("anger", "fear"), None)
    with pytest.raises(UsageError, match="no such part"):
        labelled_clips(folder, ("anger", "joy"), "test")


def _named(*labels: str) -> ClipSet:
    clips = tuple(Clip(f"{i}", i % len(labels), Path(__file__), None, 20, None) for i in range(12))
    return ClipSet(labels, clips, clips[:2])


def test_polarity_is_asked_for_where_it_is_needed(tmp_path: Path) -> None:
    moods = _named("calm", "tense")
    with pytest.raises(UsageError, match="positive"):
        divide(_recipe(tmp_path), moods)
    assert divide(_recipe(tmp_path, "loss.penalty=0"), moods).polarities is None
    said = divide(_recipe(tmp_path, 'loss.positive=["calm"]'), moods).polarities
    assert said is not None
    assert said.tolist() == [1, 0]
    with pytest.raises(UsageError, match="no label"):
        divide(_recipe(tmp_path, 'loss.positive=["happy"]'), moods)
    with pytest.raises(UsageError, match="the same"):
        divide(_recipe(tmp_path), _named("Joy", "joy"))


def test_sentiment_is_the_polarity_of_the_predicted_class(tmp_path: Path) -> None:
    clips = [Clip(f"{i}", label, tmp_path, None, 20, None) for i, label in enumerate([0, 1, 2, 3])]
    logits = np.eye(4)[[1, 1, 0, 2]] * 9.0  # right once; polarity right three times
    polarities = np.array([0, 0, 1, 1], np.float32)
    result = results_of("abcd", clips, logits, temperature=2.0, polarities=polarities)
    figures = {metric.name: metric.value for metric in result.metrics("x")}
    assert figures["accuracy"] == 0.25
    assert figures["sentiment accuracy"] == 0.75
    np.testing.assert_allclose(result.probabilities.max(), 1 / (1 + 3 * np.exp(-4.5)))
    plain = results_of("abcd", clips, logits, temperature=1.0, polarities=None)
    assert "sentiment" not in "\n".join(plain.lines())
