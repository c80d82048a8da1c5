"""Points that glide to their new places, so that the eye can follow them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEasingCurve, QObject, QVariantAnimation

from latentlab.ui.widgets.point_index import PointIndex
from latentlab.ui.widgets.point_map import PointMap

MOST_POINTS = 20_000
"""More points than this would stutter: they jump."""
DURATION_MS = 500


class Glide(QObject):
    """Moves the points of a map.

    Args:
        point_map: whose points move.
    """

    def __init__(self, point_map: PointMap, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._map = point_map
        self._from: NDArray[np.float32] | None = None
        self._to: NDArray[np.float32] | None = None
        self._animation = QVariantAnimation(self)
        self._animation.setDuration(DURATION_MS)
        self._animation.setEasingCurve(QEasingCurve.Type.InOutCubic)
        self._animation.setStartValue(0.0)
        self._animation.setEndValue(1.0)
        self._animation.valueChanged.connect(self._step)

    @property
    def running(self) -> bool:
        """Whether points are on their way."""
        return self._animation.state() == QVariantAnimation.State.Running

    def stop(self) -> None:
        """Forget where the points were and go."""
        self._animation.stop()
        self._from = self._to = None

    def go(
        self,
        coordinates: NDArray[np.float32],
        animated: bool,
        index: PointIndex | None = None,
    ) -> None:
        """Move the points to ``(N, 2)``, at once or gliding; the view shows all of them."""
        self._animation.stop()
        start, self._from, self._to = self._to, self._to, coordinates
        same = start is not None and len(start) == len(coordinates) <= MOST_POINTS
        if animated and same and self._map.isVisible():
            self._animation.start()
        else:
            self._map.set_points(coordinates, index=index)

    def _step(self, part: float) -> None:
        if self._from is None or self._to is None:
            return
        # Both pictures fill the view, whatever their units are: glide between what is seen.
        if part >= 1.0:
            self._map.set_points(self._to)
            return
        start, end = _unit(self._from), _unit(self._to)
        self._map.set_points(start + np.float32(part) * (end - start))


def _unit(coordinates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return coordinates moved and scaled into -1 to 1, one scale for both axes."""
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    half = max(float((high - low).max()) / 2, 1e-12)
    return ((coordinates - (low + high) / 2) / np.float32(half)).astype(np.float32)
