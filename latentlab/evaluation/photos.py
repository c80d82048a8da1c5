"""What a direction tells of labelled photographs, and what it does to them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.backends.probe import Probe
from latentlab.core.direction import Direction, apply_edits
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.data.base import ImageDataset
from latentlab.data.mirror import Mirrored
from latentlab.evaluation.encode import encode_images
from latentlab.evaluation.measure import Progress, chunk_of, levels_in_turns
from latentlab.latent.classify import fit_pixels
from latentlab.latent.directions import flat_vector, flatten
from latentlab.latent.metrics import (
    Interval,
    auc_interval,
    bootstrap_auc_difference,
)

CHUNK = 64
BASELINE_COMPONENTS = 200
Float = NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """How well a direction tells a label on images that it was not fitted on.

    Attributes:
        auc: of the projection on the direction, with DeLong's 95% interval.
        baseline: AUC of logistic regression on principal components of the pixels.
        difference: AUC minus baseline, with its paired bootstrap 95% interval.
        images: how many were read.
    """

    auc: Interval
    baseline: Interval | None
    difference: Interval | None
    images: int


def binary_labels(dataset: ImageDataset, label: str) -> Float:
    """Return a binary label as 0 and 1, ``(N,)``.

    Raises:
        LatentLabError: the data set has no such label, or it is not binary everywhere.
    """
    column = dataset.labels.get(label)
    known = ", ".join(name for name, c in dataset.labels.items() if c.kind == "binary") or "none"
    if column is None or column.kind != "binary":
        raise LatentLabError(f"'{dataset.name}' has no binary label '{label}'; it has: {known}.")
    values = np.asarray(column.values, np.float64)
    if not np.isin(values, (0.0, 1.0)).all() or values.min() == values.max():
        raise LatentLabError(f"Label '{label}' of '{dataset.name}' is not both 0 and 1 everywhere.")
    return values


def _pixels(dataset: ImageDataset) -> NDArray[np.float32]:
    images = dataset.read(np.arange(len(dataset)))
    return images.reshape(len(images), -1).astype(np.float32)


def read_direction(
    backend: Any,
    direction: Direction,
    dataset: ImageDataset,
    label: str,
    *,
    baseline_data: ImageDataset | None = None,
    mirror: bool = False,
) -> Generator[Progress, None, Reading]:
    """Read a label off images by projecting their latents on a direction.

    Args:
        backend: of the model, which must encode.
        direction: in the first space of the model.
        dataset: images that the direction was not fitted on.
        label: binary.
        baseline_data: what the baseline is fitted on; no baseline when not given.
        mirror: score each image as the mean of itself and its mirror image, for the direction and
            for the baseline (which is then fitted on mirrored images too).

    Raises:
        LatentLabError: the direction is not of the model's first space, the model cannot encode, or
            the label is not binary with at least two images of each kind.
    """
    space = backend.spec.space()
    direction.check(space)
    truth = binary_labels(dataset, label)
    if min(truth.sum(), len(truth) - truth.sum()) < 2:
        raise LatentLabError(
            f"'{dataset.name}' has fewer than two images with or without '{label}': use more."
        )
    views = Mirrored(dataset) if mirror else dataset
    latents = yield from encode_images(backend, views)
    scores = _merged(flatten(space, latents.parts) @ flat_vector(space, direction), len(truth))
    if baseline_data is None:
        return Reading(auc_interval(truth, scores), None, None, len(truth))
    yield 0, 1, "fitting the baseline on pixels"
    fitted_on = Mirrored(baseline_data) if mirror else baseline_data
    known = binary_labels(fitted_on, label)
    reader = fit_pixels(_pixels(fitted_on), known, components=BASELINE_COMPONENTS)
    others = _merged(reader.score(_pixels(views)), len(truth))
    yield 1, 1, "fitting the baseline on pixels"
    return Reading(
        auc_interval(truth, scores),
        auc_interval(truth, others),
        bootstrap_auc_difference(truth, scores, others),
        len(truth),
    )


def _merged(scores: Float, count: int) -> Float:
    """Return one score an image: the mean over its views."""
    return scores.reshape(-1, count).mean(axis=0)


@dataclass(frozen=True, eq=False)
class PhotoEdits:
    """What moving photographs along a direction does, by an independent classifier.

    Attributes:
        photos: uint8 ``(N, H, W, C)``.
        reconstructions: uint8, of the unmoved latents.
        edited: uint8, of the moved ones.
        before: the judge's probability for the reconstruction, ``(N,)``.
        after: for the edited image.
        on_photo: for the photograph itself.
        pixel_change: root mean square change of the edited image against the reconstruction, in
            grey levels of 255, ``(N,)``.
        pixel_between: the same between reconstructions of different people, averaged.
        feature_change: distance in the judge's features, ``(N,)``.
        feature_between: the same between different people, averaged.
    """

    photos: NDArray[np.uint8]
    reconstructions: NDArray[np.uint8]
    edited: NDArray[np.uint8]
    before: Float
    after: Float
    on_photo: Float
    pixel_change: Float
    pixel_between: float
    feature_change: Float
    feature_between: float

    def summary(self, raised_by: float) -> dict[str, float]:
        """Return the figures as plain numbers.

        Args:
            raised_by: rise of the probability that counts as a success.
        """
        gain, against_photo = self.after - self.before, self.after - self.on_photo
        return {
            "images": float(len(gain)),
            "probability_photo": float(self.on_photo.mean()),
            "probability_reconstruction": float(self.before.mean()),
            "probability_edited": float(self.after.mean()),
            "share_raised": float((gain >= raised_by).mean()),
            "share_raised_against_photo": float((against_photo >= raised_by).mean()),
            "raised_by": raised_by,
            "pixel_change_rms": float(self.pixel_change.mean()),
            "pixel_distance_between_people_rms": self.pixel_between,
            "feature_change": float(self.feature_change.mean()),
            "feature_distance_between_people": self.feature_between,
        }


def edit_photos(
    backend: Any,
    direction: Direction,
    dataset: ImageDataset,
    judge: Probe,
    label: str,
    amount: float,
) -> Generator[Progress, None, PhotoEdits]:
    """Move photographs along a direction and let a classifier judge the result.

    Args:
        backend: of the model, which must encode.
        direction: of the edit.
        dataset: the photographs.
        judge: a probe that reads ``label``, trained on pixels without this model.
        label: binary.
        amount: slider units, in standard deviations.

    Raises:
        LatentLabError: the judge does not read the label as yes or no, the direction is of another
            space, or the model cannot encode.
    """
    direction.check(backend.spec.space())
    readable = [name for name, row in judge.labels.items() if row.kind == "binary"]
    if label not in readable:
        known = ", ".join(readable) or "none"
        raise LatentLabError(f"The judge reads no binary '{label}'; it reads: {known}.")
    latents = yield from encode_images(backend, dataset)
    moved = apply_edits(latents, {direction.name: amount}, {direction.name: direction})
    photos = dataset.read(np.arange(len(dataset)))
    plain = yield from _decode(backend, latents, "reconstructing")
    edited = yield from _decode(backend, moved, "editing")
    features = judge.features(plain).astype(np.float64)
    after = judge.features(edited).astype(np.float64)
    return PhotoEdits(
        photos=photos,
        reconstructions=plain,
        edited=edited,
        before=_probability(judge, plain, label),
        after=_probability(judge, edited, label),
        on_photo=_probability(judge, photos, label),
        pixel_change=_rms(edited, plain),
        pixel_between=float(_rms(plain, np.roll(plain, 1, axis=0)).mean()),
        feature_change=np.linalg.norm(after - features, axis=1),
        feature_between=float(
            np.linalg.norm(features - np.roll(features, 1, axis=0), axis=1).mean()
        ),
    )


def _decode(
    backend: Any, latents: Latents, message: str
) -> Generator[Progress, None, NDArray[np.uint8]]:
    found, chunk = [], chunk_of(backend, CHUNK)
    for start in range(0, latents.batch, chunk):
        rows = latents.rows(start, min(start + chunk, latents.batch))
        at = (start, latents.batch, message)
        found.append((yield from levels_in_turns(backend, rows, at)))
        yield start + rows.batch, latents.batch, message
    return np.concatenate(found)


def _probability(judge: Probe, images: NDArray[np.uint8], label: str) -> Float:
    return np.asarray(judge.read(images)[label], np.float64).reshape(len(images))


def _rms(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Float:
    difference = first.astype(np.float64) - second.astype(np.float64)
    return np.sqrt(np.square(difference).reshape(len(first), -1).mean(axis=1))
