"""Latents as values: named, read-only numpy parts of one space, and the condition beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.core.spec import Frozen, LatentSpace

Array = NDArray[Any]


class Condition(Frozen):
    """What a conditional model is told beside the latent. Saved with it.

    Attributes:
        class_index: the class, counted from 0.
        attributes: values by attribute name, each in the range that the model was trained with.
        text: a prompt.
        null: true asks for the unconditional prediction, whatever else is set.
    """

    class_index: int | None = None
    attributes: dict[str, float] = {}
    text: str | None = None
    null: bool = False


def content_hash(array: Array) -> str:
    """Return the SHA-256 of an array's dtype, shape and bytes, as 64 hexadecimal digits."""
    array = np.asarray(array, order="C")
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(array.tobytes())
    return digest.hexdigest()


def read_only(array: Array) -> Array:
    """Return a contiguous array that cannot be written; copies only where it must."""
    if array.flags.writeable or not array.flags.c_contiguous:
        array = np.array(array, order="C", copy=True)
        array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Latents(Mapping[str, Array]):
    """A batch of latents of one space: read-only arrays ``(batch, *part shape)`` by part name."""

    space: str
    parts: Mapping[str, Array]

    def __post_init__(self) -> None:
        if len({len(array) for array in self.parts.values()}) > 1:
            raise LatentLabError("The parts of a latent must hold the same number of rows.")
        frozen = {name: read_only(np.asarray(array)) for name, array in self.parts.items()}
        object.__setattr__(self, "parts", frozen)

    def __getitem__(self, name: str) -> Array:
        return self.parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)

    @property
    def batch(self) -> int:
        """Number of rows."""
        return len(next(iter(self.parts.values()))) if self.parts else 0

    def rows(self, start: int, stop: int | None = None) -> Latents:
        """Return rows ``start`` to ``stop`` (one row when ``stop`` is not given)."""
        end = start + 1 if stop is None else stop
        return Latents(self.space, {name: array[start:end] for name, array in self.parts.items()})

    def check(self, space: LatentSpace) -> None:
        """Raise ``LatentLabError`` unless names, shapes and dtypes are those of ``space``."""
        if space.name != self.space or {p.name for p in space.parts} != set(self.parts):
            raise LatentLabError(
                f"These latents belong to space '{self.space}' with parts "
                f"{', '.join(self.parts)}; the model expects '{space.name}' with parts "
                f"{', '.join(p.name for p in space.parts)}."
            )
        for part in space.parts:
            array = self.parts[part.name]
            fits = array.ndim == len(part.shape) + 1 and all(
                want is None or want == have for want, have in zip(part.shape, array.shape[1:])
            )
            if not fits or array.dtype != np.dtype(part.dtype):
                raise LatentLabError(
                    f"Part '{part.name}' is {array.dtype} {tuple(array.shape[1:])}; the model "
                    f"expects {part.dtype} {part.shape}: choose latents of this model."
                )
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise LatentLabError(
                    f"Part '{part.name}' holds values that are not finite: choose other latents."
                )


def stack(batches: Sequence[Latents]) -> Latents:
    """Join batches of one space along the batch axis."""
    first = batches[0]
    if any(b.space != first.space or set(b.parts) != set(first.parts) for b in batches):
        raise LatentLabError("Only latents of one space can be put together.")
    return Latents(
        first.space, {name: np.concatenate([b[name] for b in batches]) for name in first.parts}
    )
