"""Changes of a switch matrix as pure functions, and what is said of it. No Qt here."""

from __future__ import annotations

import string
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from latentlab.core.document import MAX_SOURCES, Document, Picture, Switch, SwitchSource
from latentlab.core.errors import LatentLabError
from latentlab.core.recombine import (
    PartRange,
    can_recombine,
    default_rows,
    layer_count,
    parse_range,
    units_of,
)
from latentlab.core.spec import LatentSpace, ModelSpec, PartSpec
from latentlab.core.switching import column_ranges, row_ranges
from latentlab.ui.edits import readable

LETTERS = string.ascii_uppercase[:MAX_SOURCES]
"""What sources are called in captions, in their order."""
_LOCAL = "local_"

# The document.


def switch_of(document: Document, model: str, space: LatentSpace) -> Switch:
    """Return the matrix of a model; one without sources where there is none yet."""
    known = document.switches.get(model)
    if known is None or known.space != space.name:
        return Switch(model=model, space=space.name)
    return known


def with_switch(document: Document, switch: Switch) -> Document:
    """Return the document with a model's matrix; one that says nothing is left out."""
    switches = {model: one for model, one in document.switches.items() if model != switch.model}
    if switch.sources or switch.by_row:
        switches[switch.model] = switch
    return document.model_copy(update={"switches": switches})


# The sources.


def source_name(picture: Picture) -> str:
    """Return what a source is called: its name, its seed, or what it is."""
    if picture.name:
        return picture.name
    if picture.seeds:
        return f"seed {picture.seeds[0]}"
    return "photograph" if picture.photo else "latents"


def added(switch: Switch, pictures: Sequence[Picture], place: int | None = None) -> Switch:
    """Return the matrix with more sources.

    Args:
        switch: where they go.
        pictures: each of one image.
        place: of the first among the sources; the end when not given.

    Raises:
        LatentLabError: of another model or space, or more than a matrix has room for.
    """
    for picture in pictures:
        if picture.model != switch.model:
            raise LatentLabError(
                f"This picture is of the model '{picture.model}': open that model to switch it."
            )
        if picture.space != switch.space:
            raise LatentLabError(
                f"This picture is of the space '{picture.space}', and the matrix of "
                f"'{switch.space}': choose pictures of one space."
            )
    count = len(switch.sources) + len(pictures)
    if count > MAX_SOURCES:
        raise LatentLabError(
            f"A matrix has room for {MAX_SOURCES} pictures, not {count}: remove some first."
        )
    at = len(switch.sources) if place is None else min(max(0, place), len(switch.sources))
    new = tuple(SwitchSource(id=uuid.uuid4().hex, picture=picture) for picture in pictures)
    sources = (*switch.sources[:at], *new, *switch.sources[at:])
    return switch.model_copy(update={"sources": sources})


def without(switch: Switch, ids: Collection[str]) -> Switch:
    """Return the matrix without some sources; a pair that loses one is a pair no more."""
    left = tuple(source for source in switch.sources if source.id not in ids)
    pair = () if set(switch.pair) & set(ids) else switch.pair
    amounts = switch.amounts if pair else {}
    return switch.model_copy(update={"sources": left, "pair": pair, "amounts": amounts})


def moved(switch: Switch, ids: Collection[str], place: int) -> Switch:
    """Return the matrix with some sources, in their order, in front of ``place``."""
    moving = [source for source in switch.sources if source.id in ids]
    before = [source for source in switch.sources[:place] if source.id not in ids]
    after = [source for source in switch.sources[place:] if source.id not in ids]
    return switch.model_copy(update={"sources": (*before, *moving, *after)})


def put_in_place(switch: Switch, source: str, picture: Picture) -> Switch:
    """Return the matrix with another picture for one source."""
    checked = added(switch.model_copy(update={"sources": (), "pair": ()}), [picture]).sources[0]
    sources = tuple(
        one.model_copy(update={"picture": checked.picture}) if one.id == source else one
        for one in switch.sources
    )
    return switch.model_copy(update={"sources": sources})


