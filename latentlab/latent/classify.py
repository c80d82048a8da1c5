"""Linear classifiers on latents or pixels, by scikit-learn, which is imported when they are used.

They take seconds to minutes and cannot yield: services run them in the CPU process lane.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError

Array = NDArray[Any]
Float = NDArray[np.float64]

DIRECTION_STRENGTH = 0.1
"""Inverse penalty of a direction. Two fits on 2,000 images each of 200 dimensions agree better than
without (cosine 0.95 instead of 0.93 for a rare label), and read new images as well."""


@dataclass(frozen=True, eq=False)
class LinearReader:
    """A linear score: ``rows @ weights + bias``, above 0 for a positive.

    Attributes:
        weights: ``(D,)``, on the rows as they are.
        bias: the constant.
    """

    weights: Float
    bias: float

    def score(self, rows: Array) -> Float:
        """Return the score of ``(N, D)`` rows, ``(N,)``."""
        return np.asarray(np.asarray(rows, np.float64) @ self.weights + self.bias)


def _prepared(rows: Array, labels: Array) -> tuple[Float, Float, Float, NDArray[np.bool_]]:
    """Return standardised rows, their mean and deviation, and the labels as booleans."""
    rows = np.asarray(rows, np.float64)
    values = np.asarray(labels, np.float64)
    if not np.isin(values, (0.0, 1.0)).all():
        raise LatentLabError("A classifier needs a label that is on or off: use regression.")
    positive = values > 0.5
    if positive.all() or not positive.any():
        raise LatentLabError("A direction needs images with and without the attribute.")
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    # A column that never varies tells nothing; 1 leaves it at zero.
    spread = np.where(spread > 0, spread, 1.0)
    return (rows - mean) / spread, mean, spread, positive


def _reader(weights: Array, bias: float, mean: Float, spread: Float) -> LinearReader:
    raw = np.asarray(weights, np.float64) / spread
    return LinearReader(raw, float(bias) - float(raw @ mean))


def fit_logistic(rows: Array, labels: Array, *, strength: float = 1.0) -> LinearReader:
    """Fit logistic regression with an L2 penalty on standardised rows.

    Args:
        rows: ``(N, D)``.
        labels: ``(N,)``, 0 or 1.
        strength: inverse of the penalty (scikit-learn's ``C``).

    Raises:
        LatentLabError: labels that are not 0 and 1, or all the same.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    scaled, mean, spread, positive = _prepared(rows, labels)
    model = LogisticRegression(C=strength, max_iter=500)
    with warnings.catch_warnings():
        # Not quite converged is good enough for a direction.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaled, positive)
    return _reader(model.coef_[0], float(model.intercept_[0]), mean, spread)


def fit_svm(rows: Array, labels: Array, *, strength: float = 0.01) -> LinearReader:
    """Fit a linear support vector machine (squared hinge loss) on standardised rows.

    Arguments and errors as in ``fit_logistic``.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    scaled, mean, spread, positive = _prepared(rows, labels)
    model = LinearSVC(C=strength, dual=False, max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaled, positive)
    return _reader(model.coef_[0], float(model.intercept_[0]), mean, spread)


def logistic_weights(rows: Array, labels: Array) -> Float:
    """Return the weights ``(D,)`` of ``fit_logistic``, with the penalty that directions take."""
    return fit_logistic(rows, labels, strength=DIRECTION_STRENGTH).weights


def svm_weights(rows: Array, labels: Array) -> Float:
    """Return the weights ``(D,)`` of ``fit_svm``."""
    return fit_svm(rows, labels).weights


@dataclass(frozen=True, eq=False)
class PixelReader:
    """Logistic regression on principal components: the baseline that latents have to beat.

    Attributes:
        mean: ``(P,)``, of the training rows.
        axes: ``(count, P)``.
        reader: on the components.
    """

    mean: Float
    axes: Float
    reader: LinearReader

    def score(self, rows: Array) -> Float:
        """Return the score of ``(N, P)`` rows, ``(N,)``."""
        components = (np.asarray(rows, np.float64) - self.mean) @ self.axes.T
        return self.reader.score(components)


def fit_pixels(rows: Array, labels: Array, *, components: int = 200) -> PixelReader:
    """Fit logistic regression on the first principal components of pixel rows.

    Args:
        rows: ``(N, P)``: flattened images.
        labels: ``(N,)``, 0 or 1.
        components: how many; at most N - 1 and P.
    """
    from sklearn.decomposition import PCA

    rows = np.asarray(rows, np.float32)
    count = min(components, len(rows) - 1, rows.shape[1])
    # The randomised solver with a fixed seed is fast on thousands of pixels and repeatable.
    model = PCA(n_components=count, svd_solver="randomized", random_state=0)
    scores = model.fit_transform(rows)
    mean, axes = model.mean_.astype(np.float64), model.components_.astype(np.float64)
    return PixelReader(mean, axes, fit_logistic(scores, labels))
