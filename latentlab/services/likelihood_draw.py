"""Where the parts of a histogram of likelihoods stand. No torch here.

It is a list of shapes whose colours are named by what they mean: ``likelihood_render`` draws them
on white, the window in its own colours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from latentlab.core.likelihood import (
    Float,
    Histogram,
    Quantity,
    figure,
    histogram,
    mean_text,
    quantity_title,
)
from latentlab.services.run_chart import short, ticks

Ink = Literal["ink", "faint", "grid", "first", "second", "paper"]
Measure = Callable[[str], float]
"""Width of a text in pixels, at the font size of the drawing."""
SET_INKS: tuple[Ink, Ink] = ("first", "second")
DASHES: tuple[tuple[float, ...], tuple[float, ...]] = ((), (6.0, 3.0))
ALPHA = 0.22
"""Of the ground of bars."""
_PAD, _SWATCH = 8.0, 22.0


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def contains(self, x: float, y: float) -> bool:
        """Whether a place is inside."""
        return self.left <= x <= self.right and self.top <= y <= self.bottom


@dataclass(frozen=True)
class Text:
    """A line of text; (x, y) is its left, middle or right at half its height."""

    x: float
    y: float
    text: str
    ink: Ink = "ink"
    anchor: Literal["l", "m", "r"] = "l"
    upright: bool = False


@dataclass(frozen=True)
class Stroke:
    """A line through points, filled faintly down to where it began if ``filled``."""

    points: tuple[tuple[float, float], ...]
    ink: Ink
    width: float = 1.0
    dash: tuple[float, ...] = ()
    filled: bool = False


Shape = Text | Stroke


@dataclass(frozen=True, eq=False)
class HistogramData:
    """What a histogram shows.

    Attributes:
        titles: of one or two data sets.
        values: of each, ``(N,)``; those that are still to come are not among them.
        quantity: what they are.
        bound: they are upper bounds.
        mark: the value of a single image, or ``None``.
        mark_title: what it is.
        hidden: places of data sets that are not drawn.
    """

    titles: tuple[str, ...]
    values: tuple[Float, ...]
    quantity: Quantity = "bits"
    bound: bool = False
    mark: float | None = None
    mark_title: str = ""
    hidden: frozenset[int] = frozenset()


@dataclass(frozen=True, eq=False)
class HistogramDrawing:
    """A histogram that stands in a rectangle.

    Attributes:
        shapes: from the back to the front.
        plot: between the axes.
        low: value at its left edge.
        high: value at its right edge.
        counted: the bins and shares of what is drawn, ``None`` where nothing is.
        drawn: which data sets ``counted`` has, in its order.
        legend: where the entry of each data set stands.
    """

    shapes: tuple[Shape, ...]
    plot: Box
    low: float
    high: float
    counted: Histogram | None
    drawn: tuple[int, ...] = ()
    legend: tuple[Box, ...] = field(default=())

    def value_at(self, x: float) -> float:
        """Return the value at a pixel."""
        share = (x - self.plot.left) / max(1e-9, self.plot.right - self.plot.left)
        return self.low + share * (self.high - self.low)


def legend_text(title: str, values: Float) -> str:
    """Return what the legend says of a data set."""
    if not len(values):
        return title
    return f"{title}: {len(values):,} images, mean {mean_text(values)}"


class _Layout:
    """Where the parts of a histogram stand."""

    def __init__(self, data: HistogramData, room: Box, line: float, measure: Measure) -> None:
        self.data, self.room, self.line, self.measure = data, room, line, measure
        self.shapes: list[Shape] = []
        self.drawn = tuple(
            place
            for place, values in enumerate(data.values)
            if len(values) and place not in data.hidden
        )
        self.legend = self._legend()
        top = (self.legend[-1].bottom if self.legend else room.top) + _PAD
        top += line if data.mark is not None else 0
        left = room.left + line + _PAD + measure("100 ") + 2
        self.plot = Box(left, top, room.right - 2 * _PAD, room.bottom - 2 * line - _PAD)
        self.counted = (
            histogram([data.values[place] for place in self.drawn]) if self.drawn else None
        )
        self.low, self.high = self._range()

    def _range(self) -> tuple[float, float]:
        if self.counted is None:
            return 0.0, 1.0
        low, high = float(self.counted.edges[0]), float(self.counted.edges[-1])
        if self.data.mark is not None:
            # One far image must not press all others together: it stands at the edge then.
            span = high - low
            low = min(low, max(self.data.mark, low - span))
            high = max(high, min(self.data.mark, high + span))
        room = 0.03 * (high - low)
        return low - room, high + room

    def _legend(self) -> tuple[Box, ...]:
        found: list[Box] = []
        x, y = self.room.left + _PAD, self.room.top + 2
        for place, title in enumerate(self.data.titles):
            text = legend_text(title, self.data.values[place])
            width = _SWATCH + 6 + self.measure(text)
            if found and x + width > self.room.right:
                x, y = self.room.left + _PAD, y + self.line + 2
            box = Box(x, y, x + width, y + self.line)
            hidden = place in self.data.hidden
            middle = (box.top + box.bottom) / 2
            ends = ((x, middle), (x + _SWATCH, middle))
            ink = "faint" if hidden else SET_INKS[place]
            self.shapes.append(Stroke(ends, ink, 2.5, DASHES[place]))
            said = f"{text} (hidden)" if hidden else text
            self.shapes.append(Text(x + _SWATCH + 6, middle, said, "faint" if hidden else "ink"))
            found.append(box)
            x += width + 2 * _PAD
        return tuple(found)

    def x(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.plot.left + share * (self.plot.right - self.plot.left)

    def draw(self) -> HistogramDrawing:
        if self.counted is not None:
            top = max(float(share.max()) for share in self.counted.shares) * 1.06
            self._axes(top)
            for place, share in zip(self.drawn, self.counted.shares):
                self._bars(place, self.counted.edges, share, top)
            self._mark()
        frame = (self.shapes, self.plot, self.low, self.high)
        return HistogramDrawing(tuple(frame[0]), *frame[1:], self.counted, self.drawn, self.legend)

    def _axes(self, top: float) -> None:
        plot, line = self.plot, self.line
        for value in ticks(0.0, top, max(2, int((plot.bottom - plot.top) / (2.2 * line)))):
            y = plot.bottom - value / top * (plot.bottom - plot.top)
            self.shapes.append(Stroke(((plot.left, y), (plot.right, y)), "grid"))
            self.shapes.append(Text(plot.left - 5, y, short(value), "faint", "r"))
        most = max(2, int((plot.right - plot.left) / (4.5 * line)))
        for value in ticks(self.low, self.high, most):
            x = self.x(value)
            self.shapes.append(Stroke(((x, plot.bottom), (x, plot.bottom + 4)), "faint"))
            self.shapes.append(Text(x, plot.bottom + 4 + line / 2, f"{value:.6g}", "faint", "m"))
        ends = ((plot.left, plot.bottom), (plot.right, plot.bottom))
        self.shapes.append(Stroke(ends, "faint"))
        middle = (plot.left + plot.right) / 2
        self.shapes.append(Text(middle, plot.bottom + 4 + 1.5 * line, self._axis(), "ink", "m"))
        beyond = sum(self.counted.beyond) if self.counted is not None else 0
        if beyond:
            said = f"{beyond:,} far ones in the bins at the ends"
            at = Text(plot.right, plot.top + line / 2, said, "faint", "r")
            self.shapes.append(at)
        side = Text(self.room.left + line / 2 + 2, (plot.top + plot.bottom) / 2, "% of images",
                    "ink", "m", True)  # fmt: skip
        self.shapes.append(side)

    def _axis(self) -> str:
        title = quantity_title(self.data.quantity)
        bound = " (upper bound)" if self.data.bound else ""
        wide, narrow = f"{title}{bound}, higher is less likely", f"{title}{bound}"
        fits = self.measure(wide) <= self.plot.right - self.plot.left
        return wide if fits and self.data.quantity == "bits" else narrow

    def _bars(self, place: int, edges: Float, share: Float, top: float) -> None:
        height = self.plot.bottom - self.plot.top
        points = [(self.x(float(edges[0])), self.plot.bottom)]
        for left, right, value in zip(edges[:-1], edges[1:], share):
            y = self.plot.bottom - float(value) / top * height
            points += [(self.x(float(left)), y), (self.x(float(right)), y)]
        points.append((self.x(float(edges[-1])), self.plot.bottom))
        self.shapes.append(Stroke(tuple(points), SET_INKS[place], 1.8, DASHES[place], True))

    def _mark(self) -> None:
        if self.data.mark is None:
            return
        line = self.line
        x = self.x(min(max(self.data.mark, self.low), self.high))
        self.shapes.append(Stroke(((x, self.plot.top), (x, self.plot.bottom)), "ink", 1.6))
        text = f"{self.data.mark_title} {figure(self.data.mark, 4)}".strip()
        text = f"{text} →" if self.data.mark > self.high else text
        text = f"← {text}" if self.data.mark < self.low else text
        half = self.measure(text) / 2
        at = min(max(x, self.room.left + half + 2), self.room.right - half - 2)
        self.shapes.append(Text(at, self.plot.top - line / 2 - 1, text, "ink", "m"))


def layout_histogram(
    data: HistogramData, room: Box, line: float, measure: Measure
) -> HistogramDrawing:
    """Return where everything of a histogram stands.

    Args:
        data: what it shows.
        room: all of the drawing.
        line: height of a line of text.
        measure: widths of texts.
    """
    return _Layout(data, room, line, measure).draw()
