"""Latents put together from parts of others: switching, style mixing, level swapping, blending.

One operation serves every family: recombine named parts, or ranges of a part's layer axis, of two
latents. On arrays, so that the window does it without the models.

Switching of global and local parts: Ma et al. 2021 (arXiv 2004.11820), section 4.4; style mixing:
Karras et al. 2019 (arXiv 1812.04948), section 3.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array, Latents
from latentlab.core.spec import Interpolation, LatentSpace, PartSpec
from latentlab.core.suggest import did_you_mean

_TEXT = re.compile(r"([^:]{1,200})(?::(\d{1,6})(?:-(\d{1,6}))?)?", re.ASCII)
_PARALLEL = 1e-6
"""Sine of the angle under which two vectors are one line, and are blended along it."""


@dataclass(frozen=True, order=True)
class PartRange:
    """A part of a latent, or some layers of one.

    Attributes:
        part: its name.
        first: first layer, counted from 0; ``None`` for the whole part.
        last: last layer, itself included; ``None`` for the whole part.
    """

    part: str
    first: int | None = None
    last: int | None = None

    def __str__(self) -> str:
        if self.first is None:
            return self.part
        return f"{self.part}:{self.first}" + ("" if self.last == self.first else f"-{self.last}")

    def layers(self, spec: PartSpec) -> range:
        """Return the layers that it means of a part that has them."""
        count = layer_count(spec)
        return range(count) if self.first is None else range(self.first, (self.last or 0) + 1)


def layer_count(spec: PartSpec) -> int:
    """Return the length of a part's layer axis; 1 where it has none."""
    return 1 if spec.layer_axis is None else int(spec.shape[spec.layer_axis] or 1)


def parse_range(text: str, space: LatentSpace) -> PartRange:
    """Read ``global``, ``w_plus:3`` or ``w_plus:0-3``.

    Args:
        text: as ``str(PartRange)`` writes it.
        space: that it is a range of.

    Raises:
        LatentLabError: no such part, a range of a part without layers, or one outside them.
    """
    match = _TEXT.fullmatch(text.strip())
    names = [part.name for part in space.parts]
    if match is None or match[1] not in names:
        raise LatentLabError(f"There is no part '{text[:60]}'{did_you_mean(text, names)}")
    part = space.part(match[1])
    if match[2] is None:
        return PartRange(part.name)
    first, last = int(match[2]), int(match[3] or match[2])
    if part.layer_axis is None:
        raise LatentLabError(f"Part '{part.name}' has no layers: leave out ':{first}'.")
    if not first <= last < layer_count(part):
        raise LatentLabError(
            f"'{text}' is no range of layers of '{part.name}': use 0 to {layer_count(part) - 1}."
        )
    return PartRange(part.name, first, last)


def parse_ranges(texts: Iterable[str], space: LatentSpace) -> tuple[PartRange, ...]:
    """Read several ranges; see ``parse_range``."""
    return tuple(parse_range(text, space) for text in texts)


def units_of(space: LatentSpace) -> tuple[PartRange, ...]:
    """Return what a person can switch alone: every part, and every layer of a part that has them.

    Layer groups (coarse, middle, fine) are in ``PartSpec.layer_groups``.
    """
    found: list[PartRange] = []
    for part in space.parts:
        if part.layer_axis is None:
            found.append(PartRange(part.name))
        else:
            found += [PartRange(part.name, layer, layer) for layer in range(layer_count(part))]
    return tuple(found)


