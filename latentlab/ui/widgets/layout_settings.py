"""The settings of a layout that a job makes, each with what it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QWidget,
)

from latentlab.ui.map_layouts import PACMAP, TITLES, TSNE, UMAP
from latentlab.ui.widgets.quiet import QuietDoubleSpinBox, QuietSpinBox


@dataclass(frozen=True)
class Setting:
    """One number.

    Attributes:
        name: as the job takes it.
        title: what a person reads.
        default: the job's own.
        low: smallest value.
        high: largest value.
        explanation: what it does, in a sentence.
        decimals: 0 makes it a whole number.
    """

    name: str
    title: str
    default: float
    low: float
    high: float
    explanation: str
    decimals: int = 0

    @property
    def switch(self) -> bool:
        """Whether it is on (1) or off (0)."""
        return (self.low, self.high, self.decimals) == (0, 1, 0)


_SEED = Setting("seed", "See&d", 0, 0, 2**31 - 1, "The same seed gives the same map.")
_LATENTS = Setting(
    "latent_distance",
    "&Bare latents",
    0,
    0,
    1,
    "Off: points are near when their pictures are alike. On: when their latents are.",
)
SETTINGS: dict[str, tuple[Setting, ...]] = {
    TSNE: (
        Setting(
            "perplexity",
            "&Perplexity",
            30,
            2,
            500,
            "About how many neighbours each point stays close to: small shows fine clumps, large "
            "the broad shape. Distances between clumps mean little.",
        ),
        _LATENTS,
        _SEED,
    ),
    UMAP: (
        Setting(
            "n_neighbors",
            "&Neighbours",
            15,
            2,
            500,
            "How many neighbours make the shape: small shows detail, large the whole.",
        ),
        Setting("min_dist", "Least &distance", 0.1, 0.0, 1.0, "How tightly points may pack.", 2),
        _LATENTS,
        _SEED,
    ),
    PACMAP: (
        Setting("n_neighbors", "&Neighbours", 10, 2, 500, "Pairs that are kept close per point."),
        _LATENTS,
        _SEED,
    ),
}
"""Settings by method."""


class LayoutSettings(QFrame):
    """A small form that goes away with the next click beside it, or Esc.

    Signals:
        chosen: method and its settings that differ from the usual ones.
    """

    chosen = Signal(str, dict)

    def __init__(self, method: str, values: dict[str, Any], parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName(f"Settings of {TITLES[method]}")
        self._method = method
        self.boxes: dict[str, QuietSpinBox | QuietDoubleSpinBox | QCheckBox] = {}
        form = QFormLayout(self)
        form.setContentsMargins(12, 12, 12, 12)
        heading = QLabel(f"Settings of {TITLES[method]}")
        font = heading.font()
        font.setBold(True)
        heading.setFont(font)
        form.addRow(heading)
        for setting in SETTINGS[method]:
            box = self._box(setting, values.get(setting.name, setting.default))
            form.addRow(setting.title, box)
            note = QLabel(setting.explanation)
            note.setWordWrap(True)
            note.setFixedWidth(300)
            form.addRow(note)
        usual, go = QPushButton("&Usual values"), QPushButton("&Compute")
        usual.clicked.connect(self._reset)
        go.clicked.connect(self._choose)
        go.setDefault(True)
        row = QHBoxLayout()
        row.addWidget(usual)
        row.addStretch()
        row.addWidget(go)
        form.addRow(row)

    def _box(self, setting: Setting, value: float) -> QuietSpinBox | QuietDoubleSpinBox | QCheckBox:
        box: QuietSpinBox | QuietDoubleSpinBox | QCheckBox
        if setting.switch:
            box = QCheckBox()
            box.setChecked(bool(value))
        elif setting.decimals:
            box = QuietDoubleSpinBox()
            box.setDecimals(setting.decimals)
            box.setSingleStep(0.05)
            box.setRange(setting.low, setting.high)
            box.setValue(value)
        else:
            box = QuietSpinBox()
            box.setRange(int(setting.low), int(setting.high))
            box.setValue(int(value))
        box.setAccessibleName(setting.title.replace("&", ""))
        box.setAccessibleDescription(setting.explanation)
        self.boxes[setting.name] = box
        return box

    def _reset(self) -> None:
        for setting in SETTINGS[self._method]:
            box = self.boxes[setting.name]
            if isinstance(box, QCheckBox):
                box.setChecked(bool(setting.default))
            else:
                box.setValue(type(box.value())(setting.default))

    def _value(self, name: str) -> float:
        box = self.boxes[name]
        return int(box.isChecked()) if isinstance(box, QCheckBox) else box.value()

    def values(self) -> dict[str, Any]:
        """Return the settings that differ from the usual ones."""
        found = {setting.name: self._value(setting.name) for setting in SETTINGS[self._method]}
        usual = {setting.name: setting.default for setting in SETTINGS[self._method]}
        return {name: value for name, value in found.items() if value != usual[name]}

    def _choose(self) -> None:
        values = self.values()
        self.close()
        self.chosen.emit(self._method, values)

    def show_under(self, widget: QWidget) -> None:
        """Open below a widget, all of it on the screen."""
        self.adjustSize()
        place = widget.mapToGlobal(QPoint(0, widget.height()))
        room = self.screen().availableGeometry()
        x = min(max(place.x(), room.left()), max(room.left(), room.right() - self.width()))
        y = min(max(place.y(), room.top()), max(room.top(), room.bottom() - self.height()))
        self.move(x, y)
        self.show()
