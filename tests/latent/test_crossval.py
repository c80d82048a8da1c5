"""Cross-validation, held to worlds in which the true AUC is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from latentlab.core.errors import LatentLabError
from latentlab.latent.crossval import (
    FOLDS,
    FitTask,
    cross_validated,
    fit_tasks,
    fold_of_rows,
    has_evidence,
)
from latentlab.latent.directions import Method, find_vector


@pytest.mark.parametrize("order", ["sorted", "periodic", "mixed"])
def test_folds_have_the_same_share_whatever_the_order_of_the_files(order: str) -> None:
    labels = {
        "sorted": np.repeat([0.0, 1.0], [83, 17]),
        "periodic": (np.arange(100) % 5 == 0).astype(float),
        "mixed": (np.random.default_rng(1).random(100) < 0.3).astype(float),
    }[order]
    fold = fold_of_rows(labels)
    on = np.bincount(fold[labels > 0], minlength=FOLDS)
    assert on.max() - on.min() <= 1
    sizes = np.bincount(fold, minlength=FOLDS)
    assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(fold, fold_of_rows(labels))


def test_views_of_one_image_are_in_one_fold() -> None:
    images = np.tile(np.arange(50), 2)
    labels = np.tile((np.arange(50) % 3 == 0).astype(float), 2)
    fold = fold_of_rows(labels, images)
    np.testing.assert_array_equal(fold[:50], fold[50:])
    # Twins in other folds would make noise look like a finding.
    rng = np.random.default_rng(2)
    once = rng.normal(size=(60, 40))
    twice = np.concatenate([once, once + 1e-3 * rng.normal(size=once.shape)])
    guess = np.tile((rng.random(60) < 0.5).astype(float), 2)
    seen = np.tile(np.arange(60), 2)
    honest = cross_validated(twice, guess, "logistic", binary=True, images=seen)
    fooled = cross_validated(twice, guess, "logistic", binary=True)
    assert honest.value < 0.65
    assert fooled.value > honest.value + 0.1


def test_views_of_one_image_make_no_interval_narrower() -> None:
    rng = np.random.default_rng(6)
    labels = (np.arange(80) % 2).astype(float)
    once = rng.normal(size=(80, 3)) + labels[:, None]
    twice, seen = np.tile(once, (2, 1)), np.tile(np.arange(80), 2)
    for binary, of in ((True, labels), (False, once[:, 0] + rng.normal(size=80))):
        method: Method = "mean difference" if binary else "regression"
        alone = cross_validated(once, of, method, binary=binary)
        views = cross_validated(twice, np.tile(of, 2), method, binary=binary, images=seen)
        assert views.high - views.low == pytest.approx(alone.high - alone.low, rel=1e-2)
        assert views.value == pytest.approx(alone.value, abs=1e-3)
    # 9 pictures with it are too few, however often they are shown.
    few = np.tile(np.arange(80) < 9, 2)
    assert has_evidence(few, True)
    assert not has_evidence(few, True, seen)
    assert not has_evidence(np.tile(np.arange(19.0), 2), False, np.tile(np.arange(19), 2))


@pytest.mark.parametrize("method", ["mean difference", "logistic", "linear svm"])
def test_the_interval_covers_the_auc_on_endless_new_data(method: Method) -> None:
    """Of two Gaussians with covariance S the AUC of w is Phi(w d / sqrt(2 w S w))."""
    rng = np.random.default_rng(3)
    size, count, rounds = 6, 240, 60
    mix = rng.normal(size=(size, size)) / 2 + np.eye(size)
    covariance, shift = mix @ mix.T, 0.8 * rng.normal(size=size)
    inside = 0
    for _ in range(rounds):
        labels = (np.arange(count) % 4 == 0).astype(float)
        rows = rng.normal(size=(count, size)) @ mix.T + labels[:, None] * shift
        found = cross_validated(rows, labels, method, binary=True)
        vector = find_vector(rows, labels, method)
        truth = norm.cdf(vector @ shift / math.sqrt(2 * vector @ covariance @ vector))
        inside += found.low <= truth <= found.high
    # Three standard errors of 60 draws below 0.95.
    assert inside / rounds >= 0.86


def test_the_other_vectors_are_left_alone_in_every_fold() -> None:
    """A label that only one axis tells is not read when that axis is locked."""
    rng = np.random.default_rng(4)
    labels = (np.arange(400) % 2).astype(float)
    rows = rng.normal(size=(400, 5))
    rows[:, 0] += 3 * labels
    rows[:, 1] += 1 * labels
    plain = cross_validated(rows, labels, "mean difference", binary=True)
    locked = cross_validated(
        rows, labels, "mean difference", binary=True, others=[np.eye(5)[0], np.eye(5)[0] * 2]
    )
    assert plain.value > 0.97
    assert locked.value == pytest.approx(norm.cdf(1 / math.sqrt(2)), abs=0.05)


def test_every_fold_of_every_task_is_reported() -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(80, 3))
    on = (np.arange(80) % 2).astype(float)
    tasks = [
        FitTask("first", np.arange(80), on, "mean difference", True),
        FitTask("number", np.arange(10, 80), rows[10:, 0], "regression", False),
        FitTask("few", np.arange(12), on[:12], "mean difference", True),
    ]
    said: list[tuple[int, int, str]] = []
    found = fit_tasks(lambda *report: said.append(report), rows, tasks)
    assert [figure is None for _, figure in found] == [False, False, True]
    done = [report[0] for report in said]
    assert done == sorted(done)
    assert (said[-1][0], said[-1][1]) == (18, 18)
    assert sum("cross-validating first" in text for *_, text in said) == FOLDS
    np.testing.assert_allclose(np.abs(found[1][0]), [1, 0, 0], atol=1e-2)
    assert found[1][1] is not None
    assert found[1][1].value > 0.999


def test_what_is_enough_evidence() -> None:
    assert has_evidence(np.repeat([0.0, 1.0], [10, 10]), True)
    assert not has_evidence(np.repeat([0.0, 1.0], [50, 9]), True)
    assert has_evidence(np.arange(20.0), False)
    assert not has_evidence(np.arange(19.0), False)
    with pytest.raises(LatentLabError, match="with and without"):
        fit_tasks(
            lambda *_: None,
            np.ones((4, 2)),
            [FitTask("none", np.arange(4), np.ones(4), "mean difference", True)],
        )
