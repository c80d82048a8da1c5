from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentlab.core.errors import LatentLabError
from latentlab.data import cache
from latentlab.data.base import ArrayDataset, LabelColumn
from latentlab.data.cache import cached, content_key, in_memory

KEY = content_key("a test")


class Counted:
    """Forty-five images, of which some cannot be read; counts what is read."""

    name = "counted"
    image_shape = (3, 7, 5)
    skipped = ()
    source = "counted:1"

    def __init__(self, bad: Sequence[int] = (), count: int = 45) -> None:
        generator = np.random.default_rng(4)
        self.images = generator.integers(0, 256, (count, 7, 5, 3), dtype=np.uint8)
        self.bad, self.reads, self.closed = set(bad), 0, False
        age = generator.normal(size=count).astype(np.float32)
        age[3] = np.nan
        kind = (np.arange(count) % 2).astype(np.float32)
        self.labels = {
            "age": LabelColumn("age", "continuous", age, visible=np.arange(count) % 3 > 0),
            "kind": LabelColumn("kind", "categorical", kind, ("a", "é")),
        }

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: Any) -> np.ndarray:
        rows = np.asarray(indices)
        self.reads += len(rows)
        if self.bad & set(rows.tolist()):
            raise LatentLabError("this one is damaged")
        return self.images[rows]

    def item_name(self, index: int) -> str:
        return f"{index}.png"

    def close(self) -> None:
        self.closed = True

    def describe(self) -> dict[str, object]:
        return {}


def no_factory() -> Any:
    raise AssertionError("the source was opened again")


def assert_holds(found: ArrayDataset, source: Counted) -> None:
    good = np.array([i for i in range(len(source)) if i not in source.bad])
    np.testing.assert_array_equal(found.images, source.images[good])
    assert found.image_shape == source.image_shape
    for name, column in source.labels.items():
        np.testing.assert_array_equal(found.labels[name].values, column.values[good])
        assert found.labels[name].classes == column.classes
        assert found.labels[name].kind == column.kind
    np.testing.assert_array_equal(
        found.labels["age"].visible,
        source.labels["age"].visible[good],  # type: ignore[index]
    )
    assert found.labels["kind"].visible is None
    assert [(f.name, f.reason) for f in found.skipped] == [
        (f"{i}.png", "this one is damaged") for i in sorted(source.bad)
    ]
    assert (found.name, found.source) == ("counted", "counted:1")


@pytest.mark.parametrize("bad", [(), (0, 20, 44), tuple(range(32))])
def test_a_hit_returns_the_same_and_does_not_open_the_source(
    bad: tuple[int, ...], tmp_path: Path
) -> None:
    source = Counted(bad)
    seen: list[tuple[int, int]] = []
    first = cached(lambda: source, tmp_path, KEY, lambda *p: seen.append(p))
    assert_holds(first, source)
    assert source.closed
    assert seen[-1] == (45, 45)
    second = cached(no_factory, tmp_path, KEY)
    assert_holds(second, source)
    # It is a view of the file, not a copy of it.
    assert isinstance(second.images.base, np.memmap)
    assert_holds(in_memory(Counted(bad)), source)


def test_another_key_is_another_entry(tmp_path: Path) -> None:
    cached(Counted, tmp_path, KEY)
    other = Counted((1,))
    assert_holds(cached(lambda: other, tmp_path, content_key("another")), other)
    assert_holds(cached(no_factory, tmp_path, KEY), Counted())


