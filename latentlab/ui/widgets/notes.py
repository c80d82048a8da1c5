"""What stands where an image would be: an error, or an empty state that teaches."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QPixmap
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.requests import Failure


def _sentence(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setAlignment(Qt.AlignmentFlag.AlignCenter)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setMinimumWidth(160)
    return label


class ErrorNote(QWidget):
    """One sentence that says what is wrong, and the details behind a button, to copy."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Error")
        self._failure = Failure("")
        self._sentence = _sentence("errorSentence")
        self._sentence.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._details = QPlainTextEdit()
        self._details.setReadOnly(True)
        self._details.setAccessibleName("Details of the error")
        self._details.setMaximumHeight(180)
        self._details.hide()
        self._toggle = QPushButton("&Details")
        self._toggle.setCheckable(True)
        self._toggle.setToolTip("Show what the program knows about this error")
        self._toggle.toggled.connect(self._details.setVisible)
        self._copy = QPushButton("&Copy")
        self._copy.setToolTip("Copy the sentence and its details")
        self._copy.clicked.connect(self._to_clipboard)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(self._toggle)
        buttons.addWidget(self._copy)
        buttons.addStretch()
        layout = QVBoxLayout(self)
        layout.addStretch()
        layout.addWidget(self._sentence)
        layout.addLayout(buttons)
        layout.addWidget(self._details)
        layout.addStretch()

    @property
    def failure(self) -> Failure:
        """What is shown."""
        return self._failure

    def show_failure(self, failure: Failure) -> None:
        """Show an error; the details stay folded."""
        self._failure = failure
        self._sentence.setText(f"⚠  {failure.message}")
        self._details.setPlainText(failure.details)
        self._toggle.setVisible(bool(failure.details))
        self._toggle.setChecked(False)
        self.setAccessibleDescription(failure.message)
        self.show()

    def _to_clipboard(self) -> None:
        text = "\n\n".join(t for t in (self._failure.message, self._failure.details) if t)
        QGuiApplication.clipboard().setText(text)


class EmptyState(QWidget):
    """What a panel does, one button to begin, one picture.

    Args:
        title: a few words.
        text: one or two sentences: what this place does and how to fill it.
        button: the text of the one button; empty for none.
        act: what the button does.
        picture: drawn above the title.
    """

    def __init__(
        self,
        title: str,
        text: str,
        button: str = "",
        act: Callable[[], object] | None = None,
        picture: QPixmap | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._picture = QLabel(self)
        self._picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._title = _sentence("emptyTitle")
        font = self._title.font()
        font.setBold(True)
        self._title.setFont(font)
        self._text = _sentence("emptyText")
        # A child from the start: shown without a parent it would be a window of its own.
        self._button = QPushButton(button, self)
        self._button.setVisible(bool(button))
        self._button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        if act is not None:
            self._button.clicked.connect(lambda: act())
        column = QVBoxLayout()
        column.addStretch()
        for widget in (self._picture, self._title, self._text):
            column.addWidget(widget)
        column.addSpacing(8)
        column.addWidget(self._button, 0, Qt.AlignmentFlag.AlignHCenter)
        self._column = column
        column.addStretch()
        layout = QHBoxLayout(self)
        layout.addStretch(1)
        layout.addLayout(column, 6)
        layout.addStretch(1)
        self.set_picture(picture)
        self.say(title, text)

    def say(self, title: str, text: str) -> None:
        """Change the words."""
        self._title.setText(title)
        self._text.setText(text)
        self.setAccessibleName(title)
        self.setAccessibleDescription(text)

    def set_button(self, text: str) -> None:
        """Change the button's text; empty hides it."""
        self._button.setText(text)
        self._button.setVisible(bool(text))

    def add_other(self, button: QPushButton) -> None:
        """Put another way to begin right under the button."""
        self._column.insertWidget(
            self._column.indexOf(self._button) + 1, button, 0, Qt.AlignmentFlag.AlignHCenter
        )

    def set_picture(self, picture: QPixmap | None) -> None:
        """Change the picture; ``None`` hides it."""
        self._picture.setVisible(picture is not None)
        if picture is not None:
            self._picture.setPixmap(picture)
