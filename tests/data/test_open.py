from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentlab.core import paths, registry
from latentlab.core.errors import LatentLabError
from latentlab.data import folder as folder_module
from latentlab.data.base import ArrayDataset, ImageDataset
from latentlab.data.open import ImageTransform, open_dataset
from latentlab.data.portraits.dataset import Portraits
from tests.data.image_files import encode, noise_image, write_tree, write_zip

KEEP = ImageTransform(size=None, channels=None)


@pytest.fixture(autouse=True)
def _rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The built-in kinds alone, whatever is installed here, and a cache of the test's own."""
    monkeypatch.setattr(registry.importlib.metadata, "entry_points", lambda group: [])
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "home"))


def no_open(*_: Any, **__: Any) -> Any:
    raise AssertionError("the source was opened again")


def pictures(*names: str) -> dict[str, bytes]:
    return {name: encode(noise_image(seed)) for seed, name in enumerate(names)}


def idx_file() -> tuple[np.ndarray, bytes]:
    images = np.random.default_rng(0).integers(0, 256, (6, 9, 9), dtype=np.uint8)
    return images, struct.pack(">BBBBIII", 0, 0, 8, 3, *images.shape) + images.tobytes()


def test_portraits_are_opened_by_name() -> None:
    dataset = open_dataset("portraits:count=5,seed=7,start=3", transform=ImageTransform(32))
    expected = Portraits(5, seed=7, size=32, start=3)
    np.testing.assert_array_equal(dataset.read(range(5)), expected.read(range(5)))
    np.testing.assert_array_equal(
        dataset.labels["smiling"].values, expected.labels["smiling"].values
    )
    assert len(open_dataset("portraits")) == 20_000
    assert len(open_dataset("portraits", limit=12)) == 12
    grey = open_dataset("portraits:count=2", transform=ImageTransform(32, 1))
    assert grey.image_shape == (1, 32, 32)
    assert grey.read([1]).shape == (1, 32, 32, 1)


@pytest.mark.parametrize(
    "source",
    [
        "portraits:size=3",
        "portraits:count",
        "portraits:count=-1",
        "portraits:count=1e3",
        "portraits:count=5,count=6",
        "portraits:seed=x",
        "portraits:count=²",
    ],
)
def test_settings_of_portraits_that_are_not_understood(source: str) -> None:
    with pytest.raises(LatentLabError, match="is not understood at"):
        open_dataset(source)


def test_portraits_have_no_splits() -> None:
    with pytest.raises(LatentLabError, match="no splits"):
        open_dataset("portraits", split="train")


def test_the_content_tells_the_kind(tmp_path: Path) -> None:
    image = noise_image(0)
    write_zip(tmp_path / "zipped.dat", pictures("1.png"))
    write_tree(tmp_path / "folder", pictures("1.png"))
    digits, data = idx_file()
    (tmp_path / "digits.zip").write_bytes(data)
    (tmp_path / "digits.png").write_bytes(gzip.compress(data))
    batch = bytes([3]) + noise_image(4, 32, 32).transpose(2, 0, 1).tobytes()
    write_tree(tmp_path / "batches", {"data_batch_1.bin": batch})
    for name, expected in (
        ("zipped.dat", image),
        ("folder", image),
        ("digits.zip", digits[0][..., None]),
        ("digits.png", digits[0][..., None]),
        ("batches", noise_image(4, 32, 32)),
    ):
        for use_cache in (True, False):
            found = open_dataset(str(tmp_path / name), transform=KEEP, use_cache=use_cache)
            assert isinstance(found, ImageDataset)
            np.testing.assert_array_equal(found.read([0])[0], expected)


def test_celeba_is_known_before_a_plain_folder(tmp_path: Path) -> None:
    write_tree(tmp_path / "c" / "img_align_celeba", pictures("1.png"))
    (tmp_path / "c" / "list_attr_celeba.txt").write_text("1\nSmiling\n1.png 1\n")
    assert list(open_dataset(str(tmp_path / "c")).labels) == ["smiling"]


def test_a_second_opening_comes_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_tree(tmp_path / "set", pictures("cat/1.png", "cat/2.png", "dog/3.png"))
    first = open_dataset(str(root), transform=KEEP)
    with monkeypatch.context() as patch:
        patch.setattr(folder_module, "load_image", no_open)
        patch.setattr(folder_module, "open_folder", no_open)
        second = open_dataset(str(root), transform=KEEP)
        np.testing.assert_array_equal(first.read(range(3)), second.read(range(3)))
        assert second.labels["class"].classes == ("cat", "dog")
        for other in ({"limit": 2}, {"split": "cat"}, {"transform": ImageTransform(8)}):
            with pytest.raises(AssertionError, match="opened again"):
                open_dataset(str(root), **({"transform": KEEP} | other))
    assert (tmp_path / "home" / "cache" / "images").is_dir()


def test_a_changed_source_is_read_again(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "set", pictures("1.png", "2.png"))
    open_dataset(str(root), transform=KEEP)
    (root / "1.png").write_bytes(encode(noise_image(9)))
    os.utime(root / "1.png", (1, 1))
    np.testing.assert_array_equal(
        open_dataset(str(root), transform=KEEP).read([0])[0], noise_image(9)
    )
    (root / "labels.csv").write_text("file,age\n1.png,4.5\n2.png,5\n")
    assert open_dataset(str(root), transform=KEEP).labels["age"].values.tolist() == [4.5, 5]
    (root / "3.png").write_bytes(encode(noise_image(3)))
    assert len(open_dataset(str(root), transform=KEEP)) == 3


