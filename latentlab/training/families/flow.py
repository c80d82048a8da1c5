"""Training of the flow family: the loss, progress pictures, and the measured model at the end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor, nn

from latentlab.backends.flow import FlowBackend, flow_spec
from latentlab.backends.images import from_levels, to_levels
from latentlab.backends.nn.flow import (
    FlowConfig,
    FlowNetwork,
    bin_position,
    levels_of,
    local_terms,
    to_centre,
)
from latentlab.backends.nn.likelihoods import gaussian_kl
from latentlab.backends.probe import load_probe
from latentlab.core.direction import Direction
from latentlab.core.families.flow import FlowSettings
from latentlab.core.modelfile import StoredModel
from latentlab.core.recipe_errors import SettingError, read_settings
from latentlab.data.base import ImageDataset
from latentlab.evaluation.flow_switch import switch_study
from latentlab.evaluation.parts import part_study
from latentlab.evaluation.portraits import can_study
from latentlab.evaluation.quick import quick_directions
from latentlab.training.families.flow_quality import measure_flow
from latentlab.training.family import Batch
from latentlab.training.shapes import square_shapes
from latentlab.training.storing import stored_model

SHEET_TEMPERATURE = 0.8
"""Of the new images on a sheet and on the card: at 1 a flow's images are at their wildest."""
SWITCH_ROWS = 4
"""Rows of a sheet that show a switch."""
FINISH_IMAGES = 5000
"""Labelled images that the sliders of a finished model are fitted on."""
_LARGEST_UNIFORM = 1.0 - 2.0**-24


def parse_settings(
    settings: Mapping[str, Any], dataset: ImageDataset
) -> tuple[FlowConfig, FlowSettings]:
    """Return shapes and settings of a recipe's ``[model]`` table for a data set.

    Raises:
        SettingError: an unknown or wrong setting, or one that the data does not allow.
    """
    read = read_settings(FlowSettings, settings)
    shapes = square_shapes(read, FlowConfig, dataset, "a flow")
    try:
        return FlowConfig.model_validate(shapes), read
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        first = reason.split()[0]
        key = first if first in FlowSettings.model_fields else "steps"
        raise SettingError(f"model.{key}", f"{reason}.") from error


