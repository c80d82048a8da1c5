"""Number boxes and sliders that leave the wheel and the letters to others.

The wheel changes them only with the focus, so that scrolling never edits; letters, brackets and
Space stay shortcuts of the window while a number is being edited.
"""

from __future__ import annotations

from collections.abc import Container

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QSlider, QSpinBox, QWidget

_PASSED = (
    *range(Qt.Key.Key_A, Qt.Key.Key_Z + 1),
    Qt.Key.Key_BracketLeft,
    Qt.Key.Key_BracketRight,
    Qt.Key.Key_Space,
)


_WINDOWS = (
    Qt.KeyboardModifier.ControlModifier
    | Qt.KeyboardModifier.AltModifier
    | Qt.KeyboardModifier.MetaModifier
)
"""With one of these, a key is a shortcut of the window."""


def own_key(event: QEvent, keys: Container[int]) -> bool:
    """Whether a widget claims a key before a shortcut of the window; K is its own, Ctrl+K is not.

    Args:
        event: any.
        keys: those that the widget uses.
    """
    if event.type() != QEvent.Type.ShortcutOverride or event.key() not in keys:
        return False
    return not event.modifiers() & _WINDOWS


class _LetterFilter(QObject):
    """Keeps a line of digits from claiming keys that it cannot use."""

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Leave letters to the window's shortcuts."""
        if event.type() != QEvent.Type.ShortcutOverride or event.key() not in _PASSED:
            return False
        if event.modifiers() & _WINDOWS:
            return False
        event.ignore()
        return True


def leave_letters(box: QAbstractSpinBox) -> None:
    """Let the window's one-letter shortcuts work while a number box has the focus."""
    # On the box: it has the focus and asks its line itself, past the line's own filters.
    box.installEventFilter(_LetterFilter(box))


def _wheel_with_focus(widget: QWidget, event: QWheelEvent) -> bool:
    """Whether a widget may take the wheel; otherwise the event goes to what is behind it."""
    if widget.hasFocus():
        return True
    event.ignore()
    return False


class QuietSlider(QSlider):
    """A horizontal slider."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Step, but only with the focus."""
        if _wheel_with_focus(self, event):
            super().wheelEvent(event)


class QuietSpinBox(QSpinBox):
    """A whole number; a typed one counts with Enter or Tab."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setKeyboardTracking(False)
        leave_letters(self)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Step, but only with the focus."""
        if _wheel_with_focus(self, event):
            super().wheelEvent(event)


class QuietDoubleSpinBox(QDoubleSpinBox):
    """A decimal number; a typed one counts with Enter or Tab."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setKeyboardTracking(False)
        leave_letters(self)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Step, but only with the focus."""
        if _wheel_with_focus(self, event):
            super().wheelEvent(event)
