"""What a conditional model is told beside the latent: a class, or a form of attributes."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.latents import Condition
from latentlab.core.spec import ModelSpec
from latentlab.ui.edits import readable
from latentlab.ui.widgets.condition_ranges import REACH, AttributeRange, attribute_ranges
from latentlab.ui.widgets.matrix_paint import small_font
from latentlab.ui.widgets.sampling_slider import NumberRange
from latentlab.ui.widgets.sampling_text import condition_text, is_conditional
from latentlab.ui.widgets.sampling_value import NamedNumber
from latentlab.ui.widgets.setting_controls import QuietCombo
from latentlab.ui.widgets.tips import plain_tip

NOT_TOLD = "not told"
_SLIDER = 128
_MOST_HEIGHT = 420


class ClassBox(QuietCombo):
    """The class that a model is asked for, or none.

    Signals:
        chosen: index of the class, or ``None``, when a person chose one.
    """

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Label")
        self.setToolTip("The class that the model is asked for")
        self.setSizeAdjustPolicy(QuietCombo.SizeAdjustPolicy.AdjustToContents)
        self.activated.connect(lambda row: self.chosen.emit(self.itemData(row)))

    def set_names(self, names: Sequence[str]) -> None:
        """Offer these classes."""
        self.clear()
        for index, name in [(None, NOT_TOLD), *enumerate(names)]:
            self.addItem(name, index)

    def set_condition(self, condition: Condition) -> None:
        """Follow the document: no signal."""
        row = self.findData(None if condition.null else condition.class_index)
        self.setCurrentIndex(max(0, row))


class AttributeForm(QFrame):
    """Sliders for what a model is told; it goes away with the next click beside it, or Esc.

    Signals:
        edited: name and value, when a person changed it; at once.
        told: whether the model is to be told anything.
        cleared: every attribute is to be 0.
        gesture_ended: one drag, or one run of wheel turns or keys, is over.
    """

    edited = Signal(str, float)
    told = Signal(bool)
    cleared = Signal()
    gesture_ended = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName("Condition")
        self.rows: dict[str, NamedNumber] = {}
        self.switch = QCheckBox("&Tell the model these attributes")
        self.switch.setToolTip("Unticked, the model is told nothing: it draws whatever it likes.")
        self.switch.clicked.connect(self.told)
        self.clear = QPushButton("All to &0")
        self.clear.setAutoDefault(False)
        self.clear.clicked.connect(self.cleared)
        self._area = QScrollArea()
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 12, 12, 12)
        layout.setSpacing(8)
        layout.addWidget(self.switch)
        layout.addWidget(self._area, 1)
        foot = QHBoxLayout()
        note = QLabel("0 is told too: without, or average")
        note.setFont(small_font(self.font()))
        foot.addWidget(note, 1)
        foot.addWidget(self.clear)
        layout.addLayout(foot)

    def set_ranges(self, ranges: Sequence[AttributeRange]) -> None:
        """Show a slider for each of these attributes."""
        inside = QWidget()
        grid = QGridLayout(inside)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        self.rows = {}
        for place, one in enumerate(ranges):
            row = _row(one)
            row.edited.connect(lambda value, name=one.name: self.edited.emit(name, value))
            row.gesture_ended.connect(self.gesture_ended)
            self.rows[one.name] = row
            grid.addWidget(row, place, 0)
        width = max((row.label.sizeHint().width() for row in self.rows.values()), default=0)
        for row in self.rows.values():
            row.label.setFixedWidth(width)
        self._area.setWidget(inside)
        hint = inside.sizeHint()
        self._area.setMinimumWidth(hint.width() + 20)
        self._area.setFixedHeight(min(hint.height() + 2, _MOST_HEIGHT))

    def set_condition(self, condition: Condition) -> None:
        """Follow the document: no signal."""
        told = is_conditional(condition)
        self.switch.setChecked(told)
        for name, row in self.rows.items():
            row.set_number(condition.attributes.get(name, 0.0))

    def show_under(self, widget: QWidget) -> None:
        """Open below a widget, or above it where there is no room, all of it on the screen."""
        self.adjustSize()
        place = widget.mapToGlobal(QPoint(0, widget.height()))
        room = (widget.screen() or QGuiApplication.primaryScreen()).availableGeometry()
        x = min(max(place.x(), room.left()), max(room.left(), room.right() - self.width()))
        y = place.y()
        if y + self.height() > room.bottom():
            y = max(room.top(), place.y() - widget.height() - self.height())
        self.move(x, y)
        self.show()
        self.switch.setFocus()


def _row(one: AttributeRange) -> NamedNumber:
    ticks = (one.low, one.high) if one.switch else (one.low, one.low / 2, one.high / 2, one.high)
    values = NumberRange(
        one.low, one.high, 0.0, ticks=ticks, page=0.5, box_low=-REACH, box_high=REACH
    )
    title = readable(one.name)
    row = NamedNumber(title.replace("&", "&&"), values, plain_tip(one.tip), _SLIDER)
    row.label.setTextFormat(Qt.TextFormat.PlainText)
    return row


class ConditionButton(QToolButton):
    """Says what the model is told, and opens a form with a slider for each attribute.

    Signals:
        changed: the new ``Condition`` and the name of the attribute (empty for the whole), when a
            person changed it; at once.
        gesture_ended: one drag, or one run of wheel turns or keys, is over.
    """

    changed = Signal(object, str)
    gesture_ended = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.setArrowType(Qt.ArrowType.NoArrow)
        self._spec: ModelSpec | None = None
        self._condition = Condition()
        self.form = AttributeForm(self)
        self.form.edited.connect(self._edit)
        self.form.told.connect(self._tell)
        self.form.cleared.connect(self._clear)
        self.form.gesture_ended.connect(self.gesture_ended)
        self.clicked.connect(lambda: self.form.show_under(self))
        self._say()

    def set_spec(self, spec: ModelSpec | None) -> None:
        """Offer the attributes of a model; hidden where it has none."""
        ranges = () if spec is None else attribute_ranges(spec)
        self.setVisible(bool(ranges))
        before = () if self._spec is None else attribute_ranges(self._spec)
        self._spec = spec
        if ranges != before:
            self.form.set_ranges(ranges)
        self.set_condition(self._condition)

    def set_condition(self, condition: Condition) -> None:
        """Follow the document: no signal."""
        self._condition = condition
        self.form.set_condition(condition)
        self._say()

    def _say(self) -> None:
        said = condition_text(self._condition, self._spec)
        self.setText("No condition ▾" if said == "none" else f"{said} ▾")
        self.setAccessibleName(f"Condition: {said}")
        every = condition_text(self._condition, self._spec, most=1000)
        self.setToolTip(
            plain_tip(f"The attributes that the model is asked for, beside the latent: {every}")
        )

    def _take(self, name: str, **values: object) -> None:
        self.set_condition(self._condition.model_copy(update=values))
        self.changed.emit(self._condition, name)

    def _edit(self, name: str, value: float) -> None:
        known = self._condition.attributes
        self._take(name, attributes={**known, name: value}, null=False)

    def _tell(self, told: bool) -> None:
        known = self._condition.attributes
        if told:
            # Zeros are told as well: an empty table would mean that nothing is.
            self._take("", attributes=known or dict.fromkeys(self.form.rows, 0.0), null=False)
        else:
            self._take("", null=True)
        self.gesture_ended.emit()

    def _clear(self) -> None:
        self._take("", attributes=dict.fromkeys(self.form.rows, 0.0), null=False)
        self.gesture_ended.emit()
