"""MNIST's idx files, CIFAR-10's binary batches and CelebA's official layout."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from latentlab.core.errors import LatentLabError
from latentlab.data import cifar, idx
from latentlab.data.celeba import open_celeba
from latentlab.data.celeba import reader as celeba_reader
from latentlab.data.cifar import open_cifar
from latentlab.data.cifar import reader as cifar_reader
from latentlab.data.idx import FASHION_CLASSES, open_idx, read_idx
from latentlab.data.idx import reader as idx_reader
from latentlab.data.transforms import ImageTransform
from tests.data.image_files import encode, noise_image, write_tree, write_zip

KEEP = ImageTransform(size=None, channels=None)


def idx_bytes(array: np.ndarray) -> bytes:
    """An idx file of unsigned bytes, written from the format's description."""
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim)
    return head + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def digits(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    return images, generator.integers(0, 10, count, dtype=np.uint8)


@pytest.fixture
def mnist(tmp_path: Path) -> tuple[Path, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """The four files, half of them gzipped."""
    sets = {"train": digits(0, 30), "t10k": digits(1, 12)}
    folder = tmp_path / "mnist"
    folder.mkdir()
    for prefix, (images, labels) in sets.items():
        pack = gzip.compress if prefix == "train" else bytes
        end = ".gz" if prefix == "train" else ""
        (folder / f"{prefix}-images-idx3-ubyte{end}").write_bytes(pack(idx_bytes(images)))
        (folder / f"{prefix}-labels-idx1-ubyte{end}").write_bytes(pack(idx_bytes(labels)))
    return folder, sets


def test_idx_folder_gives_images_and_labels_of_a_split(mnist) -> None:  # type: ignore[no-untyped-def]
    folder, sets = mnist
    assert idx_reader.sniff(folder)
    assert idx_reader.splits(folder) == ("train", "test")
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = sets[prefix]
        dataset = open_idx(folder, split, KEEP)
        assert dataset.image_shape == (1, 28, 28)
        np.testing.assert_array_equal(dataset.read(range(len(images)))[..., 0], images)
        np.testing.assert_array_equal(dataset.labels["class"].values, labels)
        np.testing.assert_array_equal(dataset.labels["7"].values, labels == 7)
        assert dataset.labels["class"].classes == tuple("0123456789")
    everything = open_idx(folder, None, KEEP)
    both = np.concatenate([sets["train"][0], sets["t10k"][0]])
    np.testing.assert_array_equal(everything.read(range(42))[..., 0], both)
    with pytest.raises(LatentLabError, match="no split 'val'; it has: train, test"):
        open_idx(folder, "val", KEEP)


def test_idx_images_are_resized_and_coloured(mnist) -> None:  # type: ignore[no-untyped-def]
    folder, sets = mnist
    dataset = open_idx(folder, "test", ImageTransform(14, 3))
    assert dataset.image_shape == (3, 14, 14)
    image = dataset.read([4])[0]
    assert (image[..., 0] == image[..., 1]).all()
    averaged = sets["t10k"][0][4].reshape(14, 2, 14, 2).mean(axis=(1, 3))
    assert np.corrcoef(image[..., 0].ravel(), averaged.ravel())[0, 1] > 0.9


def test_fashion_mnist_has_its_own_class_names(mnist, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder, _ = mnist
    renamed = tmp_path / "FashionMNIST" / "raw"
    renamed.parent.mkdir()
    folder.rename(renamed)
    assert open_idx(renamed, "train", KEEP).labels["class"].classes == FASHION_CLASSES


def test_one_images_file_with_and_without_labels(mnist, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder, sets = mnist
    file = folder / "t10k-images-idx3-ubyte"
    assert idx_reader.related(file) == [folder / "t10k-labels-idx1-ubyte"]
    np.testing.assert_array_equal(open_idx(file).labels["class"].values, sets["t10k"][1])
    # The content tells the kind, not the name.
    alone = tmp_path / "digits.bin"
    alone.write_bytes(gzip.compress(file.read_bytes()))
    assert idx_reader.sniff(alone)
    dataset = open_idx(alone, None, KEEP)
    assert dataset.labels == {}
    np.testing.assert_array_equal(dataset.read([3])[0, ..., 0], sets["t10k"][0][3])
    with pytest.raises(LatentLabError, match="without splits"):
        open_idx(alone, "train")


GOOD = idx_bytes(digits(3, 5)[0])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "empty or truncated"),
        (GOOD[:3], "empty or truncated"),
        (GOOD[:9], "truncated"),
        (GOOD[:-1], "truncated"),
        (GOOD + b"\0", "longer than its header states"),
        (b"hello world, this is text", "not an idx file"),
        (b"\0\0\x0d\x03" + GOOD[4:], "does not hold bytes"),
        (struct.pack(">BBBBIII", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1), "states"),
        (struct.pack(">BBBBIII", 0, 0, 8, 3, 30_000, 28, 28) + b"\0" * 99, "truncated"),
        (struct.pack(">BBBBIII", 0, 0, 8, 3, 0, 28, 28), "holds no images"),
        (idx_bytes(digits(0, 9)[1]), "give the images file"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_faulty_idx_files_are_one_sentence(data, sentence, pack, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(pack(data))
    assert idx_reader.sniff(path)
    with pytest.raises(LatentLabError, match=sentence):
        open_idx(path)


def test_a_truncated_gzip_and_a_gzip_bomb(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(digits(0, 50)[0]))[:-2000])
    with pytest.raises(LatentLabError, match="truncated"):
        read_idx(path)
    # States five images, and goes on for 64 MiB.
    path.write_bytes(gzip.compress(GOOD + b"\0" * 2**26))
    with pytest.raises(LatentLabError, match="longer than its header"):
        read_idx(path)
    path.write_bytes(gzip.compress(idx_bytes(np.zeros((100, 100, 100), np.uint8))))
    with pytest.raises(LatentLabError, match="states 1000000 bytes"):
        read_idx(path, limit=999_999)


def test_labels_that_do_not_fit_the_images(mnist) -> None:  # type: ignore[no-untyped-def]
    folder, sets = mnist
    labels = folder / "t10k-labels-idx1-ubyte"
    labels.write_bytes(idx_bytes(sets["t10k"][1][:-1]))
    with pytest.raises(LatentLabError, match="11 labels for 12 images"):
        open_idx(folder, "test")
    labels.write_bytes(GOOD)
    with pytest.raises(LatentLabError, match="does not hold labels"):
        open_idx(folder, "test")


def test_idx_memory_follows_the_data_and_not_the_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(struct.pack(">BBBBIII", 0, 0, 8, 3, 1_000_000, 28, 28)))
    sizes: list[int] = []
    read = gzip.GzipFile.read

    def watched(self: gzip.GzipFile, size: int = -1) -> bytes:
        sizes.append(size)
        return read(self, size)

    monkeypatch.setattr(gzip.GzipFile, "read", watched)
    with pytest.raises(LatentLabError, match="truncated"):
        open_idx(path)
    assert sizes
    assert max(sizes) <= idx._PIECE


# CIFAR-10


def cifar_batch(seed: int, count: int) -> tuple[np.ndarray, np.ndarray, bytes]:
    """Images (N, 32, 32, 3), labels and the file, from the format's description."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    labels = generator.integers(0, 10, count, dtype=np.uint8)
    records = [
        bytes([label]) + b"".join(image[..., c].tobytes() for c in range(3))
        for label, image in zip(labels, images)
    ]
    return images, labels, b"".join(records)


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture(params=["folder", "outer folder", "tar.gz", "tar"])
def cifar10(request: pytest.FixtureRequest, tmp_path: Path):  # type: ignore[no-untyped-def]
    sets = {f"data_batch_{i}.bin": cifar_batch(i, 3 + i) for i in range(1, 6)}
    sets["test_batch.bin"] = cifar_batch(6, 4)
    files = {f"cifar-10-batches-bin/{name}": value[2] for name, value in sets.items()}
    files["cifar-10-batches-bin/batches.meta.txt"] = b"airplane\n"
    if request.param.startswith("tar"):
        mode = "w:gz" if request.param == "tar.gz" else "w"
        return write_tar(tmp_path / "archive", files, mode), sets
    root = write_tree(tmp_path / "data", files)
    return (root if request.param == "outer folder" else root / "cifar-10-batches-bin"), sets


def test_cifar_batches_are_read_in_order(cifar10) -> None:  # type: ignore[no-untyped-def]
    path, sets = cifar10
    assert cifar_reader.sniff(path)
    assert cifar_reader.splits(path) == ("train", "test")
    train = open_cifar(path, "train", KEEP)
    expected = np.concatenate([sets[f"data_batch_{i}.bin"][0] for i in range(1, 6)])
    labels = np.concatenate([sets[f"data_batch_{i}.bin"][1] for i in range(1, 6)])
    np.testing.assert_array_equal(train.read(range(len(train))), expected)
    np.testing.assert_array_equal(train.labels["class"].values, labels)
    np.testing.assert_array_equal(train.labels["ship"].values, labels == 8)
    test = open_cifar(path, "test", KEEP)
    np.testing.assert_array_equal(test.read(range(4)), sets["test_batch.bin"][0])
    assert len(open_cifar(path, None, KEEP)) == len(train) + 4
    with pytest.raises(LatentLabError, match="no split 'dev'"):
        open_cifar(path, "dev")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "truncated"),
        (cifar_batch(0, 2)[2][:-1], "truncated"),
        (b"\x0a" + cifar_batch(0, 1)[2][1:], "labels over 9"),
    ],
)
def test_faulty_cifar_batches_are_one_sentence(data: bytes, sentence: str, tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "set", {"data_batch_1.bin": data})
    archive = write_tar(tmp_path / "set.tar.gz", {"x/data_batch_1.bin": data})
    for path in (folder, archive):
        assert cifar_reader.sniff(path)
        with pytest.raises(LatentLabError, match=sentence):
            open_cifar(path)


def test_cifar_python_version_is_refused_unopened(tmp_path: Path, pickle_bomb: bytes) -> None:
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"]
    files = {f"cifar-10-batches-py/{name}": pickle_bomb for name in names}
    folder = write_tree(tmp_path / "set", files)
    archive = write_tar(tmp_path / "set.tar.gz", files)
    for path in (folder, folder / "cifar-10-batches-py", archive):
        assert cifar_reader.sniff(path)
        with pytest.raises(LatentLabError, match="pickle and is never opened: download the binary"):
            open_cifar(path)


def test_damaged_cifar_archives_and_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"x/data_batch_{i}.bin": cifar_batch(i, 40)[2] for i in range(1, 4)}
    archive = write_tar(tmp_path / "a.tar.gz", files)
    raw = archive.read_bytes()
    archive.write_bytes(raw[: len(raw) // 2])
    assert cifar_reader.sniff(archive)
    with pytest.raises(LatentLabError, match="truncated"):
        open_cifar(archive)
    write_tar(archive, {"x/zeros": b"\0" * 2**24} | files)
    monkeypatch.setattr(cifar, "MAX_UNPACKED_BYTES", 2**20)
    with pytest.raises(LatentLabError, match="too much data"):
        open_cifar(archive)
    monkeypatch.setattr(cifar, "MAX_BATCH_BYTES", 1000)
    monkeypatch.setattr(cifar, "MAX_UNPACKED_BYTES", 2**30)
    with pytest.raises(LatentLabError, match="truncated"):
        open_cifar(archive)


def test_other_archives_are_not_taken_for_cifar(tmp_path: Path) -> None:
    assert not cifar_reader.sniff(write_tar(tmp_path / "a.tar.gz", {"x/readme": b"hello"}))
    (tmp_path / "b.gz").write_bytes(gzip.compress(GOOD))
    assert not cifar_reader.sniff(tmp_path / "b.gz")
    (tmp_path / "c.gz").write_bytes(b"\x1f\x8bnonsense")
    assert not cifar_reader.sniff(tmp_path / "c.gz")
    assert not cifar_reader.sniff(tmp_path)


# CelebA

ATTRIBUTES = ["Smiling", "Eyeglasses", "Wearing_Hat"]
ROWS = {"000001.png": (1, -1, 1), "000002.png": (-1, -1, 1), "000003.png": (1, 1, -1)}


def celeba_list(rows: dict[str, tuple[int, ...]] = ROWS) -> bytes:
    lines = [f"{name}  " + "  ".join(map(str, values)) for name, values in rows.items()]
    return "\n".join([str(len(rows)), " ".join(ATTRIBUTES), *lines, ""]).encode()


def faces() -> dict[str, bytes]:
    return {name: encode(noise_image(seed, 218, 178)) for seed, name in enumerate(ROWS)}


@pytest.fixture(params=["flat", "zip", "official"])
def celeba(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    root = tmp_path / "celeba"
    partition = b"000001.png 0\n000002.png 1\n000003.png 2\n"
    lists = {"list_attr_celeba.txt": celeba_list(), "list_eval_partition.txt": partition}
    if request.param == "official":
        lists = {
            "Anno/list_attr_celeba.txt": celeba_list(),
            "Eval/list_eval_partition.txt": partition,
        }
    write_tree(root, lists)
    images = {f"img_align_celeba/{name}": data for name, data in faces().items()}
    if request.param == "flat":
        write_tree(root, images)
    else:
        folder = root / "Img" if request.param == "official" else root
        folder.mkdir(exist_ok=True)
        write_zip(folder / "img_align_celeba.zip", images)
    return root


def test_celeba_has_its_attributes_and_partition(celeba: Path) -> None:
    assert celeba_reader.sniff(celeba)
    assert celeba_reader.splits(celeba) == ("train", "val", "test")
    dataset = open_celeba(celeba, None, ImageTransform(178))
    assert list(dataset.labels) == ["smiling", "eyeglasses", "wearing_hat"]
    assert dataset.labels["smiling"].kind == "binary"
    assert dataset.labels["smiling"].values.tolist() == [1, 0, 1]
    assert dataset.labels["wearing_hat"].values.tolist() == [1, 1, 0]
    expected = np.stack([noise_image(seed, 218, 178)[20:198] for seed in range(3)])
    np.testing.assert_array_equal(dataset.read([0, 1, 2]), expected)
    for place, split in enumerate(("train", "val", "test")):
        part = open_celeba(celeba, split, ImageTransform(178))
        np.testing.assert_array_equal(part.read([0]), expected[place : place + 1])
        assert part.labels["eyeglasses"].values.tolist() == [[0, 0, 1][place]]
    with pytest.raises(LatentLabError, match="no split 'dev'; it has: train, val, test"):
        open_celeba(celeba, "dev")
    assert sorted(path.name for path in celeba_reader.related(celeba)) == [
        "list_attr_celeba.txt",
        "list_eval_partition.txt",
    ]


def test_celeba_by_its_zip_alone_finds_the_lists_beside_it(tmp_path: Path) -> None:
    write_tree(tmp_path, {"list_attr_celeba.txt": celeba_list()})
    images = {f"img_align_celeba/{name}": data for name, data in list(faces().items())[1:]}
    path = write_zip(tmp_path / "img_align_celeba.zip", images)
    assert celeba_reader.sniff(path)
    # A part of the images is enough, and each keeps its own row.
    assert open_celeba(path).labels["smiling"].values.tolist() == [0, 1]
    with pytest.raises(LatentLabError, match=r"lacks list_eval_partition\.txt"):
        open_celeba(path, "train")


def test_an_image_folder_without_the_list_is_not_celeba(tmp_path: Path) -> None:
    write_tree(tmp_path / "img_align_celeba", faces())
    assert not celeba_reader.sniff(tmp_path)
    assert not celeba_reader.sniff(tmp_path / "img_align_celeba")
    with pytest.raises(LatentLabError, match=r"lacks list_attr_celeba\.txt"):
        open_celeba(tmp_path)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "empty or truncated"),
        (celeba_list()[:-20], "states 3|values for 3"),
        (celeba_list().replace(b"3\n", b"4\n", 1), "holds 3 rows and states 4"),
        (celeba_list().replace(b"Eyeglasses", b"Smiling"), "doubled"),
        (celeba_list({"000001.png": (1, 1)}), "2 values for 3 attributes at line 3"),
        (celeba_list({"000001.png": (1, 0, 1)}), "other than -1 and 1 at line 3"),
        (celeba_list().replace(b"-1", b"nan", 1), "other than -1 and 1"),
        (b"9" * 5000 + celeba_list()[1:], "states 999999999999999999"),
        (b"\x80\x02}q\x00.", "UTF-8"),
    ],
)
def test_faulty_celeba_lists_are_one_sentence(data: bytes, sentence: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"list_attr_celeba.txt": data})
    write_tree(tmp_path / "img_align_celeba", faces())
    with pytest.raises(LatentLabError, match=sentence):
        open_celeba(tmp_path)


def test_a_faulty_partition_is_one_sentence(celeba: Path) -> None:
    for path in celeba.rglob("list_eval_partition.txt"):
        path.write_bytes(b"000001.png 0\n000002.png 7\n")
    with pytest.raises(LatentLabError, match="not understood at line 2"):
        open_celeba(celeba, "train")
