"""Training of the probe: labels from pixels, sharp or a little blurred, and its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor, nn

from latentlab.backends.checkpoint import state_arrays
from latentlab.backends.nn.probe import (
    REDUCTION,
    ProbeConfig,
    ProbeLabel,
    ProbeNetwork,
    readings,
)
from latentlab.core.families.probe import ProbeSettings
from latentlab.core.modelfile import ModelHeader, StoredModel
from latentlab.core.recipe_errors import SettingError, read_settings
from latentlab.core.spec import ModelSpec
from latentlab.data.base import ImageDataset, LabelColumn
from latentlab.latent.metrics import r_squared, roc_auc
from latentlab.training.family import Batch

CHUNK = 256
LEAST_SIZE, MOST_SIZE = 16, 256
"""Of the images that a probe reads, in pixels."""


MAX_BLUR = 1.1
RESCALED = (40, 60)
"""Sizes, in 64ths of the image, through which rescaled rows go."""


def gaussian_blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur every image by a Gaussian of its own, cut at two pixels.

    Args:
        images: ``(B, C, H, W)``.
        sigma: ``(B,)``, in pixels; 0 leaves an image as it is.
    """
    offsets = torch.arange(3, device=images.device, dtype=images.dtype)
    taps = torch.exp(-0.5 * (offsets / sigma.clamp_min(1e-3)[:, None]) ** 2)
    taps = taps / (taps[:, :1] + 2 * taps[:, 1:].sum(1, keepdim=True))
    centre, near, far = (tap[:, None, None, None] for tap in taps.unbind(1))
    for axis in (2, 3):
        size = images.shape[axis]
        margin = (0, 0, 2, 2) if axis == 2 else (2, 2, 0, 0)
        padded = nn.functional.pad(images, margin, mode="replicate")
        at = [padded.narrow(axis, start, size) for start in range(5)]
        images = centre * at[2] + near * (at[1] + at[3]) + far * (at[0] + at[4])
    return images


