"""Blend two sources part by part, and see the grid between them."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.ui.icons import icon
from latentlab.ui.switch_blend import SwitchBlend
from latentlab.ui.switch_edits import LETTERS, MixPart, source_name
from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.picture_menu import PictureMenu, ShownPicture, show_menu
from latentlab.ui.widgets.quiet import QuietSpinBox
from latentlab.ui.widgets.sampling_slider import NumberBox, NumberRange, NumberSlider
from latentlab.ui.widgets.switch_blend_view import BlendView
from latentlab.ui.widgets.switch_content import MixContent
from latentlab.ui.widgets.switch_geometry import Place
from latentlab.ui.widgets.switch_matrix import PictureMatrix

_AMOUNTS = NumberRange(
    0.0,
    1.0,
    0.0,
    step=0.05,
    fine=0.01,
    page=0.25,
    ticks=(0.25, 0.5, 0.75, 1.0),
    box_low=-2.0,
    box_high=3.0,
)
_BESIDE = 1.15
_TIP = "{}: 0 is {}, 1 is {}; less or more goes beyond. Wheel and arrows 0.05, Shift 0.01"


class _SourceBox(QComboBox):
    """A choice among the sources; the wheel scrolls what is behind it without the focus."""

    def wheelEvent(self, event) -> None:
        """Step, but only with the focus."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def minimumSizeHint(self) -> QSize:
        """Room for a letter and a word."""
        return QSize(80, super().minimumSizeHint().height())


class MixSliders(QWidget):
    """One slider a part, and one for all of them.

    Signals:
        edited: parts and single layers, and the amount.
        gesture_ended: a drag was released.
    """

    edited = Signal(object, float)
    gesture_ended = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._parts: tuple[MixPart, ...] = ()
        self.sliders: list[NumberSlider] = []
        self.boxes: list[NumberBox] = []
        self._labels: list[QLabel] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(1, 1)

    def set_parts(self, parts: tuple[MixPart, ...]) -> None:
        """Offer sliders for other parts."""
        if len(parts) > 1:
            parts = (MixPart("All", frozenset().union(*(one.units for one in parts))), *parts)
        if parts == self._parts:
            return
        self._parts = parts
        for old in (*self.sliders, *self.boxes, *self._labels):
            self._grid.removeWidget(old)
            old.deleteLater()
        self.sliders, self.boxes, self._labels = [], [], []
        for row, part in enumerate(parts):
            self._add(row, part)

    def _add(self, row: int, part: MixPart) -> None:
        label, slider, box = QLabel(part.title), NumberSlider(_AMOUNTS, 120), NumberBox(_AMOUNTS)
        slider.setAccessibleName(f"{part.title}, blended")
        box.setAccessibleName(f"{part.title}, amount")
        box.setFixedWidth(72)
        label.setBuddy(slider)
        for one in (slider, box):
            one.edited.connect(lambda amount, part=part: self.edited.emit(part.units, amount))
            one.gesture_ended.connect(self.gesture_ended)
        for column, one in enumerate((label, slider, box)):
            self._grid.addWidget(one, row, column)
        self.sliders.append(slider)
        self.boxes.append(box)
        self._labels.append(label)

    def follow(self, amount: Any, names: tuple[str, str]) -> None:
        """Show amounts.

        Args:
            amount: gives that of a ``MixPart``.
            names: of the two sources.
        """
        for part, slider, box in zip(self._parts, self.sliders, self.boxes):
            value = amount(part)
            slider.set_number(value)
            box.set_number(value)
            for one in (slider, box):
                one.setToolTip(_TIP.format(part.title, *names))


