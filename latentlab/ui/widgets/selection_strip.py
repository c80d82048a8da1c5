"""The selected points of a map as thumbnails, and what can be done with them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractListModel, QEvent, QObject, QPoint, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QListView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.points import PointSet
from latentlab.ui.icons import icon
from latentlab.ui.map_pictures import Target, point_title
from latentlab.ui.map_pointer import MOST_KEPT, MapPointer
from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.picture_menu import ShownPicture, start_drag
from latentlab.ui.widgets.thumbnail import IMAGE_ROLE, TILE, Index, ThumbnailDelegate

MOST_SHOWN = 200
_ISOLATE = "Show only these points"
POINT_ROLE = Qt.ItemDataRole.UserRole + 10


class PointListModel(QAbstractListModel):
    """Points of the map, the first 200 of them; images come when they are looked at.

    Args:
        controller: of the window.
        pointer: makes the pictures.
    """

    def __init__(self, controller: Any, pointer: MapPointer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._pointer = pointer
        self._set: PointSet | None = None
        self._points: NDArray[np.int64] = np.zeros(0, np.int64)
        self._distances: NDArray[np.floating] | None = None
        self._rows: dict[str, int] = {}
        controller.thumbnail_rendered.connect(self._arrived)

    @property
    def points(self) -> NDArray[np.int64]:
        """All points, also those that are not shown."""
        return self._points

    def take(
        self,
        point_set: PointSet | None,
        points: NDArray[np.int64],
        distances: NDArray[np.floating] | None = None,
    ) -> None:
        """Show other points."""
        self.beginResetModel()
        self._set, self._points, self._distances = point_set, points, distances
        self._rows = {}
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        """Return the number of thumbnails."""
        count = 0 if self._set is None else min(len(self._points), MOST_SHOWN)
        return 0 if parent is not None and parent.isValid() else count

    def shown(self, row: int) -> ShownPicture | None:
        """Return one picture with its image, if that is there."""
        picture = self._pointer.picture(Target(int(self._points[row]), 0.0, 0.0))
        if picture is None:
            return None
        return ShownPicture(picture, self._controller.thumbnail(picture), "other")

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a view asks for."""
        if not index.isValid() or index.row() >= self.rowCount() or self._set is None:
            return None
        point = int(self._points[index.row()])
        if role == Qt.ItemDataRole.DisplayRole:
            if self._distances is not None:
                return f"{self._distances[index.row()]:.3g}"
            return f"{'seed' if self._set.is_prior else 'row'} {int(self._set.rows[point])}"
        if role == Qt.ItemDataRole.ToolTipRole:
            text = point_title(self._set, point)
            if self._distances is not None:
                text += f"\nDistance {self._distances[index.row()]:.3g}"
            return f"{text}\nDouble-click: to canvas. K: keep."
        if role == POINT_ROLE:
            return point
        return self._image(index.row()) if role == IMAGE_ROLE else None

    def _image(self, row: int) -> Any:
        shown = self.shown(row)
        if shown is None:
            return None
        self._rows[self._controller.thumbnail_key(shown.picture)] = row
        return shown.image

    def _arrived(self, key: str, _image: object) -> None:
        row = self._rows.get(key)
        if row is not None and row < self.rowCount():
            index = self.index(row)
            self.dataChanged.emit(index, index, [IMAGE_ROLE])


