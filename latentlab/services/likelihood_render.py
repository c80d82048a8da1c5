"""Histograms of likelihoods and strips of extreme images as files have them, on white. No torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from latentlab.core.errors import LatentLabError
from latentlab.core.likelihood import Quantity, Scores, quantity_title, ranked
from latentlab.services.likelihood_draw import (
    ALPHA,
    Box,
    HistogramData,
    HistogramDrawing,
    Ink,
    Shape,
    Stroke,
    Text,
    layout_histogram,
)

INKS: dict[Ink, tuple[int, int, int]] = {
    "ink": (27, 29, 33),
    "faint": (96, 102, 112),
    "grid": (226, 228, 232),
    "first": (0, 114, 178),
    "second": (213, 94, 0),
    "paper": (255, 255, 255),
}
SIZE = (960, 560)
FONT = 14.0
_FINE = 2
_PAD = 8.0


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _for_file(data: HistogramData, size: tuple[int, int]) -> HistogramDrawing:
    font = _font(FONT)
    room = Box(_PAD, _PAD, size[0] - _PAD, size[1] - _PAD)
    return layout_histogram(data, room, round(FONT * 1.3), lambda text: float(font.getlength(text)))


def histogram_picture(data: HistogramData, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Return a histogram as uint8 ``(H, W, 3)``, on white.

    Raises:
        LatentLabError: there is nothing to draw.
    """
    drawing = _checked(data, size)
    image = Image.new("RGB", (size[0] * _FINE, size[1] * _FINE), INKS["paper"])
    pen = ImageDraw.Draw(image, "RGBA")
    for shape in drawing.shapes:
        if isinstance(shape, Text):
            _paint_text(image, pen, shape)
        else:
            _paint_path(pen, shape)
    return np.asarray(image.resize(size, Image.Resampling.BOX))


def _checked(data: HistogramData, size: tuple[int, int]) -> HistogramDrawing:
    drawing = _for_file(data, size)
    if drawing.counted is None:
        raise LatentLabError("There is nothing to draw yet: score a data set first.")
    return drawing


def _paint_text(image: Image.Image, pen: ImageDraw.ImageDraw, shape: Text) -> None:
    font, place = _font(FONT * _FINE), (shape.x * _FINE, shape.y * _FINE)
    if not shape.upright:
        pen.text(place, shape.text, fill=INKS[shape.ink], font=font, anchor=f"{shape.anchor}m")
        return
    width, height = math.ceil(font.getlength(shape.text)) + 4, math.ceil(FONT * 1.4 * _FINE)
    strip = Image.new("L", (width, height))
    ImageDraw.Draw(strip).text((width / 2, height / 2), shape.text, 255, font, anchor="mm")
    turned = strip.transpose(Image.Transpose.ROTATE_90)
    left, top = round(place[0] - turned.width / 2), round(place[1] - turned.height / 2)
    box = (left, top, left + turned.width, top + turned.height)
    image.paste(INKS[shape.ink], box, turned)


def _paint_path(pen: ImageDraw.ImageDraw, shape: Stroke) -> None:
    points = [(x * _FINE, y * _FINE) for x, y in shape.points]
    colour = INKS[shape.ink]
    if shape.filled:
        pen.polygon(points, fill=(*colour, round(255 * ALPHA)))
    width = max(1, round(shape.width * _FINE))
    for start, end in _dashed(points, [length * _FINE for length in shape.dash]):
        pen.line([start, end], fill=colour, width=width)


