import numpy as np
import pytest

from trainers.metrics.classification import (
    abstain_threshold,
    accuracy,
    average_recall,
    confusion_matrix,
    fit_temperature,
    per_clip,
    recalls,
    softmax,
    weighted_f1,
)


def test_a_table_made_by_hand() -> None:
    truth = [0, 0, 0, 0, 1, 1, 3]
    predicted = [0, 0, 0, 1, 1, 3, 0]
    matrix = confusion_matrix(truth, predicted, 4)
    expected = [[3, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]]
    np.testing.assert_array_equal(matrix, expected)
    assert accuracy(matrix) == pytest.approx(4 / 7)
    np.testing.assert_allclose(recalls(matrix), [0.75, 0.5, np.nan, 0.0])
    assert average_recall(matrix) == pytest.approx((0.75 + 0.5 + 0.0) / 3)


def test_recall_does_not_mind_how_often_a_class_occurs() -> None:
    few = confusion_matrix([0, 1, 1], [0, 1, 0], 2)
    many = confusion_matrix([0] * 100 + [1, 1], [0] * 100 + [1, 0], 2)
    assert average_recall(few) == average_recall(many) == 0.75
    assert accuracy(many) > accuracy(few)


def test_nothing_has_no_figure() -> None:
    empty = confusion_matrix([], [], 3)
    assert empty.shape == (3, 3)
    assert np.isnan(accuracy(empty))
    assert np.isnan(average_recall(empty))


def test_a_clip_is_the_mean_of_its_windows() -> None:
    probabilities = np.array([[1.0, 0.0], [0.5, 0.5], [0.2, 0.8], [0.0, 1.0]])
    names, means = per_clip(probabilities, np.array(["b", "a", "b", "b"]))
    assert names.tolist() == ["a", "b"]
    np.testing.assert_allclose(means, [[0.5, 0.5], [0.4, 0.6]])


def test_the_temperature_undoes_an_exaggeration() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 4))
    truth = np.array([rng.choice(4, p=p) for p in softmax(logits)])
    assert fit_temperature(logits * 3, truth, np.ones(4000)) == pytest.approx(3, rel=0.1)


def test_the_temperature_minds_the_weights() -> None:
    logits = np.array([[4.0, 0.0], [4.0, 0.0]])
    truth = np.array([0, 1])
    trusting = fit_temperature(logits, truth, np.array([1.0, 0.001]))
    doubting = fit_temperature(logits, truth, np.array([1.0, 1.0]))
    assert trusting < 1 < doubting


def test_the_threshold_keeps_what_is_right() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.45, 0.55]])
    truth = np.array([0, 0, 1, 0])
    threshold = abstain_threshold(probabilities, truth, np.ones(4))
    assert 0.6 < threshold <= 0.8


def test_no_threshold_where_it_does_not_help() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4]])
    assert abstain_threshold(probabilities, np.array([0, 0]), np.ones(2)) == 0.0


def test_f1_weighs_classes_by_their_size() -> None:
    matrix = np.array([[8, 2, 0], [1, 4, 0], [0, 0, 0]])
    first, second = 2 * 8 / (10 + 9), 2 * 4 / (5 + 6)
    assert weighted_f1(matrix) == pytest.approx((10 * first + 5 * second) / 15)
    assert weighted_f1(np.diag([3, 4])) == 1
    assert np.isnan(weighted_f1(np.zeros((2, 2), np.int64)))
