"""A place for one picture of the tray: dropped, or chosen from a menu."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QDragEnterEvent,
    QDropEvent,
    QFocusEvent,
    QIcon,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
)
from PySide6.QtWidgets import QApplication, QMenu, QSizePolicy, QWidget

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.ui.edits import row_picture
from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.image_mime import has_picture, read_pictures
from latentlab.ui.widgets.images import owned_qimage
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.picture_menu import PictureMenu, ShownPicture, show_menu, start_drag
from latentlab.ui.widgets.quiet import own_key
from latentlab.ui.widgets.thumbnail import paint_image
from latentlab.ui.widgets.tray_model import tray_name

_REMOVE = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_MOST_ITEMS = 40


class PictureTile(QWidget):
    """One picture with a caption, which can be looked at, kept and dragged away.

    Args:
        controller: of the window.
        title: what it is in the formula.
        named: whether the picture's name stands beside the title.
    """

    def __init__(
        self, controller: Any, title: str, named: bool = True, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._title = title
        self._named = named
        self._picture: Picture | None = None
        controller.hold_pictures(self._held)
        self._side = 64
        self._pressed: QPoint | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        controller.thumbnail_rendered.connect(self._arrived)
        self.set_side(64)
        self.set_picture(None)

    @property
    def picture(self) -> Picture | None:
        """What it shows."""
        return self._picture

    def _held(self) -> tuple[Picture, ...]:
        return () if self._picture is None else (self._picture,)

    def _arrived(self, *_: object) -> None:
        self.update()

    def set_picture(self, picture: Picture | None) -> None:
        """Show a picture of one image."""
        self._picture = picture
        name = "empty" if picture is None else tray_name(picture) if self._named else "here"
        self.setAccessibleName(f"{self._title}: {name}")
        self.setToolTip(f"{self._title}: {name}")
        self.update()

    def set_side(self, side: int) -> None:
        """Take another size of the image, in logical pixels."""
        self._side = side
        self.setFixedSize(side + 2, side + 4 + self.fontMetrics().height())
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        """The image and its caption."""
        return QSize(self._side + 2, self._side + 4 + self.fontMetrics().height())

    def image_rect(self) -> QRect:
        """Return where the image is drawn."""
        return QRect(1, 1, self._side, self._side)

    def shown(self) -> ShownPicture | None:
        """Return the picture and its image; ``None`` for an empty place."""
        if self._picture is None:
            return None
        return ShownPicture(self._picture, self._controller.thumbnail(self._picture))

    # Painting.

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the image, or an empty place with its letter."""
        painter = QPainter(self)
        box, shown = self.image_rect(), self.shown()
        if shown is None or shown.image is None:
            painter.setPen(QPen(faint(self.palette(), 0.5), 1, Qt.PenStyle.DashLine))
            painter.drawRoundedRect(box.adjusted(0, 0, -1, -1), 4, 4)
            painter.setPen(faint(self.palette(), 0.85))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, "…" if shown else self._title)
        else:
            paint_image(painter, box, shown.image, self.devicePixelRatioF())
        if self.hasFocus():
            painter.setPen(QPen(self.palette().highlight().color(), 2))
            painter.drawRect(box)
        self._paint_caption(painter, box)

    def _paint_caption(self, painter: QPainter, box: QRect) -> None:
        line = QRect(0, box.bottom() + 2, self.width(), self.height() - box.bottom() - 2)
        painter.setFont(small_font(self.font()))
        painter.setPen(faint(self.palette(), 0.85))
        known = self._named and self._picture is not None
        name = f" {tray_name(self._picture)}" if known else ""
        text = painter.fontMetrics().elidedText(
            f"{self._title}{name}", Qt.TextElideMode.ElideRight, line.width()
        )
        painter.drawText(line, Qt.AlignmentFlag.AlignCenter, text)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show where the keys go."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Keys go elsewhere."""
        super().focusOutEvent(event)
        self.update()

    # Mouse and keys.

    def _to_canvas(self) -> None:
        if self._picture is not None:
            self._controller.show_picture(self._picture, "To canvas")

    def event(self, event: QEvent) -> bool:
        """Take own keys before a shortcut of the window."""
        if own_key(event, (*_REMOVE, Qt.Key.Key_K)):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter puts it on the canvas, K keeps it."""
        if event.key() in _ENTER and self._picture is not None:
            self._to_canvas()
        elif event.key() == Qt.Key.Key_K and self._picture is not None:
            self._controller.keep_picture(self._picture)
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A drag may begin."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed = event.position().toPoint()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag the picture away."""
        if self._pressed is None or not event.buttons() & Qt.MouseButton.LeftButton:
            return
        far = (event.position().toPoint() - self._pressed).manhattanLength()
        shown = self.shown()
        if far >= QApplication.startDragDistance() and shown is not None:
            self._pressed = None
            start_drag(self, [shown])

    def mouseReleaseEvent(self, _event: QMouseEvent) -> None:
        """No drag began."""
        self._pressed = None

    def mouseDoubleClickEvent(self, _event: QMouseEvent) -> None:
        """Put the picture on the canvas."""
        self._to_canvas()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Show the menu of the picture."""
        shown = self.shown()
        if shown is not None:
            show_menu(PictureMenu(self._controller, shown, self), event.globalPos())


class PictureWell(PictureTile):
    """A tile that holds a picture of the tray; one that is not kept yet is kept when it comes.

    A click or Enter on the empty place opens the menu of pictures, Delete empties it.

    Signals:
        changed: another picture, or none.
        refused: a sentence that says why what was dropped cannot be taken.
    """

    changed = Signal()
    refused = Signal(str)

    def __init__(self, controller: Any, title: str, parent: QWidget | None = None) -> None:
        super().__init__(controller, title, parent=parent)
        self._item = ""
        self.setAcceptDrops(True)
        controller.document_changed.connect(self._follow)

    @property
    def item(self) -> str:
        """Id of the tray item; empty without one."""
        return self._item

    def set_item(self, item: str) -> None:
        """Hold a picture of the tray."""
        if item != self._item:
            self._item = item
            self._follow()
            self.changed.emit()

    def _follow(self, *_: object) -> None:
        tray = self._controller.document.tray
        found = next((one.picture for one in tray if one.id == self._item), None)
        if found != self.picture:
            self.set_picture(found)
        if found is None and self._item:
            self._item = ""
            self.changed.emit()

    def menu(self) -> QMenu:
        """Return the pictures that it can hold."""
        menu = QMenu(self)
        controller = self._controller
        canvas = menu.addAction("The image on the &canvas")
        canvas.setEnabled(controller.document.canvas is not None)
        canvas.triggered.connect(self._take_canvas)
        menu.addSeparator()
        for item in controller.document.tray[:_MOST_ITEMS]:
            action = menu.addAction(tray_name(item.picture).replace("&", "&&"))
            image = controller.thumbnail(item.picture)
            if image is not None:
                action.setIcon(QIcon(QPixmap.fromImage(owned_qimage(image))))
            action.triggered.connect(lambda _=False, key=item.id: self.set_item(key))
        if not controller.document.tray:
            menu.addAction("The tray is empty: keep images with K").setEnabled(False)
        if self._item:
            menu.addSeparator()
            menu.addAction("&Empty this place\tDel").triggered.connect(lambda: self.set_item(""))
        return menu

    def _open(self) -> None:
        show_menu(self.menu(), self.mapToGlobal(QPoint(0, self.height())))

    def _take_canvas(self) -> None:
        with self._controller.reporting():
            self.take(self._controller.row_picture(self._controller.selection or 0))

    def take(self, picture: Picture) -> None:
        """Hold a picture; it is kept in the tray, if it is not there yet."""
        tray = self._controller.document.tray
        known = [item.id for item in tray if item.picture == picture]
        if not known:
            self._controller.keep_picture(picture)
            known = [item.id for item in self._controller.document.tray[-1:]]
        self.set_item(known[0])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Fill an empty place, or empty it."""
        if event.key() in _REMOVE:
            self.set_item("")
        elif event.key() in (*_ENTER, Qt.Key.Key_Space) and self.picture is None:
            self._open()
        else:
            super().keyPressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click on an empty place opens the menu."""
        clicked = self._pressed is not None and self.rect().contains(event.position().toPoint())
        super().mouseReleaseEvent(event)
        if clicked and self.picture is None:
            self._open()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Show what it can hold, below what can be done with the picture."""
        shown = self.shown()
        if shown is None:
            self._open()
            return
        menu = PictureMenu(self._controller, shown, self)
        menu.addSeparator()
        other = menu.addMenu(self.menu())
        other.setText("C&hange")
        show_menu(menu, event.globalPos())

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take pictures of ours."""
        if has_picture(event.mimeData()):
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()

    def dropEvent(self, event: QDropEvent) -> None:
        """Hold the first picture that was dropped."""
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        try:
            dropped = read_pictures(event.mimeData(), self._controller.store)
            here = {item.id for item in self._controller.document.tray}
            if dropped.items and dropped.items[0] in here:
                self.set_item(dropped.items[0])
            else:
                self.take(row_picture(dropped.pictures[0], 0, self._controller.store))
        except LatentLabError as error:
            self.refused.emit(error.message)
