"""A plane of a latent space as pictures: a pyramid of decoded tiles, refined as one zooms.

A tile of level L is ``2 ** -L`` units of the plane wide and shows the image of its middle. Levels
of x and y differ only where the map draws the two axes at different scales.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QImage, QPainter

from latentlab.core.document import Picture
from latentlab.core.latents import Latents
from latentlab.core.plane import Plane
from latentlab.core.requests import PreviewResult
from latentlab.ui.widgets.images import as_qimage

CHANNEL = "map-tiles"
LARGEST = 96.0
"""Logical pixels of a tile's side are at most this, and more than half of it."""
MOST_TILES = 48
"""Tiles of one request."""
MAX_BYTES = 64 * 2**20
COARSE_STEPS = 2
"""So many levels above the wanted one come first: a sixteenth of the tiles."""
_OLDEST_STEPS = 8
_SHARE_MS = 40.0
"""A request shall hold the network no longer, so that other previews come between."""
_LEAST_TILES = 4
_WAIT_MS = 15
_KEPT_SIDE = 192
"""Pixels of a tile's side that are kept at most: enough for a screen of double density."""

Tile = tuple[int, int, int, int]
"""Level of x, level of y, column, row; the middle is at ((column + 1/2) * 2 ** -level, ...)."""
Rect = tuple[float, float, float, float]
ToPixels = Callable[[float, float], QPointF]


def level_for(pixels_per_unit: float) -> int:
    """Return the level whose tiles are more than 48 and at most 96 pixels wide."""
    # The small slack keeps both axes on one level when their scales are equal but for rounding.
    return math.ceil(math.log2(pixels_per_unit / LARGEST) - 1e-6)


def middle(tile: Tile) -> tuple[float, float]:
    """Return the place of a tile's middle in the plane."""
    level_x, level_y, column, row = tile
    return (column + 0.5) * 2.0**-level_x, (row + 0.5) * 2.0**-level_y


def extent(tile: Tile) -> Rect:
    """Return (x0, x1, y0, y1) of a tile in the plane."""
    level_x, level_y, column, row = tile
    wide, high = 2.0**-level_x, 2.0**-level_y
    return column * wide, (column + 1) * wide, row * high, (row + 1) * high


def above(tile: Tile, steps: int) -> Tile:
    """Return the tile ``steps`` levels coarser that holds this one."""
    level_x, level_y, column, row = tile
    return level_x - steps, level_y - steps, column >> steps, row >> steps


def covering(rect: Rect, level_x: int, level_y: int) -> list[Tile]:
    """Return the tiles of a level that touch a rectangle, those near its middle first."""
    x0, x1, y0, y1 = rect
    wide, high = 2.0**-level_x, 2.0**-level_y
    columns = range(math.floor(x0 / wide), math.ceil(x1 / wide))
    rows = range(math.floor(y0 / high), math.ceil(y1 / high))
    middle_x, middle_y = (x0 + x1) / wide / 2 - 0.5, (y0 + y1) / high / 2 - 0.5
    tiles = [(level_x, level_y, column, row) for row in rows for column in columns]
    return sorted(tiles, key=lambda t: (t[2] - middle_x) ** 2 + (t[3] - middle_y) ** 2)


