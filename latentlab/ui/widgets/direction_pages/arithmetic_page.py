"""Vector arithmetic on three pictures: A - B + C, live."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QWidget

from latentlab.core.document import Document, Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.requests import Failure
from latentlab.ui.widgets.direction_pages.page import Page, Tools, caption_label, named
from latentlab.ui.widgets.direction_pages.picture_well import PictureTile, PictureWell
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.quiet import QuietDoubleSpinBox, QuietSlider
from latentlab.ui.widgets.tray_model import tray_name

LABEL = "A - B + C"
"""How the controller's steps of the history begin."""
REACH = 3.0
_STEPS = 100
_SYMBOL = 8
"""Least logical pixels of a sign between two pictures."""
_TEACH = (
    "Take what A has and B has not, and give it to C: the face with glasses, minus the same face "
    "without, plus another one. Drop three kept pictures here, or press Enter on a place. The "
    "result stands on the canvas as soon as all three are there."
)


class ArithmeticPage(Page):
    """Three places, a weight, and the result on the canvas."""

    def __init__(self, tools: Tools, parent: QWidget | None = None) -> None:
        super().__init__(tools, parent)
        self.setAccessibleName("Arithmetic")
        controller = self._controller
        self.wells = {title: PictureWell(controller, title) for title in "ABC"}
        self.result = PictureTile(controller, "Result", named=False)
        self.slider = QuietSlider()
        self.slider.setRange(round(-REACH * _STEPS), round(REACH * _STEPS))
        self.slider.setSingleStep(_STEPS // 10)
        self.slider.setPageStep(_STEPS // 2)
        self.slider.setValue(_STEPS)
        self.slider.setAccessibleName("Weight of A minus B")
        self.box = QuietDoubleSpinBox()
        self.box.setRange(-REACH, REACH)
        self.box.setSingleStep(0.1)
        self.box.setValue(1.0)
        self.box.setAccessibleName("Weight as a number")
        self.formula = caption_label()
        self.note = caption_label()
        self.note.hide()
        self.teach = caption_label(_TEACH)
        self.swap_ab = QPushButton("A ⇄ B")
        self.swap_ab.setToolTip("Exchange A and B")
        self.swap_bc = QPushButton("B ⇄ C")
        self.swap_bc.setToolTip("Exchange B and C")
        self.keep_button = QPushButton("&Keep")
        self.keep_button.setToolTip("Keep the result in the tray")
        self.name_box = QLineEdit(placeholderText="A minus B")
        self.name_box.setMaxLength(80)
        self.name_box.setAccessibleName("Name of the slider")
        self.make_button = QPushButton("&Make a slider from A − B")
        self._symbols: list[QLabel] = []
        self._lay_out()
        self._connect()
        self._follow()

    def _lay_out(self) -> None:
        self._line = QHBoxLayout()
        self._line.setSpacing(0)
        for title, symbol in zip("ABC", "−+="):
            self._line.addWidget(self.wells[title])
            label = QLabel(symbol)
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setMinimumWidth(_SYMBOL)
            font = label.font()
            font.setBold(True)
            label.setFont(font)
            self._symbols.append(label)
            self._line.addWidget(label, 1)
        self._line.addWidget(self.result)
        weight = QHBoxLayout()
        weight.addLayout(named("&Weight", self.slider), 1)
        weight.addWidget(self.box)
        buttons = FlowLayout()
        for button in (self.swap_ab, self.swap_bc, self.keep_button):
            buttons.addWidget(button)
        self.column.addLayout(self._line)
        self.column.addWidget(self.note)
        self.column.addLayout(weight)
        self.column.addWidget(self.formula)
        self.column.addLayout(buttons)
        self.column.addWidget(self.teach)
        self.column.addLayout(named("&Name", self.name_box))
        self.column.addWidget(self.make_button)
        self.column.addWidget(self.jobs)

    def _connect(self) -> None:
        for well in self.wells.values():
            well.changed.connect(self._combine)
            well.refused.connect(self._say)
        self.slider.valueChanged.connect(lambda step: self.box.setValue(step / _STEPS))
        self.slider.sliderReleased.connect(self._controller.end_merge)
        self.box.valueChanged.connect(self._weigh)
        self.swap_ab.clicked.connect(lambda: self.swap("A", "B"))
        self.swap_bc.clicked.connect(lambda: self.swap("B", "C"))
        self.keep_button.clicked.connect(self._keep)
        self.make_button.clicked.connect(self.make)
        self.name_box.returnPressed.connect(self.make)
        self.jobs.changed.connect(self._follow)
        self._controller.document_changed.connect(self._follow_result)
        self._tools.parts.changed.connect(self._move_others)

    # The result.

    @property
    def weight(self) -> float:
        """On A minus B."""
        return self.box.value()

    @property
    def _items(self) -> tuple[str, str, str]:
        a, b, c = (self.wells[title].item for title in "ABC")
        return a, b, c

    def _weigh(self, value: float) -> None:
        self.slider.blockSignals(True)
        self.slider.setValue(round(value * _STEPS))
        self.slider.blockSignals(False)
        self._combine()
        if not self.slider.isSliderDown():
            self._controller.end_merge()

    def _move_others(self) -> None:
        """Other parts are chosen: what is on the canvas is of the ones before."""
        if self.isVisible() and self.result.picture is not None:
            self._combine()

    def _combine(self) -> None:
        """Show the result on the canvas, once all three pictures are there."""
        self._say("")
        self._follow()
        if all(self._items):
            self._controller.combine(*self._items, weight=self.weight, parts=self.parts)
        else:
            self.result.set_picture(None)

    def _follow_result(self, document: Document) -> None:
        """The step of the history says whether the canvas shows the result."""
        history = self._controller.history
        label = history.entries[history.index].label
        if label.startswith(LABEL) and all(self._items):
            self.result.set_picture(document.canvas)
            self._follow()

    def swap(self, first: str, second: str) -> None:
        """Exchange two pictures."""
        a, b = self.wells[first], self.wells[second]
        one, other = a.item, b.item
        # Both at once: in between, the result would be of nobody's wish.
        for well in (a, b):
            well.blockSignals(True)
        a.set_item(other)
        b.set_item(one)
        for well in (a, b):
            well.blockSignals(False)
        self._combine()

    def _keep(self) -> None:
        if self.result.picture is not None:
            self._controller.keep_picture(self.result.picture)

    # A slider.

    def _objection(self) -> str:
        pair = [self.wells[title].picture for title in "AB"]
        if None in pair:
            return "Put pictures into A and B first."
        if any(one is not None and one.model != self.model_id for one in pair):
            return "A and B must be of the model that is open."
        return ""

    def make(self) -> None:
        """Make the direction from B to A."""
        a, b = self.wells["A"].picture, self.wells["B"].picture
        if self._objection() or a is None or b is None:
            return
        name = " ".join(self.name_box.text().split()) or _difference_name(a, b)
        try:
            arguments: dict[str, Any] = {
                "model": self.model_id,
                "name": name,
                "start": self.item(b),
                "end": self.item(a),
                "directions": self._controller.own_directions(a, b),
                **self.moving(),
            }
        except LatentLabError as error:
            self.jobs.fail(Failure(error.message, error.details))
            return
        self.jobs.run("difference_direction", f"From B to A: {name}", arguments, self._tools.show)

    # Following.

    def _say(self, sentence: str) -> None:
        self.note.setText(f"⚠ {sentence}")
        self.note.setVisible(bool(sentence))

    def _follow(self, *_: object) -> None:
        ready = all(self._items)
        weight = f"{self.weight:+.2f}".replace("-", "−")
        self.formula.setText(
            "A − B + C" if self.weight == 1 else f"C {weight[0]} {weight[1:]} × (A − B)"
        )
        for widget in (self.slider, self.box):
            widget.setEnabled(ready)
        self.teach.setVisible(not ready)
        self.formula.setVisible(ready)
        self.keep_button.setEnabled(self.result.picture is not None)
        self.swap_ab.setEnabled(any(self.wells[title].item for title in "AB"))
        self.swap_bc.setEnabled(any(self.wells[title].item for title in "BC"))
        objection = self._objection()
        self.make_button.setEnabled(not objection and not self.jobs.running)
        self.make_button.setToolTip(objection or "The way from B to A becomes a slider")

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Make the pictures as large as the width has room for."""
        super().resizeEvent(event)
        room = (self.width() - 3 * _SYMBOL) // 4 - 2
        side = 128 if room >= 128 else min(room, 64 if room < 96 else 96)
        for tile in (*self.wells.values(), self.result):
            tile.set_side(max(44, side))

    def minimumSizeHint(self) -> Any:
        """Four small pictures side by side."""
        hint = super().minimumSizeHint()
        hint.setWidth(min(hint.width(), 4 * 48 + 64))
        return hint


def _difference_name(a: Picture, b: Picture) -> str:
    return f"{tray_name(a)} minus {tray_name(b)}"
