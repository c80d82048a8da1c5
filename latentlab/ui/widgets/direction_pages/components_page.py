"""Directions without labels: principal components, and single dimensions."""

from __future__ import annotations

import math
from typing import Any

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QRect, Qt
from PySide6.QtGui import QPainter, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from latentlab.core.direction import Direction
from latentlab.core.points import PRIOR
from latentlab.ui.map_pictures import source_title
from latentlab.ui.widgets.direction_pages.dimensions import DimensionsSection
from latentlab.ui.widgets.direction_pages.direction_strip import DirectionStrip
from latentlab.ui.widgets.direction_pages.label_tree import fit_rows, show_boxes
from latentlab.ui.widgets.direction_pages.page import Page, Tools, caption_label, named
from latentlab.ui.widgets.quiet import QuietSpinBox

PRIOR_COUNT = 2000
COUNT = 10
MOST_COMPONENTS = 64
_MAP, _SAMPLES = "map", "samples"
_TEACH = (
    "The ways in which images differ most: each is a slider that nobody named. Look at what it "
    "does, and keep what is of use."
)
_EVEN = (
    "⚠ These points vary nearly alike in every way, so that no component stands out. Map the "
    "images of a data set and choose its points above."
)
_EVEN_SHARE = 2.5
"""With the largest component below so many times an even share, none stands out."""
_SHARE_ROLE = Qt.ItemDataRole.UserRole + 1


