"""The probe's network: a small residual CNN with one head for each label.

Residual blocks after He et al. 2016 (arXiv 1512.03385). The last map is kept as a grid, not
averaged: where something stands in the picture is what tells a pose or a hair line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from latentlab.core.spec import Frozen

REDUCTION = 8
"""How much smaller than the image the last map is."""


class ProbeLabel(Frozen):
    """One label that a probe reads.

    Attributes:
        name: for example ``smiling``.
        kind: ``binary`` (probability), ``continuous`` (value) or ``categorical`` (probabilities).
        classes: names of the classes of a categorical label, in index order.
        mean: of a continuous label in the training data.
        deviation: its standard deviation there; the network works on standardised values.
    """

    name: str = Field(min_length=1, max_length=100)
    kind: Literal["binary", "continuous", "categorical"]
    classes: tuple[str, ...] = Field(default=(), max_length=1000)
    mean: float = Field(default=0.0, allow_inf_nan=False)
    deviation: float = Field(default=1.0, gt=0, allow_inf_nan=False)

    @property
    def width(self) -> int:
        """Outputs of the network for this label."""
        return len(self.classes) if self.kind == "categorical" else 1


class ProbeConfig(Frozen):
    """Everything that decides the shapes of a probe.

    Attributes:
        labels: what it reads.
        image_size: height and width that the network sees; other sizes are resized to it.
        channels: 1 (grey) or 3 (colour).
        widths: channels at a half, a quarter and an eighth of the size.
        blocks: residual blocks at each of these.
        squeeze: channels of the grid that the features are read from.
        feature_dim: width of the feature layer.
    """

    labels: tuple[ProbeLabel, ...] = Field(min_length=1, max_length=200)
    image_size: int = Field(default=64, ge=16, le=256, multiple_of=REDUCTION)
    channels: Literal[1, 3] = 3
    widths: tuple[
        Annotated[int, Field(ge=4, le=512)],
        Annotated[int, Field(ge=4, le=512)],
        Annotated[int, Field(ge=4, le=512)],
    ] = (32, 64, 112)
    blocks: tuple[
        Annotated[int, Field(ge=0, le=8)],
        Annotated[int, Field(ge=0, le=8)],
        Annotated[int, Field(ge=0, le=8)],
    ] = (1, 2, 1)
    squeeze: int = Field(default=16, ge=1, le=128)
    feature_dim: int = Field(default=128, ge=4, le=1024)

    @model_validator(mode="after")
    def _sound_labels(self) -> ProbeConfig:
        if len({label.name for label in self.labels}) != len(self.labels):
            raise ValueError("every label needs a name of its own")
        if any(label.kind == "categorical" and len(label.classes) < 2 for label in self.labels):
            raise ValueError("a categorical label needs at least two classes")
        return self


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape ``(B, width, H, W)``."""
        return torch.relu(maps + self.body(maps))


class ProbeNetwork(nn.Module):
    """Reads labels from images; ``features`` is the layer before the heads."""

    def __init__(self, config: ProbeConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        source: int = config.channels
        for level, (width, blocks) in enumerate(zip(config.widths, config.blocks)):
            # The first convolution sees wider, so that nothing of a pixel is lost by halving.
            kernel, margin = (5, 2) if level == 0 else (3, 1)
            layers += [
                nn.Conv2d(source, width, kernel, 2, margin, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                *(ResidualBlock(width) for _ in range(blocks)),
            ]
            source = width
        self.trunk = nn.Sequential(*layers)
        cells = (config.image_size // REDUCTION) ** 2
        self.features = nn.Sequential(
            nn.Conv2d(source, config.squeeze, 1, bias=False),
            nn.BatchNorm2d(config.squeeze),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(config.squeeze * cells, config.feature_dim, bias=False),
            nn.BatchNorm1d(config.feature_dim),
            nn.ReLU(inplace=True),
        )
        self.heads = nn.Linear(config.feature_dim, sum(label.width for label in config.labels))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return raw outputs ``(B, sum of label widths)`` and features ``(B, feature_dim)``.

        Args:
            images: ``(B, C, image_size, image_size)`` in [-1, 1].
        """
        features = self.features(self.trunk(images))
        return self.heads(features), features

    def split(self, raw: Tensor) -> dict[str, Tensor]:
        """Return raw outputs by label: ``(B,)``, or ``(B, classes)`` for a categorical label.

        A continuous label is standardised, a binary one a logit, a categorical one logits.
        """
        widths = [label.width for label in self.config.labels]
        return {
            label.name: part if label.kind == "categorical" else part[:, 0]
            for label, part in zip(self.config.labels, raw.float().split(widths, dim=1))
        }


def readings(network: ProbeNetwork, raw: Tensor) -> dict[str, Tensor]:
    """Return what raw outputs mean: probability, value, or class probabilities, by label."""
    found: dict[str, Tensor] = {}
    parts: Mapping[str, Tensor] = network.split(raw)
    for label in network.config.labels:
        part = parts[label.name]
        if label.kind == "binary":
            found[label.name] = part.sigmoid()
        elif label.kind == "categorical":
            found[label.name] = part.softmax(dim=1)
        else:
            found[label.name] = part * label.deviation + label.mean
    return found


def fit_images(images: Tensor, config: ProbeConfig) -> Tensor:
    """Return images ``(B, C, H, W)`` in [-1, 1] with the channels and size of a probe.

    Grey images are repeated, colour images become grey by the weights of ITU-R BT.601, and other
    sizes are resized with antialiasing.
    """
    if images.shape[1] == 1 and config.channels == 3:
        images = images.expand(-1, 3, -1, -1)
    elif images.shape[1] == 3 and config.channels == 1:
        weights = images.new_tensor([0.299, 0.587, 0.114])[None, :, None, None]
        images = (images * weights).sum(dim=1, keepdim=True)
    size = (config.image_size, config.image_size)
    if tuple(images.shape[2:]) != size:
        images = nn.functional.interpolate(
            images, size, mode="bilinear", antialias=True, align_corners=False
        )
    return images.clamp(-1.0, 1.0)
