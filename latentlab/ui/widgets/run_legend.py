"""The legend of the charts of training: each line toggles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QSize, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QCheckBox, QWidget

from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.run_marks import Mark
from latentlab.ui.widgets.tips import plain_tip

_LONGEST = 26


@dataclass(frozen=True)
class LegendEntry:
    """One line of the legend.

    Attributes:
        key: unique.
        label: what a person reads.
        mark: how its line looks; ``None`` when it has several looks.
    """

    key: str
    label: str
    mark: Mark | None


class RunLegend(QWidget):
    """Boxes with pieces of the lines.

    Signals:
        toggled: key, and whether it is shown now.
    """

    toggled = Signal(str, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Legend")
        self._entries: tuple[LegendEntry, ...] = ()
        self.boxes: dict[str, QCheckBox] = {}
        self._flow = FlowLayout(self, spacing=8)
        self._flow.setContentsMargins(0, 0, 0, 0)

    @property
    def entries(self) -> tuple[LegendEntry, ...]:
        """The lines of the legend."""
        return self._entries

    def show_entries(self, entries: Sequence[LegendEntry], hidden: set[str]) -> None:
        """Show these lines; those that are ``hidden`` are not ticked."""
        if tuple(entries) != self._entries:
            self._entries = tuple(entries)
            while (item := self._flow.takeAt(0)) is not None:
                item.widget().hide()
                item.widget().deleteLater()
            self.boxes = {entry.key: self._box(entry) for entry in entries}
        for key, box in self.boxes.items():
            box.blockSignals(True)
            box.setChecked(key not in hidden)
            box.blockSignals(False)
        self.setVisible(bool(entries))
        self._flow.invalidate()
        self.updateGeometry()

    def _box(self, entry: LegendEntry) -> QCheckBox:
        label = entry.label
        if len(label) > _LONGEST:
            label = f"{label[: _LONGEST - 9]}…{label[-8:]}"
        box = QCheckBox(label.replace("&", "&&"), self)
        box.setAccessibleName(f"Show {entry.label}")
        box.setToolTip(plain_tip(entry.label))
        if entry.mark is not None:
            box.setIcon(QIcon(entry.mark.line_picture(self.palette())))
            box.setIconSize(QSize(26, 14))
        box.toggled.connect(lambda shown, key=entry.key: self.toggled.emit(key, shown))
        self._flow.addWidget(box)
        box.show()
        return box

    def changeEvent(self, event: QEvent) -> None:
        """Another palette has other colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            for entry in self._entries:
                if entry.mark is not None:
                    self.boxes[entry.key].setIcon(QIcon(entry.mark.line_picture(self.palette())))
