"""The legend of a map: classes that toggle, or the scale of a value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QIcon,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.images import as_qimage
from latentlab.ui.widgets.label_colours import ColourBar, LegendItems, LegendRow
from latentlab.ui.widgets.map_axes import plain, ticks_of
from latentlab.ui.widgets.marker_shapes import SHAPES, corners_of

_SWATCH = 14
_BESIDE = 48
"""Room for the box and the marker before a name."""
_ROWS = 12
"""More classes than this scroll."""
_BAR_HEIGHT = 12.0


def swatch(row: LegendRow, size: int = _SWATCH, ratio: float = 2.0) -> QPixmap:
    """Return the marker of a class as a picture."""
    pixmap = QPixmap(round(size * ratio), round(size * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    colour = QColor(*row.rgb)
    painter.setPen(QPen(colour.darker(175), 1))
    painter.setBrush(colour)
    corners = corners_of(row.shape, size - 3.0) + size / 2
    painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in corners.tolist()]))
    painter.end()
    return pixmap


class ClassRow(QCheckBox):
    """One class: shown while it is ticked. Alt-click shows it alone.

    Signals:
        isolated: the class alone is asked for.
    """

    isolated = Signal(int)

    def __init__(self, row: LegendRow, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.row = row
        self._cut(self.fontMetrics().horizontalAdvance(row.name))
        self.setIcon(QIcon(swatch(row)))
        self.setIconSize(QSize(_SWATCH, _SWATCH))
        self.setChecked(True)
        self.setAccessibleName(f"{row.name}, {row.count} points, {SHAPES[row.shape][0]}")
        self.setToolTip(f"{row.name}: {row.count:,} points. Alt-click shows it alone.")

    def _cut(self, room: int) -> None:
        """Write the name, cut to some pixels, and the number of points."""
        cut = Qt.TextElideMode.ElideRight
        name = self.fontMetrics().elidedText(self.row.name, cut, max(room, 24))
        self.setText(f"{name.replace('&', '&&')}  {self.row.count:,}")

    def minimumSizeHint(self) -> QSize:
        """Room for a few letters; the tooltip has the whole name."""
        return QSize(110, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Cut a long name, never the number."""
        metrics = self.fontMetrics()
        number = metrics.horizontalAdvance(f"  {self.row.count:,}")
        self._cut(self.width() - number - _BESIDE)
        super().resizeEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Alt asks for this class alone."""
        held = event.modifiers() & Qt.KeyboardModifier.AltModifier
        if held and event.button() == Qt.MouseButton.LeftButton:
            self.isolated.emit(self.row.code)
            event.accept()
            return
        super().mousePressEvent(event)


class BarView(QWidget):
    """The scale of a continuous label, with ticks."""

    def __init__(self, name: str, bar: ColourBar, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bar = bar
        self._ramp = as_qimage(np.ascontiguousarray(bar.ramp[None]))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        unit = f" {bar.unit}" if bar.unit else ""
        ends = f"{plain(bar.low)} to {plain(bar.high)}{unit}"
        self.setAccessibleName(f"Colours of {name}: {ends}")

    def sizeHint(self) -> QSize:
        """The bar, its ticks and their numbers."""
        return QSize(180, round(_BAR_HEIGHT + 8 + self.fontMetrics().height()))

    def minimumSizeHint(self) -> QSize:
        """Still readable."""
        return QSize(110, self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the ramp and three to five ticks."""
        painter = QPainter(self)
        metrics = QFontMetricsF(self.font())
        bar, edge = self._bar, metrics.horizontalAdvance("0000") / 2
        box = QRectF(edge, 1, max(self.width() - 2 * edge, 8), _BAR_HEIGHT)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(box, self._ramp, QRectF(0, 0, self._ramp.width(), 1))
        most = int(np.clip(box.width() / (metrics.horizontalAdvance("−0.000") + 8), 2, 5))
        ticks = ticks_of(bar.low, bar.high, most)
        painter.setPen(faint(self.palette(), 0.85))
        for value, text in zip(ticks.values, ticks.texts):
            x = box.left() + (value - bar.low) / (bar.high - bar.low) * box.width()
            painter.drawLine(QPointF(x, box.bottom()), QPointF(x, box.bottom() + 4))
            room = metrics.horizontalAdvance(text)
            left = min(max(x - room / 2, 0), self.width() - room)
            painter.drawText(QPointF(left, box.bottom() + 4 + metrics.ascent()), text)


