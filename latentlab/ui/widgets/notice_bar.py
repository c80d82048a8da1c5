"""A line above the canvas for what must not be overlooked: an error, an offer."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.ui.icons import icon

Button = tuple[str, Callable[[], object]]


class NoticeBar(QFrame):
    """One sentence, buttons, details that unfold; it stays until it is dismissed.

    Args:
        sign: name of the icon.
    """

    def __init__(self, sign: str = "warning", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sign_name = sign
        self.setAutoFillBackground(True)
        self.setBackgroundRole(self.backgroundRole().AlternateBase)
        self._sign = QLabel()
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.sentence.setTextFormat(Qt.TextFormat.PlainText)
        self.sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.details = QPlainTextEdit()
        self.details.setReadOnly(True)
        self.details.setAccessibleName("Details")
        self.details.setMaximumHeight(140)
        self.toggle = QPushButton("&Details")
        self.toggle.setCheckable(True)
        self.toggle.toggled.connect(self.details.setVisible)
        self.copy = QPushButton("Cop&y")
        self.copy.setToolTip("Copy the sentence and its details")
        self.copy.clicked.connect(self._copy)
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(8)
        self.close_button = QToolButton()
        self.close_button.setAutoRaise(True)
        self.close_button.setAccessibleName("Dismiss")
        self.close_button.setToolTip("Dismiss")
        self.close_button.clicked.connect(self.hide)
        self._build()
        self.hide()

    def _build(self) -> None:
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self._sign)
        line.addWidget(self.sentence, 1)
        line.addLayout(self._buttons)
        line.addWidget(self.toggle)
        line.addWidget(self.copy)
        line.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(6)
        layout.addLayout(line)
        layout.addWidget(self.details)
        self._draw()

    def _draw(self) -> None:
        self._sign.setPixmap(icon(self._sign_name, self.palette()).pixmap(20, 20))
        self.close_button.setIcon(icon("close", self.palette()))

    def recolour(self) -> None:
        """Draw the icons anew, for another palette."""
        self._draw()

    def say(self, sentence: str, details: str = "", buttons: tuple[Button, ...] = ()) -> None:
        """Show a sentence; each button closes the line and does its work."""
        self.sentence.setText(sentence)
        self.details.setPlainText(details)
        self.toggle.setChecked(False)
        self.details.hide()
        self.toggle.setVisible(bool(details))
        self.copy.setVisible(not buttons)
        while (item := self._buttons.takeAt(0)) is not None:
            item.widget().deleteLater()
        for text, act in buttons:
            button = QPushButton(text)
            button.clicked.connect(lambda _=False, act=act: self._do(act))
            self._buttons.addWidget(button)
        self.setAccessibleName(sentence)
        self.show()

    def _do(self, act: Callable[[], object]) -> None:
        self.hide()
        act()

    def _copy(self) -> None:
        parts = (self.sentence.text(), self.details.toPlainText())
        QGuiApplication.clipboard().setText("\n\n".join(part for part in parts if part))
