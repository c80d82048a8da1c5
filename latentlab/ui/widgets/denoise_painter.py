"""How a timeline is painted: rows of frames, headers, and the lines of the tree."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen, QPolygonF

from latentlab.core.denoising import DenoisingFrame
from latentlab.ui.denoise_tree import QUANTITIES, parent_of
from latentlab.ui.widgets.colours import faint, surround
from latentlab.ui.widgets.denoise_geometry import GAP, HEADER, Group
from latentlab.ui.widgets.denoise_marks import mark_of
from latentlab.ui.widgets.denoise_rows import RowImages
from latentlab.ui.widgets.matrix_paint import small_font

_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


def first_frame(frames: Sequence[DenoisingFrame], steps: range) -> DenoisingFrame | None:
    """Return the first frame of a column, if one is there."""
    place = bisect_left(frames, steps.start, key=lambda one: one.index)
    found = frames[place] if place < len(frames) else None
    return found if found is not None and found.index in steps else None


class TimelinePainter:
    """Paints a ``DenoiseTimeline``.

    Args:
        view: the timeline.
    """

    def __init__(self, view: Any) -> None:
        self._view = view
        self._model = view._model
        self.rows = RowImages()

    @property
    def metrics(self) -> QFontMetrics:
        """Of captions."""
        return QFontMetrics(small_font(self._view.font()))

    def paint(self, painter: QPainter, area: QRect) -> None:
        """Paint what is in sight within an area of the viewport."""
        view = self._view
        ground = surround(view.palette())
        painter.fillRect(area, ground)
        painter.setFont(small_font(view.font()))
        top = view.offset().y() + area.top()
        below = top + area.height()
        seen = [g for g in view.timeline.groups if g.bottom > top and g.top < below]
        for group in seen:
            self._rows_of(painter, group, ground)
        for group in reversed(view.timeline.groups):
            self._elbow(painter, group)
        for group in seen:
            self._outlines(painter, group)
        self._gutter(painter, ground)
        for group in seen:
            if area.left() < view.timeline.gutter:
                self._captions(painter, group)
            if view.header_rect(group.path).intersects(area):
                self._header(painter, group, ground)

    def _rows_of(self, painter: QPainter, group: Group, ground: QColor) -> None:
        view, line = self._view, self._view.timeline
        scrolled = view.offset()
        first = max(0, (scrolled.x() - GAP) // line.pitch)
        last = min(line.slots, first + view.viewport().width() // line.pitch + 2)
        found = [view.shown_in(group.path, slot) for slot in range(first, last)]
        frames = self._model.own_frames(group.path)
        newest = frames[-1] if frames else None
        shown = [None if one is None else one[0] or newest for one in found]
        for show, y in group.rows.items():
            shows = ["result" if one is not None and one[0] is None else show for one in found]
            drawn = shown
            if show == "eps":
                drawn = [None if s == "result" else f for f, s in zip(shown, shows)]
            ratio = view.devicePixelRatioF()
            key = (group.path, show)
            image = self.rows.row(key, drawn, shows, line.cell, ratio, ground, first)
            painter.setOpacity(0.55 if self._model.dim else 1.0)
            painter.drawImage(QPointF(line.x_of(first) - scrolled.x(), y - scrolled.y()), image)
            painter.setOpacity(1.0)
        self._waiting(painter, group, first, found)

    def _waiting(self, painter: QPainter, group: Group, first: int, found: Sequence[Any]) -> None:
        """Dots where frames are still to come."""
        if self._model.complete(group.path):
            return
        view, line = self._view, self._view.timeline
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(faint(view.palette(), 0.4))
        begin = line.slot_of(group.facts.first)
        for slot in range(max(first, begin), min(first + len(found), line.slots)):
            inside = line.steps_of(slot).start <= group.facts.last
            if inside and found[slot - first] is None:
                for y in group.rows.values():
                    box = QRect(line.x_of(slot), y, *line.cell).translated(-view.offset())
                    painter.drawEllipse(QRectF(box).center(), 1.5, 1.5)

    def _elbow(self, painter: QPainter, group: Group) -> None:
        """The line from the parent's step to a branch."""
        view, line = self._view, self._view.timeline
        parent = line.group(parent_of(group.path)) if group.path else None
        if parent is None:
            return
        mark = mark_of(self._model, group.path)
        x = line.x_of(line.slot_of(group.facts.first)) - GAP / 2 - view.offset().x()
        begin = parent.top + HEADER - 2 if not parent.rows else min(parent.rows.values())
        end = group.top + HEADER / 2
        scrolled = view.offset().y()
        pen = QPen(mark.colour(view.palette()), 2)
        painter.setPen(pen)
        painter.drawLine(QPointF(x, begin - scrolled), QPointF(x, end - scrolled))
        painter.drawLine(QPointF(x, end - scrolled), QPointF(x + 6, end - scrolled))
        if group.rows:
            bottom = max(group.rows.values()) + line.cell[1]
            painter.setPen(QPen(mark.colour(view.palette()), 1))
            painter.drawLine(QPointF(x, end - scrolled), QPointF(x, bottom - scrolled))

    def _outlines(self, painter: QPainter, group: Group) -> None:
        """A frame around what is looked at, in each of the compared runs."""
        view, cursor = self._view, self._model.cursor
        path, index = self._model.selected
        places = {path: index}
        for other in cursor.pair or ():
            places.setdefault(other, cursor.at_time(other, cursor.time))
        if group.path not in places or places[group.path] < group.facts.first:
            return
        now = group.path == path
        colour = view.palette().highlight().color() if now else faint(view.palette(), 0.8)
        for show in group.rows:
            box = view.frame_rect(group.path, show, places[group.path])
            strong = now and show == view.show_now
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(colour, 3 if strong else 1))
            painter.drawRect(box.adjusted(-1, -1, 0, 0))
            if strong and view.hasFocus():
                ink = view.palette().windowText().color()
                painter.setPen(QPen(ink, 1, Qt.PenStyle.DotLine))
                painter.drawRect(box.adjusted(-3, -3, 2, 2))

    def _gutter(self, painter: QPainter, ground: QColor) -> None:
        view = self._view
        painter.fillRect(QRect(0, 0, view.timeline.gutter, view.viewport().height()), ground)

    def _captions(self, painter: QPainter, group: Group) -> None:
        view, line = self._view, self._view.timeline
        painter.setPen(faint(view.palette(), 0.85))
        for show, y in group.rows.items():
            box = QRect(6, y - view.offset().y(), line.gutter - 6, line.cell[1])
            painter.drawText(box, _LEFT, QUANTITIES[show])

    def _header(self, painter: QPainter, group: Group, ground: QColor) -> None:
        """Triangle, A or B, marker and what the branch changes."""
        view, model, palette = self._view, self._model, self._view.palette()
        box = view.header_rect(group.path)
        middle = box.center().y() + 0.5
        self._triangle(painter, QPointF(10, middle), group.facts.folded)
        pair = model.cursor.pair
        letters = "" if pair is None else "".join(a for a, p in zip("AB", pair) if p == group.path)
        chosen = model.selected[0] == group.path
        font = QFont(small_font(view.font()))
        font.setBold(chosen)
        painter.setFont(font)
        metrics = QFontMetrics(font)
        text = model.title(group.path)
        failure = model.failure(group.path)
        if failure is not None:
            text = f"⚠ {failure.message}"
        elif letters:
            text = f"{letters}: {text}"
        x = view.timeline.x_of(view.timeline.slot_of(group.facts.first)) - view.offset().x()
        room = box.width() - view.timeline.gutter - 24
        wide = min(metrics.horizontalAdvance(text) + 2, room)
        left = max(view.timeline.gutter, min(x + 4, box.width() - wide - 24))
        plate = QRect(left, box.top() + 2, wide + 20, HEADER - 4)
        painter.fillRect(plate, ground)
        mark_of(model, group.path).paint(painter, QPointF(left + 8, middle), 9, palette)
        painter.setPen(palette.windowText().color())
        elided = metrics.elidedText(text, Qt.TextElideMode.ElideRight, wide)
        painter.drawText(plate.adjusted(18, 0, 0, 0), _LEFT, elided)
        painter.setFont(small_font(view.font()))

    def _triangle(self, painter: QPainter, at: QPointF, folded: bool) -> None:
        corners = [(-2, -4), (3, 0), (-2, 4)] if folded else [(-4, -2), (4, -2), (0, 3)]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(faint(self._view.palette(), 0.85))
        painter.drawPolygon(QPolygonF([at + QPointF(x, y) for x, y in corners]))
        painter.restore()
