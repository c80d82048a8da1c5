"""Changes of pictures and documents as pure functions. No Qt here."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from latentlab.core.denoising import GUIDED
from latentlab.core.document import Document, Picture, TrayItem
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.modelfile import ModelHeader
from latentlab.core.noise import MAX_SEED
from latentlab.core.recombine import can_recombine
from latentlab.core.spec import ModelSpec
from latentlab.core.store import ArrayStore

PARTS = "parts"
"""What a panel needs where a latent must have several parts, or layers."""
NOISE = "noise"
"""Latent space of the noise that a diffusion model starts from."""
_STORED_ONLY = ("start_at", "branch", "stop_at", "show", "task", "factor")
FIRST_COUNT = 12
"""Images of the grid that a freshly opened model shows: at twice their size in a small window."""


def readable(name: str) -> str:
    """Return a name as a person writes it: ``hair_color`` becomes ``Hair colour``."""
    words = ["colour" if word == "color" else word for word in name.replace("_", " ").split()]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def readable_under(name: str, heading: str) -> str:
    """Return a name as a person writes it, without the heading that it stands under."""
    full, group = readable(name), readable(heading)
    rest = full[len(group) :].strip() if full.startswith(group + " ") else full
    return rest[:1].upper() + rest[1:]


def picture_key(picture: Picture) -> str:
    """Return a short key that is the same for pictures with the same images."""
    plain = picture.model_copy(update={"name": "", "photo_path": None})
    return hashlib.sha256(plain.model_dump_json().encode()).hexdigest()[:24]


def seed_run(first: int, count: int) -> tuple[int, ...]:
    """Return ``count`` seeds in a row, kept inside the range of seeds."""
    first = min(max(0, first), MAX_SEED - count + 1)
    return tuple(range(first, first + count))


def first_picture(spec: ModelSpec, model: str, count: int = FIRST_COUNT) -> Picture | None:
    """Return the grid that a freshly opened model shows; ``None`` when it cannot sample."""
    if "sample" not in spec.capabilities:
        return None
    return Picture(
        model=model,
        fingerprint=spec.fingerprint,
        space=spec.spaces[0].name,
        seeds=seed_run(0, count),
    )


def batch_of(picture: Picture, store: ArrayStore) -> int:
    """Return the number of images of a picture."""
    if picture.stored:
        return len(store.get(next(iter(picture.stored.values()))))
    return len(picture.seeds)


def rows_key(picture: Picture | None) -> tuple[int, tuple[str, ...]]:
    """Return what tells whether rows of two pictures mean the same images."""
    if picture is None:
        return 0, ()
    return len(picture.seeds), tuple(sorted(picture.stored.values()))


def row_picture(picture: Picture, row: int, store: ArrayStore) -> Picture:
    """Return the picture of one image of a grid; its latents are put into the store.

    Raises:
        LatentLabError: there is no such image.
    """
    count = batch_of(picture, store)
    if not 0 <= row < count:
        raise LatentLabError(f"There is no image {row + 1}: this picture has {count}.")
    if count == 1:
        return picture
    if picture.seeds:
        return picture.model_copy(update={"seeds": (picture.seeds[row],)})
    stored = {
        name: store.put(store.get(key)[row : row + 1]) for name, key in picture.stored.items()
    }
    return picture.model_copy(update={"stored": stored, "photo": None, "photo_path": None})


def sampled(
    picture: Picture,
    count: int,
    *,
    seed: int | None = None,
    new_count: int | None = None,
    temperature: float | None = None,
) -> Picture:
    """Return prior samples in place of what the picture shows, its edits kept.

    Args:
        picture: what is changed.
        count: its number of images.
        seed: of the first image.
        new_count: number of images.
        temperature: factor on the prior's standard deviation.
    """
    amount = min(max(1, count if new_count is None else new_count), 1024)
    first = seed if seed is not None else (picture.seeds[0] if picture.seeds else 0)
    return picture.model_copy(
        update={
            "seeds": seed_run(first, amount),
            "stored": {},
            "photo": None,
            "photo_path": None,
            "name": "",
            "temperature": picture.temperature if temperature is None else temperature,
            **_of_the_prior(picture),
        }
    )


def _of_the_prior(picture: Picture) -> dict[str, Any]:
    """Return space and options without what belongs to stored latents alone.

    Those of a corrupted or half-known photograph begin at a time of their own, or in a space
    beside the noise.
    """
    if not picture.stored:
        return {}
    options = {k: v for k, v in picture.options.items() if k not in _STORED_ONLY}
    return {"options": options, "space": NOISE if picture.space == GUIDED else picture.space}


def without_edits(picture: Picture, names: list[str] | None) -> Picture:
    """Return the picture with some sliders, or all, at 0."""
    left = {} if names is None else {k: v for k, v in picture.edits.items() if k not in names}
    return picture.model_copy(update={"edits": left})


def several_rows(picture: Picture, rows: Sequence[int], store: ArrayStore) -> Picture:
    """Return the picture of some images of a grid; ``LatentLabError`` when one is not there."""
    count = batch_of(picture, store)
    wanted = sorted(set(rows))
    if not wanted or wanted[0] < 0 or wanted[-1] >= count:
        raise LatentLabError(f"There are no such images: this picture has {count}.")
    if len(wanted) == count:
        return picture
    if picture.seeds:
        return picture.model_copy(update={"seeds": tuple(picture.seeds[row] for row in wanted)})
    stored = {name: store.put(store.get(key)[wanted]) for name, key in picture.stored.items()}
    return picture.model_copy(update={"stored": stored, "photo": None, "photo_path": None})


def weighted_sum(
    a: Latents, b: Latents, c: Latents, weight: float, parts: Collection[str] = ()
) -> Latents:
    """Return ``weight * (a - b) + c``, one row each, summed in float64.

    With ``parts``, in these alone; the others are those of ``c``.

    Raises:
        LatentLabError: other spaces or shapes, or parts that are no continuous numbers.
    """
    shapes = [{name: array.shape for name, array in one.items()} for one in (a, b, c)]
    if {one.space for one in (a, b, c)} != {a.space} or shapes.count(shapes[0]) < 3:
        raise LatentLabError("Only pictures of one latent space can be added: choose others.")
    if any(array.dtype.kind != "f" for array in a.values()):
        raise LatentLabError("Tokens cannot be added: choose a model of continuous latents.")
    found = dict(c)
    for name in c.keys() & set(parts or c):
        plus, minus, start = (np.asarray(one[name], np.float64) for one in (a, b, c))
        found[name] = (weight * (plus - minus) + start).astype(np.float32)
    return Latents(c.space, found)


def kept(document: Document, picture: Picture) -> Document:
    """Return the document with one more picture in the tray."""
    item = TrayItem(id=uuid.uuid4().hex, picture=picture)
    return document.model_copy(update={"tray": (*document.tray, item)})


def changed_tray(document: Document, ids: list[str], **update: object) -> Document:
    """Return the document with ``name`` or ``group`` of some tray items changed."""
    tray = []
    for item in document.tray:
        if item.id in ids and "name" in update:
            picture = item.picture.model_copy(update={"name": update["name"]})
            item = item.model_copy(update={"picture": picture})
        if item.id in ids and "group" in update:
            item = item.model_copy(update={"group": update["group"]})
        tray.append(item)
    return document.model_copy(update={"tray": tuple(tray)})


def moved_in_tray(document: Document, item_id: str, index: int) -> Document:
    """Return the document with one tray item at another place."""
    moving = [item for item in document.tray if item.id == item_id]
    rest = [item for item in document.tray if item.id != item_id]
    return document.model_copy(update={"tray": (*rest[:index], *moving, *rest[index:])})


def missing_capabilities(needs: tuple[str, ...], header: ModelHeader | None) -> list[str]:
    """Return what a panel needs and the model cannot do; everything without a model."""
    have: tuple[str, ...] = header.spec.capabilities if header else ()
    if header and can_recombine(header.spec.space()):
        have = (*have, PARTS)
    return [need for need in needs if need not in have]