def shift_images(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Move every image by whole pixels of its own, repeating the border.

    Args:
        images: ``(B, C, H, W)``.
        down: int64 ``(B,)``.
        right: int64 ``(B,)``.
    """
    batch, _, height, width = images.shape
    rows = (torch.arange(height, device=images.device) - down[:, None]).clamp(0, height - 1)
    columns = (torch.arange(width, device=images.device) - right[:, None]).clamp(0, width - 1)
    first = torch.arange(batch, device=images.device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[first, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def _uniform(batch: Batch, stream: str, shape: tuple[int, ...] = ()) -> Tensor:
    return torch.special.ndtr(batch.normal(stream, shape))


def disturb(batch: Batch, how: ProbeSettings) -> Tensor:
    """Return the images of a batch, disturbed by draws that depend on step and row alone."""
    images = batch.images
    if how.shift:
        span = 2 * how.shift + 1
        draws = (_uniform(batch, "shift", (2,)) * span).long().clamp_max(span - 1) - how.shift
        images = shift_images(images, draws[:, 0], draws[:, 1])
    count = int(len(images) * how.rescale)
    if count:
        # The rows of a batch stand in random order, so the first ones are a fair draw.
        low, high = RESCALED
        portion = low + (high - low) * float(_uniform(batch, "size")[0])
        size = max(4, round(images.shape[-1] * portion / 64))
        small = nn.functional.interpolate(
            images[:count], (size, size), mode="bilinear", antialias=True
        )
        large = nn.functional.interpolate(small, images.shape[2:], mode="bilinear")
        images = torch.cat([large, images[count:]])
    sigma = (batch.normal("blur", ()).abs() * how.blur).clamp_max(MAX_BLUR)
    images = gaussian_blur(images, sigma)
    tone = 1 + how.brightness * batch.normal("gain", (1, 1, 1))
    offset = how.brightness * batch.normal("offset", (1, 1, 1))
    strength = how.noise * _uniform(batch, "noise level", (1, 1, 1))
    grain = batch.normal("noise", tuple(images.shape[1:]))
    images = images * tone + offset + strength * grain
    return images.clamp(-1, 1).contiguous(memory_format=torch.channels_last)


def probe_labels(labels: Mapping[str, LabelColumn]) -> tuple[ProbeLabel, ...]:
    """Return what a probe of a data set reads, with the moments of its continuous labels."""
    found = []
    for column in labels.values():
        mean, deviation = 0.0, 1.0
        if column.kind == "continuous":
            known = column.values[np.isfinite(column.values)].astype(np.float64)
            if known.size < 2 or not known.std() > 0:
                raise SettingError(
                    "data.labels", f"the label '{column.name}' never varies: leave it out."
                )
            mean, deviation = float(known.mean()), float(known.std())
        found.append(
            ProbeLabel(
                name=column.name,
                kind=column.kind,
                classes=column.classes if column.kind == "categorical" else (),
                mean=mean,
                deviation=deviation,
            )
        )
    return tuple(found)


def parse_settings(
    settings: Mapping[str, Any], dataset: ImageDataset
) -> tuple[ProbeConfig, ProbeSettings]:
    """Return shapes and settings of a recipe's ``[model]`` table for a data set.

    Raises:
        SettingError: an unknown or wrong setting, no labels, or images that do not fit.
    """
    read = read_settings(ProbeSettings, settings)
    channels, height, width = dataset.image_shape
    if not dataset.labels:
        raise SettingError(
            "data.source", "a probe learns labels, and this data set has none: choose another."
        )
    if height != width or not LEAST_SIZE <= height <= MOST_SIZE or height % REDUCTION:
        raise SettingError(
            "data.size",
            f"a probe reads square images of {LEAST_SIZE} to {MOST_SIZE} pixels, a multiple of "
            f"{REDUCTION}, not {width} x {height}: set data.size to one of these.",
        )
    shapes = read.model_dump(include=set(ProbeConfig.model_fields))
    shapes |= {"image_size": height, "channels": channels, "labels": probe_labels(dataset.labels)}
    try:
        return ProbeConfig.model_validate(shapes), read
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SettingError("data.labels", f"{reason}.", str(error)) from error


def _mean_over(values: Tensor, rows: Tensor) -> Tensor:
    weights = rows.to(values.dtype)
    return (values * weights).sum() / weights.sum().clamp_min(1.0)


def label_loss(label: ProbeLabel, output: Tensor, target: Tensor, rows: Tensor) -> Tensor:
    """Return the mean loss over the rows where a label is known and visible.

    Squared error in standard deviations, binary or categorical cross-entropy in nats.

    Args:
        label: what the output is for.
        output: ``(B,)``, or ``(B, classes)`` logits.
        target: ``(B,)``, NaN where unknown.
        rows: bool ``(B,)``.
    """
    rows = rows & torch.isfinite(target)
    target = target.nan_to_num()
    if label.kind == "continuous":
        return _mean_over((output - (target - label.mean) / label.deviation).square(), rows)
    if label.kind == "binary":
        loss = nn.functional.binary_cross_entropy_with_logits(output, target, reduction="none")
        return _mean_over(loss, rows)
    index = target.long().clamp(0, len(label.classes) - 1)
    return _mean_over(nn.functional.cross_entropy(output, index, reduction="none"), rows)


def label_quality(
    label: ProbeLabel, column: LabelColumn, reading: NDArray[Any]
) -> dict[str, float]:
    """Return the figure of one label over the rows where it is known and visible.

    ``r2_<name>`` (continuous), ``auc_<name>`` (binary) or ``accuracy_<name>`` (categorical); empty
    where it cannot be measured because only one value occurs.
    """
    rows = np.isfinite(column.values)
    if column.visible is not None:
        rows &= column.visible
    truth, read = column.values[rows], reading[rows]
    if len(np.unique(truth)) < 2:
        return {}
    if label.kind == "binary":
        return {f"auc_{label.name}": roc_auc(truth, read)}
    if label.kind == "continuous":
        return {f"r2_{label.name}": r_squared(truth, read)}
    return {f"accuracy_{label.name}": float((read.argmax(axis=1) == truth).mean())}


def spread(column: LabelColumn, reading: NDArray[Any]) -> list[float]:
    """Return the standard deviation of a probe's reading of the data: the ruler of later edits.

    One number, or one a class; over the rows where the label can be seen.
    """
    rows = slice(None) if column.visible is None else column.visible
    return [float(value) for value in np.atleast_1d(reading[rows].std(axis=0, dtype=np.float64))]


class ProbeTrainer:
    """See ``latentlab.training.family.FamilyTrainer``."""

    def __init__(self, model_config: Mapping[str, Any], dataset: ImageDataset) -> None:
        self.config, self.settings = parse_settings(model_config, dataset)
        self.network = ProbeNetwork(self.config)

    def losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return ``loss`` = the sum over all labels, and the loss of each kind of label.

        Only rows where a label is visible count for it.
        """
        raw, _ = network(disturb(batch, self.settings))
        outputs = self.network.split(raw)
        kinds: dict[str, list[Tensor]] = {}
        for label in self.config.labels:
            rows = batch.visible.get(label.name)
            if rows is None:
                rows = torch.ones_like(batch.labels[label.name], dtype=torch.bool)
            loss = label_loss(label, outputs[label.name], batch.labels[label.name], rows)
            kinds.setdefault(label.kind, []).append(loss)
        total = torch.stack([loss for group in kinds.values() for loss in group]).sum()
        return {"loss": total} | {kind: torch.stack(group).mean() for kind, group in kinds.items()}

    def samples(self, network: nn.Module, dataset: ImageDataset, count: int) -> NDArray[np.uint8]:
        """Return ``(count, H, W, C)`` held-out images, each with bars of its binary readings.

        A bar along the lower edge is as long as the probability; it is green where the reading is
        right and red where it is wrong.
        """
        indices = np.arange(count) % len(dataset)
        images = dataset.read(indices).copy()
        read = self._read(network, images)
        binary = [label for label in self.config.labels if label.kind == "binary"]
        height, width = images.shape[1:3]
        thickness = max(1, height // 64)
        for row, image in enumerate(images):
            for place, label in enumerate(binary):
                probability = float(read[label.name][row])
                truth = float(dataset.labels[label.name].values[indices[row]])
                right = (probability > 0.5) == (truth > 0.5)
                colour = np.array([40, 200, 80] if right else [220, 40, 40], np.uint8)
                bottom = height - thickness * (place + 1)
                bar = image[bottom : bottom + thickness, : max(1, round(probability * width))]
                bar[:] = colour[: image.shape[2]]
        return images

    def _read(self, network: nn.Module, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        device = next(network.parameters()).device
        pixels = (
            torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        )
        with torch.inference_mode():
            raw, _ = network(pixels)
            read = readings(self.network, raw)
        return {name: values.cpu().numpy() for name, values in read.items()}

    def finish(
        self, network: nn.Module, held_out: ImageDataset, device: torch.device
    ) -> Iterator[tuple[int, int, str] | StoredModel]:
        """Measure every label on the held-out images, then give the probe.

        The spread of its readings there is kept as ``extra["spread"]``, the unit of ``measure``.
        """
        network.to(device).eval()
        found: dict[str, list[NDArray[Any]]] = {}
        for start in range(0, len(held_out), CHUNK):
            indices = np.arange(start, min(start + CHUNK, len(held_out)))
            for name, values in self._read(network, held_out.read(indices)).items():
                found.setdefault(name, []).append(values)
            yield int(indices[-1]) + 1, len(held_out), "reading held-out images"
        quality: dict[str, float] = {}
        spreads: dict[str, list[float]] = {}
        for label in self.config.labels:
            reading, column = np.concatenate(found[label.name]), held_out.labels[label.name]
            quality |= label_quality(label, column, reading)
            spreads[label.name] = spread(column, reading)
        spec = ModelSpec(
            id="probe",
            title="Probe",
            family="probe",
            image_shape=(self.config.channels, self.config.image_size, self.config.image_size),
            spaces=(),
            capabilities=(),
            attribute_names=tuple(label.name for label in self.config.labels),
            quality=quality,
        )
        extra = {"spread": spreads, "spread_images": len(held_out)}
        header = ModelHeader(config=self.config.model_dump(mode="json"), spec=spec, extra=extra)
        yield StoredModel(header, state_arrays(network))
