"""How well a direction tells its label on rows that it was not fitted on, and fits as lane work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.latent.directions import Method, find_vector, orthogonalise
from latentlab.latent.metrics import Interval, auc_interval, correlation_interval

Array = NDArray[Any]
Float = NDArray[np.float64]
Report = Callable[[int, int, str], None]

FOLDS = 5
MIN_EACH = 10
"""Rows of each kind from which on a cross-validated figure says something."""


def fold_of_rows(labels: Array, images: Array | None = None, folds: int = FOLDS) -> Array:
    """Return the fold of every row, int64 ``(N,)``, for cross-validation.

    Folds have the same share of each kind, or of low and high numbers; equal labels are dealt out
    in a fixed random order, so that no order of the files matters. Views of one image (its mirror)
    come into one fold: otherwise a row would be judged by a vector fitted on its twin.

    Args:
        labels: ``(N,)``.
        images: which image each row shows, int ``(N,)``; every row another one when not given.
        folds: how many.
    """
    labels = np.asarray(labels)
    shown = np.arange(len(labels)) if images is None else np.asarray(images)
    _, first, inverse = np.unique(shown, return_index=True, return_inverse=True)
    shuffle = np.random.Generator(np.random.Philox(0)).permutation(len(first))
    order = shuffle[np.argsort(labels[first][shuffle], kind="stable")]
    fold = np.empty(len(first), np.int64)
    fold[order] = np.arange(len(first)) % folds
    return np.asarray(fold[inverse])


def has_evidence(labels: Array, binary: bool, images: Array | None = None) -> bool:
    """Whether labels are enough for a cross-validated figure with an interval.

    Views of one image (``images``, as in ``fold_of_rows``) count once.
    """
    labels = np.asarray(labels, np.float64)
    if images is not None:
        labels = labels[np.unique(np.asarray(images), return_index=True)[1]]
    if not binary:
        return len(labels) >= 2 * MIN_EACH
    on = int((labels > 0.5).sum())
    return min(on, len(labels) - on) >= MIN_EACH


def cross_validated(
    latents: Array,
    labels: Array,
    method: Method,
    *,
    binary: bool,
    folds: int = FOLDS,
    images: Array | None = None,
    others: Sequence[Array] = (),
    report: Report | None = None,
) -> Interval:
    """Return how well latents projected on the direction tell the label, on rows not fitted.

    Each fold is projected on the direction of the others, and standardised by the projections of
    these. Binary: AUC with DeLong's interval; continuous: correlation with Fisher's.

    Args:
        latents: ``(N, D)``.
        labels: as in ``find_vector``.
        method: as in ``find_vector``.
        binary: what the label is.
        folds: how many; see ``fold_of_rows``.
        images: as in ``fold_of_rows``.
        others: vectors ``(D,)`` that the direction is made orthogonal to, in each fold again.
        report: called with (done, total, message) after each fold.
    """
    labels = np.asarray(labels)
    single = labels[:, 0] if labels.ndim == 2 else labels
    scores = np.empty(len(latents))
    fold = fold_of_rows(single, images, folds)
    for k in range(folds):
        rest = fold != k
        vector = orthogonalise(find_vector(latents[rest], labels[rest], method), others)
        along = latents[rest] @ vector
        scores[~rest] = (latents[~rest] @ vector - along.mean()) / along.std()
        if report is not None:
            report(k + 1, folds, "cross-validating")
    return evidence_on(single, scores, binary, images)


def evidence_on(
    labels: Array, scores: Array, binary: bool, images: Array | None = None
) -> Interval:
    """Return the AUC (binary), or the correlation, of scores with labels, and its 95% interval.

    Of several views of one image only the first counts: they are no independent rows, and an
    interval that took them for such would be too narrow.

    Args:
        labels: ``(N,)``.
        scores: ``(N,)``.
        binary: what the label is.
        images: as in ``fold_of_rows``.
    """
    if images is not None:
        first = np.unique(np.asarray(images), return_index=True)[1]
        labels, scores = np.asarray(labels)[first], np.asarray(scores)[first]
    return auc_interval(labels, scores) if binary else correlation_interval(labels, scores)


@dataclass(frozen=True, eq=False)
class FitTask:
    """One label to fit; picklable, so that another process can do it.

    Attributes:
        name: what progress calls it.
        rows: int ``(n,)``: the rows of the latents on which the label is known.
        labels: ``(n,)``, or as in ``find_vector``.
        method: as in ``find_vector``.
        binary: what the label is.
    """

    name: str
    rows: Array
    labels: Array
    method: Method
    binary: bool


def fit_tasks(
    report: Report,
    latents: Array,
    tasks: Sequence[FitTask],
    images: Array | None = None,
    others: Sequence[Array] = (),
) -> list[tuple[Float, Interval | None]]:
    """Return the unit vector of every task, and its cross-validated figure where rows are enough.

    It is work of the CPU process lane: it cannot yield, but says after each fold how far it is.

    Args:
        report: called with (done, total, message).
        latents: ``(N, D)``.
        tasks: what to fit.
        images: as in ``fold_of_rows``, for all N rows.
        others: vectors ``(D,)`` that every direction is made orthogonal to.
    """
    found: list[tuple[Float, Interval | None]] = []
    total = len(tasks) * (FOLDS + 1)
    latents = np.asarray(latents, np.float64)
    for i, task in enumerate(tasks):
        done = i * (FOLDS + 1)
        report(done, total, f"fitting {task.name}")
        rows = latents[task.rows]
        vector = orthogonalise(find_vector(rows, task.labels, task.method), others)
        evidence, shown = None, None if images is None else np.asarray(images)[task.rows]
        if has_evidence(task.labels, task.binary, shown):
            evidence = cross_validated(
                rows,
                task.labels,
                task.method,
                binary=task.binary,
                images=shown,
                others=others,
                report=lambda k, _, text, at=done, of=task.name: report(  # type: ignore[misc]
                    at + k, total, f"{text} {of}"
                ),
            )
        found.append((vector, evidence))
    report(total, total, "fitted")
    return found
