"""The canvas: the current image or grid, before and after, photographs, and what is sampled."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from PySide6.QtCore import QMimeData, QPoint, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragMoveEvent, QDropEvent, QGuiApplication
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.document import Document, Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.requests import PreviewResult
from latentlab.ui.edits import batch_of, picture_key, without_edits
from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.image_mime import (
    dropped_files,
    dropped_image,
    has_picture,
    read_pictures,
)
from latentlab.ui.widgets.images import Images
from latentlab.ui.widgets.notes import EmptyState
from latentlab.ui.widgets.photo_view import PhotoView
from latentlab.ui.widgets.picture_menu import (
    PictureMenu,
    ShownPicture,
    copy_image,
    show_menu,
    start_drag,
)
from latentlab.ui.widgets.sampling_strip import SamplingStrip

BEFORE = "before"
_KEPT_BEFORE = 8


def picture_title(picture: Picture, count: int) -> str:
    """Return what the canvas shows, in a few words."""
    if picture.name:
        text = picture.name
    elif picture.photo_path:
        text = Path(picture.photo_path).name
    elif picture.seeds:
        first, last = picture.seeds[0], picture.seeds[-1]
        text = f"Seed {first}" if count == 1 else f"{count} images, seeds {first} to {last}"
    else:
        text = "Latents" if count == 1 else f"{count} latents"
    if picture.edits:
        text += f"  ·  {len(picture.edits)} edit{'s' if len(picture.edits) > 1 else ''}"
    return text


class CanvasPanel(QWidget):
    """Shows what the document's canvas says.

    Args:
        controller: of the window.

    Signals:
        open_requested: the button of the empty canvas: choose a file.
    """

    open_requested = Signal()

    def __init__(self, controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Canvas")
        self.setAcceptDrops(True)
        self._controller = controller
        self._grid: Picture | None = None
        self._latest: Images | None = None
        self._latest_rough = False
        self._failed: Picture | None = None
        self._before_on = False
        self._before_asked: dict[int, str] = {}
        self._before_known: OrderedDict[str, Images] = OrderedDict()
        self.view = PhotoView()
        self.view.setAccessibleName("Canvas")
        self.view.set_smooth(controller.settings.smoothing)
        self.strip = SamplingStrip(controller)
        self._empty = EmptyState(
            "Nothing on the canvas yet",
            "Choose a model in the library, or drop a model, a photograph, a session or latents "
            "here. Images of the model then appear here to look at, keep and edit.",
            "&Open a file…",
            self.open_requested.emit,
        )
        self._build()
        self._connect()
        self._follow(controller.document)

    def _build(self) -> None:
        self._back = self._button("◀ Grid", "Back to the grid (Esc)", self.back_to_grid)
        self._title = ElidedLabel()
        self._zoom = QLabel()
        self._zoom.setToolTip("Device pixels for one image pixel (Ctrl+wheel, +, -)")
        self._fit = self._button("Fit", "Show everything as large as it fits (0)", self.view.fit)
        self._smooth = self._button(
            "Smooth", "Smooth enlarged images; otherwise every pixel is a square", None
        )
        self._smooth.setCheckable(True)
        self._smooth.setChecked(self._controller.settings.smoothing)
        self._smooth.toggled.connect(self.set_smooth)
        self._head = QWidget()
        head = QHBoxLayout(self._head)
        head.setContentsMargins(8, 4, 8, 4)
        head.setSpacing(8)
        head.addWidget(self._back)
        head.addWidget(self._title, 1)
        for widget in (self._zoom, self._fit, self._smooth):
            head.addWidget(widget)
        pages = QWidget()
        self._stack = QStackedLayout(pages)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self.view)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._head)
        layout.addWidget(pages, 1)
        layout.addWidget(self.strip)

    def _button(self, text: str, tip: str, act) -> QToolButton:
        button = QToolButton()
        button.setText(text)
        button.setToolTip(tip)
        button.setAccessibleName(text)
        button.setAutoRaise(True)
        if act is not None:
            button.clicked.connect(lambda: act())
        return button

    def _connect(self) -> None:
        controller, view = self._controller, self.view
        controller.document_changed.connect(self._follow)
        controller.canvas_rendered.connect(self._take)
        controller.preview_rendered.connect(self._take_before)
        controller.model_reloaded.connect(self._take_weights)
        controller.selection_changed.connect(view.select)
        view.selected.connect(controller.select)
        view.activated.connect(self._activate)
        view.back_requested.connect(self.back_to_grid)
        view.before_held.connect(controller.hold_before)
        controller.before_held.connect(self.show_before)
        view.menu_requested.connect(self._open_menu)
        view.drag_started.connect(self._drag)
        view.scale_changed.connect(self._show_scale)

    # What is shown.

    def _batch(self, picture: Picture) -> int:
        try:
            return batch_of(picture, self._controller.store)
        except LatentLabError:
            # The error comes back from the worker's side and stands where the image would be.
            return 1

    def _follow(self, document: Document) -> None:
        """Take the document: the images come later."""
        picture = document.canvas
        self._head.setVisible(picture is not None)
        self._stack.setCurrentIndex(0 if picture is None else 1)
        if picture is None:
            self._latest = None
            self.view.show_plain(None)
            return
        count = self._batch(picture)
        if count > 1:
            self._grid = picture
        self.view.can_go_back = self._can_go_back(picture, count)
        self._back.setVisible(self.view.can_go_back)
        self._title.setText(picture_title(picture, count))
        if picture not in (self._controller.rendered_picture, self._failed):
            self.view.set_busy(True)

    def _can_go_back(self, picture: Picture, count: int) -> bool:
        return count == 1 and self._grid is not None and self._grid.model == picture.model

    def _take(self, result: PreviewResult) -> None:
        """Show the images, or the reason why there are none."""
        self._failed = None
        if result.failure is not None:
            self._failed = self._controller.document.canvas
            self.view.show_failure(result.failure)
            return
        picture = self._controller.rendered_picture
        self._latest, self._latest_rough = result.images, not result.final
        plain = picture is not None and not picture.edits
        if plain and result.final and result.images is not None:
            self._remember_before(picture_key(picture), result.images)
        if not self._before_on:
            self._show(result.images, picture, rough=not result.final)
        if picture != self._controller.document.canvas:
            self.view.set_busy(True)

    def _show(self, images: Images | None, picture: Picture | None, *, rough: bool = False) -> None:
        """Show images; ``rough``: better ones of the same picture are on their way."""
        self.view.rough = rough
        photo = self._controller.photo_of(picture)
        if (
            images is not None
            and photo is not None
            and len(images) == 1
            and photo.shape[:2] == images.shape[1:3]
        ):
            edited = bool(picture is not None and picture.edits) and not self._before_on
            self.view.select(None)
            self.view.show_photo(photo, images[0], edited=edited)
        else:
            self.view.show_plain(images)
            self.view.select(self._controller.selection)

    def _show_scale(self, scale: float) -> None:
        text = f"{scale:.3g}×" if scale >= 1 else f"1/{1 / scale:.3g}×"
        self._zoom.setText(text)

    def set_smooth(self, smooth: bool) -> None:
        """Smooth enlarged images, or show every pixel as a square; kept in the settings."""
        self._controller.settings.smoothing = smooth
        self._smooth.setChecked(smooth)
        self.view.set_smooth(smooth)

    # Before and after.

    def show_before(self, before: bool) -> None:
        """Show the image without its edits while ``before`` holds."""
        picture = self._controller.document.canvas
        if before and (picture is None or not picture.edits):
            return
        self._before_on = before
        if picture is None:
            return
        title = picture_title(picture, self._batch(picture))
        self._title.setText("Before: without its edits" if before else title)
        if not before:
            if self.view.failure is None:
                rendered = self._controller.rendered_picture
                self._show(self._latest, rendered, rough=self._latest_rough)
            return
        plain = without_edits(picture, None)
        known = self._before_known.get(picture_key(plain))
        if known is not None:
            self._show(known, plain)
        else:
            self.view.set_busy(True)
            self._ask_before()

    def _ask_before(self) -> None:
        picture = self._controller.document.canvas
        if picture is None:
            return
        plain = without_edits(picture, None)
        # The answer may come before the call returns: then it has no sequence yet.
        self._before_asked = {0: picture_key(plain)}
        sequence = self._controller.request_preview(BEFORE, plain)
        if 0 in self._before_asked:
            self._before_asked = {sequence: self._before_asked[0]}

    def _take_weights(self, *_: object) -> None:
        """What was decoded with other weights counts no more; it stays until the new one comes."""
        self._before_known.clear()
        if self._before_on:
            self._ask_before()

    def _remember_before(self, key: str, images: Images) -> None:
        self._before_known[key] = images
        self._before_known.move_to_end(key)
        while len(self._before_known) > _KEPT_BEFORE:
            self._before_known.popitem(last=False)

    def _take_before(self, result: PreviewResult) -> None:
        if result.channel != BEFORE:
            return
        sequence = result.sequence if result.sequence in self._before_asked else 0
        rough = not result.final and result.failure is None
        key = None if rough else self._before_asked.pop(sequence, None)
        if result.images is not None and key is not None:
            self._remember_before(key, result.images)
        if not self._before_on:
            return
        if result.failure is not None:
            self.view.show_failure(result.failure)
        else:
            picture = self._controller.document.canvas
            plain = None if picture is None else without_edits(picture, None)
            self._show(result.images, plain, rough=rough)

    # Grid and single image.

    def _activate(self, row: int) -> None:
        """Show one image of the grid alone."""
        picture = self._controller.document.canvas
        if picture is not None and self._batch(picture) > 1:
            self._controller.show_row(row)

    def back_to_grid(self) -> None:
        """Show the last grid again."""
        picture = self._controller.document.canvas
        if picture is not None and self._can_go_back(picture, self._batch(picture)):
            self._controller.show_picture(self._grid, "Back to the grid")

    # One image as an object.

    def shown(self, row: int = 0) -> ShownPicture | None:
        """Return one image of the canvas; ``None`` when there is no such image."""
        with self._controller.reporting():
            picture = self._controller.document.canvas
            if picture is None:
                return None
            single = self._batch(picture) == 1
            one = self._controller.row_picture(0 if single else row)
            # A rough image of a model of many steps goes nowhere.
            image = None if self.view.rough else self.view.image(row)
            return ShownPicture(one, image, "canvas")
        return None

    def copy_image(self) -> bool:
        """Copy the selected image, or the only one; return whether there was one."""
        row = self.view.selection or 0
        if self._controller.photo_of(self._controller.document.canvas) is not None:
            row = min(1, self.view.count - 1)
        if self.view.rough:
            self._controller.message.emit("Not copied: the image is still being made", "")
            return False
        shown = self.shown(row)
        return shown is not None and copy_image(shown)

    def menu_for(self, row: int) -> PictureMenu | None:
        """Return the menu of one image."""
        shown = self.shown(row)
        return None if shown is None else PictureMenu(self._controller, shown, self)

    def _open_menu(self, row: int, position: QPoint) -> None:
        menu = self.menu_for(row)
        if menu is not None:
            show_menu(menu, position)

    def _drag(self, row: int) -> None:
        shown = self.shown(row)
        if shown is not None:
            start_drag(self.view, [shown])

    # Drops and the clipboard.

    def _welcome(self, data: QMimeData) -> bool:
        return has_picture(data) or bool(dropped_files(data)) or data.hasImage()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take pictures of ours, files and images."""
        if self._welcome(event.mimeData()) and event.source() is not self.view:
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        """As ``dragEnterEvent``."""
        if self._welcome(event.mimeData()) and event.source() is not self.view:
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()

    def dropEvent(self, event: QDropEvent) -> None:
        """Show what was dropped."""
        event.setDropAction(Qt.DropAction.CopyAction)
        event.setAccepted(self.take(event.mimeData()))

    def paste(self) -> bool:
        """Show what is on the clipboard; return whether there was something."""
        return self.take(QGuiApplication.clipboard().mimeData())

    def take(self, data: QMimeData) -> bool:
        """Show a picture of ours, open a file, or encode an image; return whether it was one."""
        if has_picture(data):
            with self._controller.reporting():
                pictures = read_pictures(data, self._controller.store).pictures
                self._controller.show_picture(pictures[0], "To canvas")
                if len(pictures) > 1:
                    text = f"Showing the first of {len(pictures)} pictures"
                    self._controller.message.emit(text, "")
            return True
        files = dropped_files(data)
        if files:
            self._controller.open_file(files[0])
            return True
        image = dropped_image(data)
        if image is None:
            return False
        self._controller.encode_photo(image)
        return True
