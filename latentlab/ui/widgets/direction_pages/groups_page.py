"""The direction between two groups of pictures that a person picks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent, QShowEvent, QStandardItemModel
from PySide6.QtWidgets import QBoxLayout, QComboBox, QHBoxLayout, QLineEdit, QPushButton, QWidget

from latentlab.core.errors import LatentLabError
from latentlab.core.requests import Failure
from latentlab.ui.widgets.direction_pages.group_well import GroupWell
from latentlab.ui.widgets.direction_pages.labels_page import METHODS
from latentlab.ui.widgets.direction_pages.page import (
    LockedBox,
    Page,
    Tools,
    caption_label,
    named,
)

GROUP_METHODS = ("mean difference", "logistic", "linear svm")
MIN_EACH = 10
"""Pictures of each group from which on a classifier can be fitted."""
_WIDE = 520


class MethodBox(QComboBox):
    """Methods for groups; classifiers only where there are enough pictures."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Method")
        for key in GROUP_METHODS:
            self.addItem(METHODS[key][0], key)

    @property
    def method(self) -> str:
        """As ``fit_group_direction`` takes it."""
        return str(self.currentData())

    @property
    def explanation(self) -> str:
        """What the chosen method does."""
        return METHODS[self.method][1]

    def set_sizes(self, positive: int, negative: int) -> None:
        """Offer what groups of these sizes allow."""
        able = min(positive, negative) >= MIN_EACH
        model = self.model()
        assert isinstance(model, QStandardItemModel)
        for row in range(1, self.count()):
            model.item(row).setEnabled(able)
            why = "" if able else f"Needs {MIN_EACH} pictures in each group"
            self.setItemData(row, why, Qt.ItemDataRole.ToolTipRole)
        if not able:
            self.setCurrentIndex(0)


class GroupsPage(Page):
    """Pictures that show something, pictures that do not, and the direction between them.

    Signals:
        asked_for: something was put into a group from elsewhere: the page should be shown.
    """

    asked_for = Signal()

    def __init__(self, tools: Tools, parent: QWidget | None = None) -> None:
        super().__init__(tools, parent)
        self.setAccessibleName("Two groups")
        controller = self._controller
        self._map: Any = None
        self.positive = GroupWell(
            controller, "A: with it", "Drop pictures that show it here, or press Add."
        )
        self.negative = GroupWell(
            controller, "B: without", "Drop pictures without it here, or press Add."
        )
        self.swap_button = QPushButton("S&wap A and B")
        self.swap_button.setToolTip("The slider then goes the other way")
        self.swap_button.clicked.connect(self.swap)
        self.name_box = QLineEdit("my direction")
        self.name_box.setMaxLength(80)
        self.name_box.setAccessibleName("Name of the direction")
        self.method_box = MethodBox()
        self.explanation = caption_label()
        self.locked = LockedBox(controller)
        self.fit_button = QPushButton("&Fit the direction")
        self.fit_button.clicked.connect(self.fit)
        self._lay_out()
        self._connect()
        self._follow()

    def _lay_out(self) -> None:
        self._wells = QHBoxLayout()
        self._wells.setSpacing(8)
        self._wells.addWidget(self.positive, 1)
        self._wells.addWidget(self.negative, 1)
        self._wells.setAlignment(Qt.AlignmentFlag.AlignTop)
        line = QHBoxLayout()
        line.addLayout(named("&Name", self.name_box), 1)
        line.addWidget(self.swap_button)
        self.column.addLayout(self._wells)
        self.column.addLayout(line)
        self.column.addLayout(named("Me&thod", self.method_box))
        for widget in (self.explanation, self.locked, self.fit_button, self.jobs):
            self.column.addWidget(widget)

    def _connect(self) -> None:
        for well, other in (
            (self.positive, self.negative),
            (self.negative, self.positive),
        ):
            well.changed.connect(self._follow)
            # A picture cannot both show it and not.
            well.took.connect(other.model.discard)
        self.method_box.currentIndexChanged.connect(self._follow)
        self.jobs.changed.connect(self._follow)
        self._connect_map()

    def _connect_map(self) -> None:
        found = getattr(self._controller, "map_model", None)
        if found is not None and found is not self._map:
            self._map = found
            found.group_chosen.connect(self._take_group)

    def _take_group(self, side: str, path: str, points: Any) -> None:
        well = self.positive if side == "positive" else self.negative
        well.add_points(path, points)
        self.asked_for.emit()

    def follow_model(self) -> None:
        """Pictures of another model are of no use here."""
        for well in (self.positive, self.negative):
            well.model.set_entries(())
        self._follow()

    def swap(self) -> None:
        """Exchange the groups."""
        first, second = self.positive.model.entries, self.negative.model.entries
        self.positive.model.set_entries(second)
        self.negative.model.set_entries(first)

    def _objection(self) -> str:
        first, second = self.positive.model, self.negative.model
        if not first.size or not second.size:
            empty = "A" if not first.size else "B"
            return f"Put at least one picture into group {empty}."
        if first.path and second.path and first.path != second.path:
            return "The points of A and B are of two maps: choose both on one map."
        return ""

    def _follow(self, *_: object) -> None:
        first, second = self.positive.model.size, self.negative.model.size
        self.method_box.set_sizes(first, second)
        enough = min(first, second) >= MIN_EACH
        more = "" if enough else f" From {MIN_EACH} in each group on, its AUC can be told."
        self.explanation.setText(self.method_box.explanation + more)
        running = self.jobs.running
        objection = self._objection()
        self.fit_button.setEnabled(not objection and not running)
        self.fit_button.setText("Fitting…" if running else "&Fit the direction")
        self.fit_button.setToolTip(objection or "Find the way from B to A; nothing changes yet")
        self.swap_button.setEnabled(bool(first or second))

    def fit(self) -> None:
        """Fit the direction from B to A."""
        if not self.fit_button.isEnabled():
            return
        try:
            arguments = self._arguments()
        except LatentLabError as error:
            self.jobs.fail(Failure(error.message, error.details))
            return
        title = f"Fitting {arguments['name']}"
        self.jobs.run("fit_group_direction", title, arguments, self._tools.show)

    def _arguments(self) -> Mapping[str, Any]:
        first, second = self.positive.model, self.negative.model
        arguments: dict[str, Any] = {
            "model": self.model_id,
            "name": " ".join(self.name_box.text().split()) or "my direction",
            "positive": tuple(self.item(picture) for picture in first.pictures),
            "negative": tuple(self.item(picture) for picture in second.pictures),
            "method": self.method_box.method,
            "orthogonal_to": self.locked.directions(),
            "directions": self._controller.own_directions(*first.pictures, *second.pictures),
            **self.moving(),
        }
        path = first.path or second.path
        if path:
            arguments |= {
                "path": path,
                "positive_points": first.points,
                "negative_points": second.points,
            }
        return arguments

    # The layout.

    def showEvent(self, event: QShowEvent) -> None:
        """Follow a map that was opened later."""
        super().showEvent(event)
        self._connect_map()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the groups side by side where there is room."""
        super().resizeEvent(event)
        side = QBoxLayout.Direction
        wide = self.width() >= _WIDE
        self._wells.setDirection(side.LeftToRight if wide else side.TopToBottom)
