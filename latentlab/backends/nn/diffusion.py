"""The network of the diffusion family: the U-Net of ``diffusers`` with a condition vector."""

from __future__ import annotations

from typing import Any, Literal, cast

import torch.nn.functional as functional
from pydantic import Field, model_validator
from torch import Tensor, nn

from latentlab.core.errors import LatentLabError
from latentlab.core.families.diffusion import Prediction, Sides, Widths
from latentlab.core.noise_schedule import (
    MOST_TIMESTEPS,
    NoiseSchedule,
    ScheduleName,
    noise_schedule,
)
from latentlab.core.spec import Frozen

SMALL_ATTENTION = 16
"""Largest side of a map whose attention is computed by plain matrix products."""
HIDDEN = 64
"""Width of the layer that the condition goes through."""


class DiffusionConfig(Frozen):
    """Everything that decides the shapes, the noise and the prediction of a diffusion model.

    Attributes:
        image_size: height and width in pixels.
        channels: 1 (grey) or 3 (colour).
        patch: side of the squares of pixels that the U-Net sees as one position: 1, 2 or 4 (Luhman
            and Luhman 2022, arXiv 2207.04316). With 2 a step costs about a third.
        widths: channels of each level, the finest first; each level halves the side.
        blocks: residual blocks a level.
        attention: sides of the maps that have self-attention.
        mid_attention: whether the coarsest map has it in the middle of the network.
        head_dim: channels of an attention head.
        groups: groups of every group norm.
        dropout: within residual blocks, while training.
        schedule: ``linear``, ``cosine`` or ``offset_cosine``; see ``core.noise_schedule``.
        num_timesteps: T, of the training schedule.
        beta_start: first beta of the linear schedule.
        beta_end: last beta of the linear schedule.
        prediction: what the network gives: ``epsilon`` (the noise), ``x0`` (the image) or ``v`` =
            signal rate * noise - noise rate * image (Salimans and Ho 2022, arXiv 2202.00512).
        class_names: classes of a class-conditional model.
        attribute_names: attributes of an attribute-conditional model.
    """

    image_size: int = Field(default=32, ge=4, le=1024)
    channels: Literal[1, 3] = 3
    patch: Literal[1, 2, 4] = 1
    widths: Widths = (64, 96)
    blocks: int = Field(default=2, ge=1, le=8)
    attention: Sides = ()
    mid_attention: bool = True
    head_dim: int = Field(default=32, ge=1, le=512)
    groups: int = Field(default=8, ge=1, le=128)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    schedule: ScheduleName = "cosine"
    num_timesteps: int = Field(default=1000, ge=2, le=MOST_TIMESTEPS)
    beta_start: float = Field(default=1e-4, gt=0, lt=1)
    beta_end: float = Field(default=0.02, gt=0, lt=1)
    prediction: Prediction = "v"
    class_names: tuple[str, ...] = Field(default=(), max_length=10_000)
    attribute_names: tuple[str, ...] = Field(default=(), max_length=1_000)

    @model_validator(mode="after")
    def _fits(self) -> DiffusionConfig:
        if not self.widths:
            raise ValueError("widths name at least one level")
        step = self.patch << (len(self.widths) - 1)
        if self.image_size % step:
            raise ValueError(f"image_size must be a multiple of {step} for these levels")
        bad = [w for w in self.widths if w % self.groups]
        if bad:
            raise ValueError(f"widths must be multiples of groups ({self.groups}), not {bad[0]}")
        if any(side not in self.sides for side in self.attention):
            raise ValueError(f"attention names sides of maps: {', '.join(map(str, self.sides))}")
        attending = [w for w, s in zip(self.widths, self.sides) if s in self.attention]
        attending += [self.widths[-1]] if self.mid_attention else []
        if any(w % self.head_dim for w in attending):
            raise ValueError(f"widths with attention must be multiples of {self.head_dim}")
        if self.beta_start > self.beta_end:
            raise ValueError("beta_start is at most beta_end")
        try:
            self.noise_schedule()
        except LatentLabError as error:
            raise ValueError(error.message) from error
        return self

    @property
    def sides(self) -> tuple[int, ...]:
        """Heights and widths of the maps of each level, the finest first."""
        return tuple(self.image_size // self.patch >> level for level in range(len(self.widths)))

    @property
    def condition_dim(self) -> int:
        """Numbers in the condition vector: values, then one flag that they are known; or 0."""
        values = len(self.class_names) + len(self.attribute_names)
        return values + 1 if values else 0

    def noise_schedule(self) -> NoiseSchedule:
        """Return the schedule of training."""
        return noise_schedule(
            self.schedule, self.num_timesteps, beta_start=self.beta_start, beta_end=self.beta_end
        )


def _unet(config: DiffusionConfig) -> Any:
    from diffusers import UNet2DModel
    from diffusers.models.attention_processor import Attention, AttnProcessor

    attends = [side in config.attention for side in config.sides]
    planes = config.channels * config.patch**2
    unet = UNet2DModel(
        sample_size=config.sides[0],
        in_channels=planes,
        out_channels=planes,
        layers_per_block=config.blocks,
        block_out_channels=config.widths,
        down_block_types=tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in attends),
        up_block_types=tuple("AttnUpBlock2D" if a else "UpBlock2D" for a in attends[::-1]),
        add_attention=config.mid_attention,
        attention_head_dim=config.head_dim,
        norm_num_groups=config.groups,
        dropout=config.dropout,
        class_embed_type="identity" if config.condition_dim else None,
    )
    if max((*config.attention, config.sides[-1])) <= SMALL_ATTENTION:
        # On a CPU in bfloat16 the fused kernel took a quarter of a step; this takes a twentieth.
        for module in cast(nn.Module, unet).modules():
            if isinstance(module, Attention):
                module.set_processor(AttnProcessor())
    return unet


