"""Importance-weighted bounds on a log-density, and where in the image they come from.

Burda et al. 2016 (arXiv 1509.00519), equation 8: log P(x) >= log mean_k w_k, w_k = p(x, z_k) /
q(z_k|x). With one draw it is the evidence lower bound.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlab.backends.base import LogProb, LogProbMap
from latentlab.core.noise import MAX_SEED


def row_seed(row: NDArray[np.uint8], seed: int) -> int:
    """Return the seed of an image's draws: of its own bytes and of ``seed``, of nothing beside it.

    Args:
        row: 8-bit levels ``(H, W, C)``.
        seed: of the whole.
    """
    digest = hashlib.blake2b(f"{seed}{row.shape}".encode(), digest_size=8)
    digest.update(row.tobytes())
    return int.from_bytes(digest.digest(), "little") & MAX_SEED


def weighted_bound(log_weights: Tensor, dimensions: int, *, bound: bool) -> LogProb:
    """Return the bound of log weights ``(K, B)`` in nats.

    Args:
        log_weights: by draw and row.
        dimensions: C * H * W.
        bound: whether it is one, or exact.
    """
    nats = torch.logsumexp(log_weights, 0) - math.log(len(log_weights))
    return LogProb(nats, -nats / (math.log(2) * dimensions), bound=bound)


def weighted_map(maps: Tensor, rests: Tensor) -> LogProbMap:
    """Return the bound by place: what each draw says of a pixel, averaged by the draws' weights.

    What averaging logarithms loses against the logarithm of the average goes to ``rest``.

    Args:
        maps: ``(K, B, H, W)`` in nats.
        rests: ``(K, B)``: the rest of each log weight.
    """
    log_weights = maps.sum((2, 3)) + rests
    shares = torch.softmax(log_weights, 0)
    nats = torch.einsum("kb,kbhw->bhw", shares, maps)
    total = torch.logsumexp(log_weights, 0) - math.log(len(log_weights))
    return LogProbMap(nats, total - nats.sum((1, 2)))