class PlaneTiles(QObject):
    """The decoded tiles under a map: ``PointMap.set_tiles`` takes it.

    One request is on its way at a time; what is painted decides what is asked for next.

    Args:
        controller: of the window.
        make_picture: returns the picture of latents, or ``None``.
        max_bytes: of all tiles that are kept; those not seen for longest go first.

    Signals:
        changed: paint again.
        failed: a ``Failure``, or ``None`` when tiles come again.
    """

    changed = Signal()
    failed = Signal(object)

    def __init__(
        self,
        controller: Any,
        make_picture: Callable[[Latents], Picture | None],
        max_bytes: int = MAX_BYTES,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._make_picture = make_picture
        self._max_bytes = max_bytes
        self._plane: Plane | None = None
        self._images: OrderedDict[Tile, QImage] = OrderedDict()
        self._old: set[Tile] = set()
        self._rough: set[Tile] = set()
        self._bytes = 0
        self._tile_bytes = 4 * _KEPT_SIDE**2
        self._view: tuple[Rect, int, int] | None = None
        self._asked: tuple[Tile, ...] = ()
        self._sequence: int | None = None
        self._failed = False
        self._batch = 2 * _LEAST_TILES
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_WAIT_MS)
        self._soon.timeout.connect(self._ask)
        controller.preview_rendered.connect(self._take)

    # The plane.

    @property
    def plane(self) -> Plane | None:
        """What is drawn."""
        return self._plane

    @property
    def bytes_used(self) -> int:
        """Bytes of the tiles that are kept."""
        return self._bytes

    @property
    def known(self) -> tuple[Tile, ...]:
        """The tiles that are kept, the one not seen for longest first; rough ones are not."""
        return tuple(tile for tile in self._images if tile not in self._rough)

    def set_plane(self, plane: Plane | None, keep: bool = False) -> None:
        """Draw another plane; tiles of the old one are forgotten, even those on their way.

        With ``keep``, where the new plane is nearly the old one, they stay until new ones come.
        """
        if plane is self._plane:
            return
        self._plane = plane
        self._drop_rough()
        if keep:
            self._asked, self._sequence = (), None
            self.refresh()
        else:
            self.forget()

    def forget(self) -> None:
        """Decode everything anew: the model or its condition changed."""
        self._images.clear()
        self._old.clear()
        self._rough.clear()
        self._bytes = 0
        self._asked, self._sequence, self._failed = (), None, False
        self._view = None
        self._soon.stop()
        self.changed.emit()

    def refresh(self, *_: object) -> None:
        """Decode everything anew with other weights; every tile stays until its new one comes."""
        self._old = set(self._images)
        self._failed = False
        self.changed.emit()
        if self._view is not None and not self._asked:
            self._soon.start()

    # Painting.

    def paint(self, painter: QPainter, to_pixels: ToPixels, view_rect: Rect) -> None:
        """Draw what is known of a rectangle of the plane; what is missing is asked for soon.

        Args:
            painter: in logical pixels.
            to_pixels: from places of the plane to logical pixels.
            view_rect: (x0, x1, y0, y1) of what is visible.
        """
        if self._plane is None:
            return
        x0, x1, y0, y1 = view_rect
        first, last = to_pixels(x0, y0), to_pixels(x1, y1)
        across, up = abs(last.x() - first.x()), abs(last.y() - first.y())
        if min(across, up, x1 - x0, y1 - y0) <= 0:
            return
        level_x, level_y = level_for(across / (x1 - x0)), level_for(up / (y1 - y0))
        wanted = covering(view_rect, level_x, level_y)
        while len(wanted) * self._tile_bytes > self._max_bytes / 2 and len(wanted) > 1:
            # A screen that holds more tiles than may be kept gets larger ones.
            level_x, level_y = level_x - 1, level_y - 1
            wanted = covering(view_rect, level_x, level_y)
        self._look_at(view_rect, level_x, level_y)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        for tile in self._to_draw(wanted):
            self._images.move_to_end(tile)
            left, right, low, high = extent(tile)
            corner, other = to_pixels(left, high), to_pixels(right, low)
            painter.drawImage(_whole(corner, other), self._images[tile])
        painter.restore()

    def _to_draw(self, wanted: list[Tile]) -> Iterator[Tile]:
        """Yield known tiles: coarse ones, then finer ones, then those of the wanted level."""
        missing = [tile for tile in wanted if tile not in self._images]
        coarse = {parent for tile in missing if (parent := self._nearest_above(tile)) is not None}
        yield from sorted(coarse, key=lambda tile: tile[0])
        for tile in missing:
            yield from (child for child in _below(tile) if child in self._images)
        yield from (tile for tile in wanted if tile in self._images)

    def _nearest_above(self, tile: Tile) -> Tile | None:
        parents = (above(tile, steps) for steps in range(1, _OLDEST_STEPS + 1))
        return next((parent for parent in parents if parent in self._images), None)

    # Asking.

    def _look_at(self, rect: Rect, level_x: int, level_y: int) -> None:
        view = (rect, level_x, level_y)
        if view != self._view:
            self._view = view
            # Another place may work where the last one failed.
            self._failed = False
        if not self._asked and not self._failed and not self._soon.isActive():
            self._soon.start()

    def _missing(self) -> list[Tile]:
        """Return what to ask for: the coarse level first, then the wanted one."""
        if self._view is None or self._plane is None:
            return []
        rect, level_x, level_y = self._view
        wanted = covering(rect, level_x, level_y)
        missing = [tile for tile in wanted if tile not in self._images]
        bare = [tile for tile in missing if self._nearest_above(tile) is None]
        missing += [tile for tile in wanted if tile in self._old]
        coarse = dict.fromkeys(above(tile, COARSE_STEPS) for tile in bare)
        return [*coarse, *missing]

    def _ask(self) -> None:
        missing = self._missing()[: self._batch]
        if not missing or self._asked or self._plane is None:
            return
        picture = self._make_picture(self._plane.latents(np.array([middle(t) for t in missing])))
        if picture is None:
            return
        self._asked = tuple(missing)
        # The answer may come before the call returns.
        self._sequence = None
        sequence = self._controller.request_preview(CHANNEL, picture)
        if self._asked == tuple(missing):
            self._sequence = sequence

    def _take(self, result: PreviewResult) -> None:
        if result.channel != CHANNEL or not self._asked:
            return
        if self._sequence is not None and result.sequence != self._sequence:
            return
        if not result.final and result.failure is None:
            self._take_rough(result)
            return
        stepped = bool(self._rough)
        self._drop_rough()
        asked, self._asked, self._sequence = self._asked, (), None
        if result.failure is not None or result.images is None:
            self._failed = True
            self.failed.emit(result.failure)
            return
        self.failed.emit(None)
        for tile, image in zip(asked, result.images):
            self._keep(tile, _small(as_qimage(image)))
        if not stepped:
            self._adapt(len(asked), result.total_ms)
        self.changed.emit()
        if self._missing():
            self._soon.start(0)

    def _take_rough(self, result: PreviewResult) -> None:
        """Show rough tiles of a model of many steps where there are none; they never stay."""
        if result.images is None:
            return
        if not self._rough:
            # Others come between two steps, not two requests: the first step's time counts.
            self._adapt(len(self._asked), result.total_ms)
        for tile, image in zip(self._asked, result.images):
            if tile not in self._images or tile in self._rough:
                self._keep(tile, _small(as_qimage(image)))
                self._rough.add(tile)
        self.changed.emit()

    def _drop_rough(self) -> None:
        for tile in self._rough & set(self._images):
            self._bytes -= self._images.pop(tile).sizeInBytes()
            self._old.discard(tile)
        self._rough.clear()

    def _keep(self, tile: Tile, image: QImage) -> None:
        known = self._images.pop(tile, None)
        self._images[tile] = image
        self._old.discard(tile)
        self._tile_bytes = image.sizeInBytes()
        self._bytes += image.sizeInBytes() - (0 if known is None else known.sizeInBytes())
        while self._bytes > self._max_bytes and len(self._images) > 1:
            gone, old = self._images.popitem(last=False)
            self._old.discard(gone)
            self._bytes -= old.sizeInBytes()

    def _adapt(self, count: int, milliseconds: float) -> None:
        """Choose the number of tiles that keeps the network busy for a short while only."""
        if milliseconds > 0:
            fitting = int(count * _SHARE_MS / milliseconds)
            self._batch = min(max(fitting, _LEAST_TILES), 2 * self._batch, MOST_TILES)
        else:
            self._batch = MOST_TILES


def _below(tile: Tile) -> list[Tile]:
    """Return the four tiles that one holds."""
    level_x, level_y, column, row = tile
    return [
        (level_x + 1, level_y + 1, 2 * column + right, 2 * row + up)
        for right in (0, 1)
        for up in (0, 1)
    ]


def _small(image: QImage) -> QImage:
    """Return an image of its own, in the format that is drawn quickest, no larger than needed."""
    if max(image.width(), image.height()) > _KEPT_SIDE:
        keep, smooth = (
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        image = image.scaled(_KEPT_SIDE, _KEPT_SIDE, keep, smooth)
    return image.convertToFormat(QImage.Format.Format_RGB32)


def _whole(corner: QPointF, other: QPointF) -> QRectF:
    """Return a rectangle on whole pixels, so that neighbours touch without a seam."""
    left, top = round(corner.x()), round(corner.y())
    return QRectF(left, top, round(other.x()) - left, round(other.y()) - top)
