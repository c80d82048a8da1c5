"""Curves of runs as a picture, drawn by Pillow: for machines without a screen. No torch here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from latentlab.core.errors import LatentLabError

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a6f00", "#000000")
"""Okabe and Ito's, their yellow darkened for a white ground."""
DASHES = ((), (6, 3), (2, 2), (8, 3, 2, 3))
"""Lines differ in these too, once the colours are used up."""
_OVER = 2
"""Drawn so many times as large, then made smaller: smooth lines."""
_MARGINS = (72, 20, 20, 48)
"""Left, top, right, bottom, in pixels."""
_INK, _GRID, _GROUND = "#222222", "#dddddd", "#ffffff"
Array = NDArray[np.float64]


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers that lie in a range: steps of 1, 2 or 5 times a power of ten."""
    raw = (high - low) / max(most, 1)
    if raw <= 0 or not math.isfinite(raw):
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return [round((first + i) * step, 12) for i in range(count)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten in a range of positive numbers; fewer in a wide one."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    each = (1,) if last - first > 3 else (1, 2, 5)
    found = [m * 10.0**p for p in range(first, last + 1) for m in each]
    inside = [value for value in found if low <= value <= high]
    return inside if len(inside) > 1 else [low, high]


def short(value: float) -> str:
    """Return a number for an axis: ``2k``, ``1.5M``, ``0.02``."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


@dataclass(frozen=True)
class _Frame:
    """Where numbers stand on the picture."""

    box: tuple[float, float, float, float]
    low: tuple[float, float]
    high: tuple[float, float]
    log: bool

    def x(self, steps: Array) -> Array:
        left, _, right, _ = self.box
        return left + (steps - self.low[0]) / (self.high[0] - self.low[0]) * (right - left)

    def y(self, values: Array) -> Array:
        _, top, _, bottom = self.box
        low, high = self.low[1], self.high[1]
        if self.log:
            values, low, high = np.log10(values), math.log10(low), math.log10(high)
        return bottom - (values - low) / (high - low) * (bottom - top)


def draw_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    y_label: str = "loss",
    log: bool = False,
    size: tuple[int, int] = (960, 600),
) -> Image.Image:
    """Return curves over the same axes, with a legend.

    Long curves are averaged over about three pixels; a band shows their extremes there.

    Args:
        curves: (steps, values) by name.
        y_label: what the values are.
        log: a logarithmic axis for the values; those that are not positive are left out.
        size: width and height in pixels.

    Raises:
        LatentLabError: no curve has a point to draw.
    """
    points = {name: _points(*curve, log=log) for name, curve in curves.items()}
    drawn = {name: curve for name, curve in points.items() if len(curve[0])}
    if not drawn:
        reason = " above zero" if log else ""
        raise LatentLabError(
            f"There is no {y_label}{reason} to draw yet: wait for the first steps."
        )
    width, height = (side * _OVER for side in size)
    left, top, right, bottom = (margin * _OVER for margin in _MARGINS)
    top += 20 * _OVER * math.ceil(len(drawn) / 3)
    frame = _frame(drawn, (left, top, width - right, height - bottom), log)
    image = Image.new("RGB", (width, height), _GROUND)
    canvas = ImageDraw.Draw(image, "RGBA")
    font = ImageFont.load_default(12 * _OVER)
    _axes(canvas, frame, font, y_label)
    for index, (name, (xs, ys)) in enumerate(drawn.items()):
        colour, dash = COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]
        _line(canvas, frame, xs, ys, colour, dash)
        place = (
            left + index % 3 * (width - left - right) // 3,
            12 * _OVER + index // 3 * 20 * _OVER,
        )
        _stroke(canvas, [place, (place[0] + 24 * _OVER, place[1])], colour, dash)
        canvas.text((place[0] + 30 * _OVER, place[1]), name[:40], _INK, font, anchor="lm")
    return image.resize(size, Image.Resampling.LANCZOS)


def _points(steps: Sequence[float], values: Sequence[float], *, log: bool) -> tuple[Array, Array]:
    xs, ys = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    good = np.isfinite(xs) & np.isfinite(ys)
    if log:
        good &= ys > 0
    xs, ys = xs[good], ys[good]
    order = np.argsort(xs, kind="stable")
    return xs[order], ys[order]


