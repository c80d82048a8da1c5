"""A line above a map: what is under way, or why something could not be shown."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from latentlab.core.requests import Failure
from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.notice_bar import NoticeBar


class MapNote(QWidget):
    """Takes no room while there is nothing to say.

    Signals:
        again_asked: make the map again with the newest weights.
    """

    again_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.text.setContentsMargins(8, 2, 8, 2)
        self.text.hide()
        self.failure = NoticeBar("warning")
        self.age = QWidget()
        self._age_text = ElidedLabel()
        self.again = QToolButton()
        self.again.setText("Map again")
        self.again.setAccessibleName("Map again with the newest weights")
        self.again.setToolTip("Make the same map with the newest weights of the model")
        self.again.clicked.connect(self.again_asked)
        line = QHBoxLayout(self.age)
        line.setContentsMargins(8, 2, 8, 2)
        line.addWidget(self._age_text, 1)
        line.addWidget(self.again)
        self.age.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.text)
        layout.addWidget(self.age)
        layout.addWidget(self.failure)

    def say(self, text: str) -> None:
        """Say what is under way; empty for nothing."""
        self.text.setText(text)
        self.text.setVisible(bool(text))

    def say_age(self, text: str, busy: bool = False) -> None:
        """Say which weights the places are of; empty when they are the newest."""
        self._age_text.setText(text)
        self.age.setVisible(bool(text))
        self.again.setEnabled(not busy)

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
