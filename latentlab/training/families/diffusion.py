"""Training of the diffusion family: the loss, progress pictures, and the measured model."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor, nn

from latentlab.backends.diffusion import DiffusionBackend, diffusion_spec
from latentlab.backends.images import to_levels
from latentlab.backends.nn.diffusion import DiffusionConfig, DiffusionNetwork, prediction_target
from latentlab.backends.probe import load_probe
from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.families.diffusion import DiffusionSettings
from latentlab.core.latents import Condition
from latentlab.core.modelfile import StoredModel
from latentlab.core.noise_schedule import noise_schedule
from latentlab.core.recipe_errors import SettingError, read_settings
from latentlab.data.base import ImageDataset
from latentlab.evaluation.diffusion import Drawn, measure_diffusion
from latentlab.evaluation.diffusion_directions import measured_edits, noise_directions
from latentlab.evaluation.portraits import can_study
from latentlab.training.conditions import condition_names, condition_vectors
from latentlab.training.family import Batch
from latentlab.training.shapes import square_shapes
from latentlab.training.storing import stored_model

MOST_SNR = 5.0
"""gamma of Hang et al. 2023, section 3.4."""
ROW = 8
"""Images of a sheet that are told the same."""
ROUGH_GRADIENTS = 8
"""Of the directions of a checkpoint: sliders in a few seconds."""
MOST_GRADIENTS = 96
"""Of those of a finished model."""
Result = TypeVar("Result")


def parse_settings(
    settings: Mapping[str, Any], dataset: ImageDataset
) -> tuple[DiffusionConfig, DiffusionSettings]:
    """Return shapes and settings of a recipe's ``[model]`` table for a data set.

    Raises:
        SettingError: an unknown or wrong setting, or one that the data does not allow.
    """
    read = read_settings(DiffusionSettings, settings)
    shapes = square_shapes(read, DiffusionConfig, dataset, "a diffusion model")
    shapes |= condition_names(read.condition, dataset)
    try:
        noise_schedule(
            read.schedule, read.num_timesteps, beta_start=read.beta_start, beta_end=read.beta_end
        )
    except LatentLabError as error:
        raise SettingError("model.schedule", error.message) from error
    try:
        return DiffusionConfig.model_validate(shapes), read
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SettingError("model.widths", f"{reason}.") from error


class DiffusionTrainer:
    """See ``latentlab.training.family.FamilyTrainer``."""

    def __init__(self, model_config: Mapping[str, Any], dataset: ImageDataset) -> None:
        self.config, self.settings = parse_settings(model_config, dataset)
        self.dataset = dataset
        self.network = DiffusionNetwork(self.config)
        schedule = self.config.noise_schedule()
        weights = loss_weights(
            torch.from_numpy(schedule.snr), self.config.prediction, self.settings.loss_weighting
        )
        rates = [torch.from_numpy(r).float() for r in (schedule.signal_rate, schedule.noise_rate)]
        self._tables = torch.stack([*rates, weights])

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return ``loss`` and ``mean_squared_error``, both of the prediction, a pixel channel.

        Every row gets a step t, each equally likely, and noise of its own (algorithm 1 of Ho et
        al. 2020); ``loss`` is weighted by the recipe's ``loss_weighting``, the other is not.
        """
        images = batch.images
        uniform = torch.special.ndtr(batch.normal("timestep", ()))
        count = self.config.num_timesteps
        t = (uniform * count).long().clamp_max(count - 1)
        noise = batch.normal("noise", tuple(images.shape[1:]))
        if self._tables.device != t.device:
            self._tables = self._tables.to(t.device)
        signal, rate, weight = self._tables[:, t, None, None, None]
        classes, attributes = self.config.class_names, self.config.attribute_names
        condition = condition_vectors(batch, classes, attributes, self.settings.condition_dropout)
        predicted = network(signal * images + rate * noise, t, condition)
        target = prediction_target(self.config.prediction, images, noise, signal, rate)
        error = (predicted - target).square().flatten(1).mean(1)
        return {"loss": (weight.flatten() * error).mean(), "mean_squared_error": error.mean()}

    def samples(self, network: nn.Module, dataset: ImageDataset, count: int) -> NDArray[np.uint8]:
        """Return images from fixed noise by the default sampler, ``(count, H, W, C)``.

        The first half has no condition; the others come in rows of ``ROW`` images that are told
        the labels of one image of the data, a row for each of the first ones.
        """
        drawn = Drawn(self._backend(network), {})
        free = count - count // 2 if self.config.condition_dim else count
        groups: list[tuple[range, Condition | None]] = [(range(free), None)]
        for number, start in enumerate(range(free, count, ROW)):
            told = self._labels(dataset, number % len(dataset))
            groups.append((range(start, min(start + ROW, count)), told))
        return np.concatenate([drawn.levels(seeds, condition) for seeds, condition in groups])

    def _labels(self, dataset: ImageDataset, row: int) -> Condition:
        """Return what an image of the data is labelled with, as far as the model is told it."""
        labels, config = dataset.labels, self.config
        index = float(labels["class"].values[row]) if config.class_names else np.nan
        values = {name: float(labels[name].values[row]) for name in config.attribute_names}
        known = {name: value for name, value in values.items() if not np.isnan(value)}
        return Condition(class_index=None if np.isnan(index) else int(index), attributes=known)

    def _backend(self, network: nn.Module) -> DiffusionBackend:
        """Return the network behind the interface, as a copy: training goes on undisturbed."""
        inner = getattr(network, "module", network)
        copied = DiffusionNetwork(self.config).to(next(inner.parameters()).device)
        copied.load_state_dict(inner.state_dict())
        return DiffusionBackend(self.config, diffusion_spec(self.config, id="run"), copied)

    def snapshot(self, network: nn.Module) -> StoredModel:
        """Return the network as a model, with rough directions, without measuring it."""
        backend = self._backend(network)
        directions: dict[str, Direction] = {}
        if can_study(self.dataset):
            rough = noise_directions(backend, load_probe(), ROUGH_GRADIENTS, calibrated=False)
            directions = _ended(rough)
        return self._stored(backend, {}, directions)

    def finish(
        self, network: nn.Module, held_out: ImageDataset, device: torch.device
    ) -> Iterator[tuple[int, int, str] | StoredModel]:
        """Measure the network, fit directions where a probe reads the images; yield the model."""
        backend = self._backend(network)
        backend.to(device)
        quality: dict[str, float] = {}
        directions: dict[str, Direction] = {}
        count = self.settings.quality_images
        if can_study(held_out):
            probe = load_probe()
            if count:
                quality = yield from measure_diffusion(backend, probe, held_out, count)
            gradients = min(max(count, ROUGH_GRADIENTS), MOST_GRADIENTS)
            directions = yield from noise_directions(backend, probe, gradients)
            if count:
                figures, directions = yield from measured_edits(backend, probe, directions, count)
                quality = quality | figures
        yield self._stored(backend, quality, directions)

    def _stored(
        self,
        backend: DiffusionBackend,
        quality: dict[str, float],
        directions: dict[str, Direction],
    ) -> StoredModel:
        images = to_levels(backend.decode(backend.sample_prior("noise", range(9))))
        return stored_model(backend, quality, directions, images)


def _ended(work: Generator[Any, None, Result]) -> Result:
    """Return what a generator returns, without waiting for anybody between its turns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: Result = end.value
            return found


def loss_weights(snr: Tensor, prediction: str, weighting: str) -> Tensor:
    """Return the weight of the squared error of a prediction at every step: float32 ``(T,)``.

    ``min_snr`` counts the squared error of the predicted image min(SNR, 5) times (Hang et al. 2023,
    arXiv 2303.09556, section 3.4). The error of epsilon is SNR times, that of v SNR + 1 times as
    large as that of x_0, which is divided out.

    Args:
        snr: of the schedule, ``(T,)``.
        prediction: ``epsilon``, ``x0`` or ``v``.
        weighting: ``uniform`` or ``min_snr``.
    """
    if weighting == "uniform":
        return torch.ones(len(snr))
    scale = {"epsilon": snr, "x0": torch.ones_like(snr), "v": snr + 1}[prediction]
    return (snr.clamp_max(MOST_SNR) / scale).float()
