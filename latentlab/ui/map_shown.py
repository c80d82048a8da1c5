"""What of a map is shown and selected, and what colours it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.labels import LabelColumn
from latentlab.core.points import PointSet

Points = NDArray[np.int64]
Mask = NDArray[np.bool_]
NONE = np.zeros(0, np.int64)


class ShownPoints:
    """Methods of ``MapModel``; see there."""

    _controller: Any
    points: PointSet | None = None
    path: Path | None = None
    colour: str | None = None
    selection: Points = NONE
    isolated: Mask | None = None
    _legend: Mask | None = None

    @property
    def column(self) -> LabelColumn | None:
        """The label that colours the points."""
        if self.points is None or self.colour is None:
            return None
        return self.points.labels.get(self.colour)

    def choose_colour(self, label: str | None) -> None:
        """Colour by a label, or by none."""
        if label != self.colour:
            self.colour = label
            self._legend = None
            self.colour_changed.emit()
            self.shown_changed.emit()

    @property
    def shown(self) -> Mask | None:
        """Which points are shown; ``None`` means all."""
        if self._legend is None or self.isolated is None:
            return self.isolated if self._legend is None else self._legend
        return self._legend & self.isolated

    def show_classes(self, mask: Mask | None) -> None:
        """Show what the legend says."""
        self._legend = None if mask is None or bool(mask.all()) else mask
        self.shown_changed.emit()

    def isolate(self) -> None:
        """Show only the selected points."""
        if self.points is not None and len(self.selection):
            mask = np.zeros(len(self.points), bool)
            mask[self.selection] = True
            self.isolated = mask
            self.shown_changed.emit()

    def show_all(self) -> None:
        """Show what isolating hid."""
        if self.isolated is not None:
            self.isolated = None
            self.shown_changed.emit()

    def select(self, points: Any) -> None:
        """Select points."""
        chosen = np.asarray(points, np.int64)
        if not np.array_equal(chosen, self.selection):
            self.selection = chosen
            self._controller.map_selection = (
                (str(self.path), chosen) if len(chosen) and self.path is not None else None
            )
            self.selection_changed.emit(chosen)
