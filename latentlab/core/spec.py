"""What a model is: its latent spaces, the images it makes, and what it can do. No torch here."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from latentlab.core.errors import LatentLabError
from latentlab.core.noise_schedule import ScheduleName, noise_schedule

PartKind = Literal["gaussian", "uniform", "categorical", "learned"]
Interpolation = Literal["spherical", "linear", "step"]
Capability = Literal["sample", "decode", "encode", "convert", "log_prob", "steps", "layers"]
EncodeKind = Literal["exact", "amortised", "optimised"]
ConditionKind = Literal["class", "attributes", "text", "image", "mask"]


class Frozen(BaseModel):
    """A value that never changes and takes no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class LayerGroup(Frozen):
    """What a range of a part's layers means.

    Attributes:
        name: for example ``coarse``.
        first: layer, counted from 0.
        last: layer, itself included.
    """

    name: str
    first: int = Field(ge=0)
    last: int = Field(ge=0)


class PartSpec(Frozen):
    """One named part of a latent; arrays are ``(batch, *shape)``.

    Attributes:
        name: for example ``z``, ``global``, ``local_1``.
        shape: without the batch axis; ``None`` marks a length that may vary.
        dtype: ``float32``, or ``int64`` for tokens.
        kind: the prior, or ``learned`` where there is no closed form.
        layer_axis: the axis of ``shape`` that counts layers (StyleGAN's w_plus), if there is one.
        layer_groups: what ranges of those layers mean, the coarsest first.
        interpolation: the rule between two values of this part.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: Literal["float32", "int64"] = "float32"
    kind: PartKind = "gaussian"
    layer_axis: int | None = None
    layer_groups: tuple[LayerGroup, ...] = ()
    interpolation: Interpolation = "spherical"

    @model_validator(mode="after")
    def _has_its_layers(self) -> PartSpec:
        if self.layer_axis is None:
            if self.layer_groups:
                raise ValueError(f"part '{self.name}' has groups of layers, but no layers")
            return self
        if not 0 <= self.layer_axis < len(self.shape):
            raise ValueError(f"part '{self.name}' has no axis {self.layer_axis} for its layers")
        count = self.shape[self.layer_axis] or 1
        if not all(group.first <= group.last < count for group in self.layer_groups):
            raise ValueError(f"part '{self.name}' has a group of layers outside them")
        return self

    @property
    def size(self) -> int:
        """Numbers in one row; a length that may vary counts as one."""
        return math.prod(n or 1 for n in self.shape)


class LatentSpace(Frozen):
    """A named space: an ordered set of parts."""

    name: str
    parts: tuple[PartSpec, ...]

    @property
    def size(self) -> int:
        """Numbers in one latent, over all parts."""
        return sum(part.size for part in self.parts)

    def part(self, name: str) -> PartSpec:
        """Return the part called ``name``; ``KeyError`` when there is none."""
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(name)


class Provenance(Frozen):
    """Where the weights came from.

    Attributes:
        data: what the training images say about themselves.
        recipe: resolved.
        steps: optimiser steps.
        seed: of the run.
        images_seen: training images, each as often as it was seen.
        seconds_trained: wall time of all attempts, pauses left out.
        processes: that trained together.
        program_version: of LatentLab.
        revision: git revision of the program, ``+dirty`` when files were changed; empty outside a
            checkout.
        torch_version: of PyTorch.
        device: product name of the GPU, or ``cpu``.
        created: ISO date and time.
        note: a sentence for the card.
    """

    data: dict[str, Any] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)
    steps: int = 0
    seed: int = 0
    images_seen: int = 0
    seconds_trained: float = 0.0
    processes: int = 1
    program_version: str = ""
    revision: str = ""
    torch_version: str = ""
    device: str = ""
    created: str = ""
    note: str = ""


class DiffusionFacts(Frozen):
    """How a diffusion model was trained; see ``core.noise_schedule``.

    Attributes:
        schedule: ``linear``, ``cosine`` or ``offset_cosine``.
        num_timesteps: T.
        beta_start: of the linear schedule.
        beta_end: of the linear schedule.
        prediction: what the network predicts.
    """

    schedule: ScheduleName
    num_timesteps: int
    beta_start: FiniteFloat = 1e-4
    beta_end: FiniteFloat = 0.02
    prediction: Literal["epsilon", "x0", "v"]

    @model_validator(mode="after")
    def _is_schedule(self) -> DiffusionFacts:
        ends = {"beta_start": self.beta_start, "beta_end": self.beta_end}
        try:
            noise_schedule(self.schedule, self.num_timesteps, **ends)
        except LatentLabError as error:
            raise ValueError(error.message) from error
        return self


class ModelSpec(Frozen):
    """What a backend tells about itself.

    Attributes:
        id: short name, for example ``portraits-vae``.
        title: the name that a card shows.
        family: the backend's family, for example ``vae``.
        image_shape: ``(channels, height, width)`` of what ``decode`` makes.
        spaces: the latent spaces; the first is the one that panels open with.
        capabilities: what panels may ask for.
        encode_kind: how ``encode`` finds a latent, when it can.
        conditions: the kinds of condition that ``decode`` understands.
        class_names: names for a class condition, in index order.
        attribute_names: names for an attribute condition, in order.
        provenance: data, recipe, seed.
        quality: measured figures by name, on the stored file.
        fingerprint: SHA-256 of the stored weights, 64 hexadecimal digits.
        diffusion: of a diffusion model.
    """

    id: str
    title: str = ""
    family: str
    image_shape: tuple[int, int, int]
    spaces: tuple[LatentSpace, ...]
    capabilities: tuple[Capability, ...] = ("sample", "decode")
    encode_kind: EncodeKind | None = None
    conditions: tuple[ConditionKind, ...] = ()
    class_names: tuple[str, ...] = ()
    attribute_names: tuple[str, ...] = ()
    provenance: Provenance = Provenance()
    quality: dict[str, FiniteFloat] = Field(default_factory=dict)
    fingerprint: str = ""
    diffusion: DiffusionFacts | None = None

    def space(self, name: str | None = None) -> LatentSpace:
        """Return the space called ``name``, or the first; ``KeyError`` when there is none."""
        if name is None:
            return self.spaces[0]
        for space in self.spaces:
            if space.name == name:
                return space
        raise KeyError(name)
