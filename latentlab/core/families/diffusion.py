"""Settings of the diffusion family: the ``[model]`` table of its recipes. No torch here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from latentlab.core.families.base import FamilySettings, setting
from latentlab.core.families.condition import (
    ConditionNames,
    condition_setting,
    dropout_setting,
)
from latentlab.core.noise_schedule import MOST_TIMESTEPS, ScheduleName

SIZES = (16, 32, 64, 128, 256)
"""Heights and widths of the images that a diffusion model works on, in pixels."""
Prediction = Literal["epsilon", "x0", "v"]
Widths = Annotated[
    tuple[Annotated[int, Field(ge=8, le=1024)], ...],
    Field(strict=False, max_length=6),
]
Sides = Annotated[tuple[int, ...], Field(strict=False, max_length=6)]


class DiffusionSettings(FamilySettings):
    """A denoising diffusion model (Ho et al. 2020, arXiv 2006.11239)."""

    image_sizes = SIZES
    family: Literal["diffusion"] = setting("diffusion", "Family", "The kind of model.")
    schedule: ScheduleName = setting(
        "cosine",
        "Noise schedule",
        "How an image becomes noise: linear has evenly rising steps (Ho et al. 2020); cosine keeps "
        "more of small images for longer (Nichol and Dhariwal 2021); offset_cosine begins and ends "
        "a little inside, as in the DDIM example of Keras.",
    )
    prediction: Prediction = setting(
        "v",
        "Prediction",
        "What the network gives: epsilon is the noise, x0 the image, v a mixture of both that is "
        "well behaved at every noise level (Salimans and Ho 2022).",
    )
    loss_weighting: Literal["uniform", "min_snr"] = setting(
        "min_snr",
        "Weighting of the loss",
        "uniform counts the error of the prediction alike at every noise level; min_snr counts the "
        "error of the image by the signal-to-noise ratio, at most 5, and learns faster (Hang et "
        "al. 2023).",
    )
    condition: ConditionNames = condition_setting(advanced=False)
    condition_dropout: float = dropout_setting()
    patch: Literal[1, 2, 4] = setting(
        1,
        "Pixels a position",
        "Side of the squares of pixels that the network sees as one position: 2 takes about a "
        "third of the time of 1 and is a little less fine.",
        unit="pixels",
    )
    widths: Widths = setting(
        (64, 96),
        "Widths",
        "Channels of each level, the finest first; each level halves the side. Time grows with "
        "their squares.",
        unit="channels",
    )
    blocks: int = setting(
        2,
        "Blocks a level",
        "Residual blocks of each level; more learn finer images and take longer.",
        ge=1,
        le=8,
    )
    attention: Sides = setting(
        (),
        "Attention at",
        "Sides of the maps where every position looks at every other; small ones, such as 8.",
        unit="pixels",
        advanced=True,
    )
    mid_attention: bool = setting(
        True,
        "Attention in the middle",
        "Whether the coarsest map has self-attention.",
        advanced=True,
    )
    head_dim: int = setting(
        32, "Head width", "Channels of an attention head.", advanced=True, ge=1, le=512
    )
    groups: int = setting(
        8,
        "Groups",
        "Groups of every group norm; widths are multiples of it.",
        advanced=True,
        ge=1,
        le=128,
    )
    dropout: float = setting(
        0.0,
        "Dropout",
        "Share of features left out while training; 0.1 helps on a few thousand images.",
        advanced=True,
        ge=0,
        lt=1,
    )
    num_timesteps: int = setting(
        1000,
        "Time steps",
        "Noise levels of training; sampling takes as few of them as it likes.",
        unit="steps",
        advanced=True,
        ge=2,
        le=MOST_TIMESTEPS,
    )
    beta_start: float = setting(
        1e-4, "First beta", "Of the linear schedule.", advanced=True, gt=0, lt=1
    )
    beta_end: float = setting(
        0.02, "Last beta", "Of the linear schedule.", advanced=True, gt=0, lt=1
    )
    quality_images: int = setting(
        256,
        "Images measured",
        "Portraits drawn at the end for each figure of quality; 0 measures nothing. A hundred take "
        "minutes on a CPU.",
        unit="images",
        advanced=True,
        ge=0,
        le=100_000,
    )
