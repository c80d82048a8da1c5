"""The chosen cell, large, between the two pictures that its parts come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFontMetrics,
    QHelpEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from latentlab.core.switching import Cell
from latentlab.ui.switch_edits import LETTERS
from latentlab.ui.switch_model import SwitchModel
from latentlab.ui.switch_packed import packed_parts
from latentlab.ui.widgets.colours import faint, is_dark, surround
from latentlab.ui.widgets.diverging import diverging
from latentlab.ui.widgets.images import Images
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.picture_hand import PictureHand
from latentlab.ui.widgets.picture_menu import ShownPicture
from latentlab.ui.widgets.switch_geometry import Place
from latentlab.ui.widgets.switch_painter import column_colour, row_colour
from latentlab.ui.widgets.thumbnail import paint_image

_LINE, _GAP = 16, 10
_CENTRE = Qt.AlignmentFlag.AlignCenter
_WIDE = 1.25
"""From this width a unit of height, parents stand beside the cell, not above it."""
_TALL = 220
"""From this height they stand there one above the other."""


@dataclass(frozen=True)
class _Boxes:
    """Where the three pictures are, each with a line of text under it."""

    row: QRect
    column: QRect
    cell: QRect

    def named(self) -> tuple[tuple[str, QRect], ...]:
        return ("row", self.row), ("column", self.column), ("cell", self.cell)


class SwitchDetail(PictureHand, QWidget):
    """Shows one cell of the matrix and where its parts come from.

    Args:
        controller: of the window.
        model: the matrix.

    Signals:
        menu_asked: place in the matrix, and position on the screen.
        place_chosen: a parent was clicked: the place of its head.
    """

    menu_asked = Signal(object, QPoint)
    place_chosen = Signal(object)

    def __init__(self, controller: Any, model: SwitchModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Chosen picture and where its parts come from")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(150, 110)
        self._controller, self._model = controller, model
        self._cell: Cell | None = None
        self._at: str | None = None
        self._pressed: QPoint | None = None
        self.maps_shown = False

    # What is shown.

    @property
    def cell(self) -> Cell | None:
        """Row and column of what is shown."""
        return self._cell

    def set_place(self, place: Place | None) -> None:
        """Show a cell; a head shows its source made of its own parts."""
        if place is not None:
            row, column = place
            place = (max(row, column), max(row, column)) if min(place) < 0 else place
            place = place if max(place) < self._model.count else None
        self._cell = place
        text = "" if place is None else self._model.caption(place)
        self.setAccessibleDescription(text)
        self.update()

    def show_maps(self, shown: bool) -> None:
        """Show the local parts in place of the picture."""
        self.maps_shown = shown
        self.update()

    # Places.

    def boxes(self) -> _Boxes:
        """Return where the pictures are drawn, the lines of text left out."""
        width, height = self.width(), self.height()
        if width >= _WIDE * height and height < _TALL:
            side = max(16, min(height - _LINE, (width - 3 * _GAP) // 4))
            left = 2 * side + 3 * _GAP
            row, column = QRect(0, 0, side, side), QRect(side + _GAP, 0, side, side)
            return _Boxes(row, column, QRect(left, 0, width - left, height - _LINE))
        if width >= _WIDE * height:
            side = min((height - 2 * _LINE - _GAP) // 2, width // 3)
            row = QRect(0, 0, side, side)
            column = QRect(0, side + _LINE + _GAP, side, side)
            left = side + 2 * _GAP
            return _Boxes(row, column, QRect(left, 0, width - left, height - _LINE))
        side = max(16, min((width - _GAP) // 2, (height - 2 * _LINE - _GAP) // 3))
        start = (width - 2 * side - _GAP) // 2
        row = QRect(start, 0, side, side)
        column = QRect(start + side + _GAP, 0, side, side)
        top = side + _LINE + _GAP
        return _Boxes(row, column, QRect(0, top, width, height - top - _LINE))

    def place_at(self, point: QPoint) -> str | None:
        """Return ``row``, ``column`` or ``cell``."""
        if self._cell is None:
            return None
        if self.maps_shown:
            return "cell"
        return next((name for name, box in self.boxes().named() if box.contains(point)), None)

    def place_in_matrix(self, name: str | None) -> Place | None:
        """Return where a picture stands in the matrix."""
        if self._cell is None or name is None:
            return None
        row, column = self._cell
        return {"row": (row, -1), "column": (-1, column), "cell": (row, column)}[name]

    def image_of(self, name: str) -> Images | None:
        """Return the image of a picture, once it is here."""
        if self._cell is None:
            return None
        row, column = self._cell
        if name == "cell":
            return self._model.image(self._cell)
        return self._model.head_image(row if name == "row" else column)

    def shown_picture(self, place: str | None) -> ShownPicture | None:
        """Return an image and its picture, once it is here."""
        if self._cell is None or place is None:
            return None
        if place != "cell":
            source = self._cell[0 if place == "row" else 1]
            return ShownPicture(self._model.source(source), self.image_of(place))
        picture = self._model.picture(self._cell)
        image = None if self._model.waiting(self._cell) else self._model.image(self._cell)
        return None if picture is None else ShownPicture(picture, image)

    def _tell(self) -> None:
        place = self.place_in_matrix(self._at)
        if place is not None:
            self.place_chosen.emit(place)

    # Painting.

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the parents, the cell or its local parts, and what each of them is."""
        painter = QPainter(self)
        if self._cell is None:
            return
        rows, columns = self._model.texts
        first, second = (LETTERS[place] for place in self._cell)
        boxes = self.boxes()
        palette = self.palette()
        same = self._cell[0] == self._cell[1]
        texts = {
            "row": f"{rows} of {first} →",
            "column": f"{columns} of {second} ↓",
            "cell": self._model.caption(self._cell, short=True),
        }
        colours = {
            "row": row_colour(palette),
            "column": column_colour(palette),
            "cell": palette.windowText().color(),
        }
        if self.maps_shown and self._paint_maps(painter, self.rect()):
            return
        for name, box in boxes.named():
            image = self.image_of(name)
            painter.setOpacity(0.45 if name == "cell" and self._model.waiting(self._cell) else 1)
            placed = self._picture(painter, box, image)
            painter.setOpacity(1)
            if name != "cell" and not same:
                painter.setPen(QPen(colours[name], 2))
                painter.drawRect(placed.adjusted(-1, -1, 0, 0))
            self._text(painter, box, placed, texts[name], colours[name])

    def _picture(self, painter: QPainter, box: QRect, image: Images | None) -> QRect:
        inner = box.adjusted(2, 2, -2, -2)
        if image is not None:
            return paint_image(painter, inner, image, self.devicePixelRatioF())
        side = max(1, min(inner.width(), inner.height()))
        hole = QRect(0, 0, side, side)
        hole.moveCenter(inner.center())
        painter.fillRect(hole, surround(self.palette()))
        return hole

    def _text(
        self, painter: QPainter, box: QRect, placed: QRect, text: str, colour: QColor
    ) -> None:
        font = small_font(self.font())
        painter.setFont(font)
        painter.setPen(colour)
        line = QRect(box.left(), placed.bottom() + 2, box.width(), _LINE)
        cut = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideMiddle, line.width())
        painter.drawText(line, _CENTRE, cut)

    def _paint_maps(self, painter: QPainter, box: QRect) -> bool:
        """Paint the local parts side by side; return whether they are here."""
        latents = None if self._cell is None else self._model.latents(self._cell)
        space = self._model.space
        if latents is None or space is None:
            return False
        parts = packed_parts(latents, space)
        if not parts:
            return False
        ramp, back = diverging(is_dark(self.palette())), self.palette().window().color()
        gap = np.array(back.getRgb()[:3], np.uint8)
        count, upright = len(parts), box.height() > 1.2 * box.width()
        wide = box.width() if upright else (box.width() - _GAP * (count - 1)) // count
        high = box.height() // count if upright else box.height()
        for k, part in enumerate(parts):
            left = box.left() + (0 if upright else k * (wide + _GAP))
            place = QRect(left, box.top() + (k * high if upright else 0), wide, high - _LINE - 4)
            image = part.coloured(ramp, gap)
            placed = paint_image(painter, place, image, self.devicePixelRatioF())
            self._text(painter, place, placed, part.title, faint(self.palette(), 0.9))
        return True

    def sizeHint(self) -> QSize:
        """A picture at several times its size, and its parents."""
        return QSize(320, 240)

    # Menus and tips.

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu of a picture."""
        place = self.place_in_matrix(self.place_at(event.pos()))
        if place is not None:
            self.menu_asked.emit(place, event.globalPos())

    def event(self, event: QEvent) -> bool:
        """Say what a picture is, in full."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            name, text = self.place_at(event.pos()), ""
            if name is not None and self._cell is not None:
                own = {"row": self._cell[0], "column": self._cell[1]}
                text = (
                    self._model.caption(self._cell)
                    if name == "cell"
                    else f"{self._model.name(own[name])}: click to go to it"
                )
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)
