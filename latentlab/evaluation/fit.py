"""Edit directions of a model, fitted on labelled images.

Everything here is a generator that yields ``(done, total, message)`` between two turns of work.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from latentlab.backends.base import EncodeUpdate
from latentlab.backends.images import from_levels
from latentlab.backends.probe import Probe
from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.modelfile import StoredModel, read_model, write_model
from latentlab.core.spec import LatentSpace
from latentlab.data.base import ImageDataset
from latentlab.evaluation.factors import Factor, factors, joint_vectors
from latentlab.evaluation.measure import Progress, paired_changes, prior_seeds
from latentlab.evaluation.strengthen import strengthened
from latentlab.latent.directions import (
    Method,
    calibrate,
    fit_vector,
    flatten,
    make_direction,
    unit,
)
from latentlab.latent.metrics import Interval, auc_interval, correlation_interval

Array = NDArray[Any]
Float = NDArray[np.float64]
FitMethod = Literal[
    "calibrated", "joint regression", "mean difference", "logistic", "linear svm", "regression"
]
"""``calibrated`` is joint regression, corrected by the effects that the probe measures and turned
towards what changes an attribute most where it changes too little."""

CHUNK = 64
LANE_INTERVAL = 0.01
"""Seconds between two looks at a fit in another process."""
CALIBRATION_SEED = 900_001
"""Set of prior samples for calibration; no measurement uses it."""
CALIBRATION_SAMPLES = 256
CALIBRATION_AMOUNT = 2.0


class Lane(Protocol):
    """A process that takes work which cannot yield; see ``latentlab.services.lane``."""

    def run(self, target: str, **arguments: Any) -> Generator[Any, None, Any]:
        """Call ``module:function`` there; yield while waiting, return its value."""
        ...


def encode_images(
    backend: Any, dataset: ImageDataset, message: str = "encoding"
) -> Generator[Progress, None, Latents]:
    """Return the latents of all images of a data set (a VAE's posterior means).

    Raises:
        LatentLabError: the model cannot encode, or has images of another shape.
    """
    if "encode" not in backend.spec.capabilities:
        raise LatentLabError(
            f"'{backend.spec.id}' cannot take images in, so no direction can be fitted on labelled "
            "ones: choose a model that encodes."
        )
    if tuple(dataset.image_shape) != tuple(backend.spec.image_shape):
        raise LatentLabError(
            f"'{dataset.name}' has images {tuple(dataset.image_shape)} (channels, height, width), "
            f"the model {tuple(backend.spec.image_shape)}: open the data at the model's size."
        )
    space = backend.spec.space()
    found: dict[str, list[Array]] = {part.name: [] for part in space.parts}
    for start in range(0, len(dataset), CHUNK):
        levels = dataset.read(np.arange(start, min(start + CHUNK, len(dataset))))
        images = from_levels(levels).to(backend.device)
        updates: deque[EncodeUpdate] = deque(backend.encode(images), maxlen=1)
        for name, values in updates[0].latents.items():
            found[name].append(values.float().cpu().numpy())
        yield start + len(levels), len(dataset), message
    return Latents(space.name, {name: np.concatenate(parts) for name, parts in found.items()})


def _evidence(found: Interval, binary: bool) -> dict[str, Any]:
    return {
        "auc" if binary else "correlation": found.value,
        "interval": [found.low, found.high],
        "level": found.level,
        "folds": "cross-validated",
    }


def _in_lane(
    lane: Lane, task: Mapping[str, Any], waiting: Progress
) -> Generator[Progress, None, tuple[Float, Interval]]:
    """Run one fit in the lane, with ``waiting`` as progress until it is done."""
    work = lane.run("latentlab.latent.directions:fit_in_lane", **task)
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: tuple[Float, Interval] = end.value
            return found
        time.sleep(LANE_INTERVAL)
        yield waiting


def _separate_vectors(
    latents: Float, columns: Sequence[Factor], method: Method, lane: Lane | None
) -> Generator[Progress, None, tuple[dict[str, Float], dict[str, Interval]]]:
    """Fit each factor by itself, on the rows where it is seen."""
    vectors, evidence = {}, {}
    for i, factor in enumerate(columns):
        kind = method if factor.binary or method == "mean difference" else "regression"
        task: dict[str, Any] = {
            "latents": latents[factor.seen],
            "labels": factor.values[factor.seen],
            "method": kind,
            "binary": factor.binary,
        }
        if lane is None:
            found = fit_vector(**task)
        else:
            waiting = (i, len(columns), f"fitting {factor.name}")
            found = yield from _in_lane(lane, task, waiting)
        vectors[factor.name], evidence[factor.name] = found
        yield i + 1, len(columns), f"fitting {factor.name}"
    return vectors, evidence


def _joint_with_evidence(
    latents: Float, columns: Sequence[Factor], folds: int = 5
) -> Generator[Progress, None, tuple[dict[str, Float], dict[str, Interval]]]:
    """Fit all factors together; score each on folds that it was not fitted on."""
    fold = np.arange(len(latents)) % folds
    scores = {factor.name: np.empty(len(latents)) for factor in columns}
    for k in range(folds):
        rest = fold != k
        part = [Factor(f.name, f.label, f.binary, f.values[rest], f.seen[rest]) for f in columns]
        for name, vector in joint_vectors(latents[rest], part).items():
            direction = unit(vector)
            along = latents[rest] @ direction
            scores[name][~rest] = (latents[~rest] @ direction - along.mean()) / along.std()
        yield k + 1, folds + 1, "cross-validating"
    vectors = joint_vectors(latents, columns)
    evidence = {}
    for factor in columns:
        interval = auc_interval if factor.binary else correlation_interval
        seen = factor.seen
        evidence[factor.name] = interval(factor.values[seen], scores[factor.name][seen])
    yield folds + 1, folds + 1, "fitted all labels together"
    return vectors, evidence


def _calibrated(
    backend: Any,
    probe: Probe,
    space: LatentSpace,
    vectors: Mapping[str, Float],
    held_out: Float,
    groups: Mapping[str, str],
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
    single = {n: vector for n, vector in corrected.items() if n == groups[n]}
    stronger = yield from strengthened(backend, probe, space, single, held_out)
    return dict(vectors) | corrected | stronger


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
    lane: Lane | None = None,
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
        lane: where slow fits run; here, when not given.

    Raises:
        LatentLabError: no labels, a model that cannot encode, or labels that cannot be used.
    """
    columns = factors(training.labels)
    if not columns:
        raise LatentLabError(f"'{training.name}' has no labels that vary: choose labelled images.")
    unknown = [name for name in names or () if name not in {f.name for f in columns}]
    if unknown:
        known = ", ".join(f.name for f in columns)
        raise LatentLabError(f"There is no label '{unknown[0]}' to fit; there are: {known}.")
    if method == "calibrated" and probe is None:
        raise LatentLabError("The method 'calibrated' needs a probe: choose another method.")
    space = backend.spec.space()
    encoded = yield from encode_images(backend, training, "encoding labelled images")
    others = yield from encode_images(backend, held_out, "encoding held-out images")
    latents, held = flatten(space, encoded), flatten(space, others)
    kept = [f for f in columns if names is None or f.name in names]
    if method == "joint regression" or method == "calibrated":
        vectors, evidence = yield from _joint_with_evidence(latents, columns)
    else:
        vectors, evidence = yield from _separate_vectors(latents, kept, method, lane)
    if method == "calibrated" and probe is not None:
        headings = {factor.name: factor.label for factor in columns}
        vectors = yield from _calibrated(backend, probe, space, vectors, held, headings)
    source = {"data": training.describe(), "held_out": held_out.describe()}
    if method == "calibrated" and probe is not None:
        source["probe"] = {"fingerprint": probe.fingerprint}
    yield {
        factor.name: make_direction(
            factor.name,
            space,
            vectors[factor.name],
            held,
            method=method,
            fingerprint=backend.spec.fingerprint,
            group=(groups or {}).get(factor.name, factor.label.replace("_", " ")),
            provenance=source | _evidence(evidence[factor.name], factor.binary),
        )
        for factor in kept
    }


def fit_portraits_directions(
    backend: Any,
    *,
    probe: Probe | None = None,
    count: int = 5000,
    held_out: int = 5000,
    seed: int = 21,
    method: FitMethod = "calibrated",
    lane: Lane | None = None,
) -> Iterator[Progress | dict[str, Direction]]:
    """Fit the edits of a model of portraits on fresh labelled renders.

    Args:
        backend: of the model.
        probe: for ``calibrated``.
        count: renders to fit on.
        held_out: other renders, of which a slider unit is the standard deviation.
        seed: of the renders to fit on; the held-out ones have ``seed + 1``.
        method: as in ``fit_directions``.
        lane: as in ``fit_directions``.

    Yields:
        Progress, then directions by name: the eight edits, then age, skin tone, hair length, pose,
        light, and the hair colours.
    """
    from latentlab.data.portraits.attributes import ATTRIBUTES, EDIT_ATTRIBUTES
    from latentlab.data.portraits.dataset import Portraits

    more = ["age", "skin_tone", "hair_length", "yaw", "tilt", "light_direction"]
    colors = next(spec for spec in ATTRIBUTES if spec.name == "hair_color")
    hair = [f"hair_color_{text}" for text in colors.classes]
    groups = dict.fromkeys(EDIT_ATTRIBUTES, "attributes") | dict.fromkeys(more, "more")
    groups |= dict.fromkeys(hair, "hair colour")
    size = backend.spec.image_shape[1]
    for item in fit_directions(
        backend,
        Portraits(count, seed, size),
        Portraits(held_out, seed + 1, size),
        method=method,
        names=[*EDIT_ATTRIBUTES, *more, *hair],
        groups=groups,
        probe=probe,
        lane=lane,
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
