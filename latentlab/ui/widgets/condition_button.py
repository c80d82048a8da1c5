"""A button with a small form: the attribute values that a conditional model is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFormLayout,
    QMenu,
    QScrollArea,
    QToolButton,
    QWidget,
    QWidgetAction,
)

from latentlab.ui.widgets.quiet import QuietDoubleSpinBox

_REACH = 10.0


class ConditionButton(QToolButton):
    """Opens a form with a number for each attribute of the condition.

    Signals:
        edited: name and value, when a person changed it.
    """

    edited = Signal(str, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText("Condition")
        self.setAccessibleName("Condition")
        self.setToolTip("The attributes that the model is asked for, beside the latent")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._boxes: dict[str, QuietDoubleSpinBox] = {}
        self._following = False
        self.setMenu(QMenu(self))

    def set_names(self, names: Sequence[str]) -> None:
        """Show a number for each of these attributes."""
        if tuple(names) == tuple(self._boxes):
            return
        self._boxes = {}
        form_widget = QWidget()
        form = QFormLayout(form_widget)
        for name in names:
            box = QuietDoubleSpinBox()
            box.setRange(-_REACH, _REACH)
            box.setSingleStep(0.1)
            box.setAccessibleName(name.replace("_", " "))
            box.valueChanged.connect(lambda value, name=name: self._changed(name, value))
            self._boxes[name] = box
            form.addRow(name.replace("_", " "), box)
        area = QScrollArea()
        area.setWidget(form_widget)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setMinimumWidth(form_widget.sizeHint().width() + 24)
        area.setMinimumHeight(min(form_widget.sizeHint().height() + 4, 420))
        action = QWidgetAction(self)
        action.setDefaultWidget(area)
        self.menu().clear()
        self.menu().addAction(action)

    def set_values(self, values: Mapping[str, float]) -> None:
        """Follow the document: no signal."""
        self._following = True
        for name, box in self._boxes.items():
            box.setValue(values.get(name, 0.0))
        self._following = False

    def _changed(self, name: str, value: float) -> None:
        if not self._following:
            self.edited.emit(name, round(value, 2))
