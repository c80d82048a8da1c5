"""Everything that decides the shapes of a flow, with limits that keep hostile files small."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from latentlab.backends.nn.flow_couplings import Activation
from latentlab.core.families.flow import Hidden, Steps
from latentlab.core.spec import Frozen

MOST_COUPLINGS = 1024
"""Of one network: more is a file that means harm, not a model."""


class FlowConfig(Frozen):
    """Everything that decides the shapes of a flow.

    Attributes:
        image_size: height and width in pixels.
        channels: 1 (grey) or 3 (colour).
        bits: of the data: images have 2^bits levels a channel.
        steps: flow steps of each block, by level, the finest first. A level begins with a squeeze,
            2x2 pixels to channels, and has ``splits`` blocks; the last has one.
        hidden: channels of the coupling nets, by level.
        splits: blocks of every level but the last; after each, a share of the level's channels is
            split off, half of them in all.
        couplings: a step: 1 (Glow), 2, or 4 (Ma et al. 2021); see ``FlowStep``.
        bottom_steps: steps at full resolution before the first level.
        bottom_hidden: channels of their coupling nets.
        activation: of the coupling nets.
        global_dim: D of the global part z; 0 is a plain flow.
        global_maps: channels of the maps of z that the couplings of a level are told, the finest
            first; empty: they are told z itself, the same everywhere (see ``flow_maps``).
        encoder: channels of the encoder's levels; each halves the map.
        encoder_blocks: residual blocks a level.
        encoder_planes: channels of the encoder's last map.
        encoder_norm: ``batch``, or ``group``, which sees each image alone.
        global_prior: ``standard``: z is N(0, 1); ``flow``: a small flow of z is.
        prior_steps: steps of that flow.
        prior_hidden: width of its couplings.
        dequantisation: ``uniform`` noise within a level, or ``variational``: noise that a small
            flow makes for the image (Ho et al. 2019, arXiv 1902.00275).
        dequantiser_steps: steps of that flow.
        dequantiser_hidden: channels of its coupling nets.
    """

    image_size: int = Field(default=32, ge=4, le=256)
    channels: Literal[1, 3] = 3
    bits: int = Field(default=8, ge=1, le=8)
    steps: Steps = (4, 4, 4)
    hidden: Hidden = (64, 96, 96)
    splits: Literal[1, 2] = 1
    couplings: Literal[1, 2, 4] = 2
    bottom_steps: int = Field(default=0, ge=0, le=16)
    bottom_hidden: int = Field(default=24, ge=4, le=512)
    activation: Activation = "elu"
    global_dim: int = Field(default=0, ge=0, le=1024)
    global_maps: Hidden = ()
    encoder: Hidden = (32, 64, 64)
    encoder_blocks: int = Field(default=1, ge=1, le=4)
    encoder_planes: int = Field(default=8, ge=1, le=256)
    encoder_norm: Literal["batch", "group"] = "batch"
    global_prior: Literal["standard", "flow"] = "standard"
    prior_steps: int = Field(default=2, ge=1, le=16)
    prior_hidden: int = Field(default=128, ge=4, le=1024)
    dequantisation: Literal["uniform", "variational"] = "uniform"
    dequantiser_steps: int = Field(default=2, ge=1, le=16)
    dequantiser_hidden: int = Field(default=32, ge=4, le=512)

    @model_validator(mode="after")
    def _fits(self) -> FlowConfig:
        if not self.steps:
            raise ValueError("steps needs at least one level")
        if self.global_dim and not self.encoder:
            raise ValueError("encoder needs at least one level")
        if len(self.steps) != len(self.hidden):
            raise ValueError("steps and hidden name one number for each level")
        if self.global_maps and len(self.global_maps) != self.levels:
            raise ValueError("global_maps names one number for each level, or none")
        if self.global_maps and not self.global_dim:
            raise ValueError("global_maps needs a global_dim of 1 or more")
        if self.image_size % (1 << self.levels):
            raise ValueError(f"image_size must be a multiple of {1 << self.levels}")
        if self.bottom_steps and self.channels == 1:
            raise ValueError("bottom_steps needs colour: one channel has none to look at")
        blocks = sum(self.steps[:-1]) * self.splits + self.steps[-1] + self.bottom_steps
        if blocks * self.couplings > MOST_COUPLINGS:
            raise ValueError(f"there are at most {MOST_COUPLINGS} couplings")
        if self.global_dim and self.image_size % (1 << len(self.encoder)):
            raise ValueError(f"image_size must be a multiple of {1 << len(self.encoder)}")
        if self.global_prior == "flow" and self.global_dim == 1:
            raise ValueError("a flow of z needs a global_dim of 2 or more")
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """No flow here is told a class."""
        return ()

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Nor attributes."""
        return ()

    @property
    def condition_dim(self) -> int:
        """So there is no condition vector."""
        return 0

    @property
    def levels(self) -> int:
        """Squeezes, and local parts: one a level."""
        return len(self.steps)

    @property
    def told(self) -> tuple[int, ...]:
        """Numbers that the couplings of each level are told at a position; 0 in a plain flow."""
        return self.global_maps or (self.global_dim,) * self.levels

    @property
    def local_shapes(self) -> tuple[tuple[int, int, int], ...]:
        """Shape of each local part, the finest first."""
        found, channels, side = [], int(self.channels), self.image_size
        for level in range(self.levels):
            channels, side = 4 * channels, side // 2
            if level < self.levels - 1:
                channels //= 2
            found.append((channels, side, side))
        return tuple(found)