class PointListView(QListView):
    """One row of thumbnails that scrolls sideways.

    Signals:
        keep_asked: the chosen points.
        menu_asked: point and global position.
        drag_asked: rows of the model.
    """

    keep_asked = Signal(object)
    menu_asked = Signal(int, QPoint)
    drag_asked = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Selected points")
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(False)
        self.setUniformItemSizes(True)
        self.setItemDelegate(ThumbnailDelegate(self))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setDragEnabled(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragOnly)
        self.viewport().setAutoFillBackground(False)
        self.setFixedHeight(TILE.height() + self.horizontalScrollBar().sizeHint().height() + 2)

    def chosen(self) -> list[int]:
        """Return the chosen rows, in order."""
        return sorted(index.row() for index in self.selectedIndexes())

    def startDrag(self, _actions: Qt.DropAction) -> None:
        """Let the strip drag: it knows the pictures."""
        self.drag_asked.emit(self.chosen())

    def event(self, event: QEvent) -> bool:
        """Claim K, which otherwise keeps what is on the canvas."""
        claims = event.type() == QEvent.Type.ShortcutOverride and event.key() == Qt.Key.Key_K
        if claims and not event.modifiers() and self.chosen():
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """K keeps; Enter shows on the canvas."""
        if event.key() == Qt.Key.Key_K and not event.modifiers() and self.chosen():
            self.keep_asked.emit(self.chosen())
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if self.currentIndex().isValid():
                self.doubleClicked.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu of a thumbnail."""
        index = self.indexAt(event.pos())
        if index.isValid():
            self.menu_asked.emit(index.data(POINT_ROLE), event.globalPos())


class SelectionStrip(QWidget):
    """What is selected, or the neighbours of a point, below the map.

    Args:
        controller: of the window.
        pointer: of the map.

    Signals:
        filled: other points are shown, or none.
        keep_asked: keep all in the tray.
        names_asked: export a table.
        isolate_asked: show only these, or all again.
        group_asked: ``positive`` or ``negative``.
        closed: select nothing.
        menu_asked: point and global position.
    """

    filled = Signal()
    keep_asked = Signal()
    names_asked = Signal()
    isolate_asked = Signal()
    group_asked = Signal(str)
    closed = Signal()
    menu_asked = Signal(int, QPoint)

    def __init__(self, controller: Any, pointer: MapPointer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Selection of the map")
        self._pointer = pointer
        self.model = PointListModel(controller, pointer, self)
        self.view = PointListView()
        self.view.setModel(self.model)
        self.view.doubleClicked.connect(lambda index: self._to_canvas(index.data(POINT_ROLE)))
        self.view.menu_asked.connect(self.menu_asked)
        self.view.keep_asked.connect(self._keep)
        self.view.drag_asked.connect(self._drag)
        self.title = ElidedLabel()
        bar = QWidget()
        line = QHBoxLayout(bar)
        line.setContentsMargins(8, 2, 8, 2)
        line.setSpacing(2)
        line.addWidget(self.title, 1)
        for button in self._buttons():
            line.addWidget(button)
        self._recolour()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(bar)
        layout.addWidget(self.view)

    def _buttons(self) -> list[QToolButton]:
        rows = (
            ("keep", "keep", f"Keep these in the tray, at most {MOST_KEPT}", self.keep_asked.emit),
            ("isolate", "map-isolate", _ISOLATE, self.isolate_asked.emit),
            (
                "positive",
                "map-positive",
                "Group with the attribute: use these to make a direction",
                lambda: self.group_asked.emit("positive"),
            ),
            (
                "negative",
                "map-negative",
                "Group without the attribute: use these to make a direction",
                lambda: self.group_asked.emit("negative"),
            ),
            ("names", "export", "Write names, labels and places…", self.names_asked.emit),
            ("close", "close", "Select nothing (Esc)", self.closed.emit),
        )
        self.buttons: dict[str, QToolButton] = {}
        self._icons: dict[str, str] = {}
        for name, icon_name, tip, act in rows:
            button = QToolButton()
            button.setToolTip(tip)
            button.setAccessibleName(tip)
            button.setAutoRaise(True)
            button.clicked.connect(lambda _=False, act=act: act())
            self.buttons[name], self._icons[name] = button, icon_name
        self.buttons["isolate"].setCheckable(True)
        return list(self.buttons.values())

    def _recolour(self) -> None:
        for name, button in self.buttons.items():
            button.setIcon(icon(self._icons[name], self.palette()))

    def changeEvent(self, event: QEvent) -> None:
        """Follow the palette."""
        if event.type() == QEvent.Type.PaletteChange:
            self._recolour()
        super().changeEvent(event)

    def show_points(
        self,
        point_set: PointSet | None,
        points: NDArray[np.int64],
        distances: NDArray[np.floating] | None = None,
        title: str = "",
    ) -> None:
        """Show points; ``distances`` make them the neighbours that ``title`` tells of."""
        self.model.take(point_set, points, distances)
        self.view.scrollToTop()
        count = len(points)
        if not title:
            title = f"{count:,} selected"
            if count > MOST_SHOWN:
                title = f"{count:,} selected, the first {MOST_SHOWN}"
        self.title.setText(title)
        self.setVisible(count > 0)
        self.filled.emit()

    def set_isolated(self, isolated: bool) -> None:
        """Say whether the button shows only these, or all again."""
        button = self.buttons["isolate"]
        button.setChecked(isolated)
        tip = "Show all points again" if isolated else _ISOLATE
        button.setToolTip(tip)
        button.setAccessibleName(tip)

    def _to_canvas(self, point: int) -> None:
        self._pointer.put_on_canvas(Target(point, 0.0, 0.0))

    def _keep(self, rows: list[int]) -> None:
        self._pointer.keep_points(self.model.points[rows])

    def _drag(self, rows: list[int]) -> None:
        shown = [one for row in rows[:MOST_KEPT] if (one := self.model.shown(row)) is not None]
        if shown:
            start_drag(self.view, shown)
