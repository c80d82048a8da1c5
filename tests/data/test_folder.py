from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentlab.core.errors import LatentLabError
from latentlab.data import files as files_module
from latentlab.data.cache import in_memory
from latentlab.data.folder import open_folder
from latentlab.data.transforms import ImageTransform
from tests.data.image_files import encode, noise_image, write_tree, write_zip

KEEP = ImageTransform(size=None, channels=None)


def numbered(*names: str) -> dict[str, bytes]:
    """Files whose image is ``noise_image(place in the list)``."""
    return {name: encode(noise_image(seed)) for seed, name in enumerate(names)}


def seeds_of(images: np.ndarray) -> list[int]:
    """Which ``noise_image`` each image is."""
    known = [noise_image(seed) for seed in range(20)]
    return [next(s for s, k in enumerate(known) if np.array_equal(k, image)) for image in images]


@pytest.fixture(params=["folder", "zip"])
def place(request: pytest.FixtureRequest, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Write files as a folder or as a zip."""
    if request.param == "folder":
        return lambda files: write_tree(tmp_path / "set", files)
    return lambda files: write_zip(tmp_path / "set.zip", files)


def test_images_come_in_natural_order_and_whole(place) -> None:  # type: ignore[no-untyped-def]
    names = ["img10.png", "img9.PNG", "b/img1.png", "img1.png", "notes.txt", ".hidden.png"]
    dataset = open_folder(place(numbered(*names, "__MACOSX/img1.png")), None, KEEP)
    assert [dataset.item_name(i) for i in range(len(dataset))] == [
        "b/img1.png",
        "img1.png",
        "img9.PNG",
        "img10.png",
    ]
    assert dataset.image_shape == (3, 20, 20)
    assert seeds_of(dataset.read([0, 1, 2, 3])) == [2, 3, 1, 0]
    assert seeds_of(dataset.read(np.array([3, 0, 3]))) == [0, 2, 0]
    assert dataset.labels == {}
    dataset.close()


def test_class_folders_become_labels(place) -> None:  # type: ignore[no-untyped-def]
    source = place(numbered("cat/1.png", "dog/1.png", "cat/2.png", "dog/deep/3.png", "eel/1.png"))
    dataset = open_folder(source, None, KEEP)
    assert seeds_of(dataset.read(range(5))) == [0, 2, 1, 3, 4]
    assert dataset.labels["class"].classes == ("cat", "dog", "eel")
    assert dataset.labels["class"].values.tolist() == [0, 0, 1, 1, 2]
    assert dataset.labels["dog"].kind == "binary"
    assert dataset.labels["dog"].values.tolist() == [0, 0, 1, 1, 0]
    dataset.close()


def test_splits_select_and_share_their_class_numbers(place) -> None:  # type: ignore[no-untyped-def]
    wrapped = numbered(
        *("set/train/ant/1.png", "set/train/bee/2.png", "set/train/cow/3.png"),
        *("set/test/bee/4.png", "set/test/cow/5.png"),
    )
    source = place(wrapped)
    test = open_folder(source, "test", KEEP)
    assert seeds_of(test.read(range(len(test)))) == [3, 4]
    # There is no ant among the test images, and a bee is still number 1.
    assert test.labels["class"].classes == ("ant", "bee", "cow")
    assert test.labels["class"].values.tolist() == [1, 2]
    assert test.labels["ant"].values.tolist() == [0, 0]
    everything = open_folder(source, None, KEEP)
    assert everything.labels["class"].values.tolist() == [1, 2, 0, 1, 2]
    with pytest.raises(LatentLabError, match=r"no split 'dev'; its folders are: test, train"):
        open_folder(source, "dev", KEEP)
    for dataset in (test, everything):
        dataset.close()


def test_a_single_class_or_loose_images_give_no_class(place) -> None:  # type: ignore[no-untyped-def]
    loose = open_folder(place(numbered("cat/1.png", "dog/2.png", "3.png")), None, KEEP)
    assert loose.labels == {}
    loose.close()


def test_only_one_split_on_the_disk_is_found_by_its_name(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "set", numbered("train/cat/1.png", "train/dog/2.png"))
    dataset = open_folder(root, "train", KEEP)
    assert dataset.labels["class"].classes == ("cat", "dog")
    assert len(dataset) == 2


def test_a_table_beside_or_above_the_images_gives_labels(place) -> None:  # type: ignore[no-untyped-def]
    files = numbered("train/a.png", "train/b.png", "test/a.png", "test/c.png")
    table = b"file,smiling,age\ntrain/b.png,1,5\ntrain/a.png,0,6\ntest/a.png,1,7\nc.png,0,8\n"
    dataset = open_folder(place(files | {"attributes.csv": table}), "test", KEEP)
    assert seeds_of(dataset.read([0, 1])) == [2, 3]
    assert dataset.labels["smiling"].values.tolist() == [1, 0]
    assert dataset.labels["age"].values.tolist() == [7, 8]
    dataset.close()


def test_a_table_in_the_split_wins_over_one_above(tmp_path: Path) -> None:
    files = numbered("train/a.png", "test/a.png")
    files["labels.csv"] = b"file,age\ntest/a.png,1.5\n"
    files["test/labels.csv"] = b"file,age\na.png,2.5\n"
    root = write_tree(tmp_path / "set", files)
    assert open_folder(root, "test", KEEP).labels["age"].values.tolist() == [2.5]


def test_a_table_can_be_given_by_its_path(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "set", numbered("cat/a.png", "dog/b.png"))
    table = tmp_path / "mine.csv"
    table.write_text("file,class\ncat/a.png,x\ndog/b.png,y\n")
    dataset = open_folder(root, None, KEEP, table)
    assert dataset.labels["class"].classes == ("x", "y")
    assert set(dataset.labels) == {"class", "cat", "dog"}


def test_damaged_images_are_skipped_counted_and_named(place, pickle_bomb: bytes) -> None:  # type: ignore[no-untyped-def]
    files = numbered(*(f"a/{i:03}.png" for i in range(40)), *(f"b/{i:03}.png" for i in range(30)))
    files["a/007.png"] = files["a/007.png"][:100]
    files["a/039.png"] = b""
    files["b/001.png"] = b"hello"
    files["b/002.jpg"] = pickle_bomb
    seen: list[tuple[int, int]] = []
    dataset = in_memory(open_folder(place(files), None, KEEP), lambda *p: seen.append(p))
    assert {file.name: file.reason.split(":")[0] for file in dataset.skipped} == {
        "a/007.png": "'a/007.png' is truncated",
        "a/039.png": "'a/039.png' is empty",
        "b/001.png": "'b/001.png' is not an image",
        "b/002.jpg": "'b/002.jpg' is not an image",
    }
    good = [i for i in range(70) if i not in (7, 39, 41)]
    expected = np.stack([noise_image(seed) for seed in good])
    np.testing.assert_array_equal(dataset.images, expected)
    assert dataset.labels["b"].values.tolist() == [float(seed >= 40) for seed in good]
    assert seen[-1] == (71, 71)
    assert seen == sorted(seen)


def test_when_no_image_is_left_the_first_reason_is_told(place) -> None:  # type: ignore[no-untyped-def]
    source = place({"1.png": b"x", "2.png": b"y"})
    with pytest.raises(LatentLabError, match=r"None of the 2 images .* '1\.png' is not an image"):
        in_memory(open_folder(source, None, ImageTransform()))
    with pytest.raises(LatentLabError, match="None of the 2 images"):
        open_folder(source, None, KEEP)


def test_a_place_without_images_is_told(place) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LatentLabError, match="holds no images"):
        open_folder(place({"readme.txt": b"hello"}))


def test_sizes_that_differ_need_a_size(tmp_path: Path) -> None:
    files = {"1.png": encode(noise_image(0)), "2.png": encode(noise_image(1, 30, 20))}
    root = write_tree(tmp_path / "set", files)
    with pytest.raises(LatentLabError, match=r"different sizes .*20x20.*20x30.*: give a size"):
        open_folder(root, None, KEEP)
    assert open_folder(root, None, ImageTransform(8, None)).read([0, 1]).shape == (2, 8, 8, 3)


def test_one_image_in_colour_makes_the_set_colour(tmp_path: Path) -> None:
    grey, colour = noise_image(0, channels=1), noise_image(1)
    root = write_tree(tmp_path / "set", {"1.png": encode(grey), "2.png": encode(colour)})
    images = open_folder(root, None, KEEP).read([0, 1])
    np.testing.assert_array_equal(images[0], np.repeat(grey[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(images[1], colour)
    (root / "2.png").unlink()
    assert open_folder(root, None, KEEP).image_shape == (1, 20, 20)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_are_followed_once_and_dead_ones_are_skipped(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "set", numbered("a/1.png"))
    elsewhere = write_tree(tmp_path / "other", numbered("1.png", "2.png"))
    (root / "a" / "up").symlink_to(root)
    (root / "b").symlink_to(elsewhere)
    (root / "dead.png").symlink_to(root / "nothing.png")
    dataset = in_memory(open_folder(root, None, ImageTransform(20)))
    assert [file.name for file in dataset.skipped] == ["dead.png"]
    assert seeds_of(dataset.images) == [0, 0, 1]


def test_a_zip_bomb_is_unpacked_to_its_limit_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module.ZipFiles.read, "__defaults__", (2**20,))
    bomb = {"bomb.png": b"\0" * 2**26}
    source = write_zip(tmp_path / "set.zip", bomb | numbered("good.png"))
    assert source.stat().st_size < 2**18
    dataset = in_memory(open_folder(source, None, ImageTransform(20)))
    assert [(f.name, f.reason) for f in dataset.skipped] == [
        ("bomb.png", "'bomb.png' is larger than 1 MiB: use a smaller file.")
    ]
    assert len(dataset) == 2 - 1


def test_a_zip_that_lies_about_a_size_or_is_damaged_inside(tmp_path: Path) -> None:
    files = {f"{i}.png": encode(noise_image(i)) for i in range(4)}
    source = tmp_path / "set.zip"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    raw = bytearray(source.read_bytes())
    place = raw.index(files["1.png"]) + 200
    raw[place] ^= 0xFF
    # The central directory's uncompressed size of the third image: four bytes at offset 24.
    central = [i for i in range(len(raw)) if raw[i : i + 4] == b"PK\x01\x02"]
    raw[central[2] + 24 : central[2] + 28] = struct.pack("<I", 2**31)
    source.write_bytes(raw)
    dataset = in_memory(open_folder(source, None, ImageTransform(20)))
    assert {file.name for file in dataset.skipped} >= {"1.png"}
    kept = seeds_of(dataset.images)
    assert set(kept) in ({0, 2, 3}, {0, 3})


def test_a_member_with_a_password_is_skipped_with_the_reason(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "set.zip", numbered("1.png", "2.png"))
    raw = bytearray(source.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(signature) + offset] |= 1
    source.write_bytes(raw)
    dataset = in_memory(open_folder(source, None, ImageTransform(20)))
    assert [file.reason for file in dataset.skipped] == [
        "'1.png' needs a password: unpack the zip first."
    ]
    assert seeds_of(dataset.images) == [1]


def test_a_truncated_zip_is_one_sentence(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "set.zip", numbered("1.png", "2.png"))
    raw = source.read_bytes()
    for length in (4, 100, len(raw) - 10):
        source.write_bytes(raw[:length])
        with pytest.raises(LatentLabError, match="damaged or truncated zip"):
            open_folder(source)


def test_nothing_is_written_outside_or_beside_a_zip(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    source = write_zip(folder / "set.zip", numbered("../../evil.png", "/abs.png"))
    dataset = in_memory(open_folder(source, None, ImageTransform(20)))
    assert len(dataset) + len(dataset.skipped) == 2
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "set.zip"]


def test_the_real_faces_have_their_splits_and_classes(shared_data: Path) -> None:
    source = shared_data / "fer-smile-48.zip"
    for split, count in (("train", 4000), ("test", 600)):
        dataset = open_folder(source, split, KEEP)
        assert dataset.image_shape == (1, 48, 48)
        assert dataset.labels["class"].classes == ("neutral", "smiling")
        assert int(dataset.labels["smiling"].values.sum()) == count
        assert int((dataset.labels["class"].values == 0).sum()) == count
        name = dataset.item_name(len(dataset) - 1)
        assert name.startswith(f"{split}/smiling/")
        with zipfile.ZipFile(source) as archive:
            expected = np.asarray(Image.open(io.BytesIO(archive.read(name))))
        np.testing.assert_array_equal(dataset.read([len(dataset) - 1])[0, :, :, 0], expected)
        dataset.close()


def test_the_real_photographs_have_ten_classes(shared_data: Path) -> None:
    dataset = open_folder(shared_data / "cifar10-10k.zip", "test", KEEP)
    assert (len(dataset), dataset.image_shape) == (1000, (3, 32, 32))
    assert np.bincount(dataset.labels["class"].values.astype(int)).tolist() == [100] * 10
    assert dataset.labels["class"].classes[0] == "airplane"
    dataset.close()