class BlendPage(QWidget):
    """The pair, its sliders and its grid.

    Args:
        controller: of the window.
        blend: the pair.
    """

    def __init__(self, controller: Any, blend: SwitchBlend, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller, self._blend = controller, blend
        self.first, self.second = _SourceBox(), _SourceBox()
        self.swap = QToolButton(text="Swap")
        self.view = BlendView(controller, blend)
        self.sliders = MixSliders()
        self.grid = PictureMatrix(controller)
        self.grid.setAccessibleName("Mix grid")
        self.size_box = QuietSpinBox()
        self.axes = ElidedLabel()
        self.note = QLabel("Add a second picture to blend two.")
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self._names: list[str] = []
        self._lay_out()
        self._connect()
        self._follow()

    def _lay_out(self) -> None:
        self.first.setAccessibleName("First of the pair")
        self.second.setAccessibleName("Second of the pair")
        self.swap.setAutoRaise(True)
        self.swap.setToolTip("Let the two change sides; the blend stays as it is")
        self.swap.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.size_box.setRange(2, 9)
        self.size_box.setValue(5)
        self.size_box.setPrefix("Grid ")
        self.size_box.setAccessibleName("Rows and columns of the grid")
        self.size_box.setToolTip("Rows and columns of the grid between the two")
        self.note.setWordWrap(True)
        line = QHBoxLayout()
        line.addWidget(self.first, 1)
        line.addWidget(self.swap)
        line.addWidget(self.second, 1)
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(6)
        column.addLayout(line)
        column.addWidget(self.view, 1)
        column.addWidget(self.sliders)
        right = QWidget()
        under = QVBoxLayout(right)
        under.setContentsMargins(0, 4, 0, 4)
        head = QHBoxLayout()
        head.setContentsMargins(8, 0, 8, 0)
        head.addWidget(self.size_box)
        head.addWidget(self.axes, 1)
        under.addLayout(head)
        under.addWidget(self.grid, 1)
        self.splitter.addWidget(left)
        self.splitter.addWidget(right)
        self.splitter.setChildrenCollapsible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.note)
        layout.addWidget(self.splitter, 1)
        self.note.setContentsMargins(8, 8, 8, 8)
        self._recolour()

    def _connect(self) -> None:
        blend = self._blend
        blend.changed.connect(self._follow)
        blend.grid_changed.connect(self.grid.refresh)
        self.first.activated.connect(lambda place: self._choose(place, first=True))
        self.second.activated.connect(lambda place: self._choose(place, first=False))
        self.swap.clicked.connect(blend.swap)
        self.sliders.edited.connect(blend.set_amount)
        self.sliders.gesture_ended.connect(blend.end_gesture)
        self.size_box.valueChanged.connect(blend.set_size)
        self.grid.place_changed.connect(self._take_cell)
        self.grid.keep_asked.connect(self._keep)
        self.grid.menu_asked.connect(self._grid_menu)
        self.view.menu_asked.connect(self._menu)

    # Following.

    def _follow(self) -> None:
        blend, pair = self._blend, self._blend.pair
        self.splitter.setVisible(pair is not None)
        self.note.setVisible(pair is None)
        if pair is None:
            self.grid.set_content(None)
            return
        names = [self._name(place) for place in range(blend.model.count)]
        if names != self._names:
            self._names = names
            for box in (self.first, self.second):
                box.clear()
                box.addItems(names)
        for box, place in zip((self.first, self.second), pair):
            box.setCurrentIndex(place)
        self.sliders.set_parts(blend.parts)
        first, second = (LETTERS[place] for place in pair)
        self.sliders.follow(blend.amount, (first, second))
        spec = blend.model.spec
        if spec is not None:
            _, height, width = spec.image_shape
            content = MixContent(
                blend.amounts,
                blend.model.texts,
                (width, height),
                blend.cell_image,
                blend.cell_picture,
            )
            self.grid.set_content(content)
            self.axes.setText(f"Down: {content.row_text}. Across: {content.column_text}.")

    def _name(self, place: int) -> str:
        return f"{LETTERS[place]}  {source_name(self._blend.model.source(place))}"

    # What a person does.

    def _choose(self, place: int, *, first: bool) -> None:
        pair = self._blend.pair
        if pair is not None:
            wanted = (place, pair[1]) if first else (pair[0], place)
            if wanted[0] == wanted[1]:
                wanted = (pair[1], pair[0])
            self._blend.choose(*wanted)

    def _take_cell(self, place: Place) -> None:
        if min(place) >= 0:
            self._blend.take_cell(*place)

    def _keep(self, place: Place) -> None:
        shown = self.grid.shown_picture(place)
        if shown is not None:
            self._controller.keep_picture(shown.picture)

    def _grid_menu(self, place: Place, position: QPoint) -> None:
        shown = self.grid.shown_picture(place)
        if shown is not None:
            self._menu(shown, position)

    def _menu(self, shown: ShownPicture, position: QPoint) -> None:
        menu = PictureMenu(self._controller, shown, self)
        first = menu.actions()[0]
        add = menu.addAction("Add it as a &source")
        menu.removeAction(add)
        menu.insertAction(first, add)
        add.triggered.connect(lambda: self._blend.model.add([shown.picture]))
        show_menu(menu, position)

    # In sight or not, and looks.

    def showEvent(self, event) -> None:
        """Something is made only in sight."""
        super().showEvent(event)
        self._blend.set_watched(True)

    def hideEvent(self, event) -> None:
        """Nothing is made out of sight."""
        self._blend.set_watched(False)
        super().hideEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the grid beside the sliders where there is room, else below."""
        super().resizeEvent(event)
        beside = self.width() >= _BESIDE * self.height()
        wanted = Qt.Orientation.Horizontal if beside else Qt.Orientation.Vertical
        if self.splitter.orientation() != wanted:
            self.splitter.setOrientation(wanted)
            side = self.width() if beside else self.height()
            self.splitter.setSizes([round(side * 0.5), round(side * 0.5)])

    def changeEvent(self, event: QEvent) -> None:
        """Another palette has other icons."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "splitter"):
            self._recolour()

    def _recolour(self) -> None:
        """Take the icons of the palette."""
        self.swap.setIcon(icon("switch-swap", self.palette()))
        self.swap.setIconSize(QSize(14, 14))