class _ShareDelegate(QStyledItemDelegate):
    """Draws a share of the variance as a bar with its number."""

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Paint the bar behind the number."""
        super().paint(painter, option, index)
        share, largest = index.data(_SHARE_ROLE) or (0.0, 1.0)
        metrics = option.fontMetrics
        text = metrics.horizontalAdvance("00.0 %") + 12
        room = option.rect.adjusted(4, 3, -text, -3)
        width = round(room.width() * share / largest) if largest > 0 else 0
        bar = QRect(room.left(), room.top(), max(1, width), room.height())
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        palette = option.palette
        painter.fillRect(bar, palette.highlightedText() if chosen else palette.highlight())


class ComponentsPage(Page):
    """Axes along which the points vary most, and each dimension of the latent by itself."""

    def __init__(self, tools: Tools, parent: QWidget | None = None) -> None:
        super().__init__(tools, parent)
        self.setAccessibleName("Components and dimensions")
        controller = self._controller
        self._found: tuple[Direction, ...] = ()
        self._chosen = _MAP
        self.source_box = QComboBox()
        self.source_box.setAccessibleName("Points")
        self.count_box = QuietSpinBox()
        self.count_box.setRange(1, MOST_COMPONENTS)
        self.count_box.setValue(COUNT)
        self.count_box.setAccessibleName("Number of components")
        self.find_button = QPushButton("Find &components")
        self.find_button.clicked.connect(self.find)
        self.list = QTreeWidget()
        self.strip = DirectionStrip(controller, tools.base)
        self.add_button = QPushButton("&Add checked")
        self.add_button.setToolTip("Make the checked components sliders; one step of the history")
        self.add_button.clicked.connect(self.add)
        self.dimensions = DimensionsSection(tools, self.jobs, self)
        self._lay_out()
        self._connect()
        self._follow()

    def _lay_out(self) -> None:
        self.list.setAccessibleName("Principal components")
        self.list.setHeaderLabels(["Component", "Share of the variance"])
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setItemDelegateForColumn(1, _ShareDelegate(self.list))
        header = self.list.header()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        show_boxes(self.list, self.palette())
        heading = QLabel("Principal components")
        font = heading.font()
        font.setBold(True)
        heading.setFont(font)
        self._teach = caption_label(_TEACH)
        line = QHBoxLayout()
        line.addLayout(named("&Number", self.count_box), 1)
        line.addWidget(self.find_button)
        for widget in (heading, self._teach):
            self.column.addWidget(widget)
        self.column.addLayout(named("&Points", self.source_box))
        self.column.addLayout(line)
        self.column.addWidget(self.jobs)
        self.column.addWidget(self.list)
        self.column.addWidget(self.strip)
        self.column.addWidget(self.add_button)
        self.column.addWidget(self.dimensions)

    def _connect(self) -> None:
        self.source_box.activated.connect(self._choose)
        self.list.currentItemChanged.connect(lambda item, _old: self._show(item))
        self.list.itemChanged.connect(self._follow)
        self.jobs.changed.connect(self._follow)
        self._mapped: Any = None
        self._connect_map()

    def _connect_map(self) -> None:
        found = getattr(self._controller, "map_model", None)
        if found is not None and found is not self._mapped:
            self._mapped = found
            found.points_changed.connect(self._follow_map)
        self._follow_map()

    def showEvent(self, event: QShowEvent) -> None:
        """Follow a map that was opened later."""
        super().showEvent(event)
        self._connect_map()

    def _choose(self, _row: int) -> None:
        self._chosen = str(self.source_box.currentData())

    def _follow_map(self) -> None:
        """Offer the points that the map shows now."""
        self.source_box.clear()
        points = None if self._mapped is None else self._mapped.points
        if points is not None:
            title = f"The map: {len(points):,} points of {source_title(points)}"
            self.source_box.addItem(title, _MAP)
        self.source_box.addItem(f"{PRIOR_COUNT:,} samples of the prior", _SAMPLES)
        # The map, unless the person chose otherwise.
        self.source_box.setCurrentIndex(max(0, self.source_box.findData(self._chosen)))
        path = self._map_path()
        self.dimensions.set_points(None if path is None else points, path)

    def _map_path(self) -> str | None:
        here = self._mapped is not None and self._mapped.points is not None
        return str(self._mapped.path) if here and self._mapped.path else None

    def changeEvent(self, event: QEvent) -> None:
        """Keep the boxes visible on dark ground."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            show_boxes(self.list, self.palette())

    def follow_model(self) -> None:
        """Components are of one model."""
        self._take(())
        self.dimensions.follow_model()

    # Components.

    def find(self) -> None:
        """Look for the principal components of the points."""
        path = self._map_path()
        if self.source_box.currentData() == _MAP and path is not None:
            self._components_of(path)
            return
        arguments = {"model": self.model_id, "source": PRIOR, "count": PRIOR_COUNT}
        self.jobs.run(
            "map_points",
            "Sampling the prior",
            arguments,
            lambda ready: self._components_of(str(ready.path)),
        )

    def _components_of(self, path: str) -> None:
        space = self.space
        most = MOST_COMPONENTS if space is None else min(MOST_COMPONENTS, space.size)
        arguments = {
            "model": self.model_id,
            "path": path,
            "count": min(self.count_box.value(), most),
            **self.moving(),
        }
        title = "Principal components"
        self.jobs.run("principal_component_directions", title, arguments, self._take)

    def _take(self, found: Any) -> None:
        """Show components, the largest first."""
        self._found = tuple(found)
        shares = [float(one.provenance.get("share", 0.0)) for one in self._found]
        self.list.blockSignals(True)
        self.list.clear()
        for one, share in zip(self._found, shares):
            item = QTreeWidgetItem(self.list, [one.name, f"{100 * share:.1f} %"])
            item.setData(1, _SHARE_ROLE, (share, max(shares)))
            item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(0, Qt.CheckState.Unchecked)
        self.list.blockSignals(False)
        fit_rows(self.list, 8)
        if self._found:
            self.list.setCurrentItem(self.list.topLevelItem(0))
            self._show(self.list.topLevelItem(0))
        self._follow()

    def _show(self, item: QTreeWidgetItem | None) -> None:
        row = -1 if item is None else self.list.indexOfTopLevelItem(item)
        self.strip.set_direction(self._found[row] if 0 <= row < len(self._found) else None)

    @property
    def _even(self) -> bool:
        """Whether the points vary nearly alike in every way, as an N(0, 1) prior does."""
        space = self.space
        if space is None or space.size <= 8 or not self._found:
            return False
        known = self._found[0].provenance
        count = int(known.get("count") or 10**9)
        # Fewer points than dimensions vary more along some axis by chance alone: the upper edge of
        # Marchenko and Pastur 1967.
        chance = (1 + math.sqrt(space.size / count)) ** 2
        return float(known.get("share", 1.0)) * space.size < max(_EVEN_SHARE, 1.2 * chance)

    @property
    def checked(self) -> list[Direction]:
        """The components that are to become sliders."""
        on = Qt.CheckState.Checked
        items = [self.list.topLevelItem(row) for row in range(self.list.topLevelItemCount())]
        return [one for one, item in zip(self._found, items) if item.checkState(0) == on]

    def add(self) -> None:
        """Make the checked components sliders."""
        chosen = self.checked
        names = self._controller.add_directions(chosen, f"Add {_counted(len(chosen))}")
        if names:
            self._controller.message.emit(f"Added: {', '.join(names)}", "")
            for row in range(self.list.topLevelItemCount()):
                self.list.topLevelItem(row).setCheckState(0, Qt.CheckState.Unchecked)

    def _follow(self, *_: object) -> None:
        shown = bool(self._found)
        for widget in (self.list, self.strip, self.add_button):
            widget.setVisible(shown)
        self._teach.setText(_EVEN if shown and self._even else _TEACH)
        self._teach.setVisible(not shown or self._even)
        running = self.jobs.running
        self.find_button.setEnabled(not running and self._controller.model is not None)
        count = len(self.checked)
        self.add_button.setEnabled(count > 0)
        self.add_button.setText(f"&Add {_counted(count)}" if count else "&Add checked")


def _counted(count: int) -> str:
    return f"{count} component{'s' * (count != 1)}"
