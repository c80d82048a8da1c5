"""Find any action by a few of its letters."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QFrame, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

_WIDTH = 480
_HEIGHT = 360
_MOVES = {
    Qt.Key.Key_Down: 1,
    Qt.Key.Key_Up: -1,
    Qt.Key.Key_PageDown: 8,
    Qt.Key.Key_PageUp: -8,
}


def fuzzy_score(wanted: str, text: str) -> float | None:
    """Return how well ``text`` fits ``wanted``, higher is better; ``None`` when it does not.

    The letters must come in order; starts of words and runs of letters count more.
    """
    letters, low = wanted.casefold().replace(" ", ""), text.casefold()
    score, place, run = 0.0, 0, 0
    for letter in letters:
        found = low.find(letter, place)
        if found < 0:
            return None
        starts = found == 0 or not low[found - 1].isalnum()
        run = run + 1 if found == place and place > 0 else 0
        score += 3.0 * starts + 2.0 * min(run, 4) - 0.1 * (found - place)
        place = found + 1
    if wanted.casefold() in low:
        score += 10
    return score - 0.01 * len(low)


class CommandPalette(QFrame):
    """A line to type in and the actions that fit, the best first.

    Args:
        window: what it belongs to; its actions are given to ``open``.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__(window, Qt.WindowType.Popup)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName("Find any action")
        self._window = window
        self._entries: list[tuple[str, QAction]] = []
        self.line = QLineEdit(placeholderText="Type a few letters of what you want to do")
        self.line.setAccessibleName("Find any action")
        self.line.setClearButtonEnabled(True)
        self.line.textChanged.connect(self._filter)
        self.line.returnPressed.connect(self._trigger)
        self.line.installEventFilter(self)
        self.list = QListWidget()
        self.list.setAccessibleName("Actions that fit")
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.itemClicked.connect(lambda _item: self._trigger())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(self.line)
        layout.addWidget(self.list)

    def open_with(self, entries: Sequence[tuple[str, QAction]]) -> None:
        """Show it over the window, with these titles and actions."""
        self._entries = list(entries)
        self.line.clear()
        self._filter("")
        area = self._window.rect()
        self.resize(min(_WIDTH, area.width() - 32), min(_HEIGHT, area.height() - 64))
        corner = QPoint((area.width() - self.width()) // 2, 48)
        self.move(self._window.mapToGlobal(corner))
        self.show()
        self.line.setFocus()

    def shown(self) -> list[str]:
        """Return the titles of the actions that fit, the best first."""
        return [self.list.item(row).text() for row in range(self.list.count())]

    def _filter(self, text: str) -> None:
        scored = [(fuzzy_score(text, title), title, action) for title, action in self._entries]
        fits = [row for row in scored if row[0] is not None]
        if text.strip():
            fits.sort(key=lambda row: -row[0])
        self.list.clear()
        for _, title, action in fits:
            keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            item = QListWidgetItem(action.icon(), f"{title}   {keys}" if keys else title)
            item.setData(Qt.ItemDataRole.UserRole, action)
            item.setToolTip(action.toolTip())
            if not action.isEnabled():
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
            self.list.addItem(item)
        self._select(0, 1)

    def _select(self, row: int, step: int) -> None:
        """Go to the next row that can be used."""
        count = self.list.count()
        row = min(max(0, row), count - 1)
        while 0 <= row < count:
            if self.list.item(row).flags() & Qt.ItemFlag.ItemIsEnabled:
                self.list.setCurrentRow(row)
                return
            row += 1 if step > 0 else -1

    def _trigger(self) -> None:
        item = self.list.currentItem()
        if item is not None and item.flags() & Qt.ItemFlag.ItemIsEnabled:
            self.hide()
            item.data(Qt.ItemDataRole.UserRole).trigger()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the keys that move the choice move it while the line has the focus."""
        if watched is self.line and event.type() == QEvent.Type.KeyPress:
            key = QKeyEvent.key(event)
            if key in _MOVES:
                self._select(self.list.currentRow() + _MOVES[key], _MOVES[key])
                return True
            if key == Qt.Key.Key_Escape:
                self.hide()
                return True
        return super().eventFilter(watched, event)
