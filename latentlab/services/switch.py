"""Parts of pictures switched: jobs ``switch_matrix``, ``switch_check`` and ``switch_mix``.

Importing this module imports no torch. A cell is decoded in the fixed micro-batch, so that it has
the bytes that its picture (``core.switching.cell_picture``) has on the canvas and in an export.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from latentlab.core.direction import Direction
from latentlab.core.document import Picture, Switch
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents
from latentlab.core.pictures import check_stored
from latentlab.core.recombine import can_recombine
from latentlab.core.row_keys import row_keys, stored_keys
from latentlab.core.spec import LatentSpace
from latentlab.core.switching import (
    Cell,
    all_cells,
    cell_latents,
    check_cells,
    mix_latents,
    pair_of,
    row_ranges,
)
from latentlab.services.switch_values import (
    Images,
    RoundTrip,
    SwitchCells,
    SwitchCheck,
    SwitchMatrix,
    SwitchMix,
)

if TYPE_CHECKING:
    from latentlab.services.photo import Context
    from latentlab.services.renderer import Renderer

__all__ = [
    "Images",
    "RoundTrip",
    "Sources",
    "SwitchCells",
    "SwitchCheck",
    "SwitchMatrix",
    "SwitchMix",
    "switch_check_job",
    "switch_matrix_job",
    "switch_mix_job",
]

Directions = Mapping[str, Direction]
MIX_AMOUNTS = (0.0, 0.25, 0.5, 0.75, 1.0)
MAX_MIX = 16
"""Most amounts of a mix grid."""
Progress = tuple[int, int, str] | tuple[int, int, str, SwitchCells]


@dataclass(frozen=True, eq=False)
class Sources:
    """A matrix whose sources have their latents.

    Attributes:
        switch: the matrix.
        backend: the model.
        space: of the latents.
        stored: latents of those sources that come from no seed, before edits, by id.
        latents: of every source, one row with its edits, by id.
    """

    switch: Switch
    backend: Any
    space: LatentSpace
    stored: Mapping[str, Latents]
    latents: Mapping[str, Latents]

    def told(self, row: int) -> tuple[Condition, dict[str, Any]]:
        """Return condition and options of the cells of a row."""
        picture = self.switch.sources[row].picture
        return picture.condition, dict(picture.options)

    def keys(self, cells: Sequence[Cell], latents: Latents) -> tuple[int, ...]:
        """Return the keys of cells: those of their pictures, see ``core.row_keys``."""
        found = list(stored_keys(latents))
        for place, (i, j) in enumerate(cells):
            if i == j:
                source = self.switch.sources[i]
                (found[place],) = row_keys(source.picture, self.stored.get(source.id))
        return tuple(found)


def sources_of(
    renderer: Renderer,
    switch: Switch,
    stored: Mapping[str, Latents],
    directions: Directions | None = None,
) -> Sources:
    """Return the sources of a matrix with their final latents.

    Args:
        renderer: of the models.
        switch: the matrix.
        stored: the latents that ``picture.stored`` names, by the source's id.
        directions: the person's own that edits name.

    Raises:
        LatentLabError: nothing to switch in this space, no sources, sources of another model or
            space, or latents that are missing.
    """
    backend = renderer.library.backend(switch.model)
    try:
        space = backend.spec.space(switch.space)
    except KeyError as error:
        known = ", ".join(s.name for s in backend.spec.spaces)
        raise LatentLabError(
            f"'{switch.model}' has no space '{switch.space}'; it has: {known}."
        ) from error
    if not can_recombine(space):
        raise LatentLabError(
            f"A latent of '{switch.model}' is one part without layers: choose a model with several "
            "parts to switch them."
        )
    if not switch.sources:
        raise LatentLabError("There is nothing to switch: add two pictures or more.")
    row_ranges(switch, space)
    latents = {}
    for source in switch.sources:
        picture, rows = source.picture, stored.get(source.id)
        _check_source(switch, picture)
        check_stored(picture, rows)
        latents[source.id] = renderer.latents(picture, rows, directions)
        if latents[source.id].batch != 1:
            raise LatentLabError("A source of a switch is exactly one image: choose one of them.")
        latents[source.id].check(space)
    return Sources(switch, backend, space, stored, latents)


def _check_source(switch: Switch, picture: Picture) -> None:
    if picture.model != switch.model or picture.space != switch.space:
        raise LatentLabError(
            f"Only pictures of '{switch.model}' in space '{switch.space}' can be switched, not one "
            f"of '{picture.model}' in '{picture.space}'."
        )


# Matrix.


def decoded_cells(sources: Sources, cells: Sequence[Cell]) -> Iterator[SwitchCells | None]:
    """Yield cells in their order, at most a micro-batch a turn; ``None`` where none is complete.

    Cells one after another that are told the same share their network evaluations.
    """

    def latents(chunk: Sequence[Cell]) -> Latents:
        return cell_latents(sources.switch, sources.latents, chunk, sources.space)

    for row, group in groupby(cells, key=lambda cell: _first_told_alike(sources, cell[0])):
        yield from _decoded(sources, tuple(group), latents, row)


def _first_told_alike(sources: Sources, row: int) -> int:
    """Return the first row whose cells have the condition and the options of this one's."""
    told = sources.told(row)
    return next(i for i in range(row + 1) if sources.told(i) == told)