# What comes from the row.


def single(ranges: Iterable[PartRange], space: LatentSpace) -> frozenset[PartRange]:
    """Return ranges as parts and single layers, each of which can be switched alone."""
    found: set[PartRange] = set()
    for one in ranges:
        part = space.part(one.part)
        if part.layer_axis is None:
            found.add(PartRange(part.name))
        else:
            found.update(PartRange(part.name, k, k) for k in one.layers(part))
    return frozenset(found)


def joined(units: Collection[PartRange], space: LatentSpace) -> tuple[PartRange, ...]:
    """Return parts and single layers as the fewest ranges, in the order of the space."""
    found: list[PartRange] = []
    for part in space.parts:
        layers = sorted(unit.first or 0 for unit in units if unit.part == part.name)
        if not layers:
            continue
        if part.layer_axis is None or len(layers) == layer_count(part):
            found.append(PartRange(part.name))
            continue
        first = last = layers[0]
        for layer in layers[1:]:
            if layer > last + 1:
                found.append(PartRange(part.name, first, last))
                first = layer
            last = layer
        found.append(PartRange(part.name, first, last))
    return tuple(found)


def switch_space(spec: ModelSpec) -> LatentSpace | None:
    """Return the first space of a model in which there is something to switch."""
    return next((space for space in spec.spaces if can_recombine(space)), None)


def with_rows(switch: Switch, units: Collection[PartRange], space: LatentSpace) -> Switch:
    """Return the matrix with other parts that come from the row."""
    ranges = joined(units, space)
    by_row = () if ranges == default_rows(space) else tuple(str(one) for one in ranges)
    return switch.model_copy(update={"by_row": by_row})


def turned(
    switch: Switch, units: Collection[PartRange], to_row: bool, space: LatentSpace
) -> Switch:
    """Return the matrix with some parts taken from the row, or from the column.

    Something comes from either side always: where nothing would be left on one, everything else
    changes to it, so that two parts change places.
    """
    everything = frozenset(units_of(space))
    here = single(row_ranges(switch, space), space)
    wanted = here | set(units) if to_row else here - set(units)
    if not wanted or wanted == everything:
        wanted = frozenset(units) if to_row else everything - set(units)
    if not wanted or wanted == everything:
        return switch
    return with_rows(switch, wanted, space)


def swapped(switch: Switch, space: LatentSpace) -> Switch:
    """Return the matrix turned about its diagonal: what came from the row comes from the column."""
    everything = frozenset(units_of(space))
    return with_rows(switch, everything - single(row_ranges(switch, space), space), space)


# The pair that is blended.


def with_pair(switch: Switch, first: str, second: str) -> Switch:
    """Return the matrix with two of its sources chosen to be blended; amounts stay."""
    return switch.model_copy(update={"pair": (first, second)})


def amounts_of(switch: Switch, space: LatentSpace) -> dict[PartRange, float]:
    """Return how far every part and single layer is blended: 0 is the first, 1 the second."""
    found = dict.fromkeys(units_of(space), 0.0)
    for text, amount in switch.amounts.items():
        found |= dict.fromkeys(single([parse_range(text, space)], space), amount)
    return found


def with_amounts(switch: Switch, amounts: Mapping[PartRange, float], space: LatentSpace) -> Switch:
    """Return the matrix with some parts or single layers blended otherwise.

    Args:
        switch: it keeps the amounts of all others.
        amounts: 0 is the first of the pair, 1 the second.
        space: of the latents.

    Raises:
        LatentLabError: the matrix names a part or a layer that the model does not have.
    """
    every = amounts_of(switch, space) | dict(amounts)
    new: dict[str, float] = {}
    for amount in sorted({min(max(float(t), -10.0), 10.0) for t in every.values() if t}):
        alike = [unit for unit, t in every.items() if min(max(float(t), -10.0), 10.0) == amount]
        new |= {str(one): amount for one in joined(alike, space)}
    return switch.model_copy(update={"amounts": new})


