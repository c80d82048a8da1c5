from __future__ import annotations

import hashlib

import numpy as np
import pytest

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.store import ArrayStore


def block(value: int, count: int = 25) -> np.ndarray:
    return np.full(count, value, np.float32)


def test_equal_arrays_are_kept_once_under_the_hash_of_their_content() -> None:
    store = ArrayStore()
    key = store.put(block(1))
    assert store.put(block(1)) == key
    assert key == hashlib.sha256(b"<f4(25,)" + block(1).tobytes()).hexdigest()
    assert (len(store), store.bytes_used) == (1, 100)
    assert store.put(block(1).astype(np.float64)) != key
    assert store.put(block(1).reshape(5, 5)) != key


def test_arrays_are_read_only_and_no_longer_the_callers() -> None:
    store = ArrayStore()
    mine = block(1)
    key = store.put(mine)
    mine[:] = 9
    assert (store.get(key) == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        store.get(key)[0] = 2


def test_over_the_limit_the_oldest_that_nothing_needs_go_first() -> None:
    store = ArrayStore(limit_bytes=250)
    keys = [store.put(block(i)) for i in range(5)]
    store.put(block(1))  # used again: now the newest
    assert store.retain({keys[0]}) == 300
    assert [key in store for key in keys] == [True, True, False, False, False]
    assert store.bytes_used == 200


def test_what_is_needed_is_never_dropped() -> None:
    store = ArrayStore(limit_bytes=10)
    keys = [store.put(block(i)) for i in range(3)]
    assert store.retain(keys) == 0
    assert all(key in store for key in keys)
    assert store.retain([]) == 300
    assert store.bytes_used == 0


def test_under_the_limit_nothing_is_dropped() -> None:
    store = ArrayStore(limit_bytes=1000)
    store.put(block(0))
    assert store.retain([]) == 0


def test_a_missing_array_is_one_sentence() -> None:
    with pytest.raises(LatentLabError, match="no longer here"):
        ArrayStore().get("0" * 64)


def test_latents_go_in_and_out_by_part() -> None:
    store = ArrayStore()
    latents = Latents("w", {"a": np.ones((2, 3), np.float32), "b": np.zeros((2, 4), np.float32)})
    picture = Picture(model="m", space="w", stored=store.put_latents(latents))
    back = store.latents(picture)
    assert back is not None
    assert back.space == "w"
    assert {n: a.tolist() for n, a in back.items()} == {n: a.tolist() for n, a in latents.items()}
    assert store.latents(Picture(model="m", space="w", seeds=(1,))) is None
    assert set(store.subset(picture.array_hashes())) == picture.array_hashes()
