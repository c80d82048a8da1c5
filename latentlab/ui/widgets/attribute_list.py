"""Rows of sliders under headings that fold: built when they are seen, dragged into an order."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QPalette, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QToolButton, QVBoxLayout, QWidget

from latentlab.ui.icons import icon
from latentlab.ui.widgets.attribute_row import AttributeRow, RowFacts, RowIcons, name_room

_SLICE_S = 0.005
"""Rows out of sight are built between events, for at most this long at a time."""
_NARROWEST, _WIDEST = 72, 150
_EDGE, _SCROLL = 24, 14


@dataclass(frozen=True, eq=False)
class RowGroup:
    """Rows under one heading.

    Attributes:
        title: of the heading, as a person reads it.
        rows: in their order.
    """

    title: str
    rows: tuple[RowFacts, ...]


class Heading(QToolButton):
    """A heading that folds its rows away; its text is the title and, folded, their number."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = title
        self.rows: list[AttributeRow] = []
        self.setAutoRaise(True)
        self.setCheckable(True)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setIconSize(QSize(10, 10))
        font = self.font()
        font.setBold(True)
        self.setFont(font)

    def show_state(self, folded: bool) -> None:
        """Show whether the rows are folded away."""
        self.setChecked(folded)
        self.setArrowType(Qt.ArrowType.RightArrow if folded else Qt.ArrowType.DownArrow)
        self.setText(f"{self.title} ({len(self.rows)})" if folded else self.title)
        count = f"{len(self.rows)} slider{'s' if len(self.rows) != 1 else ''}"
        self.setAccessibleName(f"{self.title}, {count}, {'folded' if folded else 'open'}")
        self.setToolTip(f"{'Show' if folded else 'Fold away'} {count}")


