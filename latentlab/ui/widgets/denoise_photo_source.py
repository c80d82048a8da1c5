"""Where the photograph of ``PhotoPage`` comes from: its thumbnail, what was done to it, buttons."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QMimeData, QSize
from PySide6.QtGui import QGuiApplication, QPainter, QPaintEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QMenu, QPushButton, QVBoxLayout, QWidget

from latentlab.core.requests import Failure
from latentlab.ui.controller_files import IMAGE_FILTER, IMAGE_SUFFIXES
from latentlab.ui.widgets.colours import surround
from latentlab.ui.widgets.denoise_photo_state import PhotoState
from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.image_mime import dropped_files, dropped_image, has_picture
from latentlab.ui.widgets.images import Images
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.thumbnail import paint_image

_SIDE = 32


def takes(data: QMimeData) -> bool:
    """Whether data may hold a photograph."""
    return data.hasUrls() or data.hasImage()


def take_data(state: PhotoState, data: QMimeData) -> bool:
    """Take the photograph of a drop or of the clipboard; return whether there was one."""
    files = [path for path in dropped_files(data) if path.suffix.lower() in IMAGE_SUFFIXES]
    if files:
        state.load(files[0])
        return True
    image = dropped_image(data)
    if image is None:
        if data.hasUrls():
            state.failed.emit(Failure("That is no photograph: drop a JPEG or PNG file."))
        return False
    state.load(image)
    return True


class _Small(QWidget):
    """The photograph, small."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: Images | None = None
        self.setFixedSize(QSize(_SIDE, _SIDE))

    def set_image(self, image: Images | None) -> None:
        self._image = image
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint it at a whole-number scale, or an empty place."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), surround(self.palette()))
        if self._image is not None:
            paint_image(painter, self.rect(), self._image, self.devicePixelRatioF())


class SourceBar(QWidget):
    """The photograph, what it is called and how it was fitted, and where another comes from.

    Args:
        state: of the page.
    """

    def __init__(self, state: PhotoState, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = state
        self._small = _Small()
        self._name = ElidedLabel()
        self._name.setAccessibleName("Photograph")
        self._note = ElidedLabel()
        self._note.setAccessibleName("How the photograph was fitted")
        self.choose = QPushButton("P&hotograph")
        self.choose.setAccessibleName("Choose a photograph")
        self.choose.setToolTip("Choose another photograph; one can be dropped or pasted here too")
        self.choose.setMenu(self.make_menu(self))
        self._note.setFont(small_font(self.font()))
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(self._name)
        words.addWidget(self._note)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self._small)
        layout.addLayout(words, 1)
        layout.addWidget(self.choose)
        state.changed.connect(self._follow)
        self._follow()

    def make_menu(self, parent: QWidget) -> QMenu:
        """Return the menu of all places that a photograph can come from."""
        menu = QMenu(parent)
        menu.setToolTipsVisible(True)
        state = self._state
        for text, tip, act in (
            ("&Open a file…", "A JPEG or PNG file of your own", self.open_file),
            ("&Paste", "The image on the clipboard (Ctrl+V here)", self.paste),
            ("The &canvas's picture", "Or the selected one of its grid", state.load_canvas),
            ("A &sample portrait", "Drawn anew each time; no model saw it", state.load_portrait),
        ):
            action = menu.addAction(text)
            action.setToolTip(tip)
            action.triggered.connect(lambda _=False, act=act: act())
        return menu

    def open_file(self) -> None:
        """Ask for a file."""
        path, _ = QFileDialog.getOpenFileName(self, "Open a photograph", "", IMAGE_FILTER)
        if path:
            self._state.load(Path(path))

    def paste(self) -> bool:
        """Take the clipboard's image; return whether there was one."""
        data = QGuiApplication.clipboard().mimeData()
        if data is None or (has_picture(data) and not data.hasImage()) or not takes(data):
            self._state.failed.emit(Failure("The clipboard holds no image: copy one first."))
            return False
        return take_data(self._state, data)

    def _follow(self) -> None:
        photo, spec = self._state.photo, self._state.spec
        if photo is None or spec is None:
            self._small.set_image(None)
            self._name.setText("No photograph")
            self._note.setText("")
            return
        height, width = photo.image.shape[:2]
        self._small.set_image(photo.image)
        self._name.setText(photo.name[:1].upper() + photo.name[1:])
        size = f"{width} × {height} pixels"
        if not photo.scaled:
            self._note.setText(size)
        else:
            cut = "" if photo.width == photo.height else "cut to its middle and "
            self._note.setText(
                f"{cut}scaled to {size} from {photo.width} × {photo.height}".capitalize()
            )