class MapLegend(QWidget):
    """What the colours of a map mean; classes are shown and hidden here.

    Signals:
        shown_changed: bool ``(N,)``: which points are shown now, when a person toggled a class.
    """

    shown_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Legend")
        self._items: LegendItems | None = None
        self._rows: list[ClassRow] = []
        self._body: QWidget | None = None
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)

    @property
    def items(self) -> LegendItems | None:
        """What is shown."""
        return self._items

    def set_items(self, items: LegendItems | None) -> None:
        """Show another legend, everything ticked; no signal."""
        self._items = items
        if self._body is not None:
            self._layout.removeWidget(self._body)
            self._body.hide()
            self._body.deleteLater()
        self._rows = []
        self._body = None
        if items is not None and items.name:
            self._body = self._build(items)
            self._layout.addWidget(self._body)
            self._body.show()
        self.updateGeometry()

    @property
    def shown(self) -> NDArray[np.bool_] | None:
        """Which points are shown, bool ``(N,)``; ``None`` without a legend."""
        if self._items is None:
            return None
        hidden = [row.row.code for row in self._rows if not row.isChecked()]
        return ~np.isin(self._items.codes, hidden)

    @property
    def rows(self) -> tuple[ClassRow, ...]:
        """The rows of classes."""
        return tuple(self._rows)

    def isolate(self, code: int) -> None:
        """Show one class alone; all of them again if it is alone already."""
        alone = all(row.isChecked() == (row.row.code == code) for row in self._rows)
        self._tick({row.row.code for row in self._rows} if alone else {code})

    def show_all(self) -> None:
        """Show every class."""
        self._tick({row.row.code for row in self._rows})

    def show_none(self) -> None:
        """Hide every class."""
        self._tick(set())

    def _tick(self, codes: set[int]) -> None:
        for row in self._rows:
            row.blockSignals(True)
            row.setChecked(row.row.code in codes)
            row.blockSignals(False)
            row.update()
        self._tell()

    def _tell(self) -> None:
        self.shown_changed.emit(self.shown)

    def _build(self, items: LegendItems) -> QWidget:
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(self._head(items))
        if items.bar is not None:
            column.addWidget(BarView(items.name, items.bar))
            if items.bar.clipped:
                note = QLabel("Ends: 1st and 99th percentile; values beyond have the end's colour.")
                note.setWordWrap(True)
                note.setForegroundRole(QPalette.ColorRole.PlaceholderText)
                column.addWidget(note)
        if items.rows:
            column.addWidget(self._classes(items))
        column.addStretch(1)
        return body

    def _head(self, items: LegendItems) -> QHBoxLayout:
        head = QHBoxLayout()
        unit = f" ({items.bar.unit})" if items.bar is not None and items.bar.unit else ""
        name = ElidedLabel(items.name + unit)
        font = name.font()
        font.setBold(True)
        name.setFont(font)
        head.addWidget(name, 1)
        if len(items.rows) > 1:
            for text, tip, act in (
                ("&All", "Show every class", self.show_all),
                ("&None", "Hide every class", self.show_none),
            ):
                button = QToolButton()
                button.setText(text)
                button.setAutoRaise(True)
                button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
                button.setToolTip(tip)
                button.setAccessibleName(tip)
                button.clicked.connect(lambda _checked=False, act=act: act())
                head.addWidget(button)
        return head

    def _classes(self, items: LegendItems) -> QWidget:
        holder = QWidget()
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for item in items.rows:
            row = ClassRow(item)
            row.toggled.connect(self._tell)
            row.isolated.connect(self.isolate)
            self._rows.append(row)
            column.addWidget(row)
        column.addStretch(1)
        if len(items.rows) <= _ROWS:
            return holder
        area = QScrollArea()
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(holder)
        area.setMinimumHeight(self._rows[0].sizeHint().height() * 5)
        return area
