"""Reading a direction off photographs, and judging edits, against scikit-learn and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from latentlab.backends.images import to_levels
from latentlab.backends.nn.probe import ProbeLabel
from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.data.base import ArrayDataset, LabelColumn
from latentlab.data.mirror import Mirrored
from latentlab.evaluation.photos import edit_photos, read_direction
from tests.backends.factories import small_vae


def finished(work: Any) -> Any:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


@pytest.fixture(scope="module")
def backend() -> Any:
    return small_vae(image_size=16)


@pytest.fixture(scope="module")
def direction() -> Direction:
    vector = np.random.default_rng(1).normal(size=8)
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    return Direction("bright", "z", {"z": unit}, 2.0, "by hand")


@pytest.fixture(scope="module")
def dataset(backend: Any) -> ArrayDataset:
    images = to_levels(backend.decode(backend.sample_prior("z", range(120))))
    bright = (images.mean((1, 2, 3)) > np.median(images.mean((1, 2, 3)))).astype(np.float32)
    ages = np.linspace(0, 1, len(images), dtype=np.float32)
    labels = {
        "bright": LabelColumn("bright", "binary", bright),
        "age": LabelColumn("age", "continuous", ages),
    }
    return ArrayDataset("made", images, labels)


def latents_of(backend: Any, images: np.ndarray) -> torch.Tensor:
    pixels = torch.from_numpy(images.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)
    return list(backend.encode(pixels))[-1].latents["z"]


def test_auc_is_that_of_the_projection(backend, direction, dataset) -> None:
    reading = finished(read_direction(backend, direction, dataset, "bright"))
    scores = latents_of(backend, dataset.images).numpy() @ direction.vector["z"]
    expected = roc_auc_score(dataset.labels["bright"].values, scores)
    assert reading.auc.value == pytest.approx(expected, abs=1e-9)
    assert reading.auc.low < expected < reading.auc.high
    assert reading.baseline is None
    assert reading.images == 120


def test_the_baseline_reads_pixels_and_the_difference_is_paired(
    backend, direction, dataset
) -> None:
    reading = finished(read_direction(backend, direction, dataset, "bright", baseline_data=dataset))
    assert reading.baseline.value > 0.95, "brightness is linear in the pixels"
    gap = reading.auc.value - reading.baseline.value
    assert reading.difference.value == pytest.approx(gap)
    assert reading.difference.low <= gap <= reading.difference.high


def test_mirrored_reading_averages_two_views(backend, direction, dataset) -> None:
    reading = finished(read_direction(backend, direction, dataset, "bright", mirror=True))
    views = (dataset.images, dataset.images[:, :, ::-1])
    scores = [latents_of(backend, v.copy()).numpy() @ direction.vector["z"] for v in views]
    expected = roc_auc_score(dataset.labels["bright"].values, (scores[0] + scores[1]) / 2)
    assert reading.auc.value == pytest.approx(expected, abs=1e-9)


class BrightnessJudge:
    """Reads the mean level: what it should say is known by hand."""

    labels = {"bright": ProbeLabel(name="bright", kind="binary")}

    def read(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return {"bright": images.mean((1, 2, 3)) / 255}

    def features(self, images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), -1).astype(np.float32) / 255


def test_edits_are_what_moved_latents_decode_to(backend, direction, dataset) -> None:
    edits = finished(edit_photos(backend, direction, dataset, BrightnessJudge(), "bright", 1.5))
    z = latents_of(backend, dataset.images)
    moved = z + 1.5 * 2.0 * torch.from_numpy(np.array(direction.vector["z"]))
    expected = to_levels(backend.decode({"z": moved}))
    difference = np.abs(edits.edited.astype(int) - expected)
    assert difference.max() <= 1
    np.testing.assert_allclose(edits.after, edits.edited.mean((1, 2, 3)) / 255)
    np.testing.assert_allclose(edits.on_photo, dataset.images.mean((1, 2, 3)) / 255)
    rms = np.sqrt(
        np.square(edits.edited[5].astype(float) - edits.reconstructions[5].astype(float)).mean()
    )
    assert edits.pixel_change[5] == pytest.approx(rms)
    summary = edits.summary(0.0)
    assert summary["share_raised"] == pytest.approx((edits.after >= edits.before).mean())
    assert summary["feature_distance_between_people"] > 0


def test_labels_that_cannot_be_read_say_so(backend, direction, dataset) -> None:
    for label in ("age", "nosuch"):
        with pytest.raises(LatentLabError, match="bright"):
            finished(read_direction(backend, direction, dataset, label))
    with pytest.raises(LatentLabError, match="judge"):
        finished(edit_photos(backend, direction, dataset, BrightnessJudge(), "nosuch", 1.0))


def test_mirrored_data_are_the_images_and_their_mirrors(dataset) -> None:
    both = Mirrored(dataset)
    assert len(both) == 240
    rows = both.read([3, 123, 0])
    np.testing.assert_array_equal(rows[0], dataset.images[3])
    np.testing.assert_array_equal(rows[1], dataset.images[3][:, ::-1])
    np.testing.assert_array_equal(rows[2], dataset.images[0])
    assert both.labels["age"].values[123] == dataset.labels["age"].values[3]
