"""The image of the canvas with its likelihood, and where in the image the bits come from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QContextMenuEvent,
    QFont,
    QFontMetricsF,
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QFileDialog, QMenu, QSizePolicy, QToolTip, QWidget

from latentlab.core.likelihood import figure, score_text, share_below
from latentlab.services.likelihood_places import UNIT, PlaceColours, place_colours, write_places
from latentlab.services.maps_draw import ramp
from latentlab.ui.likelihood_model import LikelihoodModel
from latentlab.ui.widgets.colours import faint, surround
from latentlab.ui.widgets.images import as_qimage, owned_qimage
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.picture_hand import PictureHand
from latentlab.ui.widgets.picture_menu import PictureMenu, ShownPicture, show_menu
from latentlab.ui.widgets.quiet import own_key
from latentlab.ui.widgets.thumbnail import paint_image

_SIDE, _GAP, _TEXT, _BAR = 128, 8, 172, 8
_KEYS = (Qt.Key.Key_K,)


class LikelihoodImage(PictureHand, QWidget):
    """Image, map with its scale, and figures. The image is a picture like everywhere else.

    Args:
        controller: of the window.
        model: of the panel.
    """

    def __init__(
        self, controller: Any, model: LikelihoodModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self._model = controller, model
        self._at, self._pressed = 0, None
        self._colours: PlaceColours | None = None
        self.setAccessibleName("Likelihood of the image")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        model.image_changed.connect(self._follow)
        model.scores_changed.connect(self._refit)
        self._follow()

    # What is shown.

    def _follow(self) -> None:
        found = self._model.canvas.found
        places = None if found is None else found.places
        self._colours = None if places is None else place_colours(places)
        self._refit()

    def _refit(self) -> None:
        self._fit()
        self._tell()

    def facts(self) -> list[str]:
        """Return what is known about the image, a line each."""
        model, found = self._model, self._model.canvas.found
        if found is None:
            failure = model.canvas.failure
            if failure is not None:
                return [f"⚠ {failure.message}"]
            return (
                ["Scoring…"]
                if model.canvas.subject() is not None
                else ["There is no image to score."]
            )
        subject = model.canvas.scored
        what = "" if subject is None else subject.title
        lines = [
            f"{what[:1].upper()}{what[1:]}",
            score_text(found.value(model.quantity), found.bound, model.quantity),
            f"{'At least ' if found.bound else ''}{found.nats:,.0f} nats".replace("-", "−"),
        ]
        lines += [self._among(index) for index, one in enumerate(model.sets) if one is not None]
        lines.append(f"As a PNG: {figure(found.complexity, 3)} bits/dim")
        if self._colours is not None and abs(found.rest) > 5e-5:
            lines.append(f"At no pixel: {figure(found.rest, 2)} bits/dim")
        return lines

    def _among(self, index: int) -> str:
        found, scores, quantity = (
            self._model.canvas.found,
            self._model.sets[index],
            self._model.quantity,
        )
        assert found is not None
        assert scores is not None
        share = share_below(found.value(quantity), scores.values(quantity))
        name = self._model.histogram().titles[index]
        word = "Less likely" if quantity == "bits" else "Higher"
        return f"{word} than {100 * share:.0f} % of {name}"

    def _tell(self) -> None:
        self.setAccessibleDescription(". ".join(self.facts()))
        self.update()

    # Geometry.

    def _scaled(self) -> tuple[int, int]:
        """Return width and height of an image as it is drawn."""
        found = self._model.canvas.found
        if found is None:
            return 64, 64
        height, width = found.image.shape[:2]
        shown = 1 if self._colours is None else 2
        room = min(_SIDE, (max(self.width(), 320) - _TEXT - (shown + 1) * _GAP) // shown)
        if width > room:
            return room, round(height * room / width)
        scale = max(1, min(room // width, _SIDE // height))
        return width * scale, height * scale

    def image_rect(self) -> QRect:
        """Return where the image is drawn."""
        width, height = self._scaled()
        return QRect(_GAP, _GAP, width, height)

    def map_rect(self) -> QRect:
        """Return where the map is drawn; empty without one."""
        if self._colours is None:
            return QRect()
        image = self.image_rect()
        return image.translated(image.width() + _GAP, 0)

    def _text_rect(self) -> QRect:
        left = (self.map_rect() if self._colours is not None else self.image_rect()).right()
        return self.rect().adjusted(left + 1 + 2 * _GAP, _GAP - 2, -4, 0)

    def _fit(self) -> None:
        line = self.fontMetrics().height()
        bar = _BAR + line + 4 if self._colours is not None else 0
        tall = self._scaled()[1] + bar + 2 * _GAP
        room = self._text_rect().adjusted(0, 0, 0, 10_000)
        text = sum(used + 2 for used in self._heights(self.facts(), room))
        self.setFixedHeight(max(tall, round(text) + 2 * _GAP))

    def _line_font(self, place: int, lines: Sequence[str]) -> QFont:
        """Return the font of a figure: the score itself stands out."""
        strong = place == 1 or len(lines) == 1
        font = QFont(self.font()) if strong else small_font(self.font())
        font.setBold(place == 1)
        return font

    def _heights(self, lines: Sequence[str], room: QRect) -> list[float]:
        flags = int(Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextWordWrap)
        fonts = (QFontMetricsF(self._line_font(place, lines)) for place in range(len(lines)))
        found = (m.boundingRect(QRectF(room), flags, text) for m, text in zip(fonts, lines))
        return [box.height() for box in found]

    def resizeEvent(self, event) -> None:
        """Take the height that the image needs."""
        super().resizeEvent(event)
        self._fit()

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(320, self.height())

    # Painting.

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the image, the map, its scale and the figures."""
        painter = QPainter(self)
        found, box = self._model.canvas.found, self.image_rect()
        if found is None:
            painter.fillRect(box, surround(self.palette()))
        else:
            paint_image(painter, box, found.image, self.devicePixelRatioF())
        if self._colours is not None:
            self._paint_map(painter, self._colours)
        self._paint_facts(painter, self.facts())
        if self.hasFocus():
            painter.setPen(QPen(self.palette().windowText().color(), 1, Qt.PenStyle.DotLine))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(box.adjusted(-2, -2, 1, 1))

    def _paint_map(self, painter: QPainter, colours: PlaceColours) -> None:
        box = self.map_rect()
        paint_image(painter, box, colours.levels, self.devicePixelRatioF())
        bar = QRect(box.left(), box.bottom() + 4, box.width(), _BAR)
        steps = np.ascontiguousarray(ramp(np.linspace(0, 1, 256))[None])
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(bar, as_qimage(steps))
        painter.setFont(small_font(self.font()))
        painter.setPen(faint(self.palette(), 0.9))
        line = QRect(bar.left(), bar.bottom() + 1, bar.width(), painter.fontMetrics().height())
        unit = "bits/channel" if bar.width() > 118 else ""
        for flag, text in (
            (Qt.AlignmentFlag.AlignLeft, figure(colours.low, 3)),
            (Qt.AlignmentFlag.AlignHCenter, unit),
            (Qt.AlignmentFlag.AlignRight, figure(colours.high, 3)),
        ):
            painter.drawText(line, int(flag), text.replace("-", "−"))

    def _paint_facts(self, painter: QPainter, lines: Sequence[str]) -> None:
        room = self._text_rect()
        top = float(room.top())
        for place, (text, high) in enumerate(zip(lines, self._heights(lines, room))):
            painter.setFont(self._line_font(place, lines))
            strong = place == 1 or len(lines) == 1
            ink = self.palette().windowText().color() if strong else faint(self.palette(), 0.9)
            painter.setPen(ink)
            box = QRectF(room.left(), top, room.width(), high + 1)
            painter.drawText(box, int(Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextWordWrap), text)
            top += high + 2

    # Mouse, keys, menus.

    def place_at(self, point: QPoint) -> int | None:
        """Return 0 over the image or its map, else ``None``."""
        inside = self.image_rect().contains(point) or self.map_rect().contains(point)
        return 0 if inside else None

    def shown_picture(self, place: int) -> ShownPicture | None:
        """Return the picture, once it was scored."""
        found, subject = self._model.canvas.found, self._model.canvas.scored
        if place != 0 or found is None or subject is None:
            return None
        return ShownPicture(subject.picture, found.image)

    def bits_at(self, point: QPoint) -> float:
        """Return the bits per channel of the pixel under a point of the map or image, or NaN."""
        found = self._model.canvas.found
        for box in (self.image_rect(), self.map_rect()):
            if found is not None and found.places is not None and box.contains(point):
                height, width = found.places.shape
                row = (point.y() - box.top()) * height // box.height()
                column = (point.x() - box.left()) * width // box.width()
                return float(found.places[row, column])
        return math.nan

    def event(self, event: QEvent) -> bool:
        """Read off a pixel; take K before a shortcut of the window."""
        if own_key(event, _KEYS):
            event.accept()
            return True
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            bits = self.bits_at(event.pos())
            text = "" if math.isnan(bits) else f"{figure(bits, 3)} {UNIT}: more is less likely"
            QToolTip.showText(event.globalPos(), text.replace("-", "−"), self)
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter puts the image on the canvas, K keeps it."""
        shown = self.shown_picture(0)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._to_canvas()
        elif event.key() == Qt.Key.Key_K and shown is not None:
            self._controller.keep_picture(shown.picture)
        else:
            event.ignore()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Show the menu of the picture, and what can be done with the map."""
        menu = self.menu()
        if menu is not None:
            show_menu(menu, event.globalPos())

    def menu(self) -> QMenu | None:
        """Return the menu, once the image was scored."""
        shown = self.shown_picture(0)
        if shown is None:
            return None
        menu = PictureMenu(self._controller, shown, self)
        menu.addSeparator()
        able = self._colours is not None
        for text, act in (
            ("Copy &map", self._copy_map),
            ("Save map as &PNG…", lambda: self._ask(".png")),
            ("Save map as CS&V…", lambda: self._ask(".csv")),
        ):
            action = menu.addAction(text)
            action.setEnabled(able)
            action.triggered.connect(lambda _=False, act=act: act())
        return menu

    def _copy_map(self) -> None:
        if self._colours is not None:
            QGuiApplication.clipboard().setImage(owned_qimage(self._colours.levels))

    def _ask(self, suffix: str) -> None:
        kind = suffix[1:].upper()
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the map", f"likelihood-map{suffix}", f"{kind} (*{suffix})"
        )
        if path:
            self.save_map(Path(path if path.lower().endswith(suffix) else path + suffix))

    def save_map(self, path: Path) -> None:
        """Write the map as .png or .csv; say so, or why not."""
        with self._controller.reporting():
            found = self._model.canvas.found
            if found is not None:
                write_places(path, found)
                self._controller.message.emit(f"Written: {path.name}", str(path))
