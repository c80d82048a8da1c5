"""The line at the foot of the form: the run's name, Cancel and Start, and why Start must wait."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.tips import plain_tip

START_KEYS = "Ctrl+Return"


class NewRunStart(QFrame):
    """Name, Cancel, Start.

    Signals:
        name_edited: what a person wrote.
        start_asked: Start.
        cancel_asked: Cancel.
        blocker_asked: show what keeps the run from starting.
    """

    name_edited = Signal(str)
    start_asked = Signal()
    cancel_asked = Signal()
    blocker_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("newRunStart")
        self._line = QFrame()
        self._line.setFrameShape(QFrame.Shape.HLine)
        self._line.setForegroundRole(self._line.palette().ColorRole.Mid)
        self.blocker = ElidedLabel()
        self.blocker.setObjectName("blocker")
        self.show_button = QPushButton("Sho&w")
        self.show_button.setAccessibleName("Show what keeps the run from starting")
        self.show_button.clicked.connect(lambda: self.blocker_asked.emit())
        self.name = QLineEdit()
        self.name.setAccessibleName("Name of the run")
        self.name.setMaxLength(80)
        self.name.setMinimumWidth(90)
        self.name.textEdited.connect(self.name_edited)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Leave the form; what is filled in stays")
        self.cancel_button.setAccessibleName("Leave the form")
        self.start_button = QPushButton("&Start")
        self.cancel_button.clicked.connect(lambda: self.cancel_asked.emit())
        self.start_button.clicked.connect(lambda: self.start_asked.emit())
        self._blocked = QWidget()
        blocked = QHBoxLayout(self._blocked)
        blocked.setContentsMargins(0, 0, 0, 0)
        blocked.addWidget(self.blocker, 1)
        blocked.addWidget(self.show_button)
        label = QLabel("&Name")
        label.setBuddy(self.name)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(label)
        row.addWidget(self.name, 1)
        row.addWidget(self.cancel_button)
        row.addWidget(self.start_button)
        inside = QVBoxLayout()
        inside.setContentsMargins(8, 0, 8, 8)
        inside.setSpacing(6)
        inside.addWidget(self._blocked)
        inside.addLayout(row)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self._line)
        layout.addLayout(inside)
        self.set_blocker("")

    def set_blocker(self, sentence: str, can_show: bool = False) -> None:
        """Say why the run cannot start; it can when the sentence is empty.

        Args:
            sentence: why.
            can_show: there is a place to go to.
        """
        self._blocked.setVisible(bool(sentence))
        self.blocker.setText(f"⚠ {sentence}")
        self.show_button.setVisible(can_show)
        self.start_button.setEnabled(not sentence)
        self.start_button.setToolTip(
            plain_tip(f"Cannot start: {sentence}") if sentence else f"Start the run ({START_KEYS})"
        )
        self.start_button.setAccessibleDescription(sentence)

    def show_name(self, name: str, folder: Path | None) -> None:
        """Show the run's name, and in the tooltip where it goes."""
        if name != self.name.text():
            self.name.setText(name)
        tip = "The run gets a folder of this name"
        self.name.setToolTip(tip if folder is None else plain_tip(f"{tip}:\n{folder}"))

    @property
    def sentence(self) -> str:
        """Why the run cannot start."""
        text = self.blocker.text().removeprefix("⚠ ")
        return "" if self._blocked.isHidden() else text


def bold(text: str) -> QLabel:
    """Return a heading."""
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label
