"""What is dropped onto a picture matrix: where it would go, and who is told."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent

from latentlab.ui.widgets.image_mime import has_picture


class MatrixDrops:
    """Drag and drop events of ``PictureMatrix``, which stands after it among the bases."""

    _editable: bool
    _content: Any
    _gap: int | None
    dropped: Any
    viewport: Any
    geometry_of_parts: Any
    _offset: Any

    def _takes(self, data: QMimeData) -> bool:
        return self._editable and (has_picture(data) or data.hasUrls() or data.hasImage())

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take pictures of ours, files and images."""
        if self._takes(event.mimeData()):
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
        else:
            event.ignore()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        """Show where the drop would go."""
        if not self._takes(event.mimeData()):
            event.ignore()
            return
        if self._content is not None:
            at = event.position()
            self._set_gap(self.geometry_of_parts().gap_at(at.x(), at.y(), self._offset()))
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()

    def dragLeaveEvent(self, _event: QDragLeaveEvent) -> None:
        """Forget the place."""
        self._set_gap(None)

    def dropEvent(self, event: QDropEvent) -> None:
        """Hand the drop to the panel."""
        self._set_gap(None)
        if not self._takes(event.mimeData()):
            event.ignore()
            return
        place = 0
        if self._content is not None:
            at = event.position()
            place = self.geometry_of_parts().gap_at(at.x(), at.y(), self._offset())
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        self.dropped.emit(event.mimeData(), place)

    def _set_gap(self, gap: int | None) -> None:
        if gap != self._gap:
            self._gap = gap
            self.viewport().update()
