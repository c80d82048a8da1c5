"""From latents and labels to vectors: each with a figure of rows that it was not fitted on.

Everything here is a generator that yields ``(done, total, message)`` between two turns of work, or
``None`` while another process works.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.core.suggest import did_you_mean
from latentlab.evaluation.factors import Factor, joint_vectors
from latentlab.latent.crossval import (
    FOLDS,
    MIN_EACH,
    FitTask,
    evidence_on,
    fit_tasks,
    fold_of_rows,
    has_evidence,
)
from latentlab.latent.directions import Method, orthogonalise, unit
from latentlab.latent.metrics import Interval

Float = NDArray[np.float64]
Step = tuple[int, int, str] | None
Found = dict[str, tuple[Float, Interval | None]]
"""Unit vector ``(D,)`` and its cross-validated figure, where rows are enough, by factor."""


class Lane(Protocol):
    """A process that takes work which cannot yield; see ``latentlab.services.lane``."""

    def run(self, target: str, **arguments: Any) -> Generator[Any, None, Any]:
        """Call ``module:function`` there; yield while waiting, return its value."""
        ...


def chosen_factors(columns: Sequence[Factor], names: Sequence[str] | None) -> list[Factor]:
    """Return the factors that names stand for: a factor's own, or a label with all its classes.

    Raises:
        LatentLabError: there is no such label, or it never varies.
    """
    if names is None:
        return list(columns)
    found: dict[str, Factor] = {}
    for name in names:
        mine = [f for f in columns if f.name == name] or [f for f in columns if f.label == name]
        if not mine:
            known = [f.name for f in columns] + [f.label for f in columns]
            raise LatentLabError(
                f"There is no label '{name}' that varies in these images{did_you_mean(name, known)}"
            )
        found |= {factor.name: factor for factor in mine}
    return list(found.values())


def with_evidence(wanted: Sequence[Factor], names: Sequence[str]) -> list[Factor]:
    """Return the factors that have enough images of each kind to be fitted and judged.

    A rare class is left out where its label was asked for as a whole.

    Args:
        wanted: of ``chosen_factors``.
        names: as asked for.

    Raises:
        LatentLabError: a factor that was asked for by name, or all classes of a label, are rare.
    """
    found = [f for f in wanted if has_evidence(f.values[f.seen], f.binary)]
    for name in names:
        if any(name in (factor.name, factor.label) for factor in found):
            continue
        rare = next(f for f in wanted if name in (f.name, f.label))
        on = int((rare.values[rare.seen] > 0.5).sum())
        counts = (
            f"on in {on} and off in {int(rare.seen.sum()) - on}"
            if rare.binary
            else (f"known for {int(rare.seen.sum())}")
        )
        raise LatentLabError(
            f"'{rare.name}' is {counts} of these images, which is too few to judge a direction by "
            f"({MIN_EACH} of each kind are needed): use more images, or pick groups by hand."
        )
    return found


def method_of(factor: Factor, method: Method) -> Method:
    """Return how a factor is really fitted: classifiers need on and off, so numbers regress."""
    if factor.binary or method in ("mean difference", "joint regression"):
        return method
    return "regression"


def fit_vectors(
    latents: Float,
    columns: Sequence[Factor],
    wanted: Sequence[Factor],
    method: Method,
    *,
    lane: Lane | None = None,
    images: NDArray[Any] | None = None,
    others: Sequence[Float] = (),
) -> Generator[Step, None, Found]:
    """Fit the vectors of some factors.

    Args:
        latents: ``(N, D)``.
        columns: all factors; ``joint regression`` holds those that are not fitted fixed.
        wanted: the ones to fit.
        method: how; see ``method_of``.
        lane: where slow fits run; here, when not given.
        images: which image each row shows, where some show the same; see ``fold_of_rows``.
        others: vectors ``(D,)`` that every direction is made orthogonal to.

    Raises:
        LatentLabError: labels that the method cannot use, or nothing is left beside ``others``.
    """
    if method == "joint regression":
        return (yield from _joint(latents, columns, wanted, images, others))
    tasks = [
        FitTask(f.name, np.flatnonzero(f.seen), f.values[f.seen], method_of(f, method), f.binary)
        for f in wanted
    ]
    if lane is not None:
        work = lane.run(
            "latentlab.latent.crossval:fit_tasks",
            latents=latents,
            tasks=tasks,
            images=images,
            others=list(others),
        )
        found = cast("list[tuple[Float, Interval | None]]", (yield from work))
        return {task.name: row for task, row in zip(tasks, found)}
    rows: Found = {}
    for done, task in enumerate(tasks):
        yield done, len(tasks), f"fitting {task.name}"
        rows[task.name] = fit_tasks(_silent, latents, [task], images, others)[0]
    yield len(tasks), len(tasks), "fitted"
    return rows


def _silent(done: int, total: int, message: str) -> None:
    """Take a report that nobody hears."""


def _joint(
    latents: Float,
    columns: Sequence[Factor],
    wanted: Sequence[Factor],
    images: NDArray[Any] | None,
    others: Sequence[Float],
) -> Generator[Step, None, Found]:
    """Fit all factors together; score the wanted ones on folds that were not fitted on."""
    # No order of the files is a fold: labels of all rows are the same to it.
    fold = fold_of_rows(np.zeros(len(latents)), images)
    scored = [
        f
        for f in wanted
        if has_evidence(f.values[f.seen], f.binary, None if images is None else images[f.seen])
    ]
    scores = {factor.name: np.empty(len(latents)) for factor in scored}
    for k in range(FOLDS) if scored else ():
        rest = fold != k
        part = [Factor(f.name, f.label, f.binary, f.values[rest], f.seen[rest]) for f in columns]
        vectors = joint_vectors(latents[rest], part)
        for name, row in scores.items():
            direction = orthogonalise(vectors[name], others)
            along = latents[rest] @ direction
            row[~rest] = (latents[~rest] @ direction - along.mean()) / along.std()
        yield k + 1, FOLDS + 1, "cross-validating"
    vectors = joint_vectors(latents, columns)
    found: Found = {}
    for factor in wanted:
        evidence = None
        if factor.name in scores:
            seen = factor.seen
            shown = None if images is None else images[seen]
            evidence = evidence_on(
                factor.values[seen], scores[factor.name][seen], factor.binary, shown
            )
        vector = vectors[factor.name]
        found[factor.name] = (orthogonalise(vector, others) if others else unit(vector), evidence)
    yield FOLDS + 1, FOLDS + 1, "fitted all labels together"
    return found


def evidence_of(
    found: Interval | None, binary: bool, rows: str = "cross-validated"
) -> Mapping[str, Any]:
    """Return a figure, and on which rows, as provenance: ``auc`` or ``correlation``, ..."""
    if found is None:
        return {}
    return {
        "auc" if binary else "correlation": found.value,
        "interval": [found.low, found.high],
        "level": found.level,
        "folds": rows,
    }