class FlowTrainer:
    """See ``latentlab.training.family.FamilyTrainer``."""

    def __init__(self, model_config: Mapping[str, Any], dataset: ImageDataset) -> None:
        self.config, self.settings = parse_settings(model_config, dataset)
        self.dataset = dataset
        self.network = FlowNetwork(self.config)
        self._side = self.config.image_size

    def kl_weight(self, step: int) -> float:
        """Return the weight of the KL term after ``step`` steps."""
        warmup = self.settings.kl_warmup_steps
        return self.settings.beta * (min(1.0, step / warmup) if warmup else 1.0)

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return ``loss``, ``bits_per_dim``, and for a decoupled flow ``kl``.

        ``bits_per_dim`` is minus the log-likelihood of the dequantised image (Theis et al. 2016,
        arXiv 1511.01844, equation 4) or, decoupled, minus the evidence lower bound (Ma et al. 2021,
        equation 5), one draw an image. ``loss`` is the same in nats a pixel channel, its KL term
        weighted; ``kl`` is in nats an image.
        """
        model = cast(FlowNetwork, network)
        levels = levels_of(batch.images, self.config.bits)
        centre = bin_position(levels, torch.full_like(levels, 0.5), self.config.bits)
        u, density = self._within(model, centre, batch)
        z, kl = self._global(model, batch)
        parts, log_det = model.flow(bin_position(levels, u, self.config.bits), z)
        dimensions = batch.images[0].numel()
        nats = local_terms(parts, self._side) + log_det - density
        nats = nats - dimensions * self.config.bits * math.log(2)
        lost = -nats.mean()
        divergence = lost.new_zeros(()) if kl is None else kl.mean()
        loss = (lost + self.kl_weight(batch.step) * divergence) / dimensions
        bits = (lost + divergence) / (math.log(2) * dimensions)
        found = {"loss": loss, "bits_per_dim": bits}
        return found if kl is None else found | {"kl": divergence}

    def _within(self, model: FlowNetwork, centre: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return a place in the bins, in [0, 1), and its log-density, ``(B,)``."""
        noise = batch.normal("dequantisation", tuple(centre.shape[1:]))
        if model.dequantiser is not None:
            u, density = model.dequantiser(centre, noise)
            return u, density
        u = torch.special.ndtr(noise).clamp_max(_LARGEST_UNIFORM)
        return u, noise.new_zeros(len(noise))

    def _global(self, model: FlowNetwork, batch: Batch) -> tuple[Tensor | None, Tensor | None]:
        """Return a draw of q(z|x), ``(B, D)``, and the KL term of each row: exact, or by draw."""
        if model.encoder is None:
            return None, None
        mean, logvar = model.encoder(to_centre(batch.images, self.config.bits))
        draw = batch.normal("posterior", (self.config.global_dim,))
        z = mean + draw * torch.exp(0.5 * logvar)
        if model.prior is None:
            return z, gaussian_kl(mean, logvar).sum(1)
        part, log_det = model.prior(z)
        return z, 0.5 * (part.square() - draw.square() - logvar).sum(1) - log_det

    def initialise(self, network: nn.Module, batch: Batch) -> None:
        """Set every ActNorm by the first batch (Kingma and Dhariwal 2018, section 3.1)."""
        model = cast(FlowNetwork, network)
        levels = levels_of(batch.images, self.config.bits)
        centre = bin_position(levels, torch.full_like(levels, 0.5), self.config.bits)
        z, _ = self._global(model, batch)
        noise = batch.normal("dequantisation", tuple(centre.shape[1:]))
        y = bin_position(levels, torch.special.ndtr(noise), self.config.bits)
        model.initialise(y, z, noise)

    def samples(self, network: nn.Module, dataset: ImageDataset, count: int) -> NDArray[np.uint8]:
        """Return ``(count, H, W, C)``: a row of images, a switch of them, and new images.

        A row holds as many images as a square sheet is wide. Row i of the switch has the global
        part of image i and each image's local parts, so that its diagonal shows reconstructions; a
        plain flow, which has no global part, shows new images instead.
        """
        backend = self._backend(network)
        wide = math.ceil(math.sqrt(count))
        originals = dataset.read(range(min(wide, len(dataset))))
        shown = [originals]
        if self.config.global_dim:
            parts = list(backend.encode(from_levels(originals), options={"reconstruct": False}))
            latents = dict(parts[-1].latents)
            for row in range(min(SWITCH_ROWS, len(originals))):
                held = latents["global"][row : row + 1].expand_as(latents["global"])
                shown.append(to_levels(backend.decode(latents | {"global": held})))
        seeds = range(max(0, count - sum(map(len, shown))))
        drawn = backend.sample_prior("latent", seeds, SHEET_TEMPERATURE)
        return np.concatenate([*shown, to_levels(backend.decode(drawn))])[:count]

    def _backend(self, network: nn.Module) -> FlowBackend:
        """Return the network behind the interface, as a copy: training goes on undisturbed."""
        inner = getattr(network, "module", network)
        copied = FlowNetwork(self.config).to(next(inner.parameters()).device)
        copied.load_state_dict(inner.state_dict())
        return FlowBackend(self.config, flow_spec(self.config, id="run"), copied)

    def snapshot(self, network: nn.Module) -> StoredModel:
        """Return the network as a model, with quickly fitted directions, without measuring it."""
        backend = self._backend(network)
        return self._stored(backend, {}, quick_directions(backend, self.dataset))

    def finish(
        self, network: nn.Module, held_out: ImageDataset, device: torch.device
    ) -> Iterator[tuple[int, int, str] | StoredModel]:
        """Measure the network, fit directions where the labels allow it, and yield the model."""
        backend = self._backend(network)
        backend.to(device)
        quality: dict[str, float] = {}
        for item in measure_flow(backend, held_out):
            if isinstance(item, dict):
                quality = item
            else:
                yield item
        directions: dict[str, Direction] = {}
        if can_study(held_out):
            refine = self.settings.refine_directions
            figures, directions = yield from part_study(backend, held_out, refine)
            quality = quality | figures
            if self.config.global_dim:
                quality |= yield from switch_study(backend, load_probe(), held_out)
        else:
            directions = quick_directions(backend, self.dataset, FINISH_IMAGES)
        yield self._stored(backend, quality, directions)

    def _stored(
        self,
        backend: FlowBackend,
        quality: dict[str, float],
        directions: dict[str, Direction],
    ) -> StoredModel:
        drawn = backend.sample_prior("latent", range(9), SHEET_TEMPERATURE)
        images = to_levels(backend.decode(drawn))
        return stored_model(backend, quality, directions, images)
