import json
from pathlib import Path

import numpy as np
import pytest

from jack_stream.errors import UsageError
from jack_stream.features.localization import Segment
from trainers.metrics.localization import TrueSegment, evaluate, read_ground_truth

LETTERS = ("n", "p")


def _predictions(path: Path) -> dict[str, list[Segment]]:
    results = json.loads(path.read_text())["results"]
    return {
        video: [Segment(LETTERS.index(p["label"]), p["score"], *p["segment"]) for p in found]
        for video, found in results.items()
    }


@pytest.mark.parametrize("order", ["p_first", "n_first"])
@pytest.mark.parametrize("thresholds", ["original", "jack_thresholds"])
def test_figures_meet_the_released_evaluator_with_the_classes_named_right(
    shared: Path, order: str, thresholds: str
) -> None:
    folder = shared / "golden/tsl_eval" / order
    truth = read_ground_truth(folder / "gt.json")
    result = evaluate(truth, _predictions(folder / thresholds / "temp_result.json"))
    golden = json.loads((folder / thresholds / "metrics.json").read_text())
    summary = result.summary()
    assert summary["AP negative"] == pytest.approx(golden["true_nAP"], abs=1e-6)
    assert summary["AP positive"] == pytest.approx(golden["true_pAP"], abs=1e-6)
    assert summary["mAP"] == pytest.approx(golden["average_mAP"], abs=1e-6)
    assert summary["recall"] == pytest.approx(golden["Rc@AVG"], abs=1e-6)
    assert summary["F2"] == pytest.approx(golden["F2@AVG"], abs=1e-6)
    np.testing.assert_allclose(result.mean_average_precision, golden["mAP"], atol=1e-6)
    np.testing.assert_allclose(result.precision, golden["Pr"], atol=1e-6)
    np.testing.assert_allclose(result.recall, golden["Rc"], atol=1e-6)
    np.testing.assert_allclose(result.f2, golden["F2"], atol=1e-6)


def test_crowded_predictions_meet_the_released_evaluator(shared: Path) -> None:
    folder = shared / "golden/tsl_eval"
    golden = json.loads((folder / "dense_metrics.json").read_text())
    truth = read_ground_truth(folder / "dense_gt.json")
    tiou = tuple(golden["tiou"])
    result = evaluate(truth, _predictions(folder / "dense_pred.json"), tiou=tiou)
    classes = {"n": "negative", "p": "positive"}
    for letter, column in golden["activity_index"].items():
        expected = [row[column] for row in golden["ap[tiou][class]"]]
        np.testing.assert_allclose(result.average_precision[classes[letter]], expected, atol=1e-6)
    np.testing.assert_allclose(result.precision, golden["Pr"], atol=1e-6)
    np.testing.assert_allclose(result.recall, golden["Rc"], atol=1e-6)
    np.testing.assert_allclose(result.f2, golden["F2"], atol=1e-6)


def test_a_class_without_a_prediction_has_precision_zero_and_ends_nothing() -> None:
    truth = {"a": [TrueSegment(0, 0, 10), TrueSegment(1, 20, 30)]}
    result = evaluate(truth, {"a": [Segment(0, 0.9, 0, 10)]})
    assert result.summary() == pytest.approx(
        {"mAP": 0.5, "recall": 0.5, "F2": 0.5, "AP negative": 1.0, "AP positive": 0.0}
    )


def test_a_true_segment_is_found_once_and_a_second_hit_counts_as_wrong() -> None:
    truth = {"a": [TrueSegment(0, 0, 10)]}
    twice = {"a": [Segment(0, 0.9, 0, 10), Segment(0, 0.8, 0, 10)]}
    result = evaluate(truth, twice, tiou=(0.5,))
    assert result.average_precision["negative"] == pytest.approx([1.0])
    assert result.precision == pytest.approx([0.75])  # the mean of 1/1 and 1/2
    assert "positive" not in result.average_precision


def test_predictions_in_videos_without_annotation_count_as_wrong() -> None:
    truth = {"a": [TrueSegment(0, 0, 10)]}
    result = evaluate(
        truth, {"b": [Segment(0, 0.9, 0, 10)], "a": [Segment(0, 0.5, 0, 10)]}, tiou=(0.5,)
    )
    assert result.average_precision["negative"] == pytest.approx([0.5])


def test_the_real_ground_truth_is_read_and_a_perfect_prediction_finds_all_of_it(
    shared: Path,
) -> None:
    truth = read_ground_truth(shared / "data/tsl300/gt.json")
    counted = [s.label for segments in truth.values() for s in segments]
    assert (counted.count(0), counted.count(1)) == (232, 352)  # negative, positive
    perfect = {
        video: [Segment(s.label, 1.0, s.start_s, s.end_s) for s in segments]
        for video, segments in truth.items()
    }
    assert evaluate(truth, perfect).summary()["mAP"] == pytest.approx(1.0)


def test_only_the_subset_is_read_and_strings_become_seconds(tmp_path: Path) -> None:
    path = tmp_path / "gt.json"
    entry = {"subset": "test", "annotations": [{"segment": ["1.5", "2"], "label": "p"}]}
    path.write_text(json.dumps({"database": {"v": entry, "w": {**entry, "subset": "train"}}}))
    assert read_ground_truth(path) == {"v": [TrueSegment(1, 1.5, 2.0)]}


@pytest.mark.parametrize("text", ["[]", "{", '{"database": {"v": {"subset": "test"}}}'])
def test_a_file_of_another_form_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gt.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"gt\.json can't be read as TSL-300 ground truth"):
        read_ground_truth(path)
