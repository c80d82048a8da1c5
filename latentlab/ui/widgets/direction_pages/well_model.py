"""What lies in a well: pictures, and points of a map, as a list for Qt's views."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, Qt

from latentlab.core.document import Picture
from latentlab.ui import edits
from latentlab.ui.widgets.thumbnail import IMAGE_ROLE, Index
from latentlab.ui.widgets.tray_model import tray_name

Points = NDArray[np.int64]
MOST = 1000
"""Pictures in a well; a map's points are one entry however many they are."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One tile.

    Attributes:
        picture: of one image; of points, the first one's, if its map is shown.
        path: the points file, of points.
        points: int64, of points.
    """

    picture: Picture | None
    path: str = ""
    points: Points | None = None

    @property
    def count(self) -> int:
        """How many images it stands for."""
        return 1 if self.points is None else len(self.points)

    @property
    def title(self) -> str:
        """What stands under it."""
        if self.points is not None:
            return f"{self.count:,} point{'s' * (self.count != 1)}"
        return "" if self.picture is None else tray_name(self.picture)


class WellModel(QAbstractListModel):
    """The tiles of a well, in the order in which they came; no picture is in it twice.

    Args:
        controller: of the window.
    """

    def __init__(self, controller: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._entries: list[Entry] = []
        controller.thumbnail_rendered.connect(self._arrived)
        controller.hold_pictures(self._held)

    def _held(self) -> tuple[Picture, ...]:
        return tuple(entry.picture for entry in self._entries if entry.picture)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The tiles."""
        return tuple(self._entries)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures, without points."""
        return tuple(e.picture for e in self._entries if e.points is None and e.picture)

    @property
    def path(self) -> str:
        """The file of the points; empty without any."""
        return next((entry.path for entry in self._entries if entry.points is not None), "")

    @property
    def points(self) -> Points:
        """All points, each once."""
        found = [entry.points for entry in self._entries if entry.points is not None]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)

    @property
    def size(self) -> int:
        """How many images it stands for."""
        return len(self.pictures) + len(self.points)

    def set_entries(self, entries: Iterable[Entry]) -> None:
        """Hold other tiles."""
        self.beginResetModel()
        self._entries = list(entries)
        self.endResetModel()

    def add(self, pictures: Iterable[Picture]) -> int:
        """Add pictures that are not here yet; return how many were added."""
        known = {edits.picture_key(one) for one in self.pictures}
        new = []
        for one in pictures:
            key = edits.picture_key(one)
            if key not in known and len(known) < MOST:
                known.add(key)
                new.append(Entry(one))
        self._append(new)
        return len(new)

    def add_points(self, entry: Entry) -> None:
        """Add points of a map."""
        self._append([entry])

    def _append(self, new: Sequence[Entry]) -> None:
        if new:
            first = len(self._entries)
            self.beginInsertRows(QModelIndex(), first, first + len(new) - 1)
            self._entries += new
            self.endInsertRows()

    def remove(self, rows: Iterable[int]) -> None:
        """Take tiles out."""
        gone = set(rows)
        self.set_entries(e for place, e in enumerate(self._entries) if place not in gone)

    def discard(self, pictures: Iterable[Picture]) -> None:
        """Take pictures out, if they are here."""
        keys = {edits.picture_key(one) for one in pictures}
        rows = [
            place
            for place, entry in enumerate(self._entries)
            if entry.points is None
            and entry.picture is not None
            and edits.picture_key(entry.picture) in keys
        ]
        if rows:
            self.remove(rows)

    # As Qt asks.

    def rowCount(self, parent: Index | None = None) -> int:
        """Return the number of tiles."""
        return 0 if parent is not None and parent.isValid() else len(self._entries)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a view asks for; an image that is not there yet comes later."""
        if not index.isValid() or index.row() >= len(self._entries):
            return None
        entry = self._entries[index.row()]
        if role == IMAGE_ROLE:
            return None if entry.picture is None else self._controller.thumbnail(entry.picture)
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return entry.title
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Every tile can be chosen and dragged."""
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsDragEnabled if index.isValid() else flags

    def _arrived(self, _key: str, _image: object) -> None:
        if self._entries:
            self.dataChanged.emit(self.index(0), self.index(len(self._entries) - 1), [IMAGE_ROLE])