def _frame(
    curves: Mapping[str, tuple[Array, Array]], box: tuple[float, float, float, float], log: bool
) -> _Frame:
    xs = np.concatenate([curve[0] for curve in curves.values()])
    ys = np.concatenate([curve[1] for curve in curves.values()])
    low, high = float(ys.min()), float(ys.max())
    # The first steps of a training are often far above all others, and would flatten these.
    if len(ys) > 50:
        usual = float(np.quantile(ys, 0.99))
        high = min(high, usual + 0.1 * (usual - low))
    if log:
        low, high = low / 1.1, high * 1.1
    else:
        margin = 0.05 * (high - low) or 0.5 * abs(high) or 0.5
        low, high = low - margin, high + margin
    left, right = float(xs.min()), float(xs.max())
    return _Frame(box, (left, low), (right if right > left else left + 1, high), log)


def _axes(canvas: ImageDraw.ImageDraw, frame: _Frame, font: Any, label: str) -> None:
    left, top, right, bottom = frame.box
    gap = 6 * _OVER
    chosen = log_ticks if frame.log else ticks
    for value in chosen(frame.low[1], frame.high[1]):
        y = float(frame.y(np.array([value]))[0])
        canvas.line((left, y, right, y), _GRID, _OVER)
        canvas.text((left - gap, y), short(value), _INK, font, anchor="rm")
    for value in ticks(frame.low[0], frame.high[0], 8):
        x = float(frame.x(np.array([value]))[0])
        canvas.line((x, bottom, x, bottom + gap // 2), _INK, _OVER)
        canvas.text((x, bottom + gap), short(value), _INK, font, anchor="mt")
    canvas.line([(left, top), (left, bottom), (right, bottom)], _INK, _OVER)
    canvas.text(((left + right) / 2, bottom + 26 * _OVER), "step", _INK, font, anchor="mt")
    canvas.text((4 * _OVER, top - 6 * _OVER), label, _INK, font, anchor="lb")


def _buckets(xs: Array, ys: Array, count: int) -> tuple[Array, Array, Array, Array]:
    """Return x, mean, lowest and highest of so many stretches of a curve."""
    if len(xs) <= 2 * count:
        return xs, ys, ys, ys
    edges = np.linspace(0, len(xs), count + 1).astype(int)[:-1]
    sizes = np.diff([*edges, len(xs)])
    return (
        np.add.reduceat(xs, edges) / sizes,
        np.add.reduceat(ys, edges) / sizes,
        np.minimum.reduceat(ys, edges),
        np.maximum.reduceat(ys, edges),
    )


def _line(
    canvas: ImageDraw.ImageDraw,
    frame: _Frame,
    xs: Array,
    ys: Array,
    colour: str,
    dash: Sequence[int],
) -> None:
    left, top, right, bottom = frame.box
    steps, mean, low, high = _buckets(xs, ys, max(int((right - left) / (3 * _OVER)), 2))
    across = frame.x(steps)
    heights = [np.clip(frame.y(values), top, bottom) for values in (mean, low, high)]
    if len(steps) < len(xs):
        outline = [*zip(across, heights[1]), *zip(across[::-1], heights[2][::-1])]
        canvas.polygon([(float(x), float(y)) for x, y in outline], f"{colour}38")
    line = [(float(x), float(y)) for x, y in zip(across, heights[0])]
    if len(line) == 1:
        ((x, y),) = line
        size = 3 * _OVER
        canvas.ellipse((x - size, y - size, x + size, y + size), colour)
    _stroke(canvas, line, colour, dash)


def _stroke(
    canvas: ImageDraw.ImageDraw,
    line: Sequence[tuple[float, float]],
    colour: str,
    dash: Sequence[int],
) -> None:
    if not dash:
        canvas.line(list(line), colour, 2 * _OVER, joint="curve")
        return
    lengths = [length * _OVER for length in dash]
    drawing, index, left = True, 0, float(lengths[0])
    for (x0, y0), (x1, y1) in itertools.pairwise(line):
        length, done = math.hypot(x1 - x0, y1 - y0), 0.0
        while done < length:
            part = min(left, length - done)
            a, b = done / length, (done + part) / length
            if drawing:
                ends = [x0 + a * (x1 - x0), y0 + a * (y1 - y0), x0 + b * (x1 - x0)]
                canvas.line([*ends, y0 + b * (y1 - y0)], colour, 2 * _OVER)
            done, left = done + part, left - part
            if left <= 1e-9:
                index = (index + 1) % len(lengths)
                drawing, left = index % 2 == 0, float(lengths[index])
