"""One dimension of the latent after another: what it does, and a slider of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QPushButton, QWidget

from latentlab.core.direction import Direction
from latentlab.core.parts import narrowed
from latentlab.core.points import PointSet
from latentlab.core.spec import LatentSpace
from latentlab.ui.widgets.direction_pages.direction_strip import DirectionStrip
from latentlab.ui.widgets.direction_pages.job_line import JobLine
from latentlab.ui.widgets.direction_pages.page import Tools, column_in, named
from latentlab.ui.widgets.quiet import QuietSlider, QuietSpinBox

_MOST_ROWS, _MOST_NUMBERS = 5000, 2**23
"""Points, and numbers, from which the deviations of the dimensions are read at most."""


def dimension_direction(
    space: LatentSpace, part: str, index: int, scale: float, fingerprint: str = ""
) -> Direction:
    """Return the direction of one dimension, as the job ``dimension_directions`` makes it.

    Args:
        space: of the latents.
        part: name of the part.
        index: place in the part, counted through all its axes.
        scale: its slider unit.
        fingerprint: of the weights.
    """
    one = space.part(part)
    flat = np.zeros(one.size, np.float32)
    flat[index] = 1
    vector = {part: flat.reshape(tuple(n or 1 for n in one.shape))}
    return Direction(f"{part}[{index}]", space.name, vector, scale, "dimension", fingerprint)


def part_deviations(points: PointSet, part: str) -> np.ndarray:
    """Return the deviation of each dimension of a part over the points, float64 ``(n,)``."""
    array = points.parts[part]
    width = max(1, int(np.prod(array.shape[1:])))
    step = max(1, -(-len(array) // max(2, min(_MOST_ROWS, _MOST_NUMBERS // width))))
    rows = np.asarray(array[::step], np.float64)
    return rows.reshape(len(rows), -1).std(axis=0)


class DimensionsSection(QWidget):
    """Walks through the dimensions of a part; the strip shows what one does.

    Args:
        tools: what a page works with.
        jobs: of the page.
    """

    def __init__(self, tools: Tools, jobs: JobLine, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = tools.controller
        self._chosen = tools.parts
        self._jobs = jobs
        self._points: PointSet | None = None
        self._path: str | None = None
        self._order = np.zeros(1, np.int64)
        self._deviations: np.ndarray | None = None
        self.part_box = QComboBox()
        self.part_box.setAccessibleName("Part of the latent")
        self.slider = QuietSlider()
        self.slider.setAccessibleName("Place in the order of dimensions")
        self.box = QuietSpinBox()
        self.box.setAccessibleName("Dimension")
        self.active_box = QCheckBox("M&ost active first")
        self.figure = QLabel()
        self.strip = DirectionStrip(self._controller, tools.base)
        self.add_button = QPushButton("Add sli&der")
        self.add_button.clicked.connect(self.add)
        self._lay_out()
        self._connect()
        self.follow_model()

    def _lay_out(self) -> None:
        heading = QLabel("Single dimensions")
        font = heading.font()
        font.setBold(True)
        heading.setFont(font)
        self._part_row = QWidget()
        column_in(self._part_row).addLayout(named("Pa&rt", self.part_box))
        line = QHBoxLayout()
        line.addLayout(named("D&imension", self.box))
        line.addWidget(self.slider, 1)
        foot = QHBoxLayout()
        foot.addWidget(self.figure, 1)
        foot.addWidget(self.add_button)
        column = column_in(self)
        column.addSpacing(4)
        for widget in (heading, self._part_row):
            column.addWidget(widget)
        column.addLayout(line)
        column.addWidget(self.active_box)
        column.addWidget(self.strip)
        column.addLayout(foot)

    def _connect(self) -> None:
        self.part_box.currentIndexChanged.connect(self._follow_part)
        self.active_box.toggled.connect(self._follow_part)
        self.slider.valueChanged.connect(self._slid)
        self.box.valueChanged.connect(self._show)
        self._chosen.changed.connect(self.follow_model)

    # What there is.

    @property
    def _space(self) -> LatentSpace | None:
        model = self._controller.model
        return None if model is None else narrowed(model.spec.space(), self._chosen.parts)

    def follow_model(self) -> None:
        """Offer the parts of the model."""
        space = self._space
        self.part_box.blockSignals(True)
        self.part_box.clear()
        for part in () if space is None else space.parts:
            if part.dtype == "float32":
                self.part_box.addItem(f"{part.name} ({part.size:,} dimensions)", part.name)
        self.part_box.blockSignals(False)
        self._part_row.setVisible(self.part_box.count() > 1)
        self.setVisible(self.part_box.count() > 0)
        self._follow_part()

    def set_points(self, points: PointSet | None, path: str | None) -> None:
        """Take the points whose deviation is the slider unit; ``None`` for none."""
        space = self._space
        if points is not None and (space is None or points.space != space.name):
            points, path = None, None
        if points is not self._points:
            self._points, self._path = points, path
            self._follow_part()

    @property
    def part(self) -> str:
        """Name of the part."""
        return str(self.part_box.currentData() or "")

    def _follow_part(self, *_: object) -> None:
        space, part = self._space, self.part
        # The map may tell of the next model before the parts of it are offered.
        if space is None or part not in {one.name for one in space.parts}:
            return
        size = space.part(part).size
        self._deviations = None if self._points is None else part_deviations(self._points, part)
        able = self._deviations is not None
        self.active_box.setEnabled(able)
        tip = "Those that vary most over the points of the map" if able else "Needs a map"
        self.active_box.setToolTip(tip)
        self._order = np.arange(size)
        if self._deviations is not None and self.active_box.isChecked():
            self._order = np.argsort(-self._deviations, kind="stable")
        self.slider.blockSignals(True)
        self.slider.setRange(0, size - 1)
        self.slider.setPageStep(max(1, size // 10))
        self.box.setRange(0, size - 1)
        self.slider.blockSignals(False)
        self._slid(self.slider.value())

    def _slid(self, place: int) -> None:
        """The slider walks through the order; the box says the dimension."""
        self.box.setValue(int(self._order[place]))
        self._show()

    def _show(self, *_: object) -> None:
        index = self.box.value()
        places = np.flatnonzero(self._order == index)
        if len(places):
            self.slider.blockSignals(True)
            self.slider.setValue(int(places[0]))
            self.slider.blockSignals(False)
        self.strip.set_direction(self.direction)
        known = self._deviations
        unit = 1.0 if known is None else float(known[index])
        said = f"1 σ = {unit:.3g} latent unit{'s' * (unit != 1)}"
        self.figure.setText(said)

    @property
    def direction(self) -> Direction | None:
        """The dimension that is shown; its unit is its deviation over the map, or else 1."""
        space, model = self._space, self._controller.model
        if space is None or not self.part:
            return None
        index = self.box.value()
        known = self._deviations
        scale = 1.0 if known is None else max(float(known[index]), 1e-6)
        return dimension_direction(space, self.part, index, scale, model.spec.fingerprint)

    def add(self) -> None:
        """Make the dimension a slider."""
        entry = self._controller.model_entry
        if entry is None:
            return
        arguments: dict[str, Any] = {
            "model": entry.id,
            "part": self.part,
            "indices": (self.box.value(),),
            "path": self._path,
        }
        title = f"{self.part}[{self.box.value()}]"
        self._jobs.run("dimension_directions", title, arguments, self._added)

    def _added(self, found: Any) -> None:
        for direction in found:
            names = self._controller.add_directions([direction], f"Add {direction.name}")
            if names:
                self._controller.message.emit(f"Added: {names[0]}", "")
