"""Counter-based randomness: every draw is a pure function of (seed, stream, index).

Philox-4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") gives raw bits
that numpy promises never to change; they become floats here in float64, so a row is the same on
every device, in every batch and after every resume.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_SEED = 2**63 - 1
_UNIT = 2.0**-53


def _bits(seed: int, stream: str, counter: int, count: int) -> NDArray[np.uint64]:
    """Return ``count`` raw words of the generator (seed, stream) from block ``counter`` on."""
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed must lie in 0..{MAX_SEED}, not {seed}")
    name = int.from_bytes(hashlib.blake2b(stream.encode(), digest_size=8).digest(), "little")
    if name >= 2**63:
        # Rounded to 53 bits, as the first draws that were kept had it; the seed never is.
        name = min(int(float(name)), 2**64 - 2048)
    generator = np.random.Philox(key=np.array([seed, name], np.uint64), counter=counter)
    return np.asarray(generator.random_raw(count), np.uint64)


def _raw(seed: int, stream: str, index: int, count: int) -> NDArray[np.uint64]:
    # The two low words count blocks inside one row; the high words name the row.
    return _bits(seed, stream, (index & (2**64 - 1)) << 128, count)


def uniform(seed: int, stream: str, index: int, shape: Sequence[int]) -> NDArray[np.float32]:
    """Draw from U(0, 1), as float32 of ``shape``.

    Args:
        seed: 0 to 2**63 - 1.
        stream: names what the draw is for, so that two uses of a seed share no bits.
        index: the row, step or layer that the draw belongs to.
        shape: shape of the result, without a batch axis.
    """
    count = math.prod(shape)
    values = (_raw(seed, stream, index, count) >> np.uint64(11)) * _UNIT
    return values.astype(np.float32).reshape(shape)


def noise(seed: int, stream: str, index: int, shape: Sequence[int]) -> NDArray[np.float32]:
    """Draw from N(0, 1) by Box and Muller (1958) in float64, as float32 of ``shape``.

    Args:
        seed: 0 to 2**63 - 1.
        stream: names what the draw is for, so that two uses of a seed share no bits.
        index: the row, step or layer that the draw belongs to.
        shape: shape of the result, without a batch axis.
    """
    count = math.prod(shape)
    pairs = (count + 1) // 2
    bits = _raw(seed, stream, index, 2 * pairs) >> np.uint64(11)
    # (0, 1] keeps the logarithm finite.
    radius = np.sqrt(-2.0 * np.log((bits[:pairs] + 1.0) * _UNIT))
    angle = (2.0 * np.pi * _UNIT) * bits[pairs:]
    values = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]
    return values.astype(np.float32).reshape(shape)


def noise_rows(seeds: Sequence[int], stream: str, shape: Sequence[int]) -> NDArray[np.float32]:
    """Draw one row for each seed: ``(len(seeds), *shape)``; row i depends on ``seeds[i]`` alone."""
    if not len(seeds):
        return np.zeros((0, *shape), np.float32)
    return np.stack([noise(int(seed), stream, 0, shape) for seed in seeds])


def permutation(seed: int, stream: str, index: int, count: int) -> NDArray[np.int64]:
    """Return a permutation of ``0..count-1``, a pure function of (seed, stream, index)."""
    return np.argsort(_raw(seed, stream, index, count), kind="stable").astype(np.int64)


def uniform_table(
    seed: int, stream: str, start: int, count: int, width: int
) -> NDArray[np.float64]:
    """Draw U[0, 1) rows ``(count, width)``; row i is a pure function of (seed, stream, start + i).

    Faster than a call a row: the rows lie one after another in the counter's low words.
    """
    words = (width + 3) // 4 * 4  # one Philox block makes four words
    bits = _bits(seed, stream, start * words // 4, count * words).reshape(count, words)
    return np.asarray((bits[:, :width] >> np.uint64(11)) * _UNIT, np.float64)
