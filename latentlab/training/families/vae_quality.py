"""The figures on a VAE's card, measured on held-out images with the weights that are stored."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlab.backends.vae import VaeBackend
from latentlab.core.latents import Condition
from latentlab.data.base import ImageDataset

ACTIVE_VARIANCE = 0.01
"""Burda et al. 2016, section 5.2: a unit is active if Var_x(E[z|x]) is above this."""
CHUNK = 100
BOUND_IMAGES = 100


def to_tensor(images: NDArray[np.uint8]) -> Tensor:
    """Return uint8 ``(B, H, W, C)`` as float32 ``(B, C, H, W)`` in [-1, 1]."""
    return torch.from_numpy(images.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)


def to_uint8(images: Tensor) -> NDArray[np.uint8]:
    """Return float ``(B, C, H, W)`` in [-1, 1] as uint8 ``(B, H, W, C)``."""
    levels = ((images.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255)
    return levels.to(torch.uint8).cpu().numpy()


def psnr_db(mean_squared_error: Tensor) -> Tensor:
    """Return peak signal-to-noise ratio in dB for errors on the [-1, 1] scale (peak 2)."""
    return 10 * torch.log10(4 / mean_squared_error.clamp_min(1e-12))


def encode_means(
    backend: VaeBackend, dataset: ImageDataset, condition: Condition | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield posterior means ``(B, D)`` and residuals ``(B,)`` of a data set, on the CPU."""
    for start in range(0, len(dataset), CHUNK):
        images = to_tensor(dataset.read(range(start, min(start + CHUNK, len(dataset)))))
        for update in backend.encode(images, condition=condition):
            yield update.latents["z"].cpu(), update.residual.cpu()


def fit_code_gaussian(backend: VaeBackend, dataset: ImageDataset) -> None:
    """Fit the Gaussian that an autoencoder samples from to the codes of ``dataset``."""
    codes = torch.cat([z for z, _ in encode_means(backend, dataset)]).double()
    centred = codes - codes.mean(0)
    covariance = centred.T @ centred / max(1, len(codes) - 1)
    ridge = 1e-6 * covariance.diagonal().mean().clamp_min(1e-12)
    cholesky = torch.linalg.cholesky(covariance + ridge * torch.eye(codes.shape[1]).double())
    backend.network.code_mean.copy_(codes.mean(0))
    backend.network.code_cholesky.copy_(cholesky)


def measure_vae(
    backend: VaeBackend, held_out: ImageDataset
) -> Iterator[tuple[int, int, str] | dict[str, float]]:
    """Yield progress, then the figures by name.

    ``psnr_db`` of reconstructions from the posterior mean; ``elbo_nats``, ``elbo_bits_per_dim``
    and ``kl_nats`` of the 8-bit image, one posterior sample an image; ``active_units`` of
    ``latent_dim``; ``bound_bits_per_dim``: the importance-weighted bound on the first images.
    """
    dimensions = math.prod(backend.spec.image_shape)
    codes, errors, likelihoods, divergences = [], [], [], []
    for start in range(0, len(held_out), CHUNK):
        images = to_tensor(held_out.read(range(start, min(start + CHUNK, len(held_out)))))
        for update in backend.encode(images):
            codes.append(update.latents["z"].cpu())
            errors.append(update.residual.cpu())
        if "log_prob" in backend.spec.capabilities:
            nats, divergence = backend.elbo(images, seed=start)
            likelihoods.append(nats.cpu())
            divergences.append(divergence.cpu())
        yield start, len(held_out) + BOUND_IMAGES, "measuring reconstructions"
    variance = torch.cat(codes).double().var(0)
    figures = {
        "psnr_db": float(psnr_db(torch.cat(errors)).mean()),
        "active_units": float((variance > ACTIVE_VARIANCE).sum()),
        "latent_dim": float(len(variance)),
        "held_out_images": float(len(held_out)),
    }
    if likelihoods:
        elbo = float((torch.cat(likelihoods) - torch.cat(divergences)).double().mean())
        figures["elbo_nats"] = elbo
        figures["kl_nats"] = float(torch.cat(divergences).mean())
        figures["elbo_bits_per_dim"] = -elbo / (math.log(2) * dimensions)
        bound = []
        for start in range(0, min(BOUND_IMAGES, len(held_out)), 10):
            images = to_tensor(held_out.read(range(start, min(start + 10, len(held_out)))))
            bound.append(backend.log_prob(images).bits_per_dim.cpu())
            yield len(held_out) + start, len(held_out) + BOUND_IMAGES, "measuring the bound"
        figures["bound_bits_per_dim"] = float(torch.cat(bound).mean())
    yield figures