def default_rows(space: LatentSpace) -> tuple[PartRange, ...]:
    """Return what comes from the row when nobody chose: the first part, or the coarse layers."""
    part = space.parts[0]
    if part.layer_axis is None or len(space.parts) > 1:
        return (PartRange(part.name),)
    if part.layer_groups:
        group = part.layer_groups[0]
        return (PartRange(part.name, group.first, group.last),)
    return (PartRange(part.name, 0, max(0, layer_count(part) // 2 - 1)),)


def can_recombine(space: LatentSpace) -> bool:
    """Whether there is more than one thing to switch."""
    return len(units_of(space)) > 1


def weights_by_part(
    amounts: Mapping[PartRange, float], space: LatentSpace
) -> dict[str, NDArray[np.float64]]:
    """Return a weight a layer, by part; 0 for what no range names.

    A weight belongs to the second of two latents: 0 keeps the first, 1 takes the second.
    """
    found = {part.name: np.zeros(layer_count(part)) for part in space.parts}
    for chosen, amount in amounts.items():
        layers = chosen.layers(space.part(chosen.part))
        found[chosen.part][layers.start : layers.stop] = amount
    return found


def _spherical(a: Array, b: Array, t: float) -> Array:
    """Blend float64 rows ``(N, D)`` over the sphere, and their norms in proportion.

    Shoemake 1985, "Animating rotation with quaternion curves", equation 1, of the directions.
    """
    lengths = [np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b)]
    safe = [np.where(length > 0, length, 1.0) for length in lengths]
    cosine = np.clip(((a / safe[0]) * (b / safe[1])).sum(axis=1, keepdims=True), -1, 1)
    angle = np.arccos(cosine)
    sine = np.sin(angle)
    line = (sine < _PARALLEL) | (lengths[0] == 0) | (lengths[1] == 0)
    divisor = np.where(line, 1.0, sine)
    way = np.sin((1 - t) * angle) / divisor * (a / safe[0])
    way = way + np.sin(t * angle) / divisor * (b / safe[1])
    # Far beyond the shorter of two rows, its length would turn negative, and the row around.
    curved: Array = way * np.maximum((1 - t) * lengths[0] + t * lengths[1], 0)
    return np.where(line, (1 - t) * a + t * b, curved)


def blend(a: Array, b: Array, t: float, rule: Interpolation) -> Array:
    """Return rows between those of two arrays ``(N, *shape)``, computed in float64.

    Args:
        a: at ``t`` = 0, returned as it is.
        b: at ``t`` = 1, likewise.
        t: below 0 and above 1 goes beyond them.
        rule: ``spherical`` (over all numbers of a row), ``linear``, or ``step``: ``a`` below one
            half, else ``b``.
    """
    if rule == "step":
        return a if t < 0.5 else b
    if t in (0, 1):
        return b if t else a
    shape = a.shape
    flat_a, flat_b = (np.asarray(rows, np.float64).reshape(len(rows), -1) for rows in (a, b))
    mixed = _spherical(flat_a, flat_b, t) if rule == "spherical" else (1 - t) * flat_a + t * flat_b
    return mixed.reshape(shape).astype(a.dtype)


def mix(
    first: Latents, second: Latents, amounts: Mapping[PartRange, float], space: LatentSpace
) -> Latents:
    """Return latents between two, each part (or layer) by an amount and a rule of its own.

    Args:
        first: N rows.
        second: N rows of the same space.
        amounts: 0 keeps the first, 1 takes the second, by range; what is not named stays.
        space: of both; says the rules.

    Raises:
        LatentLabError: the latents are of other spaces, or of different numbers of rows.
    """
    first.check(space)
    second.check(space)
    if first.batch != second.batch:
        raise LatentLabError("Only as many latents as there are others can be mixed with them.")
    weights = weights_by_part(amounts, space)
    parts = {}
    for part in space.parts:
        a, b, rows = first[part.name], second[part.name], weights[part.name]
        if part.layer_axis is None or set(rows) <= {0.0} or set(rows) <= {1.0}:
            parts[part.name] = blend(a, b, float(rows[0]), part.interpolation)
            continue
        axis = part.layer_axis + 1
        layers = [
            blend(np.take(a, i, axis), np.take(b, i, axis), float(t), part.interpolation)
            for i, t in enumerate(rows)
        ]
        parts[part.name] = np.stack(layers, axis)
    return Latents(space.name, parts)


def recombine(
    row: Latents, column: Latents, by_row: Sequence[PartRange], space: LatentSpace
) -> Latents:
    """Return latents with some ranges of ``row`` and all others of ``column``, to the bit."""
    return mix(column, row, dict.fromkeys(by_row, 1.0), space)
