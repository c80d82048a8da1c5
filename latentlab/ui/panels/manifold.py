"""The manifold panel: a latent space as a map to look at, choose from and steer through."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QMenu,
    QScrollArea,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.document import Picture
from latentlab.core.requests import Failure
from latentlab.ui.edits import readable
from latentlab.ui.map_layouts import THREE, TITLES
from latentlab.ui.map_model import MapModel
from latentlab.ui.map_pointer import MapPointer
from latentlab.ui.widgets.image_mime import dropped_files
from latentlab.ui.widgets.label_colours import colours_of
from latentlab.ui.widgets.map_empty import MapEmpty
from latentlab.ui.widgets.map_files import MapFiles
from latentlab.ui.widgets.map_glide import Glide
from latentlab.ui.widgets.map_hand import MapHand
from latentlab.ui.widgets.map_legend import MapLegend
from latentlab.ui.widgets.map_menu import point_menu, use_as
from latentlab.ui.widgets.map_note import MapNote
from latentlab.ui.widgets.map_source_bar import MapSourceBar
from latentlab.ui.widgets.map_tools import MapTools
from latentlab.ui.widgets.notes import ErrorNote
from latentlab.ui.widgets.picture_menu import show_menu
from latentlab.ui.widgets.plane_tiles import PlaneTiles
from latentlab.ui.widgets.point_map import PointMap
from latentlab.ui.widgets.selection_strip import SelectionStrip

_HIGH, _ANY = 600, 16_777_215
_WIDE = 640
"""From this width on the legend stands beside the map."""
_NO_PLANE = "Only a plane has a latent everywhere: choose PCA, two directions or three pictures."


class ManifoldPanel(QWidget):
    """The map of the current model.

    Args:
        controller: of the window.
    """

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Manifold")
        self.setAcceptDrops(True)
        self._controller = controller
        self.model = MapModel(controller, self)
        self.pointer = MapPointer(controller, self.model, self)
        self.tiles = PlaneTiles(controller, self.model.picture_of, parent=self)
        self.map = PointMap()
        self.legend = MapLegend()
        self.bar = MapSourceBar(controller, self.model)
        self.files = MapFiles(controller, self.model, self.map, self)
        self.tools = MapTools(self.files.menu(self))
        self.note = MapNote()
        self.strip = SelectionStrip(controller, self.pointer)
        self.strip.hide()
        self._renewed = False
        self._glide = Glide(self.map, self)
        self._colours: tuple[Any, Any] = ((), ())
        shows_points = self.tools.layers["points"].isChecked
        self.hand = MapHand(self.map, self.model, self.pointer, shows_points, self)
        self.card = self.hand.card
        self._build()
        self._connect()
        self.model.follow_model()

    def _build(self) -> None:
        self.error = ErrorNote()
        self.empty = MapEmpty(self._begin)
        self.legend_area = QScrollArea()
        self.legend_area.setFrameShape(QFrame.Shape.NoFrame)
        self.legend_area.setWidgetResizable(True)
        self.legend_area.setWidget(self.legend)
        page = QWidget()
        self._beside = QBoxLayout(QBoxLayout.Direction.TopToBottom, page)
        self._beside.setContentsMargins(8, 0, 8, 0)
        self._beside.setSpacing(4)
        self._beside.addWidget(self.map, 1)
        self._beside.addWidget(self.legend_area)
        pages = QWidget()
        self._stack = QStackedLayout(pages)
        for widget in (page, self.empty, self.error):
            self._stack.addWidget(widget)
        self._page = page
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 4)
        layout.setSpacing(0)
        for widget in (self.bar, self.tools, self.note):
            layout.addWidget(widget)
        layout.addWidget(pages, 1)
        layout.addWidget(self.strip)

    def _connect(self) -> None:
        controller, model, point_map = self._controller, self.model, self.map
        model.points_changed.connect(self._show_points)
        model.points_renewed.connect(self._show_renewed)
        model.weights_of.changed.connect(self._say)
        self.note.again_asked.connect(model.weights_of.refresh)
        controller.model_reloaded.connect(self.tiles.refresh)
        model.layout_changed.connect(self._show_layout)
        model.colour_changed.connect(self._show_colours)
        model.shown_changed.connect(self._show_shown)
        model.selection_changed.connect(self._show_selection)
        model.neighbours_found.connect(self._show_neighbours)
        model.failed.connect(self._show_failure)
        model.jobs.changed.connect(self._say)
        for work in (model.background, model.reading):
            work.changed.connect(self._say)
        self.legend.shown_changed.connect(model.show_classes)
        point_map.selection_changed.connect(model.select)
        point_map.menu_asked.connect(self._open_menu)
        self.pointer.marker_changed.connect(point_map.set_marker)
        self.tiles.changed.connect(point_map.update)
        self.tiles.failed.connect(self.note.show_failure)
        self.tools.tool_chosen.connect(point_map.set_tool)
        self.tools.layer_toggled.connect(self._toggle)
        self.tools.fit_asked.connect(point_map.fit_view)
        self._connect_strip()
        controller.document_changed.connect(self._follow_condition)
        controller.picture_used.connect(self._use_picture)
        self._conditioned = self._condition()

    def _connect_strip(self) -> None:
        strip = self.strip
        strip.keep_asked.connect(lambda: self.pointer.keep_points(strip.model.points))
        strip.names_asked.connect(lambda: self.files.save_names(strip.model.points))
        strip.isolate_asked.connect(self._isolate)
        strip.group_asked.connect(self._use_as_group)
        strip.closed.connect(self._close_strip)
        strip.menu_asked.connect(self._open_menu)
        strip.filled.connect(self._arrange)

    # What the model says.

    def _show_points(self) -> None:
        self._glide.stop()
        self.hand.leave()
        self.strip.show_points(None, self.model.selection)
        self.tiles.set_plane(None)
        self._stack.setCurrentWidget(self.empty if self.model.points is None else self._page)
        self._say()

    def _show_renewed(self) -> None:
        """The same points, of other weights: what is selected stays selected."""
        self._renewed = True
        self.strip.show_points(self.model.points, self.model.selection)
        self._say()

    def _show_layout(self, glide: bool) -> None:
        placed = self.model.placed
        if placed is not None:
            self._stack.setCurrentWidget(self._page)
            animated = glide and self._controller.settings.animation
            self._glide.go(placed.coordinates, animated, placed.index)
            self._paint_colours()
            self.map.set_axis_labels(placed.x_label, placed.y_label)
        plane = self.model.plane
        self.tools.set_plane(plane is not None, _NO_PLANE)
        self._show_tiles(keep=self._renewed and glide)
        self._renewed = False
        self._say()

    def _show_colours(self) -> None:
        points = self.model.points
        count = 0 if points is None else len(points)
        column = self.model.column
        if column is not None:
            column = dataclasses.replace(column, name=readable(column.name))
        rgb, items = colours_of(column, count)
        self._colours = (rgb, items.shapes)
        self.legend.set_items(items)
        self._arrange()
        self._paint_colours()

    def _paint_colours(self) -> None:
        points = self.model.points
        if points is not None and self.map.count == len(points) == len(self._colours[0]):
            self.map.set_colours(*self._colours)
            self.map.set_shown(self.model.shown)

    def _show_shown(self) -> None:
        if self.model.points is not None and self.map.count == len(self.model.points):
            self.map.set_shown(self.model.shown)
        self.strip.set_isolated(self.model.isolated is not None)

    def _show_selection(self, points: np.ndarray) -> None:
        self.map.set_selection(points)
        self.strip.show_points(self.model.points, points)
        self.strip.set_isolated(self.model.isolated is not None)

    def _show_neighbours(self, found: Any) -> None:
        points = self.model.points
        if points is not None:
            where = self.model.parts_title or "latent space"
            how = (
                "by pixels" if found.metric == "pixel" else f"in the {where[0].lower()}{where[1:]}"
            )
            title = f"{len(found.points)} nearest {how}, with their distance"
            self.model.select(np.sort(found.points))  # so that the map shows where they lie
            self.strip.show_points(points, found.points, found.distances, title)

    def _show_failure(self, failure: Failure | None) -> None:
        if failure is not None and self.model.placed is None:
            self.error.show_failure(failure)
            self._stack.setCurrentWidget(self.error)
        else:
            self.note.show_failure(failure)
            shows_error = self._stack.currentWidget() is self.error
            if shows_error:
                has_map = self.model.placed is not None
                self._stack.setCurrentWidget(self._page if has_map else self.empty)

    def _say(self) -> None:
        """Say what is under way, and what an empty map needs."""
        model, choice = self.model, self.model.choice
        jobs = [job.title for job in model.jobs.running]
        jobs += [work.title for work in (model.background, model.reading) if work.title]
        text = ""
        if jobs:
            text = f"{jobs[-1]}…"
            if model.jobs.runs("map_layout") and model.placed is not None:
                text += f" {TITLES[model.placed.choice.method]} is shown meanwhile."
        elif choice is not None and choice.method == THREE and model.three.missing:
            missing = ", ".join(model.three.missing)
            text = f"Choose kept pictures for {missing}: keep some with K, then choose them here."
        self.note.say(text)
        self.note.say_age(model.weights_of.sentence, model.jobs.runs("map_points"))
        self.empty.follow(self._controller.model, model.jobs.runs("map_points"))

    def _begin(self) -> None:
        if self.empty.can_sample:
            self.model.map_source()
        else:
            self.bar.open_source()

    # Layers and tools.

    def _toggle(self, layer: str, on: bool) -> None:
        if layer == "density":
            self.map.set_density(on)
        elif layer == "points":
            self.map.set_points_visible(on)
        else:
            self._show_tiles()

    def _show_tiles(self, keep: bool = False) -> None:
        on = self.tools.layers["tiles"].isChecked() and self.model.plane is not None
        self.tiles.set_plane(self.model.plane if on else None, keep)
        self.map.set_tiles(self.tiles if on else None)

    def _condition(self) -> tuple[Any, ...]:
        canvas = self._controller.document.canvas
        return () if canvas is None else (canvas.model, canvas.condition, canvas.options)

    def _follow_condition(self, *_: object) -> None:
        """Decode the tiles anew when the canvas is conditioned otherwise."""
        if self._condition() != self._conditioned:
            self._conditioned = self._condition()
            self.tiles.forget()

    def _use_picture(self, panel: str, slot: str, picture: Picture) -> None:
        if panel == "manifold":
            use_as(self._controller, self.model, slot, picture)

    # The strip.

    def _isolate(self) -> None:
        if self.model.isolated is not None:
            self.model.show_all()
            return
        self.model.select(np.sort(self.strip.model.points))
        self.model.isolate()

    def _use_as_group(self, side: str) -> None:
        self.model.select(np.sort(self.strip.model.points))
        self.model.choose_group(side)
        group = "A, with it," if side == "positive" else "B, without it,"
        self._controller.message.emit(
            f"{len(self.model.selection):,} points are group {group} of a new direction", ""
        )

    def _close_strip(self) -> None:
        self.model.select(np.zeros(0, np.int64))
        self.strip.show_points(self.model.points, self.model.selection)

    # The menu of a place.

    def menu_for(self, point: int | None) -> QMenu | None:
        """Return the menu of a point; of the map, where there is none."""
        if point is None or self.model.points is None:
            return self.files.menu(self)
        return point_menu(self._controller, self.model, self.pointer, point, self)

    def _open_menu(self, point: int | None, position: QPoint) -> None:
        menu = self.menu_for(point)
        if menu is not None:
            show_menu(menu, position)

    # Drops and the layout.

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take folders and zips of images."""
        if _data_sets(event):
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()

    def dropEvent(self, event: QDropEvent) -> None:
        """Map what was dropped."""
        found = _data_sets(event)
        if found:
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
            self.bar.map_path(found[0])

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the legend beside the map where there is room, else below it."""
        self._arrange()
        super().resizeEvent(event)

    def _arrange(self) -> None:
        wide, direction = self.width() >= _WIDE, QBoxLayout.Direction
        self._beside.setDirection(direction.LeftToRight if wide else direction.TopToBottom)
        items = self.legend.items
        # A small panel shows the map and the selection; the legend comes back after it.
        crowded = not wide and self.strip.isVisibleTo(self) and self.height() < _HIGH
        self.legend_area.setVisible(items is not None and bool(items.name) and not crowded)
        if wide:
            self.legend_area.setMinimumSize(176, 0)
            self.legend_area.setMaximumSize(200, _ANY)
        else:
            height = min(self.legend.sizeHint().height() + 2, max(64, self.height() // 5))
            self.legend_area.setMinimumSize(0, height)
            self.legend_area.setMaximumSize(_ANY, height)


def _data_sets(event: QDropEvent) -> list[Path]:
    """Return the folders and archives of a drop: files of other kinds are the window's."""
    files = dropped_files(event.mimeData())
    return [path for path in files if path.is_dir() or path.suffix.lower() in (".zip", ".gz")]
