"""The choosers above a map: what it shows, how it is laid out, what colours it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from latentlab.core.document import Picture
from latentlab.core.parts import narrowed
from latentlab.core.plane import native_plane
from latentlab.core.points import PointSet
from latentlab.ui import map_layouts
from latentlab.ui.edits import readable
from latentlab.ui.map_layouts import (
    DIRECTIONS,
    NATIVE,
    NEIGHBOUR_METHODS,
    PCA,
    PICTURE,
    THREE,
    LayoutChoice,
)
from latentlab.ui.map_model import MapModel
from latentlab.ui.map_pictures import source_title
from latentlab.ui.map_three import SLOTS
from latentlab.ui.own_data import probe_reads
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.layout_settings import SETTINGS, LayoutSettings
from latentlab.ui.widgets.map_source_popover import SourceChoice, SourcePopover
from latentlab.ui.widgets.tray_model import tray_name

_WIDEST = 170
_CAPTIONS_FROM = 400
DROPPED_COUNT = 10_000


def _group(caption: str, *widgets: QWidget) -> QWidget:
    """Return a caption and its widgets, which stay together when the bar wraps."""
    box = QWidget()
    layout = QHBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    label = QLabel(caption)
    label.setBuddy(widgets[0])
    layout.addWidget(label)
    for widget in widgets:
        layout.addWidget(widget)
    return box


def _captioned(group: QWidget) -> QLabel:
    """Return the caption of a group."""
    return group.findChildren(QLabel)[0]


def _combo(name: str, tip: str) -> QComboBox:
    combo = QComboBox()
    combo.setAccessibleName(name)
    combo.setToolTip(tip)
    combo.setMaximumWidth(_WIDEST)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
    return combo


class MapSourceBar(QWidget):
    """Choosers that follow a ``MapModel`` and change it.

    Args:
        controller: of the window.
        model: of the map.
    """

    def __init__(self, controller: Any, model: MapModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._model = model
        self.setAccessibleName("What the map shows")
        self.source = QToolButton()
        self.source.setAccessibleName("Points of the map")
        self.source.setToolTip("Choose what the map shows: prior samples or a data set")
        self.source.clicked.connect(self.open_source)
        self.popover = SourcePopover(self)
        self.popover.chosen.connect(self._map)
        self.popover.parts_chosen.connect(model.choose_parts)
        self.layout_box = _combo("Layout", "How the points are laid out")
        self.layout_box.activated.connect(self._choose_layout)
        self.settings = QToolButton()
        self.settings.setText("Settings…")
        self.settings.setAutoRaise(True)
        self.settings.setToolTip("Settings of this layout, with what they do")
        self.settings.setAccessibleName("Settings of the layout")
        self.settings.clicked.connect(self.open_settings)
        self.colour_box = _combo("Colour by", "The label that colours the points")
        self.colour_box.activated.connect(
            lambda: model.choose_colour(self.colour_box.currentData())
        )
        self._build()
        model.points_changed.connect(self.follow)
        model.layout_changed.connect(self.follow)
        model.parts_changed.connect(self.follow)
        model.jobs.changed.connect(self.follow)
        model.colour_changed.connect(self.follow)
        model.three.changed.connect(self.follow)
        controller.directions_changed.connect(self.follow)
        controller.document_changed.connect(self._follow_tray)
        self._tray: object = None
        self._titles: dict[str, str] = {}
        self.follow()

    def _build(self) -> None:
        first = QWidget()
        flow = FlowLayout(first, spacing=8)
        flow.setContentsMargins(8, 4, 8, 0)
        self._colour_group = _group("&Colour", self.colour_box)
        groups = (
            _group("&Points", self.source),
            _group("&Layout", self.layout_box, self.settings),
            self._colour_group,
        )
        for group in groups:
            flow.addWidget(group)
        self._captions = [_captioned(group) for group in groups]
        self._axes = QWidget()
        axes = FlowLayout(self._axes, spacing=8)
        axes.setContentsMargins(8, 4, 8, 0)
        self.axis_boxes = {name: _combo(f"Direction along {name}", "") for name in ("x", "y")}
        for name, box in self.axis_boxes.items():
            box.setToolTip(f"The direction along {name}, in standard deviations")
            box.activated.connect(lambda _: self._choose_axes())
            axes.addWidget(_group(name, box))
        self._slots = QWidget()
        slots = FlowLayout(self._slots, spacing=8)
        slots.setContentsMargins(8, 4, 8, 0)
        self.slot_boxes = {slot: _combo(f"Picture {slot}", "") for slot in SLOTS}
        places = {"A": "the origin", "B": "at (1, 0)", "C": "at (0, 1)"}
        for slot, box in self.slot_boxes.items():
            box.setToolTip(f"A kept picture: {places[slot]} of the plane")
            box.activated.connect(lambda _, slot=slot: self._choose_slot(slot))
            slots.addWidget(_group(slot, box))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for part in (first, self._axes, self._slots):
            layout.addWidget(part)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave the captions out where there is no room: the tips say the same."""
        for caption in self._captions:
            caption.setVisible(event.size().width() >= _CAPTIONS_FROM)
        super().resizeEvent(event)

    # Following the model.

    def follow(self, *_: object) -> None:
        """Show what the model says."""
        points = self._model.points
        self.source.setText("Choose… ▾" if points is None else self._source_text(points))
        self.source.setMaximumWidth(260)
        for widget in (self.layout_box, self.colour_box):
            widget.setEnabled(points is not None)
        self._fill_layouts()
        self._fill_colours()
        self._fill_axes()
        self._fill_slots()

    def _source_text(self, points: PointSet) -> str:
        where = self._model.parts_title
        title = f"{len(points):,} {source_title(points)}"
        return f"{title} · {where} ▾" if where else f"{title} ▾"

    def _fill_layouts(self) -> None:
        box, space, choice = self.layout_box, self._model.space, self._model.choice
        box.clear()
        methods = [PCA, *NEIGHBOUR_METHODS]
        mapped = self._model.mapped
        if mapped is not None and mapped.picture_map is not None:
            methods.insert(0, PICTURE)
        space = space and narrowed(space, self._model.parts)
        if space is not None and native_plane(space) is not None:
            methods.insert(0, NATIVE)
        if len(self._directions()) >= 2:
            methods.append(DIRECTIONS)
        methods.append(THREE)
        for method in methods:
            box.addItem(map_layouts.TITLES[method], method)
        method = PCA if choice is None else choice.method
        box.setCurrentIndex(box.findData(method))
        self.settings.setVisible(method in SETTINGS)
        self._axes.setVisible(choice is not None and method == DIRECTIONS)
        self._slots.setVisible(choice is not None and method == THREE)

    def _fill_colours(self) -> None:
        points, box = self._model.points, self.colour_box
        box.clear()
        box.addItem("None", None)
        for name in () if points is None else points.labels:
            box.addItem(readable(name), name)
        box.setCurrentIndex(max(0, box.findData(self._model.colour)))
        self._colour_group.setVisible(points is not None and bool(points.labels))

    def _directions(self) -> dict[str, Any]:
        """Return the directions that move in the map's space."""
        space = self._model.space
        if space is None:
            return {}
        known = self._controller.directions
        return {name: one for name, one in known.items() if one.space == space.name}

    def _fill_axes(self) -> None:
        choice = self._model.choice
        titles = {name: self._controller.title_of(name) for name in self._directions()}
        # Hundreds of sliders take long to write: only when they changed.
        known, self._titles = self._titles, titles
        for axis, box in self.axis_boxes.items():
            if list(titles.items()) != list(known.items()):
                box.clear()
                for name, title in titles.items():
                    box.addItem(title, name)
            if choice is not None and choice.method == DIRECTIONS:
                box.setCurrentIndex(box.findData(choice.x if axis == "x" else choice.y))

    def _fill_slots(self) -> None:
        three = self._model.three
        self._tray = self._controller.document.tray
        for slot, box in self.slot_boxes.items():
            box.clear()
            box.addItem("Choose…", None)
            here = three.pictures.get(slot)
            found = 0
            for picture in self._kept():
                box.addItem(tray_name(picture), picture)
                if picture == here:
                    found = box.count() - 1
            if here is not None and not found:
                box.addItem(tray_name(here), here)
                found = box.count() - 1
            box.setCurrentIndex(found)

    def _kept(self) -> list[Picture]:
        """Return the kept pictures of the map's space."""
        space = self._model.space
        here = (self._model.model_id, "" if space is None else space.name)
        tray = self._controller.document.tray
        return [i.picture for i in tray if (i.picture.model, i.picture.space) == here]

    def _follow_tray(self, document: Any) -> None:
        if document.tray != self._tray:
            self._fill_slots()

    # What a person chooses.

    def open_source(self) -> None:
        """Open the form that chooses what the map shows."""
        model = self._controller.model
        self.popover.set_readable(probe_reads(None if model is None else model.spec))
        self.popover.set_space(self._model.space, self._model.parts)
        self.popover.show_under(self.source)

    def _map(self, choice: SourceChoice) -> None:
        self._model.map_source(
            choice.source, choice.split, choice.count, choice.attributes, reader=choice.reader
        )

    def map_path(self, path: Path) -> None:
        """Map a folder or file of images as it comes."""
        self._model.map_source(str(path), count=DROPPED_COUNT)

    def _choose_layout(self) -> None:
        method = self.layout_box.currentData()
        if method == DIRECTIONS:
            names = list(self._directions())
            self._model.choose_layout(LayoutChoice(DIRECTIONS, names[0], names[1]))
        else:
            if method == THREE:
                self._fill_from_tray()
            self._model.choose_layout(LayoutChoice(method))

    def _fill_from_tray(self) -> None:
        """Begin with the first kept pictures that fit and are not chosen yet."""
        three = self._model.three
        chosen = list(three.pictures.values())
        free = [picture for picture in self._kept() if picture not in chosen]
        for slot, picture in zip(three.missing, free):
            three.put(slot, picture)

    def _choose_axes(self) -> None:
        x, y = (self.axis_boxes[axis].currentData() for axis in ("x", "y"))
        self._model.choose_layout(LayoutChoice(DIRECTIONS, x, y))

    def _choose_slot(self, slot: str) -> None:
        self._model.three.put(slot, self.slot_boxes[slot].currentData())
        self._model.choose_layout(LayoutChoice(THREE))

    def open_settings(self) -> None:
        """Open the settings of the layout."""
        choice = self._model.choice
        if choice is None or choice.method not in SETTINGS:
            return
        form = LayoutSettings(choice.method, dict(choice.settings), self)
        form.chosen.connect(
            lambda method, values: self._model.choose_layout(LayoutChoice(method, settings=values))
        )
        form.show_under(self.settings)
