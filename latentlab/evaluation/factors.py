"""Labels as the columns of a fit, and what each does to the latent when the others stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentlab.data.base import LabelColumn
from latentlab.latent.directions import joint_regression

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Factor:
    """One column of the design of a fit.

    Attributes:
        name: the label, or ``<label>_<class>``.
        label: the label that it belongs to.
        binary: what it is.
        values: float64 ``(N,)``; where it cannot be seen, its mean over where it can.
        seen: bool ``(N,)``.
    """

    name: str
    label: str
    binary: bool
    values: Float
    seen: NDArray[np.bool_]


def factors(labels: Mapping[str, LabelColumn]) -> list[Factor]:
    """Return the columns of labels: one for a number, one a class for a categorical label.

    A row in which a label is unknown or hidden takes the mean: it then says nothing about it.
    Columns that never vary are left out.
    """
    found = []
    for column in labels.values():
        seen = np.isfinite(column.values)
        if column.visible is not None:
            seen = seen & column.visible
        if column.kind == "categorical":
            columns = {
                f"{column.name}_{c}": column.values == i for i, c in enumerate(column.classes)
            }
        else:
            columns = {column.name: column.values}
        for name, raw in columns.items():
            values = np.asarray(raw, np.float64)
            if not seen.any() or len(np.unique(values[seen])) < 2:
                continue
            values = np.where(seen, values, values[seen].mean())
            found.append(Factor(name, column.name, column.kind != "continuous", values, seen))
    return found


def _twins(columns: Sequence[Factor]) -> dict[str, tuple[str, float]]:
    """Return what a column repeats, by name: another one of another label, and 1 or -1.

    Class folders give each class as a label of its own beside the class label: together in one
    design they would be a sum of each other.
    """
    twins: dict[str, tuple[str, float]] = {}
    kept: list[Factor] = []
    # Classes of a categorical label first: they belong together.
    for factor in sorted(columns, key=lambda f: f.name == f.label):
        for other in kept:
            if factor.label == other.label or not factor.binary or not other.binary:
                continue
            if np.array_equal(factor.values, other.values):
                twins[factor.name] = (other.name, 1.0)
            elif np.array_equal(factor.values, 1.0 - other.values):
                twins[factor.name] = (other.name, -1.0)
            if factor.name in twins:
                break
        else:
            kept.append(factor)
    return twins


def joint_vectors(latents: Float, columns: Sequence[Factor]) -> dict[str, Float]:
    """Return the partial mean difference of every factor by name, ``(D,)`` each.

    Of each categorical label one class is left out of the design, as all together make a constant;
    the vector of a class is then its difference from the mean of the others, by their shares. A
    column that repeats another one, or its opposite, takes its vector.
    """
    twins = _twins(columns)
    own = _own_vectors(latents, [factor for factor in columns if factor.name not in twins])
    return {
        factor.name: twins[factor.name][1] * own[twins[factor.name][0]]
        if factor.name in twins
        else own[factor.name]
        for factor in columns
    }


def _own_vectors(latents: Float, columns: Sequence[Factor]) -> dict[str, Float]:
    classes: dict[str, list[Factor]] = {}
    for factor in columns:
        classes.setdefault(factor.label, []).append(factor)
    reference = {group[-1].name for group in classes.values() if len(group) > 1}
    used = [factor for factor in columns if factor.name not in reference]
    design = np.stack([factor.values for factor in used], axis=1)
    # Per unit of the label, not per standard deviation, so that classes can be compared.
    rows = joint_regression(latents, design) / design.std(axis=0)[:, None]
    raw = {factor.name: row for factor, row in zip(used, rows)}
    vectors: dict[str, Float] = {}
    for group in classes.values():
        if len(group) == 1:
            vectors[group[0].name] = raw[group[0].name]
            continue
        shares = np.array([factor.values.mean() for factor in group])
        zero = np.zeros(latents.shape[1])
        effects = np.stack([raw.get(factor.name, zero) for factor in group])
        for i, factor in enumerate(group):
            others = np.delete(shares, i) / np.delete(shares, i).sum()
            vectors[factor.name] = effects[i] - others @ np.delete(effects, i, axis=0)
    return vectors
