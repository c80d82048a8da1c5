from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.stats import norm
from sklearn.metrics import r2_score, roc_auc_score

from latentlab.latent import metrics


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_psnr_of_a_known_error() -> None:
    images = np.zeros((2, 3, 4, 4))
    others = images.copy()
    others[0] += 0.02
    found = metrics.psnr(images, others)
    assert found[0] == pytest.approx(20 * math.log10(2 / 0.02))
    assert np.isinf(found[1])


def test_frechet_distance_agrees_with_a_matrix_square_root() -> None:
    rng = _rng()
    first = rng.normal(size=(400, 12)) @ rng.normal(size=(12, 12)) + rng.normal(size=12)
    second = rng.normal(size=(300, 12)) @ rng.normal(size=(12, 12))
    c1, c2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    shift = first.mean(0) - second.mean(0)
    expected = shift @ shift + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert metrics.frechet_distance(first, second) == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_of_diagonal_gaussians_is_the_closed_form() -> None:
    s1, s2 = np.array([1.0, 2.0, 0.0]), np.array([3.0, 0.5, 1.0])
    m1, m2 = np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0, 0.0])
    found = metrics.frechet_from_moments(m1, np.diag(s1**2), m2, np.diag(s2**2))
    assert found == pytest.approx(((m1 - m2) ** 2).sum() + ((s1 - s2) ** 2).sum(), rel=1e-9)


def test_frechet_distance_with_fewer_rows_than_features() -> None:
    rows = _rng().normal(size=(10, 40))
    assert metrics.frechet_distance(rows, rows) == pytest.approx(0.0, abs=1e-6)
    moved = rows + 0.5
    assert metrics.frechet_distance(rows, moved) == pytest.approx(40 * 0.25, rel=1e-6)
    with pytest.raises(ValueError, match="two rows"):
        metrics.frechet_distance(rows[:1], rows)


def test_auc_with_ties_agrees_with_scikit_learn() -> None:
    rng = _rng(1)
    labels = rng.random(500) < 0.3
    scores = np.round(rng.normal(size=500) + labels, 1)
    assert len(np.unique(scores)) < 100
    assert metrics.roc_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    with pytest.raises(ValueError, match="both classes"):
        metrics.roc_auc(np.ones(5), np.arange(5))


def test_r_squared_agrees_with_scikit_learn() -> None:
    rng = _rng(2)
    truth, guess = rng.normal(size=50), rng.normal(size=50)
    assert metrics.r_squared(truth, guess) == pytest.approx(r2_score(truth, guess))


@pytest.mark.parametrize(
    ("truth", "on", "off"),
    [(0.76, 60, 90), (0.9, 12, 12), (0.98, 20, 30), (0.9995, 40, 160)],
)
def test_the_auc_interval_covers_the_true_auc_at_least_as_often_as_it_says(truth, on, off) -> None:
    """Of two Gaussians of the same spread the AUC is Phi(shift / sqrt 2)."""
    shift, inside, rounds = math.sqrt(2) * norm.ppf(truth), 0, 300
    rng = _rng(3)
    labels = np.repeat([1.0, 0.0], [on, off])
    for _ in range(rounds):
        scores = rng.normal(size=on + off) + shift * labels
        found = metrics.auc_interval(labels, scores)
        assert found.value == pytest.approx(roc_auc_score(labels, scores))
        assert 0 <= found.low <= found.value <= found.high <= 1
        inside += found.low <= truth <= found.high
    # Three standard errors of 300 draws below 0.95.
    assert inside / rounds >= 0.912


def test_the_auc_interval_of_many_rows_is_that_of_delong() -> None:
    """Written out pair by pair, for scores of two unequal spreads."""
    rng = _rng(5)
    labels = np.repeat([1.0, 0.0], [300, 400])
    scores = rng.normal(size=700) * np.where(labels > 0, 2.0, 0.5) + labels
    wins = (scores[:300, None] > scores[None, 300:]).astype(float)
    error = math.sqrt(wins.mean(1).var(ddof=1) / 300 + wins.mean(0).var(ddof=1) / 400)
    found = metrics.auc_interval(labels, scores)
    assert found.low == pytest.approx(wins.mean() - 1.959964 * error, rel=1e-6)
    assert found.high == pytest.approx(wins.mean() + 1.959964 * error, rel=1e-6)


def test_correlation_interval_holds_the_correlation() -> None:
    rng = _rng(4)
    first = rng.normal(size=400)
    second = 0.6 * first + 0.8 * rng.normal(size=400)
    found = metrics.correlation_interval(first, second)
    assert found.value == pytest.approx(np.corrcoef(first, second)[0, 1])
    assert found.low < 0.6 < found.high
    assert found.high - found.low == pytest.approx(4 * 0.64 / math.sqrt(400), rel=0.15)
    assert metrics.correlation(np.ones(5), np.arange(5)) == 0.0


def test_paired_bootstrap_sees_a_difference_that_is_there_and_none_that_is_not() -> None:
    rng = _rng(5)
    labels = rng.random(600) < 0.5
    good = rng.normal(size=600) + 1.5 * labels
    bad = good + 2.0 * rng.normal(size=600)
    better = metrics.bootstrap_auc_difference(labels, good, bad, rounds=300)
    expected = roc_auc_score(labels, good) - roc_auc_score(labels, bad)
    assert better.value == pytest.approx(expected)
    assert 0 < better.low < better.value < better.high
    twin = good + 0.3 * rng.normal(size=600), good + 0.3 * rng.normal(size=600)
    same = metrics.bootstrap_auc_difference(labels, *twin, rounds=300)
    assert same.low < 0 < same.high


def test_active_units_counts_those_that_vary() -> None:
    rng = _rng(6)
    means = rng.normal(size=(1000, 5)) * np.array([1.0, 0.2, 0.05, 0.0, 0.11]) + 3.0
    assert metrics.active_units(means) == 3
