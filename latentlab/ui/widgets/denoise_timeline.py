"""All steps of a run and its branches as small images, columns being steps."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QToolTip, QWidget

from latentlab.core.denoising import DenoisingFrame
from latentlab.core.errors import LatentLabError
from latentlab.ui.denoise_tree import QUANTITIES, caption, last_branch
from latentlab.ui.widgets.denoise_geometry import GAP, HEADER, Group, GroupFacts, arrange
from latentlab.ui.widgets.denoise_painter import TimelinePainter, first_frame
from latentlab.ui.widgets.denoise_rows import frame_image
from latentlab.ui.widgets.grid_geometry import snap_scale
from latentlab.ui.widgets.hand_slider import WheelSteps
from latentlab.ui.widgets.picture_hand import PictureHand
from latentlab.ui.widgets.picture_menu import ShownPicture
from latentlab.ui.widgets.place_edit import PlaceEdit

SIDES = (24, 40, 64, 96, 128, 192)
"""Sides of a frame that a person can choose, about; drawn at whole-number zoom below them."""
_SMALL, _LARGE = 40, 64
_NARROW = 480
Place = tuple[str, str, int]
"""Path, what is shown, and step."""


class DenoiseTimeline(PictureHand, QAbstractScrollArea):
    """The run and its branches, each with a row for each quantity.

    Args:
        controller: of the window; ``controller.denoise`` is shown.

    Signals:
        show_chosen: ``x_t``, ``x0`` or ``eps``: a person clicked into this row.
        menu_asked: path, ``show`` (empty on a header), step and place on the screen.
    """

    show_chosen = Signal(str)
    menu_asked = Signal(str, str, int, QPoint)

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Timeline")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setMouseTracking(True)
        self._controller = controller
        self._model = controller.denoise
        self._at: Place | None = None
        self._pressed: QPoint | None = None
        self._wheel = WheelSteps()
        self.shows: tuple[str, ...] = ("x_t", "x0")
        self.show_now = "x0"
        self.fitted = False
        self._outlined: tuple[str, int, Any] | None = None
        self.side: int | None = None
        self.timeline = arrange((), (), (1, 1), 0, None)
        self.painter = TimelinePainter(self)
        self.setMinimumHeight(72)
        self._model.run_changed.connect(self.lay_out)
        self._model.frames_added.connect(self._take_frame)
        self._model.selection_changed.connect(self._follow_selection)
        self._model.progress_changed.connect(self.viewport().update)
        self.lay_out()

    # What is shown.

    def set_rows(self, shows: tuple[str, ...]) -> None:
        """Show these rows: of ``x_t``, ``x0``, ``eps``."""
        self.shows = shows
        self.lay_out()

    def set_fitted(self, fitted: bool) -> None:
        """Show every n-th step so that all columns fit, or every step, to scroll."""
        self.fitted = fitted
        self.lay_out()

    def set_side(self, side: int | None) -> None:
        """Draw frames about so large; ``None`` chooses by the width of the panel."""
        self.side = side
        self.lay_out()

    def zoom(self, steps: int) -> None:
        """Draw frames larger or smaller."""
        now = min(range(len(SIDES)), key=lambda k: abs(SIDES[k] - self._side()))
        self.set_side(SIDES[min(max(0, now + steps), len(SIDES) - 1)])

    def _side(self) -> int:
        """Return about how large a frame is: by itself, one run at least is seen as a whole."""
        if self.side is not None:
            return self.side
        if self.viewport().width() < _NARROW:
            return _SMALL
        one_run = HEADER + len(self.shows) * (_LARGE + GAP)
        return _LARGE if one_run <= 0.8 * self.viewport().height() else _SMALL

    def _cell(self) -> tuple[int, int]:
        spec = self._model.spec
        _, height, width = (3, 32, 32) if spec is None else spec.image_shape
        ratio = self.devicePixelRatioF()
        scale = snap_scale(self._side() * ratio / max(height, width)) / ratio
        return max(8, round(width * scale)), max(8, round(height * scale))

    def _facts(self) -> list[GroupFacts]:
        model, found = self._model, []
        for path in model.paths:
            first = last_branch(path).at + 1 if path else 1
            last = max(model.count(path) + 1, first)
            found.append(GroupFacts(path, first, last, path in model.folded))
        return found

    def lay_out(self) -> None:
        """Place everything anew."""
        metrics = self.painter.metrics
        gutter = max(metrics.horizontalAdvance(word) for word in QUANTITIES.values()) + 14
        room = self.viewport().width() if self.fitted else None
        self.timeline = arrange(self._facts(), self.shows, self._cell(), gutter, room)
        self.painter.rows.keep_only(self._model.paths)
        self._set_bars()
        self._follow_selection()
        self.viewport().update()

    def _set_bars(self) -> None:
        view = self.viewport().size()
        bars = (
            (self.horizontalScrollBar(), self.timeline.width, view.width(), self.timeline.pitch),
            (self.verticalScrollBar(), self.timeline.height, view.height(), HEADER),
        )
        for bar, size, room, step in bars:
            bar.setRange(0, max(0, size - room))
            bar.setPageStep(room)
            bar.setSingleStep(step)

    def shown_in(self, path: str, slot: int) -> tuple[DenoisingFrame | None, int] | None:
        """Return the frame and step that a column of a path shows; frame ``None`` is the result.

        ``None``: nothing is there, or not yet.
        """
        model = self._model
        frames = model.own_frames(path)
        if not frames:
            return None
        steps = self.timeline.steps_of(slot)
        chosen_path, chosen = model.selected
        result = frames[-1].index + 1 if frames[-1].result is not None else 0
        if chosen_path == path and chosen in steps:
            if chosen == result:
                return None, chosen
            frame = model.cursor.frame(path, chosen)
            if frame is not None and frame in frames:
                return frame, frame.index
        if result in steps:
            return None, result
        frame = first_frame(frames, steps)
        return None if frame is None else (frame, frame.index)

    def _take_frame(self, path: str) -> None:
        group = self.timeline.group(path)
        count = self._model.count(path) + 1
        if group is None or group.facts.last != count:
            self.lay_out()
            return
        frames = self._model.own_frames(path)
        slot = self.timeline.slot_of(frames[-1].index) if frames else 0
        # The result stands in the next column; where columns change their image, the one before.
        self._update_slots(group, slot - 1, slot + 1)

    def _update_slots(self, group: Group, first: int, last: int) -> None:
        """Paint some columns of a group again."""
        line = self.timeline
        left = line.x_of(first) - GAP
        width = (last - first + 1) * line.pitch + 2 * GAP
        top = group.top + HEADER - GAP
        box = QRect(left, top, width, group.bottom - top + GAP)
        self.viewport().update(box.translated(-self.offset()))

    def _follow_selection(self) -> None:
        path, index = self._model.selected
        frame = self._model.cursor.frame(path, index)
        self.setAccessibleDescription(caption(frame, self._model.count(path)) if index else "")
        before = self.offset()
        self._keep_in_sight(path, index)
        pair = self._model.cursor.pair
        old, self._outlined = self._outlined, (path, index, pair)
        group = self.timeline.group(path)
        alike = old is not None and old[0] == path and old[2] == pair is None
        if alike and group is not None and self.offset() == before:
            for place in (old[1], index):
                slot = self.timeline.slot_of(place)
                self._update_slots(group, slot - 1, slot + 1)
        else:
            self.viewport().update()

    def _keep_in_sight(self, path: str, index: int) -> None:
        group = self.timeline.group(path)
        if group is None or not index:
            return
        line, across = self.timeline, self.horizontalScrollBar()
        left = line.x_of(line.slot_of(index)) - line.gutter
        room = self.viewport().width() - line.gutter
        if left < across.value():
            across.setValue(left - line.pitch)
        elif left + line.pitch > across.value() + room:
            across.setValue(left + 2 * line.pitch - room)
        down = self.verticalScrollBar()
        if group.top < down.value():
            down.setValue(group.top)
        elif group.bottom > down.value() + self.viewport().height():
            down.setValue(min(group.top, group.bottom - self.viewport().height()))

    # Places.

    def offset(self) -> QPoint:
        """Return how far it is scrolled."""
        return QPoint(self.horizontalScrollBar().value(), self.verticalScrollBar().value())

    def place_at(self, point: QPoint) -> Place | None:
        """Return path, quantity and step of the frame under a point."""
        at = point + self.offset()
        row = self.timeline.row_at(at.y())
        slot = self.timeline.slot_at(at.x()) if point.x() >= self.timeline.gutter else None
        if row is None or slot is None:
            return None
        shown = self.shown_in(row[0].path, slot)
        return None if shown is None else (row[0].path, row[1], shown[1])

    def header_at(self, point: QPoint) -> Group | None:
        """Return the group whose header is under a point."""
        y = point.y() + self.offset().y()
        group = self.timeline.group_at(y)
        return group if group is not None and y < group.top + HEADER else None

    def frame_rect(self, path: str, show: str, index: int) -> QRect:
        """Return where a frame is drawn, in the viewport."""
        group = self.timeline.group(path)
        if group is None or show not in group.rows:
            return QRect()
        x = self.timeline.x_of(self.timeline.slot_of(index))
        return QRect(QPoint(x, group.rows[show]) - self.offset(), QSize(*self.timeline.cell))

    def header_rect(self, path: str) -> QRect:
        """Return where the header of a group is drawn, in the viewport."""
        group = self.timeline.group(path)
        top = 0 if group is None else group.top - self.offset().y()
        return QRect(0, top, self.viewport().width(), HEADER)

    def shown_picture(self, place: Place | None) -> ShownPicture | None:
        """Return a frame and its picture, once it is here."""
        if place is None:
            return None
        path, show, index = place
        frames, frame = self._model.frames(path), self._model.cursor.frame(path, index)
        if not frames:
            return None
        image = frame_image(frames[-1], "result") if frame is None else frame_image(frame, show)
        try:
            return ShownPicture(self._model.frame_picture(path, index, show), image)
        except LatentLabError:
            return None

    def edit_title(self, path: str) -> None:
        """Let a branch be named in its place; the empty name says what it changes."""
        group = self.timeline.group(path)
        if group is None or not path:
            return
        rename = partial(self._model.rename, path)
        edit = PlaceEdit(self._model.title(path), rename, self.viewport())
        edit.setAccessibleName("Name of the branch")
        edit.setPlaceholderText("Empty: what it changes")
        edit.open(self.header_rect(path).adjusted(self.timeline.gutter, -2, -4, 2))

    # Painting.

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint what is in sight."""
        painter = QPainter(self.viewport())
        self.painter.paint(painter, event.rect())

    def resizeEvent(self, event) -> None:
        """Place everything anew."""
        super().resizeEvent(event)
        self.lay_out()

    def scrollContentsBy(self, _dx: int, _dy: int) -> None:
        """The captions on the left do not scroll: paint all."""
        self.viewport().update()

    def changeEvent(self, event: QEvent) -> None:
        """Another palette or font."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self.painter.rows.clear()
            self.lay_out()

    def sizeHint(self) -> QSize:
        """A few rows."""
        return QSize(420, 2 * HEADER + 2 * self._cell()[1])

    # Mouse.

    def _tell(self) -> None:
        if self._at is not None:
            path, show, index = self._at
            self.show_chosen.emit(show)
            self._model.select(path, index)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose a frame or a branch, or fold a branch by its triangle."""
        point = event.position().toPoint()
        group = self.header_at(point)
        if group is not None and event.button() == Qt.MouseButton.LeftButton:
            if point.x() < self.timeline.gutter:
                self._model.fold(group.path, not group.facts.folded)
            else:
                cursor = self._model.cursor
                self._model.select(group.path, cursor.at_time(group.path, cursor.time))
            return
        super().mousePressEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Put a frame on the canvas."""
        if self.header_at(event.position().toPoint()) is None:
            super().mouseDoubleClickEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu of a frame or a branch."""
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            path, index = self._model.selected
            at = self.frame_rect(path, self.show_now, index).center()
            self.menu_asked.emit(path, self.show_now, index, self.viewport().mapToGlobal(at))
            return
        place, group = self.place_at(event.pos()), self.header_at(event.pos())
        if place is not None:
            self._at = place
            self._tell()
            self.menu_asked.emit(*place, event.globalPos())
        elif group is not None:
            self.menu_asked.emit(group.path, "", 0, event.globalPos())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave the keys to the page: they step, where a scroll area would scroll."""
        event.ignore()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll; with Ctrl the frames become larger; where nothing scrolls down, step."""
        modifiers = event.modifiers()
        if modifiers & Qt.KeyboardModifier.ControlModifier:
            steps = self._wheel.take(event)
            if steps:
                self.zoom(steps)
        elif modifiers & Qt.KeyboardModifier.ShiftModifier or event.angleDelta().x():
            delta = event.angleDelta().x() or event.angleDelta().y()
            bar = self.horizontalScrollBar()
            bar.setValue(bar.value() - round(delta * self.timeline.pitch / 60))
        elif self.verticalScrollBar().maximum() == 0:
            self._model.cursor.step_by(-self._wheel.take(event))
        else:
            super().wheelEvent(event)
        event.accept()

    def viewportEvent(self, event: QEvent) -> bool:
        """Say what is under the pointer."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.tip_at(event.pos()), self.viewport())
            return True
        return super().viewportEvent(event)

    def tip_at(self, point: QPoint) -> str:
        """Return what a tooltip says at a point."""
        place, group = self.place_at(point), self.header_at(point)
        if place is not None:
            path, show, index = place
            frame = self._model.cursor.frame(path, index)
            what = "" if frame is None else f"{QUANTITIES[show]}, "
            return what + caption(frame, self._model.count(path))
        if group is not None:
            failure = self._model.failure(group.path)
            return self._model.title(group.path) if failure is None else failure.message
        return ""
