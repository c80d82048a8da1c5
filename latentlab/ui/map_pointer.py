"""What the hand does on the map: look, place, keep and steer. No widget here."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from latentlab.core.document import Picture
from latentlab.core.latents import Latents
from latentlab.core.requests import PreviewResult
from latentlab.ui import edits, map_pictures
from latentlab.ui.map_layouts import steered, unedited
from latentlab.ui.map_model import MapModel
from latentlab.ui.map_pictures import Target

CHANNEL = "map"
MOST_KEPT = 50
_MARK_MS = 15


class MapPointer(QObject):
    """Decodes under the cursor, moves the canvas, and knows where the canvas stands.

    Args:
        controller: of the window.
        model: of the map.

    Signals:
        decoded: uint8 ``(H, W, C)`` of the newest place that was answered.
        decode_failed: a ``Failure``.
        marker_changed: (x, y) of the canvas in the layout, or ``None``.
    """

    decoded = Signal(object)
    decode_failed = Signal(object)
    marker_changed = Signal(object)

    def __init__(self, controller: Any, model: MapModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._model = model
        self.target: Target | None = None
        self._canvas: tuple[Picture, Latents] | None = None
        self._put: tuple[Picture, int] | None = None
        self._steering: tuple[Picture, Latents, Latents] | None = None
        self._drags = count()
        self._drag = next(self._drags)
        # After the canvas: its image is what the hand waits for.
        self._marks = QTimer(self)
        self._marks.setSingleShot(True)
        self._marks.setInterval(_MARK_MS)
        self._marks.timeout.connect(self._tell_mark)
        controller.preview_rendered.connect(self._take)
        controller.model_reloaded.connect(self._look_again)
        controller.canvas_rendered.connect(self._canvas_rendered)
        controller.selection_changed.connect(self._mark)
        controller.document_changed.connect(self._mark)
        model.layout_changed.connect(self._mark)
        model.points_changed.connect(self.leave)

    # Looking.

    def look(self, target: Target | None) -> None:
        """Decode what stands at a place; a point's own latent before the plane's."""
        if target == self.target:
            return
        self.target = target
        picture = None if target is None else self.picture(target)
        if picture is not None:
            self._controller.request_preview(CHANNEL, picture)

    def _look_again(self, *_: object) -> None:
        """Decode the same place with other weights."""
        target, self.target = self.target, None
        self.look(target)

    def leave(self) -> None:
        """Look at nothing."""
        self.target = None

    def has_latent(self, target: Target) -> bool:
        """Whether a place can be decoded: a point, or any place of a plane."""
        return target.point is not None or self._model.plane is not None

    def picture(self, target: Target) -> Picture | None:
        """Return the picture of a place; ``None`` where there is no latent."""
        points, plane = self._model.points, self._model.plane
        if points is None:
            return None
        if target.point is not None:
            store, canvas = self._controller.store, self._controller.document.canvas
            model = self._model.model_id
            weights = self._model.weights
            return map_pictures.point_picture(points, target.point, model, store, canvas, weights)
        if plane is None:
            return None
        return self._model.picture_of(map_pictures.place_latents(plane, target.x, target.y))

    def _take(self, result: PreviewResult) -> None:
        if result.channel != CHANNEL or self.target is None:
            return
        if result.failure is not None:
            self.decode_failed.emit(result.failure)
        elif result.images is not None:
            self.decoded.emit(result.images[0])

    # Placing and keeping.

    def put_on_canvas(self, target: Target) -> None:
        """Show a place on the canvas: one step of the history."""
        picture = self.picture(target)
        if picture is None:
            return
        if target.point is None:
            self._controller.show_picture(picture, "Place on the map")
            return
        self._put = (picture, target.point)
        self._controller.show_picture(picture, f"Point {target.point} of the map")
        self._mark()

    def keep(self, target: Target) -> None:
        """Keep a place in the tray."""
        picture = self.picture(target)
        if picture is not None:
            self._controller.keep_picture(picture)

    def keep_points(self, points: np.ndarray) -> None:
        """Keep points in the tray, one step of the history; says so when they are too many."""
        if self._model.points is None or len(points) == 0:
            return
        controller, document = self._controller, self._controller.document
        for point in points[:MOST_KEPT]:
            picture = self.picture(Target(int(point), 0.0, 0.0))
            if picture is not None:
                document = edits.kept(document, picture)
        number = min(len(points), MOST_KEPT)
        controller.apply(document, f"Keep {number} of the map")
        if len(points) > MOST_KEPT:
            controller.message.emit(
                f"Kept the first {MOST_KEPT} of {len(points):,}: the tray is for a handful", ""
            )

    # Steering.

    def steer(self, x: float, y: float, released: bool) -> None:
        """Move the canvas within the plane, what lies outside of it kept; one drag is one step."""
        if self._model.plane is None:
            return
        if self._steering is None:
            self._steering = self._steer_from()
        if self._steering is not None:
            picture, start, shown = self._steering
            latents = steered(self._model.plane, start, shown, x, y)
            stored = self._controller.store.put_latents(latents)
            picture = picture.model_copy(update={"stored": stored})
            self._controller.apply_canvas(picture, "Steer on the map", f"steer {self._drag}")
            self.marker_changed.emit((x, y))
        if released:
            self._steering = None
            self._drag = next(self._drags)
            self._controller.end_merge()

    def _steer_from(self) -> tuple[Picture, Latents, Latents] | None:
        """Return the picture that is moved, its latents without and with its edits."""
        plane = self._model.plane
        if plane is None:
            return None
        one = self._canvas_row()
        if one is not None:
            picture, shown = one
            start = unedited(shown, picture.edits, self._controller.directions)
            moved: dict[str, Any] = {"seeds": (), "photo": None, "photo_path": None, "name": ""}
            if start is None:
                # A direction is gone: what it did stays, as part of the latent.
                start, moved["edits"] = shown, {}
            if set(start) == set(plane.names):
                return picture.model_copy(update=moved), start, shown
        # A grid without a selected image: the plane's own face is moved.
        start = map_pictures.place_latents(plane, 0.0, 0.0)
        picture = self._model.picture_of(start)
        return None if picture is None else (picture, start, start)

    def _canvas_row(self) -> tuple[Picture, Latents] | None:
        """Return the picture that the canvas shows, or its selected image, with its latents.

        ``None`` for a grid in which no image is selected, and for another space.
        """
        canvas, points = self._controller.document.canvas, self._model.points
        if self._canvas is None or canvas is None or points is None:
            return None
        picture, latents = self._canvas
        selected = self._controller.selection
        row = 0 if latents.batch == 1 else selected
        fits = (picture.model, picture.space) == (self._model.model_id, points.space)
        if picture != canvas or row is None or row >= latents.batch or not fits:
            return None
        return picture.model_copy(), latents.rows(row)

    # The marker.

    def _canvas_rendered(self, result: PreviewResult) -> None:
        picture = self._controller.rendered_picture
        if result.latents is not None and picture is not None:
            self._canvas = (picture, result.latents)
            self._mark()

    def _mark(self, *_: object) -> None:
        """Say soon where the canvas stands; a stream of changes is told now and then."""
        if not self._marks.isActive():
            self._marks.start()

    def _tell_mark(self) -> None:
        # A drag says so itself.
        if self._steering is None:
            self.marker_changed.emit(self.marker())

    def marker(self) -> tuple[float, float] | None:
        """Return where the canvas's latent projects; ``None`` when it has no place."""
        placed, canvas = self._model.placed, self._controller.document.canvas
        if placed is None or canvas is None:
            return None
        if placed.plane is None:
            if self._put is None or self._put[0] != canvas:
                return None
            x, y = placed.coordinates[self._put[1]]
            return float(x), float(y)
        one = self._canvas_row()
        if one is None or set(one[1]) != set(placed.plane.names):
            return None
        x, y = placed.plane.coordinates(one[1])[0]
        return float(x), float(y)