class DiffusionNetwork(nn.Module):
    """A U-Net over time steps (Ho et al. 2020, appendix B), told a condition beside the time.

    The output layer and the last layer of every residual block start at zero (Dhariwal and Nichol
    2021, arXiv 2105.05233), so that training starts gently.

    Args:
        config: the shapes.
    """

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.config = config
        self.unet = _unet(config)
        width = 4 * config.widths[0]
        self.condition: nn.Module | None = None
        if config.condition_dim:
            self.condition = nn.Sequential(
                nn.Linear(config.condition_dim, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, width)
            )
        for name, parameter in self.named_parameters():
            if ".conv2." in name or ".conv_out." in name:
                nn.init.zeros_(parameter)

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the prediction ``(B, C, H, W)``, float32, in the configured parametrisation.

        Args:
            x_t: noisy images ``(B, C, H, W)``.
            t: steps ``(B,)``, whole numbers 0 to T - 1.
            condition: ``(B, condition_dim)``; ``None`` is no condition.
        """
        told = None
        if self.condition is not None:
            if condition is None:
                condition = x_t.new_zeros(len(x_t), self.config.condition_dim)
            told = self.condition(condition.to(x_t.dtype))
        patch = self.config.patch
        planes = functional.pixel_unshuffle(x_t, patch) if patch > 1 else x_t
        predicted: Tensor = self.unet(planes, t, class_labels=told, return_dict=False)[0]
        whole = functional.pixel_shuffle(predicted, patch) if patch > 1 else predicted
        return whole.float()


def prediction_target(
    kind: Prediction, images: Tensor, noise: Tensor, signal: Tensor, noise_rate: Tensor
) -> Tensor:
    """Return what a network of a parametrisation learns to give for noised images.

    Args:
        kind: the parametrisation.
        images: x_0 ``(B, C, H, W)``.
        noise: epsilon ``(B, C, H, W)``.
        signal: signal rates, of a shape that broadcasts.
        noise_rate: noise rates, likewise.
    """
    if kind == "epsilon":
        return noise
    return images if kind == "x0" else signal * noise - noise_rate * images


def split_prediction(
    kind: Prediction,
    predicted: Tensor,
    x_t: Tensor,
    signal: Tensor | float,
    noise_rate: Tensor | float,
) -> tuple[Tensor, Tensor]:
    """Return predicted image x_0 and noise epsilon of a prediction at x_t.

    Args:
        kind: the parametrisation.
        predicted: by the network, ``(B, C, H, W)``.
        x_t: that it was given.
        signal: signal rates, of a shape that broadcasts; above 0.
        noise_rate: noise rates, likewise; above 0.
    """
    if kind == "epsilon":
        return (x_t - noise_rate * predicted) / signal, predicted
    if kind == "x0":
        return predicted, (x_t - signal * predicted) / noise_rate
    return signal * x_t - noise_rate * predicted, noise_rate * x_t + signal * predicted
