"""The tray: latents that are kept, as thumbnails to drag, name, group and remove."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QItemSelectionModel, QMimeData, QPoint, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QGuiApplication,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
    QWidgetAction,
)

from latentlab.core.document import Document, TrayItem
from latentlab.ui import edits
from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.image_mime import Dropped, has_picture, read_pictures
from latentlab.ui.widgets.picture_menu import PictureMenu, ShownPicture, show_menu, start_drag
from latentlab.ui.widgets.thumbnail import TILE, ThumbnailDelegate
from latentlab.ui.widgets.tray_model import ITEM_ROLE, TrayModel

_EMPTY = "The tray is empty. Press K to keep the image on the canvas, or drag one here."
_MOST_ROWS = 64


def moved_together(document: Document, ids: tuple[str, ...], index: int) -> Document:
    """Return the document with some tray items, in their order, in front of place ``index``."""
    moving = [item for item in document.tray if item.id in ids]
    before = [item for item in document.tray[:index] if item.id not in ids]
    after = [item for item in document.tray[index:] if item.id not in ids]
    return document.model_copy(update={"tray": (*before, *moving, *after)})


class TrayView(QListView):
    """One row of tiles that scrolls sideways.

    Signals:
        dropped: mime data and the place in the row.
        remove_asked, move_asked: keys on the selection; the move is -1 or +1.
        menu_asked: global position.
        drag_asked: the selection is dragged away.
    """

    dropped = Signal(object, int)
    remove_asked = Signal()
    move_asked = Signal(int)
    menu_asked = Signal(QPoint)
    drag_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Tray")
        self.setAccessibleDescription(_EMPTY)
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(False)
        self.setUniformItemSizes(True)
        self.setItemDelegate(ThumbnailDelegate(self))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setDragEnabled(True)
        self.setAcceptDrops(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragDrop)
        self.setDropIndicatorShown(False)
        self._mark: int | None = None
        # One surface with the panel: no box in a box.
        self.viewport().setAutoFillBackground(False)

    def place_at(self, position: QPoint) -> int:
        """Return the place in the row where something dropped at a position goes."""
        x = position.x() + self.horizontalScrollBar().value()
        count = self.model().rowCount() if self.model() else 0
        return min(max(0, round(x / TILE.width())), count)

    def startDrag(self, _actions: Qt.DropAction) -> None:
        """Let the panel drag: it knows the pictures."""
        self.drag_asked.emit()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take pictures of ours."""
        if has_picture(event.mimeData()):
            event.setDropAction(self._action(event))
            event.accept()
        else:
            event.ignore()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        """Show where the drop would go."""
        if has_picture(event.mimeData()):
            self._set_mark(self.place_at(event.position().toPoint()))
            event.setDropAction(self._action(event))
            event.accept()
        else:
            event.ignore()

    def dragLeaveEvent(self, _event: QDragLeaveEvent) -> None:
        """Forget the place."""
        self._set_mark(None)

    def dropEvent(self, event: QDropEvent) -> None:
        """Hand the drop to the panel."""
        self._set_mark(None)
        if has_picture(event.mimeData()):
            event.setDropAction(self._action(event))
            event.accept()
            self.dropped.emit(event.mimeData(), self.place_at(event.position().toPoint()))
        else:
            event.ignore()

    def _action(self, event: QDropEvent) -> Qt.DropAction:
        own = event.source() is self
        return Qt.DropAction.MoveAction if own else Qt.DropAction.CopyAction

    def _set_mark(self, place: int | None) -> None:
        if place != self._mark:
            self._mark = place
            self.viewport().update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Delete removes; Alt+Left and Alt+Right move; Enter activates."""
        key = event.key()
        turned = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
        if key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.remove_asked.emit()
        elif turned and key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self.move_asked.emit(1 if key == Qt.Key.Key_Right else -1)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not self._editing():
            if self.currentIndex().isValid():
                self.doubleClicked.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)

    def _editing(self) -> bool:
        return self.state() == QAbstractItemView.State.EditingState

    def event(self, event: QEvent) -> bool:
        """Take Delete and the moving keys before a shortcut of the window does."""
        if event.type() == QEvent.Type.ShortcutOverride and event.key() in (
            Qt.Key.Key_Delete,
            Qt.Key.Key_Backspace,
        ):
            event.accept()
            return True
        return super().event(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu of the tile."""
        position = event.globalPos()
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            position = self.viewport().mapToGlobal(self.visualRect(self.currentIndex()).center())
        if self.selectionModel() is not None and self.selectionModel().hasSelection():
            self.menu_asked.emit(position)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll sideways."""
        delta = event.angleDelta()
        bar = self.horizontalScrollBar()
        bar.setValue(bar.value() - (delta.y() or delta.x()) // 2)
        event.accept()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the tiles, the place of a drop, or what the tray is for."""
        super().paintEvent(event)
        painter = QPainter(self.viewport())
        if self.model() is None or self.model().rowCount() == 0:
            painter.setPen(faint(self.palette(), 0.8))
            area = self.viewport().rect().adjusted(16, 8, -16, -8)
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(area, flags, _EMPTY)
        if self._mark is not None:
            x = self._mark * TILE.width() - self.horizontalScrollBar().value()
            accent = self.palette().color(QPalette.ColorRole.Highlight)
            painter.fillRect(max(0, x - 1), 4, 3, TILE.height() - 8, accent)


