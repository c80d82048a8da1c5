"""A photograph beside what became of it: images in a row, most of which stand for latents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QRect, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import QWidget

from latentlab.core.document import Picture
from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.image_view import ImageView
from latentlab.ui.widgets.images import Images, to_rgb
from latentlab.ui.widgets.picture_menu import PictureMenu, ShownPicture, show_menu, start_drag
from latentlab.ui.widgets.quiet import own_key

_LINE = 16
_KEYS = (Qt.Key.Key_K,)


def decibels(value: float) -> str:
    """Return a PSNR as text: ``31.4 dB``, or ``no difference``."""
    if math.isnan(value):
        return ""
    return "no difference" if math.isinf(value) else f"{value:.1f} dB"


@dataclass(frozen=True, eq=False)
class Beside:
    """One of the images.

    Attributes:
        title: what it is.
        image: uint8 ``(H, W, C)``.
        picture: what makes it, if it stands for latents.
        figure: a second line, for example its PSNR.
    """

    title: str
    image: Images
    picture: Picture | None = None
    figure: str = ""


class BesideView(ImageView):
    """Up to four images side by side, two lines under each.

    Those that stand for latents go to the canvas by a double click or Enter, are kept with K, can
    be dragged away and have the menu of all pictures.

    Args:
        controller: of the window.
    """

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._shown: tuple[Beside, ...] = ()
        self.setMinimumSize(200, 150)
        self.set_smooth(controller.settings.smoothing)
        controller.hold_pictures(self._held)
        self.activated.connect(self._to_canvas)
        self.menu_requested.connect(self._open_menu)
        self.drag_started.connect(self._drag)

    @property
    def shown(self) -> tuple[Beside, ...]:
        """The images."""
        return self._shown

    def _held(self) -> tuple[Picture, ...]:
        return tuple(one.picture for one in self._shown if one.picture is not None)

    def show_images(self, images: Sequence[Beside]) -> None:
        """Show images of one size, at least one, side by side."""
        self._shown = tuple(images)
        if not images:
            self.set_images(None)
            return
        batch = np.stack([to_rgb(one.image) for one in images])
        titles = [one.title for one in images]
        self.set_images(batch, titles, one_row=True, caption_height=2 * _LINE + 6)
        said = [f"{one.title} {one.figure}".strip() for one in images]
        self.setAccessibleDescription("; ".join(said))

    def shown_picture(self, row: int) -> ShownPicture | None:
        """Return an image and its picture, if it stands for latents."""
        if not 0 <= row < len(self._shown):
            return None
        one = self._shown[row]
        return None if one.picture is None else ShownPicture(one.picture, one.image)

    def paint_caption(self, painter: QPainter, row: int, image: QRect) -> None:
        """Paint what an image is, and its figure."""
        super().paint_caption(painter, row, image)
        if row < len(self._shown) and self._shown[row].figure:
            painter.setPen(QPen(faint(self.palette(), 0.85)))
            line = QRect(image.left() - 4, image.bottom() + 3 + _LINE, image.width() + 8, 18)
            text = painter.fontMetrics().elidedText(
                self._shown[row].figure, Qt.TextElideMode.ElideRight, line.width()
            )
            painter.drawText(line, Qt.AlignmentFlag.AlignCenter, text)

    # One language for every image that stands for a latent.

    def _last(self) -> int:
        """The selected image, or the last that stands for latents."""
        if self.selection is not None:
            return self.selection
        places = [row for row, one in enumerate(self._shown) if one.picture is not None]
        return places[-1] if places else -1

    def _to_canvas(self, row: int) -> None:
        shown = self.shown_picture(row) or self.shown_picture(self._last())
        if shown is not None:
            self._controller.show_picture(shown.picture, "To canvas")

    def keep(self) -> None:
        """Put the selected image, or the last one, into the tray."""
        shown = self.shown_picture(self._last())
        if shown is not None:
            self._controller.keep_picture(shown.picture)

    def _open_menu(self, row: int, position: QPoint) -> None:
        shown = self.shown_picture(row)
        if shown is not None:
            show_menu(PictureMenu(self._controller, shown, self), position)

    def _drag(self, row: int) -> None:
        shown = self.shown_picture(row)
        if shown is not None:
            start_drag(self, [shown])

    def event(self, event: QEvent) -> bool:
        """Take K before the window does, which would keep what is on the canvas."""
        if own_key(event, _KEYS) and self._held():
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keep the image."""
        if event.key() == Qt.Key.Key_K and self._held():
            self.keep()
        else:
            super().keyPressEvent(event)
