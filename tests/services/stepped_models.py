"""A model of many steps whose every number is known, behind the interface of the real ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from latentlab.backends.base import Parts, Step
from latentlab.core.direction import Direction
from latentlab.core.latents import Condition
from latentlab.core.noise import noise, noise_rows
from latentlab.core.spec import LatentSpace, ModelSpec, PartSpec

SHAPE = (3, 4, 5)


def stepped_spec(model_id: str = "stairs") -> ModelSpec:
    part = PartSpec(name="noise", shape=SHAPE)
    return ModelSpec(
        id=model_id,
        family="stairs",
        image_shape=SHAPE,
        spaces=(LatentSpace(name="noise", parts=(part,)),),
        capabilities=("sample", "decode", "steps"),
        fingerprint="f" * 64,
    )


class Stairs:
    """Step i of n shows i / n of tanh(noise), and adds the row's own injected noise at the end."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.spec = stepped_spec()
        self.directions: dict[str, Direction] = {}
        self.evaluations: list[int] = []
        """Rows of every evaluation, in order."""
        self.keys: list[tuple[int, ...]] = []
        self.broken_at = 0

    def sample_prior(self, space: str, seeds: Any, temperature: float = 1.0) -> Parts:
        return {"noise": temperature * torch.from_numpy(noise_rows(seeds, "prior", SHAPE))}

    def steps(
        self,
        latents: Parts,
        *,
        space: str | None = None,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
        start: Any = None,
    ) -> Iterator[Step]:
        options = options or {}
        count, amount = int(options.get("steps", 5)), float(options.get("injected", 0.0))
        start_from = latents["noise"]
        keys = tuple(options["row_keys"])
        assert len(keys) == len(start_from)
        self.keys.append(keys)
        for index in range(1, count + 1):
            self.evaluations.append(len(start_from))
            preview = torch.tanh(start_from) * (index / count)
            if index == self.broken_at:
                preview = preview * float("nan")
            result = None
            if index == count:
                injected = torch.stack([_row(key) for key in keys])
                result = preview + amount * injected
            yield Step(index, count, preview, None, result)

    def decode(self, latents: Parts, **given: Any) -> Tensor:
        *_, last = self.steps(latents, **given)
        assert last.result is not None
        return last.result


def _row(key: int) -> Tensor:
    return torch.from_numpy(noise(key, "sampler", 0, SHAPE))


def stairs_library(backend: Any) -> Any:
    """A library of one model."""
    return SimpleNamespace(backend=lambda _name: backend)