def test_a_changed_list_outside_the_images_is_read_again(tmp_path: Path) -> None:
    table = tmp_path / "list_attr_celeba.txt"
    table.write_text("1\nSmiling\n1.png 1\n")
    source = write_zip(tmp_path / "img_align_celeba.zip", pictures("1.png"))
    assert open_dataset(str(source)).labels["smiling"].values.tolist() == [1]
    table.write_text("1\nSmiling\n1.png -1\n")
    assert open_dataset(str(source)).labels["smiling"].values.tolist() == [0]


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_limit_takes_images_from_the_whole_set(tmp_path: Path, use_cache: bool) -> None:
    names = [f"{kind}/{i}.png" for kind in ("ant", "bee", "cow") for i in range(4)]
    root = write_tree(tmp_path / "set", pictures(*names))
    dataset = open_dataset(str(root), transform=KEEP, limit=6, use_cache=use_cache)
    assert isinstance(dataset, ArrayDataset)
    assert dataset.labels["class"].values.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(
        dataset.images, np.stack([noise_image(seed) for seed in range(0, 12, 2)])
    )
    with pytest.raises(LatentLabError, match="at least 1"):
        open_dataset(str(root), limit=0)


def test_damaged_images_are_named_and_the_progress_told(tmp_path: Path) -> None:
    files = pictures("1.png", "2.png", "3.png") | {"2.png": b"?"}
    seen: list[tuple[int, int]] = []
    dataset = open_dataset(
        str(write_tree(tmp_path / "set", files)), on_progress=lambda *p: seen.append(p)
    )
    assert [file.name for file in dataset.skipped] == ["2.png"]
    assert (len(dataset), seen) == (2, [(3, 3)])


def test_a_table_can_be_given_for_a_folder_only(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "set", pictures("1.png"))
    table = tmp_path / "t.csv"
    table.write_text("file,age\n1.png,2\n")
    assert open_dataset(str(root), attributes=table).labels["age"].values.tolist() == [2]
    table.write_text("file,age\n1.png,3\n")
    os.utime(table, (1, 1))
    assert open_dataset(str(root), attributes=table).labels["age"].values.tolist() == [3]
    (tmp_path / "digits").write_bytes(idx_file()[1])
    with pytest.raises(LatentLabError, match="own labels"):
        open_dataset(str(tmp_path / "digits"), attributes=table)


def test_what_is_no_data_set_is_one_sentence(tmp_path: Path, pickle_bomb: bytes) -> None:
    cases = {
        "model.pkl": (pickle_bomb, "is a pickle, which is never opened"),
        "empty": (b"", "is empty"),
        "notes.txt": (b"hello", "is no data set that is known here; known: Portraits, "),
        "face.png": (encode(noise_image(0)), "is one file, not a data set"),
    }
    for name, (data, sentence) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(LatentLabError, match=sentence):
            open_dataset(str(tmp_path / name))
    for missing in ("nowhere", "a\0b", " ", "~no-such-user-here/x", "x" * 5000):
        with pytest.raises(LatentLabError):
            open_dataset(missing)
    (tmp_path / "bare").mkdir()
    with pytest.raises(LatentLabError, match="holds no images"):
        open_dataset(str(tmp_path / "bare"))
    assert not (tmp_path / "home").exists() or not list((tmp_path / "home").rglob("*.npy"))


class _Stripes:
    """A third party's reader: any folder with a file ``stripes.txt``."""

    def sniff(self, path: Path) -> bool:
        return (path / "stripes.txt").is_file()

    def open(self, path: Path, split: str | None, transform: ImageTransform) -> ImageDataset:
        size = transform.size or 4
        images = np.zeros((2, size, size, 3), np.uint8)
        images[:, ::2] = 200
        return ArrayDataset("stripes", images, source=f"stripes, {split}")


class _Faulty:
    def sniff(self, path: Path) -> bool:
        raise RuntimeError("a bug")

    def open(self, path: Path, split: str | None, transform: ImageTransform) -> ImageDataset:
        raise AssertionError


stripes, faulty = _Stripes(), _Faulty()


class _Entry:
    def __init__(self, name: str, value: str) -> None:
        self.name, self.value = name, value


def test_plugins_are_asked_before_the_plain_folder_and_faulty_ones_do_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [
        _Entry("a-faulty", f"{__name__}:faulty"),
        _Entry("b-missing", "no_such_module_here:reader"),
        _Entry("c-stripes", f"{__name__}:stripes"),
    ]
    monkeypatch.setattr(registry.importlib.metadata, "entry_points", lambda group: entries)
    root = write_tree(tmp_path / "set", pictures("1.png") | {"stripes.txt": b""})
    dataset = open_dataset(str(root), split="x", transform=ImageTransform(8))
    assert isinstance(dataset, ArrayDataset)
    assert dataset.source == "stripes, x"
    assert dataset.images[1, :, 0, 0].tolist() == [200, 0] * 4
    (root / "stripes.txt").unlink()
    np.testing.assert_array_equal(
        open_dataset(str(root), transform=KEEP).read([0])[0], noise_image(0)
    )
    (tmp_path / "notes.txt").write_bytes(b"hello")
    with pytest.raises(LatentLabError) as caught:
        open_dataset(str(tmp_path / "notes.txt"))
    assert "a bug" in caught.value.details
    assert "no_such_module_here" in caught.value.details


def test_the_real_faces_open_at_the_size_of_a_model(shared_data: Path) -> None:
    source = str(shared_data / "fer-smile-48.zip")
    test = open_dataset(source, split="test", transform=ImageTransform(64, 1))
    assert (len(test), test.image_shape, list(test.skipped)) == (1200, (1, 64, 64), [])
    assert test.labels["smiling"].values.sum() == 600
    with pytest.raises(LatentLabError, match="no split 'dev'; its folders are: test, train"):
        open_dataset(source, split="dev")
