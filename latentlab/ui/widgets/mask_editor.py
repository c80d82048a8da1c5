"""A mask being painted: the canvas and its tools."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from latentlab.ui.icons import icon
from latentlab.ui.widgets.images import Images
from latentlab.ui.widgets.mask_canvas import MaskCanvas
from latentlab.ui.widgets.mask_model import MaskModel
from latentlab.ui.widgets.quiet import QuietSlider


class MaskEditor(QWidget):
    """A ``MaskCanvas`` with brush size, eraser, invert, clear, undo and redo.

    Signals:
        changed: the mask.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = MaskModel(self)
        self.canvas = MaskCanvas(self.model)
        self.size_slider = QuietSlider()
        self.size_slider.setRange(1, 32)
        self.size_slider.setValue(self.canvas.diameter)
        self.size_slider.setAccessibleName("Brush size in pixels")
        self.size_slider.setToolTip("Diameter of the brush in pixels of the photograph ([ and ])")
        self._size = QLabel()
        self._share = QLabel()
        self._share.setAccessibleName("Painted share")
        self.erase = self._button("&Erase", "Let the brush take paint away (the right button too)")
        self.erase.setCheckable(True)
        self.invert = self._button("In&vert", "Paint what is not painted, and the other way round")
        self.clear = self._button("C&lear", "Take all paint away")
        self.undo = self._button(
            "", "Undo the last stroke (Ctrl+Z on the photograph)", "Undo stroke"
        )
        self.redo = self._button(
            "", "Redo the stroke (Ctrl+Shift+Z on the photograph)", "Redo stroke"
        )
        self._lay_out()
        self.size_slider.valueChanged.connect(self.canvas.set_diameter)
        self.canvas.diameter_changed.connect(self.size_slider.setValue)
        self.canvas.diameter_changed.connect(self._follow)
        self.erase.toggled.connect(self.canvas.set_erasing)
        for button, act in (
            (self.invert, self.model.invert),
            (self.clear, self.model.clear),
            (self.undo, self.model.undo),
            (self.redo, self.model.redo),
        ):
            button.clicked.connect(act)
        self.model.changed.connect(self._follow)
        self.model.changed.connect(self.changed)
        self._follow()

    def _button(self, text: str, tip: str, name: str = "") -> QToolButton:
        button = QToolButton()
        button.setText(text)
        button.setToolTip(tip)
        button.setAutoRaise(True)
        button.setAccessibleName(name or text.replace("&", ""))
        return button

    def _lay_out(self) -> None:
        brush = QLabel("&Brush")
        brush.setBuddy(self.size_slider)
        self._size.setMinimumWidth(self.fontMetrics().horizontalAdvance("88 px"))
        first = QHBoxLayout()
        for widget in (brush, self.size_slider, self._size):
            first.addWidget(widget, 1 if widget is self.size_slider else 0)
        second = QHBoxLayout()
        second.setSpacing(2)
        for widget in (self.erase, self.invert, self.clear, self.undo, self.redo):
            second.addWidget(widget)
        second.addStretch()
        second.addWidget(self._share)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self._images = QHBoxLayout()
        self._images.setSpacing(4)
        self._images.addWidget(self.canvas, 1)
        layout.addLayout(self._images, 1)
        layout.addLayout(first)
        layout.addLayout(second)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self._dress()

    def _dress(self) -> None:
        for button, name in ((self.undo, "undo"), (self.redo, "redo")):
            button.setIcon(icon(name, self.palette()))

    def changeEvent(self, event) -> None:
        """Follow the palette."""
        if event.type() == event.Type.PaletteChange:
            self._dress()
        super().changeEvent(event)

    def set_beside(self, widget: QWidget) -> None:
        """Show a widget at the right of the photograph, as large as it."""
        self._images.addWidget(widget, 1)

    def set_photo(self, photo: Images) -> None:
        """Show a photograph, uint8 ``(H, W, C)``; the mask of one of the same size stays."""
        self.canvas.set_photo(photo)
        self.size_slider.setMaximum(max(2, photo.shape[1] // 2))
        self._follow()

    def _follow(self, *_: object) -> None:
        self._size.setText(f"{self.canvas.diameter} px")
        self._share.setText(f"{self.model.share:.0%} painted")
        self.undo.setEnabled(self.model.can_undo)
        self.redo.setEnabled(self.model.can_redo)
        self.clear.setEnabled(self.model.share > 0)
