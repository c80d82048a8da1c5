"""The map of a model that learns: which weights its places are of, and making it anew."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal

from latentlab.core.errors import LatentLabError
from latentlab.core.pointfile import read_points_header
from latentlab.core.points import PRIOR, PointSet

CHEAP_SECONDS = 3.0
"""A map of data that was made within so long is made again by itself."""


def same_points(before: PointSet | None, after: PointSet | None) -> bool:
    """Whether two sets show the same images, or seeds, one for one."""
    return (
        before is not None
        and after is not None
        and (before.source, before.split, before.space) == (after.source, after.split, after.space)
        and np.array_equal(before.rows, after.rows)
    )


class MapWeights(QObject):
    """Says which weights the places of a map are of, and brings them up to date.

    The pictures at these places always come from the newest weights.

    Args:
        controller: of the window.
        model: a ``MapModel``.

    Signals:
        changed: see ``sentence``.
    """

    changed = Signal()

    def __init__(self, controller: Any, model: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._model = model
        self._began: float | None = None
        self._took: dict[tuple[str, str | None], float] = {}
        controller.model_reloaded.connect(self._reloaded)

    @property
    def outdated(self) -> bool:
        """Whether the places are of other weights than the pictures."""
        points, weights = self._model.points, self._model.weights
        return points is not None and bool(weights) and points.fingerprint != weights

    @property
    def sentence(self) -> str:
        """What a person should know about the places; empty when they are up to date."""
        if not self.outdated:
            return ""
        controller, points = self._controller, self._model.points
        then = controller.weights_text(points.fingerprint)
        now = controller.step_of(self._model.weights)
        pictures = "the newest weights" if now is None else f"step {now:,}"
        return f"Places of {then}, pictures of {pictures}."

    def begin(self) -> None:
        """A map is being made."""
        self._began = time.monotonic()

    def made(self, points: PointSet) -> None:
        """It was made: how long it took decides whether it is made again by itself."""
        if self._began is not None:
            self._took[points.source, points.split] = time.monotonic() - self._began
        self._began = None
        self.changed.emit()

    def refresh(self) -> None:
        """Make the same map again, with the weights that are here now."""
        points, path = self._model.points, self._model.path
        if points is None or self._model.jobs.runs("map_points"):
            return
        if points.is_prior:
            # Labels of samples are what the probe read.
            reader = "probe" if points.labels else None
            self._model.map_source(PRIOR, None, len(points), renew=True, reader=reader)
            return
        try:
            about = read_points_header(Path(path)).about
        except LatentLabError:
            about = {}
        count = int(about.get("limit") or len(points))
        table = about.get("attributes")
        self._model.map_source(
            points.source, points.split, count, str(table) if table else None, renew=True
        )

    def _reloaded(self, *_: object) -> None:
        points = self._model.points
        self.changed.emit()
        if points is None or points.is_prior or len(self._model.selection):
            # Places of the prior stay; those that a person chose among do not move either.
            return
        if self._took.get((points.source, points.split), np.inf) < CHEAP_SECONDS:
            self.refresh()
