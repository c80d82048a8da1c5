"""A painted mask and what was done to it, so that every stroke can be undone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

_MOST = 100
Point = tuple[float, float]


class MaskModel(QObject):
    """Which pixels of a picture are painted over.

    Signals:
        changed: the mask, or what can be undone.
    """

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._mask = np.zeros((1, 1), bool)
        self._before: NDArray[np.bool_] | None = None
        self._undo: list[NDArray[np.bool_]] = []
        self._redo: list[NDArray[np.bool_]] = []
        self._last: Point | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self._mask.shape[0], self._mask.shape[1]

    @property
    def painted(self) -> NDArray[np.bool_]:
        """Bool ``(H, W)``: true where it is painted; a copy."""
        return self._mask.copy()

    @property
    def levels(self) -> NDArray[np.uint8]:
        """Uint8 ``(H, W)``: 255 where it is painted, else 0."""
        return self._mask.astype(np.uint8) * 255

    @property
    def share(self) -> float:
        """Share of the picture that is painted, 0 to 1."""
        return float(self._mask.mean())

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is something to do again."""
        return bool(self._redo)

    def start(self, height: int, width: int) -> None:
        """Begin with nothing painted; the mask of a picture of the same size stays."""
        if (height, width) != self.size:
            self._mask = np.zeros((height, width), bool)
            self._undo, self._redo, self._before = [], [], None
            self.changed.emit()

    # One stroke is one step.

    def begin(self) -> None:
        """Put the brush down."""
        self._before, self._last = self._mask.copy(), None

    def move(self, at: Point, diameter: float, *, erase: bool = False) -> None:
        """Draw a line from the last place of the stroke to here.

        Args:
            at: (x, y) in pixels, 0.5 being the middle of the first.
            diameter: of the brush in pixels.
            erase: take paint away.
        """
        if self._before is None:
            self.begin()
        start = at if self._last is None else self._last
        self._mask[self._near(start, at, diameter)] = not erase
        self._last = at
        self.changed.emit()

    def _near(self, start: Point, end: Point, diameter: float) -> NDArray[np.bool_]:
        """Pixels whose middle is at most half a diameter from a line; one pixel at least."""
        y, x = np.indices(self._mask.shape) + 0.5
        dx, dy = end[0] - start[0], end[1] - start[1]
        length = dx * dx + dy * dy
        along = (
            0.0
            if length == 0
            else np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / length, 0, 1)
        )
        apart = np.square(x - start[0] - along * dx) + np.square(y - start[1] - along * dy)
        # A brush of one pixel paints wherever in the pixel it stands.
        return np.asarray(apart <= max(diameter / 2, 0.71) ** 2)

    def end(self) -> None:
        """Lift the brush."""
        before, self._before, self._last = self._before, None, None
        if before is not None and not np.array_equal(before, self._mask):
            self._remember(before)
        self.changed.emit()

    def _remember(self, before: NDArray[np.bool_]) -> None:
        self._undo.append(before)
        self._redo.clear()
        del self._undo[: max(0, len(self._undo) - _MOST)]

    def _replace(self, mask: NDArray[np.bool_]) -> None:
        before, self._mask = self._mask, mask
        if not np.array_equal(before, mask):
            self._remember(before)
        self.changed.emit()

    # Whole steps.

    def fill(self, left: int, top: int, width: int, height: int, *, erase: bool = False) -> None:
        """Paint a rectangle of pixels."""
        mask = self.painted
        mask[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)] = not erase
        self._replace(mask)

    def invert(self) -> None:
        """Paint what was not painted, and the other way round."""
        self._replace(~self._mask)

    def clear(self) -> None:
        """Take all paint away."""
        self._replace(np.zeros_like(self._mask))

    def undo(self) -> None:
        """Take the last step back."""
        if self._undo:
            self._redo.append(self._mask)
            self._mask = self._undo.pop()
            self.changed.emit()

    def redo(self) -> None:
        """Do the last step again that was taken back."""
        if self._redo:
            self._undo.append(self._mask)
            self._mask = self._redo.pop()
            self.changed.emit()
