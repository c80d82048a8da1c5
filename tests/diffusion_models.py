"""Tiny diffusion models with weights that hide nothing, for tests of every layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from latentlab.backends.checkpoint import backend_from, state_arrays
from latentlab.backends.diffusion import DiffusionBackend, diffusion_spec
from latentlab.backends.nn.diffusion import DiffusionConfig, DiffusionNetwork
from latentlab.core.modelfile import ModelHeader, StoredModel, fingerprint, write_model

ATTRIBUTES = ("smiling", "eyeglasses", "age")
SMALL: dict[str, Any] = {
    "image_size": 16,
    "widths": (8, 16),
    "blocks": 1,
    "head_dim": 8,
    "groups": 4,
    "mid_attention": True,
}


def perturb(network: torch.nn.Module, seed: int = 0, amount: float = 0.15) -> None:
    """Move every weight, so that none of the zeros of a new network makes a test pass."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.add_(amount * torch.randn(tensor.shape, generator=generator))


def tiny_diffusion(**config: Any) -> DiffusionBackend:
    """A diffusion model of 16 pixels and three attributes; ``config`` changes its configuration.

    ``attribute_names=()`` makes it unconditional.
    """
    shapes = DiffusionConfig(**{**SMALL, "attribute_names": ATTRIBUTES, **config})
    state = torch.random.get_rng_state()
    torch.manual_seed(3)
    network = DiffusionNetwork(shapes)
    torch.random.set_rng_state(state)
    perturb(network)
    return DiffusionBackend(shapes, diffusion_spec(shapes, id="tiny-diffusion"), network)


def write_tiny(path: Path, **config: Any) -> Path:
    """Store ``tiny_diffusion`` as a model file called like the model; return the path."""
    backend = tiny_diffusion(**config)
    arrays = state_arrays(backend.network, half=False)
    spec = backend.spec.model_copy(update={"id": path.stem, "fingerprint": fingerprint(arrays)})
    stored = StoredModel(ModelHeader(config=backend.config.model_dump(), spec=spec), arrays)
    backend_from(stored)
    write_model(path, stored)
    return path
