"""A person's own directions inside documents, as pure functions. No Qt here.

Edits name a direction. A kept picture must go on looking as it does, so that a direction that the
tray still uses is never lost: it is put out of sight, or kept under another name.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from latentlab.core.directionfile import MAX_NAME
from latentlab.core.document import Arrangement, DirectionRecord, Document, Picture

_Value = TypeVar("_Value")


def own_records(document: Document, model: str) -> dict[str, DirectionRecord]:
    """Return the person's own directions for a model, by name, hidden ones too."""
    return {record.name: record for record in document.directions if record.model == model}


def used_records(document: Document, *pictures: Picture) -> dict[str, DirectionRecord]:
    """Return the person's own directions that edits of pictures name."""
    found: dict[str, DirectionRecord] = {}
    for picture in pictures:
        own = own_records(document, picture.model) if picture.edits and document.directions else {}
        found |= {name: own[name] for name in picture.edits if name in own}
    return found


def content_key(record: DirectionRecord) -> tuple[object, ...]:
    """Return what decides how a direction moves images."""
    return record.space, record.scale, tuple(sorted(record.vector.items()))


def digest(records: Mapping[str, DirectionRecord]) -> str:
    """Return a short text that changes when what these directions do changes; empty for none."""
    if not records:
        return ""
    text = repr([(name, content_key(records[name])) for name in sorted(records)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def moves(document: Document, picture: Picture) -> str:
    """Return what tells whether the picture's edits do the same in two documents."""
    return digest(used_records(document, picture))


def arrangement(document: Document, model: str) -> Arrangement:
    """Return how the sliders of a model stand."""
    return document.sliders.get(model, Arrangement())


def rearranged(document: Document, model: str, **update: object) -> Document:
    """Return the document with some fields of a model's arrangement changed."""
    new = arrangement(document, model).model_copy(update=update)
    sliders = {name: value for name, value in document.sliders.items() if name != model}
    if new != Arrangement():
        sliders[model] = new
    return document.model_copy(update={"sliders": sliders})


def arranged(known: Mapping[str, _Value], order: Iterable[str]) -> dict[str, _Value]:
    """Return ``known`` with the names of ``order`` first."""
    first = {name: known[name] for name in order if name in known}
    return {**first, **known}


def unique_name(name: str, taken: Collection[str]) -> str:
    """Return a name that nothing has yet: ``smiling``, then ``smiling 2``.

    A command line writes ``NAME=VALUE``: the sign between them is not part of a name.
    """
    plain = " ".join(name.replace("=", "-").split())[: MAX_NAME - 10] or "direction"
    numbered = (f"{plain} {number}" for number in itertools.count(2))
    return next(text for text in itertools.chain([plain], numbered) if text not in taken)


def with_records(document: Document, records: Iterable[DirectionRecord]) -> Document:
    """Return the document with directions added, or put in place of those of the same name."""
    own = {(record.model, record.name): record for record in document.directions}
    own |= {(record.model, record.name): record for record in records}
    return document.model_copy(update={"directions": tuple(own.values())})


def renamed_edits(picture: Picture, names: Mapping[str, str]) -> Picture:
    """Return the picture with edits under other names."""
    edits = {names.get(name, name): amount for name, amount in picture.edits.items()}
    return picture.model_copy(update={"edits": edits})


def in_tray(document: Document, model: str, name: str) -> bool:
    """Whether a kept picture, the run that is watched, or a switched picture uses a direction."""
    pictures = [item.picture for item in document.tray]
    if document.denoising is not None:
        pictures.append(document.denoising.base)
    if model in document.switches:
        pictures += [source.picture for source in document.switches[model].sources]
    return any(one.model == model and name in one.edits for one in pictures)


def kept_for_tray(
    document: Document, model: str, old: DirectionRecord, taken: Collection[str]
) -> Document:
    """Return the document with kept pictures on a hidden copy of a direction that is to change.

    Args:
        document: in which ``old`` still is what its name means.
        model: whose direction it is.
        old: as it was.
        taken: names that the copy cannot have.
    """
    if not in_tray(document, model, old.name):
        return document
    own = own_records(document, model)
    hidden = arrangement(document, model).removed
    # A copy that an earlier change left behind serves again.
    same = [n for n in own if n in hidden and content_key(own[n]) == content_key(old)]
    name = same[0] if same else unique_name(f"{old.name} before", {*taken, *own})
    tray = tuple(
        item.model_copy(update={"picture": renamed_edits(item.picture, {old.name: name})})
        if item.picture.model == model and old.name in item.picture.edits
        else item
        for item in document.tray
    )
    document = document.model_copy(update={"tray": tray})
    run = document.denoising
    if run is not None and run.base.model == model:
        base = renamed_edits(run.base, {old.name: name})
        run = run.model_copy(update={"base": base})
        document = document.model_copy(update={"denoising": run})
    document = _switched_with(document, model, {old.name: name})
    if same:
        return document
    document = with_records(document, [old.model_copy(update={"name": name})])
    return rearranged(document, model, removed=(*hidden, name))


def _switched_with(document: Document, model: str, names: Mapping[str, str]) -> Document:
    """Return the document whose switch matrix of a model has edits under other names."""
    switch = document.switches.get(model)
    if switch is None:
        return document
    sources = tuple(
        source.model_copy(update={"picture": renamed_edits(source.picture, names)})
        for source in switch.sources
    )
    switches = {**document.switches, model: switch.model_copy(update={"sources": sources})}
    return document.model_copy(update={"switches": switches})


def without_record(document: Document, model: str, name: str) -> Document:
    """Return the document without one of the person's directions and all that it says of it."""
    directions = tuple(
        record for record in document.directions if (record.model, record.name) != (model, name)
    )
    document = document.model_copy(update={"directions": directions})
    known = arrangement(document, model)
    return rearranged(
        document,
        model,
        order=_without(known.order, name),
        locked=_without(known.locked, name),
        removed=_without(known.removed, name),
        titles={key: title for key, title in known.titles.items() if key != name},
    )


def hidden(document: Document, model: str, name: str) -> Document:
    """Return the document with a direction out of sight."""
    known = arrangement(document, model)
    removed = (*_without(known.removed, name), name)
    return rearranged(document, model, removed=removed, locked=_without(known.locked, name))


def shown(document: Document, model: str, names: Collection[str] | None = None) -> Document:
    """Return the document with some hidden directions, or all, in sight again."""
    removed = arrangement(document, model).removed
    left = tuple(n for n in removed if names is not None and n not in names)
    return rearranged(document, model, removed=left)


def without_edit(document: Document, model: str, name: str) -> Document:
    """Return the document with an edit taken off the canvas."""
    canvas = document.canvas
    if canvas is None or canvas.model != model or name not in canvas.edits:
        return document
    return document.model_copy(update={"canvas": canvas.with_edit(name, 0)})


def settled(document: Document) -> Document:
    """Return the document as it should stand after a change.

    What the canvas is edited with has a slider; a hidden direction of the person's own that no
    kept picture uses any more is gone.
    """
    canvas = document.canvas
    if canvas is not None and set(canvas.edits) & set(arrangement(document, canvas.model).removed):
        document = shown(document, canvas.model, canvas.edits)
    for record in document.directions:
        out_of_sight = record.name in arrangement(document, record.model).removed
        if out_of_sight and not in_tray(document, record.model, record.name):
            document = without_record(document, record.model, record.name)
    return document


def adopted(
    document: Document,
    picture: Picture,
    records: Iterable[DirectionRecord],
    taken: Collection[str],
    known: Callable[[str], tuple[object, ...] | None] = lambda _name: None,
) -> tuple[Document, Picture]:
    """Return the document with directions that a picture brought, and the picture as it is there.

    A direction that is here already under its name is used; one whose name means something else
    here gets another name, and the picture's edits follow it.

    Args:
        document: where they go.
        picture: whose edits name them.
        records: for the picture's model.
        taken: names of the model's own directions.
        known: ``content_key`` of the model's own direction of a name.
    """
    own = own_records(document, picture.model)
    names: dict[str, str] = {}
    new: list[DirectionRecord] = []
    for record in records:
        key = content_key(record)
        here = content_key(own[record.name]) if record.name in own else known(record.name)
        if here == key:
            continue
        same = [name for name, other in own.items() if content_key(other) == key]
        name = same[0] if same else record.name
        if not same and (record.name in own or record.name in taken):
            name = unique_name(record.name, {*taken, *own, *(r.name for r in new)})
        names[record.name] = name
        if not same:
            new.append(record.model_copy(update={"name": name}))
    return with_records(document, new), renamed_edits(picture, names)


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(other for other in names if other != name)
