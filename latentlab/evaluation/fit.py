"""Edit directions of a model, fitted on labelled images.

Everything here is a generator that yields ``(done, total, message)`` between two turns of work.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from latentlab.backends.probe import Probe
from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.modelfile import StoredModel, read_model, write_model
from latentlab.core.parts import narrowed
from latentlab.core.spec import LatentSpace
from latentlab.data.base import ImageDataset
from latentlab.data.mirror import Mirrored
from latentlab.data.portraits.attributes import EDIT_ATTRIBUTES, hidden_by
from latentlab.evaluation.encode import encode_images
from latentlab.evaluation.factors import Factor, factors
from latentlab.evaluation.measure import Progress, paired_changes, prior_seeds
from latentlab.evaluation.refine import refined
from latentlab.evaluation.vectors import (
    Found,
    Step,
    chosen_factors,
    evidence_of,
    fit_vectors,
    method_of,
)
from latentlab.latent.crossval import evidence_on, has_evidence
from latentlab.latent.directions import (
    calibrate,
    flatten,
    make_direction,
    unit,
)
from latentlab.latent.metrics import Interval

Float = NDArray[np.float64]
FitMethod = Literal[
    "calibrated", "joint regression", "mean difference", "logistic", "linear svm", "regression"
]
"""``calibrated`` is joint regression, corrected by the effects that the probe measures; edits of
portraits are then refined by gradient."""

CALIBRATION_SEED = 900_001
"""Set of prior samples for calibration; no measurement uses it."""
CALIBRATION_SAMPLES = 256
CALIBRATION_AMOUNT = 2.0


def directions_from(
    space: LatentSpace,
    wanted: Sequence[Factor],
    found: Found,
    held_out: Float,
    *,
    method: FitMethod,
    fingerprint: str,
    provenance: Mapping[str, Any],
    groups: Mapping[str, str] | None = None,
) -> dict[str, Direction]:
    """Return fitted vectors as directions by name.

    Args:
        space: that the vectors lie in.
        wanted: the factors.
        found: of ``fit_vectors``, by factor.
        held_out: latents ``(N, D)`` that set the slider unit.
        method: that was asked for; see ``method_of``.
        fingerprint: of the model's weights.
        provenance: what all have in common.
        groups: the heading of a direction, by name.
    """
    directions = {}
    rows = "held-out images" if method == "calibrated" else "cross-validated"
    for factor in wanted:
        vector, figure = found[factor.name]
        own = {"label": factor.label, "column": factor.name, "count": int(factor.seen.sum())}
        directions[factor.name] = make_direction(
            factor.name,
            space,
            vector,
            held_out,
            method=method if method == "calibrated" else method_of(factor, method),
            fingerprint=fingerprint,
            group=(groups or {}).get(factor.name, factor.label.replace("_", " ")),
            provenance=dict(provenance) | own | dict(evidence_of(figure, factor.binary, rows)),
        )
    return directions


def _calibrated(
    backend: Any,
    probe: Probe,
    space: LatentSpace,
    vectors: Mapping[str, Float],
    held_out: Float,
    groups: Mapping[str, str],
    refine: bool,
) -> Generator[Progress, None, dict[str, Float]]:
    """Correct vectors by the effects that the probe reads off decoded prior samples."""
    names = [name for name in vectors if name in probe.columns]
    # One class of a group follows from the others; its effects are not independent.
    names = [n for n in names if n not in _last_of_groups(names, groups)]
    directions = [
        make_direction(n, space, vectors[n], held_out, method="joint regression") for n in names
    ]
    changes = yield from paired_changes(
        backend,
        probe,
        directions,
        names,
        seeds=prior_seeds(CALIBRATION_SEED, CALIBRATION_SAMPLES),
        amount=CALIBRATION_AMOUNT,
    )
    effects = changes.mean(axis=1) / CALIBRATION_AMOUNT
    moves = np.stack([unit(vectors[n]) * d.scale for n, d in zip(names, directions)])
    corrected = dict(zip(names, calibrate(moves, effects, range(len(names)))))
    if not refine:
        return dict(vectors) | corrected
    # The attributes that a person reads an edit by: what the course names, where it is portraits.
    sharp = {n: corrected[n] for n in EDIT_ATTRIBUTES if n in corrected}
    hidden = {name: hidden_by(name) for name in sharp}
    turned = yield from refined(backend, probe, space, sharp, held_out, hidden)
    return dict(vectors) | corrected | turned


def _read_off(
    known: Mapping[str, Factor], vectors: Mapping[str, Float], latents: Float
) -> dict[str, Interval]:
    """Return how well latents ``(N, D)`` along each vector tell its factor, where enough is known.

    Args:
        known: the factors of these N images, by name.
        vectors: ``(D,)``, by name; fitted on other images.
        latents: of the images.
    """
    found = {}
    for name in vectors.keys() & known.keys():
        values, seen = known[name].values, known[name].seen
        if has_evidence(values[seen], known[name].binary):
            along = latents[seen] @ vectors[name]
            found[name] = evidence_on(values[seen], along, known[name].binary)
    return found


def _last_of_groups(names: Sequence[str], groups: Mapping[str, str]) -> set[str]:
    last: dict[str, list[str]] = {}
    for name in names:
        last.setdefault(groups[name], []).append(name)
    return {members[-1] for members in last.values() if len(members) > 1}


def fit_directions(
    backend: Any,
    training: ImageDataset,
    held_out: ImageDataset,
    *,
    method: FitMethod = "joint regression",
    names: Sequence[str] | None = None,
    groups: Mapping[str, str] | None = None,
    probe: Probe | None = None,
    refine: bool = True,
    parts: Sequence[str] = (),
    encoded: tuple[Latents, Latents] | None = None,
) -> Iterator[Progress | dict[str, Direction]]:
    """Fit the directions of a data set's labels; yield progress, then directions by name.

    Args:
        backend: encodes images; its first space is used.
        training: labelled images that the vectors are fitted on.
        held_out: other images; a slider unit is the standard deviation of their latents.
        method: how. ``logistic`` and ``linear svm`` fit numbers by ridge regression.
        names: factors to keep (a label, or ``<label>_<class>``); all when not given. The others
            are still held fixed by ``joint regression`` and ``calibrated``.
        groups: the heading of a direction, by name.
        probe: for ``calibrated``.
        refine: ``calibrated`` also turns the edits of portraits by gradient (see ``refined``), in
            minutes.
        parts: that the directions move, as ``core.parts.chosen_parts`` takes them; all of the
            space when none are given. The other parts of a latent stay as they are.
        encoded: the latents of both data sets, where they are known.

    Raises:
        LatentLabError: no labels, a model that cannot encode, labels that cannot be used, or no
            such part.
    """
    columns = factors(training.labels)
    if not columns:
        raise LatentLabError(f"'{training.name}' has no labels that vary: choose labelled images.")
    wanted = chosen_factors(columns, names)
    if method == "calibrated" and probe is None:
        raise LatentLabError("The method 'calibrated' needs a probe: choose another method.")
    space = narrowed(backend.spec.space(), parts)
    if encoded is None:
        encoded = yield from encoded_pair(backend, training, held_out)
    latents, held = (flatten(space, rows.parts) for rows in encoded)
    work = fit_vectors(
        latents,
        columns,
        columns if method == "calibrated" else wanted,
        "joint regression" if method == "calibrated" else method,
        images=training.shown if isinstance(training, Mirrored) else None,
    )
    found = yield from _no_waiting(work)
    source: dict[str, Any] = {"data": training.describe(), "held_out": held_out.describe()}
    if parts:
        source["parts"] = [part.name for part in space.parts]
    if method == "calibrated" and probe is not None:
        known = factors(held_out.labels)
        found = yield from _recalibrated(backend, probe, space, found, held, columns, known, refine)
        source["probe"] = {"fingerprint": probe.fingerprint}
    yield directions_from(
        space,
        wanted,
        found,
        held,
        method=method,
        fingerprint=backend.spec.fingerprint,
        provenance=source,
        groups=groups,
    )


def encoded_pair(
    backend: Any, training: ImageDataset, held_out: ImageDataset
) -> Generator[Progress, None, tuple[Latents, Latents]]:
    """Return the latents of two data sets; see ``encode_images``."""
    first = yield from encode_images(backend, training, "encoding labelled images")
    second = yield from encode_images(backend, held_out, "encoding held-out images")
    return first, second


def _recalibrated(
    backend: Any,
    probe: Probe,
    space: LatentSpace,
    found: Found,
    held_out: Float,
    columns: Sequence[Factor],
    known: Sequence[Factor],
    refine: bool,
) -> Generator[Progress, None, Found]:
    """Return fitted vectors after their correction, with figures read off held-out latents.

    What was cross-validated was the vector before it.
    """
    headings = {factor.name: factor.label for factor in columns}
    vectors = {name: vector for name, (vector, _) in found.items()}
    vectors = yield from _calibrated(backend, probe, space, vectors, held_out, headings, refine)
    figures = _read_off({factor.name: factor for factor in known}, vectors, held_out)
    return {name: (vectors[name], figures.get(name)) for name in found}


def _no_waiting(work: Generator[Step, None, Found]) -> Generator[Progress, None, Found]:
    """Run a fit that waits for no other process."""
    while True:
        try:
            step = next(work)
        except StopIteration as end:
            found: Found = end.value
            return found
        if step is not None:
            yield step


def portrait_pair(
    backend: Any, count: int = 5000, held_out: int = 5000, seed: int = 21
) -> tuple[ImageDataset, ImageDataset]:
    """Return the renders that ``fit_portraits_directions`` fits on, and its held-out ones."""
    from latentlab.data.portraits.dataset import Portraits

    size = backend.spec.image_shape[1]
    return Portraits(count, seed, size), Portraits(held_out, seed + 1, size)


def fit_portraits_directions(
    backend: Any,
    *,
    probe: Probe | None = None,
    count: int = 5000,
    held_out: int = 5000,
    seed: int = 21,
    method: FitMethod = "calibrated",
    refine: bool = True,
    parts: Sequence[str] = (),
    encoded: tuple[Latents, Latents] | None = None,
) -> Iterator[Progress | dict[str, Direction]]:
    """Fit the edits of a model of portraits on fresh labelled renders.

    Args:
        backend: of the model.
        probe: for ``calibrated``.
        count: renders to fit on.
        held_out: other renders, of which a slider unit is the standard deviation.
        seed: of the renders to fit on; the held-out ones have ``seed + 1``.
        method: as in ``fit_directions``.
        refine: as in ``fit_directions``.
        parts: as in ``fit_directions``.
        encoded: latents of ``portrait_pair`` with the same counts and seed, where they are known.

    Yields:
        Progress, then directions by name: the eight edits, then age, skin tone, hair length, pose,
        light, and the hair colours.
    """
    from latentlab.data.portraits.attributes import ATTRIBUTES

    more = ["age", "skin_tone", "hair_length", "yaw", "tilt", "light_direction"]
    colors = next(spec for spec in ATTRIBUTES if spec.name == "hair_color")
    hair = [f"hair_color_{text}" for text in colors.classes]
    groups = dict.fromkeys(EDIT_ATTRIBUTES, "attributes") | dict.fromkeys(more, "more")
    groups |= dict.fromkeys(hair, "hair colour")
    training, others = portrait_pair(backend, count, held_out, seed)
    for item in fit_directions(
        backend,
        training,
        others,
        method=method,
        names=[*EDIT_ATTRIBUTES, *more, *hair],
        groups=groups,
        probe=probe,
        refine=refine,
        parts=parts,
        encoded=encoded,
    ):
        if isinstance(item, dict):
            yield {name: item[name] for name in groups if name in item}
        else:
            yield item


def store_directions(path: Path, directions: Mapping[str, Direction]) -> None:
    """Put directions into a model file beside those that it has; the same name is replaced.

    Raises:
        LatentLabError: not a model file, directions of other weights, or a file that cannot be
            written.
    """
    stored = read_model(path)
    mark = stored.header.spec.fingerprint
    for direction in directions.values():
        if direction.fingerprint not in ("", mark):
            raise LatentLabError(
                f"Direction '{direction.name}' was fitted on other weights than those in "
                f"'{path.name}': fit it on this model."
            )
    joined = dict(stored.directions) | dict(directions)
    write_model(path, StoredModel(stored.header, stored.weights, joined, stored.preview))
