"""A switch matrix as one picture, on white. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from latentlab.services.png import BACKGROUND, compose_grid, grid_shape

Pixels = NDArray[np.uint8]
_INK = (27, 29, 33)
_SIZE, _LINE, _GAP = 12, 16, 8


def check_room(count: int, shape: tuple[int, int, int], padding: int, scale: int) -> None:
    """Raise ``LatentLabError`` for a grid of ``count`` squared images that is none, or gigantic.

    Args:
        count: rows, and columns.
        shape: ``(channels, height, width)`` of an image.
        padding: pixels between images, before the enlargement.
        scale: whole-number enlargement.
    """
    # With the heads, one row and one column more.
    grid_shape((count + 1) ** 2, shape[1], shape[2], count + 1, padding, scale)


def draw_switch(
    images: Pixels,
    heads: Pixels | None = None,
    lines: Sequence[str] = (),
    padding: int = 2,
    scale: int = 1,
) -> Pixels:
    """Return a matrix as uint8 ``(H', W', C)``; three channels where there is text.

    Args:
        images: uint8 ``(rows, columns, H, W, C)``, C being 1 or 3.
        heads: pictures of the sources, left of the rows and above the columns: ``(N, H, W, C)``.
        lines: text above all.
        padding: pixels between images, before the enlargement.
        scale: whole-number enlargement, without smoothing.

    Raises:
        LatentLabError: numbers that make no grid, or a gigantic one.
    """
    rows, _, height, width, channels = images.shape
    body = compose_grid(images.reshape(-1, height, width, channels), rows, padding, scale)
    if heads is not None:
        left = compose_grid(heads, len(heads), padding, scale)
        top = compose_grid(heads, 1, padding, scale)
        # Farther away than the images are from one another.
        gap = 2 * _GAP + padding * scale
        edge = (left.shape[1] + gap, top.shape[0] + gap)
        sheet = np.full(
            (edge[1] + len(left), edge[0] + top.shape[1], channels), BACKGROUND, np.uint8
        )
        sheet[: len(top), edge[0] :] = top
        sheet[edge[1] :, : left.shape[1]] = left
        sheet[edge[1] :, edge[0] :] = body
        body = sheet
    return _with_lines(body, lines) if lines else body


def _with_lines(image: Pixels, lines: Sequence[str]) -> Pixels:
    """Put text above an image; a narrow one gets the room that the text needs."""
    font = ImageFont.load_default(_SIZE)
    widest = max(int(np.ceil(font.getlength(line))) for line in lines)
    top = _LINE * len(lines) + _GAP // 2
    height, width, channels = image.shape
    sheet = Image.new("RGB", (max(width, widest), top + height), (BACKGROUND,) * 3)
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        pen.text((0, number * _LINE), line, fill=_INK, font=font)
    colour = np.repeat(image, 3, axis=-1) if channels == 1 else image
    sheet.paste(Image.fromarray(np.ascontiguousarray(colour)), (0, top))
    return np.asarray(sheet)
