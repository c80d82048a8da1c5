"""Latents and images of a switch matrix that are here, kept by what they show. No Qt here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latentlab.core.document import Switch
from latentlab.core.latents import Latents
from latentlab.core.switching import Cell, all_cells
from latentlab.services.switch import Images, RoundTrip, SwitchCheck

Key = tuple[Any, ...]
_MAX_BYTES = 128 * 2**20
_MAX_SOURCES = 256


@dataclass(frozen=True)
class Plan:
    """What a matrix shows: its sources by what they look like, and what comes from the row.

    Attributes:
        switch: of the document.
        looks: a text a source that changes with its image.
        by_row: ranges as text.
    """

    switch: Switch
    looks: tuple[str, ...]
    by_row: tuple[str, ...]

    def key(self, cell: Cell) -> Key:
        """Return what tells a cell's picture from any other."""
        row, column = self.looks[cell[0]], self.looks[cell[1]]
        # A source made of its own parts is the same whatever comes from where.
        return (row, column, ()) if row == column else (row, column, self.by_row)


class SwitchCells:
    """What is known, from now and before: undo and reordering find it again."""

    def __init__(self) -> None:
        self._images: OrderedDict[Key, Images] = OrderedDict()
        self._bytes = 0
        self._latents: OrderedDict[str, Latents] = OrderedDict()
        self._rough: dict[Key, Images] = {}
        self.trips: dict[str, RoundTrip] = {}
        self.checks: dict[Key, SwitchCheck] = {}

    def image(self, key: Key) -> Images | None:
        """Return the image of a cell for keeping, or a preview of it, if there is one."""
        found = self._images.get(key)
        return self._rough.get(key) if found is None else found

    def exact(self, key: Key) -> bool:
        """Whether an image for keeping is here."""
        return key in self._images

    def put(self, key: Key, image: Images) -> None:
        """Keep an image, uint8 ``(H, W, C)``."""
        self._rough.pop(key, None)
        old = self._images.pop(key, None)
        self._bytes += image.nbytes - (0 if old is None else old.nbytes)
        self._images[key] = image
        while self._bytes > _MAX_BYTES and len(self._images) > 1:
            _, gone = self._images.popitem(last=False)
            self._bytes -= gone.nbytes

    def put_rough(self, key: Key, image: Images) -> None:
        """Show a preview until the image for keeping comes."""
        if key not in self._images:
            self._rough[key] = image

    def forget_rough(self) -> None:
        """Drop previews: other ones are wanted."""
        self._rough.clear()

    def latents(self, look: str) -> Latents | None:
        """Return the final latents of a source, one row, if they are here."""
        return self._latents.get(look)

    def put_latents(self, look: str, latents: Latents) -> None:
        """Keep the final latents of a source."""
        self._latents[look] = latents
        while len(self._latents) > _MAX_SOURCES:
            self._latents.popitem(last=False)

    def known(self, plan: Plan) -> Mapping[str, Latents]:
        """Return the latents of a matrix's sources, by id, as far as they are here."""
        pairs = zip(plan.switch.sources, plan.looks)
        found = {source.id: self._latents.get(look) for source, look in pairs}
        return {name: rows for name, rows in found.items() if rows is not None}

    def missing(self, plan: Plan, first: int) -> tuple[Cell, ...]:
        """Return the cells that are to be made: the diagonal, then row ``first``, then the others.

        The diagonal comes first, because it gives the heads their pictures; a cell of it is made
        as long as nobody has looked how well its source comes back.
        """
        wanted: dict[Key, Cell] = {}
        for cell in all_cells(len(plan.looks)):
            key = plan.key(cell)
            diagonal = cell[0] == cell[1]
            if not self.exact(key) or (diagonal and plan.looks[cell[0]] not in self.trips):
                wanted.setdefault(key, cell)

        def rank(cell: Cell) -> tuple[int, ...]:
            row, column = cell
            return (0 if row == column else 1 if row == first else 2, row, column)

        return tuple(sorted(wanted.values(), key=rank))

    def missing_in_row(self, plan: Plan, row: int) -> tuple[Cell, ...]:
        """Return the cells of a row that have no image yet."""
        cells: Sequence[Cell] = [(row, column) for column in range(len(plan.looks))]
        return tuple(cell for cell in cells if self.image(plan.key(cell)) is None)
