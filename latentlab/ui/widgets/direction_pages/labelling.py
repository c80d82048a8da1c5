"""Yes or no to one large image after another, by keys or buttons."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QFocusEvent, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from latentlab.ui.widgets.colours import faint, surround
from latentlab.ui.widgets.direction_pages.labelling_model import NO, SKIP, YES, LabellingModel
from latentlab.ui.widgets.picture_menu import PictureMenu, ShownPicture, show_menu
from latentlab.ui.widgets.thumbnail import paint_image

_LARGE = 192
_SMALL = 32
_NEXT = 5
_ANSWERS = {
    Qt.Key.Key_Y: YES,
    Qt.Key.Key_Right: YES,
    Qt.Key.Key_N: NO,
    Qt.Key.Key_Left: NO,
    Qt.Key.Key_Space: SKIP,
}
_KEYS = (*_ANSWERS, Qt.Key.Key_Backspace, Qt.Key.Key_K)
_PLAIN = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier


class AskedImage(QWidget):
    """The image that is asked about, and small ones that come next.

    Args:
        controller: of the window.
        model: has the images.

    Signals:
        answered: ``YES``, ``NO`` or ``SKIP``.
        back_asked: take the last answer back.
    """

    answered = Signal(int)
    back_asked = Signal()

    def __init__(
        self, controller: Any, model: LabellingModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._model = model
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_LARGE + 8)
        model.changed.connect(self._follow)
        self._follow()

    def _follow(self) -> None:
        failure, current = self._model.failure, self._model.current
        if current is not None:
            said = f"Image {current.key[1]}: Y for yes, N for no, Space to skip"
        elif failure is not None:
            said = failure.message
        else:
            said = self._empty()
        self.setAccessibleName("Does it show it?")
        self.setAccessibleDescription(said)
        self.update()

    def _empty(self) -> str:
        if self._model.exhausted:
            return "Every image was answered: choose others, or fit the direction."
        return "The first images are on their way."

    def image_rect(self) -> QRect:
        """Return where the image that is asked about stands."""
        side = min(_LARGE, self.width() - _SMALL - 16)
        return QRect(max(0, (self.width() - side - _SMALL - 8) // 2), 4, side, side)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the image, those that come next, or why there is none."""
        painter = QPainter(self)
        box, current = self.image_rect(), self._model.current
        if current is None:
            mark = "⚠ " if self._model.failure is not None else ""
            painter.setPen(faint(self.palette(), 0.9))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(
                self.rect().adjusted(12, 4, -12, -4),
                flags,
                mark + self.accessibleDescription(),
            )
        else:
            paint_image(painter, box, current.image, self.devicePixelRatioF())
            self._paint_next(painter, box)
        if self.hasFocus():
            painter.setPen(QPen(self.palette().highlight().color(), 2))
            painter.drawRect(self.rect().adjusted(1, 1, -1, -1))

    def _paint_next(self, painter: QPainter, box: QRect) -> None:
        session = self._model.session
        for place, key in enumerate(session.queue[1 : _NEXT + 1]):
            top = box.top() + place * (_SMALL + 6)
            if top + _SMALL > box.bottom() + 1:
                break
            small = QRect(box.right() + 9, top, _SMALL, _SMALL)
            painter.fillRect(small, surround(self.palette()))
            painter.setOpacity(0.6)
            paint_image(painter, small, session.known[key].image, self.devicePixelRatioF())
            painter.setOpacity(1)

    def sizeHint(self) -> QSize:
        """A large image."""
        return QSize(_LARGE + _SMALL + 16, _LARGE + 8)

    # Keys.

    def event(self, event: QEvent) -> bool:
        """Take own keys before a shortcut of the window."""
        if event.type() == QEvent.Type.ShortcutOverride and event.key() in _KEYS:
            event.setAccepted(not event.modifiers() & ~_PLAIN)
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Answer, go back, or keep the image."""
        key = event.key()
        if event.modifiers() & ~_PLAIN:
            event.ignore()
        elif key in _ANSWERS:
            # A key that is held would answer what nobody has seen.
            if not event.isAutoRepeat():
                self.answered.emit(_ANSWERS[Qt.Key(key)])
        elif key == Qt.Key.Key_Backspace:
            self.back_asked.emit()
        elif key == Qt.Key.Key_K and self._model.current is not None:
            self._controller.keep_picture(self._model.current.picture)
        else:
            event.ignore()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Space belongs to the answers here."""
        if event.key() != Qt.Key.Key_Space:
            super().keyReleaseEvent(event)

    def mousePressEvent(self, event) -> None:
        """Take the keys."""
        self.setFocus()
        super().mousePressEvent(event)

    def mouseDoubleClickEvent(self, _event) -> None:
        """Put the image on the canvas."""
        if self._model.current is not None:
            self._controller.show_picture(self._model.current.picture, "To canvas")

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Show the menu of the image."""
        current = self._model.current
        if current is not None:
            shown = ShownPicture(current.picture, current.image)
            show_menu(PictureMenu(self._controller, shown, self), event.globalPos())

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show where the keys go."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Keys go elsewhere."""
        super().focusOutEvent(event)
        self.update()


class YesNoStrip(QWidget):
    """The image that is asked about, with buttons for those who use no keys.

    Args:
        controller: of the window.
        model: has the images and the answers.
    """

    def __init__(
        self, controller: Any, model: LabellingModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._model = model
        self.image = AskedImage(controller, model)
        self.setFocusProxy(self.image)
        self.no_button = self._button("← No", "No, it does not (N or Left)", NO)
        self.skip_button = self._button("Skip", "I cannot tell (Space)", SKIP)
        self.yes_button = self._button("Yes →", "Yes, it shows it (Y or Right)", YES)
        self.back_button = QPushButton("Back")
        self.back_button.setToolTip("Take the last answer back (Backspace)")
        self.back_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.back_button.clicked.connect(lambda: self.go_back())
        line = QHBoxLayout()
        line.setSpacing(6)
        for button in (self.back_button, self.no_button, self.skip_button, self.yes_button):
            line.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.image)
        layout.addLayout(line)
        self.image.answered.connect(self.answer)
        self.image.back_asked.connect(self.go_back)
        model.changed.connect(self._follow)
        self._follow()

    def _button(self, text: str, tip: str, value: int) -> QPushButton:
        button = QPushButton(text)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        # A click leaves the keys where they are.
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setMinimumWidth(40)
        button.clicked.connect(lambda: self.answer(value))
        return button

    def answer(self, value: int) -> None:
        """Answer the image that is shown."""
        self._model.answer(value)

    def go_back(self) -> None:
        """Take the last answer back."""
        if self._model.can_go_back:
            self._model.back()

    def _follow(self) -> None:
        here = self._model.current is not None
        retry = self._model.failure is not None
        for button in (self.no_button, self.skip_button, self.yes_button):
            button.setEnabled(here)
        self.skip_button.setEnabled(here or retry)
        self.skip_button.setText("Skip" if here or not retry else "Try again")
        self.back_button.setEnabled(self._model.can_go_back)
