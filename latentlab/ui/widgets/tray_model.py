"""The kept pictures as a list for Qt's views."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, Qt

from latentlab.core.document import Document, Picture, TrayItem
from latentlab.ui.widgets.thumbnail import GROUP_ROLE, IMAGE_ROLE, Index

ITEM_ROLE = Qt.ItemDataRole.UserRole + 3


def tray_name(picture: Picture) -> str:
    """Return the name under a kept picture: the person's, or where it came from."""
    if picture.name:
        return picture.name
    if picture.seeds:
        return f"seed {picture.seeds[0]}"
    return "photo" if picture.photo else "latent"


def _tip(item: TrayItem) -> str:
    picture = item.picture
    lines = [tray_name(picture), f"Model: {picture.model}"]
    lines += [
        f"{name.replace('_', ' ')}: {amount:+.2f} σ" for name, amount in picture.edits.items()
    ]
    if item.group:
        lines.append(f"Group: {item.group}")
    lines.append("Double-click: to canvas. F2: name. Delete: remove.")
    return "\n".join(lines)


class TrayModel(QAbstractListModel):
    """Follows the document; names go back to it.

    Args:
        controller: of the window.
    """

    def __init__(self, controller, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._items: tuple[TrayItem, ...] = ()
        controller.thumbnail_rendered.connect(self._arrived)
        self.follow(controller.document)

    @property
    def items(self) -> tuple[TrayItem, ...]:
        """The kept pictures, in order."""
        return self._items

    def follow(self, document: Document) -> bool:
        """Take the document's tray; return whether items came, went or moved."""
        tray = document.tray
        if tray == self._items:
            return False
        moved = [item.id for item in tray] != [item.id for item in self._items]
        if moved:
            self.beginResetModel()
            self._items = tray
            self.endResetModel()
        else:
            self._items = tray
            self.dataChanged.emit(self.index(0), self.index(len(tray) - 1))
        return moved

    def rowCount(self, parent: Index | None = None) -> int:
        """Return the number of kept pictures."""
        return 0 if parent is not None and parent.isValid() else len(self._items)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a view asks for; an image that is not there yet comes later."""
        if not index.isValid() or index.row() >= len(self._items):
            return None
        item = self._items[index.row()]
        if role == IMAGE_ROLE:
            return self._controller.thumbnail(item.picture)
        answers = {
            Qt.ItemDataRole.DisplayRole: lambda: tray_name(item.picture),
            Qt.ItemDataRole.EditRole: lambda: item.picture.name,
            Qt.ItemDataRole.ToolTipRole: lambda: _tip(item),
            Qt.ItemDataRole.AccessibleDescriptionRole: lambda: _tip(item),
            GROUP_ROLE: lambda: item.group,
            ITEM_ROLE: lambda: item,
        }
        answer = answers.get(role)
        return None if answer is None else answer()

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Name a kept picture."""
        if role != Qt.ItemDataRole.EditRole or not index.isValid():
            return False
        item = self._items[index.row()]
        name = str(value).strip()
        if name != item.picture.name:
            self._controller.rename_in_tray(item.id, name)
        return True

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Every picture can be chosen, named and dragged."""
        flags = super().flags(index)
        if index.isValid():
            flags |= Qt.ItemFlag.ItemIsEditable | Qt.ItemFlag.ItemIsDragEnabled
        return flags

    def _arrived(self, key: str, _image: object) -> None:
        for row, item in enumerate(self._items):
            if self._controller.thumbnail_key(item.picture) == key:
                index: QModelIndex = self.index(row)
                self.dataChanged.emit(index, index, [IMAGE_ROLE])
