"""A map as a picture: points coloured by a label, axes, a legend or colour bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from latentlab.core.labels import LabelColumn
from latentlab.core.palette import OKABE_ITO, RGB, VIRIDIS

Box = tuple[float, float, float, float]

CLASS_COLOURS = OKABE_ITO
_RAMP = np.array(VIRIDIS, np.float64)
PLAIN: RGB = (0, 114, 178)
UNKNOWN: RGB = (176, 178, 182)
_PAPER, _INK, _GREY, _LINE = (255, 255, 255), (27, 29, 33), (96, 102, 112), (214, 217, 222)
_GRID = (240, 241, 244)
_FINE = 2
"""The picture is drawn so many times larger, for smooth edges."""
_MOST_SHAPES = 40_000
"""More points than this are dots without an outline."""
_MOST_ROWS = 28
_PERCENTILES = (1.0, 99.0)


@dataclass(frozen=True, eq=False)
class Drawing:
    """What is drawn.

    Attributes:
        coordinates: float ``(N, 2)``, in data units; x to the right, y upwards.
        title: one line at the top.
        x_label: below the axis.
        y_label: beside it.
        label: colours the points; one colour for all when ``None``.
    """

    coordinates: NDArray[np.floating]
    title: str = ""
    x_label: str = ""
    y_label: str = ""
    label: LabelColumn | None = None


@dataclass(frozen=True)
class _Row:
    """One class of the legend."""

    name: str
    colour: RGB
    shape: int


@dataclass(frozen=True, eq=False)
class _Look:
    """How each point looks, and what the legend says."""

    colours: NDArray[np.uint8]
    shapes: NDArray[np.int64]
    rows: tuple[_Row, ...] = ()
    low: float | None = None
    high: float | None = None


def ramp(parts: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return viridis at ``parts`` ``(N,)`` of its length, 0 to 1: uint8 ``(N, 3)``."""
    at = np.clip(parts, 0, 1) * (len(_RAMP) - 1)
    steps = np.arange(len(_RAMP))
    channels = [np.interp(at, steps, _RAMP[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def label_texts(column: LabelColumn) -> list[str]:
    """Return a label's values for a person: class names, yes or no, numbers; empty if unknown."""
    texts = []
    for value in column.values.tolist():
        if math.isnan(value):
            texts.append("")
        elif column.kind == "continuous":
            texts.append(f"{value:.6g}")
        else:
            texts.append(column.class_name(int(value)))
    return texts


def _look(column: LabelColumn | None, count: int) -> _Look:
    shapes = np.zeros(count, np.int64)
    if column is None:
        return _Look(np.tile(np.array(PLAIN, np.uint8), (count, 1)), shapes)
    values = column.values.astype(np.float64)
    known = np.isfinite(values)
    colours = np.tile(np.array(UNKNOWN, np.uint8), (count, 1))
    unknown = () if known.all() else (_Row("unknown", UNKNOWN, 0),)
    if column.kind == "continuous":
        low, high = 0.0, 1.0
        if known.any():
            low, high = (float(v) for v in np.percentile(values[known], _PERCENTILES))
        if high <= low:
            low, high = low - 0.5, low + 0.5
        colours[known] = ramp((values[known] - low) / (high - low))
        return _Look(colours, shapes, unknown, low, high)
    codes = values[known].astype(np.int64)
    most = len(CLASS_COLOURS)
    colours[known] = np.array(CLASS_COLOURS, np.uint8)[codes % most]
    shapes[known] = codes // most % len(_SHAPES)
    rows = [
        _Row(column.class_name(code), CLASS_COLOURS[code % most], code // most % len(_SHAPES))
        for code in np.unique(codes).tolist()
    ]
    return _Look(colours, shapes, (*rows, *unknown))


_UP = np.array([(0, -1.25), (1.1, 0.75), (-1.1, 0.75)])
_DIAMOND = np.array([(0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)])
_SQUARE = np.array([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)])
_SHAPES: tuple[NDArray[np.float64] | None, ...] = (None, _UP, _SQUARE, _DIAMOND)
"""Corners of a marker of radius 1; ``None`` is a circle."""


class _Sheet:
    """A canvas in pixels of the final picture, drawn finer."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width * _FINE, height * _FINE), _PAPER)
        self.draw = ImageDraw.Draw(self.image)

    def font(self, size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        return ImageFont.load_default(round(size * _FINE))

    def text(
        self, x: float, y: float, text: str, size: float, ink: RGB = _INK, anchor: str = "lm"
    ) -> None:
        at = (x * _FINE, y * _FINE)
        self.draw.text(at, text, fill=ink, font=self.font(size), anchor=anchor)

    def width_of(self, text: str, size: float) -> float:
        return float(self.draw.textlength(text, font=self.font(size))) / _FINE

    def fitted(self, text: str, size: float, room: float) -> str:
        """Return a text cut so that it fits."""
        if self.width_of(text, size) <= room:
            return text
        while text and self.width_of(f"{text}...", size) > room:
            text = text[:-1]
        return f"{text}..."

    def upright(self, x: float, y: float, text: str, size: float, ink: RGB) -> None:
        """Write upwards, the middle at (x, y)."""
        font = self.font(size)
        left, top, right, bottom = (round(v) for v in self.draw.textbbox((0, 0), text, font=font))
        strip = Image.new("L", (right - left + 4, bottom - top + 4))
        ImageDraw.Draw(strip).text((2 - left, 2 - top), text, fill=255, font=font)
        turned = strip.transpose(Image.Transpose.ROTATE_90)
        at = (round(x * _FINE - turned.width / 2), round(y * _FINE - turned.height / 2))
        self.image.paste(ink, (*at, at[0] + turned.width, at[1] + turned.height), turned)

    def line(self, x0: float, y0: float, x1: float, y1: float, ink: RGB) -> None:
        at = [v * _FINE for v in (x0, y0, x1, y1)]
        self.draw.line(at, fill=ink, width=_FINE)

    def marker(
        self, x: float, y: float, radius: float, colour: RGB, shape: int, edge: RGB = _PAPER
    ) -> None:
        x, y, r = x * _FINE, y * _FINE, radius * _FINE
        corners = _SHAPES[shape]
        if corners is None:
            self.draw.ellipse((x - r, y - r, x + r, y + r), fill=colour, outline=edge)
        else:
            places = [(x + dx * r, y + dy * r) for dx, dy in corners.tolist()]
            self.draw.polygon(places, fill=colour, outline=edge)

    def finished(self) -> Image.Image:
        size = (self.image.width // _FINE, self.image.height // _FINE)
        return self.image.resize(size, Image.Resampling.BOX)


def draw_map(drawing: Drawing, width: int = 1200, height: int = 900) -> Image.Image:
    """Draw a map; both axes have the same scale.

    Args:
        drawing: N points and their texts.
        width: of the picture in pixels, its legend included.
        height: likewise.

    Returns:
        An RGB picture of ``(width, height)``.
    """
    sheet = _Sheet(width, height)
    look = _look(drawing.label, len(drawing.coordinates))
    legend = 210 if drawing.label is not None else 24
    plot = (86.0, 58.0, float(width - legend), height - 76.0)
    view = _view(drawing.coordinates, plot)
    _axes(sheet, drawing, plot, view)
    _points(sheet, drawing.coordinates, look, plot, view)
    if drawing.label is not None:
        _legend(sheet, drawing.label, look, plot[2] + 22, plot[1], width - plot[2] - 34)
    return sheet.finished()


def _view(places: NDArray[np.floating], plot: Box) -> Box:
    """Return x0, x1, y0, y1 in data units that show all points, at one scale for both axes."""
    low, high = places.min(axis=0).astype(np.float64), places.max(axis=0).astype(np.float64)
    middle = (low + high) / 2
    room = np.array([plot[2] - plot[0], plot[3] - plot[1]])
    extent = high - low
    scale = float((extent / room).max()) * 1.06 or 1e-3
    half = room * scale / 2
    return (middle[0] - half[0], middle[0] + half[0], middle[1] - half[1], middle[1] + half[1])


def ticks(low: float, high: float, most: int = 8) -> list[float]:
    """Return round numbers between two values, at most ``most`` of them: steps of 1, 2 or 5."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def _spelt(text: str) -> str:
    """Return a label in the letters that Pillow's own font has."""
    return text.replace("σ", "sigma")


def _axes(sheet: _Sheet, drawing: Drawing, plot: Box, view: Box) -> None:
    left, top, right, bottom = plot
    x0, x1, y0, y1 = view
    for value in ticks(x0, x1):
        x = left + (value - x0) / (x1 - x0) * (right - left)
        sheet.line(x, top, x, bottom, _GRID)
        sheet.text(x, bottom + 8, f"{value:.6g}", 14, _GREY, "mt")
    for value in ticks(y0, y1):
        y = bottom - (value - y0) / (y1 - y0) * (bottom - top)
        sheet.line(left, y, right, y, _GRID)
        sheet.text(left - 8, y, f"{value:.6g}", 14, _GREY, "rm")
    for row in (
        (left, top, right, top),
        (left, bottom, right, bottom),
        (left, top, left, bottom),
        (right, top, right, bottom),
    ):
        sheet.line(*row, _LINE)
    title = sheet.fitted(drawing.title, 18, right - left)
    sheet.text(left, top - 26, title, 18)
    sheet.text((left + right) / 2, bottom + 48, _spelt(drawing.x_label), 16, _INK, "mm")
    sheet.upright(22, (top + bottom) / 2, _spelt(drawing.y_label), 16, _INK)


def _points(sheet: _Sheet, places: NDArray[np.floating], look: _Look, plot: Box, view: Box) -> None:
    left, top, right, bottom = plot
    x = left + (places[:, 0] - view[0]) / (view[1] - view[0]) * (right - left)
    y = bottom - (places[:, 1] - view[2]) / (view[3] - view[2]) * (bottom - top)
    # In another order than theirs, so that no class lies on top of all others.
    order = np.random.default_rng(0).permutation(len(places))
    if len(places) > _MOST_SHAPES:
        _dots(sheet, x[order], y[order], look.colours[order])
        return
    radius = float(np.clip(180 / math.sqrt(len(places)), 2.0, 6.5))
    colours, shapes = look.colours.tolist(), look.shapes.tolist()
    for point in order.tolist():
        r, g, b = colours[point]
        sheet.marker(float(x[point]), float(y[point]), radius, (r, g, b), shapes[point])


def _dots(
    sheet: _Sheet,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    colours: NDArray[np.uint8],
) -> None:
    """Paint dots of one pixel of the final picture."""
    pixels = np.array(sheet.image)
    for down in range(_FINE):
        for along in range(_FINE):
            rows = np.clip((y * _FINE).astype(np.int64) + down, 0, pixels.shape[0] - 1)
            columns = np.clip((x * _FINE).astype(np.int64) + along, 0, pixels.shape[1] - 1)
            pixels[rows, columns] = colours
    sheet.image.paste(Image.fromarray(pixels))


def _legend(
    sheet: _Sheet, column: LabelColumn, look: _Look, x: float, y: float, room: float
) -> None:
    sheet.text(x, y + 6, sheet.fitted(column.name.replace("_", " "), 16, room), 16)
    y += 38
    if look.low is not None and look.high is not None:
        y = _colour_bar(sheet, look.low, look.high, x, y)
    rows: Sequence[_Row] = look.rows[:_MOST_ROWS]
    for row in rows:
        sheet.marker(x + 7, y, 6, row.colour, row.shape, row.colour)
        sheet.text(x + 22, y, sheet.fitted(row.name, 14, room - 22), 14)
        y += 25
    if len(look.rows) > len(rows):
        sheet.text(x, y, f"and {len(look.rows) - len(rows)} more", 14, _GREY)


def _colour_bar(sheet: _Sheet, low: float, high: float, x: float, y: float) -> float:
    """Draw the scale of a continuous label; return where there is room below it."""
    length = 260
    for i, colour in enumerate(ramp(np.linspace(1, 0, length * _FINE)).tolist()):
        at = round(y * _FINE) + i
        sheet.draw.line((x * _FINE, at, (x + 18) * _FINE, at), fill=tuple(colour))
    for value in ticks(low, high, 6):
        place = y + length * (1 - (value - low) / (high - low))
        sheet.line(x + 18, place, x + 23, place, _GREY)
        sheet.text(x + 28, place, f"{value:.6g}", 14, _GREY)
    return y + length + 30
