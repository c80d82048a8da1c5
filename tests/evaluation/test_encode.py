"""Encoding a data set: the same as one image after another, with nothing left behind."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch

from latentlab.backends.images import from_levels
from latentlab.core.errors import LatentLabError
from latentlab.data.base import ArrayDataset
from latentlab.evaluation.encode import AHEAD, chunk_for, encode_images, read_ahead, to_network
from tests.backends.factories import small_vae


def images(count: int, size: int = 16) -> ArrayDataset:
    rng = np.random.default_rng(3)
    levels = rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    levels.flags.writeable = False
    return ArrayDataset("noise", levels)


def finish(work: Any) -> tuple[Any, list[Any]]:
    seen = []
    while True:
        try:
            seen.append(next(work))
        except StopIteration as end:
            return end.value, seen


def readers() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("latentlab-read")]


class Watched(ArrayDataset):
    """Counts what is read, and fails where it is told to."""

    def __init__(self, whole: ArrayDataset, fails_at: int | None = None) -> None:
        super().__init__(whole.name, whole.images)
        object.__setattr__(self, "reads", [])
        object.__setattr__(self, "fails_at", fails_at)

    def read(self, indices: Any) -> Any:
        self.reads.append((int(indices[0]), threading.current_thread().name))
        if self.fails_at is not None and indices[0] >= self.fails_at:
            raise LatentLabError("The disk is gone: plug it in.")
        return super().read(indices)


def test_it_equals_the_plain_loop() -> None:
    backend, dataset = small_vae(image_size=16), images(150)
    found, reports = finish(encode_images(backend, dataset, chunk=64))
    rows = []
    for start in range(0, 150, 50):
        batch = from_levels(dataset.read(np.arange(start, start + 50)))
        rows.append(list(backend.encode(batch))[-1].latents["z"].numpy())
    assert found.space == "z"
    assert found["z"].dtype == np.float32
    np.testing.assert_allclose(found["z"], np.concatenate(rows), atol=2e-5, rtol=1e-4)
    assert reports == [(64, 150, "encoding"), (128, 150, "encoding"), (150, 150, "encoding")]
    assert not readers()


def test_the_decoder_does_not_run() -> None:
    backend, dataset = small_vae(image_size=16), images(10)

    def never(*_: Any) -> None:
        raise AssertionError("decoded")

    backend.network.decode = never
    finish(encode_images(backend, dataset))


def test_large_images_come_in_smaller_turns() -> None:
    sizes = {16: 256, 64: 64, 128: 16, 256: 4}
    for size, chunk in sizes.items():
        assert chunk_for(small_vae(image_size=size, width=4)) == chunk


def test_levels_become_the_same_floats() -> None:
    levels = images(5).images
    assert torch.equal(to_network(levels, torch.device("cpu")), from_levels(levels))
    assert not levels.flags.writeable


def test_a_few_chunks_are_read_ahead_by_one_thread() -> None:
    dataset = Watched(images(100))
    chunks = read_ahead(dataset, chunk=10)
    first = next(chunks)
    np.testing.assert_array_equal(first, dataset.images[:10])
    rest = [len(chunk) for chunk in chunks]
    assert sum(rest) == 90
    starts = [start for start, _ in dataset.reads]
    assert starts == list(range(0, 100, 10))
    assert len({name for _, name in dataset.reads}) == 1
    assert threading.current_thread().name not in {name for _, name in dataset.reads}


def test_cancel_leaves_no_thread_and_reads_no_further() -> None:
    dataset = Watched(images(640))
    work = encode_images(small_vae(image_size=16), dataset, chunk=16)
    next(work)
    work.close()
    assert not readers()
    assert len(dataset.reads) <= 1 + AHEAD


def test_an_error_of_the_disk_comes_through_in_its_turn() -> None:
    dataset = Watched(images(64), fails_at=32)
    work = encode_images(small_vae(image_size=16), dataset, chunk=16)
    assert next(work)[0] == 16
    assert next(work)[0] == 32
    with pytest.raises(LatentLabError, match="disk is gone"):
        next(work)
    assert not readers()


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(LatentLabError, match="open the data at the model's size"):
        next(encode_images(small_vae(image_size=16), images(2, size=8)))
