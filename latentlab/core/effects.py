"""What sliders do, measured on decoded images: the effect matrix and what is read off it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from latentlab.core.direction import Direction

Float = NDArray[np.float64]
WARNING_SHARE = 0.5
"""A side effect over this share of the effect is warned of."""


@dataclass(frozen=True)
class EditFigures:
    """What one edit does, in standard deviations of the data.

    Attributes:
        target: mean paired change of the attribute itself.
        side: largest mean absolute paired change of another attribute.
        side_attribute: which one.
        selectivity: target / side.
    """

    target: float
    side: float
    side_attribute: str
    selectivity: float

    @property
    def warns(self) -> bool:
        """Whether the side effect exceeds half of the effect."""
        return self.side > WARNING_SHARE * abs(self.target)


@dataclass(frozen=True, eq=False)
class EffectReport:
    """M directions moved by ``amount`` sigma each on the same N samples; K attributes read.

    Attributes:
        directions: M names.
        columns: K names of what was read.
        mean: ``(M, K)`` mean paired change, in standard deviations of the data.
        size: ``(M, K)`` mean absolute paired change, likewise.
        error: ``(M, K)`` standard error of ``mean``.
        cosines: ``(M, M)`` cosine between directions.
        targets: column that a direction is meant to move, where it is not called so itself.
        hidden: attributes that moving an attribute hides, by name: they count as no side effect.
        amount: slider units.
        samples: N.
        seed: of the set of samples.
        reader: what read the images, for a person: ``probe`` or the classifier and its data.
        reliability: how well the reader reads each column on images that it was not fitted on
            (AUC or correlation), by column; may be empty.
    """

    directions: tuple[str, ...]
    columns: tuple[str, ...]
    mean: Float
    size: Float
    error: Float
    cosines: Float
    amount: float
    samples: int
    seed: int
    reader: str
    targets: Mapping[str, str] = field(default_factory=dict)
    hidden: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reliability: Mapping[str, float] = field(default_factory=dict)

    def target_of(self, direction: str) -> str | None:
        """Return the column that a direction is meant to move, if it is read."""
        wanted = self.targets.get(direction, direction)
        return wanted if wanted in self.columns else None

    def figures(self, direction: str, target: str | None = None) -> EditFigures | None:
        """Return target, side and selectivity of a direction.

        ``None`` when what it should move is not read, or nothing else is.
        """
        target = target or self.target_of(direction)
        if target is None or target not in self.columns or direction not in self.directions:
            return None
        row = self.directions.index(direction)
        left_out = {target, *self.hidden.get(target, ())}
        others = [k for k, name in enumerate(self.columns) if name not in left_out]
        if not others:
            return None
        worst = max(others, key=lambda k: self.size[row, k])
        effect, side = (
            float(self.mean[row, self.columns.index(target)]),
            float(self.size[row, worst]),
        )
        selectivity = effect / side if side > 0 else float("inf")
        return EditFigures(effect, side, self.columns[worst], selectivity)


@dataclass(frozen=True, eq=False)
class Orthogonalised:
    """Directions made to do one thing each, and what that changed.

    Attributes:
        directions: in the order in which they came; those that could not be bettered as they were.
        before: what the old ones do, on samples that nothing was solved on.
        after: what the new ones do, on the same samples.
    """

    directions: tuple[Direction, ...]
    before: EffectReport
    after: EffectReport
