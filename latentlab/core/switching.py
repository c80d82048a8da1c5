"""What the cells of a switch matrix are: latents and pictures, without the models.

Ma et al. 2021 (arXiv 2004.11820), section 4.4: the global part of one image with the local part of
another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from latentlab.core.document import Picture, Switch, SwitchSource
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents, stack
from latentlab.core.pictures import stored_hashes
from latentlab.core.recombine import (
    PartRange,
    default_rows,
    layer_count,
    mix,
    parse_range,
    parse_ranges,
    recombine,
    units_of,
)
from latentlab.core.spec import LatentSpace

Cell = tuple[int, int]
"""Row and column, each the place of a source in ``Switch.sources``, counted from 0."""


def all_cells(count: int) -> tuple[Cell, ...]:
    """Return the cells of a whole matrix, row by row."""
    return tuple((i, j) for i in range(count) for j in range(count))


def check_cells(switch: Switch, cells: Sequence[Cell]) -> None:
    """Raise ``LatentLabError`` unless all cells are inside the matrix."""
    count = len(switch.sources)
    for i, j in cells:
        if not (0 <= i < count and 0 <= j < count):
            raise LatentLabError(
                f"There is no cell ({i + 1}, {j + 1}): the matrix has {count} sources."
            )


def row_ranges(switch: Switch, space: LatentSpace) -> tuple[PartRange, ...]:
    """Return what comes from the row, in the order of the parts and in the longest ranges.

    Raises:
        LatentLabError: a range that ``space`` lacks.
    """
    return _ranges(_layers_by_row(switch, space), space)


def column_ranges(switch: Switch, space: LatentSpace) -> tuple[PartRange, ...]:
    """Return what comes from the column: all that ``row_ranges`` leaves."""
    taken = _layers_by_row(switch, space)
    all_layers = {part.name: set(range(layer_count(part))) for part in space.parts}
    return _ranges({name: all_layers[name] - taken[name] for name in all_layers}, space)


def _layers_by_row(switch: Switch, space: LatentSpace) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {part.name: set() for part in space.parts}
    for chosen in parse_ranges(switch.by_row, space) or default_rows(space):
        found[chosen.part] |= set(chosen.layers(space.part(chosen.part)))
    return found


def _ranges(layers: Mapping[str, set[int]], space: LatentSpace) -> tuple[PartRange, ...]:
    found: list[PartRange] = []
    for part in space.parts:
        if len(layers[part.name]) == layer_count(part):
            found.append(PartRange(part.name))
            continue
        for layer in sorted(layers[part.name]):
            last = found[-1] if found else None
            if last is not None and last.part == part.name and last.last == layer - 1:
                found[-1] = PartRange(part.name, last.first, layer)
            else:
                found.append(PartRange(part.name, layer, layer))
    return tuple(found)


def cell_latents(
    switch: Switch, latents: Mapping[str, Latents], cells: Sequence[Cell], space: LatentSpace
) -> Latents:
    """Return the latents of cells, one row each; a diagonal cell is its source's, to the bit.

    Args:
        switch: the matrix.
        latents: final latents (edits included) of every source that the cells need, by its id.
        cells: at least one.
        space: of all of them.

    Raises:
        LatentLabError: a cell outside the matrix, a range that the space lacks, or other latents.
    """
    check_cells(switch, cells)
    ids = [source.id for source in switch.sources]
    rows, columns = (stack([latents[ids[cell[side]]] for cell in cells]) for side in (0, 1))
    return recombine(rows, columns, row_ranges(switch, space), space)


def cell_picture(switch: Switch, cell: Cell, latents: Latents) -> Picture:
    """Return the picture of a cell: for canvas, tray and map it is a picture like any other.

    Condition and options are those of the row's source. A cell of the diagonal is its source.

    Args:
        switch: the matrix.
        cell: inside it.
        latents: its one row, as ``cell_latents`` makes it; whoever keeps the picture keeps it too.
    """
    check_cells(switch, (cell,))
    row, column = (switch.sources[place].picture for place in cell)
    if cell[0] == cell[1]:
        return row
    return Picture(
        model=switch.model,
        fingerprint=row.fingerprint,
        space=switch.space,
        stored=stored_hashes(latents),
        condition=row.condition,
        options=row.options,
        name=" / ".join(filter(None, (row.name, column.name))),
    )


# A pair, blended.


def pair_of(switch: Switch, pair: Sequence[str] = ()) -> tuple[SwitchSource, SwitchSource]:
    """Return two sources by their ids, those of ``switch.pair`` when none are given.

    Raises:
        LatentLabError: there are not two, or no such sources.
    """
    known = {source.id: source for source in switch.sources}
    ids = tuple(pair) or switch.pair
    if len(ids) != 2 or not all(name in known for name in ids):
        raise LatentLabError("Choose two of the sources to blend.")
    return known[ids[0]], known[ids[1]]


def blended_latents(switch: Switch, first: Latents, second: Latents, space: LatentSpace) -> Latents:
    """Return the pair's latents blended by ``switch.amounts``; what is not named is the first's.

    Raises:
        LatentLabError: a range that ``space`` lacks, or latents of another one.
    """
    amounts = {parse_range(text, space): amount for text, amount in switch.amounts.items()}
    return mix(first, second, amounts, space)


def mix_latents(
    switch: Switch, first: Latents, second: Latents, amounts: Sequence[float], space: LatentSpace
) -> Latents:
    """Return the latents of a mix grid, ``len(amounts) ** 2`` rows, row by row of the grid.

    In row i and column j, what the matrix takes by row is blended by ``amounts[i]``, and all else
    by ``amounts[j]``: 0 is the first of the pair, 1 the second, to the bit.
    """
    chosen, units = row_ranges(switch, space), units_of(space)
    return stack(
        [
            mix(
                first,
                second,
                {**dict.fromkeys(units, across), **dict.fromkeys(chosen, down)},
                space,
            )
            for down in amounts
            for across in amounts
        ]
    )
