"""The hand on a map: the card under the cursor, clicks, K, and steering."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt, QTimer

from latentlab.ui.map_model import MapModel
from latentlab.ui.map_pictures import Target, place_lines, point_lines
from latentlab.ui.map_pointer import MapPointer
from latentlab.ui.widgets.hover_card import HoverCard
from latentlab.ui.widgets.point_map import PointMap


class MapHand(QObject):
    """Turns what a ``PointMap`` tells of the hand into what a ``MapPointer`` does.

    Args:
        point_map: the map.
        model: its state.
        pointer: decodes, places, keeps and steers.
        sees_points: whether the points are drawn; where only the plane is seen, it is meant.
        parent: the panel.
    """

    def __init__(
        self,
        point_map: PointMap,
        model: MapModel,
        pointer: MapPointer,
        sees_points: Callable[[], bool],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._map = point_map
        self._model = model
        self._pointer = pointer
        self._sees_points = sees_points
        self.card = HoverCard(point_map)
        self._hovered: int | None = None
        self._place: tuple[float, float] | None = None
        self._pressed = False
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._look)
        point_map.hovered.connect(self._hover)
        point_map.pointer_moved.connect(self._move)
        point_map.clicked.connect(self._click)
        point_map.double_clicked.connect(self._keep)
        point_map.steered.connect(self._steer)
        point_map.installEventFilter(self)
        pointer.decoded.connect(self.card.show_image)
        pointer.decode_failed.connect(lambda failure: self.card.show_failure(failure.message))

    def _hover(self, point: int | None) -> None:
        self._hovered = point
        self._soon.start()

    def _move(self, place: tuple[float, float] | None) -> None:
        # The point under the new place is told after the place: both are looked at together.
        self._place = place
        self._soon.start()

    def leave(self) -> None:
        """Nothing is under the cursor any more."""
        self._pointer.leave()
        self.card.forget()

    def _look(self) -> None:
        """Decode what is under the cursor and show it beside."""
        target = None
        if self._place is not None and not self._pressed:
            target = Target(self._meant(self._hovered), *self._place)
        points, placed = self._model.points, self._model.placed
        if target is not None and not self._pointer.has_latent(target):
            target = None
        if target is None or points is None or placed is None:
            self.leave()
            return
        if target.point is not None:
            self.card.say(point_lines(points, target.point, self._model.colour))
            # One request a point, wherever the cursor stands on it.
            target = Target(target.point, 0.0, 0.0)
        else:
            self.card.say(place_lines(placed, target))
        self.card.show_beside(self._map.to_pixels(*self._place).toPoint())
        self._pointer.look(target)

    def _meant(self, point: int | None) -> int | None:
        hidden = self._model.plane is not None and not self._sees_points()
        return None if hidden else point

    def _click(self, point: int | None, x: float, y: float) -> None:
        self._pointer.put_on_canvas(Target(self._meant(point), x, y))

    def _keep(self, point: int) -> None:
        self._pointer.keep(Target(point, 0.0, 0.0))

    def _steer(self, x: float, y: float, released: bool) -> None:
        self.leave()
        self._pointer.steer(x, y, released)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """K keeps what is under the cursor while the map has the focus; a drag hides the card."""
        if event.type() in (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonRelease):
            self._pressed = event.type() == QEvent.Type.MouseButtonPress
            self._soon.start()
        kinds = (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress)
        if event.type() in kinds and event.key() == Qt.Key.Key_K and not event.modifiers():
            target = self._pointer.target
            if target is not None:
                if event.type() == QEvent.Type.KeyPress:
                    self._pointer.keep(target)
                event.accept()
                return True
        return super().eventFilter(watched, event)
