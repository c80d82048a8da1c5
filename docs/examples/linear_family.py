"""A model family in one file: a linear autoencoder, which learns principal components.

It is the smallest plugin that trains, resumes, shows samples and opens in the window. Install it as
docs/training.md says, then: latentlab train linear.toml
"""
# The interface passes more than this family needs.
# ruff: noqa: ARG002

from __future__ import annotations

import torch
from pydantic import BaseModel, Field
from torch import nn

from latentlab.backends.checkpoint import state_arrays
from latentlab.backends.images import from_levels, to_levels
from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import ModelHeader, StoredModel
from latentlab.core.noise import noise_rows
from latentlab.core.spec import LatentSpace, ModelSpec, PartSpec


class Config(BaseModel):
    """What the network is built from; it is kept in the model file."""

    channels: int = Field(ge=1, le=3)
    size: int = Field(ge=4, le=1024)
    components: int = Field(ge=1, le=4096)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image: (channels, height, width)."""
        return self.channels, self.size, self.size


class Network(nn.Module):
    """Images (B, C, H, W) to codes (B, D) and back."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        pixels = config.channels * config.size**2
        self.shape = config.shape
        self.encoder = nn.Linear(pixels, config.components)
        self.decoder = nn.Linear(config.components, pixels)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Return images for codes."""
        return self.decoder(codes).view(-1, *self.shape)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return reconstructions and codes."""
        codes = self.encoder(images.flatten(1))
        return self.decode(codes), codes


class Backend:
    """The model behind LatentLab's interface: see latentlab/backends/base.py."""

    trainer = f"{__name__}:Trainer"

    def __init__(self, config: Config, spec: ModelSpec, network: Network, directions=None) -> None:
        self.config, self.spec, self.network = config, spec, network.eval()
        self.directions = dict(directions or {})

    @staticmethod
    def parse_config(values):
        """Check a configuration from a model file."""
        return Config.model_validate(dict(values))

    @staticmethod
    def build_network(config):
        """Return an untrained network."""
        return Network(config)

    @staticmethod
    def implied_spec(config):
        """Return what a configuration says about the model."""
        part = PartSpec(name="z", shape=(config.components,), interpolation="linear")
        space = LatentSpace(name="z", parts=(part,))
        return ModelSpec(id="", family="linear", image_shape=config.shape, spaces=(space,))

    @property
    def device(self):
        """Where the weights are."""
        return self.network.decoder.weight.device

    def to(self, device):
        """Move the weights."""
        self.network.to(device)

    def sample_prior(self, space, seeds, temperature=1.0):
        """Draw codes from N(0, 1), each a function of its seed alone."""
        draws = noise_rows(seeds, "prior.z", (self.config.components,))
        return {"z": torch.from_numpy(draws).to(self.device) * temperature}

    @torch.inference_mode()
    def decode(self, latents, *, space=None, condition=None, options=None):
        """Return images (B, C, H, W) in [-1, 1]."""
        return self.network.decode(latents["z"].to(self.device)).clamp(-1, 1)


class Trainer:
    """How it learns: see latentlab/training/family.py."""

    def __init__(self, model_config, dataset) -> None:
        channels, size, width = dataset.image_shape
        if size != width:
            raise LatentLabError("[model] family: 'linear' takes square images: set data.size.")
        components = model_config.get("components", 16)
        self.config = Config(channels=channels, size=size, components=components)
        self.network = Network(self.config)

    def losses(self, network, batch):
        """Return ``loss``, which is minimised, and what else is worth a curve."""
        rebuilt, codes = network(batch.images)
        error = (rebuilt - batch.images).square().mean()
        # Codes are kept near N(0, 1), from which new images are drawn.
        spread = codes.square().mean()
        return {"loss": error + 1e-3 * spread, "mean_squared_error": error, "spread": spread}

    def samples(self, network, dataset, count):
        """Return (count, H, W, C) levels, from the same seeds each time."""
        backend = Backend(self.config, Backend.implied_spec(self.config), network)
        return to_levels(backend.decode(backend.sample_prior("z", range(count))))

    def snapshot(self, network):
        """Return the network as a model: with this, checkpoints can be explored."""
        header = ModelHeader(
            config=self.config.model_dump(), spec=Backend.implied_spec(self.config)
        )
        return StoredModel(header, state_arrays(network))

    def finish(self, network, held_out, device):
        """Measure the network on images that it never saw, and give the model."""
        total, count = 0.0, len(held_out)
        with torch.no_grad():
            for i in range(count):
                image = from_levels(held_out.read([i])).to(device)
                total += float((network(image)[0] - image).square().mean())
                yield i + 1, count, "held-out images"
        model = self.snapshot(network)
        quality = {"mean_squared_error": total / count}
        spec = model.header.spec.model_copy(update={"quality": quality})
        yield StoredModel(model.header.model_copy(update={"spec": spec}), model.weights)
