"""Densities of images under a flow: the terms of one set of draws, by row or by pixel.

Theis et al. 2016 (arXiv 1511.01844) for dequantisation: P(x) of a discrete image is the integral of
the density over its bins, and log p of a uniform draw within them bounds log P from below on
average. Ho et al. 2019 (arXiv 1902.00275) for variational dequantisation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlab.backends.nn.flow import (
    FlowNetwork,
    bin_position,
    levels_of,
    local_terms,
    to_centre,
)
from latentlab.backends.nn.likelihoods import normal_log_density
from latentlab.core.noise import noise, uniform

Rows = Callable[..., NDArray[Any]]


@dataclass(frozen=True)
class Draws:
    """The randomness of one evaluation; a row's depends on the row alone.

    Attributes:
        seeds: by row.
        index: of the draw.
    """

    seeds: Sequence[int]
    index: int

    def take(self, how: Rows, stream: str, like: Tensor) -> Tensor:
        """Return draws of the shape and on the device of ``like`` ``(B, ...)``."""
        found = torch.empty_like(like)
        for row, seed in enumerate(self.seeds):
            draw = how(seed, f"log_prob.{stream}", self.index, like.shape[1:])
            found[row] = torch.from_numpy(draw)
        return found


def log_weights(
    network: FlowNetwork, images: Tensor, draws: Draws, *, by_position: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the log weight of one draw in nats: what belongs to pixels, and the rest ``(B,)``.

    Their sum is log p(y|z) p(z) / (q(z|x) q(u|x)) and the bins' log volume, for y = x + u.

    Args:
        network: in evaluation mode.
        images: ``(B, C, H, W)`` in [-1, 1]; they are quantised to the levels of the data.
        draws: of u and z.
        by_position: give the first as ``(B, H, W)``, not as ``(B,)``.
    """
    bits, size = network.config.bits, images.shape[-1]
    levels = levels_of(images, bits)
    centre = bin_position(levels, torch.full_like(levels, 0.5), bits)
    if network.dequantiser is None:
        u = draws.take(uniform, "dequantise", images)
        spent = images.new_zeros((len(images), size, size) if by_position else len(images))
    else:
        shaped = draws.take(noise, "dequantise", images)
        u, spent = network.dequantiser(centre, shaped, by_position=by_position)
    h, rest = None, images.new_zeros(len(images))
    if network.encoder is not None:
        h, rest = _global(network, images, draws)
    parts, log_det = network.encode(bin_position(levels, u, bits), h, by_position=by_position)
    volume = -math.log(2) * bits * images.shape[1] * (1 if by_position else size * size)
    return local_terms(parts, size, by_position) + log_det - spent + volume, rest


def _global(network: FlowNetwork, images: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Return z drawn from q(z|x), and log p(z) - log q(z|x): a draw of minus the KL term."""
    mean, logvar = network.posterior(to_centre(images, network.config.bits))
    z = mean + draws.take(noise, "global", mean) * torch.exp(0.5 * logvar)
    if network.prior is None:
        density = normal_log_density(z)
    else:
        part, log_det = network.prior.encode(z)
        density = normal_log_density(part) + log_det
    return z, density - normal_log_density(z, mean, logvar)
