"""Portraits as a data set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.data.base import LabelColumn, SkippedFile
from latentlab.data.portraits.attributes import ATTRIBUTES, sample_attributes, visible

MAX_COUNT = 10_000_000


class Portraits:
    """``count`` procedural portraits with exact labels.

    Args:
        count: number of images.
        seed: of attributes and of everything else that varies.
        size: pixels of a side, 16 to 1024.
        start: index of the first image: ``Portraits(5, seed, start=10)`` are images 10 to 14 of
            ``Portraits(15, seed)``.
    """

    name = "portraits"
    skipped: Sequence[SkippedFile] = ()

    def __init__(self, count: int, seed: int = 0, size: int = 64, start: int = 0) -> None:
        if not 1 <= count <= MAX_COUNT or start < 0 or seed < 0:
            raise LatentLabError(
                f"Portraits need a count of 1 to {MAX_COUNT} and a seed and start of 0 or more."
            )
        if not 16 <= size <= 1024:
            raise LatentLabError(f"Portraits are 16 to 1024 pixels wide, not {size}.")
        self.seed, self.size, self.start = seed, size, start
        self.image_shape = (3, size, size)
        self.table = sample_attributes(count, seed, start)
        seen = visible(self.table)
        self.labels = {
            spec.name: LabelColumn(
                spec.name, spec.kind, self.table[spec.name], spec.classes, seen[spec.name]
            )
            for spec in ATTRIBUTES
        }

    def __len__(self) -> int:
        return len(self.table["smiling"])

    def read(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint8]:
        """Draw the images at ``indices``: uint8, of shape ``(batch, size, size, 3)``."""
        from latentlab.data.portraits.render import render_rows

        rows = np.asarray(indices, dtype=np.int64)
        rows = np.where(rows < 0, rows + len(self), rows)
        table = {name: values[rows] for name, values in self.table.items()}
        return render_rows(table, self.start + rows, size=self.size, seed=self.seed).numpy()

    def describe(self) -> dict[str, object]:
        """Return name, seed, count, size and the renderer's version."""
        from latentlab.data.portraits.render import VERSION

        return {
            "name": self.name,
            "source": f"portraits:count={len(self)},seed={self.seed},start={self.start}",
            "count": len(self),
            "image_shape": list(self.image_shape),
            "renderer_version": VERSION,
        }
