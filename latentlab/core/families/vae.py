"""Settings of the VAE family: the ``[model]`` table of its recipes. No torch here."""

from __future__ import annotations

from typing import Literal

from latentlab.core.families.base import FamilySettings, setting
from latentlab.core.families.condition import (
    ConditionNames,
    condition_setting,
    dropout_setting,
)

SIZES = (16, 32, 64, 128, 256)
"""Heights and widths of the images that a VAE works on, in pixels."""


class VaeSettings(FamilySettings):
    """A variational autoencoder (Kingma and Welling 2014, arXiv 1312.6114)."""

    image_sizes = SIZES
    family: Literal["vae"] = setting("vae", "Family", "The kind of model.")
    variant: Literal["vae", "autoencoder"] = setting(
        "vae",
        "Variant",
        "A vae learns a distribution of codes and can draw new images well; an autoencoder has no "
        "noise and no KL term, and reconstructs more sharply.",
    )
    latent_dim: int = setting(
        200,
        "Latent dimensions",
        "Numbers in a code. More keep more detail; 2 can be looked at as a plane.",
        ge=1,
        le=4096,
    )
    width: int = setting(
        32,
        "Width",
        "Channels of the first level; each level doubles them. Time grows with its square.",
        unit="channels",
        ge=4,
        le=512,
    )
    max_width: int = setting(
        256,
        "Largest width",
        "Most channels of a level.",
        unit="channels",
        advanced=True,
        ge=4,
        le=1024,
    )
    convolutions: int = setting(
        1,
        "Convolutions a level",
        "Those after the first keep the size; more give sharper images and take longer.",
        advanced=True,
        ge=1,
        le=4,
    )
    norm: Literal["batch", "group", "none"] = setting(
        "batch",
        "Normalisation",
        "batch normalises over the images of a process's batch and trains fastest; group over each "
        "image alone, so that micro-batches and several processes change nothing; none leaves it "
        "out.",
        advanced=True,
    )
    likelihood: Literal["gaussian", "bernoulli", "l1"] = setting(
        "gaussian",
        "Likelihood",
        "How a difference between image and reconstruction counts: gaussian squares it, l1 "
        "(Laplace) takes its size, bernoulli suits black-and-white images.",
    )
    prior: Literal["standard", "fitted"] = setting(
        "standard",
        "Prior",
        "What new codes are drawn from: standard is N(0, 1); fitted is the Gaussian with the "
        "moments of the codes of the training images, which gives better new images (Hoffman and "
        "Johnson 2016). An autoencoder always has a fitted one.",
    )
    condition: ConditionNames = condition_setting()
    beta: float = setting(
        1.0,
        "Weight of the KL term",
        "1 is the evidence lower bound; more makes codes smoother and images blurrier (Higgins et "
        "al. 2017).",
        ge=0,
        allow_inf_nan=False,
    )
    kl_warmup_steps: int = setting(
        0,
        "KL warm-up",
        "Over so many steps the weight of the KL term rises from 0 (Sonderby et al. 2016).",
        unit="steps",
        advanced=True,
        ge=0,
    )
    free_bits: float = setting(
        0.0,
        "Free information",
        "So much a latent dimension may carry, on average, at no cost (Kingma et al. 2016).",
        unit="nats",
        advanced=True,
        ge=0,
        allow_inf_nan=False,
    )
    observation_scale: float | None = setting(
        None,
        "Scale of the likelihood",
        "Standard deviation (gaussian) or scale (l1) on pixel values from -1 to 1; smaller asks "
        "for closer reconstructions. Leave it out to learn it (Rybkin et al. 2021).",
        advanced=True,
        gt=0,
        allow_inf_nan=False,
    )
    condition_dropout: float = dropout_setting()
    refine_directions: bool = setting(
        False,
        "Refine directions",
        "At the end of a run on portraits, turn each of the eight edits by descent through decoder "
        "and probe: purer edits, and on a CPU minutes more of measuring.",
        advanced=True,
    )
