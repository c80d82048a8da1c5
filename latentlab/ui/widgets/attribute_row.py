"""One direction: its name, a slider in sigma, a number box."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from latentlab.core.direction import Direction
from latentlab.ui.edits import readable, readable_under
from latentlab.ui.widgets.sigma_slider import SigmaBox, SigmaSlider

_FIGURES = (
    ("auc", "AUC (cross-validated)", "{:.3f}"),
    ("accuracy", "Accuracy", "{:.3f}"),
    ("target", "Target at +2 σ", "{:.2f}"),
    ("side", "Largest side effect", "{:.2f}"),
    ("selectivity", "Selectivity (target / side)", "{:.1f}"),
    ("count", "Fitted on", "{:,.0f} images"),
)


def describe_direction(direction: Direction, fitted_elsewhere: bool) -> str:
    """Return what is known about a direction, a line each."""
    lines = [
        readable(direction.name),
        f"Found by: {direction.method or 'unknown'}",
        f"1 σ = {direction.scale:.3g} latent units in space {direction.space}",
    ]
    for key, label, form in _FIGURES:
        value = direction.provenance.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            lines.append(f"{label}: {form.format(value)}")
    data = direction.provenance.get("data")
    if isinstance(data, str) and data:
        lines.append(f"Data: {data[:80]}")
    if fitted_elsewhere:
        lines.append(
            f"Fitted elsewhere: on weights {direction.fingerprint[:8]}…, not on this model's. "
            "Its effect and its scale may differ here."
        )
    lines.append("Double-click the name, or press Delete on the slider, to reset.")
    return "\n".join(lines)


class _Name(QLabel):
    """The name; a double click resets."""

    double_clicked = Signal()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Tell."""
        self.double_clicked.emit()
        event.accept()


class AttributeRow(QWidget):
    """A direction's slider and number box, which say the same.

    Signals:
        edited: name of the direction and the value in sigma, when a person changed it.
        gesture_ended: one drag, or one run of wheel turns or keys, is over.
        reset_asked: name of the direction.
        menu_asked: name of the direction and the global position.
    """

    edited = Signal(str, float)
    gesture_ended = Signal()
    reset_asked = Signal(str)
    menu_asked = Signal(str, QPoint)

    def __init__(
        self, direction: Direction, fitted_elsewhere: bool, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.direction = direction
        self.fitted_elsewhere = fitted_elsewhere
        self.name = direction.name
        title = readable(direction.name)
        short = readable_under(direction.name, direction.group)
        tip = describe_direction(direction, fitted_elsewhere)
        self.label = _Name(f"⚠ {short}" if fitted_elsewhere else short)
        self.label.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        self.slider = SigmaSlider()
        self.slider.setAccessibleName(f"{title}, in standard deviations")
        self.slider.setAccessibleDescription(tip)
        self.box = SigmaBox()
        self.box.setFixedWidth(self.box.fontMetrics().horizontalAdvance("−99.99 σ") + 26)
        self.box.setAccessibleName(f"{title}, value in standard deviations")
        for widget in (self.label, self.slider, self.box):
            widget.setToolTip(tip)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.label)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.box)
        self.label.double_clicked.connect(lambda: self.reset_asked.emit(self.name))
        self.slider.edited.connect(self._slid)
        self.box.edited.connect(self._typed)
        self.slider.gesture_ended.connect(self.gesture_ended)
        self.box.gesture_ended.connect(self.gesture_ended)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        for widget in (self.label, self.slider):
            widget.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self.customContextMenuRequested.connect(
            lambda at: self.menu_asked.emit(self.name, self.mapToGlobal(at))
        )

    @property
    def sigma(self) -> float:
        """The value that is shown."""
        return self.slider.sigma

    def set_sigma(self, sigma: float) -> None:
        """Follow the document: no signal."""
        self.slider.set_sigma(sigma)
        self.box.set_sigma(sigma)

    def set_name_width(self, width: int) -> None:
        """Line up with the other rows."""
        self.label.setFixedWidth(width)

    def _slid(self, sigma: float) -> None:
        self.box.set_sigma(sigma)
        self.edited.emit(self.name, sigma)

    def _typed(self, sigma: float) -> None:
        self.slider.set_sigma(sigma)
        self.edited.emit(self.name, sigma)
