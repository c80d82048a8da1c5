"""The attributes panel: a slider in sigma for each direction of the model."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

from PySide6.QtCore import QEvent, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.direction import Direction
from latentlab.ui.edits import readable, readable_under
from latentlab.ui.effects_model import worst_side_effect
from latentlab.ui.icons import icon
from latentlab.ui.panels.attribute_menus import panel_menu, row_menu
from latentlab.ui.widgets.attribute_list import AttributeList, RowGroup
from latentlab.ui.widgets.attribute_row import AttributeRow, RowFacts
from latentlab.ui.widgets.direction_text import known_side_effect
from latentlab.ui.widgets.notes import EmptyState
from latentlab.ui.widgets.random_range import RandomRange, random_values
from latentlab.ui.widgets.range_strip import RangeStrip
from latentlab.ui.widgets.sampling_text import condition_hint

GROUP = "Attributes"
"""The heading of directions that name none."""


def grouped(directions: Mapping[str, Direction]) -> list[tuple[str, list[Direction]]]:
    """Return directions under their headings, in the order in which they come."""
    groups: dict[str, list[Direction]] = {}
    for direction in directions.values():
        groups.setdefault(direction.group or GROUP, []).append(direction)
    return list(groups.items())


class AttributesPanel(QWidget):
    """Sliders that edit what is on the canvas; they follow the document, undo and redo.

    Args:
        controller: of the window.

    Signals:
        direction_asked: name of a direction that a person wants to fit again.
        making_asked: a person wants to make a direction.
    """

    direction_asked = Signal(str)
    making_asked = Signal()

    def __init__(self, controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Attributes")
        self.controller = controller
        self._gestures = count()
        self._gesture = next(self._gestures)
        self._before_of: object = None
        self._popover: RandomRange | None = None
        self._empty = EmptyState("", "", "&Make a direction", self.making_asked.emit)
        self.list = AttributeList(controller.settings.folded_headings)
        self.range = RangeStrip(controller)
        self.range.setParent(self)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self._build_page())
        self._stack.addWidget(self._empty)
        self._connect()
        self._recolour()
        self._rebuild()

    # Building.

    def _build_page(self) -> QWidget:
        self._search = QLineEdit(placeholderText="Find an attribute")
        self._search.setClearButtonEnabled(True)
        self._search.setAccessibleName("Find an attribute")
        self._search.textChanged.connect(self.list.filter)
        self._more = QToolButton(autoRaise=True)
        self._more.setAccessibleName("More about the sliders")
        self._more.setToolTip("Copy and paste slider values, fold, show hidden sliders")
        self._more.clicked.connect(self._show_more)
        top = QHBoxLayout()
        top.addWidget(self._search, 1)
        top.addWidget(self._more)
        self._notice = QLabel()
        self._notice.setWordWrap(True)
        self._notice.setTextFormat(Qt.TextFormat.PlainText)
        self._notice.hide()
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(6)
        for line in (top, self._build_buttons()):
            line.setContentsMargins(8, 0, 8, 0)
            layout.addLayout(line)
        self._notice.setContentsMargins(8, 0, 8, 0)
        layout.addWidget(self._notice)
        layout.addWidget(self.list, 1)
        return page

    def _build_buttons(self) -> QHBoxLayout:
        self._before = QPushButton("&Before")
        self._before.setToolTip("Hold to see the picture without its edits (Space)")
        self._before.pressed.connect(lambda: self.controller.hold_before(True))
        self._before.released.connect(lambda: self.controller.hold_before(False))
        self._stay = QToolButton(checkable=True)
        self._stay.setAccessibleName("Keep showing the picture without its edits")
        self._stay.setToolTip("Keep showing the picture without its edits")
        self._stay.toggled.connect(self._stay_before)
        self._random = QPushButton("Ra&ndom…")
        self._random.setToolTip("Set the sliders at random, within a range, from a seed")
        self._random.clicked.connect(self.open_random)
        self._reset = QPushButton("&Reset all")
        self._reset.setToolTip("Put all sliders back to 0; one step of the history (Ctrl+0)")
        self._reset.clicked.connect(lambda: self.controller.reset_edits())
        line = QHBoxLayout()
        line.setSpacing(6)
        for widget in (self._before, self._stay, self._random):
            line.addWidget(widget)
        line.addStretch()
        line.addWidget(self._reset)
        return line

    def _connect(self) -> None:
        controller, rows = self.controller, self.list
        controller.directions_changed.connect(self._rebuild)
        controller.document_changed.connect(self._follow)
        # After the others have heard of it: the switch has the last word.
        controller.before_held.connect(self._before_was_held, Qt.ConnectionType.QueuedConnection)
        rows.edited.connect(self._edit)
        rows.gesture_ended.connect(self._end_gesture)
        rows.reset_asked.connect(lambda name: controller.reset_edits([name]))
        rows.menu_asked.connect(self._show_menu)
        rows.renamed.connect(controller.rename_direction)
        rows.lock_asked.connect(controller.set_locked)
        rows.strip_asked.connect(self.toggle_range)
        rows.moved.connect(self._move)
        rows.folded_changed.connect(self._remember_fold)
        controller.effects_changed.connect(self._rebuild)
        controller.slider_selected.connect(self.show_slider)

    def changeEvent(self, event: QEvent) -> None:
        """Draw the icons again in other colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._recolour()

    def _recolour(self) -> None:
        for button, name in ((self._more, "more"), (self._stay, "compare")):
            button.setIcon(icon(name, self.palette()))
            button.setIconSize(QSize(16, 16))

    # The rows.

    def row(self, name: str) -> AttributeRow:
        """Return the row of a direction; ``KeyError`` when there is none."""
        return self.list.row(name)

    @property
    def names(self) -> list[str]:
        """The directions in the order of the rows."""
        return list(self.list.rows)

    def _rebuild(self, *_: object) -> None:
        """Show the directions of the current model."""
        locked, warnings = frozenset(self.controller.locked), self._warnings()
        groups = []
        for heading, found in grouped(self.controller.directions):
            facts = (self._facts(d, heading, d.name in locked, warnings[d.name]) for d in found)
            groups.append(RowGroup(readable(heading), tuple(facts)))
        self.list.set_groups(groups, self._foot())
        if self.range.name not in self.list.rows:
            self.range.open("")
        elif self.range.name:
            self.range.follow_directions()
        self._say_notices()
        self._say_what_is_missing()
        self._follow()

    def _foot(self) -> QToolButton | None:
        """Return the button that brings removed sliders back, if there are any."""
        hidden = len(self.controller.removed_directions)
        if not hidden:
            return None
        foot = QToolButton(autoRaise=True)
        foot.setText(f"Show hidden ({hidden})")
        foot.setToolTip("Bring back the sliders of this model that were removed")
        foot.clicked.connect(lambda: self.controller.restore_directions())
        return foot

    def show_slider(self, name: str) -> None:
        """Bring a slider into sight, whatever hides it, and give it the focus."""
        if name not in self.list.rows:
            return
        if name not in self.list.shown:
            self._search.clear()
        self.list.reveal(name)
        self.row(name).slider.setFocus()

    def _facts(self, direction: Direction, heading: str, locked: bool, warning: str) -> RowFacts:
        """Return what a row shows."""
        controller, name = self.controller, direction.name
        mark = "" if controller.model is None else controller.model.spec.fingerprint
        title = controller.title_of(name)
        own = title == readable(name)
        return RowFacts(
            direction,
            title,
            readable_under(name, heading) if own else title,
            bool(direction.fingerprint) and direction.fingerprint != mark,
            locked,
            warning,
        )

    def _say_notices(self) -> None:
        rows = self.list.rows.values()
        foreign = sum(row.facts.fitted_elsewhere for row in rows)
        self._notice.setVisible(foreign > 0)
        self._notice.setText(
            f"⚠ {foreign} of {len(rows)} directions were fitted elsewhere, on other weights: "
            "their effects may differ here. Right-click one to refit it."
        )

    def _say_what_is_missing(self) -> None:
        model = self.controller.model
        hidden = len(self.controller.removed_directions)
        if self.list.rows or hidden:
            self._stack.setCurrentIndex(0)
            return
        if model is None:
            self._empty.say("No model is open", "Choose a model in the library on the left.")
        else:
            self._empty.say(
                f"{model.spec.title or model.spec.id} has no attribute directions",
                "A direction is a way through the latent space that changes one attribute. Make "
                "one in the panel Directions, from labelled images or from two groups that you "
                f"pick, or type:\n\n{self.direction_command()}{condition_hint(model.spec)}",
            )
        self._empty.set_button("" if model is None else "&Make a direction")
        self._stack.setCurrentIndex(1)

    def direction_command(self) -> str:
        """Return the command that explains how to find directions of the current model."""
        entry = self.controller.model_entry
        model = entry.id if entry is not None else self.controller.model.spec.id
        return f"latentlab direction {model} --help"

    def _warnings(self) -> dict[str, str]:
        """Return what sliders move besides their attribute, if that is much of their effect.

        What was measured counts for as long as it holds; otherwise what the maker measured.
        """
        controller, known = self.controller, self.controller.directions
        told = {n: known_side_effect(d, controller.title_of(n)) for n, d in known.items()}
        found = controller.measured_effects
        if found is not None:
            for name in found.marks.keys() - set(found.changed(known)):
                effect = worst_side_effect(found.report, name)
                warns = effect is not None and effect.warns
                told[name] = effect.sentence(controller.title_of) if warns else ""
        return told

    # Between the rows and the document.

    def _follow(self, *_: object) -> None:
        """Show the document's values."""
        canvas = self.controller.document.canvas
        edits = {} if canvas is None else canvas.edits
        for name, row in self.list.rows.items():
            row.set_sigma(edits.get(name, 0.0))
            row.set_usable(canvas is not None and canvas.space == row.direction.space)
        edited = any(edits.values())
        self._reset.setEnabled(edited)
        self._random.setEnabled(canvas is not None)
        self._before.setEnabled(edited or self._before.isDown())
        self._stay.setEnabled(edited)
        self._follow_before(canvas, edited)

    def _edit(self, name: str, sigma: float) -> None:
        self.controller.set_edit(name, sigma, f"edit {name} {self._gesture}")

    def _end_gesture(self) -> None:
        self._gesture = next(self._gestures)
        self.controller.end_merge()

    def _move(self, name: str, before: str) -> None:
        """Put a direction in front of another one; after the last of its heading without one."""
        order = [other for other in self.controller.directions if other != name]
        group = self.controller.directions[name].group or GROUP
        known = self.controller.directions
        last = max((order.index(n) for n in order if (known[n].group or GROUP) == group), default=0)
        self.controller.move_direction(name, order.index(before) if before else last + 1)

    def _remember_fold(self, title: str, folded: bool) -> None:
        settings = self.controller.settings
        others = tuple(other for other in settings.folded_headings if other != title)
        settings.folded_headings = (*others, title) if folded else others

    # The strip of one slider.

    def toggle_range(self, name: str) -> None:
        """Open the strip under a row, or close it."""
        self._show_range("" if self.range.name == name else name)

    def _show_range(self, name: str) -> None:
        self.list.set_strip(self.range, name)
        self.range.open(name)
        if name:
            self.list.reveal(name)
            self.list.ensureWidgetVisible(self.range, 0, 8)

    # Random values.

    def open_random(self) -> None:
        """Show the popover that sets sliders at random."""
        popover = RandomRange(self) if self._popover is None else self._popover
        self._popover = popover
        shown, every = self._free(True), self._free(False)
        popover.say_counts({True: len(shown), False: len(every)}, len(self.controller.locked))
        popover.rolled.connect(self.set_random, Qt.ConnectionType.UniqueConnection)
        popover.show_under(self._random)

    def _free(self, only_shown: bool) -> list[str]:
        """Return the names of the sliders that random values may move."""
        names = self.list.shown if only_shown else self.names
        rows = (self.list.rows[name] for name in names)
        return [row.name for row in rows if row.usable and not row.facts.locked]

    def set_random(self, seed: int, reach: float, only_shown: bool) -> None:
        """Set the free sliders at random, in one step of the history; locked ones stay."""
        values = random_values(seed, reach, self._free(only_shown))
        self.controller.set_edits(values, f"Random sliders ±{reach:.2g} σ, seed {seed}")

    # Before and after.

    def _stay_before(self, on: bool) -> None:
        canvas = self.controller.document.canvas
        self._before_of = canvas if on else None
        self.controller.hold_before(on)

    def _before_was_held(self, held: bool) -> None:
        if not held and self._stay.isChecked():
            # A key was let go elsewhere: the switch still says "before".
            self.controller.hold_before(True)

    def _follow_before(self, canvas: object, edited: bool) -> None:
        if not self._stay.isChecked():
            return
        if not edited:
            self._stay.setChecked(False)
        elif canvas != self._before_of:
            self._before_of = canvas
            self.controller.hold_before(True)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Show the image without its edits while Space is held on a slider."""
        if event.key() != Qt.Key.Key_Space:
            super().keyPressEvent(event)
        elif not event.isAutoRepeat():
            self.controller.hold_before(True)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Show the edits again."""
        if event.key() != Qt.Key.Key_Space:
            super().keyReleaseEvent(event)
        elif not event.isAutoRepeat():
            self.controller.hold_before(False)

    # Menus.

    def _show_menu(self, name: str, position: QPoint) -> None:
        menu = self.menu_for(name)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(position)

    def menu_for(self, name: str) -> QMenu:
        """Return the menu of a row."""
        return row_menu(self, name)

    def menu_of_panel(self) -> QMenu:
        """Return what can be done with all sliders."""
        return panel_menu(self)

    def _show_more(self) -> None:
        menu = self.menu_of_panel()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self._more.mapToGlobal(QPoint(0, self._more.height())))

    def copy_text(self, text: str) -> None:
        """Put a text on the clipboard."""
        QGuiApplication.clipboard().setText(text)
