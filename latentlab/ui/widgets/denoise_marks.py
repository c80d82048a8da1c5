"""Colour and marker of the run and each of its branches: the same wherever they are shown."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPalette, QPixmap

from latentlab.core.document import MAX_BRANCHES
from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.run_marks import Mark


class BranchMark:
    """How a run or branch is drawn.

    Args:
        slot: 0 is the run itself, which is grey; others have a colour and a marker each.
    """

    def __init__(self, slot: int) -> None:
        self._mark = Mark(max(0, slot - 1))
        self._trunk = slot == 0
        self._colours: dict[int, QColor] = {}

    def colour(self, palette: QPalette) -> QColor:
        """Return its colour."""
        known = self._colours.get(palette.cacheKey())
        if known is None:
            known = faint(palette, 0.75) if self._trunk else self._mark.colour(palette)
            # There are as many palettes as themes, or a few more.
            self._colours = {palette.cacheKey(): known}
        return known

    def paint(self, painter: QPainter, middle: QPointF, size: float, palette: QPalette) -> None:
        """Draw its marker around a place."""
        if not self._trunk:
            self._mark.paint(painter, middle, size, palette)
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.colour(palette))
        painter.drawEllipse(middle, size / 2, size / 2)
        painter.restore()

    def icon(self, palette: QPalette) -> QIcon:
        """Return its marker as an icon."""
        pixmap = QPixmap(32, 32)
        pixmap.setDevicePixelRatio(2)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QPointF(8, 8), 9, palette)
        painter.end()
        return QIcon(pixmap)


_mark = lru_cache(maxsize=MAX_BRANCHES + 2)(BranchMark)


def mark_of(model: Any, path: str) -> BranchMark:
    """Return the mark of a path of a ``DenoiseModel``."""
    branch = model.branch_of(path)
    return _mark(0 if branch is None else branch.slot)
