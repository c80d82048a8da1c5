"""What comes from the row and what from the column: one button a part, one field a layer."""

from __future__ import annotations

from collections.abc import Collection

from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QToolTip, QWidget

from latentlab.core.recombine import PartRange, layer_count
from latentlab.core.spec import LatentSpace, PartSpec
from latentlab.ui.edits import readable
from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.quiet import own_key
from latentlab.ui.widgets.switch_painter import column_colour, row_colour

_FIELD = 14


def shape_text(part: PartSpec) -> str:
    """Return how many numbers a part has: ``6 × 16 × 16 numbers``."""
    return " × ".join(str(side or "?") for side in part.shape) + " numbers"


class RoleChip(QAbstractButton):
    """A part, or a group of layers: pressed, it comes from the row.

    Args:
        title: for a person.
        units: that it stands for.
        about: added to the tooltip.

    ``partly`` says that only some of its layers come from the row.
    """

    def __init__(
        self,
        title: str,
        units: frozenset[PartRange],
        about: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setText(title)
        self.units, self._about = units, about
        self.partly = False
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.set_rows(frozenset())

    def set_rows(self, rows: Collection[PartRange]) -> None:
        """Follow what comes from the row."""
        inside = self.units & frozenset(rows)
        self.partly = bool(inside) and inside != self.units
        self.setChecked(bool(inside))
        side = "partly from the row" if self.partly else "from the row"
        side, other = (side, "column") if inside else ("from the column", "row")
        self.setAccessibleName(f"{self.text()}, {side}")
        about = f"{self._about}; " if self._about else ""
        self.setToolTip(f"{self.text()}: {about}{side}. Click to take it from the {other}.")
        self.update()

    @property
    def arrow(self) -> str:
        """Where it goes: along the row, down the column, or both."""
        return "→ ↓" if self.partly else "→" if self.isChecked() else "↓"

    def sizeHint(self) -> QSize:
        """The title, an arrow and some room."""
        metrics = self.fontMetrics()
        wide = metrics.horizontalAdvance(f"{self.text()}  → ↓")
        return QSize(wide + 20, max(26, metrics.height() + 8))

    def paintEvent(self, _event: QPaintEvent) -> None:
        """A plate with a bar in the colour of its side, the title and an arrow."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self.palette()
        colour = row_colour(palette) if self.isChecked() else column_colour(palette)
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        plate = palette.button().color()
        painter.setBrush(plate.darker(112) if self.isDown() else plate)
        ink = palette.highlight().color() if self.hasFocus() else faint(palette, 0.35)
        painter.setPen(QPen(ink, 2 if self.hasFocus() else 1))
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        if self.isChecked():
            painter.drawRoundedRect(QRectF(3, 4, 4, self.height() - 8), 2, 2)
        if not self.isChecked() or self.partly:
            other = column_colour(palette)
            painter.setBrush(other)
            painter.drawRoundedRect(QRectF(9, self.height() - 6, self.width() - 14, 3), 1.5, 1.5)
        painter.setPen(palette.windowText().color())
        flags = Qt.AlignmentFlag.AlignVCenter
        inner = self.rect().adjusted(12, -1, -8, -1)
        painter.drawText(inner, flags | Qt.AlignmentFlag.AlignLeft, self.text())
        painter.setPen(colour)
        painter.drawText(inner, flags | Qt.AlignmentFlag.AlignRight, self.arrow)


class LayerStrip(QWidget):
    """One field a layer: a click turns it, a drag turns all that it goes over to the same side.

    Args:
        part: that has the layers.

    Signals:
        turned: single layers, and whether they are to come from the row.
    """

    turned = Signal(object, bool)

    def __init__(self, part: PartSpec, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._part, self._count = part, layer_count(part)
        self._rows: frozenset[int] = frozenset()
        self._at = 0
        self._dragged: set[int] = set()
        self._to_row: bool | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._describe()

    def set_rows(self, rows: Collection[PartRange]) -> None:
        """Follow what comes from the row."""
        name = self._part.name
        self._rows = frozenset(unit.first or 0 for unit in rows if unit.part == name)
        self._describe()
        self.update()

    def _describe(self) -> None:
        side = "row" if self._at in self._rows else "column"
        self.setAccessibleName(f"Layers of {readable(self._part.name).lower()}")
        self.setAccessibleDescription(f"Layer {self._at} comes from the {side}")

    def sizeHint(self) -> QSize:
        """A field for each layer."""
        return QSize(self._count * _FIELD + 2, max(26, self.fontMetrics().height() + 8))

    def field_rect(self, layer: int) -> QRectF:
        """Return where the field of a layer is."""
        return QRectF(1 + layer * _FIELD, 5, _FIELD - 2, self.height() - 10)

    def layer_at(self, at: QPoint) -> int:
        """Return the layer under a place, or the nearest one."""
        return min(max(0, (at.x() - 1) // _FIELD), self._count - 1)

    def _name(self, layer: int) -> str:
        groups = [g.name for g in self._part.layer_groups if g.first <= layer <= g.last]
        return f"Layer {layer}" + (f" ({groups[0]})" if groups else "")

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Upright fields come from the row, low ones from the column."""
        painter = QPainter(self)
        palette = self.palette()
        for layer in range(self._count):
            by_row = layer in self._rows
            if layer in self._dragged and self._to_row is not None:
                by_row = self._to_row
            box = self.field_rect(layer)
            painter.fillRect(box, faint(palette, 0.18))
            colour = row_colour(palette) if by_row else column_colour(palette)
            filled = box if by_row else box.adjusted(0, box.height() * 0.55, 0, 0)
            painter.fillRect(filled, colour)
            if layer == self._at and self.hasFocus():
                painter.setPen(QPen(palette.windowText().color(), 1, Qt.PenStyle.DotLine))
                painter.drawRect(box.adjusted(-1, -2, 0, 1))

    # By hand.

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin to turn layers."""
        if event.button() == Qt.MouseButton.LeftButton:
            layer = self.layer_at(event.position().toPoint())
            self._at, self._to_row, self._dragged = layer, layer not in self._rows, {layer}
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go on over more layers."""
        if self._to_row is not None:
            layer = self.layer_at(event.position().toPoint())
            low, high = sorted((self._at, layer))
            self._dragged = set(range(low, high + 1))
            self.update()

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        """Turn them: one step."""
        if self._to_row is not None:
            self._turn(self._dragged, self._to_row)
        self._to_row, self._dragged = None, set()
        self.update()

    def _turn(self, layers: Collection[int], to_row: bool) -> None:
        units = frozenset(PartRange(self._part.name, k, k) for k in layers)
        self.turned.emit(units, to_row)

    def event(self, event: QEvent) -> bool:
        """Keep Space from the window; say what a layer is."""
        if own_key(event, (Qt.Key.Key_Space,)):
            event.accept()
            return True
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            layer = self.layer_at(event.pos())
            side = "row" if layer in self._rows else "column"
            text = f"{self._name(layer)}: from the {side}. Click or drag to turn it."
            QToolTip.showText(event.globalPos(), text, self, self.field_rect(layer).toRect())
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys choose a layer, Space turns it."""
        key = event.key()
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Home: -self._count,
                 Qt.Key.Key_End: self._count}  # fmt: skip
        if key in steps:
            self._at = min(max(0, self._at + steps[key]), self._count - 1)
            self._describe()
            self.update()
        elif key in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._turn({self._at}, self._at not in self._rows)
        else:
            event.ignore()


class RolesBar(QWidget):
    """All parts of a space.

    Signals:
        turned: parts and single layers, and whether they are to come from the row.
    """

    turned = Signal(object, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("What comes from the row and what from the column")
        self._space: LatentSpace | None = None
        self.chips: list[RoleChip] = []
        self.strips: list[LayerStrip] = []
        self._row = FlowLayout(self, spacing=6)
        self._row.setContentsMargins(0, 0, 0, 0)

    def set_space(self, space: LatentSpace | None) -> None:
        """Offer the parts of another space."""
        if space == self._space:
            return
        self._space = space
        while self._row.count():
            item = self._row.takeAt(0)
            widget = None if item is None else item.widget()
            if widget is not None:
                widget.deleteLater()
        self.chips, self.strips = [], []
        for part in () if space is None else space.parts:
            self._add_part(part)

    def _add_part(self, part: PartSpec) -> None:
        if part.layer_axis is None:
            about = shape_text(part)
            self._add_chip(readable(part.name), {PartRange(part.name)}, about)
            return
        for group in part.layer_groups:
            layers = range(group.first, group.last + 1)
            units = {PartRange(part.name, k, k) for k in layers}
            about = f"layers {group.first} to {group.last}"
            self._add_chip(readable(group.name), units, about)
        strip = LayerStrip(part, self)
        strip.turned.connect(self.turned)
        self.strips.append(strip)
        self._row.addWidget(strip)

    def _add_chip(self, title: str, units: set[PartRange], about: str) -> None:
        chip = RoleChip(title, frozenset(units), about, self)
        # The document decides whether it is pressed.
        chip.clicked.connect(lambda _on, chip=chip: self._clicked(chip))
        self.chips.append(chip)
        self._row.addWidget(chip)

    def _clicked(self, chip: RoleChip) -> None:
        self.turned.emit(chip.units, chip.isChecked())

    def set_rows(self, rows: Collection[PartRange]) -> None:
        """Follow what comes from the row."""
        for one in (*self.chips, *self.strips):
            one.set_rows(rows)
