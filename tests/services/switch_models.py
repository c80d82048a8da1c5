"""Models of several parts, or of layers, whose every number is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentlab.backends.base import EncodeUpdate, Parts
from latentlab.core.direction import Direction
from latentlab.core.document import Picture, Switch, SwitchSource
from latentlab.core.latents import Array, Condition, Latents
from latentlab.core.noise import noise_rows
from latentlab.core.pictures import stored_hashes
from latentlab.core.spec import LatentSpace, LayerGroup, ModelSpec, PartSpec

SHAPE = (3, 4, 5)
SIGMA = np.array([0.5, 2.0], np.float32)


class _Model:
    """What both models share: draws from the prior, and a record of what was decoded."""

    device = torch.device("cpu")

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.directions: dict[str, Direction] = {}
        self.decoded: list[int] = []
        """Rows of every evaluation, in order."""
        self.told: list[tuple[Condition | None, dict[str, Any]]] = []

    def sample_prior(self, space: str, seeds: Any, temperature: float = 1.0) -> Parts:
        return {
            part.name: temperature
            * torch.from_numpy(noise_rows(seeds, f"prior.{part.name}", part.shape))  # type: ignore[arg-type]
            for part in self.spec.space(space).parts
        }


class Halves(_Model):
    """A flow x = exp(g0 / 8) l + g1 / 4 of a global part of two numbers and two local ones.

    ``local_1`` are the first two channels, ``local_2`` is the third. The encoder estimates the
    global part as (mean, largest number of the image).
    """

    def __init__(self, kind: Any = "exact") -> None:
        parts = (
            PartSpec(name="global", shape=(2,)),
            PartSpec(name="local_1", shape=(2, 4, 5)),
            PartSpec(name="local_2", shape=(1, 4, 5)),
        )
        super().__init__(
            ModelSpec(
                id="halves",
                family="halves",
                image_shape=SHAPE,
                spaces=(LatentSpace(name="latent", parts=parts),),
                capabilities=("sample", "decode", "encode"),
                encode_kind=kind,
                fingerprint="a" * 64,
            )
        )

    def decode(
        self,
        latents: Parts,
        *,
        space: str | None = None,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Tensor:
        options = dict(options or {})
        clamp = options.pop("clamp", True)
        self.decoded.append(len(latents["global"]))
        self.told.append((condition, options))
        local = torch.cat([latents["local_1"], latents["local_2"]], dim=1)
        scale, shift = latents["global"][:, :, None, None, None].unbind(1)
        images = (scale / 8).exp() * local / 4 + shift / 4 + float(options.get("brighter", 0.0))
        return images.clamp(-1, 1) if clamp else images

    def encode_global(self, images: Tensor) -> tuple[Tensor, Tensor]:
        flat = images.flatten(1)
        mean = torch.stack([flat.mean(1), flat.amax(1)], dim=1)
        return mean, torch.from_numpy(SIGMA).expand_as(mean)

    def encode(
        self,
        images: Tensor,
        *,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Iterator[EncodeUpdate]:
        hold = (options or {}).get("hold", {})
        held = hold.get("global", self.encode_global(images)[0])
        scale, shift = held[:, :, None, None, None].unbind(1)
        local = (images - shift / 4) * 4 * (-scale / 8).exp()
        parts = {"global": held, "local_1": local[:, :2], "local_2": local[:, 2:]}
        yield EncodeUpdate(1, 1, parts, condition, None, None)


class Layers(_Model):
    """Images that are the sum of six layers of ``w_plus``, each at a place of its own."""

    groups = (
        LayerGroup(name="coarse", first=0, last=1),
        LayerGroup(name="middle", first=2, last=3),
        LayerGroup(name="fine", first=4, last=5),
    )

    def __init__(self) -> None:
        part = PartSpec(
            name="w_plus",
            shape=(6, 10),
            layer_axis=0,
            layer_groups=self.groups,
            interpolation="linear",
        )
        super().__init__(
            ModelSpec(
                id="layers",
                family="layers",
                image_shape=SHAPE,
                spaces=(LatentSpace(name="w_plus", parts=(part,)),),
                capabilities=("sample", "decode", "layers"),
                fingerprint="b" * 64,
            )
        )

    def decode(
        self,
        latents: Parts,
        *,
        space: str | None = None,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Tensor:
        rows = latents["w_plus"]
        self.decoded.append(len(rows))
        self.told.append((condition, dict(options or {})))
        return (rows.reshape(-1, *SHAPE) / 3).clamp(-1, 1)


def bytes_of(values: Array) -> Array:
    """From [-1, 1] to levels, ``(C, H, W)`` to ``(H, W, C)``."""
    levels = np.round((np.clip(values, -1, 1).astype(np.float64) + 1) * 127.5)
    return np.moveaxis(levels, -3, -1)


def halves_image(g: Array, first: Array, second: Array) -> Array:
    """Return an image of ``Halves``, not clamped, in float64."""
    local = np.concatenate([first, second]).astype(np.float64)
    return np.exp(float(g[0]) / 8) * local / 4 + float(g[1]) / 4


def library(*models: Any) -> Any:
    """A library of models by id."""
    known = {model.spec.id: model for model in models}
    entry = lambda name: SimpleNamespace(id=name, path=name)  # noqa: E731
    return SimpleNamespace(backend=lambda name: known[str(name)], resolve=entry)


def sample(model: Any, seed: int, **changes: Any) -> Picture:
    """A picture of one seed."""
    space = model.spec.spaces[0].name
    values = {"model": model.spec.id, "space": space, "seeds": (seed,), **changes}
    return Picture(**values)


def stored_rows(model: Any, seed: int) -> Latents:
    """Latents that come from no seed."""
    rng = np.random.default_rng(seed)
    space = model.spec.spaces[0]
    return Latents(
        space.name,
        {p.name: rng.normal(size=(1, *p.shape)).astype(np.float32) for p in space.parts},
    )


def kept(model: Any, rows: Latents, **changes: Any) -> Picture:
    """A picture of latents."""
    return sample(model, 0, seeds=(), stored=stored_hashes(rows), **changes)


def matrix(model: Any, pictures: Sequence[Picture], **changes: Any) -> Switch:
    """A matrix of pictures; ids are s0, s1 ..."""
    sources = tuple(SwitchSource(id=f"s{n}", picture=one) for n, one in enumerate(pictures))
    values = {"model": model.spec.id, "space": model.spec.spaces[0].name, "sources": sources}
    return Switch(**{**values, **changes})
