"""Two sources and what lies between them, large."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from latentlab.ui.switch_blend import SwitchBlend
from latentlab.ui.switch_edits import LETTERS
from latentlab.ui.widgets.colours import faint, surround
from latentlab.ui.widgets.images import Images
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.picture_hand import PictureHand
from latentlab.ui.widgets.picture_menu import ShownPicture
from latentlab.ui.widgets.thumbnail import paint_image

_LINE, _GAP = 16, 8
_SHARES = {"first": (0.0, 0.26), "blend": (0.26, 0.74), "second": (0.74, 1.0)}


class BlendView(PictureHand, QWidget):
    """The first source, the blend, the second source.

    Args:
        controller: of the window.
        blend: the pair.

    Signals:
        menu_asked: a ``ShownPicture`` and the position on the screen.
    """

    menu_asked = Signal(object, QPoint)

    def __init__(self, controller: Any, blend: SwitchBlend, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Blend of two sources")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(160, 90)
        self._controller, self._blend = controller, blend
        self._at: str | None = None
        self._pressed: QPoint | None = None
        for signal in (blend.changed, blend.image_changed, blend.model.cells_changed):
            signal.connect(self.update)

    def boxes(self) -> dict[str, QRect]:
        """Return where the three pictures are drawn."""
        width, height = self.width(), self.height() - _LINE
        found = {}
        for name, (left, right) in _SHARES.items():
            x = round(left * width)
            box = QRect(x, 0, round(right * width) - x, height)
            found[name] = box.adjusted(_GAP // 2, 0, -_GAP // 2, 0)
        return found

    def place_at(self, point: QPoint) -> str | None:
        """Return ``first``, ``blend`` or ``second``."""
        if self._blend.pair is None:
            return None
        return next((name for name, box in self.boxes().items() if box.contains(point)), None)

    def _image(self, name: str) -> Images | None:
        pair = self._blend.pair
        if pair is None:
            return None
        if name == "blend":
            return self._blend.image
        place = pair[0 if name == "first" else 1]
        return self._blend.model.image((place, place))

    def shown_picture(self, place: str | None) -> ShownPicture | None:
        """Return an image and its picture, once it is here."""
        pair = self._blend.pair
        if pair is None or place is None:
            return None
        if place == "blend":
            picture = self._blend.picture()
            return None if picture is None else ShownPicture(picture, self._blend.image)
        source = pair[0 if place == "first" else 1]
        return ShownPicture(self._blend.model.source(source), self._image(place))

    def _tell(self) -> None:
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the pictures and what they are called."""
        painter = QPainter(self)
        pair = self._blend.pair
        if pair is None:
            return
        first, second = (LETTERS[place] for place in pair)
        texts = {"first": first, "blend": f"between {first} and {second}", "second": second}
        for name, box in self.boxes().items():
            image = self._image(name)
            if image is None:
                side = max(1, min(box.width(), box.height()))
                placed = QRect(0, 0, side, side)
                placed.moveCenter(box.center())
                painter.fillRect(placed, surround(self.palette()))
            else:
                placed = paint_image(painter, box, image, self.devicePixelRatioF())
            painter.setFont(small_font(self.font()))
            painter.setPen(faint(self.palette(), 0.9))
            line = QRect(box.left(), placed.bottom() + 2, box.width(), _LINE)
            painter.drawText(line, Qt.AlignmentFlag.AlignCenter, texts[name])

    def sizeHint(self) -> QSize:
        """A picture at several times its size between two small ones."""
        return QSize(320, 170)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu of a picture."""
        shown = self.shown_picture(self.place_at(event.pos()))
        if shown is not None:
            self.menu_asked.emit(shown, event.globalPos())
