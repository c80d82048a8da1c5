"""Points of a latent space: the encoded images of a data set, or prior samples, for a map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.core.labels import LabelColumn
from latentlab.core.latents import Array, Latents
from latentlab.core.suggest import did_you_mean

PRIOR = "prior"
"""``PointSet.source`` of prior samples."""


@dataclass(frozen=True, eq=False)
class PointSet:
    """N points of one latent space, each with where it came from.

    Attributes:
        model: id of the model that encoded them.
        fingerprint: of its weights.
        space: name of the latent space.
        source: as ``open_dataset`` takes it, or ``PRIOR``.
        split: part of the source, or ``None``.
        rows: int64 ``(N,)``: the image's index in the data set, or the seed of a prior sample.
        parts: latents ``(N, *shape)`` by part name, float16 or float32; may be memory-mapped.
        labels: columns of N values by name; none for prior samples.
        coordinates: ready-made layouts, float32 ``(N, 2)``, by method (``tsne``, ``umap`` ...).
        picture_map: float32 ``(k, D)``: takes a latent, its parts flat in the order of their names,
            to k numbers whose Euclidean distances are like those between pictures; the row that
            changes pictures most comes first. ``None`` where it is not known. Zero for parts of
            which it is not known.
        placed_by: the parts that ``coordinates`` were made from; all when none are named.
    """

    model: str
    fingerprint: str
    space: str
    source: str
    rows: NDArray[np.int64]
    parts: Mapping[str, Array]
    split: str | None = None
    labels: Mapping[str, LabelColumn] = field(default_factory=dict)
    coordinates: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    picture_map: NDArray[np.float32] | None = None
    placed_by: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def is_prior(self) -> bool:
        """Whether the points are prior samples, which a seed makes again."""
        return self.source == PRIOR

    def latents(self, points: Sequence[int] | NDArray[np.integer]) -> Latents:
        """Return the latents of some points as float32 rows."""
        chosen = np.asarray(points, np.int64)
        return Latents(
            self.space,
            {name: np.asarray(array[chosen], np.float32) for name, array in self.parts.items()},
        )


def narrowed_points(points: PointSet, parts: Sequence[str]) -> PointSet:
    """Return points with some parts of their latents alone: what a map of these parts is made of.

    Ready-made layouts stay where they are of just these parts, the picture map where it is known
    for each of them.

    Args:
        points: of a whole space.
        parts: names; all of them when none are given.

    Raises:
        LatentLabError: the points have no such part.
    """
    names = sorted(points.parts)
    unknown = [name for name in parts if name not in names]
    if unknown:
        raise LatentLabError(
            f"These points have no part '{unknown[0]}'{did_you_mean(unknown[0], names)}"
        )
    kept = [name for name in names if not parts or name in parts]
    sizes = [math.prod(points.parts[name].shape[1:]) for name in names]
    starts = dict(zip(names, np.cumsum([0, *sizes])))
    turn = points.picture_map
    if turn is not None:
        columns = [turn[:, starts[n] : starts[n] + sizes[names.index(n)]] for n in kept]
        known = all(np.abs(column).max() > 0 for column in columns)
        turn = np.concatenate(columns, axis=1) if known else None
    same = set(kept) == set(points.placed_by or names)
    return replace(
        points,
        parts={name: array for name, array in points.parts.items() if name in kept},
        picture_map=turn,
        coordinates=points.coordinates if same else {},
        placed_by=(),
    )
