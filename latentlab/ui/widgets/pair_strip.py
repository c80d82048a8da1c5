"""The same faces as they are, edited by a slider, and edited by what would take its place."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QContextMenuEvent, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from latentlab.core.direction import Direction, apply_edits
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.requests import PreviewResult
from latentlab.ui import edits
from latentlab.ui.effects_model import sigmas
from latentlab.ui.widgets.colours import faint, surround
from latentlab.ui.widgets.images import Images
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.picture_hand import PictureHand
from latentlab.ui.widgets.picture_menu import PictureMenu, ShownPicture, show_menu
from latentlab.ui.widgets.quiet import own_key
from latentlab.ui.widgets.thumbnail import paint_image

FACES = 6
_LARGEST = 96
_GAP = 4
_CAPTIONS = ("As it is", "Before", "After")
_KEYS = (Qt.Key.Key_K, Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Down)


class PairStrip(PictureHand, QWidget):
    """Three rows of the same images; an edit that no document knows is shown by its latents.

    Each image stands for its latent: double-click or Enter puts it on the canvas, K keeps it, it
    can be dragged away, and it has the menu of all pictures.

    Args:
        controller: of the window.
        channel: name that no other asker of previews uses.
    """

    def __init__(
        self, controller: Any, channel: str = "effects", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._channels = tuple(f"{channel} {row}" for row in range(3))
        self._pictures: list[Picture | None] = [None, None, None]
        self._images: list[Images | None] = [None, None, None]
        self._asked: dict[str, int] = {}
        self._edit: tuple[Direction, Direction, float] | None = None
        self._said = ""
        self._at = (2, 0)
        self._pressed: QPoint | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        controller.preview_rendered.connect(self._take)
        controller.model_reloaded.connect(self._take_weights)
        self._fit()

    # What is shown.

    def show_edit(self, title: str, old: Direction, new: Direction, amount: float) -> None:
        """Show the same faces moved by ``amount`` slider units along both directions."""
        self._edit, self._said = (old, new, amount), ""
        self._pictures, self._images, self._asked = [None] * 3, [None] * 3, {}
        self.setAccessibleName(f"{title} at {sigmas(amount)}, before and after")
        canvas = self._controller.document.canvas
        if canvas is None or canvas.space != old.space:
            self._say("Open a picture of this model to see faces.")
            return
        plain = edits.without_edits(edits.sampled(canvas, FACES, seed=0, new_count=FACES), None)
        self._ask(0, plain)
        self._tell()

    def _take_weights(self, *_: object) -> None:
        """Decode again with other weights of the model; the old images stay meanwhile."""
        plain = self._pictures[0]
        if self._edit is not None and plain is not None:
            self._pictures = [plain, None, None]
            self._ask(0, plain)

    def _ask(self, row: int, picture: Picture) -> None:
        self._pictures[row] = picture
        channel = self._channels[row]
        # An answer may come before the call returns.
        self._asked[channel] = 0
        self._asked[channel] = self._controller.request_preview(channel, picture)

    def _take(self, result: PreviewResult) -> None:
        if result.channel not in self._asked or result.sequence < self._asked[result.channel]:
            return
        row = self._channels.index(result.channel)
        if result.failure is not None:
            self._say(result.failure.message)
            return
        self._images[row] = result.images
        if row == 0 and result.final and result.latents is not None:
            self._ask_edited(result.latents)
        self._fit()
        self._tell()

    def _ask_edited(self, latents: Latents) -> None:
        plain, edit = self._pictures[0], self._edit
        if plain is None or edit is None or self._pictures[1] is not None:
            return
        old, new, amount = edit
        for row, direction in ((1, old), (2, new)):
            try:
                moved = apply_edits(latents, {direction.name: amount}, {direction.name: direction})
            except LatentLabError as error:
                self._say(error.message)
                return
            store = self._controller.store
            stored = {name: store.put(array) for name, array in moved.items()}
            self._ask(row, plain.model_copy(update={"seeds": (), "stored": stored}))

    def _say(self, sentence: str) -> None:
        self._said = sentence
        self.setAccessibleDescription(sentence)
        self.update()

    def image(self, row: int, column: int) -> Images | None:
        """Return one image, uint8 ``(H, W, C)``: rows are as it is, before, after."""
        images = self._images[row]
        return None if images is None or column >= len(images) else images[column]

    def picture(self, row: int, column: int) -> Picture | None:
        """Return the picture of one image."""
        whole = self._pictures[row]
        if whole is None or self.image(row, column) is None:
            return None
        return edits.row_picture(whole, column, self._controller.store)

    def _tell(self) -> None:
        row, column = self._at
        self.setAccessibleDescription(f"{_CAPTIONS[row]}, face {column + 1} of {FACES}")
        self.update()

    # Geometry.

    def _caption(self) -> int:
        metrics = self.fontMetrics()
        return max(metrics.horizontalAdvance(text) for text in _CAPTIONS) + 2 * _GAP

    def _side(self) -> int:
        room = (max(self.width(), 160) - self._caption()) // FACES - _GAP
        # A whole multiple of the image, so that nothing is smoothed, if it has the room.
        size = 64 if self._images[0] is None else self._images[0].shape[2]
        whole = min(room, _LARGEST) // size * size
        return max(16, whole or min(room, _LARGEST))

    def image_rect(self, row: int, column: int) -> QRect:
        """Return where an image is drawn."""
        side = self._side()
        step = side + _GAP
        return QRect(self._caption() + column * step, row * step, side, side)

    def place_at(self, place: QPoint) -> tuple[int, int] | None:
        """Return row and column of the image at a place."""
        for row in range(3):
            for column in range(FACES):
                if self.image_rect(row, column).contains(place):
                    return row, column
        return None

    def _fit(self) -> None:
        self.setFixedHeight(3 * (self._side() + _GAP))

    def resizeEvent(self, event) -> None:
        """Take the height that the images need."""
        super().resizeEvent(event)
        self._fit()

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(280, 3 * (self._side() + _GAP))

    # Painting.

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the rows and what they are."""
        painter = QPainter(self)
        if self._said:
            painter.setPen(faint(self.palette(), 0.9))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(4, 2, -4, -2), flags, f"⚠ {self._said}")
            return
        for row, caption in enumerate(_CAPTIONS):
            first = self.image_rect(row, 0)
            line = QRect(0, first.top(), self._caption() - _GAP, first.height())
            painter.setFont(small_font(self.font()))
            painter.setPen(faint(self.palette(), 0.85))
            flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(line, flags, caption)
            for column in range(FACES):
                self._paint_face(painter, row, column)

    def _paint_face(self, painter: QPainter, row: int, column: int) -> None:
        box, image = self.image_rect(row, column), self.image(row, column)
        if image is None:
            painter.fillRect(box, surround(self.palette()))
        else:
            paint_image(painter, box, image, self.devicePixelRatioF())
        if self.hasFocus() and (row, column) == self._at:
            painter.setPen(QPen(self.palette().windowText().color(), 1, Qt.PenStyle.DotLine))
            painter.drawRect(box.adjusted(0, 0, -1, -1))

    # Mouse and keys.

    def shown_picture(self, place: tuple[int, int]) -> ShownPicture | None:
        """Return an image and its picture, once it is here."""
        picture = self.picture(*place)
        return None if picture is None else ShownPicture(picture, self.image(*place))

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Show the menu of an image."""
        place: tuple[int, int] | None = self._at
        at = self.mapToGlobal(self.image_rect(*self._at).center())
        if event.reason() != QContextMenuEvent.Reason.Keyboard:
            place, at = self.place_at(event.pos()), event.globalPos()
        shown = None if place is None else self.shown_picture(place)
        if shown is not None:
            show_menu(PictureMenu(self._controller, shown, self), at)

    def event(self, event: QEvent) -> bool:
        """Take K and the arrows before a shortcut of the window."""
        if own_key(event, _KEYS):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose an image, take it or keep it."""
        row, column = self._at
        moves = {
            Qt.Key.Key_Left: (row, max(0, column - 1)),
            Qt.Key.Key_Right: (row, min(FACES - 1, column + 1)),
            Qt.Key.Key_Up: (max(0, row - 1), column),
            Qt.Key.Key_Down: (min(2, row + 1), column),
        }
        if event.key() in moves:
            self._at = moves[Qt.Key(event.key())]
            self._tell()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._to_canvas()
        elif event.key() == Qt.Key.Key_K and (shown := self.shown_picture(self._at)) is not None:
            self._controller.keep_picture(shown.picture)
        else:
            event.ignore()
