"""The history: every step, with its picture; a click goes there."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QSize,
    Qt,
    QTimer,
)
from PySide6.QtGui import QColor, QPalette, QPixmap, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QFrame, QListView, QVBoxLayout, QWidget

from latentlab.core.document import Document, Entry, Picture
from latentlab.ui.help import TOPIC
from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.images import owned_qimage

Index = QModelIndex | QPersistentModelIndex
_THUMB = 32
_KEPT = 600


class HistoryModel(QAbstractListModel):
    """The steps as rows, the oldest first; those that were undone are grey.

    Args:
        controller: of the window.
    """

    def __init__(self, controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._entries: tuple[Entry, ...] = ()
        self._current = -1
        self._pixmaps: OrderedDict[str, QPixmap] = OrderedDict()

    @property
    def current(self) -> int:
        """The row where the person is."""
        return self._current

    def follow(self) -> None:
        """Take the history as it is now, with as few changes as there are."""
        history = self._controller.history
        new, old = history.entries, self._entries
        same = 0
        shorter = min(len(new), len(old))
        while same < shorter and new[same] is old[same]:
            same += 1
        if same == 0 and old:
            self.beginResetModel()
            self._entries, self._current = new, history.index
            self.endResetModel()
            return
        # Rows that are replaced one for one only change: one drag is one such row.
        kept = shorter if len(new) == len(old) else same
        if len(old) > kept:
            self.beginRemoveRows(QModelIndex(), kept, len(old) - 1)
            self._entries = old[:kept]
            self.endRemoveRows()
        if len(new) > kept:
            self.beginInsertRows(QModelIndex(), kept, len(new) - 1)
            self._entries = new
            self.endInsertRows()
        moved = self._current != history.index
        self._entries, self._current = new, history.index
        if moved or kept > same:
            first = 0 if moved else same
            self.dataChanged.emit(self.index(first), self.index(max(first, len(new) - 1)))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Number of steps."""
        return 0 if parent.isValid() else len(self._entries)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a row shows."""
        entry = self._entries[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return entry.label
        if role == Qt.ItemDataRole.DecorationRole:
            return self._picture(index.row())
        if role == Qt.ItemDataRole.ForegroundRole and index.row() > self._current:
            return self._faint()
        if role == Qt.ItemDataRole.AccessibleTextRole:
            undone = ", undone" if index.row() > self._current else ""
            return f"Step {index.row() + 1}: {entry.label}{undone}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return entry.label
        return None

    def _faint(self) -> QColor:
        parent = self.parent()
        return faint(parent.palette() if isinstance(parent, QWidget) else QPalette(), 0.55)

    def _subject(self, row: int) -> Picture | None:
        """Return the picture that a step is about: what was kept, or what the canvas shows."""
        document = self._entries[row].document
        before = self._entries[row - 1].document if row else Document()
        if document.canvas == before.canvas:
            # Most items are the very same ones: hundreds are looked through in every step shown.
            known = {item.id: item for item in before.tray}
            for item in reversed(document.tray):
                old = known.get(item.id)
                if old is not item and old != item:
                    return item.picture
        return document.canvas

    def _picture(self, row: int) -> QPixmap | None:
        picture = self._subject(row)
        if picture is None:
            return self._blank()
        # A direction of the person's own may have meant something else at that step.
        document = self._entries[row].document
        key = self._controller.thumbnail_key(picture, document)
        known = self._pixmaps.get(key)
        if known is not None:
            if self._controller.thumbnail_outdated(key):
                # The old one stays until the new one is here.
                self._controller.thumbnail(picture, document)
            return known
        image = self._controller.thumbnail(picture, document)
        return self._blank() if image is None else self._keep(key, image)

    def forget(self, key: str) -> None:
        """Take the picture of a key anew: another one has come."""
        self._pixmaps.pop(key, None)

    def _blank(self) -> QPixmap:
        blank = QPixmap(_THUMB, _THUMB)
        blank.fill(Qt.GlobalColor.transparent)
        return blank

    def _keep(self, key: str, image: np.ndarray) -> QPixmap:
        parent = self.parent()
        ratio = parent.devicePixelRatioF() if isinstance(parent, QWidget) else 1.0
        pixmap = QPixmap.fromImage(owned_qimage(image)).scaled(
            round(_THUMB * ratio),
            round(_THUMB * ratio),
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        pixmap.setDevicePixelRatio(ratio)
        self._pixmaps[key] = pixmap
        while len(self._pixmaps) > _KEPT:
            self._pixmaps.popitem(last=False)
        return pixmap


class HistoryPanel(QWidget):
    """The visible list of steps.

    Args:
        controller: of the window.
    """

    def __init__(self, controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("History")
        self.setProperty(TOPIC, "history")
        self._controller = controller
        self.model = HistoryModel(controller, self)
        self.view = QListView()
        self.view.setModel(self.model)
        self.view.setAccessibleName("Steps")
        self.view.setFrameShape(QFrame.Shape.NoFrame)
        self.view.setIconSize(QSize(_THUMB, _THUMB))
        self.view.setUniformItemSizes(True)
        self.view.setSpacing(1)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.view.clicked.connect(self._go)
        self.view.activated.connect(self._go)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        controller.document_changed.connect(self._follow)
        controller.thumbnail_rendered.connect(self._arrived)
        self._follow(controller.document)

    def _follow(self, _document: Document) -> None:
        self.model.follow()
        index = self.model.index(self.model.current)
        if self.view.currentIndex() != index:
            self.view.setCurrentIndex(index)
            self.view.scrollTo(index)

    def _arrived(self, key: str, _image: object) -> None:
        self.model.forget(key)
        self.view.viewport().update()

    def _go(self, index: Index) -> None:
        self._controller.go(index.row())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the step where the person is in sight."""
        super().resizeEvent(event)
        QTimer.singleShot(0, self, lambda: self.view.scrollTo(self.view.currentIndex()))