def _decoded(
    sources: Sources, cells: Sequence[Cell], latents: Any, row: int, diagonal: bool = True
) -> Iterator[SwitchCells | None]:
    from latentlab.backends.stepping import in_steps
    from latentlab.services.decoding import MICRO_BATCH, decode_turns

    condition, options = sources.told(row)
    for start in range(0, len(cells), MICRO_BATCH):
        chunk = tuple(cells[start : start + MICRO_BATCH])
        rows = latents(chunk)
        keys = None
        if in_steps(sources.backend):
            keys = sources.keys(chunk, rows) if diagonal else stored_keys(rows)
        for turn in decode_turns(sources.backend, rows, condition, options, keys):
            yield None if turn.images is None else SwitchCells(chunk, turn.images)


def matrix_turns(
    sources: Sources,
    photos: Mapping[str, Images] | None = None,
    cells: Sequence[Cell] | None = None,
    round_trip: bool = True,
) -> Generator[Progress, None, SwitchMatrix]:
    """Decode the cells of a matrix; see ``switch_matrix_job``."""
    switch = sources.switch
    wanted = all_cells(len(switch.sources)) if cells is None else tuple(cells)
    check_cells(switch, wanted)
    diagonal = {i for i, j in wanted if i == j} if round_trip else set()
    total = len(wanted) + len(diagonal)
    images: dict[Cell, Images] = {}
    yield 0, total, "Switching"
    for turn in decoded_cells(sources, wanted):
        if turn is None:
            yield len(images), total, "Switching"
            continue
        images |= dict(zip(turn.cells, turn.images))
        yield len(images), total, "Switching", turn
    trips: dict[str, RoundTrip] = {}
    if diagonal:
        from latentlab.services.switch_check import round_trips

        shown = {switch.sources[i].id: images[i, i] for i in sorted(diagonal)}
        for trips in round_trips(sources, shown, photos or {}):
            yield len(images) + len(trips), total, "Checking the round trip"
    channels, height, width = sources.backend.spec.image_shape
    empty = np.zeros((0, height, width, channels), np.uint8)
    stacked = np.stack([images[cell] for cell in wanted]) if wanted else empty
    return SwitchMatrix(sources.latents, wanted, stacked, trips)


