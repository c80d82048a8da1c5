"""Likelihoods of an image given a decoder's output, and the Gaussian KL. Everything in nats.

Images lie in [-1, 1] at 256 levels, 2/255 apart. ``density`` is what training uses;
``log_mass`` integrates it over a level's bin (the outermost bins reach to infinity), so that it is
a probability of the 8-bit image and gives true bits per dimension.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Likelihood = Literal["gaussian", "bernoulli", "l1"]
HALF_BIN = 1.0 / 255.0


def location(raw: Tensor, likelihood: Likelihood) -> Tensor:
    """Return the image ``(B, C, H, W)`` in [-1, 1] that a raw decoder output stands for."""
    if likelihood == "bernoulli":
        return torch.sigmoid(raw) * 2 - 1
    return raw.clamp(-1, 1)


def density(images: Tensor, raw: Tensor, log_scale: Tensor, likelihood: Likelihood) -> Tensor:
    """Return log p(x|z) as a density, summed over pixels: ``(B,)`` in nats.

    Gaussian: standard deviation exp(log_scale). L1: Laplace with scale exp(log_scale). Bernoulli:
    minus the cross-entropy of intensities in [0, 1].
    """
    if likelihood == "bernoulli":
        values = _log_bernoulli(images, raw)
    elif likelihood == "gaussian":
        error = (images - raw) * torch.exp(-log_scale)
        values = -0.5 * error.square() - log_scale - 0.5 * math.log(2 * math.pi)
    else:
        error = (images - raw).abs() * torch.exp(-log_scale)
        values = -error - log_scale - math.log(2.0)
    return values.flatten(1).sum(1)


def log_mass(images: Tensor, raw: Tensor, log_scale: Tensor, likelihood: Likelihood) -> Tensor:
    """Return log P(x|z) of the 8-bit image, summed over pixels: ``(B,)`` in nats.

    For Bernoulli this is the same as ``density``: a probability only where images are binary.
    """
    return log_mass_terms(images, raw, log_scale, likelihood).flatten(1).sum(1)


def log_mass_terms(
    images: Tensor, raw: Tensor, log_scale: Tensor, likelihood: Likelihood
) -> Tensor:
    """Return what ``log_mass`` sums: ``(B, C, H, W)`` in nats."""
    if likelihood == "bernoulli":
        return _log_bernoulli(images, raw)
    log_cdf = torch.special.log_ndtr if likelihood == "gaussian" else _laplace_log_cdf
    inverse = torch.exp(-log_scale)
    upper = (images - raw + HALF_BIN) * inverse
    lower = (images - raw - HALF_BIN) * inverse
    upper = torch.where(images >= 1 - HALF_BIN, torch.full_like(upper, math.inf), upper)
    lower = torch.where(images <= -1 + HALF_BIN, torch.full_like(lower, -math.inf), lower)
    # Work in the lower tail, where log CDFs keep their precision.
    flip = lower > 0
    upper, lower = torch.where(flip, -lower, upper), torch.where(flip, -upper, lower)
    high, low = log_cdf(upper), log_cdf(lower)
    gap = torch.where(torch.isinf(low), low, low - high)
    return high + torch.log1p(-torch.exp(gap)).clamp_min(-80.0)


def _log_bernoulli(images: Tensor, raw: Tensor) -> Tensor:
    target = (images + 1) / 2
    return -functional.binary_cross_entropy_with_logits(raw, target, reduction="none")


def _laplace_log_cdf(value: Tensor) -> Tensor:
    below = value.clamp_max(0) - math.log(2.0)
    above = torch.log1p(-0.5 * torch.exp(-value.clamp_min(0)))
    return torch.where(value <= 0, below, above)


def gaussian_kl(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return KL(N(mean, exp(logvar)) || N(0, 1)) by dimension: ``(B, D)`` in nats.

    Kingma and Welling 2014, appendix B.
    """
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar)


def gaussian_kl_to(mean: Tensor, logvar: Tensor, prior_mean: Tensor, whiten: Tensor) -> Tensor:
    """Return KL(N(mean, exp(logvar)) || N(prior_mean, (whiten^T whiten)^-1)): ``(B,)`` in nats.

    Args:
        mean: ``(B, D)``.
        logvar: ``(B, D)``.
        prior_mean: ``(D,)``.
        whiten: ``(D, D)``, which turns draws of the prior, less its mean, into N(0, 1).
    """
    white = (mean - prior_mean) @ whiten.T
    trace = logvar.exp() @ whiten.square().sum(0)
    log_det = 2 * torch.linalg.slogdet(whiten).logabsdet
    return 0.5 * (trace + white.square().sum(1) - mean.shape[1] - log_det - logvar.sum(1))


def normal_log_density(
    z: Tensor, mean: Tensor | float = 0.0, logvar: Tensor | float = 0.0
) -> Tensor:
    """Return log N(z; mean, exp(logvar)) summed over the last axis, in nats."""
    logvar = torch.as_tensor(logvar, dtype=z.dtype, device=z.device)
    values = -0.5 * ((z - mean).square() * torch.exp(-logvar) + logvar + math.log(2 * math.pi))
    return values.sum(-1)
