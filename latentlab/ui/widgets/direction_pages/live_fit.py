"""The direction of answers so far, at once: a mean difference is quick enough between two keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents, stack
from latentlab.core.spec import LatentSpace
from latentlab.ui.widgets.direction_pages.evidence_bar import Evidence

ENOUGH = 5
"""Answers of each kind from which on a direction is shown."""
ENOUGH_TO_CHECK = 10
"""Answers of each kind from which on its cross-validated AUC is shown."""


@dataclass(frozen=True, eq=False)
class LiveFit:
    """What the answers say.

    Attributes:
        direction: from no to yes; its slider unit is the deviation over all images seen.
        evidence: cross-validated AUC, from ``ENOUGH_TO_CHECK`` answers of each kind on.
    """

    direction: Direction
    evidence: Evidence | None


def live_fit(
    name: str,
    space: LatentSpace,
    yes: Sequence[Latents],
    no: Sequence[Latents],
    skipped: Sequence[Latents] = (),
    fingerprint: str = "",
) -> LiveFit | None:
    """Return the mean difference of the answers; ``None`` while they are too few, or alike.

    Args:
        name: of the direction.
        space: of the latents.
        yes: one row for each yes.
        no: likewise.
        skipped: they count for the slider unit alone.
        fingerprint: of the weights that made them.
    """
    if min(len(yes), len(no)) < ENOUGH:
        return None
    # Here, so that the window's first paint does not wait for it.
    from latentlab.latent.crossval import cross_validated
    from latentlab.latent.directions import flatten, make_direction, mean_difference

    try:
        rows = flatten(space, stack([*yes, *no]).parts)
        seen = flatten(space, stack([*yes, *no, *skipped]).parts)
        labels = np.repeat([1.0, 0.0], [len(yes), len(no)])
        direction = make_direction(
            name,
            space,
            mean_difference(rows, labels),
            seen,
            method="mean difference",
            fingerprint=fingerprint,
            provenance={"data": {"positive": len(yes), "negative": len(no)}},
        )
        if min(len(yes), len(no)) < ENOUGH_TO_CHECK:
            return LiveFit(direction, None)
        found = cross_validated(rows, labels, "mean difference", binary=True)
    except LatentLabError:
        # Answers that are alike, or tokens: the strip stays empty until they are not.
        return None
    return LiveFit(direction, Evidence("AUC", found.value, found.low, found.high, found.level))