def _flip_byte(path: Path, place: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 0x55
    path.write_bytes(raw)


def _cut(path: Path, by: int) -> None:
    path.write_bytes(path.read_bytes()[:-by])


DAMAGE = {
    "images cut": lambda f: _cut(f["images"], 1),
    "images grown": lambda f: f["images"].write_bytes(f["images"].read_bytes() + b"\0"),
    "images gone": lambda f: f["images"].unlink(),
    "images header": lambda f: _flip_byte(f["images"], 3),
    "images first pixel": lambda f: _flip_byte(f["images"], 130),
    "images last pixel": lambda f: _flip_byte(f["images"], -1),
    "labels cut": lambda f: _cut(f["labels"], 4),
    "labels changed": lambda f: _flip_byte(f["labels"], -3),
    "labels gone": lambda f: f["labels"].unlink(),
    "json empty": lambda f: f["json"].write_bytes(b""),
    "json cut": lambda f: _cut(f["json"], 5),
    "json list": lambda f: f["json"].write_bytes(b"[" * 100_000),
    "json other": lambda f: f["json"].write_bytes(b'{"version": 1}'),
    "json not text": lambda f: f["json"].write_bytes(b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_entry_is_made_again(damage: str, tmp_path: Path) -> None:
    cached(Counted, tmp_path, KEY)
    parts = {path.name.split(".")[-2]: path for path in tmp_path.glob("*.npy")}
    DAMAGE[damage](parts | {"json": tmp_path / f"{KEY}.json"})
    source = Counted((5,))
    assert_holds(cached(lambda: source, tmp_path, KEY), source)
    assert source.reads
    assert_holds(cached(no_factory, tmp_path, KEY), source)


def test_the_arrays_of_a_damaged_entry_are_removed(tmp_path: Path) -> None:
    cached(Counted, tmp_path, KEY)
    old = set(tmp_path.glob("*.npy"))
    for path in old:
        _cut(path, 1)
    cached(Counted, tmp_path, KEY)
    assert not old & set(tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    "change",
    [{"shape": [10**6, 10**5, 10**5, 3]}, {"shape": [-1, 7, 5, 3]}, {"token": "../../../x"}],
)
def test_an_entry_that_lies_is_made_again(change: dict[str, Any], tmp_path: Path) -> None:
    cached(Counted, tmp_path, KEY)
    path = tmp_path / f"{KEY}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    source = Counted()
    assert_holds(cached(lambda: source, tmp_path, KEY), source)
    assert source.reads


def test_a_pickle_in_place_of_an_array_is_not_executed(tmp_path: Path, pickle_bomb: bytes) -> None:
    folder = tmp_path / "cache"
    cached(Counted, folder, KEY)
    path = folder / f"{KEY}.json"
    entry = json.loads(path.read_text())
    labels = next(folder.glob("*.labels.npy"))
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    labels.write_bytes(b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + header + pickle_bomb)
    entry["labels_digest"] = hashlib.sha256(labels.read_bytes()).hexdigest()
    path.write_text(json.dumps(entry))
    source = Counted()
    assert_holds(cached(lambda: source, folder, KEY), source)
    assert source.reads


class _Stop(Exception):
    pass


@pytest.mark.parametrize("failure", ["stop", "none left", "interrupt"])
def test_an_interrupted_write_leaves_nothing_behind(failure: str, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt if failure == "interrupt" else _Stop

    source = Counted(range(45) if failure == "none left" else ())
    expected = {"stop": _Stop, "none left": LatentLabError, "interrupt": KeyboardInterrupt}
    with pytest.raises(expected[failure]):
        cached(lambda: source, tmp_path, KEY, None if failure == "none left" else stop)
    assert source.closed
    assert list(tmp_path.iterdir()) == []
    good = Counted()
    assert_holds(cached(lambda: good, tmp_path, KEY), good)


def test_no_image_left_tells_the_reason(tmp_path: Path) -> None:
    for read in (
        lambda: cached(lambda: Counted(range(45)), tmp_path, KEY),
        lambda: in_memory(Counted(range(45))),
    ):
        with pytest.raises(LatentLabError, match=r"None of the 45 .* this one is damaged"):
            read()


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(stream: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "_to_disk", full)
    with pytest.raises(LatentLabError, match=r"No space left on device.*free some space"):
        cached(Counted, tmp_path, KEY)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: usage(10, 9, 1))
    source = Counted()
    with pytest.raises(LatentLabError, match="free some space"):
        cached(lambda: source, tmp_path, KEY)
    assert source.reads == 0
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_the_system_cuts_short_is_told(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="Windows has no file size limit")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(LatentLabError, match="cannot be written"):
            cached(Counted, tmp_path, KEY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_cache_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LatentLabError, match="cache cannot be written"):
        cached(Counted, tmp_path / "file" / "cache", KEY)


def test_a_process_that_was_faster_is_not_disturbed(tmp_path: Path) -> None:
    fast = Counted()

    def slow() -> Any:
        # While this one opens its source, another process finishes the same entry.
        cached(lambda: fast, tmp_path, KEY)
        return Counted()

    before = cached(slow, tmp_path, KEY)
    assert_holds(before, fast)
    assert len(list(tmp_path.iterdir())) == 3


def test_files_of_killed_processes_go_and_young_ones_stay(tmp_path: Path) -> None:
    old, young = (
        tmp_path / f"{KEY}-{'0' * 16}.images.npy",
        tmp_path / f"{KEY}-{'1' * 16}.images.npy",
    )
    for path in (old, young):
        path.write_bytes(b"partial")
    past = time.time() - 7200
    os.utime(old, (past, past))
    cached(Counted, tmp_path, KEY)
    assert not old.exists()
    assert young.exists()


def test_memory_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_MEMORY_BYTES", 1000)
    with pytest.raises(LatentLabError, match="use the cache"):
        in_memory(Counted())


def test_a_key_that_is_no_hash_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        cached(Counted, tmp_path, "../x")
