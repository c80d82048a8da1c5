"""The labels of a data set: found by name, chosen by check boxes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from latentlab.ui.edits import readable
from latentlab.ui.widgets.colours import faint

NAME_ROLE = Qt.ItemDataRole.UserRole + 1
LabelRow = tuple[str, str, tuple[str, ...], int]
"""Name, kind, classes, and on how many images it is known."""
_KINDS = {"binary": "yes or no", "continuous": "number"}


def show_boxes(tree: QTreeWidget, palette: QPalette) -> None:
    """Make empty check boxes visible: Fusion frames them a shade darker than the window."""
    own = tree.palette()
    own.setColor(QPalette.ColorRole.Window, faint(palette, 0.7))
    tree.setPalette(own)


def fit_rows(tree: QTreeWidget, most: int) -> None:
    """Give a tree the height of its rows, at most so many."""
    lines = min(most, max(1, tree.topLevelItemCount()))
    row = max(tree.sizeHintForRow(0), tree.fontMetrics().height())
    tree.setFixedHeight(row * lines + tree.header().sizeHint().height() + 2 * tree.frameWidth() + 2)


class LabelTree(QWidget):
    """A searchable list with a check box for each label, and for each class of a label.

    Signals:
        changed: other labels are chosen.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.search = QLineEdit(placeholderText="Find a label")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Find a label")
        self.search.textChanged.connect(self._filter)
        self.tree = QTreeWidget()
        self.tree.setAccessibleName("Labels")
        self.tree.setColumnCount(3)
        self.tree.setHeaderLabels(["Label", "Kind", "Images"])
        self.tree.headerItem().setTextAlignment(2, Qt.AlignmentFlag.AlignRight)
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.ResizeToContents)
        self.tree.setUniformRowHeights(True)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.tree.itemChanged.connect(lambda *_: self.changed.emit())
        self.tree.itemActivated.connect(self._toggle)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.search)
        layout.addWidget(self.tree)
        show_boxes(self.tree, self.palette())
        self.set_rows(())

    def changeEvent(self, event: QEvent) -> None:
        """Keep the boxes visible on dark ground."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            show_boxes(self.tree, self.palette())

    def set_rows(self, rows: Sequence[LabelRow]) -> None:
        """Show the labels of a data set; those that were chosen before stay so."""
        chosen = self.chosen
        self.tree.blockSignals(True)
        self.tree.clear()
        for name, kind, classes, count in rows:
            words = _KINDS.get(kind, f"{len(classes)} classes")
            item = self._item(self.tree.invisibleRootItem(), name, readable(name), words, count)
            for one in classes:
                self._item(item, f"{name}_{one}", one or "(no name)", "", None)
        self.tree.setRootIsDecorated(any(row[2] for row in rows))
        self.tree.blockSignals(False)
        self.search.setVisible(len(rows) > 8)
        fit_rows(self.tree, 8)
        self.check(chosen)

    def _item(
        self, parent: QTreeWidgetItem, name: str, title: str, kind: str, count: int | None
    ) -> QTreeWidgetItem:
        item = QTreeWidgetItem(parent, [title, kind, "" if count is None else f"{count:,}"])
        item.setData(0, NAME_ROLE, name)
        item.setToolTip(0, name)
        item.setTextAlignment(2, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        flags = item.flags() | Qt.ItemFlag.ItemIsUserCheckable
        item.setFlags(flags | Qt.ItemFlag.ItemIsAutoTristate)
        item.setCheckState(0, Qt.CheckState.Unchecked)
        return item

    # What is chosen.

    def _items(self) -> list[QTreeWidgetItem]:
        root = self.tree.invisibleRootItem()
        return [root.child(place) for place in range(root.childCount())]

    @property
    def names(self) -> list[str]:
        """All labels, without their classes."""
        return [item.data(0, NAME_ROLE) for item in self._items()]

    @property
    def chosen(self) -> tuple[str, ...]:
        """Names of the chosen labels, and ``<label>_<class>`` where only some are chosen."""
        found = []
        for item in self._items():
            if item.checkState(0) == Qt.CheckState.Checked:
                found.append(item.data(0, NAME_ROLE))
            else:
                found += [
                    item.child(place).data(0, NAME_ROLE)
                    for place in range(item.childCount())
                    if item.child(place).checkState(0) == Qt.CheckState.Checked
                ]
        return tuple(found)

    @property
    def directions(self) -> int:
        """How many directions the chosen labels give: one a class."""
        count = 0
        for item in self._items():
            children = [item.child(place) for place in range(item.childCount())]
            on = Qt.CheckState.Checked
            mine = sum(child.checkState(0) == on for child in children)
            count += mine if children else int(item.checkState(0) == on)
        return count

    def check(self, names: Iterable[str]) -> None:
        """Choose labels, or classes of them; the others are not."""
        wanted = set(names)
        self.tree.blockSignals(True)
        for item in self._items():
            whole = item.data(0, NAME_ROLE) in wanted
            for place in range(item.childCount()):
                child = item.child(place)
                on = whole or child.data(0, NAME_ROLE) in wanted
                child.setCheckState(0, _state(on))
                if on and not whole:
                    item.setExpanded(True)
            if not item.childCount():
                item.setCheckState(0, _state(whole))
        self.tree.blockSignals(False)
        self.changed.emit()

    def _toggle(self, item: QTreeWidgetItem) -> None:
        item.setCheckState(0, _state(item.checkState(0) != Qt.CheckState.Checked))

    def _filter(self, text: str) -> None:
        words = text.lower().split()
        for item in self._items():
            texts = [item.text(0), item.data(0, NAME_ROLE)]
            texts += [item.child(place).text(0) for place in range(item.childCount())]
            everything = " ".join(texts).lower()
            item.setHidden(not all(word in everything for word in words))


def _state(on: bool) -> Qt.CheckState:
    return Qt.CheckState.Checked if on else Qt.CheckState.Unchecked
