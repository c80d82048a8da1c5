"""Pictures on their way: dragged between canvas, tray and panels, or through the clipboard.

The data are JSON, checked field by field; what another program wrote is never trusted.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from PySide6.QtCore import QMimeData
from PySide6.QtGui import QImage

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.pictures import parse_picture, strict_json
from latentlab.core.spec import Frozen
from latentlab.core.store import ArrayStore
from latentlab.ui.widgets.images import Images, from_qimage, owned_qimage

PICTURE_MIME = "application/x-latentlab-picture"
MAX_BYTES = 4 * 2**20
MAX_PICTURES = 256
_WHAT = "What was dropped"
_PROGRAM = uuid.uuid4().hex
"""Tells this running program from another one."""

Source = Literal["canvas", "tray", "switch", "other"]


class _Parcel(Frozen):
    version: Literal[1] = 1
    program: str = Field(max_length=64)
    source: Source = "other"
    pictures: tuple[dict, ...] = Field(min_length=1, max_length=MAX_PICTURES)
    items: tuple[str, ...] = Field(default=(), max_length=MAX_PICTURES)


@dataclass(frozen=True)
class Dropped:
    """Pictures that arrived.

    Attributes:
        pictures: at least one.
        source: where they were taken.
        items: ids in the tray or among the sources of a switch, in the same order, when they come
            from this program.
    """

    pictures: tuple[Picture, ...]
    source: Source
    items: tuple[str, ...] = ()


def picture_mime(
    pictures: Sequence[Picture],
    image: Images | None = None,
    *,
    source: Source = "other",
    items: Sequence[str] = (),
) -> QMimeData:
    """Return pictures for a drag or the clipboard.

    Args:
        pictures: at least one.
        image: uint8 ``(H, W, C)`` for other programs.
        source: where they are taken.
        items: ids of tray items.
    """
    parcel = {
        "version": 1,
        "program": _PROGRAM,
        "source": source,
        "pictures": [picture.model_dump(mode="json") for picture in pictures],
        "items": list(items),
    }
    data = QMimeData()
    data.setData(PICTURE_MIME, json.dumps(parcel, allow_nan=False).encode())
    if image is not None:
        data.setImageData(owned_qimage(image))
    return data


def has_picture(data: QMimeData) -> bool:
    """Whether the data claim to be pictures of ours; ``read_pictures`` checks them."""
    return data.hasFormat(PICTURE_MIME)


def read_pictures(data: QMimeData, store: ArrayStore) -> Dropped:
    """Return the pictures of a drop, checked.

    Args:
        data: with the format ``PICTURE_MIME``.
        store: must hold the arrays that the pictures name.

    Raises:
        LatentLabError: the data are not sound, or need latents that are not here.
    """
    text = bytes(data.data(PICTURE_MIME).data())
    values = strict_json(text, _WHAT, MAX_BYTES)
    try:
        parcel = _Parcel.model_validate(values)
    except ValidationError as error:
        raise LatentLabError(f"{_WHAT} is damaged: drag it again.", str(error)) from error
    pictures = tuple(parse_picture(value, _WHAT) for value in parcel.pictures)
    for picture in pictures:
        if any(key not in store for key in picture.stored.values()):
            raise LatentLabError(
                "The latents of this picture are in another window: export it there, then open "
                "the file here."
            )
    own = parcel.program == _PROGRAM and len(parcel.items) == len(pictures)
    return Dropped(pictures, parcel.source, parcel.items if own else ())


def dropped_files(data: QMimeData) -> list[Path]:
    """Return the files on this machine that were dropped."""
    return [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]


def dropped_image(data: QMimeData) -> Images | None:
    """Return a dropped or pasted image as uint8 ``(H, W, 3)``, or ``None``."""
    if not data.hasImage():
        return None
    image = data.imageData()
    if not isinstance(image, QImage):
        image = image.toImage() if hasattr(image, "toImage") else QImage()
    return None if image.isNull() else from_qimage(image)
