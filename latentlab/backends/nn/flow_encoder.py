"""The compression encoder of the decoupled flow: an image to mean and log-variance of z."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

GROUPS = 8
"""Most groups of a group norm."""
LOGVAR_RANGE = (-14.0, 8.0)
"""Where the log-variance is clamped, so that a hostile image cannot overflow it."""
Norm = Literal["batch", "group"]


def _norm(kind: Norm, channels: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(math.gcd(channels, GROUPS), channels)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside the identity (He et al. 2016), with ELU.

    Args:
        source: channels in.
        target: channels out.
        stride: 2 halves the map.
        norm: after every convolution.
    """

    def __init__(self, source: int, target: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(source, target, 3, stride, 1, bias=False),
            _norm(norm, target),
            nn.ELU(inplace=True),
            nn.Conv2d(target, target, 3, 1, 1, bias=False),
            _norm(norm, target),
        )
        self.beside: nn.Module = nn.Identity()
        if stride != 1 or source != target:
            self.beside = nn.Sequential(
                nn.Conv2d(source, target, 1, stride, bias=False), _norm(norm, target)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, target, H / stride, W / stride)``."""
        return nn.functional.elu(self.body(x) + self.beside(x), inplace=True)


class GlobalEncoder(nn.Module):
    """q(z|x): residual levels, each halving the map, then a linear layer (Ma et al. 2021).

    Args:
        channels: of the image.
        image_size: height and width.
        widths: channels of the levels.
        blocks: residual blocks a level; the last one halves the map.
        planes: channels of the last map, which the linear layer reads whole.
        dim: D.
        norm: of the residual blocks.
    """

    def __init__(
        self,
        channels: int,
        image_size: int,
        widths: Sequence[int],
        blocks: int,
        planes: int,
        dim: int,
        norm: Norm,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for source, target in itertools.pairwise((channels, *widths)):
            for block in range(blocks):
                stride = 2 if block == blocks - 1 else 1
                layers.append(ResidualBlock(source if block == 0 else target, target, stride, norm))
        side = image_size >> len(widths)
        self.trunk = nn.Sequential(
            *layers, nn.Conv2d(widths[-1], planes, 1), nn.ELU(inplace=True), nn.Flatten()
        )
        self.posterior = nn.Linear(planes * side * side, 2 * dim)

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of q(z|x), each ``(B, D)``.

        Args:
            y: ``(B, C, H, W)`` in [-0.5, 0.5].
        """
        found: Tensor = self.posterior(self.trunk(2 * y)).to(y.dtype)
        mean, logvar = found.chunk(2, dim=1)
        return mean, logvar.clamp(*LOGVAR_RANGE)
