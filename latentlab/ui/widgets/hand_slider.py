"""What sliders that a hand moves have in common: drags, wheel, keys, and when a gesture ends."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QSlider, QWidget

BURST_MS = 800
_NOTCH = 120


class EditBurst(QObject):
    """Tells when a run of wheel turns or key presses is over: nothing came for 0.8 s."""

    ended = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._timer = QTimer(self, singleShot=True, interval=BURST_MS)
        self._timer.timeout.connect(self.ended)

    def touch(self) -> None:
        """One more of the run."""
        self._timer.start()

    def end(self) -> None:
        """End the run now, if there is one."""
        if self._timer.isActive():
            self._timer.stop()
            self.ended.emit()


class WheelSteps:
    """Whole notches out of wheel events, fine touchpad movements added up."""

    def __init__(self) -> None:
        self._rest = 0

    def take(self, event: QWheelEvent) -> int:
        """Return the notches, up being positive. With Shift some systems turn the axis."""
        delta = event.angleDelta().y() or event.angleDelta().x()
        if self._rest * delta < 0:
            self._rest = 0
        self._rest += delta
        notches = int(self._rest / _NOTCH)
        self._rest -= notches * _NOTCH
        return notches


class HandSlider(QSlider):
    """A horizontal slider; the wheel moves it only while it has the focus.

    A subclass says where its handle is and what a place, a step and a reset mean.

    Args:
        radius: of the handle, in logical pixels.

    Signals:
        gesture_ended: a drag was released, or the wheel and the keys rested for 0.8 s.
    """

    gesture_ended = Signal()

    page = 1.0
    """What the Page keys move by."""
    reset_keys: tuple[Qt.Key, ...] = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
    kept_keys: tuple[Qt.Key, ...] = ()
    """Further keys that are kept from the shortcuts of the window."""

    def __init__(self, radius: int, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._radius = radius
        self._grip = 0.0
        self._wheel = WheelSteps()
        self._burst = EditBurst(self)
        self._burst.ended.connect(self.gesture_ended)

    # What a subclass says.

    def _handle(self) -> float:
        """Return the horizontal place of the handle, in logical pixels."""
        raise NotImplementedError

    def _put_at(self, x: float) -> None:
        """Take the value at a horizontal place."""
        raise NotImplementedError

    def _nudge(self, change: float) -> None:
        """Move by so much."""
        raise NotImplementedError

    def _step(self, modifiers: Qt.KeyboardModifier) -> float:
        """Return what one notch or key press moves by."""
        raise NotImplementedError

    def _jump(self, key: Qt.Key) -> None:
        """Go to the end that Home or End names, or back to where nothing is changed."""
        raise NotImplementedError

    # Mouse, wheel and keys.

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take the handle, or bring it under the mouse."""
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        self._burst.end()
        x = event.position().x()
        away = self._handle() - x
        self._grip = away if abs(away) <= self._radius + 2 else 0.0
        self.setSliderDown(True)
        if self._grip == 0.0:
            self._put_at(x)
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the hand."""
        if self.isSliderDown():
            self._put_at(event.position().x() + self._grip)
            event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End the drag."""
        if self.isSliderDown() and event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(False)
            self.gesture_ended.emit()
            event.accept()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Step, but only with the focus: scrolling a panel past a slider must not edit."""
        if not self.hasFocus() or event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            event.ignore()
            return
        notches = self._wheel.take(event)
        if notches:
            self._nudge(notches * self._step(event.modifiers()))
        event.accept()

    def event(self, event: QEvent) -> bool:
        """Keep its own keys from the shortcuts of the window."""
        own = (*self.reset_keys, *self.kept_keys)
        if event.type() == QEvent.Type.ShortcutOverride and event.key() in own:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Step, page, jump to an end, or reset."""
        key, step = event.key(), self._step(event.modifiers())
        changes = {
            Qt.Key.Key_Right: step,
            Qt.Key.Key_Up: step,
            Qt.Key.Key_Left: -step,
            Qt.Key.Key_Down: -step,
            Qt.Key.Key_PageUp: self.page,
            Qt.Key.Key_PageDown: -self.page,
        }
        if key in changes:
            self._nudge(changes[Qt.Key(key)])
        elif key in (Qt.Key.Key_Home, Qt.Key.Key_End, *self.reset_keys):
            self._jump(Qt.Key(key))
        else:
            event.ignore()