class AttributeList(QScrollArea):
    """All rows of the attributes panel.

    Signals:
        edited, gesture_ended, reset_asked, menu_asked, renamed, lock_asked, strip_asked: of the
            rows, see ``AttributeRow``.
        moved: name of a direction, and of the one that it is to stand in front of; empty for the
            end of its heading.
        folded_changed: title of a heading, and whether it is folded now.
    """

    edited = Signal(str, float)
    gesture_ended = Signal()
    reset_asked = Signal(str)
    menu_asked = Signal(str, QPoint)
    renamed = Signal(str, str)
    lock_asked = Signal(str, bool)
    strip_asked = Signal(str)
    moved = Signal(str, str)
    folded_changed = Signal(str, bool)

    def __init__(self, folded: Collection[str] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._folded = set(folded)
        self._rows: dict[str, AttributeRow] = {}
        self._headings: list[Heading] = []
        self._wanted = ""
        self._drag_y = 0
        self._strip: QWidget | None = None
        self._strip_name = ""
        self._foot: QWidget | None = None
        self._icons = self._draw_icons()
        self._inner = QWidget()
        self._column = QVBoxLayout(self._inner)
        self._column.setContentsMargins(5, 0, 5, 8)
        self._column.setSpacing(4)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(self._inner)
        self._mark = QFrame(self._inner)
        self._mark.setAutoFillBackground(True)
        self._mark.setBackgroundRole(QPalette.ColorRole.Highlight)
        self._mark.hide()
        self._idle = QTimer(self, interval=0)
        self._idle.timeout.connect(self._build_slice)
        self.verticalScrollBar().valueChanged.connect(self._build_in_sight)

    # The rows.

    def row(self, name: str) -> AttributeRow:
        """Return the row of a direction, built; ``KeyError`` when there is none."""
        row = self._rows[name]
        row.build()
        return row

    @property
    def rows(self) -> dict[str, AttributeRow]:
        """All rows by name, in their order; those that nobody saw yet may not be built."""
        return self._rows

    @property
    def shown(self) -> list[str]:
        """Names of the rows that are not folded away and that the search found."""
        return [name for name, row in self._rows.items() if not row.isHidden()]

    def set_groups(self, groups: Sequence[RowGroup], foot: QWidget | None = None) -> None:
        """Show these rows; the ones that were there keep their widgets, focus and values.

        Args:
            groups: under their headings, in this order.
            foot: stands below all rows.
        """
        old = self._rows
        self._empty_column(foot)
        self._rows = {}
        for group in groups:
            heading = Heading(group.title, self._inner)
            heading.clicked.connect(lambda folded, h=heading: self._fold(h, folded))
            self._headings.append(heading)
            self._column.addWidget(heading)
            for facts in group.rows:
                row = self._take_row(old.pop(facts.direction.name, None), facts)
                heading.rows.append(row)
                self._column.addWidget(row)
        for row in old.values():
            row.hide()
            row.deleteLater()
        self._foot = foot
        if foot is not None:
            self._column.addWidget(foot)
            foot.show()
        self._column.addStretch()
        if self._strip_name not in self._rows:
            self._strip_name = ""
        self.set_strip(self._strip, self._strip_name)
        self._mark.raise_()
        self._line_up()
        self.filter(self._wanted)
        self._chain_tabs()

    def _empty_column(self, foot: QWidget | None) -> None:
        while self._column.takeAt(0) is not None:
            pass
        for heading in self._headings:
            heading.hide()
            heading.deleteLater()
        self._headings = []
        if self._foot is not None and self._foot is not foot:
            self._foot.hide()
            self._foot.deleteLater()

    def _take_row(self, row: AttributeRow | None, facts: RowFacts) -> AttributeRow:
        if row is None:
            row = AttributeRow(facts, self._icons, self._inner)
            for name in ("edited", "gesture_ended", "reset_asked", "menu_asked", "renamed"):
                getattr(row, name).connect(getattr(self, name))
            row.lock_asked.connect(self.lock_asked)
            row.strip_asked.connect(self.strip_asked)
            row.move_asked.connect(self.step)
            row.dragged.connect(self._drag)
            row.dropped.connect(self._drop)
        else:
            row.set_facts(facts)
        self._rows[row.name] = row
        return row

    # Search and folding.

    def filter(self, text: str) -> None:
        """Show the rows whose name, title or heading holds a text; folding counts without one."""
        self._wanted = text
        wanted = text.strip().casefold().replace("_", " ")
        self.setUpdatesEnabled(False)
        for heading in self._headings:
            whole = wanted in heading.title.casefold()
            folded = not wanted and heading.title in self._folded
            found = 0
            for row in heading.rows:
                own = row.name.replace("_", " ").casefold()
                fits = whole or wanted in own or wanted in row.facts.title.casefold()
                found += fits
                row.setVisible(fits and not folded)
            heading.show_state(folded)
            heading.setVisible(found > 0)
        self._show_strip()
        self.setUpdatesEnabled(True)
        self._build_in_sight()

    def _fold(self, heading: Heading, folded: bool) -> None:
        if folded:
            self._folded.add(heading.title)
        else:
            self._folded.discard(heading.title)
        self.filter(self._wanted)
        self.folded_changed.emit(heading.title, folded)

    def fold_all(self, folded: bool) -> None:
        """Fold, or open, every heading."""
        for heading in self._headings:
            if (heading.title in self._folded) != folded:
                self._fold(heading, folded)

    def reveal(self, name: str) -> None:
        """Bring a row into sight, whatever hides it."""
        row = self._rows[name]
        heading = self._heading_of(name)
        if row.isHidden() and heading.title in self._folded:
            self._fold(heading, False)
        self._settle()
        self.ensureWidgetVisible(row, 0, 8)

    def _heading_of(self, name: str) -> Heading:
        row = self._rows[name]
        return next(heading for heading in self._headings if row in heading.rows)

    # The strip under a row.

    def set_strip(self, strip: QWidget | None, name: str) -> None:
        """Put a widget under the row of a direction; an empty name puts it away."""
        if self._strip is not None:
            self._column.removeWidget(self._strip)
        self._strip, self._strip_name = strip, name
        for other, row in self._rows.items():
            row.set_expanded(other == name)
        if strip is not None and name:
            strip.setParent(self._inner)
            self._column.insertWidget(self._column.indexOf(self._rows[name]) + 1, strip)
        self._show_strip()

    def _show_strip(self) -> None:
        if self._strip is not None:
            row = self._rows.get(self._strip_name)
            self._strip.setVisible(row is not None and not row.isHidden())

    # Order.

    def step(self, name: str, step: int) -> None:
        """Move a row one place up (-1) or down (+1) among those that are shown of its heading."""
        names = [row.name for row in self._heading_of(name).rows if not row.isHidden()]
        place = names.index(name)
        target = place - 1 if step < 0 else place + 2
        if 0 <= target <= len(names):
            self._move(name, names[target] if target < len(names) else "")

    def can_step(self, name: str, step: int) -> bool:
        """Whether ``step`` would move the row."""
        names = [row.name for row in self._heading_of(name).rows if not row.isHidden()]
        return name in names and 0 <= names.index(name) + step < len(names)

    def _move(self, name: str, before: str) -> None:
        self.moved.emit(name, before)
        if name in self._rows:
            self.reveal(name)

    def _place_of(self, name: str, global_y: int) -> tuple[list[AttributeRow], int]:
        """Return the rows of a heading, and between which two of them a height lies."""
        rows = [row for row in self._heading_of(name).rows if not row.isHidden()]
        y = self._inner.mapFromGlobal(QPoint(0, global_y)).y()
        return rows, sum(row.geometry().center().y() < y for row in rows)

    def _drag(self, name: str, global_y: int) -> None:
        """Show where the row would go."""
        rows, place = self._place_of(name, global_y)
        edge = rows[place].y() - 3 if place < len(rows) else rows[-1].geometry().bottom() + 2
        self._mark.setGeometry(4, edge, self._inner.width() - 8, 2)
        self._mark.raise_()
        self._mark.show()
        y, bar = self.viewport().mapFromGlobal(QPoint(0, global_y)).y(), self.verticalScrollBar()
        if y < _EDGE:
            bar.setValue(bar.value() - _SCROLL)
        elif y > self.viewport().height() - _EDGE:
            bar.setValue(bar.value() + _SCROLL)
        self._drag_y = global_y

    def _drop(self, name: str, kept: bool) -> None:
        dragged = not self._mark.isHidden()
        self._mark.hide()
        if not (kept and dragged):
            return
        rows, place = self._place_of(name, self._drag_y)
        names = [row.name for row in rows]
        if place not in (names.index(name), names.index(name) + 1):
            self._move(name, names[place] if place < len(names) else "")

    # Geometry.

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give the names what the width has room for."""
        super().resizeEvent(event)
        self._line_up()
        self._build_in_sight()

    def _line_up(self) -> None:
        if not self._rows:
            return
        margins = self._column.contentsMargins()
        width = self.viewport().width() - margins.left() - margins.right()
        room = name_room(self.fontMetrics(), width)
        widths = sorted(min(row.name_width(), _WIDEST) for row in self._rows.values())
        # A few long names are cut; where many would be, names stand above their sliders.
        wrapped = room < widths[len(widths) * 3 // 4]
        name = max(min(widths[-1], room), _NARROWEST)
        for row in self._rows.values():
            row.set_shape(wrapped, name)

    def _draw_icons(self) -> RowIcons:
        return RowIcons(*(icon(name, self.palette()) for name in ("lock", "unlock", "strip")))

    def changeEvent(self, event: QEvent) -> None:
        """Draw the icons again in other colours, and make room for other fonts."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._icons = self._draw_icons()
            for row in self._rows.values():
                row.set_icons(self._icons)
        elif event.type() == QEvent.Type.FontChange:
            self._line_up()

    # Building.

    def showEvent(self, event: QShowEvent) -> None:
        """Build what is seen now, the rest between events."""
        super().showEvent(event)
        self._build_in_sight()

    def hideEvent(self, event: QHideEvent) -> None:
        """Stop building."""
        super().hideEvent(event)
        self._idle.stop()

    def _build_in_sight(self, *_: object) -> None:
        if not self.isVisible():
            return
        self._settle()
        sight = QRect(self._inner.mapFrom(self, QPoint(0, 0)), self.viewport().size())
        sight.adjust(0, -sight.height() // 2, 0, sight.height() // 2)
        for row in self._rows.values():
            if not row.built and not row.isHidden() and row.geometry().intersects(sight):
                row.build()
        if any(not row.built for row in self._rows.values()):
            self._idle.start()

    def _settle(self) -> None:
        """Let every row have its place now: Qt would do it after the next events."""
        height = max(self.viewport().height(), self._column.minimumSize().height())
        self._inner.resize(self.viewport().width(), height)
        self._column.activate()

    def _build_slice(self) -> None:
        """Build some rows that nobody sees yet: Tab and a screen reader come there."""
        end = time.perf_counter() + _SLICE_S
        waiting = [row for row in self._rows.values() if not row.built]
        for row in waiting:
            row.build()
            if time.perf_counter() > end:
                return
        self._idle.stop()
        self._chain_tabs()

    def _chain_tabs(self) -> None:
        """Let Tab follow the order on the screen, however the rows came to be."""
        last: QWidget | None = None
        for heading in self._headings:
            chain: list[QWidget] = [heading]
            for row in heading.rows:
                if row.built:
                    chain += [row.slider, row.box, row.lock, row.strip]
                    if self._strip is not None and row.name == self._strip_name:
                        chain.append(self._strip)
            for widget in chain:
                if last is not None:
                    QWidget.setTabOrder(last, widget)
                last = widget
