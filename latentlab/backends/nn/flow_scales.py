"""The multi-scale flow: steps at every scale, squeezes between, parts split off on the way.

Dinh et al. 2017 (arXiv 1605.08803, section 3.6), Kingma and Dhariwal 2018 (arXiv 1807.03039).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from latentlab.backends.nn.flow_config import FlowConfig
from latentlab.backends.nn.flow_couplings import FlowStep, SplitPrior
from latentlab.backends.nn.flow_layers import FlowLayer, squeeze, unsqueeze
from latentlab.backends.nn.flow_maps import GlobalMaps


def spread(terms: Tensor, size: int) -> Tensor:
    """Return terms ``(B, h, h)`` over the pixels that each position covers: ``(B, size, size)``."""
    factor = size // terms.shape[1]
    rows = terms.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    return rows / factor**2


class FlowBlock(nn.Module):
    """Steps of one scale, and the prior of what is split off after them, if anything is.

    Args:
        config: of the network.
        level: counted from 1; 0 is the full resolution, before any squeeze.
        channels: C.
        share: channels split off at the end; 0 for none.
    """

    def __init__(self, config: FlowConfig, level: int, channels: int, share: int) -> None:
        super().__init__()
        count = config.steps[level - 1] if level else config.bottom_steps
        hidden = config.hidden[level - 1] if level else config.bottom_hidden
        dim = config.told[level - 1] if level else config.global_dim
        activation = config.activation
        steps = [
            FlowStep(channels, hidden, dim, couplings=config.couplings, activation=activation)
            for _ in range(count)
        ]
        self.steps = nn.ModuleList(steps)
        self.kept, self.share = channels - share, share
        self.split: SplitPrior | None = None
        if share:
            self.split = SplitPrior(channels, share, hidden, dim, activation)

    def layers(self) -> list[FlowLayer]:
        """Return the layers in the order of ``encode``."""
        steps = cast(list[FlowLayer], list(self.steps))
        return steps if self.split is None else [*steps, self.split]

    def decode(self, x: Tensor, h: Tensor | None) -> Tensor:
        """Return what the layers encode to ``x``."""
        for layer in reversed(self.layers()):
            x = layer.decode(x, h)
        return x


class MultiScaleFlow(nn.Module):
    """The flow between an image and its local parts, given h.

    Args:
        config: the shapes.
    """

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        channels: int = config.channels
        self.bottom = FlowBlock(config, 0, channels, 0)
        self.levels = nn.ModuleList()
        for level in range(1, config.levels + 1):
            channels *= 4
            inner = level < config.levels
            share = channels // (2 * config.splits) if inner else 0
            blocks = nn.ModuleList()
            for _ in range(config.splits if inner else 1):
                blocks.append(FlowBlock(config, level, channels, share))
                channels -= share
            self.levels.append(blocks)
        self.maps: GlobalMaps | None = None
        if config.global_maps:
            self.maps = GlobalMaps(config.global_dim, config.image_size, config.global_maps)

    def _told(self, h: Tensor | None) -> list[Tensor | None]:
        """Return what the couplings of each level are told: maps of ``h``, or ``h`` itself."""
        if self.maps is None or h is None:
            return [h] * len(self.levels)
        return [*self.maps(h)]

    def _levels(self) -> Iterator[list[FlowBlock]]:
        for blocks in self.levels:
            yield cast(list[FlowBlock], list(cast(nn.ModuleList, blocks)))

    def encode(
        self, y: Tensor, h: Tensor | None = None, *, by_position: bool = False
    ) -> tuple[list[Tensor], Tensor]:
        """Return the local parts, the finest first, and the log-determinant.

        Args:
            y: ``(B, C, H, W)``.
            h: ``(B, D)``, of a decoupled flow.
            by_position: give the log-determinant by pixel, ``(B, H, W)``, not by row, ``(B,)``:
                what belongs to a position of a map is spread over the pixels under it.
        """
        x, size = y, y.shape[-1]
        parts: list[Tensor] = []
        terms: list[Tensor] = []

        def run(block: FlowBlock, x: Tensor, told: Tensor | None) -> Tensor:
            for layer in block.layers():
                x, log_det = layer(x, told, by_position=by_position)
                terms.append(spread(log_det, size) if by_position else log_det)
            return x

        x = run(self.bottom, x, h)
        for blocks, told in zip(self._levels(), self._told(h), strict=True):
            x, gone = squeeze(x), []
            for block in blocks:
                x = run(block, x, told)
                if block.share:
                    x, off = x.split((block.kept, block.share), 1)
                    gone.append(off)
            parts.append(torch.cat(gone, 1) if gone else x)
        return parts, torch.stack(terms).sum(0)

    def decode(self, parts: list[Tensor], h: Tensor | None = None) -> Tensor:
        """Return ``y`` ``(B, C, H, W)`` for local parts, the finest first."""
        x = parts[-1]
        levels = zip(self._levels(), self._told(h), parts, strict=True)
        for blocks, told, part in reversed(list(levels)):
            for index in reversed(range(len(blocks))):
                share = blocks[index].share
                if share:
                    x = torch.cat([x, part[:, index * share : (index + 1) * share]], 1)
                x = blocks[index].decode(x, told)
            x = unsqueeze(x)
        return self.bottom.decode(x, h)

    @torch.no_grad()
    def initialise(self, y: Tensor, h: Tensor | None = None) -> None:
        """Set every ActNorm by a first batch."""
        x = y
        for layer in self.bottom.layers():
            x = layer.initialise(x, h)
        for blocks, told in zip(self._levels(), self._told(h), strict=True):
            x = squeeze(x)
            for block in blocks:
                for layer in block.layers():
                    x = layer.initialise(x, told)
                x = x[:, : block.kept]

    def forward(
        self, y: Tensor, h: Tensor | None = None, *, by_position: bool = False
    ) -> tuple[list[Tensor], Tensor]:
        """Return what ``encode`` returns."""
        return self.encode(y, h, by_position=by_position)
