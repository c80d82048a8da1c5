"""A line above a map: what is under way, or why something could not be shown."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from latentlab.core.requests import Failure
from latentlab.ui.widgets.notice_bar import NoticeBar


class MapNote(QWidget):
    """Takes no room while there is nothing to say."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.text.setContentsMargins(8, 2, 8, 2)
        self.text.hide()
        self.failure = NoticeBar("warning")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.text)
        layout.addWidget(self.failure)

    def say(self, text: str) -> None:
        """Say what is under way; empty for nothing."""
        self.text.setText(text)
        self.text.setVisible(bool(text))

    def show_failure(self, failure: Failure | None) -> None:
        """Say what failed, with its details; ``None`` takes it back."""
        if failure is None:
            self.failure.hide()
        else:
            self.failure.say(failure.message, failure.details)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the palette."""
        if event.type() == QEvent.Type.PaletteChange:
            self.failure.recolour()
        super().changeEvent(event)