def _dashed(
    points: Sequence[tuple[float, float]], dash: Sequence[float]
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return the pieces of a line that are drawn."""
    pieces, at, left = [], 0, float(dash[0]) if dash else math.inf
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        length, done = math.hypot(x1 - x0, y1 - y0), 0.0
        while done < length - 1e-9:
            part = min(left, length - done)
            a, b = done / length, (done + part) / length
            if at % 2 == 0:
                start = (x0 + a * (x1 - x0), y0 + a * (y1 - y0))
                pieces.append((start, (x0 + b * (x1 - x0), y0 + b * (y1 - y0))))
            done, left = done + part, left - part
            if left <= 1e-9:
                at += 1
                left = float(dash[at % len(dash)])
    return pieces


def histogram_svg(data: HistogramData, size: tuple[int, int] = SIZE) -> str:
    """Return a histogram as an SVG document, on white.

    Raises:
        LatentLabError: there is nothing to draw.
    """
    drawing = _checked(data, size)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" '
        f'viewBox="0 0 {size[0]} {size[1]}" font-family="sans-serif" font-size="{FONT:g}">',
        f"<title>{escape(' and '.join(data.titles))}: {quantity_title(data.quantity)}</title>",
        f'<rect width="100%" height="100%" fill="{_hex("paper")}"/>',
        *(_svg(shape) for shape in drawing.shapes),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _hex(ink: Ink) -> str:
    return "#{:02x}{:02x}{:02x}".format(*INKS[ink])


def _svg(shape: Shape) -> str:
    if isinstance(shape, Stroke):
        places = " ".join(f"{x:.2f},{y:.2f}" for x, y in shape.points)
        fill = f'{_hex(shape.ink)}" fill-opacity="{ALPHA}' if shape.filled else "none"
        dash = f' stroke-dasharray="{" ".join(f"{n:g}" for n in shape.dash)}"' if shape.dash else ""
        return (
            f'<polyline points="{places}" fill="{fill}" stroke="{_hex(shape.ink)}" '
            f'stroke-width="{shape.width:g}"{dash}/>'
        )
    anchor = {"l": "start", "m": "middle", "r": "end"}[shape.anchor]
    turn = f' transform="rotate(-90 {shape.x:.2f} {shape.y:.2f})"' if shape.upright else ""
    return (
        f'<text x="{shape.x:.2f}" y="{shape.y:.2f}" text-anchor="{anchor}" '
        f'dominant-baseline="central" fill="{_hex(shape.ink)}"{turn}>{escape(shape.text)}</text>'
    )


# Strips of extreme images.


def strip_picture(
    scores: Scores, quantity: Quantity, count: int, least: bool = True
) -> NDArray[np.uint8]:
    """Return the extreme images of a data set with their values, uint8 ``(H, W, 3)``, on white.

    Args:
        scores: of the data set.
        quantity: what they are ordered by.
        count: images, at most those that ``scores`` holds; eight stand in a row.
        least: the least likely, the least likely first; otherwise the most likely.
    """
    values = scores.values(quantity)
    order = ranked(values) if least else ranked(values)[::-1]
    chosen = [int(index) for index in order[:count] if scores.image(int(index)) is not None]
    if not chosen:
        raise LatentLabError("There are no images to draw: score a data set first.")
    height, width = scores.images.shape[1:3]
    scale = max(1, -(-64 // width))
    cell, line, gap = max(width * scale, 60), round(FONT * 1.4), 8
    across = min(8, len(chosen))
    down = -(-len(chosen) // across)
    row = height * scale + line + gap
    sheet = Image.new("RGB", (across * (cell + gap) + gap, down * row + gap), INKS["paper"])
    pen = ImageDraw.Draw(sheet)
    for place, index in enumerate(chosen):
        x, y = gap + place % across * (cell + gap), gap + place // across * row
        image = scores.image(index)
        assert image is not None
        large = np.repeat(np.repeat(image, scale, axis=0), scale, axis=1)
        large = np.repeat(large, 3, axis=-1) if large.shape[-1] == 1 else large
        sheet.paste(Image.fromarray(large), (x + (cell - width * scale) // 2, y))
        middle = (x + cell / 2, y + height * scale + line / 2)
        pen.text(middle, f"{values[index]:.3f}", INKS["ink"], _font(FONT), anchor="mm")
    return np.asarray(sheet)
