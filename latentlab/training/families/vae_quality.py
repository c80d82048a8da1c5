"""The figures on a VAE's card, measured on held-out images with the weights that are stored."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from latentlab.backends.images import from_levels
from latentlab.backends.nn.vae import VaeNetwork
from latentlab.backends.vae import VaeBackend
from latentlab.data.base import ImageDataset
from latentlab.latent.metrics import active_units, psnr

CHUNK = 100
BOUND_IMAGES = 100
PRIOR_IMAGES = 10_000
"""Training images that a fitted prior takes its moments from."""


@torch.inference_mode()
def fit_prior(network: VaeNetwork, dataset: ImageDataset, count: int = PRIOR_IMAGES) -> None:
    """Fit the prior of ``network`` to the codes of the first images of ``dataset``, in place.

    The Gaussian with the mean and covariance of the aggregated posterior, E[N(mean, variance)],
    makes the evidence lower bound largest. Its axes are sorted by variance, the largest first, and
    rounded to half precision, as they will be stored.
    """
    means, variances = [], []
    for start in range(0, min(count, len(dataset)), CHUNK):
        images = from_levels(dataset.read(range(start, min(start + CHUNK, len(dataset)))))
        mean, logvar = network.encode(
            images.to(network.prior_mean.device), _unknown(network, images)
        )
        means.append(mean.double())
        variances.append(logvar.double().exp())
    codes = torch.cat(means)
    covariance = torch.cov(codes.T).reshape(codes.shape[1], codes.shape[1])
    if network.config.variant == "vae":
        covariance = covariance + torch.diag(torch.cat(variances).mean(0))
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values.flip(0), vectors.flip(1)
    # An autoencoder may leave a direction unused; a basis must still span the space.
    basis = vectors * values.clamp_min(1e-6 * float(values[0])).sqrt()
    strongest = basis.abs().argmax(0)
    basis = basis * basis[strongest, torch.arange(len(strongest))].sign()
    network.prior_mean.copy_(codes.mean(0).half())
    network.prior_basis.copy_(basis.half())


def _unknown(network: VaeNetwork, images: Tensor) -> Tensor | None:
    """Return the condition vectors that say nothing is known."""
    width = network.config.condition_dim
    return images.new_zeros(len(images), width) if width else None


def _encoded(backend: VaeBackend, dataset: ImageDataset) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield posterior means ``(B, D)`` and images ``(B, C, H, W)`` on the CPU."""
    for start in range(0, len(dataset), CHUNK):
        images = from_levels(dataset.read(range(start, min(start + CHUNK, len(dataset)))))
        for update in backend.encode(images):
            yield update.latents["z"].cpu(), images


def measure_vae(
    backend: VaeBackend, held_out: ImageDataset
) -> Iterator[tuple[int, int, str] | dict[str, float]]:
    """Yield progress, then the figures by name.

    ``psnr_db`` of reconstructions from the posterior mean; ``elbo_nats``, ``elbo_bits_per_dim``
    and ``kl_nats`` of the 8-bit image, one posterior sample an image; ``active_units`` of
    ``latent_dim``; ``bound_bits_per_dim``: the importance-weighted bound on the first images.
    """
    dimensions = math.prod(backend.spec.image_shape)
    codes, decibels, likelihoods, divergences = [], [], [], []
    for z, images in _encoded(backend, held_out):
        codes.append(z)
        decibels.append(psnr(images.numpy(), backend.decode({"z": z}).cpu().numpy()))
        if "log_prob" in backend.spec.capabilities:
            nats, divergence = backend.elbo(images, seed=len(codes))
            likelihoods.append(nats.cpu())
            divergences.append(divergence.cpu())
        yield len(codes) * CHUNK, len(held_out) + BOUND_IMAGES, "measuring reconstructions"
    figures = {
        "psnr_db": float(np.concatenate(decibels).mean()),
        "active_units": float(active_units(torch.cat(codes).numpy())),
        "latent_dim": float(codes[0].shape[1]),
        "held_out_images": float(len(held_out)),
    }
    if likelihoods:
        elbo = float((torch.cat(likelihoods) - torch.cat(divergences)).double().mean())
        figures["elbo_nats"] = elbo
        figures["kl_nats"] = float(torch.cat(divergences).mean())
        figures["elbo_bits_per_dim"] = -elbo / (math.log(2) * dimensions)
        bound = []
        for start in range(0, min(BOUND_IMAGES, len(held_out)), 10):
            images = from_levels(held_out.read(range(start, min(start + 10, len(held_out)))))
            bound.append(backend.log_prob(images).bits_per_dim.cpu())
            yield len(held_out) + start, len(held_out) + BOUND_IMAGES, "measuring the bound"
        figures["bound_bits_per_dim"] = float(torch.cat(bound).mean())
    yield figures
