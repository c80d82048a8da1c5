"""The probe: a fixed instrument that reads labels, and features, from the pixels of an image.

It is no generative model and stands in no library: training measures with it, and so do services.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from torch import Tensor

from latentlab.backends.checkpoint import check_state
from latentlab.backends.nn.probe import (
    ProbeConfig,
    ProbeLabel,
    ProbeNetwork,
    fit_images,
    readings,
)
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array
from latentlab.core.modelfile import ModelHeader, read_model
from latentlab.core.paths import asset_path
from latentlab.core.spec import Frozen

CHUNK = 128
"""Images read at a time."""


class ProbeExtra(Frozen):
    """What a probe's file says beside its configuration.

    Attributes:
        spread: standard deviation of every reading over held-out data, one a class; by label.
        spread_images: how many images it was measured on.
    """

    spread: dict[str, tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...]]
    spread_images: int


class Probe:
    """Reads labels and features.

    Args:
        header: of the probe's file.
        network: its weights.
    """

    def __init__(self, header: ModelHeader, network: ProbeNetwork) -> None:
        self.header = header
        self._extra = ProbeExtra.model_validate(header.extra)
        self.network = network.eval().requires_grad_(False)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def labels(self) -> dict[str, ProbeLabel]:
        """What it reads, by name."""
        return {label.name: label for label in self.network.config.labels}

    @property
    def quality(self) -> dict[str, float]:
        """Its measured figures: ``r2_<name>``, ``auc_<name>``, ``accuracy_<name>``."""
        return dict(self.header.spec.quality)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the stored weights."""
        return self.header.spec.fingerprint

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.network.heads.weight.device

    def to(self, device: torch.device) -> None:
        """Move the weights."""
        self.network.to(device)

    @property
    def columns(self) -> dict[str, tuple[str, int | None]]:
        """Everything it reads as one number: label and class by column name.

        A categorical label has one column a class, ``<label>_<class>``: its probability.
        """
        found: dict[str, tuple[str, int | None]] = {}
        for name, label in self.labels.items():
            if label.kind == "categorical":
                found |= {f"{name}_{text}": (name, i) for i, text in enumerate(label.classes)}
            else:
                found[name] = (name, None)
        return found

    def spread(self, column: str) -> float:
        """Return the standard deviation of the reading of a column over held-out data.

        Probability for a binary label or a class, the label's own unit for a continuous one.

        Raises:
            LatentLabError: the probe has no such column, or its reading never varied.
        """
        columns = self.columns
        if column not in columns:
            raise LatentLabError(f"The probe reads no '{column}'; it reads: {', '.join(columns)}.")
        label, index = columns[column]
        found = self._extra.spread[label][index or 0]
        if found <= 0:
            raise LatentLabError(f"The probe's reading of '{column}' never varied in its data.")
        return found

    def standardised(self, images: Tensor | Array, columns: Sequence[str]) -> NDArray[np.float64]:
        """Return readings in standard deviations of the data, ``(B, len(columns))``.

        Args:
            images: as in ``read``.
            columns: names as in ``columns``.
        """
        spreads = [self.spread(column) for column in columns]
        read, where = self.read(images), self.columns
        rows = []
        for column in columns:
            label, index = where[column]
            rows.append(read[label] if index is None else read[label][:, index])
        return np.stack(rows, axis=1).astype(np.float64) / np.array(spreads)

    def standardised_with_gradient(self, images: Tensor, columns: Sequence[str]) -> Tensor:
        """Return ``standardised`` readings ``(B, len(columns))`` with their gradient by the images.

        Args:
            images: float ``(B, C, H, W)`` in [-1, 1]; the whole batch is read at once.
            columns: names as in ``columns``.
        """
        pixels = fit_images(images.to(self.device).float(), self.network.config)
        read = readings(self.network, self.network(pixels)[0])
        where, rows = self.columns, []
        for column in columns:
            spread = self.spread(column)
            label, index = where[column]
            rows.append((read[label] if index is None else read[label][:, index]) / spread)
        return torch.stack(rows, dim=1)

    def _batches(self, images: Tensor | Array) -> Iterator[Tensor]:
        for start in range(0, len(images), CHUNK):
            rows = images[start : start + CHUNK]
            if isinstance(rows, np.ndarray):
                rows = torch.from_numpy(np.array(rows))
            if rows.ndim != 4:
                raise ValueError("images need four axes: (B, C, H, W), or uint8 (B, H, W, C)")
            rows = rows.to(self.device)
            if rows.dtype == torch.uint8:
                rows = rows.permute(0, 3, 1, 2).float() / 127.5 - 1
            pixels = fit_images(rows.float(), self.network.config)
            yield pixels.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def read(self, images: Tensor | Array) -> dict[str, NDArray[np.float32]]:
        """Return readings by label.

        Args:
            images: float ``(B, C, H, W)`` in [-1, 1] or uint8 ``(B, H, W, C)``, of any size.

        Returns:
            ``(B,)``: probability (binary) or value (continuous); ``(B, classes)``: probabilities.
        """
        found: dict[str, list[Array]] = {name: [] for name in self.labels}
        for pixels in self._batches(images):
            raw, _ = self.network(pixels)
            for name, values in readings(self.network, raw).items():
                found[name].append(values.cpu().numpy())
        for name, label in self.labels.items():
            # Also gives no images their shape.
            found[name].append(np.zeros((0, label.width) if label.classes else 0, np.float32))
        return {name: np.concatenate(parts).astype(np.float32) for name, parts in found.items()}

    @torch.inference_mode()
    def features(self, images: Tensor | Array) -> NDArray[np.float32]:
        """Return the layer before the heads, ``(B, feature_dim)``; images as in ``read``."""
        found = [self.network(pixels)[1].cpu().numpy() for pixels in self._batches(images)]
        if not found:
            return np.zeros((0, self.network.config.feature_dim), np.float32)
        return np.concatenate(found).astype(np.float32)


def load_probe(path: Path | None = None) -> Probe:
    """Read a probe, on the CPU; the bundled portraits probe when no path is given.

    Raises:
        LatentLabError: not a whole probe file.
    """
    path = path or asset_path("models", "probe.safetensors")
    stored = read_model(path)
    header = stored.header
    if header.spec.family != "probe":
        raise LatentLabError(
            f"'{path.name}' holds a model of family '{header.spec.family}', not a probe: "
            "choose a probe file."
        )
    try:
        config = ProbeConfig.model_validate(header.config)
        extra = ProbeExtra.model_validate(header.extra)
    except ValidationError as error:
        raise LatentLabError(
            f"The configuration inside '{path.name}' is not valid for a probe: "
            "choose or download it again.",
            str(error),
        ) from error
    if any(len(extra.spread.get(label.name, ())) != label.width for label in config.labels):
        raise LatentLabError(
            f"'{path.name}' does not say how its readings spread: train the probe again."
        )
    with torch.device("meta"):
        network = ProbeNetwork(config)
    network.load_state_dict(check_state(network, stored.weights, path.name), assign=True)
    return Probe(header, network)
