"""Scores of maps against labels: hand-computed, lawful, and equal to scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sklearn_metrics

from clusternet.errors import LabelError
from clusternet.metrics import (
    Scores,
    ari,
    confusion_matrix,
    contingency_table,
    majority_mapping,
    mapped_confusion,
    nmi,
    one_to_one_mapping,
)
from clusternet.types import NO_CLASS

PIXELS = 60
CLASSES = 5
ASSIGNMENT = arrays(np.uint8, PIXELS, elements=st.integers(0, CLASSES - 1))
TABLE = arrays(np.int64, (7, 4), elements=st.integers(0, 50))
against_scikit_learn = pytest.mark.filterwarnings("ignore:::sklearn")


def test_hand_computed_scores():
    # class 0: 3 right, 1 taken for class 1; class 1: 4 right, 2 taken for class 0
    scores = Scores.from_confusion(np.array([[3, 1], [2, 4]]))
    assert scores.pixels == 10
    assert scores.accuracy == pytest.approx(0.7)
    assert scores.iou == pytest.approx([3 / 6, 4 / 7])
    assert scores.dice == pytest.approx([6 / 9, 8 / 11])
    assert scores.precision == pytest.approx([3 / 5, 4 / 5])
    assert scores.recall == pytest.approx([3 / 4, 4 / 6])
    assert scores.kappa == pytest.approx((0.7 - 0.5) / 0.5)


@against_scikit_learn
@given(ASSIGNMENT, ASSIGNMENT)
def test_scores_agree_with_scikit_learn(truth, predicted):
    scores = Scores.from_confusion(confusion_matrix(truth, predicted, CLASSES))
    present = np.union1d(truth, predicted)
    options = dict(labels=present, average=None, zero_division=0)
    assert scores.accuracy == pytest.approx(sklearn_metrics.accuracy_score(truth, predicted))
    for ours, theirs in (
        (scores.iou, sklearn_metrics.jaccard_score),
        (scores.dice, sklearn_metrics.f1_score),
        (scores.precision, sklearn_metrics.precision_score),
        (scores.recall, sklearn_metrics.recall_score),
    ):
        assert ours[present] == pytest.approx(theirs(truth, predicted, **options))
    assert scores.mean_iou == pytest.approx(
        sklearn_metrics.jaccard_score(truth, predicted, average="macro", zero_division=0)
    )
    kappa = sklearn_metrics.cohen_kappa_score(truth, predicted)
    assert scores.kappa == pytest.approx(kappa, abs=1e-9, nan_ok=True)


@against_scikit_learn
@given(ASSIGNMENT, ASSIGNMENT)
def test_confusion_matrix_agrees_with_scikit_learn(truth, predicted):
    theirs = sklearn_metrics.confusion_matrix(truth, predicted, labels=range(CLASSES))
    assert (confusion_matrix(truth, predicted, CLASSES) == theirs).all()


@against_scikit_learn
@given(ASSIGNMENT, ASSIGNMENT)
def test_nmi_and_ari_agree_with_scikit_learn(first, second):
    table = contingency_table(first, second, CLASSES, CLASSES)
    assert nmi(table) == pytest.approx(
        sklearn_metrics.normalized_mutual_info_score(first, second), abs=1e-9
    )
    assert ari(table) == pytest.approx(sklearn_metrics.adjusted_rand_score(first, second), abs=1e-9)


@against_scikit_learn
@pytest.mark.parametrize("num_pixels", [0, 1, 2])
def test_nmi_and_ari_of_very_few_pixels_agree_with_scikit_learn(num_pixels):
    first, second = np.zeros(num_pixels, int), np.arange(num_pixels)
    table = contingency_table(first, second, 1, 2)
    assert nmi(table) == sklearn_metrics.normalized_mutual_info_score(first, second)
    assert ari(table) == sklearn_metrics.adjusted_rand_score(first, second)


@pytest.mark.parametrize("sizes", [(5, 5, 1), (7, 7, 3)])  # rounding would give more
def test_nmi_is_one_at_most(sizes):
    assert nmi(np.diag(sizes)) == 1


def test_ari_of_a_thousand_million_pixels_does_not_overflow():
    table = np.array([[4, 1], [1, 4]]) * 10**9
    assert ari(table) == pytest.approx(ari(np.array([[4, 1], [1, 4]]) * 10**6), abs=1e-6)


@given(ASSIGNMENT, ASSIGNMENT, st.integers(0, PIXELS))
def test_tables_of_parts_add_up(truth, predicted, cut):
    parts = [
        confusion_matrix(truth[part], predicted[part], CLASSES)
        for part in (slice(cut), slice(cut, None))
    ]
    assert (sum(parts) == confusion_matrix(truth, predicted, CLASSES)).all()


@given(ASSIGNMENT, ASSIGNMENT)
def test_scores_lie_in_their_range(truth, predicted):
    scores = Scores.from_confusion(confusion_matrix(truth, predicted, CLASSES))
    for values in (scores.iou, scores.dice, scores.precision, scores.recall):
        known = values[~np.isnan(values)]
        assert ((known >= 0) & (known <= 1)).all()
    assert 0 <= scores.mean_iou <= scores.mean_dice <= 1


def test_a_class_in_neither_truth_nor_prediction_is_left_out_of_the_mean():
    scores = Scores.from_confusion(np.array([[1, 1, 0], [0, 2, 0], [0, 0, 0]]))
    assert np.isnan(scores.iou[2])
    assert scores.mean_iou == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_a_predicted_class_that_the_truth_lacks_counts_as_zero():
    scores = Scores.from_confusion(np.array([[1, 1], [0, 0]]))
    assert scores.mean_iou == pytest.approx((1 / 2 + 0) / 2)


def test_no_pixel_at_all_has_no_score():
    scores = Scores.from_confusion(np.zeros((2, 2), np.int64))
    assert scores.pixels == 0
    assert np.isnan([scores.accuracy, scores.mean_iou, scores.kappa]).all()


def test_a_class_that_is_never_predicted_or_never_true_scores_zero():
    scores = Scores.from_confusion(np.array([[0, 2, 0], [0, 3, 1], [0, 0, 0]]))
    assert scores.precision.tolist() == [0, 3 / 5, 0]
    assert scores.recall.tolist() == [0, 3 / 4, 0]
    assert scores.iou.tolist() == [0, 3 / 6, 0]
    assert scores.mean_iou == pytest.approx(1 / 6)


def test_pixels_that_are_not_valid_are_left_out():
    truth, predicted = np.array([[0, 1], [255, 1]]), np.array([[0, 1], [0, 0]])
    matrix = confusion_matrix(truth, predicted, 2, valid=truth != 255)
    assert matrix.tolist() == [[1, 0], [1, 1]]


@pytest.mark.parametrize("wrong", [-1, 3])
def test_a_value_outside_its_range_is_refused(wrong):
    with pytest.raises(LabelError, match="from 0 to 2"):
        confusion_matrix(np.array([0, wrong]), np.array([0, 0]), 3)


def test_majority_mapping_takes_the_most_frequent_class():
    table = np.array([[5, 1, 0], [0, 2, 3], [4, 4, 0], [0, 0, 0], [0, 9, 0]])
    # a tie goes to the lower class, an unseen cluster to the class most frequent over all
    assert majority_mapping(table).tolist() == [0, 2, 0, 1, 1]


@given(st.permutations(range(CLASSES)), st.randoms(use_true_random=False))
def test_one_to_one_matching_undoes_any_permutation(order, random):
    truth = np.array([*range(CLASSES), *(random.randrange(CLASSES) for _ in range(PIXELS))])
    clusters = np.array(order)[truth]
    table = contingency_table(clusters, truth, CLASSES, CLASSES)
    for mapping in (one_to_one_mapping(table), majority_mapping(table)):
        assert (mapping[clusters] == truth).all()


def test_one_to_one_matching_leaves_surplus_clusters_without_a_class():
    mapping = one_to_one_mapping(np.array([[9, 0], [8, 0], [0, 5]]))
    assert mapping.tolist() == [0, NO_CLASS, 1] and mapping.dtype == np.int32


def test_pixels_of_unmatched_clusters_count_as_wrong():
    table = np.array([[9, 0], [8, 0], [0, 5]])
    scores = Scores.from_confusion(mapped_confusion(table, one_to_one_mapping(table)))
    assert scores.accuracy == pytest.approx(14 / 22)
    assert scores.iou == pytest.approx([9 / 17, 1.0])


@given(TABLE)
def test_mapping_moves_every_pixel_once(table):
    confusion = mapped_confusion(table, one_to_one_mapping(table))
    assert confusion.shape == (4, 5) and confusion.dtype == np.int64
    assert (confusion.sum(axis=1) == table.sum(axis=0)).all()


@given(TABLE)
def test_majority_mapping_scores_at_least_as_one_to_one(table):
    right = [
        np.trace(mapped_confusion(table, mapping))
        for mapping in (majority_mapping(table), one_to_one_mapping(table))
    ]
    assert right[0] >= right[1]
