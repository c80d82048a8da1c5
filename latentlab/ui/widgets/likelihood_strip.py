"""The least or most likely images of a data set: look, take to the canvas, open, save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractListModel, QMimeData, QObject, QPoint, Qt, QUrl, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QDesktopServices,
    QDrag,
    QGuiApplication,
    QKeyEvent,
    QPixmap,
)
from PySide6.QtWidgets import QAbstractItemView, QFileDialog, QFrame, QListView, QMenu, QWidget

from latentlab.core.likelihood import Quantity, Scores, ranked
from latentlab.services.likelihood import STRIP
from latentlab.services.png import encode_png
from latentlab.ui.widgets.images import Images, owned_qimage
from latentlab.ui.widgets.picture_menu import show_menu
from latentlab.ui.widgets.thumbnail import IMAGE_ROLE, TILE, Index, ThumbnailDelegate
from latentlab.ui.widgets.tips import plain_tip

PLACE_ROLE = Qt.ItemDataRole.UserRole + 10


def file_of(scores: Scores, index: int) -> Path | None:
    """Return the file of an image, if it is one of a folder that is still there."""
    if scores.names is None or scores.data.faded:
        return None
    path = Path(scores.data.source).expanduser() / scores.names[index]
    return path if path.is_file() else None


class ExtremesModel(QAbstractListModel):
    """Images in the order of their scores, those at one end."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.scores: Scores | None = None
        self.order: NDArray[np.int64] = np.zeros(0, np.int64)
        self._quantity: Quantity = "bits"

    def take(self, scores: Scores | None, quantity: Quantity, least: bool) -> None:
        """Show the least likely images of a data set, or the most likely ones."""
        self.beginResetModel()
        self.scores, self._quantity = scores, quantity
        self.order = np.zeros(0, np.int64)
        if scores is not None:
            order = ranked(scores.values(quantity))
            self.order = (order if least else order[::-1])[:STRIP]
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        """Return the number of images."""
        return 0 if parent is not None and parent.isValid() else len(self.order)

    def image(self, row: int) -> Images | None:
        """Return an image, uint8 ``(H, W, C)``."""
        return None if self.scores is None else self.scores.image(int(self.order[row]))

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a view asks for."""
        if not index.isValid() or index.row() >= self.rowCount() or self.scores is None:
            return None
        place = int(self.order[index.row()])
        value = self.scores.values(self._quantity)[place]
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{value:.3f}"
        if role == Qt.ItemDataRole.ToolTipRole:
            scores = self.scores
            said = f"{scores.name(place)}\n{scores.bits[place]:.3f} bits/dim, "
            said += f"as a PNG {scores.complexity[place]:.3f} bits/dim"
            return plain_tip(f"{said}\nDouble-click: to canvas as a photograph")
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{self.scores.name(place)}, {value:.3f}"
        if role == PLACE_ROLE:
            return place
        return self.image(index.row()) if role == IMAGE_ROLE else None


class LikelihoodStrip(QListView):
    """One row of images that scrolls sideways.

    Args:
        controller: of the window.

    Signals:
        files_wanted: position on the screen: the menu of the whole strip is asked for.
    """

    files_wanted = Signal(QPoint)

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.extremes = ExtremesModel(self)
        self.setModel(self.extremes)
        self.setAccessibleName("Extreme images")
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(False)
        self.setUniformItemSizes(True)
        self.setItemDelegate(ThumbnailDelegate(self))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setDragEnabled(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragOnly)
        self.viewport().setAutoFillBackground(False)
        self.setFixedHeight(TILE.height() + self.horizontalScrollBar().sizeHint().height() + 2)
        self.doubleClicked.connect(lambda index: self.to_canvas(index.row()))

    # Images and where they go.

    def to_canvas(self, row: int) -> None:
        """Encode an image as a photograph and show it on the canvas."""
        image, scores = self.extremes.image(row), self.extremes.scores
        if image is None or scores is None:
            return
        path = file_of(scores, int(self.extremes.order[row]))
        self._controller.encode_photo(np.array(image) if path is None else path)

    def _current(self) -> int | None:
        index = self.currentIndex()
        return index.row() if index.isValid() else None

    def startDrag(self, _actions: Qt.DropAction) -> None:
        """Drag an image away: the canvas takes it as a photograph, and so do other programs."""
        row = self._current()
        image = None if row is None else self.extremes.image(row)
        if image is None:
            return
        data = QMimeData()
        data.setImageData(owned_qimage(image))
        drag = QDrag(self)
        drag.setMimeData(data)
        drag.setPixmap(QPixmap.fromImage(owned_qimage(image)))
        drag.exec(Qt.DropAction.CopyAction)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter takes an image to the canvas."""
        row = self._current()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and row is not None:
            self.to_canvas(row)
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Show the menu of an image, or that of the strip."""
        index = self.indexAt(event.pos())
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            index = self.currentIndex()
        if index.isValid():
            show_menu(self.menu(index.row()), event.globalPos())
        else:
            self.files_wanted.emit(event.globalPos())

    def menu(self, row: int) -> QMenu:
        """Return the menu of an image."""
        scores = self.extremes.scores
        path = None if scores is None else file_of(scores, int(self.extremes.order[row]))
        menu = QMenu(self)
        can = self._controller.model
        encodes = can is not None and "encode" in can.spec.capabilities
        for text, act, able in (
            ("&To canvas as a photograph\tDouble-click", lambda: self.to_canvas(row), encodes),
            ("&Copy image", lambda: self._copy(row), True),
            ("&Save image…", lambda: self._ask(row), True),
            ("&Open file", lambda: self._open(path), path is not None),
        ):
            action = menu.addAction(text)
            action.setEnabled(able)
            action.triggered.connect(lambda _=False, act=act: act())
        return menu

    def _copy(self, row: int) -> None:
        image = self.extremes.image(row)
        if image is not None:
            QGuiApplication.clipboard().setImage(owned_qimage(image))

    def _ask(self, row: int) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save image", "image.png", "PNG (*.png)")
        image = self.extremes.image(row)
        if path and image is not None:
            self._save(Path(path if path.lower().endswith(".png") else f"{path}.png"), image)

    def _save(self, path: Path, image: Images) -> None:
        from latentlab.core.modelfile import replace_file
        from latentlab.core.version import version

        with self._controller.reporting():
            data = encode_png(image, {"Software": f"LatentLab {version()}"})
            replace_file(path, lambda target: target.write_bytes(data))
            self._controller.message.emit(f"Written: {path.name}", str(path))

    @staticmethod
    def _open(path: Path | None) -> None:
        if path is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))
