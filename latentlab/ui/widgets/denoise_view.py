"""The selected step, large; or two runs at the same time t side by side, and their difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from latentlab.core.errors import LatentLabError
from latentlab.ui.denoise_tree import QUANTITIES, caption
from latentlab.ui.widgets.colours import faint, surround
from latentlab.ui.widgets.denoise_marks import mark_of
from latentlab.ui.widgets.denoise_rows import frame_image
from latentlab.ui.widgets.hand_slider import WheelSteps
from latentlab.ui.widgets.images import Images
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.picture_hand import PictureHand
from latentlab.ui.widgets.picture_menu import ShownPicture
from latentlab.ui.widgets.thumbnail import paint_image

_LINE = 16
_GAP = 8
_CENTRE = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True, eq=False)
class Side:
    """One of the large images.

    Attributes:
        path: of the run or branch; ``None`` is the difference.
        index: of the step.
        image: uint8 ``(H, W, C)``, once it is here.
        title: above it.
        text: under it.
    """

    path: str | None
    index: int
    image: Images | None
    title: str
    text: str


def difference_image(a: Images, b: Images) -> Images:
    """Return (a - b) / 2 around middle grey, uint8 ``(H, W, C)``; grey is the same."""
    gap = a.astype(np.int16) - b.astype(np.int16)
    return (128 + gap // 2).clip(0, 255).astype(np.uint8)


class DenoiseView(PictureHand, QWidget):
    """Large images of the selected step; the wheel steps.

    Args:
        controller: of the window; ``controller.denoise`` is shown.

    Signals:
        menu_asked: path, ``show``, step and place on the screen.
    """

    menu_asked = Signal(str, str, int, QPoint)

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Selected step")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 84)
        self._controller = controller
        self._model = controller.denoise
        self._at: int = 0
        self._pressed: QPoint | None = None
        self._wheel = WheelSteps()
        self.show_now = "x0"
        self.sides: tuple[Side, ...] = ()
        for signal in (self._model.selection_changed, self._model.run_changed):
            signal.connect(self.follow)
        self._model.frames_added.connect(self.follow)
        self.follow()

    # What is shown.

    def set_show(self, show: str) -> None:
        """Show ``x_t``, ``x0`` or ``eps``."""
        self.show_now = show
        self.follow()

    def follow(self, *_: object) -> None:
        """Show what is selected."""
        cursor = self._model.cursor
        path, index = self._model.selected
        pair = cursor.pair
        if pair is None:
            self.sides = (self._side(path, index),)
        else:
            time = cursor.time
            places = [index if p == path else cursor.at_time(p, time) for p in pair]
            sides = [self._side(p, i, f"{a}: ") for a, p, i in zip("AB", pair, places)]
            self.sides = (*sides, self._gap(*sides))
        self._at = min(self._at, len(self.sides) - 1)
        self.setAccessibleDescription("; ".join(f"{one.title} {one.text}" for one in self.sides))
        self.update()

    def _side(self, path: str, index: int, letter: str = "") -> Side:
        frames, frame = self._model.frames(path), self._model.cursor.frame(path, index)
        if not frames:
            return Side(path, index, None, letter + self._model.title(path), "")
        image = frame_image(frames[-1], "result") if frame is None else None
        image = frame_image(frame, self.show_now) if frame is not None else image
        title = letter + (self._model.title(path) if letter or path else "")
        return Side(path, index, image, title, caption(frame, self._model.count(path)))

    def _gap(self, a: Side, b: Side) -> Side:
        if a.image is None or b.image is None or a.image.shape != b.image.shape:
            return Side(None, 0, None, "A − B", "")
        gap = np.abs(a.image.astype(np.int16) - b.image.astype(np.int16)).mean()
        text = f"{gap / 2.55:.2g} % apart, on average over the full range"
        text = text if gap else "no difference"
        return Side(None, 0, difference_image(a.image, b.image), "A − B", text)

    # Places.

    def _boxes(self) -> list[QRect]:
        count = max(1, len(self.sides))
        width = (self.width() - _GAP * (count - 1)) // count
        return [QRect(k * (width + _GAP), 0, width, self.height()) for k in range(count)]

    def image_rect(self, place: int) -> QRect:
        """Return the room of an image, its lines of text left out."""
        box = self._boxes()[place]
        top = _LINE if self._titled() else 0
        return box.adjusted(0, top + 2, 0, -_LINE - 2)

    def _titled(self) -> bool:
        return any(side.title for side in self.sides)

    def place_at(self, point: QPoint) -> int | None:
        """Return the number of the image under a point; the difference is no picture."""
        side = self._under(point)
        return None if side is None or side.path is None else self.sides.index(side)

    def _under(self, point: QPoint) -> Side | None:
        pairs = zip(self.sides, self._boxes())
        return next((side for side, box in pairs if box.contains(point)), None)

    def shown_picture(self, place: int | None) -> ShownPicture | None:
        """Return an image and its picture, once it is here."""
        side = self.sides[place] if place is not None and place < len(self.sides) else None
        if side is None or side.path is None or side.image is None:
            return None
        try:
            picture = self._model.frame_picture(side.path, side.index, self.show_now)
        except LatentLabError:
            return None
        return ShownPicture(picture, side.image)

    # Painting.

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the images and what they are."""
        painter = QPainter(self)
        palette = self.palette()
        font = small_font(self.font())
        for place, (side, box) in enumerate(zip(self.sides, self._boxes())):
            room = self.image_rect(place)
            painter.setOpacity(0.55 if self._model.dim else 1.0)
            if side.image is None:
                side_of = max(1, min(room.width(), room.height()))
                hole = QRect(0, 0, side_of, side_of)
                hole.moveCenter(room.center())
                painter.fillRect(hole, surround(palette))
                placed = hole
            else:
                placed = paint_image(painter, room, side.image, self.devicePixelRatioF())
            painter.setOpacity(1.0)
            if self.hasFocus() and place == self._at and side.path is not None:
                ink = palette.windowText().color()
                painter.setPen(QPen(ink, 1, Qt.PenStyle.DotLine))
                painter.drawRect(placed.adjusted(-2, -2, 1, 1))
            if side.title:
                above = QRect(box.left(), placed.top() - _LINE - 2, box.width(), _LINE)
                self._title(painter, above, side, font)
            line = QRect(box.left(), placed.bottom() + 3, box.width(), _LINE)
            painter.setFont(font)
            painter.setPen(faint(palette, 0.9))
            painter.drawText(line, _CENTRE, self._fitted(side.text, font, line.width()))

    def _title(self, painter: QPainter, line: QRect, side: Side, font: QFont) -> None:
        metrics = QFontMetrics(font)
        # A branch is known by all that it changes: what has no room is seen to be missing.
        text = metrics.elidedText(side.title, Qt.TextElideMode.ElideRight, line.width() - 18)
        wide = metrics.horizontalAdvance(text)
        left = line.center().x() - (wide + 14) // 2
        if side.path is not None:
            at = QPointF(left + 5, line.center().y() + 0.5)
            mark_of(self._model, side.path).paint(painter, at, 9, self.palette())
        painter.setFont(font)
        painter.setPen(self.palette().windowText().color())
        painter.drawText(QRect(left + 14, line.top(), wide + 2, _LINE), _CENTRE, text)

    @staticmethod
    def _fitted(text: str, font: QFont, room: int) -> str:
        metrics = QFontMetrics(font)
        # The first words say most: step, then time.
        while metrics.horizontalAdvance(text) > room and ", " in text:
            text = text.rpartition(", ")[0]
        return metrics.elidedText(text, Qt.TextElideMode.ElideRight, room)

    def sizeHint(self) -> QSize:
        """An image at several times its size."""
        return QSize(320, 200)

    # Mouse.

    def _tell(self) -> None:
        side = self.sides[self._at]
        if side.path is not None:
            self._model.select(side.path, side.index)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu of an image."""
        keyboard = event.reason() == QContextMenuEvent.Reason.Keyboard
        place = self._at if keyboard else self.place_at(event.pos())
        side = None if place is None else self.sides[place]
        if side is not None and side.path is not None and side.image is not None:
            at = self.mapToGlobal(self.image_rect(place).center())
            at = at if keyboard else event.globalPos()
            self.menu_asked.emit(side.path, self.show_now, side.index, at)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Step; up is earlier, as the page scrolls."""
        steps = self._wheel.take(event)
        if steps:
            self._model.cursor.step_by(-steps)
        event.accept()

    def event(self, event: QEvent) -> bool:
        """Say what an image is, in full."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            side = self._under(event.pos())
            text = "" if side is None else f"{side.title} {side.text}".strip()
            text = f"{QUANTITIES[self.show_now]}, {text}" if text else ""
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)
