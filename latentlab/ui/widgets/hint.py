"""The first steps: four things to try, ticked off as they are done."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QWidget

from latentlab.core.document import Document
from latentlab.ui.icons import icon
from latentlab.ui.widgets.flow_layout import FlowLayout

STEPS: tuple[tuple[str, str], ...] = (
    ("map", "Click the map"),
    ("edit", "Drag a slider"),
    ("keep", "Keep one: K"),
    ("photo", "Drop a photo"),
)
"""Name and words of each step, in order."""


class HintBar(QWidget):
    """One line above the canvas; it goes for good when it is dismissed.

    Args:
        controller: of the window.

    Signals:
        dismissed: the person closed it.
    """

    dismissed = Signal()

    def __init__(self, controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("First steps")
        self._controller = controller
        self.done: set[str] = set()
        self._labels: dict[str, QLabel] = {}
        steps = QWidget()
        flow = FlowLayout(steps, spacing=12)
        flow.setContentsMargins(0, 0, 0, 0)
        for name, _ in STEPS:
            self._labels[name] = QLabel()
            flow.addWidget(self._labels[name])
        self.close_button = QToolButton()
        self.close_button.setAutoRaise(True)
        self.close_button.setAccessibleName("Dismiss the first steps")
        self.close_button.setToolTip("Dismiss; Help > First steps brings them back")
        self.close_button.clicked.connect(self.dismissed)
        for label in self._labels.values():
            # In one line with the button, whose height is the bar's.
            label.setMinimumHeight(self.close_button.sizeHint().height())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 4)
        layout.addWidget(steps, 1)
        layout.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        controller.document_changed.connect(self._follow)
        self.recolour()
        self._show_steps()

    def recolour(self) -> None:
        """Draw the icon anew, for another palette."""
        self.close_button.setIcon(icon("close", self.palette()))

    def _follow(self, document: Document) -> None:
        history = self._controller.history
        canvas = document.canvas
        found = {
            "map": history.entries[history.index].label.endswith("the map"),
            "edit": canvas is not None and bool(canvas.edits),
            "keep": bool(document.tray),
            "photo": canvas is not None and canvas.photo is not None,
        }
        new = {name for name, done in found.items() if done} - self.done
        if new:
            self.done |= new
            self._show_steps()

    def _show_steps(self) -> None:
        for number, (name, words) in enumerate(STEPS, start=1):
            sign = "✓" if name in self.done else f"{number}."
            self._labels[name].setText(f"{sign} {words}")
            self._labels[name].setEnabled(name not in self.done)
