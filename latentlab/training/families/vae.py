"""Training of the VAE family: losses, progress pictures, and the measured model at the end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from latentlab.backends.images import from_levels, to_levels
from latentlab.backends.nn.likelihoods import density, gaussian_kl, location
from latentlab.backends.nn.vae import VaeConfig, VaeNetwork
from latentlab.backends.vae import VaeBackend, vae_spec
from latentlab.core.direction import Direction
from latentlab.core.families.vae import VaeSettings
from latentlab.core.modelfile import StoredModel
from latentlab.core.recipe_errors import read_settings
from latentlab.data.base import ImageDataset
from latentlab.evaluation.portraits import can_study, study
from latentlab.evaluation.quick import quick_directions
from latentlab.training.conditions import condition_names, condition_vectors
from latentlab.training.families.vae_quality import PRIOR_IMAGES, fit_prior, measure_vae
from latentlab.training.family import Batch
from latentlab.training.shapes import square_shapes
from latentlab.training.storing import stored_model

SNAPSHOT_IMAGES = 1000
"""Images that the prior of a checkpoint or a sample sheet is fitted to."""
FINISH_IMAGES = 5000
"""Labelled images that the sliders of a finished model are fitted on."""
LEARNED_SCALE_START = 0.2
"""Where a learned likelihood scale begins: near where trained models end, on [-1, 1]."""


def parse_settings(
    settings: Mapping[str, Any], dataset: ImageDataset
) -> tuple[VaeConfig, VaeSettings]:
    """Return shapes and settings of a recipe's ``[model]`` table for a data set.

    Raises:
        SettingError: an unknown or wrong setting, or one that the data does not allow.
    """
    read = read_settings(VaeSettings, settings)
    shapes = square_shapes(read, VaeConfig, dataset, "a VAE")
    shapes |= condition_names(read.condition, dataset)
    return VaeConfig.model_validate(shapes), read


class VaeTrainer:
    """See ``latentlab.training.family.FamilyTrainer``."""

    def __init__(self, model_config: Mapping[str, Any], dataset: ImageDataset) -> None:
        self.config, self.settings = parse_settings(model_config, dataset)
        self.dataset = dataset
        # A fitted prior comes at the end: the network trains against N(0, 1).
        self.network = VaeNetwork(self.config, fitted=False)
        fixed = self.settings.observation_scale
        self.network.log_scale.data.fill_(math.log(fixed or LEARNED_SCALE_START))
        self.network.log_scale.requires_grad_(fixed is None)

    def kl_weight(self, step: int) -> float:
        """Return the weight of the KL term after ``step`` steps."""
        warmup = self.settings.kl_warmup_steps
        return self.settings.beta * (min(1.0, step / warmup) if warmup else 1.0)

    def _condition(self, batch: Batch) -> Tensor | None:
        classes, attributes = self.config.class_names, self.config.attribute_names
        return condition_vectors(batch, classes, attributes, self.settings.condition_dropout)

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return ``loss`` = minus the ELBO, its two parts, and the mean squared error.

        ``loss`` is in nats a pixel channel, so that learning rates carry over between sizes;
        ``reconstruction`` and ``kl`` are in nats an image.
        """
        deterministic = self.config.variant == "autoencoder"
        noise = None if deterministic else batch.normal("posterior", (self.config.latent_dim,))
        raw, mean, logvar, log_scale = network(batch.images, self._condition(batch), noise)
        reconstruction = -density(batch.images, raw, log_scale, self.config.likelihood).mean()
        total = reconstruction
        parts = {"reconstruction": reconstruction}
        if not deterministic:
            kl = gaussian_kl(mean, logvar).mean(0)
            total = total + self.kl_weight(batch.step) * self._free(kl).sum()
            parts["kl"] = kl.sum()
        error = (location(raw, self.config.likelihood) - batch.images).square().mean()
        dimensions = batch.images[0].numel()
        return {"loss": total / dimensions, **parts, "mean_squared_error": error}

    def samples(self, network: nn.Module, dataset: ImageDataset, count: int) -> NDArray[np.uint8]:
        """Return images, reconstructions and prior samples in thirds: ``(count, H, W, C)``."""
        backend = self._backend(network)
        third = max(1, count // 3)
        originals = dataset.read(range(min(third, len(dataset))))
        updates = list(backend.encode(from_levels(originals), options={"reconstruct": False}))
        rebuilt = to_levels(backend.decode(updates[-1].latents))
        seeds = range(max(0, count - 2 * len(originals)))
        drawn = to_levels(backend.decode(backend.sample_prior("z", seeds)))
        return np.concatenate([originals, rebuilt, drawn])[:count]

    def _backend(self, network: nn.Module, prior_images: int = SNAPSHOT_IMAGES) -> VaeBackend:
        """Return the network behind the interface, as a copy: training goes on undisturbed."""
        inner = cast(VaeNetwork, getattr(network, "module", network))
        whole = VaeNetwork(self.config).to(inner.log_scale.device).eval()
        whole.load_state_dict(inner.state_dict(), strict=not self.config.has_fitted_prior)
        if self.config.has_fitted_prior:
            fit_prior(whole, self.dataset, prior_images)
        return VaeBackend(self.config, vae_spec(self.config, id="run"), whole)

    def snapshot(self, network: nn.Module) -> StoredModel:
        """Return the network as a model, with quickly fitted directions, without measuring it."""
        backend = self._backend(network)
        return self._stored(backend, {}, quick_directions(backend, self.dataset))

    def _stored(
        self,
        backend: VaeBackend,
        quality: dict[str, float],
        directions: dict[str, Direction],
    ) -> StoredModel:
        images = to_levels(backend.decode(backend.sample_prior("z", range(9))))
        return stored_model(backend, quality, directions, images)

    def finish(
        self, network: nn.Module, held_out: ImageDataset, device: torch.device
    ) -> Iterator[tuple[int, int, str] | StoredModel]:
        """Measure the network, fit directions where the labels allow it, and yield the model."""
        backend = self._backend(network, PRIOR_IMAGES)
        backend.to(device)
        quality: dict[str, float] = {}
        for item in measure_vae(backend, held_out):
            if isinstance(item, dict):
                quality = item
            else:
                yield item
        directions: dict[str, Direction] = {}
        if can_study(held_out):
            figures, directions = yield from study(
                backend, held_out, refine=self.settings.refine_directions
            )
            quality = quality | figures
        else:
            directions = quick_directions(backend, self.dataset, FINISH_IMAGES)
        yield self._stored(backend, quality, directions)

    def _free(self, kl: Tensor) -> Tensor:
        return kl.clamp_min(self.settings.free_bits) if self.settings.free_bits else kl
