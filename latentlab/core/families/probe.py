"""Settings of the probe: the ``[model]`` table of its recipes. No torch here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from latentlab.core.families.base import FamilySettings, setting

Width = Annotated[int, Field(ge=4, le=512)]
Blocks = Annotated[int, Field(ge=0, le=8)]


class ProbeSettings(FamilySettings):
    """A small residual network that reads labels from images; it measures edits."""

    family: Literal["probe"] = setting("probe", "Family", "The kind of model.")
    widths: tuple[Width, Width, Width] = setting(
        (32, 64, 112),
        "Widths",
        "Channels at a half, a quarter and an eighth of the image's size.",
        unit="channels",
        advanced=True,
        strict=False,
    )
    blocks: tuple[Blocks, Blocks, Blocks] = setting(
        (1, 2, 1),
        "Blocks",
        "Residual blocks at each of these sizes.",
        advanced=True,
        strict=False,
    )
    squeeze: int = setting(
        16,
        "Channels of the grid",
        "The features are read from a grid of so many channels.",
        unit="channels",
        advanced=True,
        ge=1,
        le=128,
    )
    feature_dim: int = setting(128, "Features", "Width of the feature layer.", ge=4, le=1024)
    blur: float = setting(
        0.5,
        "Blur",
        "Training images are blurred by widths drawn from a Gaussian of this standard deviation, "
        "so that the probe reads decoded images too.",
        unit="pixels",
        group="Disturbance of training images",
        ge=0,
        le=8,
    )
    rescale: float = setting(
        0.25,
        "Made smaller and larger",
        "Share of images that are made smaller and larger again.",
        ge=0,
        le=1,
    )
    noise: float = setting(
        0.03,
        "Noise",
        "Largest standard deviation of added noise, on pixel values from -1 to 1.",
        ge=0,
        le=1,
    )
    brightness: float = setting(
        0.03,
        "Brightness",
        "Standard deviation of the random gain and offset of the pixel values.",
        ge=0,
        le=1,
    )
    shift: int = setting(
        1, "Shift", "Most that an image is moved, each way.", unit="pixels", ge=0, le=64
    )
