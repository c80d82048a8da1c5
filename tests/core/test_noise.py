"""The draws: fixed for ever, of the right law, and each row by itself."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from latentlab.core.noise import (
    MAX_SEED,
    noise,
    noise_rows,
    permutation,
    uniform,
    uniform_table,
)

MASK = 2**64 - 1


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox-4x64-10 in whole numbers, after Salmon et al. 2011, section 3.3."""
    x0, x1, x2, x3 = counter
    k0, k1 = key
    for _ in range(10):
        first, second = x0 * 0xD2E7470EE14C6C93, x2 * 0xCA5A826395121157
        x0, x1 = (second >> 64) ^ x1 ^ k0, second & MASK
        x2, x3 = (first >> 64) ^ x3 ^ k1, first & MASK
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & MASK, (k1 + 0xBB67AE8584CAA73B) & MASK
    return [x0, x1, x2, x3]


def words(seed: int, stream: str, counter: int, blocks: int) -> np.ndarray:
    """The raw bits of a row; numpy raises the counter before each block."""
    key = int.from_bytes(hashlib.blake2b(stream.encode(), digest_size=8).digest(), "little")
    if key >= 2**63:
        key = int(float(key))
    found: list[int] = []
    for block in range(1, blocks + 1):
        value = counter + block
        found += philox([value >> (64 * i) & MASK for i in range(4)], [seed, key])
    return np.array(found, np.uint64)


def test_the_reference_agrees_with_published_vectors() -> None:
    """Known answers of Random123, https://github.com/DEShawResearch/random123 (kat_vectors)."""
    assert philox([0] * 4, [0] * 2) == [
        0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B,
    ]  # fmt: skip
    assert philox([MASK] * 4, [MASK] * 2) == [
        0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seed", "stream", "index"), [(0, "a", 0), (MAX_SEED, "b", 3), (7, "x", MASK)]
)
def test_uniform_is_philox(seed: int, stream: str, index: int) -> None:
    bits = words(seed, stream, index << 128, 3)[:10]
    expected = ((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53).astype(np.float32)
    np.testing.assert_array_equal(uniform(seed, stream, index, (2, 5)), expected.reshape(2, 5))


def test_noise_is_box_and_muller_of_philox() -> None:
    bits = (words(5, "prior.z", 0, 2) >> np.uint64(11)).astype(np.float64)
    radius = np.sqrt(-2 * np.log((bits[:4] + 1) / 2**53))
    angle = 2 * np.pi * bits[4:] / 2**53
    expected = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:7]
    np.testing.assert_allclose(noise(5, "prior.z", 0, (7,)), expected, rtol=1e-6, atol=1e-7)


def test_table_rows_are_philox_one_after_another() -> None:
    table = uniform_table(3, "t", 10, 4, 6)
    for row in range(4):
        # Six numbers take two blocks of four words; row i begins at block 2 * i.
        bits = words(3, "t", (10 + row) * 2, 2)[:6]
        np.testing.assert_array_equal(table[row], (bits >> np.uint64(11)) * 2.0**-53)
    np.testing.assert_array_equal(uniform_table(3, "t", 12, 1, 6)[0], table[2])


def test_golden_draws() -> None:
    """Pictures are kept as seeds: these numbers must never change."""
    np.testing.assert_allclose(noise(3, "prior.z", 0, (4,)), GOLDEN_NOISE, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(uniform(3, "prior.z", 0, (3,)), np.float32(GOLDEN_UNIFORM))
    assert permutation(3, "order", 1, 8).tolist() == GOLDEN_ORDER


GOLDEN_NOISE = [-1.6281472444534302, -1.3373314142227173, -0.8450543880462646, 0.6931105256080627]
GOLDEN_UNIFORM = [0.1859104484319687, 0.32160577178001404, 0.5761960744857788]
GOLDEN_ORDER = [3, 7, 1, 6, 5, 4, 0, 2]


def test_moments_are_those_of_the_normal_law() -> None:
    count = 400_000
    draws = noise(11, "moments", 0, (count,)).astype(np.float64)
    error = 1 / np.sqrt(count)
    assert abs(draws.mean()) < 4 * error
    assert abs(draws.var() - 1) < 4 * np.sqrt(2) * error
    assert abs((draws**3).mean()) < 4 * np.sqrt(15) * error
    assert abs((draws**4).mean() - 3) < 4 * np.sqrt(96) * error
    # The cosine and the sine of a pair share their radius, and must not correlate.
    assert abs((draws[: count // 2] * draws[count // 2 :]).mean()) < 4 / np.sqrt(count / 2)


def test_uniform_moments_and_range() -> None:
    draws = uniform(11, "moments", 0, (400_000,)).astype(np.float64)
    assert draws.min() >= 0
    assert draws.max() <= 1
    assert abs(draws.mean() - 0.5) < 4 / np.sqrt(12 * len(draws))
    counts = np.histogram(draws, 20, (0, 1))[0]
    expected = len(draws) / 20
    assert ((counts - expected) ** 2 / expected).sum() < 60  # chi-square, 19 degrees: mean 19


def test_seeds_streams_and_indices_share_nothing() -> None:
    rows = {
        "plain": noise(1, "a", 0, (5000,)),
        "seed": noise(2, "a", 0, (5000,)),
        "stream": noise(1, "b", 0, (5000,)),
        "index": noise(1, "a", 1, (5000,)),
    }
    assert np.abs(np.corrcoef(list(rows.values())) - np.eye(4)).max() < 0.07
    assert len({row.tobytes() for row in rows.values()}) == 4


@pytest.mark.parametrize("stream", ["prior.z", "posterior.z"])
def test_neighbouring_large_seeds_differ(stream: str) -> None:
    """The hash of the second stream has its highest bit set: numpy would round the pair."""
    for seed in (2**53, 2**60, MAX_SEED - 1):
        assert not np.array_equal(noise(seed, stream, 0, (4,)), noise(seed + 1, stream, 0, (4,)))


def test_a_row_is_its_own_in_every_batch() -> None:
    seeds = [5, 0, 2**40, MAX_SEED, 5]
    rows = noise_rows(seeds, "prior.z", (3, 4))
    assert rows.shape == (5, 3, 4)
    assert rows.dtype == np.float32
    for row, seed in zip(rows, seeds, strict=True):
        np.testing.assert_array_equal(row, noise(seed, "prior.z", 0, (3, 4)))
        np.testing.assert_array_equal(row, noise_rows([seed], "prior.z", (3, 4))[0])
    assert noise_rows([], "prior.z", (3, 4)).shape == (0, 3, 4)


def test_odd_and_empty_shapes() -> None:
    assert noise(1, "a", 0, ()).shape == ()
    assert noise(1, "a", 0, (0, 3)).shape == (0, 3)
    assert uniform(1, "a", 0, (3, 1)).shape == (3, 1)
    assert uniform_table(1, "a", 0, 0, 3).shape == (0, 3)


def test_permutations_are_permutations() -> None:
    order = permutation(4, "epoch", 0, 1000)
    assert sorted(order.tolist()) == list(range(1000))
    assert order.tolist() != permutation(4, "epoch", 1, 1000).tolist()
    assert abs(np.corrcoef(order, np.arange(1000))[0, 1]) < 0.15


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    for draw in (noise, uniform):
        with pytest.raises(ValueError, match="seed"):
            draw(seed, "a", 0, (1,))
    with pytest.raises(ValueError, match="seed"):
        uniform_table(seed, "a", 0, 1, 1)
