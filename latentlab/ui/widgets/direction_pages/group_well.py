"""A group of pictures: dropped, or taken from the tray, the canvas or the map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QSize, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QDragEnterEvent,
    QDropEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QLabel,
    QListView,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.ui import edits
from latentlab.ui.map_pictures import point_picture
from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.direction_pages.well_model import Entry, WellModel
from latentlab.ui.widgets.image_mime import has_picture, read_pictures
from latentlab.ui.widgets.picture_menu import PictureMenu, ShownPicture, show_menu, start_drag
from latentlab.ui.widgets.quiet import own_key
from latentlab.ui.widgets.thumbnail import TILE, ThumbnailDelegate

_MOST_ROWS = 64
_REMOVE = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)


class _Tiles(QListView):
    """Tiles in rows; Delete removes, K keeps, a double-click or Enter goes to the canvas."""

    remove_asked = Signal()
    keep_asked = Signal()
    drag_asked = Signal()
    menu_asked = Signal(QPoint)

    def __init__(self, hint: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._hint = hint
        self.setItemDelegate(ThumbnailDelegate(self))
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(True)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setUniformItemSizes(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setDragEnabled(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def sizeHint(self) -> QSize:
        """One row of tiles; two when there are many."""
        return QSize(3 * TILE.width(), self.heightForWidth(self.width()))

    def heightForWidth(self, width: int) -> int:
        """Return the height of the rows that are needed, at most two."""
        count = 0 if self.model() is None else self.model().rowCount()
        across = max(1, (width - 16) // TILE.width())
        rows = min(2, max(1, -(-count // across)))
        return rows * TILE.height() + 4

    def startDrag(self, _actions: Qt.DropAction) -> None:
        """Let the well drag: it knows the pictures."""
        self.drag_asked.emit()

    def event(self, event: QEvent) -> bool:
        """Take own keys before a shortcut of the window."""
        if own_key(event, (*_REMOVE, Qt.Key.Key_K)):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event) -> None:
        """Remove, keep or show what is selected."""
        if event.key() in _REMOVE:
            self.remove_asked.emit()
        elif event.key() == Qt.Key.Key_K:
            self.keep_asked.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if self.currentIndex().isValid():
                self.doubleClicked.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu of a tile."""
        if self.currentIndex().isValid():
            self.menu_asked.emit(event.globalPos())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the tiles, or how to fill the well."""
        super().paintEvent(event)
        if self.model() is not None and self.model().rowCount():
            return
        painter = QPainter(self.viewport())
        painter.setPen(QPen(faint(self.palette(), 0.4), 1, Qt.PenStyle.DashLine))
        area = self.viewport().rect().adjusted(1, 1, -2, -2)
        painter.drawRoundedRect(area, 4, 4)
        painter.setPen(faint(self.palette(), 0.8))
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(area.adjusted(12, 4, -12, -4), flags, self._hint)


class GroupWell(QWidget):
    """One of the two groups.

    Args:
        controller: of the window.
        title: of the group.
        hint: how to fill it, shown while it is empty.

    Signals:
        changed: pictures came or went.
        took: the pictures that came; they belong to no other group any more.
    """

    changed = Signal()
    took = Signal(object)

    def __init__(
        self, controller: Any, title: str, hint: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._title = title
        self.setAcceptDrops(True)
        # Less than its buttons want, so that the page can become narrow and put them apart.
        self.setMinimumWidth(140)
        self.model = WellModel(controller, self)
        self.tiles = _Tiles(hint)
        self.tiles.setModel(self.model)
        self.title = QLabel()
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.add_button = QPushButton("Add")
        self.add_button.setAccessibleName(f"Add to {title}")
        self.add_button.setToolTip("Take pictures from the tray, the canvas or the map")
        self.add_button.clicked.connect(self._open_add)
        self.remove_button = QPushButton("Remove")
        self.remove_button.setAccessibleName(f"Remove from {title}")
        self.remove_button.setToolTip("Take the selected pictures out, or all (Delete)")
        self.remove_button.clicked.connect(self.remove_selected)
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.note.setTextFormat(Qt.TextFormat.PlainText)
        self.note.hide()
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.add_button)
        head.addWidget(self.remove_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self.tiles)
        layout.addWidget(self.note)
        self._connect()
        self._follow()

    def _connect(self) -> None:
        for signal in (self.model.modelReset, self.model.rowsInserted):
            signal.connect(self._follow)
        self.tiles.selectionModel().selectionChanged.connect(self._follow_selection)
        self.tiles.remove_asked.connect(self.remove_selected)
        self.tiles.keep_asked.connect(self._keep)
        self.tiles.drag_asked.connect(self._drag)
        self.tiles.menu_asked.connect(self._open_menu)
        self.tiles.doubleClicked.connect(lambda index: self._to_canvas(index.row()))

    # What comes.

    def add(self, pictures: Iterable[Picture]) -> None:
        """Add pictures, each image of a grid by itself; a sentence says why one cannot be."""
        store = self._controller.store
        self._say("")
        try:
            rows: list[Picture] = []
            for picture in pictures:
                self._check(picture)
                count = min(edits.batch_of(picture, store), _MOST_ROWS)
                rows += [edits.row_picture(picture, row, store) for row in range(count)]
        except LatentLabError as error:
            self._say(error.message)
            return
        self.took.emit(rows)
        self.model.add(rows)

    def _check(self, picture: Picture) -> None:
        """Raise ``LatentLabError`` unless a picture is of the current model's space."""
        entry, model = self._controller.model_entry, self._controller.model
        if entry is None or model is None:
            raise LatentLabError("Open a model first.")
        if picture.model != entry.id:
            raise LatentLabError(
                f"This picture is of '{picture.model}', not of '{entry.id}': use pictures of the "
                "model that is open."
            )
        if picture.space not in [space.name for space in model.spec.spaces]:
            raise LatentLabError(f"This model has no space '{picture.space}': use other pictures.")

    def add_points(self, path: str, points: Sequence[int] | np.ndarray) -> None:
        """Add points of a map."""
        self._say("")
        chosen = np.asarray(points, np.int64)
        if not len(chosen):
            return
        if self.model.path not in ("", path):
            self._say("These points are of another map: remove the others first.")
            return
        self.model.add_points(Entry(self._point_picture(path, int(chosen[0])), path, chosen))

    def _point_picture(self, path: str, point: int) -> Picture | None:
        mapped = getattr(self._controller, "map_model", None)
        if mapped is None or mapped.points is None or str(mapped.path) != path:
            return None
        entry = self._controller.model_entry
        canvas = self._controller.document.canvas
        return point_picture(mapped.points, point, entry.id, self._controller.store, canvas)

    def add_menu(self) -> QMenu:
        """Return the places that pictures can be taken from."""
        menu = QMenu(self)
        tray = self._controller.document.tray
        chosen = set(self._controller.selected_in_tray())
        selected = [item.picture for item in tray if item.id in chosen]
        self._offer(menu, "&Selected in the tray", selected)
        self._offer(menu, "&All of the tray", [item.picture for item in tray])
        for group in sorted({item.group for item in tray if item.group}):
            title = f"Group '{group}' of the tray".replace("&", "&&")
            self._offer(menu, title, [item.picture for item in tray if item.group == group])
        menu.addSeparator()
        self._offer(menu, "Image on the &canvas", self._canvas())
        selection = getattr(self._controller, "map_selection", None)
        count = 0 if selection is None else len(selection[1])
        action = menu.addAction(f"Selection on the &map ({count:,})")
        action.setEnabled(count > 0)
        if selection is not None:
            action.triggered.connect(lambda: self.add_points(*selection))
        return menu

    def _offer(self, menu: QMenu, title: str, pictures: Sequence[Picture]) -> None:
        action = menu.addAction(f"{title} ({len(pictures)})")
        action.setEnabled(bool(pictures))
        action.triggered.connect(lambda: self.add(pictures))

    def _canvas(self) -> list[Picture]:
        """Return the selected image of the canvas, or all of them."""
        canvas, row = self._controller.document.canvas, self._controller.selection
        if canvas is None:
            return []
        if row is not None:
            return [self._controller.row_picture(row)]
        count = min(edits.batch_of(canvas, self._controller.store), _MOST_ROWS)
        return [self._controller.row_picture(place) for place in range(count)]

    def _open_add(self) -> None:
        place = self.add_button.mapToGlobal(QPoint(0, self.add_button.height()))
        show_menu(self.add_menu(), place)

    # What goes.

    def _rows(self) -> list[int]:
        return sorted(i.row() for i in self.tiles.selectionModel().selectedIndexes())

    def remove_selected(self) -> None:
        """Take the selected pictures out; all of them when none is selected."""
        self._say("")
        self.model.remove(self._rows() or range(self.model.rowCount()))

    def _shown(self, row: int) -> ShownPicture | None:
        picture = self.model.entries[row].picture
        if picture is None:
            return None
        return ShownPicture(picture, self._controller.thumbnail(picture))

    def _selected(self) -> list[ShownPicture]:
        return [shown for row in self._rows() if (shown := self._shown(row)) is not None]

    def _to_canvas(self, row: int) -> None:
        shown = self._shown(row)
        if shown is not None:
            self._controller.show_picture(shown.picture, "To canvas")

    def _keep(self) -> None:
        for shown in self._selected():
            self._controller.keep_picture(shown.picture)

    def _drag(self) -> None:
        shown = self._selected()
        if shown:
            start_drag(self.tiles, shown)

    def _open_menu(self, position: QPoint) -> None:
        shown = self._shown(self.tiles.currentIndex().row())
        if shown is None:
            return
        menu = PictureMenu(self._controller, shown, self)
        menu.addSeparator()
        menu.addAction("&Remove from the group\tDel").triggered.connect(self.remove_selected)
        show_menu(menu, position)

    # Saying and drops.

    def _say(self, sentence: str) -> None:
        self.note.setText(f"⚠ {sentence}")
        self.note.setVisible(bool(sentence))

    def _follow(self, *_: object) -> None:
        size = self.model.size
        self.title.setText(f"{self._title} ({size:,})")
        self.tiles.setAccessibleName(f"{self._title}, {size} pictures")
        self.tiles.setFixedHeight(self.tiles.heightForWidth(self.width()))
        self._follow_selection()
        self.changed.emit()

    def _follow_selection(self, *_: object) -> None:
        self.remove_button.setEnabled(self.model.rowCount() > 0)
        self.remove_button.setText("Remove" if self._rows() else "Clear")

    def resizeEvent(self, event) -> None:
        """Take the rows that the width needs."""
        super().resizeEvent(event)
        self.tiles.setFixedHeight(self.tiles.heightForWidth(self.width()))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take pictures of ours."""
        if has_picture(event.mimeData()):
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()

    def dropEvent(self, event: QDropEvent) -> None:
        """Add what was dropped."""
        if not has_picture(event.mimeData()):
            return
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        try:
            dropped = read_pictures(event.mimeData(), self._controller.store)
        except LatentLabError as error:
            self._say(error.message)
            return
        self.add(dropped.pictures)
