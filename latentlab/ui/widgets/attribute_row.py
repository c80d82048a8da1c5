"""One direction: its name, a slider in sigma, a number box, its lock and its strip."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QIcon, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QToolButton, QWidget

from latentlab.core.direction import Direction
from latentlab.ui.widgets.direction_text import describe_direction
from latentlab.ui.widgets.row_parts import RowGrip, RowName, RowTitle
from latentlab.ui.widgets.sigma_slider import SigmaBox, SigmaSlider

GRIP = 11
_ICON = 18
_GAP = 4
_SLIDER = 84
_LONGEST_TITLE = 60
_ALT, _NONE = Qt.KeyboardModifier.AltModifier, Qt.KeyboardModifier.NoModifier


def _number_width(metrics: QFontMetrics) -> int:
    return metrics.horizontalAdvance("−99.99 σ") + 12


def name_room(metrics: QFontMetrics, width: int) -> int:
    """Return what is left for the name in a row of some width, on one line with its slider."""
    others = GRIP + 2 * _GAP + _SLIDER + _number_width(metrics) + 2 + 2 * _ICON
    return width - others


@dataclass(frozen=True)
class RowFacts:
    """What a row shows beside its value.

    Attributes:
        direction: that the slider moves along.
        title: what a person calls it.
        short: the same without the heading that it stands under.
        fitted_elsewhere: on other weights than the current model's.
        locked: others are kept orthogonal to it.
        warning: about its side effect; empty for none.
    """

    direction: Direction
    title: str
    short: str
    fitted_elsewhere: bool = False
    locked: bool = False
    warning: str = ""

    @property
    def marked(self) -> bool:
        """Whether there is something to be careful about."""
        return self.fitted_elsewhere or bool(self.warning)

    @property
    def tip(self) -> str:
        """What is known about the direction, a line each."""
        return describe_direction(
            self.direction,
            self.fitted_elsewhere,
            title=self.title,
            warning=self.warning,
            locked=self.locked,
        )


@dataclass(frozen=True, eq=False)
class RowIcons:
    """Icons that all rows share: drawing them is slow."""

    lock: QIcon
    unlock: QIcon
    strip: QIcon


class AttributeRow(QWidget):
    """A direction's slider and number box, which say the same.

    Its widgets are made by ``build``, so that hundreds of rows cost nothing until they are seen.
    Keys anywhere in it: F2 names it, L locks it, S opens its strip, Alt+Up and Alt+Down move it.

    Signals:
        edited: name of the direction and the value in sigma, when a person changed it.
        gesture_ended: one drag, or one run of wheel turns or keys, is over.
        reset_asked: name of the direction.
        menu_asked: name of the direction and the global position.
        renamed: name of the direction and what a person calls it now.
        lock_asked: name of the direction, and whether it is to be locked.
        strip_asked: name of the direction.
        move_asked: name of the direction, and -1 or +1.
        dragged: name of the direction and the global height of the mouse.
        dropped: name of the direction; false when the drag was given up.
    """

    edited = Signal(str, float)
    gesture_ended = Signal()
    reset_asked = Signal(str)
    menu_asked = Signal(str, QPoint)
    renamed = Signal(str, str)
    lock_asked = Signal(str, bool)
    strip_asked = Signal(str)
    move_asked = Signal(str, int)
    dragged = Signal(str, int)
    dropped = Signal(str, bool)

    def __init__(self, facts: RowFacts, icons: RowIcons, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.facts = facts
        self.name = facts.direction.name
        self.built = False
        self._icons = icons
        self._sigma = 0.0
        self._usable = True
        self._expanded = False
        self._wrapped = False
        self._name_width = 92
        self._title: RowTitle | None = None
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(
            lambda at: self.menu_asked.emit(self.name, self.mapToGlobal(at))
        )
        self._fit_height()

    @property
    def direction(self) -> Direction:
        """That the slider moves along."""
        return self.facts.direction

    # Building.

    def build(self) -> None:
        """Make the widgets, if they are not there yet."""
        if self.built:
            return
        self.built = True
        self.grip = RowGrip(self)
        self.label = RowName(self)
        self.slider = SigmaSlider(self)
        self.slider.setMinimumWidth(_SLIDER - 20)
        self.box = SigmaBox(self)
        # The slider is beside it, wheel and arrows step it: their place is better used.
        self.box.setButtonSymbols(SigmaBox.ButtonSymbols.NoButtons)
        self.lock = self._button("")
        self.lock.setCheckable(True)
        self.strip = self._button("Show what it does from −4 to +4 σ (S)")
        self.strip.setCheckable(True)
        for widget in (self.label, self.slider):
            widget.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self._connect()
        self._show_facts()
        self.set_icons(self._icons)
        self._follow()
        self._place()
        for widget in (self.grip, self.label, self.slider, self.box, self.lock, self.strip):
            # Before the widget itself: its own keys would take Alt+Up for Up.
            widget.installEventFilter(self)
            widget.show()

    def _button(self, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setAutoRaise(True)
        button.setIconSize(QSize(14, 14))
        button.setToolTip(tip)
        return button

    def _connect(self) -> None:
        self.label.double_clicked.connect(lambda: self.reset_asked.emit(self.name))
        self.slider.edited.connect(self._slid)
        self.box.edited.connect(self._typed)
        self.slider.gesture_ended.connect(self.gesture_ended)
        self.box.gesture_ended.connect(self.gesture_ended)
        self.lock.clicked.connect(lambda on: self.lock_asked.emit(self.name, on))
        self.strip.clicked.connect(lambda: self.strip_asked.emit(self.name))
        self.grip.moved.connect(lambda y: self.dragged.emit(self.name, y))
        self.grip.released.connect(lambda kept: self.dropped.emit(self.name, kept))

    def set_facts(self, facts: RowFacts) -> None:
        """Show other facts of the same direction."""
        if facts != self.facts:
            self.facts = facts
            if self.built:
                self._show_facts()

    def _show_facts(self) -> None:
        facts, tip = self.facts, self.facts.tip
        self.label.setText(f"⚠ {facts.short}" if facts.marked else facts.short)
        self.grip.setToolTip(f"Drag to move {facts.title.lower()} (Alt+Up, Alt+Down)")
        self.slider.setAccessibleName(f"{facts.title}, in standard deviations")
        self.slider.setAccessibleDescription(tip)
        self.box.setAccessibleName(f"{facts.title}, value in standard deviations")
        for widget in (self.label, self.slider, self.box):
            widget.setToolTip(tip)
        self.lock.setChecked(facts.locked)
        state = "Locked" if facts.locked else "Lock"
        self.lock.setAccessibleName(f"{state} {facts.title}")
        self.lock.setToolTip(
            f"{state}: others are kept orthogonal to {facts.title.lower()} when they are fitted "
            "or orthogonalised, and random values leave it alone (L)"
        )
        self.strip.setAccessibleName(f"Range of {facts.title}")
        self._show_lock()

    def set_icons(self, icons: RowIcons) -> None:
        """Take icons in the colours of another palette."""
        self._icons = icons
        if self.built:
            self.strip.setIcon(icons.strip)
            self._show_lock()

    def _show_lock(self) -> None:
        self.lock.setIcon(self._icons.lock if self.facts.locked else self._icons.unlock)

    # Values.

    @property
    def sigma(self) -> float:
        """The value that is shown."""
        return self._sigma

    def set_sigma(self, sigma: float) -> None:
        """Follow the document: no signal."""
        if sigma != self._sigma:
            self._sigma = sigma
            self._follow()

    @property
    def usable(self) -> bool:
        """Whether the slider can move what is on the canvas."""
        return self._usable

    def set_usable(self, usable: bool) -> None:
        """Say whether the slider can move what is on the canvas."""
        if usable != self._usable:
            self._usable = usable
            self._follow()

    def _follow(self) -> None:
        if self.built:
            self.slider.set_sigma(self._sigma)
            self.box.set_sigma(self._sigma)
            for widget in (self.label, self.slider, self.box):
                widget.setEnabled(self._usable)

    def _slid(self, sigma: float) -> None:
        self._sigma = sigma
        self.box.set_sigma(sigma)
        self.edited.emit(self.name, sigma)

    def _typed(self, sigma: float) -> None:
        self._sigma = sigma
        self.slider.set_sigma(sigma)
        self.edited.emit(self.name, sigma)

    def set_expanded(self, expanded: bool) -> None:
        """Whether its strip is open."""
        if self.built:
            self.strip.setChecked(expanded)

    # Renaming.

    def edit_title(self) -> None:
        """Let a person type another name in place of the label."""
        self.build()
        self._end_title(False)
        self._title = RowTitle(self.facts.title, self)
        self._title.setMaxLength(_LONGEST_TITLE)
        self._title.setAccessibleName(f"Name of {self.facts.title}")
        self._title.left.connect(self._end_title)
        width = self.label.width() if self._wrapped else max(self.label.width(), self.width() // 2)
        self._title.setGeometry(GRIP, 0, width, self._line())
        self._title.show()
        self._title.selectAll()
        self._title.setFocus()

    def _end_title(self, taken: bool) -> None:
        title, self._title = self._title, None
        if title is None:
            return
        text = " ".join(title.text().split())
        if title.hasFocus():
            self.slider.setFocus()
        title.hide()
        title.deleteLater()
        if taken and text and text != self.facts.title:
            self.renamed.emit(self.name, text)

    # Keys.

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the keys of the row before its widgets and the window's shortcuts do."""
        kind = event.type()
        if kind not in (QEvent.Type.KeyPress, QEvent.Type.ShortcutOverride):
            return super().eventFilter(watched, event)
        act = self._act_of(event)
        if act is None:
            return super().eventFilter(watched, event)
        event.accept()
        if kind == QEvent.Type.KeyPress:
            act()
        return True

    def _act_of(self, event: QKeyEvent):
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        acts = {
            (Qt.Key.Key_F2, _NONE): self.edit_title,
            (Qt.Key.Key_S, _NONE): lambda: self.strip_asked.emit(self.name),
            (Qt.Key.Key_L, _NONE): lambda: self.lock_asked.emit(self.name, not self.facts.locked),
            (Qt.Key.Key_Up, _ALT): lambda: self.move_asked.emit(self.name, -1),
            (Qt.Key.Key_Down, _ALT): lambda: self.move_asked.emit(self.name, 1),
        }
        return acts.get((Qt.Key(event.key()), modifiers))

    # Geometry: by hand, because hundreds of small layouts are slow.

    def _line(self) -> int:
        return max(26, self.fontMetrics().height() + 8)

    def name_width(self) -> int:
        """Return how wide the label would like to be."""
        mark = "⚠ " if self.facts.marked else ""
        return self.fontMetrics().horizontalAdvance(mark + self.facts.short) + 2

    def set_shape(self, wrapped: bool, name_width: int) -> None:
        """Line up with the other rows; ``wrapped`` puts the name above the slider."""
        self._wrapped, self._name_width = wrapped, name_width
        self._fit_height()
        self._place()

    def _fit_height(self) -> None:
        line = self._line()
        self.setFixedHeight(2 * line - 2 if self._wrapped else line)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the widgets in their places."""
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        if not self.built:
            return
        line, width = self._line(), self.width()
        number = _number_width(self.box.fontMetrics())
        icons = width - 2 * _ICON
        self.grip.setGeometry(0, 0, GRIP - 2, line)
        self.strip.setGeometry(icons + _ICON, (line - _ICON) // 2, _ICON, _ICON)
        self.lock.setGeometry(icons, (line - _ICON) // 2, _ICON, _ICON)
        if self._wrapped:
            below = line - 2
            self.label.setGeometry(GRIP, 0, icons - GRIP - 2, below)
            box = QRect(width - number, below, number, line)
            start = GRIP
        else:
            below = 0
            self.label.setGeometry(GRIP, 0, self._name_width, line)
            box = QRect(icons - number - 2, below, number, line)
            start = GRIP + self._name_width + _GAP
        self.box.setGeometry(box)
        self.slider.setGeometry(start, below, max(0, box.left() - _GAP - start), line)