class TrayPanel(QWidget):
    """The tray with its title and the button that keeps.

    Args:
        controller: of the window.
    """

    def __init__(self, controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Tray")
        self.setObjectName("tray")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._controller = controller
        self.view = TrayView()
        self.model = TrayModel(controller, self)
        self.view.setModel(self.model)
        self.keep_button = QToolButton()
        self.keep_button.setText("+ Keep")
        self.keep_button.setAccessibleName("Keep the image on the canvas")
        self.keep_button.setToolTip("Keep the image on the canvas (K)")
        self.keep_button.clicked.connect(lambda: controller.keep())
        title = QLabel("Tray")
        font = title.font()
        font.setBold(True)
        title.setFont(font)
        side = QVBoxLayout()
        side.addWidget(title)
        side.addWidget(self.keep_button)
        side.addStretch()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 4, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(side)
        layout.addWidget(self.view, 1)
        controller.selected_in_tray = lambda: [item.id for item in self.selected()]
        self.view.horizontalScrollBar().rangeChanged.connect(self._fit_height)
        self._fit_height()
        self._connect()
        self._follow(controller.document)

    def _fit_height(self, *_: object) -> None:
        """As high as the tiles, and the scroll bar when there is one."""
        bar = self.view.horizontalScrollBar()
        self.setFixedHeight(TILE.height() + 8 + (bar.sizeHint().height() if bar.maximum() else 0))

    def _connect(self) -> None:
        self._controller.document_changed.connect(self._follow)
        self.view.doubleClicked.connect(lambda index: self._to_canvas(index.data(ITEM_ROLE)))
        self.view.dropped.connect(self.take)
        self.view.remove_asked.connect(self.remove_selected)
        self.view.move_asked.connect(self.move_selected)
        self.view.menu_asked.connect(lambda at: show_menu(self.menu_for_selection(), at))
        self.view.drag_asked.connect(self._drag)

    def _follow(self, document: Document) -> None:
        """Take the document; what was selected stays so."""
        chosen = {item.id for item in self.selected()}
        current = self.view.currentIndex().data(ITEM_ROLE)
        if self.model.follow(document):
            self.select(chosen, "" if current is None else current.id)
        self.keep_button.setEnabled(document.canvas is not None)
        count = len(document.tray)
        said = f"{count} kept picture{'s' if count != 1 else ''}" if count else _EMPTY
        self.view.setAccessibleDescription(said)

    # The selection.

    def selected(self) -> list[TrayItem]:
        """Return the selected items, in the order of the tray."""
        rows = sorted(index.row() for index in self.view.selectionModel().selectedIndexes())
        return [self.model.items[row] for row in rows if row < len(self.model.items)]

    def select(self, ids: set[str], current: str = "") -> None:
        """Select items by their ids."""
        selection = self.view.selectionModel()
        keep = QItemSelectionModel.SelectionFlag.NoUpdate
        for row, item in enumerate(self.model.items):
            index = self.model.index(row)
            if item.id in ids:
                selection.select(index, QItemSelectionModel.SelectionFlag.Select)
            if item.id == current:
                selection.setCurrentIndex(index, keep)

    def _shown(self, item: TrayItem) -> ShownPicture:
        image = self._controller.thumbnail(item.picture)
        return ShownPicture(item.picture, image, "tray", item.id)

    # What a person does.

    def _to_canvas(self, item: TrayItem | None) -> None:
        if item is not None:
            self._controller.show_picture(item.picture, "To canvas")

    def remove_selected(self) -> None:
        """Take the selected pictures out of the tray; undo brings them back."""
        chosen = self.selected()
        if not chosen:
            return
        row = self.view.currentIndex().row()
        self._controller.remove_from_tray([item.id for item in chosen])
        left = self.model.rowCount()
        if left:
            index = self.model.index(min(max(0, row), left - 1))
            flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
            self.view.selectionModel().setCurrentIndex(index, flag)

    def move_selected(self, step: int) -> None:
        """Move the selected pictures one place to the left (-1) or right (+1)."""
        chosen = self.selected()
        if not chosen:
            return
        ids = tuple(item.id for item in chosen)
        rows = [row for row, item in enumerate(self.model.items) if item.id in ids]
        place = rows[0] - 1 if step < 0 else rows[-1] + 2
        if 0 <= place <= len(self.model.items):
            self._move(ids, place)

    def _move(self, ids: tuple[str, ...], place: int) -> None:
        document = moved_together(self._controller.document, ids, place)
        self._controller.apply(document, "Move in tray")

    def _drag(self) -> None:
        chosen = self.selected()
        if chosen:
            start_drag(self.view, [self._shown(item) for item in chosen])

    def take(self, data: QMimeData, place: int) -> None:
        """Keep what was dropped, in front of place ``place``; move what was here already."""
        with self._controller.reporting():
            dropped = read_pictures(data, self._controller.store)
            here = {item.id for item in self.model.items}
            if dropped.source == "tray" and dropped.items and set(dropped.items) <= here:
                self._move(dropped.items, place)
            else:
                self._keep(dropped, place)

    def _keep(self, dropped: Dropped, place: int) -> None:
        store = self._controller.store
        document = self._controller.document
        count = len(document.tray)
        for picture in dropped.pictures:
            for row in range(min(edits.batch_of(picture, store), _MOST_ROWS)):
                document = edits.kept(document, edits.row_picture(picture, row, store))
        new = tuple(item.id for item in document.tray[count:])
        self._controller.apply(moved_together(document, new, place), "Keep in tray")

    # The menu.

    def menu_for_selection(self) -> QMenu:
        """Return the menu of the selected pictures: the one of every image, and the tray's own."""
        chosen = self.selected()
        menu = PictureMenu(self._controller, self._shown(chosen[0]), self)
        menu.addSeparator()
        rename = menu.addAction("Re&name\tF2")
        rename.triggered.connect(lambda: self.view.edit(self.view.currentIndex()))
        menu.addMenu(self._group_menu(menu, [item.id for item in chosen]))
        paste = menu.addAction("&Paste slider values\tCtrl+Alt+Shift+V")
        paste.triggered.connect(
            lambda: self._controller.paste_edits_in_tray(QGuiApplication.clipboard().text())
        )
        count = f" {len(chosen)}" if len(chosen) > 1 else ""
        menu.addAction(f"&Remove{count}\tDel").triggered.connect(self.remove_selected)
        return menu

    def _group_menu(self, parent: QMenu, ids: list[str]) -> QMenu:
        menu = QMenu("&Group", parent)
        groups = sorted({item.group for item in self.model.items if item.group})
        for group in groups:
            menu.addAction(group.replace("&", "&&")).triggered.connect(
                lambda _=False, group=group: self._controller.group_in_tray(ids, group)
            )
        name = QLineEdit(placeholderText="New group, then Enter")
        name.setAccessibleName("Name of a new group")
        name.setMaxLength(40)

        def create() -> None:
            if name.text().strip():
                self._controller.group_in_tray(ids, name.text().strip())
                parent.close()

        name.returnPressed.connect(create)
        action = QWidgetAction(menu)
        action.setDefaultWidget(name)
        menu.addAction(action)
        if any(item.group for item in self.selected()):
            menu.addSeparator()
            menu.addAction("No group").triggered.connect(
                lambda: self._controller.group_in_tray(ids, "")
            )
        return menu
