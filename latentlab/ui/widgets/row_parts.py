"""The small parts of a row of a slider: its name, the name being typed, the handle to drag it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QLineEdit, QWidget

from latentlab.ui.widgets.colours import faint


class RowName(QLabel):
    """The name, cut where its space ends; a double click resets."""

    double_clicked = Signal()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Tell."""
        self.double_clicked.emit()
        event.accept()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint as much as fits."""
        painter = QPainter(self)
        room = self.contentsRect()
        # In the middle: "Component 12" and "Component 13" differ at their ends.
        cut = Qt.TextElideMode.ElideMiddle
        painter.setPen(self.palette().windowText().color())
        flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.drawText(room, flags, self.fontMetrics().elidedText(self.text(), cut, room.width()))


class RowTitle(QLineEdit):
    """The name while it is being changed: Enter takes it, Esc leaves it as it was."""

    left = Signal(bool)

    def event(self, event: QEvent) -> bool:
        """Keep Esc from the shortcuts of the window."""
        if event.type() == QEvent.Type.ShortcutOverride and event.key() == Qt.Key.Key_Escape:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Take or leave the name."""
        if event.key() == Qt.Key.Key_Escape:
            self.left.emit(False)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.left.emit(True)
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QEvent) -> None:
        """Take the name, unless its own menu is what opened."""
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self.left.emit(True)


class RowGrip(QWidget):
    """The handle that a row is dragged by.

    Signals:
        moved: global height of the mouse while it drags.
        released: the drag is over; false when Esc ended it.
    """

    moved = Signal(int)
    released = Signal(bool)

    _held = False

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take the row."""
        self._held = event.button() == Qt.MouseButton.LeftButton
        event.setAccepted(self._held)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move it."""
        if self._held:
            self.moved.emit(event.globalPosition().toPoint().y())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Put it down."""
        if self._held and event.button() == Qt.MouseButton.LeftButton:
            self._held = False
            self.released.emit(True)

    def event(self, event: QEvent) -> bool:
        """Esc ends the drag before a shortcut of the window takes it."""
        escape = self._held and event.type() in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress)
        if escape and event.key() == Qt.Key.Key_Escape:
            if event.type() == QEvent.Type.KeyPress:
                self._held = False
                self.released.emit(False)
            event.accept()
            return True
        return super().event(event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint six dots."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(faint(self.palette(), 0.75 if self.underMouse() or self._held else 0.4))
        middle = self.height() // 2
        for x in (2, 6):
            for y in (middle - 5, middle - 1, middle + 3):
                painter.drawEllipse(x, y, 2, 2)
