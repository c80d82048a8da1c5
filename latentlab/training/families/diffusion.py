"""Training of the diffusion family: the loss, progress pictures, and the measured model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor, nn

from latentlab.backends.images import to_levels
from latentlab.backends.nn.diffusion import (
    DiffusionConfig,
    DiffusionNetwork,
    prediction_target,
    split_prediction,
)
from latentlab.core.families.diffusion import SIZES, DiffusionSettings
from latentlab.core.modelfile import StoredModel
from latentlab.core.noise import noise_rows
from latentlab.core.recipe_errors import SettingError, read_settings
from latentlab.data.base import ImageDataset
from latentlab.training.conditions import condition_names, condition_vectors
from latentlab.training.family import Batch

MOST_SNR = 5.0
"""gamma of Hang et al. 2023, section 3.4."""
SAMPLE_STEPS = 25
SAMPLE_ROWS = 64


def parse_settings(
    settings: Mapping[str, Any], dataset: ImageDataset
) -> tuple[DiffusionConfig, DiffusionSettings]:
    """Return shapes and settings of a recipe's ``[model]`` table for a data set.

    Raises:
        SettingError: an unknown or wrong setting, or one that the data does not allow.
    """
    read = read_settings(DiffusionSettings, settings)
    channels, height, width = dataset.image_shape
    if height != width or height not in SIZES:
        raise SettingError(
            "data.size",
            f"a diffusion model works on square images of {', '.join(map(str, SIZES))} pixels, "
            f"not {width} x {height}: set data.size to one of these.",
        )
    shapes = read.model_dump(include=set(DiffusionConfig.model_fields))
    shapes |= {"image_size": height, "channels": channels}
    shapes |= condition_names(read.condition, dataset)
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
        self._signal = torch.from_numpy(schedule.signal_rate).float()
        self._noise = torch.from_numpy(schedule.noise_rate).float()
        self._weights = loss_weights(
            torch.from_numpy(schedule.snr), self.config.prediction, self.settings.loss_weighting
        )

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
        signal, rate = (self._at(table, t) for table in (self._signal, self._noise))
        classes, attributes = self.config.class_names, self.config.attribute_names
        condition = condition_vectors(batch, classes, attributes, self.settings.condition_dropout)
        predicted = network(signal * images + rate * noise, t, condition)
        target = prediction_target(self.config.prediction, images, noise, signal, rate)
        error = (predicted - target).square().flatten(1).mean(1)
        weighted = error * self._at(self._weights, t).flatten()
        return {"loss": weighted.mean(), "mean_squared_error": error.mean()}

    def _at(self, table: Tensor, t: Tensor) -> Tensor:
        """Return the entries of a table ``(T,)`` at ``t``: ``(B, 1, 1, 1)``."""
        return table.to(t.device)[t][:, None, None, None]

    def samples(self, network: nn.Module, dataset: ImageDataset, count: int) -> NDArray[np.uint8]:
        """Return images from fixed noise, ``(count, H, W, C)``.

        The second half is drawn with the labels of the first images of the data, the first half
        without a condition; an unconditional model draws all of them alike.
        """
        vectors = self._label_vectors(dataset, count - count // 2)
        shape = (self.config.channels, self.config.image_size, self.config.image_size)
        found = []
        for start in range(0, count, SAMPLE_ROWS):
            rows = range(start, min(start + SAMPLE_ROWS, count))
            x = torch.from_numpy(noise_rows(rows, "prior.noise", shape))
            found.append(to_levels(_ddim(network, self.config, x, vectors[rows.start : rows.stop])))
        return np.concatenate(found)

    def _label_vectors(self, dataset: ImageDataset, told: int) -> Tensor:
        """Return zeros, then ``told`` rows with the labels of the first images: ``(2 told, D)``."""
        config = self.config
        vectors = torch.zeros(2 * told, config.condition_dim)
        names = config.class_names
        for row in range(told if config.condition_dim else 0):
            source = row % len(dataset)
            if names:
                vectors[told + row, int(dataset.labels["class"].values[source])] = 1.0
            for offset, name in enumerate(config.attribute_names, len(names)):
                value = float(dataset.labels[name].values[source])
                vectors[told + row, offset] = 0.0 if np.isnan(value) else value
            vectors[told + row, -1] = 1.0
        return vectors

    def finish(
        self, network: nn.Module, held_out: ImageDataset, device: torch.device
    ) -> Iterator[tuple[int, int, str] | StoredModel]:
        """Measure the network and yield the model."""
        raise NotImplementedError


@torch.inference_mode()
def _ddim(network: nn.Module, config: DiffusionConfig, x: Tensor, vectors: Tensor) -> Tensor:
    """Return images of noise ``(B, C, H, W)`` by DDIM without noise (Song et al. 2021, eq. 12)."""
    device = next(network.parameters()).device
    schedule = config.noise_schedule()
    times = np.linspace(config.num_timesteps - 1, 0, SAMPLE_STEPS).round().astype(int)
    signals = [*schedule.signal_rate[times], 1.0]
    rates = [*schedule.noise_rate[times], 0.0]
    x, vectors = x.to(device), vectors.to(device)
    for step, t in enumerate(times):
        index = torch.full((len(x),), int(t), device=device)
        predicted = network(x, index, vectors if config.condition_dim else None)
        signal, rate = torch.tensor(signals[step]), torch.tensor(rates[step])
        image, _ = split_prediction(config.prediction, predicted, x, signal.float(), rate.float())
        image = image.clamp(-1, 1)
        noise = (x - signals[step] * image) / rates[step]
        x = signals[step + 1] * image + rates[step + 1] * noise
    return x


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
