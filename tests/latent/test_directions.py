from __future__ import annotations

import numpy as np
import pytest

from latentlab.core.errors import LatentLabError
from latentlab.core.spec import LatentSpace, PartSpec
from latentlab.latent import directions as d
from latentlab.latent.classify import fit_logistic, fit_pixels, fit_svm
from latentlab.latent.crossval import cross_validated
from latentlab.latent.metrics import roc_auc

SPACE = LatentSpace(
    name="two",
    parts=(PartSpec(name="a", shape=(3,)), PartSpec(name="b", shape=(2, 2))),
)


def _world(
    count: int, seed: int, together: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latents = labels @ effects + noise; the two binary labels occur together."""
    rng = np.random.default_rng(seed)
    first = rng.random(count) < 0.3
    second = np.where(rng.random(count) < together, first, rng.random(count) < 0.3)
    labels = np.stack([first, second, rng.normal(size=count)], axis=1).astype(float)
    effects = np.random.default_rng(99).normal(size=(3, 7))
    return labels @ effects + 0.5 * rng.normal(size=(count, 7)), labels, effects


def _cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def test_joint_regression_finds_the_true_effects_of_correlated_labels() -> None:
    latents, labels, effects = _world(6000, 1, together=0.8)
    found = d.joint_regression(latents, labels) / labels.std(0)[:, None]
    np.testing.assert_allclose(found, effects, atol=0.06)
    plain = d.mean_difference(latents, labels[:, 0])
    assert _cosine(found[0], effects[0]) > 0.999
    assert _cosine(plain, effects[0]) < 0.95


def test_mean_difference_is_the_difference_of_means() -> None:
    latents, labels, effects = _world(6000, 2)
    np.testing.assert_allclose(d.mean_difference(latents, labels[:, 0]), effects[0], atol=0.1)
    halves = d.mean_difference(latents, labels[:, 2])
    assert _cosine(halves, effects[2]) > 0.99


@pytest.mark.parametrize("method", d.METHODS)
def test_two_disjoint_fits_agree(method: d.Method) -> None:
    vectors = []
    for seed in (3, 4):
        latents, labels, _ = _world(4000, seed, together=0.5)
        chosen = labels[:, [2]] if method == "regression" else labels
        vectors.append(d.find_vector(latents, chosen, method))
    assert np.linalg.norm(vectors[0]) == pytest.approx(1.0)
    assert _cosine(*vectors) > 0.99


def test_classifiers_point_where_two_gaussians_are_best_told_apart() -> None:
    """Of equal covariance, the best linear rule is S^-1 (m1 - m0) (Fisher 1936)."""
    rng = np.random.default_rng(5)
    covariance = np.array([[2.0, 0.9, 0.0], [0.9, 1.0, 0.2], [0.0, 0.2, 0.5]])
    shift = np.array([1.0, -0.5, 0.3])
    labels = (rng.random(6000) < 0.5).astype(float)
    rows = rng.multivariate_normal(np.zeros(3), covariance, 6000) + labels[:, None] * shift
    best = np.linalg.solve(covariance, shift)
    for fit in (fit_logistic, fit_svm):
        reader = fit(rows, labels)
        assert _cosine(reader.weights, best) > 0.995
        agree = (reader.score(rows) > 0) == (labels > 0.5)
        assert agree.mean() > 0.8


def test_pixel_baseline_scores_new_rows() -> None:
    rng = np.random.default_rng(6)
    labels = (rng.random(1200) < 0.5).astype(float)
    rows = rng.normal(size=(1200, 60)) * np.linspace(3, 0.1, 60) + labels[:, None] * 0.5
    reader = fit_pixels(rows[:800], labels[:800], components=20)
    assert reader.axes.shape == (20, 60)
    assert roc_auc(labels[800:], reader.score(rows[800:])) > 0.7


def test_labels_that_cannot_be_used_say_so() -> None:
    latents, labels, _ = _world(50, 7)
    with pytest.raises(LatentLabError, match="with and without"):
        d.mean_difference(latents, np.ones(50))
    with pytest.raises(LatentLabError, match="never varies"):
        d.joint_regression(latents, np.ones((50, 1)))
    with pytest.raises(LatentLabError, match="sum of others"):
        d.joint_regression(latents, np.column_stack([labels, labels[:, 0]]))
    with pytest.raises(LatentLabError, match="on or off"):
        fit_logistic(latents, labels[:, 2])
    with pytest.raises(LatentLabError, match="choose mean difference"):
        d.find_vector(latents, labels, "guess")  # type: ignore[arg-type]


def test_cross_validation_does_not_see_its_own_rows() -> None:
    rng = np.random.default_rng(8)
    latents = rng.normal(size=(120, 60))
    labels = (rng.random(120) < 0.5).astype(float)
    found = cross_validated(latents, labels, "mean difference", binary=True)
    own = roc_auc(labels, latents @ d.find_vector(latents, labels, "mean difference"))
    assert own > 0.8
    assert found.low < 0.5 < found.high


def test_cross_validation_of_a_number_is_a_correlation() -> None:
    latents, labels, effects = _world(2000, 9)
    found = cross_validated(latents, labels[:, [2]], "regression", binary=False)
    # The best linear reading of the label has R^2 = 1 - 1 / (1 + e' S^-1 e), S of all the rest.
    rest = 0.25 * np.eye(7) + 0.21 * (effects[:2].T @ effects[:2])
    explained = effects[2] @ np.linalg.solve(rest, effects[2])
    assert found.value == pytest.approx(np.sqrt(explained / (1 + explained)), abs=0.02)


def test_a_direction_has_the_scale_of_the_held_out_latents() -> None:
    rng = np.random.default_rng(10)
    held_out = rng.normal(size=(4000, 7)) * np.array([1, 2, 3, 4, 5, 6, 7.0])
    vector = np.array([0, 0, 0, 0, 0, 3.0, 0])
    found = d.make_direction("x", SPACE, vector, held_out, method="mean difference")
    assert found.scale == pytest.approx(held_out[:, 5].std())
    assert {name: a.shape for name, a in found.vector.items()} == {"a": (3,), "b": (2, 2)}
    assert found.vector["b"][1, 0] == 1.0
    np.testing.assert_allclose(d.flat_vector(SPACE, found), vector / 3)
    with pytest.raises(LatentLabError, match="do not depend"):
        d.make_direction("x", SPACE, np.zeros(7), held_out, method="m")


def test_orthogonalise_takes_off_others_that_are_not_orthogonal_themselves() -> None:
    rng = np.random.default_rng(11)
    vector, others = rng.normal(size=7), [rng.normal(size=7) for _ in range(3)]
    others.append(others[0] + others[1])
    found = d.orthogonalise(vector, others)
    assert max(abs(_cosine(found, o)) for o in others) < 1e-12
    basis = np.linalg.qr(np.stack(others[:3]).T)[0]
    best = vector - basis @ basis.T @ vector
    assert _cosine(found, best) == pytest.approx(1.0)
    with pytest.raises(LatentLabError, match="Nothing is left"):
        d.orthogonalise(others[3], others[:2])


def test_calibration_inverts_a_linear_reader() -> None:
    rng = np.random.default_rng(13)
    reader, vectors = rng.normal(size=(4, 9)), rng.normal(size=(4, 9))
    effects = vectors @ reader.T
    found = d.calibrate(vectors, effects, [0, 2], ridge=0.0)
    np.testing.assert_allclose(found @ reader.T, np.eye(4)[[0, 2]], atol=1e-8)
    damped = d.calibrate(vectors, effects, [0, 2], ridge=1.0)
    assert (np.linalg.norm(damped, axis=1) < np.linalg.norm(found, axis=1)).all()


def test_flatten_keeps_the_order_of_the_parts() -> None:
    rng = np.random.default_rng(14)
    parts = {"b": rng.normal(size=(4, 2, 2)), "a": rng.normal(size=(4, 3))}
    flat = d.flatten(SPACE, parts)
    np.testing.assert_array_equal(flat[:, :3], parts["a"])
    back = d.unflatten(SPACE, flat[2])
    np.testing.assert_array_equal(back["b"], parts["b"][2])
    tokens = LatentSpace(name="t", parts=(PartSpec(name="t", shape=(3,), dtype="int64"),))
    with pytest.raises(LatentLabError, match="tokens"):
        d.flatten(tokens, {"t": np.zeros((1, 3))})
