"""What comes of switching: cells, matrices, checks and mixes, as values. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from latentlab.core.latents import Latents
from latentlab.core.switching import Cell

Images = NDArray[np.uint8]

LOST_SIGMA = 0.1
"""Error of a latent, in standard deviations of the prior, over which a picture is not its own."""
LOST = (
    "It lies too far from what the model was trained on: 32-bit numbers cannot hold the way back."
)


@dataclass(frozen=True, eq=False)
class SwitchCells:
    """Some cells of a matrix, or of a mix grid, that have their images.

    Attributes:
        cells: row and column of each.
        images: uint8 ``(len(cells), H, W, C)``.
    """

    cells: tuple[Cell, ...]
    images: Images


@dataclass(frozen=True)
class RoundTrip:
    """How well a source comes back.

    Attributes:
        psnr_db: of the bytes of its picture against the photograph, infinite where they are equal;
            ``None`` where there is no photograph, or the picture was edited since.
        max_level_error: largest difference of these bytes, in levels of 255; ``None`` likewise.
        latent_error: largest difference between its latents and those of its picture, which is not
            clamped to the range of images, in standard deviations of the prior; infinite where it
            overflows. A part that the model's encoder only estimates is held. ``None`` for models
            that do not encode exactly.
    """

    psnr_db: float | None = None
    max_level_error: int | None = None
    latent_error: float | None = None

    @property
    def lost(self) -> bool:
        """Whether rounding ate what an exact encoder found.

        The inverse of a flow explodes far from its training data (Behrmann et al. 2021, arXiv
        2006.09347).
        """
        return self.latent_error is not None and self.latent_error > LOST_SIGMA


@dataclass(frozen=True, eq=False)
class SwitchMatrix:
    """A matrix of switched parts.

    Attributes:
        latents: of every source, one row with its edits, by id.
        cells: that were asked for.
        images: uint8 ``(len(cells), H, W, C)``.
        round_trip: of the sources whose cell of the diagonal was asked for, by id.
    """

    latents: Mapping[str, Latents]
    cells: tuple[Cell, ...]
    images: Images
    round_trip: Mapping[str, RoundTrip] = field(default_factory=dict)

    def image(self, row: int, column: int) -> Images:
        """Return the image of a cell, uint8 ``(H, W, C)``; ``ValueError`` if it is not here."""
        found: Images = self.images[self.cells.index((row, column))]
        return found


@dataclass(frozen=True)
class SwitchCheck:
    """What a switched picture X = (g, l), not clamped, is when it is encoded again.

    Attributes:
        cell: of the matrix.
        local_error: largest |l' - l|, in standard deviations of the prior, where l' is found with g
            held.
        global_shift_sigma: root mean square over dimensions of (E(X) - g) / sigma, E(X) and sigma
            being mean and standard deviation of the encoder's posterior at X; ``None`` for a model
            that estimates no part.
        apart_sigma: the same between the global parts of the two sources, for comparison: a shift
            that is as large says that the encoder sees the other picture.
    """

    cell: Cell
    local_error: float
    global_shift_sigma: float | None
    apart_sigma: float | None


@dataclass(frozen=True, eq=False)
class SwitchMix:
    """A pair of sources, blended: what comes by row down, all else across.

    Attributes:
        pair: ids of the two.
        amounts: of rows and of columns; 0 is the first of the pair, 1 the second.
        images: uint8 ``(rows, columns, H, W, C)``.
        latents: one row a cell, row by row.
    """

    pair: tuple[str, str]
    amounts: tuple[float, ...]
    images: Images
    latents: Latents