@dataclass(frozen=True)
class MixPart:
    """What one slider blends.

    Attributes:
        title: for a person.
        units: parts and single layers.
    """

    title: str
    units: frozenset[PartRange]


def mix_parts(space: LatentSpace) -> tuple[MixPart, ...]:
    """Return what has a slider of its own: every part; of layers, their groups."""
    found: list[MixPart] = []
    for part in space.parts:
        if part.layer_axis is None or not part.layer_groups:
            units = single([PartRange(part.name)], space)
            found.append(MixPart(readable(part.name), units))
            continue
        for group in part.layer_groups:
            units = single([PartRange(part.name, group.first, group.last)], space)
            found.append(MixPart(readable(group.name), units))
    return tuple(found)


# Words.


def _numbers(found: Sequence[int]) -> str:
    """Return 0, 1, 2, 5 as ``0–2, 5``."""
    texts, k = [], 0
    while k < len(found):
        end = k
        while end + 1 < len(found) and found[end + 1] == found[end] + 1:
            end += 1
        texts.append(str(found[k]) if end == k else f"{found[k]}–{found[end]}")
        k = end + 1
    return ", ".join(texts)


def _layers_text(part: PartSpec, layers: Sequence[int]) -> str:
    if len(layers) == layer_count(part):
        return readable(part.name)
    left, names = list(layers), []
    for group in part.layer_groups:
        inside = list(range(group.first, group.last + 1))
        if set(inside) <= set(left):
            names.append(group.name)
            left = [k for k in left if k not in inside]
    if left:
        names.append(f"layer{'s' if len(left) > 1 else ''} {_numbers(left)}")
    text = ", ".join(names)
    return text[:1].upper() + text[1:]


def ranges_text(units: Collection[PartRange], space: LatentSpace) -> str:
    """Return parts and layers as a person says them: ``Global``, ``Local 1, 3``, ``Coarse``."""
    every = {part.name for part in space.parts if part.name.startswith(_LOCAL)}
    chosen = [part for part in space.parts if any(unit.part == part.name for unit in units)]
    locals_ = [part for part in chosen if part.name in every]
    texts: list[str] = []
    for part in chosen:
        if part.name in every:
            if part is not locals_[0]:
                continue
            ends = [one.name.removeprefix(_LOCAL) for one in locals_]
            whole = len(locals_) == len(every) and len(every) < len(space.parts)
            if whole:
                texts.append("Local")
            elif all(end.isdecimal() for end in ends):
                texts.append(f"Local {_numbers([int(end) for end in ends])}")
            else:
                texts.append(f"Local {', '.join(ends)}")
        elif part.layer_axis is None:
            texts.append(readable(part.name))
        else:
            layers = sorted(u.first or 0 for u in single(units, space) if u.part == part.name)
            texts.append(_layers_text(part, layers))
    return ", ".join([*texts[:1], *(text[:1].lower() + text[1:] for text in texts[1:])])


def both_texts(switch: Switch, space: LatentSpace) -> tuple[str, str]:
    """Return what comes from the row and what from the column, as a person says it.

    Raises:
        LatentLabError: the matrix names a part or a layer that the model does not have.
    """
    sides = row_ranges(switch, space), column_ranges(switch, space)
    rows, columns = (ranges_text(single(side, space), space) for side in sides)
    return rows, columns


def cell_text(rows: str, columns: str, first: str, second: str) -> str:
    """Return what a cell is: ``Global of A, local of B``; of the diagonal, ``A itself``."""
    if first == second:
        return f"{first[:1].upper()}{first[1:]} itself"
    return f"{rows} of {first}, {columns[:1].lower()}{columns[1:]} of {second}"
