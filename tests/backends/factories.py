"""Small backends of every family and variant, with weights that hide nothing (no zeros)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from latentlab.backends.nn.vae import VaeConfig, VaeNetwork
from latentlab.backends.vae import VaeBackend, vae_spec
from tests.diffusion_models import tiny_diffusion
from tests.flow_models import tiny_flow


def randomise(network: nn.Module, seed: int = 0) -> None:
    """Give every bias, gain and batch statistic a value of its own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if not tensor.is_floating_point():
                continue
            draw = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.copy_(1 + 0.3 * draw.abs())
            elif tensor.ndim <= 1 and name != "log_scale":
                tensor.add_(0.2 * draw)


def small_vae(**changes: Any) -> VaeBackend:
    """A VAE at 32 pixels with eight dimensions; ``changes`` go to its configuration."""
    config = VaeConfig(**{"image_size": 32, "latent_dim": 8, "width": 8, **changes})
    torch.manual_seed(1)
    network = VaeNetwork(config)
    randomise(network)
    network.log_scale.data.fill_(-1.5)
    if config.has_fitted_prior:
        generator = torch.Generator().manual_seed(2)
        mixing = 0.2 * torch.randn(network.prior_basis.shape, generator=generator)
        network.prior_basis.copy_(torch.eye(len(mixing)) + mixing)
    return VaeBackend(config, vae_spec(config, id="small-vae"), network)


BACKENDS: dict[str, Callable[[], Any]] = {
    "vae": small_vae,
    "vae-grey-l1-16": lambda: small_vae(channels=1, likelihood="l1", image_size=16),
    "vae-bernoulli-64": lambda: small_vae(likelihood="bernoulli", image_size=64, convolutions=2),
    "vae-class": lambda: small_vae(class_names=("cat", "dog", "fox")),
    "vae-attributes": lambda: small_vae(attribute_names=("smiling", "age")),
    "vae-fitted": lambda: small_vae(prior="fitted"),
    "autoencoder": lambda: small_vae(variant="autoencoder"),
    "vae-256": lambda: small_vae(image_size=256, width=4),
    "diffusion": lambda: tiny_diffusion(class_names=("cat", "dog")),
    "diffusion-unconditional": lambda: tiny_diffusion(attribute_names=()),
    "flow": tiny_flow,
    "flow-plain": lambda: tiny_flow(global_dim=0),
    "flow-every-layer": lambda: tiny_flow(
        splits=2, couplings=4, bottom_steps=1, global_prior="flow", dequantisation="variational"
    ),
    "flow-maps": lambda: tiny_flow(global_maps=(6, 5, 4)),
    "flow-grey-5-bits": lambda: tiny_flow(channels=1, bits=5, couplings=1, activation="relu"),
}

QUICK_ENCODE: dict[str, dict[str, Any]] = {"diffusion": {"steps": 4}}
"""Options of ``encode`` by family, where the usual ones take long."""
