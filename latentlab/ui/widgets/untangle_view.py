"""Choose sliders to untangle; look at what they would become; take them or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QScrollArea,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.direction import Direction
from latentlab.core.effects import EffectReport
from latentlab.ui.effects_model import (
    FigureRow,
    figure_rows,
    kept_names,
    sigmas,
    worst_side_effect,
)
from latentlab.ui.widgets.figures_table import FiguresTable
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.labelled_matrix import short_number
from latentlab.ui.widgets.pair_strip import PairStrip

NAME_ROLE = Qt.ItemDataRole.UserRole + 1
_EXPLANATION = (
    "Untangling turns a slider away from what it moves besides. Locked sliders stay as they are. "
    "Nothing changes until you accept it."
)


def _label(text: str = "") -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


class UntangleView(QWidget):
    """First a list of sliders, then the figures and faces before and after.

    Args:
        controller: of the window.

    Signals:
        untangle_asked: names of the chosen sliders.
        accept_asked: use what was found.
        discard_asked: forget it.
    """

    untangle_asked = Signal(object)
    accept_asked = Signal()
    discard_asked = Signal()

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._rows: list[FigureRow] = []
        self._old: dict[str, Direction] = {}
        self._new: dict[str, Direction] = {}
        self._amount = 2.0
        self._offered: set[str] = set()
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self._build_choice())
        self._stack.addWidget(self._build_result())

    # Choosing.

    def _build_choice(self) -> QWidget:
        self.list = QListWidget()
        self.list.setAccessibleName("Sliders to untangle")
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setMinimumHeight(96)
        self.list.setSpacing(2)
        self.list.itemChanged.connect(lambda _: self._follow_choice())
        self.all_button = QPushButton("&All")
        self.all_button.setToolTip("Choose every slider that is not locked")
        self.all_button.clicked.connect(lambda: self._check(lambda _: True))
        self.warned_button = QPushButton("With &warnings")
        self.warned_button.setToolTip("Choose the sliders whose side effect exceeds half of theirs")
        self.warned_button.clicked.connect(lambda: self._check(self._is_warned))
        self.go = QPushButton("Untan&gle")
        self.go.clicked.connect(lambda: self.untangle_asked.emit(self.chosen))
        buttons = FlowLayout()
        for button in (self.all_button, self.warned_button, self.go):
            buttons.addWidget(button)
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(_label(_EXPLANATION))
        layout.addWidget(self.list, 1)
        layout.addLayout(buttons)
        return page

    def show_choice(self, report: EffectReport | None, locked: Sequence[str]) -> None:
        """Offer the sliders of a report; those with warnings are chosen, or else all.

        What a person chose otherwise stays while the sliders are the same.
        """
        self._stack.setCurrentIndex(0)
        chosen = set(self.chosen)
        known = {self.list.item(i).data(NAME_ROLE) for i in range(self.list.count())}
        self.list.blockSignals(True)
        self.list.clear()
        for name in () if report is None else report.directions:
            self._add(report, name, name in locked)
        self.list.blockSignals(False)
        names = {self.list.item(i).data(NAME_ROLE) for i in range(self.list.count())}
        if names == known and chosen != self._offered:
            self._check(lambda item: item.data(NAME_ROLE) in chosen)
            return
        warned = any(self._is_warned(self.list.item(i)) for i in range(self.list.count()))
        self._check(self._is_warned if warned else lambda _: True)
        self._offered = set(self.chosen)

    def _add(self, report: EffectReport, name: str, locked: bool) -> None:
        title = self._controller.title_of(name)
        worst = worst_side_effect(report, name)
        if locked:
            text = f"{title}: locked, stays as it is"
        elif worst is None:
            text = f"{title}: what it should move is not read"
        else:
            mark = "⚠ " if worst.warns else ""
            text = f"{title}: {mark}{short_number(worst.share)} on {worst.column}"
            text = text.replace("_", " ")
        item = QListWidgetItem(text)
        item.setData(NAME_ROLE, name)
        item.setData(NAME_ROLE + 1, worst is not None and worst.warns)
        flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsUserCheckable
        item.setFlags(flags if locked or worst is None else flags | Qt.ItemFlag.ItemIsEnabled)
        item.setCheckState(Qt.CheckState.Unchecked)
        if worst is not None:
            item.setToolTip(worst.sentence(self._controller.title_of))
        self.list.addItem(item)

    def _is_warned(self, item: QListWidgetItem) -> bool:
        return bool(item.data(NAME_ROLE + 1))

    def _check(self, wanted) -> None:
        for i in range(self.list.count()):
            item = self.list.item(i)
            on = bool(item.flags() & Qt.ItemFlag.ItemIsEnabled) and wanted(item)
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        self._follow_choice()

    @property
    def chosen(self) -> list[str]:
        """Names of the chosen sliders."""
        items = [self.list.item(i) for i in range(self.list.count())]
        on = Qt.CheckState.Checked
        return [item.data(NAME_ROLE) for item in items if item.checkState() == on]

    def set_able(self, reason: str) -> None:
        """Say why nothing can be untangled now; empty when it can."""
        self._reason = reason
        self._follow_choice()

    _reason = ""

    def _follow_choice(self) -> None:
        count = len(self.chosen)
        items = [self.list.item(i) for i in range(self.list.count())]
        self.warned_button.setEnabled(
            any(self._is_warned(i) and i.flags() & Qt.ItemFlag.ItemIsEnabled for i in items)
        )
        self.go.setEnabled(count > 0 and not self._reason)
        self.go.setText(f"Untan&gle {count}" if count else "Untan&gle")
        self.go.setToolTip(self._reason or "Look for sliders with smaller side effects")

    # The result.

    def _build_result(self) -> QWidget:
        self.summary = _label()
        self.table = FiguresTable(self._controller.title_of)
        self.table.selectionModel().currentRowChanged.connect(self._show_faces_of)
        self.faces_title = _label()
        self.strip = PairStrip(self._controller)
        self.accept = QPushButton("Use the &new sliders")
        self.accept.setToolTip("Replace the sliders; one step of the history")
        self.accept.clicked.connect(self.accept_asked)
        self.discard = QPushButton("&Discard")
        self.discard.setToolTip("Keep the sliders as they are")
        self.discard.clicked.connect(self.discard_asked)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(8)
        for widget in (self.summary, self.table, self.faces_title, self.strip):
            column.addWidget(widget)
        column.addStretch(1)
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        buttons = QHBoxLayout()
        buttons.addWidget(self.accept)
        buttons.addWidget(self.discard)
        buttons.addStretch(1)
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(area, 1)
        layout.addLayout(buttons)
        return page

    def show_result(
        self,
        names: Sequence[str],
        old: dict[str, Direction],
        found: Any,
        locked: Sequence[str] = (),
    ) -> None:
        """Show what was found.

        Args:
            names: of the sliders that were to be untangled.
            old: the sliders as they are.
            found: an ``Orthogonalised``: ``directions``, ``before`` and ``after``.
            locked: names of locked sliders.
        """
        self._old, self._new = dict(old), {d.name: d for d in found.directions}
        self._amount = found.after.amount
        kept = kept_names(old, found.directions)
        self._rows = figure_rows(names, found.before, found.after, kept, locked)
        changed = [name for name in names if name in self._new and name not in kept]
        self.accept.setEnabled(bool(changed))
        self.summary.setText(_summary(len(changed), len(names)))
        self.table.set_rows(self._rows)
        self._stack.setCurrentIndex(1)
        movable = [i for i, row in enumerate(self._rows) if not row.kept] or range(len(self._rows))
        worst = max(movable, key=lambda i: _share(self._rows[i]), default=None)
        shown = worst is not None
        self.strip.setVisible(shown)
        self.faces_title.setVisible(shown)
        if shown:
            self.table.selectRow(worst)

    def _show_faces_of(self, index: QModelIndex, _previous: QModelIndex | None = None) -> None:
        if not 0 <= index.row() < len(self._rows):
            return
        name = self._rows[index.row()].direction
        old, new = self._old.get(name), self._new.get(name)
        if old is None or new is None:
            return
        title = self._controller.title_of(name)
        self.faces_title.setText(f"{title} at {sigmas(self._amount)}, on the same faces:")
        self.strip.show_edit(title, old, new, self._amount)

    @property
    def shows_result(self) -> bool:
        """Whether something was found that is neither accepted nor discarded."""
        return self._stack.currentIndex() == 1


def _share(row: FigureRow) -> float:
    return row.before.side / abs(row.before.target) if row.before.target else float("inf")


def _summary(changed: int, asked: int) -> str:
    if not changed:
        return "Nothing better was found: every slider was kept as it was."
    rest = asked - changed
    kept = f"; {rest} kept as {'it was' if rest == 1 else 'they were'}" if rest else ""
    slider = "slider" if changed == 1 else "sliders"
    return f"{changed} new {slider}{kept}. Nothing has changed yet."
