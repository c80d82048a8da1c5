"""What reads the images, on how many samples, moved by how much; and the button that measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from latentlab.core.spec import ModelSpec
from latentlab.ui.effects_model import PROBE, probe_objection
from latentlab.ui.own_data import own_source
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.quiet import QuietDoubleSpinBox, QuietSpinBox

SAMPLES = (16, 4096, 128)
FEW = 32
"""Samples proposed for a model that makes its images in many steps."""
AMOUNT = (0.5, 5.0, 2.0)
_FILE, _FOLDER = "choose a file", "choose a folder"
_FILTER = "Data sets (*.zip *.csv *.gz *-ubyte *.bin);;All files (*)"


def source_title(source: str) -> str:
    """Return what a person calls a data source."""
    name = source.partition(":")[0] if source.startswith("portraits") else Path(source).name
    return f"Labels of {name or source}"


class _ReaderBox(QComboBox):
    """The wheel scrolls what is behind it unless it has the focus."""

    def wheelEvent(self, event) -> None:
        """Step, but only with the focus."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def minimumSizeHint(self) -> QSize:
        """Room for a few words."""
        return QSize(120, super().minimumSizeHint().height())


def _named(text: str, widget: QWidget) -> QWidget:
    """A label and what it names, side by side, so that they stay on one line."""
    pair = QWidget()
    label = QLabel(text)
    label.setBuddy(widget)
    row = QHBoxLayout(pair)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(4)
    row.addWidget(label)
    row.addWidget(widget)
    return pair


class EffectsBar(QWidget):
    """Settings of a measurement.

    Signals:
        measure_asked: measure with these settings.
        cancel_asked: stop what runs.
        reader_changed: something else is to read the images.
    """

    measure_asked = Signal()
    cancel_asked = Signal()
    reader_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._spec: ModelSpec | None = None
        self._sources: list[str] = []
        self._running = False
        self._last = 0
        self.reader_box = _ReaderBox()
        self.reader_box.setAccessibleName("What reads the images")
        self.reader_box.setToolTip(
            "What reads the images: the probe of the portraits, or classifiers that are fitted to "
            "the labels of a data set"
        )
        self.reader_box.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.reader_box.activated.connect(self._chosen)
        self.samples_box = QuietSpinBox()
        self.samples_box.setRange(*SAMPLES[:2])
        self.samples_box.setSingleStep(64)
        self.samples_box.setValue(SAMPLES[2])
        self.samples_box.setAccessibleName("Samples")
        self.samples_box.setToolTip("Images that are moved along each slider: more are surer")
        self.amount_box = QuietDoubleSpinBox()
        self.amount_box.setRange(*AMOUNT[:2])
        self.amount_box.setSingleStep(0.5)
        self.amount_box.setDecimals(1)
        self.amount_box.setPrefix("+")
        self.amount_box.setSuffix(" σ")
        self.amount_box.setValue(AMOUNT[2])
        self.amount_box.setAccessibleName("Amount in standard deviations")
        self.amount_box.setToolTip("How far each slider is moved")
        self.button = QPushButton("Measu&re")
        self.button.clicked.connect(self._pressed)
        layout = FlowLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(_named("Read b&y", self.reader_box))
        # Beside what reads, so that it needs no third line in a narrow panel.
        layout.addWidget(self.button)
        layout.addWidget(_named("Sam&ples", self.samples_box))
        layout.addWidget(_named("Am&ount", self.amount_box))
        self.set_running(False)

    # What reads.

    def set_model(self, spec: ModelSpec | None) -> None:
        """Offer what can read the images of a model."""
        self._spec = spec
        if self.samples_box.value() in (SAMPLES[2], FEW):
            slow = spec is not None and "steps" in spec.capabilities
            self.samples_box.setValue(FEW if slow else SAMPLES[2])
        self._fill(self.reader if self.reader_box.count() else PROBE)

    @property
    def reader(self) -> str:
        """``probe``, or a data source."""
        data = self.reader_box.currentData()
        return "" if data in (None, _FILE, _FOLDER) else str(data)

    @property
    def objection(self) -> str:
        """Why the images cannot be read with what is chosen; empty when they can."""
        if self._spec is None:
            return "Open a model first."
        if self.reader == PROBE:
            return probe_objection(self._spec)
        return "" if self.reader else "Choose a labelled data set."

    def _fill(self, wanted: str) -> None:
        own = own_source(self._spec)
        sources = [own] if own and own not in self._sources else []
        objection = "" if self._spec is None else probe_objection(self._spec)
        self.reader_box.clear()
        self.reader_box.addItem("Portraits probe", PROBE)
        if objection:
            model = self.reader_box.model()
            assert isinstance(model, QStandardItemModel)
            model.item(0).setEnabled(False)
            self.reader_box.setItemData(0, objection, Qt.ItemDataRole.ToolTipRole)
        for source in (*sources, *self._sources):
            self.reader_box.addItem(source_title(source), source)
            place = self.reader_box.count() - 1
            self.reader_box.setItemData(place, source, Qt.ItemDataRole.ToolTipRole)
        self.reader_box.insertSeparator(self.reader_box.count())
        self.reader_box.addItem("Data set in a file…", _FILE)
        self.reader_box.addItem("Data set in a folder…", _FOLDER)
        if objection and wanted == PROBE:
            wanted = (*sources, *self._sources, "")[0]
        at = self.reader_box.findData(wanted) if wanted else -1
        self.reader_box.setCurrentIndex(at)
        self.reader_box.setPlaceholderText("Choose what reads")
        self._last = at
        self._follow()

    def _chosen(self, index: int) -> None:
        data = self.reader_box.itemData(index)
        if data in (_FILE, _FOLDER):
            # Until something is chosen, what was chosen before stays.
            self.reader_box.setCurrentIndex(self._last)
            self.choose_source(folder=data == _FOLDER)
            return
        self._last = index
        self._follow()
        self.reader_changed.emit()

    def choose_source(self, folder: bool = False) -> None:
        """Ask for a labelled data set."""
        title = "Choose a labelled data set"
        if folder:
            path = QFileDialog.getExistingDirectory(self, title)
        else:
            path, _ = QFileDialog.getOpenFileName(self, title, "", _FILTER)
        if path:
            self.add_source(path)

    def add_source(self, source: str) -> None:
        """Offer a data source and choose it."""
        if source not in self._sources:
            self._sources.append(source)
        self._fill(source)
        self.reader_changed.emit()

    # Measuring.

    def settings(self) -> dict[str, Any]:
        """Return what the jobs take."""
        return {
            "reader": self.reader,
            "samples": self.samples_box.value(),
            "amount": self.amount_box.value(),
        }

    def set_running(self, running: bool) -> None:
        """Show that it measures: the button stops it then."""
        self._running = running
        self._follow()

    def _follow(self) -> None:
        self.button.setText("Cance&l" if self._running else "Measu&re")
        objection = self.objection
        self.button.setEnabled(self._running or not objection)
        self.button.setToolTip(
            "Stop measuring"
            if self._running
            else objection or "Move samples along every slider and read what changes"
        )
        for box in (self.reader_box, self.samples_box, self.amount_box):
            box.setEnabled(not self._running)

    def _pressed(self) -> None:
        (self.cancel_asked if self._running else self.measure_asked).emit()
