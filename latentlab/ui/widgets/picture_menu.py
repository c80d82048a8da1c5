"""One language for every image that stands for a latent: its menu, its drag, its copy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QDrag, QGuiApplication, QPixmap
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from latentlab.core.document import Picture
from latentlab.ui.edits import PARTS, missing_capabilities
from latentlab.ui.widgets.image_mime import Source, picture_mime
from latentlab.ui.widgets.images import Images, owned_qimage
from latentlab.ui.widgets.picture_details import PictureDetails

_DRAG_SIZE = 96


@dataclass(frozen=True, eq=False)
class ShownPicture:
    """A picture of one image as it is shown somewhere.

    Attributes:
        picture: of one image.
        image: uint8 ``(H, W, C)``, when it is there already.
        source: where it is shown.
        item: id in the tray, if it is shown there.
    """

    picture: Picture
    image: Images | None = None
    source: Source = "other"
    item: str = ""


def start_drag(widget: QWidget, shown: list[ShownPicture]) -> Qt.DropAction:
    """Drag pictures away from a widget; return what became of them."""
    first = shown[0]
    data = picture_mime(
        [one.picture for one in shown],
        first.image,
        source=first.source,
        items=[one.item for one in shown if one.item],
    )
    drag = QDrag(widget)
    drag.setMimeData(data)
    if first.image is not None:
        pixmap = QPixmap.fromImage(owned_qimage(first.image))
        small = pixmap.scaled(_DRAG_SIZE, _DRAG_SIZE, Qt.AspectRatioMode.KeepAspectRatio)
        drag.setPixmap(small)
        drag.setHotSpot(QPoint(small.width() // 2, small.height() // 2))
    return drag.exec(Qt.DropAction.CopyAction | Qt.DropAction.MoveAction, Qt.DropAction.CopyAction)


def copy_image(shown: ShownPicture) -> bool:
    """Put an image on the clipboard, for other programs and for this one; false without one."""
    if shown.image is None:
        return False
    data = picture_mime([shown.picture], shown.image, source=shown.source)
    QGuiApplication.clipboard().setMimeData(data)
    return True


class PictureMenu(QMenu):
    """The menu of one image, the same everywhere.

    Args:
        controller: of the window.
        shown: the image.
        parent: the widget that shows it.
    """

    def __init__(self, controller, shown: ShownPicture, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._shown = shown
        self.setToolTipsVisible(True)
        canvas = self._item("&To canvas", self._to_canvas, "Double-click")
        canvas.setEnabled(controller.document.canvas != shown.picture)
        if shown.source != "tray":
            self._item("&Keep in tray", self._keep, "K")
        self._add_uses()
        self.addSeparator()
        has_image = shown.image is not None
        self._item("&Copy image", lambda: copy_image(shown)).setEnabled(has_image)
        self._item("&Save image…", self._save)
        self._item("Copy as co&mmand", self._copy_command)
        self.addSeparator()
        self._item("&Details", self._details)

    def _item(self, text: str, act: Callable[[], object], keys: str = ""):
        action = self.addAction(f"{text}\t{keys}" if keys else text)
        action.triggered.connect(lambda: act())
        return action

    def _add_uses(self) -> None:
        """Offer the places of panels that take single pictures of this model."""
        menu = self.addMenu("&Use as")
        entry = self._controller.model_entry
        menu.setEnabled(entry is not None and entry.id == self._shown.picture.model)
        for panel, where in (("directions", "of A − B + C"), ("manifold", "of a plane of the map")):
            for slot in "ABC":
                menu.addAction(f"{slot} {where}").triggered.connect(
                    lambda _=False, panel=panel, slot=slot: self._use(panel, slot)
                )
            menu.addSeparator()
        if not missing_capabilities((PARTS,), self._controller.model):
            for slot in ("row", "column"):
                menu.addAction(f"{slot.capitalize()} of the switch").triggered.connect(
                    lambda _=False, slot=slot: self._use("switch", slot)
                )

    def _use(self, panel: str, slot: str) -> None:
        # The panel first: one that was not made yet hears nothing.
        self._controller.panel_asked.emit(panel)
        self._controller.picture_used.emit(panel, slot, self._shown.picture)

    def _to_canvas(self) -> None:
        self._controller.show_picture(self._shown.picture, "To canvas")

    def _keep(self) -> None:
        self._controller.keep_picture(self._shown.picture)

    def _save(self) -> None:
        name = self._shown.picture.name or "face"
        path, _ = QFileDialog.getSaveFileName(
            self.parentWidget(), "Save image", f"{name}.png", "PNG image (*.png)"
        )
        if path:
            path = path if path.lower().endswith(".png") else f"{path}.png"
            self._controller.export_png(path, self._shown.picture)

    def _copy_command(self) -> None:
        command = self._controller.copy_command(self._shown.picture)
        if command:
            QGuiApplication.clipboard().setText(command)
            self._controller.message.emit("The command is on the clipboard", command)

    def _details(self) -> None:
        PictureDetails(self._controller, self._shown.picture, self.parentWidget()).show()


def show_menu(menu: QMenu, position: QPoint) -> None:
    """Open a menu that goes away by itself."""
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    menu.popup(position)
