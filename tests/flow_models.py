"""Tiny flows with weights that hide nothing, for tests of every layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentlab.backends.checkpoint import backend_from, state_arrays
from latentlab.backends.flow import FlowBackend, flow_spec
from latentlab.backends.nn.flow import FlowConfig, FlowNetwork, bin_position, levels_of
from latentlab.core.modelfile import ModelHeader, StoredModel, fingerprint, write_model

SMALL: dict[str, Any] = {
    "image_size": 16,
    "steps": (1, 1, 1),
    "hidden": (12, 12, 12),
    "couplings": 2,
    "global_dim": 6,
    "encoder": (8, 8),
    "encoder_planes": 4,
    "prior_hidden": 12,
    "dequantiser_hidden": 8,
}

EVERY: dict[str, Any] = {
    "splits": 2,
    "couplings": 4,
    "bottom_steps": 1,
    "global_prior": "flow",
    "dequantisation": "variational",
}
"""Changes of a configuration that has every layer."""
KINDS: dict[str, dict[str, Any]] = {
    "decoupled": {},
    "plain": {"global_dim": 0},
    "every-layer": EVERY,
    "grey": {"channels": 1, "bits": 5, "couplings": 1, "activation": "relu"},
    "maps": {"global_maps": (6, 5, 4), "splits": 2},
    "one-level": {"steps": (2,), "hidden": (12,), "encoder_norm": "group"},
}
"""Changes of a configuration, by what they show."""


def smooth_images(count: int, config: FlowConfig, seed: int = 5) -> Tensor:
    """Return smooth random images with grain, ``(count, C, H, W)`` in [-1, 1], at 8-bit levels."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn((count, config.channels, 4, 4), generator=generator)
    size = (config.image_size, config.image_size)
    fine = nn.functional.interpolate(coarse, size, mode="bicubic", align_corners=False)
    grain = 0.2 * torch.randn(fine.shape, generator=generator)
    return ((torch.tanh(0.5 * fine + grain) + 1) * 127.5).round() / 127.5 - 1


def perturb(network: nn.Module, seed: int = 0, amount: float = 0.2) -> None:
    """Move every weight, so that none of the zeros of a new network makes a test pass.

    Matrices and convolutions move by ``amount`` over the root of their inputs, so that what goes
    through keeps its size.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if not tensor.is_floating_point() or name.endswith("sign"):
                continue
            draw = torch.randn(tensor.shape, generator=generator).to(tensor)
            if name.endswith("running_var"):
                tensor.copy_(1 + 0.3 * draw.abs())
            elif tensor.ndim > 1:
                tensor.add_(amount * draw / tensor[0].numel() ** 0.5)
            else:
                tensor.add_(0.2 * amount * draw)


def settled(network: FlowNetwork, seed: int = 0) -> FlowNetwork:
    """Perturb a network; set every ActNorm by smooth images; move these a little too."""
    config = network.config
    perturb(network, seed, 0.4 / config.couplings)
    network.eval()
    images = smooth_images(16, config)
    levels = levels_of(images, config.bits)
    generator = torch.Generator().manual_seed(seed + 1)
    u = torch.rand(levels.shape, generator=generator)
    noise = torch.randn(levels.shape, generator=generator)
    with torch.no_grad():
        y, h = bin_position(levels, u, config.bits), None
        if config.global_dim:
            h = _spread_posterior(network, y)
            h = h + 0.3 * torch.randn(h.shape, generator=generator)
        network.initialise(y, h, noise)
        for name, tensor in network.named_parameters():
            if ".norm." in name:
                tensor.add_(0.02 * torch.randn(tensor.shape, generator=generator))
    return network


def _spread_posterior(network: FlowNetwork, y: Tensor) -> Tensor:
    """Make the means of q(z|x) differ as the prior does, sigma about 0.3; return the means."""
    dim = network.config.global_dim
    weight, bias = (network.get_parameter(f"encoder.posterior.{n}") for n in ("weight", "bias"))
    deviation, mean = torch.std_mean(network.posterior(y)[0], 0)
    weight[:dim].div_(deviation[:, None])
    bias[:dim].sub_(mean).div_(deviation)
    bias[dim:].sub_(2.4)
    return network.posterior(y)[0]


def tiny_flow(**config: Any) -> FlowBackend:
    """A decoupled flow of 16 pixels: ``global`` of 6 numbers, ``local_1`` to ``local_3``.

    ``config`` changes its configuration; ``global_dim=0`` makes it plain.
    """
    shapes = FlowConfig(**{**SMALL, **config})
    state = torch.random.get_rng_state()
    torch.manual_seed(3)
    network = settled(FlowNetwork(shapes))
    torch.random.set_rng_state(state)
    return FlowBackend(shapes, flow_spec(shapes, id="tiny-flow"), network)


def write_tiny(path: Path, **config: Any) -> Path:
    """Store ``tiny_flow`` as a model file called like the model; return the path."""
    backend = tiny_flow(**config)
    arrays = state_arrays(backend.network, half=False)
    spec = backend.spec.model_copy(update={"id": path.stem, "fingerprint": fingerprint(arrays)})
    stored = StoredModel(ModelHeader(config=backend.config.model_dump(), spec=spec), arrays)
    backend_from(stored)
    write_model(path, stored)
    return path


def doubled(backend: FlowBackend) -> FlowBackend:
    """Return a flow in double precision."""
    network = FlowNetwork(backend.config).double()
    network.load_state_dict(backend.network.state_dict())
    return FlowBackend(backend.config, backend.spec, network)
