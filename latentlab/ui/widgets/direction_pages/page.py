"""What every page of the directions panel is given, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from latentlab.core.direction import Direction
from latentlab.core.document import Picture
from latentlab.core.latents import Latents
from latentlab.core.parts import narrowed
from latentlab.core.spec import LatentSpace
from latentlab.ui.widgets.direction_pages.canvas_latents import CanvasLatents
from latentlab.ui.widgets.direction_pages.job_line import JobLine
from latentlab.ui.widgets.direction_pages.parts_chooser import PartsChooser

Show = Callable[[Sequence[Direction]], None]
Item = tuple[Picture, Latents | None]


@dataclass(frozen=True, eq=False)
class Tools:
    """What a page works with.

    Attributes:
        controller: of the window.
        base: the image that strips move.
        show: shows directions that were found.
        parts: of the latent, that new directions move.
    """

    controller: Any
    base: CanvasLatents
    show: Show
    parts: PartsChooser


class Page(QWidget):
    """One way to make a direction: a column of controls and the line of its job.

    Args:
        tools: what it works with.
    """

    def __init__(self, tools: Tools, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tools = tools
        self._controller = tools.controller
        self.jobs = JobLine(tools.controller)
        self._fingerprint = ""
        self.column = column_in(self)
        self._controller.model_changed.connect(self._model_changed)

    def _model_changed(self, *_: object) -> None:
        mark = self._controller.model_mark
        if mark != self._fingerprint:
            self._fingerprint = mark
            self.jobs.stop()
            self.jobs.forget()
            self.follow_model()

    def begin(self) -> None:
        """The page was asked for: take the keys, if it has a place for them."""

    def follow_model(self) -> None:
        """Take another model; jobs on the old one were stopped."""

    @property
    def model_id(self) -> str:
        """Id of the model in the library; empty without one."""
        entry = self._controller.model_entry
        return "" if entry is None else entry.id

    @property
    def space(self) -> LatentSpace | None:
        """The space of the model that directions are found in, cut down to the chosen parts."""
        model = self._controller.model
        return None if model is None else narrowed(model.spec.space(), self.parts)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that new directions move; none for all."""
        return self._tools.parts.parts

    def moving(self) -> dict[str, Any]:
        """Return the argument of a job that says what the new directions move."""
        return {"parts": self.parts} if self.parts else {}

    def item(self, picture: Picture) -> Item:
        """Return a picture as jobs take it; ``LatentLabError`` if its latents are gone."""
        return picture, self._controller.store.latents(picture)


class LockedBox(QWidget):
    """Whether the new direction is made orthogonal to those that are locked.

    Args:
        controller: of the window.
    """

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.box = QCheckBox()
        self.box.setChecked(True)
        self.names = caption_label()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.box)
        layout.addWidget(self.names)
        controller.directions_changed.connect(self._follow)
        self._follow()

    def _follow(self) -> None:
        locked = self._controller.locked
        count = len(locked)
        self.box.setEnabled(count > 0)
        self.box.setText(f"Keep &orthogonal to locked ({count})")
        titles = ", ".join(self._controller.title_of(name) for name in locked)
        self.names.setText(titles)
        self.names.setVisible(bool(locked))
        self.box.setToolTip(
            f"The new slider leaves these alone: {titles}"
            if locked
            else "Lock a slider in the panel Attributes first (its menu, or L on it)"
        )

    def directions(self) -> tuple[Direction, ...]:
        """Return the directions that the new one leaves alone."""
        if not self.box.isChecked():
            return ()
        known = self._controller.directions
        return tuple(known[name] for name in self._controller.locked)


def column_in(widget: QWidget) -> QVBoxLayout:
    """Give a widget a column without margins, and return it."""
    column = QVBoxLayout(widget)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(8)
    return column


def caption_label(text: str = "") -> QLabel:
    """Return a label of plain text that breaks its lines."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def named(text: str, *widgets: QWidget) -> QHBoxLayout:
    """Return a line: a label with a mnemonic, and what it names."""
    label = QLabel(text)
    label.setBuddy(widgets[0])
    # A mnemonic parts a kerned pair ("Ta"), which makes the text wider than its hint.
    label.setMinimumWidth(label.sizeHint().width() + 3)
    row = QHBoxLayout()
    row.setSpacing(6)
    row.addWidget(label)
    for place, widget in enumerate(widgets):
        row.addWidget(widget, int(place == 0))
    return row
