"""Rows of controls that wrap, whose sliders take what is left of their row."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize
from PySide6.QtWidgets import QLayoutItem

from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.sampling_value import NamedNumber

_MOST = 160
"""A slider grows by at most so many logical pixels."""


class GrowingFlow(FlowLayout):
    """As ``FlowLayout``; named numbers share what is left of their row."""

    def _arrange(self, rect: QRect, move: bool) -> int:
        margins = self.contentsMargins()
        left, right = rect.left() + margins.left(), rect.right() + 1 - margins.right()
        y = rect.top() + margins.top()
        for row in self._rows(right - left):
            height = max((item.sizeHint().height() for item in row), default=0)
            if move:
                self._place(row, left, y, right - left, height)
            y += height + self._gap
        return y - self._gap + margins.bottom() - rect.top()

    def _place(self, row: list[QLayoutItem], x: int, y: int, width: int, height: int) -> None:
        growing = [item for item in row if isinstance(item.widget(), NamedNumber)]
        used = sum(item.sizeHint().width() for item in row) + self._gap * (len(row) - 1)
        more = min(_MOST, max(0, width - used) // len(growing)) if growing else 0
        for item in row:
            size = item.sizeHint() + QSize(more if item in growing else 0, 0)
            item.setGeometry(QRect(QPoint(x, y + (height - size.height()) // 2), size))
            x += size.width() + self._gap
