"""Local parts as pictures: every channel of every scale, in standard deviations. No Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentlab.core.latents import Latents
from latentlab.core.spec import LatentSpace
from latentlab.ui.edits import readable

REACH = 3.0
"""Standard deviations at which the colours end."""


@dataclass(frozen=True, eq=False)
class PackedPart:
    """One part ``(C, H, W)`` as tiles.

    Attributes:
        title: for a person.
        values: float ``(rows * H + gaps, columns * W + gaps)``, in standard deviations of the
            prior; NaN between the tiles.
    """

    title: str
    values: NDArray[np.float32]

    def coloured(self, ramp: NDArray[np.uint8], gap: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return uint8 ``(H, W, 3)``.

        Args:
            ramp: uint8 ``(N, 3)``, N odd: from ``-REACH`` to ``REACH``.
            gap: uint8 ``(3,)``, between the tiles.
        """
        middle = (len(ramp) - 1) / 2
        holes = np.isnan(self.values)
        share = np.clip(np.where(holes, 0, self.values) / REACH, -1, 1)
        image = ramp[np.round(middle + share * middle).astype(np.intp)]
        image[holes] = gap
        return image


def tiled(part: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the channels of ``(C, H, W)`` side by side, about as wide as high."""
    count, height, width = part.shape
    across = math.ceil(math.sqrt(count * height / width))
    down = math.ceil(count / across)
    # Beside the smallest maps, a gap would be half of the picture.
    gap = 1 if min(height, width) > 2 else 0
    shape = (down * (height + gap) - gap, across * (width + gap) - gap)
    sheet = np.full(shape, np.nan, np.float32)
    for channel in range(count):
        row, column = divmod(channel, across)
        top, left = row * (height + gap), column * (width + gap)
        sheet[top : top + height, left : left + width] = part[channel]
    return sheet


def packed_parts(latents: Latents, space: LatentSpace) -> tuple[PackedPart, ...]:
    """Return the parts of one latent that are maps, the finest first.

    Args:
        latents: one row.
        space: of it.
    """
    found = []
    for part in space.parts:
        array = np.asarray(latents[part.name][0])
        if array.ndim == 3 and array.dtype.kind == "f":
            sides = " × ".join(map(str, array.shape))
            found.append(PackedPart(f"{readable(part.name)}, {sides}", tiled(array)))
    return tuple(found)


def has_maps(space: LatentSpace | None) -> bool:
    """Whether a space has parts that can be looked at."""
    return space is not None and any(len(part.shape) == 3 for part in space.parts)
