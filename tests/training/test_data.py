from __future__ import annotations

import numpy as np
import pytest

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import DataTable
from latentlab.data.base import ArrayDataset
from latentlab.data.portraits.dataset import Portraits

# Taken before the tests of this folder put a data set in memory in its place.
from latentlab.training.data import Remembered, open_images, part_of
from tests.training.tiny import memory_images


def test_portraits_by_name() -> None:
    table = DataTable(source="portraits:count=6,seed=4,start=2", size=16)
    opened = open_images(table, table.source, None, 5)
    expected = Portraits(5, seed=4, size=16, start=2)
    assert len(opened) == 5
    assert opened.image_shape == (3, 16, 16)
    order = [3, 0, 3, 4]
    assert np.array_equal(opened.read(order), expected.read(order))
    assert np.array_equal(opened.labels["smiling"].values, expected.labels["smiling"].values)
    for source in ("portraits:cuont=3", "portraits:count=-3", "portraits:count"):
        with pytest.raises(LatentLabError, match="is not understood at"):
            open_images(table, source, None, None)


def test_drawn_once() -> None:
    drawn: list[int] = []

    class Drawing(ArrayDataset):
        def read(self, indices):
            drawn.extend(int(i) for i in indices)
            return super().read(indices)

    images = memory_images().images
    kept = Remembered(Drawing("drawing", images))
    for indices in ([5, 2, 5], [2, 9], [5, 2, 9]):
        assert np.array_equal(kept.read(indices), images[indices])
    assert sorted(drawn) == [2, 5, 9]


def test_beyond_the_memory_limit(monkeypatch) -> None:
    monkeypatch.setattr("latentlab.training.data.MAX_REMEMBERED_BYTES", 10 * 48 + 5)
    images = memory_images().images
    kept = Remembered(memory_images())
    indices = [69, 3, 10, 9, 3]
    for _ in range(2):
        assert np.array_equal(kept.read(indices), images[indices])


def test_a_part_shares_rows_between_images_and_labels() -> None:
    whole = memory_images()
    part = part_of(whole, np.array([8, 3, 60]), None)
    assert len(part) == 3
    images = part.read([2, 0])
    assert np.array_equal(images, whole.images[[60, 8]])
    assert np.allclose(part.labels["bright"].values[[2, 0]], images.mean((1, 2, 3)))
    assert part_of(whole, None, []).labels == {}
    assert part.describe()["count"] == 3
