"""Jobs that make directions from labelled images.

Each is a generator ``job(context, **arguments)`` that yields (done, total, message), or ``None``
while it waits, and returns values that can cross to another process. Importing this module imports
no torch.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.parts import chosen_parts, name_in
from latentlab.core.points import PRIOR
from latentlab.services.directions_data import (
    OWN_GROUP,
    SAMPLES,
    Context,
    Made,
    Step,
    encoded_data,
    flat_vectors,
    no_method,
    source_of,
)
from latentlab.services.maps_read import probe_rows

if TYPE_CHECKING:
    from latentlab.latent.directions import Method

Float = NDArray[np.float64]

LABEL_COUNT = 5000
"""Labelled images that a direction is fitted on, unless more are asked for."""
LABEL_METHODS = ("logistic", "linear svm", "mean difference", "joint regression", "regression")
LabelRow = tuple[str, str, tuple[str, ...], int]
"""Name, kind, classes, and on how many images it is known."""


def label_names(
    context: Context, *, source: str, split: str | None = None, attributes: str | None = None
) -> Generator[Step, None, tuple[LabelRow, ...]]:
    """Return the labels of a data set, by a look at its table alone; no image is read.

    Of ``prior`` they are what the probe reads off a model's own samples.
    """
    if source == PRIOR:
        yield 0, 1, "reading the labels"
        return probe_rows(SAMPLES)
    columns = yield from context.lane.run(
        "latentlab.services.directions_data:labels_in_lane",
        source=source,
        split=split,
        attributes=attributes,
    )
    return tuple(
        (c.name, c.kind, c.classes, int(np.isfinite(c.values).sum())) for c in columns.values()
    )


def fit_label_directions(
    context: Context,
    *,
    model: str,
    source: str,
    labels: tuple[str, ...],
    split: str | None = None,
    method: Method = "logistic",
    count: int | None = LABEL_COUNT,
    orthogonal_to: tuple[Direction, ...] = (),
    attributes: str | None = None,
    held_out: str | None = None,
    mirror: bool = False,
    parts: tuple[str, ...] = (),
) -> Made:
    """Return the directions of labels, one a class for a categorical label.

    What moves some parts of the latents alone is called so: ``smiling (local)``; see
    ``core.parts.name_in``.

    Args:
        context: of the job.
        model: id or path; it must encode.
        source: of labelled images.
        labels: names of labels, or ``<label>_<class>``.
        split: part of the data.
        method: one of ``LABEL_METHODS``; classifiers fit numbers by ridge regression.
        count: at most so many images; ``None`` takes all.
        orthogonal_to: directions that the new ones leave alone.
        attributes: a table of labels for the images.
        held_out: other images, whose deviation is the slider unit; ``source`` itself if none.
        mirror: fit on mirrored images too.
        parts: of the latents that the directions move, as ``core.parts.chosen_parts`` takes them;
            all when none are given.

    Raises:
        LatentLabError: the model cannot encode, there is no such label, or it never varies.
    """
    from latentlab.evaluation.factors import factors
    from latentlab.evaluation.fit import directions_from
    from latentlab.evaluation.vectors import chosen_factors, fit_vectors, with_evidence

    if method not in LABEL_METHODS:
        raise no_method(method, LABEL_METHODS)
    backend = context.library.backend(model)
    space = backend.spec.space()
    kept = chosen_parts(space, parts)
    data = yield from encoded_data(context, model, source, split, count, attributes, mirror, kept)
    columns = factors(data.labels)
    if not labels or not columns:
        known = ", ".join(f.name for f in columns[:8]) or "none that vary"
        raise LatentLabError(f"Choose a label to find the direction of; there are: {known}.")
    wanted = with_evidence(chosen_factors(columns, labels), labels)
    others = flat_vectors(space, orthogonal_to, data.space)
    held = data
    if held_out is not None:
        held = yield from encoded_data(context, model, held_out, None, count, parts=kept)
    found = yield from fit_vectors(
        data.latents,
        columns,
        wanted,
        method,
        lane=context.lane,
        images=data.images,
        others=others,
    )
    made = directions_from(
        data.space,
        wanted,
        found,
        held.latents,
        method=method,
        fingerprint=backend.spec.fingerprint,
        provenance=source_of(data, orthogonal_to, parts) | {"scale_of": dict(held.about)},
        groups={f.name: OWN_GROUP for f in wanted if f.name == f.label},
    )
    return tuple(replace(one, name=name_in(one.name, space, parts)) for one in made.values())
