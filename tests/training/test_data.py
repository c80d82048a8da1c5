from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import DataTable
from latentlab.data.base import ArrayDataset
from latentlab.data.portraits.dataset import Portraits

# Taken before the tests of this folder put a data set in memory in its place.
from latentlab.training.data import (
    Remembered,
    open_images,
    open_training,
    part_of,
    unsplit_warning,
)
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


def write_images(folder: Path, *names: str) -> str:
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        levels = np.random.default_rng(i).integers(0, 255, (12, 20, 3), dtype=np.uint8)
        Image.fromarray(levels).save(path)
    return str(folder)


def test_crop_and_box_of_a_recipe_reach_the_images(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))
    source = write_images(tmp_path / "set", "a.png", "b.png")
    levels = np.asarray(Image.open(tmp_path / "set" / "a.png"))
    boxed = open_images(DataTable(source=source, size=8, box=8), source, None, None)
    np.testing.assert_array_equal(boxed.read([0])[0], levels[2:10, 6:14])
    padded = open_images(DataTable(source=source, size=10, crop="pad"), source, None, None)
    assert (padded.read([0])[0][[0, -1]] == 255).all()
    stretched = open_images(DataTable(source=source, size=12, crop="stretch"), source, None, None)
    expected = Image.fromarray(levels).resize((12, 12), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(stretched.read([0])[0], np.asarray(expected))


def test_training_on_every_split_is_told(tmp_path: Path) -> None:
    split = write_images(tmp_path / "split", "train/a/1.png", "train/b/2.png", "test/a/3.png")
    told = unsplit_warning(DataTable(source=split))
    assert told is not None
    assert "(test, train)" in told
    assert "data.split" in told
    assert unsplit_warning(DataTable(source=split, split="train")) is None
    classes = write_images(tmp_path / "classes", "cat/1.png", "test/2.png")
    for source in (classes, "portraits:count=9", str(tmp_path / "absent")):
        assert unsplit_warning(DataTable(source=source)) is None


@pytest.mark.parametrize(
    ("split", "held"),
    [
        (None, {"split": "test"}),
        ("train", {"split": "train"}),
        ("train", {"source": "memory"}),
        (None, {"source": "memory"}),
    ],
)
def test_held_out_images_among_the_training_images_are_refused(split, held) -> None:
    table = DataTable(source="memory", split=split, held_out=held)
    with pytest.raises(LatentLabError, match="among the training images"):
        open_training(table)
    apart = DataTable(source="memory", split="train", held_out={"split": "test"})
    assert len(open_training(apart)[1]) > 0
