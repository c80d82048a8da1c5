"""A name that is edited where it stands."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QRect, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QLineEdit, QWidget


class PlaceEdit(QLineEdit):
    """A line that lies over a name until it is given: Enter and leaving keep it, Esc does not.

    Args:
        text: the name as it is.
        done: gets the new name, once, when it is another.
        parent: it lies in; the parent's parent, a view, gets the focus back.
    """

    def __init__(self, text: str, done: Callable[[str], None], parent: QWidget) -> None:
        super().__init__(text, parent)
        self._before = text
        self._done = done
        self.setMaxLength(200)
        self.selectAll()
        self.editingFinished.connect(self._keep)

    def open(self, box: QRect) -> None:
        """Show it at a place of its parent."""
        self.setGeometry(box)
        self.show()
        self.setFocus()

    def _close(self) -> None:
        self.hide()
        self.deleteLater()
        self.parentWidget().parentWidget().setFocus()

    def _keep(self) -> None:
        if self.isVisible():
            text = self.text()
            self._close()
            if text != self._before:
                self._done(text)

    def event(self, event: QEvent) -> bool:
        """All keys are the name's: none is a shortcut."""
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc leaves the name as it was."""
        if event.key() == Qt.Key.Key_Escape:
            self._close()
        else:
            super().keyPressEvent(event)