def switch_matrix_job(
    context: Context,
    *,
    switch: Switch,
    stored: Mapping[str, Latents],
    photos: Mapping[str, Images] | None = None,
    directions: Directions | None = None,
    cells: Sequence[Cell] | None = None,
    round_trip: bool = True,
) -> Generator[Progress, None, SwitchMatrix]:
    """Decode the cells of a matrix; a turn that made some carries them as ``SwitchCells``.

    Args:
        context: of the job.
        switch: the matrix.
        stored: latents of those sources that come from no seed, by id.
        photos: the photograph of a source, uint8 ``(H, W, C)`` of the model's size, by id.
        directions: the person's own that edits name.
        cells: those to make, in this order; all, row by row, when not given.
        round_trip: also measure how well the sources come back whose cell of the diagonal is made.

    Raises:
        LatentLabError: see ``sources_of``; a cell that is outside; a photograph of another size.
    """
    yield 0, 1, "Reading the model"
    sources = sources_of(context.renderer, switch, stored, directions)
    return (yield from matrix_turns(sources, photos, cells, round_trip))


def switch_check_job(
    context: Context,
    *,
    switch: Switch,
    stored: Mapping[str, Latents],
    directions: Directions | None = None,
    cells: Sequence[Cell],
) -> Generator[Progress, None, tuple[SwitchCheck, ...]]:
    """Encode switched pictures again; returns a ``SwitchCheck`` for each cell, in their order.

    Raises:
        LatentLabError: the model does not encode exactly; else as ``switch_matrix_job``.
    """
    from latentlab.services.switch_check import checks

    yield 0, 1, "Reading the model"
    sources = sources_of(context.renderer, switch, stored, directions)
    check_cells(switch, cells)
    found: tuple[SwitchCheck, ...] = ()
    for found in checks(sources, cells):
        yield len(found), max(len(cells), 1), "Encoding again"
    return found


# Mix.


def mix_turns(
    sources: Sources, pair: Sequence[str] = (), amounts: Sequence[float] = MIX_AMOUNTS
) -> Generator[Progress, None, SwitchMix]:
    """Decode the mix grid of a pair; see ``switch_mix_job``."""
    steps = tuple(float(amount) for amount in amounts)
    if not 1 <= len(steps) <= MAX_MIX or not all(abs(step) <= 10 for step in steps):
        raise LatentLabError(f"A mix has 1 to {MAX_MIX} amounts, each from -10 to 10.")
    first, second = pair_of(sources.switch, pair)
    ends = sources.latents[first.id], sources.latents[second.id]
    latents = mix_latents(sources.switch, *ends, steps, sources.space)
    cells, side = all_cells(len(steps)), len(steps)

    def rows(chunk: Sequence[Cell]) -> Latents:
        begin = chunk[0][0] * side + chunk[0][1]
        return latents.rows(begin, begin + len(chunk))

    place = [source.id for source in sources.switch.sources].index(first.id)
    done: list[Images] = []
    yield 0, len(cells), "Blending"
    for turn in _decoded(sources, cells, rows, place, diagonal=False):
        if turn is None:
            yield len(done), len(cells), "Blending"
            continue
        done += [*turn.images]
        yield len(done), len(cells), "Blending", turn
    images = np.stack(done).reshape(side, side, *done[0].shape)
    return SwitchMix((first.id, second.id), steps, images, latents)


def switch_mix_job(
    context: Context,
    *,
    switch: Switch,
    stored: Mapping[str, Latents],
    directions: Directions | None = None,
    pair: Sequence[str] = (),
    amounts: Sequence[float] = MIX_AMOUNTS,
) -> Generator[Progress, None, SwitchMix]:
    """Decode the mix grid of a pair; a turn that made cells of it carries them as ``SwitchCells``.

    Condition and options are those of the first of the pair.

    Args:
        context: of the job.
        switch: the matrix; what it takes by row is blended from row to row.
        stored: latents of those sources that come from no seed, by id.
        directions: the person's own that edits name.
        pair: ids of two sources; those of ``switch.pair`` when not given.
        amounts: of rows and of columns.

    Raises:
        LatentLabError: no such pair, or amounts out of range; else as ``switch_matrix_job``.
    """
    yield 0, 1, "Reading the model"
    sources = sources_of(context.renderer, switch, stored, directions)
    return (yield from mix_turns(sources, pair, amounts))
