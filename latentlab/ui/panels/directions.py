"""The directions panel: make your own sliders, in five ways, and exchange them as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QButtonGroup,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.direction import Direction
from latentlab.core.directionfile import load_direction
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.requests import Failure
from latentlab.ui.widgets.direction_pages.arithmetic_page import ArithmeticPage
from latentlab.ui.widgets.direction_pages.canvas_latents import CanvasLatents
from latentlab.ui.widgets.direction_pages.components_page import ComponentsPage
from latentlab.ui.widgets.direction_pages.groups_page import GroupsPage
from latentlab.ui.widgets.direction_pages.labelling_page import LabellingPage
from latentlab.ui.widgets.direction_pages.labels_page import LabelsPage
from latentlab.ui.widgets.direction_pages.page import Page, Tools
from latentlab.ui.widgets.direction_pages.parts_chooser import PartsChooser
from latentlab.ui.widgets.direction_pages.results import Results
from latentlab.ui.widgets.fit_result import SUFFIX, plain_file_name
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.image_mime import dropped_files
from latentlab.ui.widgets.picture_menu import show_menu

_FILTER = "Direction (*.safetensors);;All files (*)"
_PAGES: tuple[tuple[str, str, type[Page], str], ...] = (
    ("labels", "Labels", LabelsPage, "From the labels of a data set"),
    ("groups", "Groups", GroupsPage, "From two groups of pictures"),
    ("labelling", "Yes/no", LabellingPage, "Label images by hand"),
    ("components", "Axes", ComponentsPage, "Principal components and dimensions"),
    ("arithmetic", "A−B+C", ArithmeticPage, "Arithmetic on three pictures"),
)


class DirectionsPanel(QWidget):
    """Pages that find directions, and below them what was found.

    Args:
        controller: of the window.

    Signals:
        page_changed: the key of the page that is shown.
    """

    page_changed = Signal(str)

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Directions")
        self.setAcceptDrops(True)
        self._controller = controller
        self.base = CanvasLatents(controller, self)
        self.results = Results(controller, self.base)
        self.parts = PartsChooser(controller)
        self.pages: dict[str, Page] = {}
        self.choosers: dict[str, QToolButton] = {}
        self.import_button = QPushButton("&Import…")
        self.import_button.setToolTip("Take in a direction that was written as a file")
        self.import_button.clicked.connect(lambda: self._choose_import())
        self.export_button = QPushButton("E&xport…")
        self.export_button.setToolTip("Write a slider of this model as a file")
        self.export_button.clicked.connect(self._choose_export)
        # The layout knows its new height in the next turn of the event loop.
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._scroll_to_found)
        self._lay_out()
        controller.directions_changed.connect(self._follow)
        controller.model_changed.connect(self._follow)
        controller.picture_used.connect(self._use_picture)
        self._follow()
        self.show_page(_PAGES[0][0])

    # Building.

    def _lay_out(self) -> None:
        tools = Tools(self._controller, self.base, self._show_found, self.parts)
        group = QButtonGroup(self)
        chooser = FlowLayout(spacing=2)
        inner = QWidget()
        self._column = QVBoxLayout(inner)
        self._column.setContentsMargins(8, 4, 8, 8)
        self._column.setSpacing(12)
        for number, (key, title, kind, tip) in enumerate(_PAGES, start=1):
            button = QToolButton(checkable=True, autoRaise=True)
            button.setText(title)
            button.setToolTip(f"{tip} (Alt+{number})")
            button.setAccessibleName(f"{tip}")
            button.clicked.connect(lambda _=False, key=key: self.show_page(key, focus=True))
            shortcut = QShortcut(QKeySequence(f"Alt+{number}"), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(lambda key=key: self.show_page(key, focus=True))
            group.addButton(button)
            chooser.addWidget(button)
            self.choosers[key] = button
            page = kind(tools)
            page.hide()
            if isinstance(page, GroupsPage):
                page.asked_for.connect(lambda: self.show_page("groups"))
            self.pages[key] = page
            self._column.addWidget(page)
        self._column.addWidget(self.results)
        self._column.addStretch(1)
        self.area = QScrollArea()
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(inner)
        foot = QHBoxLayout()
        foot.setContentsMargins(8, 4, 8, 8)
        foot.addWidget(self.import_button)
        foot.addWidget(self.export_button)
        foot.addStretch(1)
        chooser.setContentsMargins(6, 8, 6, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(chooser)
        layout.addWidget(self.parts)
        layout.addWidget(self.area, 1)
        layout.addLayout(foot)

    def show_page(self, key: str, focus: bool = False) -> None:
        """Show a page: ``labels``, ``groups``, ``labelling``, ``components`` or ``arithmetic``."""
        for name, page in self.pages.items():
            page.setVisible(name == key)
        self.choosers[key].setChecked(True)
        self.area.verticalScrollBar().setValue(0)
        if focus:
            self.choosers[key].setFocus()
            self.pages[key].begin()
        self.page_changed.emit(key)

    def _follow(self, *_: object) -> None:
        has_model = self._controller.model is not None
        self.import_button.setEnabled(has_model)
        self.export_button.setEnabled(bool(self._controller.directions))

    # What was found.

    def _show_found(self, directions: Any) -> None:
        self.results.show_directions(tuple(directions))
        self._soon.start()

    def _scroll_to_found(self) -> None:
        """Bring the newest card into sight, its head if it is higher than the panel."""
        cards = self.results.cards
        if cards:
            place = cards[0].mapTo(self.area.widget(), QPoint(0, 0)).y()
            room = self.area.viewport().height()
            bar = self.area.verticalScrollBar()
            if place + cards[0].height() > bar.value() + room or place < bar.value():
                bar.setValue(min(place - 36, max(0, place + cards[0].height() + 8 - room)))

    def refit(self, name: str) -> None:
        """Show how a direction of the model was fitted, to fit it again."""
        direction = self._controller.directions.get(name)
        page = self.pages["labels"]
        if direction is None or not isinstance(page, LabelsPage):
            return
        self.show_page("labels")
        with self._controller.reporting():
            page.refit(direction)

    def _use_picture(self, panel: str, slot: str, picture: Picture) -> None:
        page = self.pages["arithmetic"]
        if panel == "directions" and isinstance(page, ArithmeticPage):
            self.show_page("arithmetic")
            page.wells[slot].take(picture)

    # Files.

    def import_file(self, path: Path | str) -> None:
        """Look at a direction file; its card says whether it fits, and adds it."""
        path = Path(path)
        try:
            direction = load_direction(path)
            self._check(direction)
        except LatentLabError as error:
            self.results.show_failure(Failure(error.message, error.details))
            return
        self.results.show_directions([direction], path)
        self._soon.start()

    def _check(self, direction: Direction) -> None:
        """Raise ``LatentLabError`` unless a direction fits the current model."""
        model = self._controller.model
        if model is None:
            raise LatentLabError("Open a model first: a direction belongs to one.")
        spaces = [space for space in model.spec.spaces if space.name == direction.space]
        direction.check(spaces[0] if spaces else model.spec.space())

    def _choose_import(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Import a direction", "", _FILTER)
        if path:
            self.import_file(path)

    def export_menu(self) -> QMenu:
        """Return the sliders of the model, each to be written as a file."""
        menu = QMenu(self)
        for name in self._controller.directions:
            action = menu.addAction(self._controller.title_of(name).replace("&", "&&"))
            action.triggered.connect(lambda _=False, name=name: self._choose_file_for(name))
        return menu

    def _choose_export(self) -> None:
        button = self.export_button
        show_menu(self.export_menu(), button.mapToGlobal(QPoint(0, button.height())))

    def _choose_file_for(self, name: str) -> None:
        start = f"{plain_file_name(self._controller.title_of(name))}{SUFFIX}"
        path, _ = QFileDialog.getSaveFileName(self, "Export a direction", start, _FILTER)
        if path:
            path = path if path.endswith(".safetensors") else f"{path}{SUFFIX}"
            self._controller.export_direction(name, path)

    # Drops.

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take direction files, data sets and tables."""
        if dropped_files(event.mimeData()):
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()

    def dropEvent(self, event: QDropEvent) -> None:
        """Look at a direction, or choose labelled images."""
        paths = dropped_files(event.mimeData())
        files = [path for path in paths if path.suffix.lower() == ".safetensors"]
        for path in files:
            self.import_file(path)
        rest = [path for path in paths if path not in files]
        page = self.pages["labels"]
        if rest and isinstance(page, LabelsPage) and page.take_files(rest):
            self.show_page("labels")
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
