"""Which images are scored, against which others, how many; and the button that begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

from latentlab.core.likelihood import COUNT, DataChoice
from latentlab.core.points import PRIOR
from latentlab.core.spec import ModelSpec
from latentlab.services.likelihood_export import FADED
from latentlab.ui.likelihood_model import usual_source
from latentlab.ui.own_data import own_source
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.quiet import QuietSpinBox
from latentlab.ui.widgets.setting_controls import QuietCombo
from latentlab.ui.widgets.tips import plain_tip

NOTHING = ""
_FILE, _FOLDER = "choose a file", "choose a folder"
_FILTER = "Data sets (*.zip *.csv *.gz *-ubyte *.bin);;All files (*)"
_PORTRAITS = "portraits"
_MOST_IMAGES, _MOST_SAMPLES = 100_000, 1000


def source_title(source: str) -> str:
    """Return what a person calls a choice."""
    known = {
        NOTHING: "Nothing",
        PRIOR: "The model's own samples",
        FADED: "Faded copies of the images",
    }
    if source in known:
        return known[source]
    if source.partition(":")[0] == _PORTRAITS:
        options = source.partition(":")[2]
        return f"Portraits ({options.replace(',', ', ').replace('=', ' ')})" if options else (
            "Portraits"
        )  # fmt: skip
    return Path(source).name or source


def named(text: str, *widgets: QWidget) -> QWidget:
    """Return a label and what it names, side by side, so that they stay on one line."""
    pair = QWidget()
    label = QLabel(text)
    label.setBuddy(widgets[0])
    row = QHBoxLayout(pair)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(4)
    for widget in (label, *widgets):
        row.addWidget(widget)
    return pair


class _SourceBox(QuietCombo):
    """A combo box that may be narrow."""

    def minimumSizeHint(self) -> QSize:
        """Room for a few words."""
        return QSize(110, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        """No wider than a panel."""
        return QSize(min(190, super().sizeHint().width()), super().sizeHint().height())


class SourceChooser(QWidget):
    """A data set, and which part of it.

    Args:
        title: with its mnemonic.
        name: accessible.
        other: it is compared with; then it may be nothing, or faded copies.

    Signals:
        changed: something else was chosen.
    """

    changed = Signal()

    def __init__(
        self, title: str, name: str, other: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._other = other
        self._spec: ModelSpec | None = None
        self._recent: list[str] = []
        self._last = -1
        self.box = _SourceBox()
        self.box.setAccessibleName(name)
        self.box.activated.connect(self._chosen)
        self.split = QLineEdit()
        self.split.setPlaceholderText("all")
        self.split.setAccessibleName(f"Part of: {name.lower()}")
        self.split.setToolTip("Part of the data, for example train or test; empty for all")
        self.split.setFixedWidth(56)
        self.split.editingFinished.connect(self.changed)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(named(title, self.box, self.split))
        self.split.hide()

    @property
    def source(self) -> str:
        """What is chosen; empty for nothing."""
        data = self.box.currentData()
        return "" if data in (None, _FILE, _FOLDER) else str(data)

    def choice(self, count: int) -> DataChoice:
        """Return the data set that is chosen."""
        split = self.split.text().strip() if self._is_file(self.source) else ""
        return DataChoice(self.source, split or None, count)

    def set_model(self, spec: ModelSpec | None) -> None:
        """Offer the data of a model."""
        usual = usual_source(spec)
        chosen = self.source
        first = self._spec is None or chosen in ("", usual_source(self._spec))
        self._spec = spec
        self._fill(usual if first and not self._other else chosen)

    def add(self, source: str) -> None:
        """Offer a data set and choose it."""
        self._recent = [source, *(one for one in self._recent if one != source)]
        self._fill(source)
        self.changed.emit()

    @staticmethod
    def _is_file(source: str) -> bool:
        return bool(source) and source.partition(":")[0] not in (_PORTRAITS, PRIOR, FADED)

    def _title(self, source: str) -> str:
        """Return what a source is to the model, where that says more than its options."""
        usual, own = usual_source(self._spec), own_source(self._spec)
        if source and source in (usual, own) and usual != own:
            name = source_title(source.partition(":")[0] or source)
            return f"{name}, not trained on" if source == usual else f"{name}, trained on"
        return source_title(source)

    def _known(self) -> list[str]:
        first = [NOTHING, FADED] if self._other else []
        own = [one for one in (usual_source(self._spec), own_source(self._spec)) if one]
        return list(dict.fromkeys([*first, *own, _PORTRAITS, PRIOR, *self._recent]))

    def _fill(self, wanted: str) -> None:
        self.box.clear()
        known = self._known()
        for source in known if wanted in known or not wanted else [*known, wanted]:
            self.box.addItem(self._title(source), source)
            tip = plain_tip(source or "Score one data set alone")
            self.box.setItemData(self.box.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.box.insertSeparator(self.box.count())
        self.box.addItem("Zip or data set file…", _FILE)
        self.box.addItem("Folder of images…", _FOLDER)
        self._last = self.box.findData(wanted)
        self.box.setCurrentIndex(max(0, self._last))
        self._last = self.box.currentIndex()
        self._follow()

    def _follow(self) -> None:
        self.split.setVisible(self._is_file(self.source))
        self.box.setToolTip(plain_tip(self.source))

    def _chosen(self, index: int) -> None:
        data = self.box.itemData(index)
        if data in (_FILE, _FOLDER):
            # Until something is chosen, what was chosen before stays.
            self.box.setCurrentIndex(self._last)
            self._ask(folder=data == _FOLDER)
        elif index != self._last:
            self._last = index
            self._follow()
            self.changed.emit()

    def _ask(self, folder: bool) -> None:
        title = "Choose images to score"
        if folder:
            path = QFileDialog.getExistingDirectory(self, title)
        else:
            path, _ = QFileDialog.getOpenFileName(self, title, "", _FILTER)
        if path:
            self.add(path)


class LikelihoodBar(QWidget):
    """Settings of the scores.

    Signals:
        score_asked: score what is chosen.
        cancel_asked: stop what runs.
        changed: other data was chosen.
        corrected_toggled: show scores less the length of the compressed image.
    """

    score_asked = Signal()
    cancel_asked = Signal()
    changed = Signal()
    corrected_toggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._running = False
        self.data = SourceChooser("Im&ages", "Images to score")
        self.against = SourceChooser("A&gainst", "Compared with", other=True)
        self.count = QuietSpinBox()
        self.count.setRange(2, _MOST_IMAGES)
        self.count.setSingleStep(100)
        self.count.setGroupSeparatorShown(True)
        self.count.setValue(COUNT)
        self.count.setAccessibleName("Number of images of each data set")
        self.count.setToolTip("Images of each data set; a larger one is taken evenly")
        self.samples = QuietSpinBox()
        self.samples.setRange(1, _MOST_SAMPLES)
        self.samples.setAccessibleName("Draws for each image")
        self.samples.setToolTip(
            "Random draws for each image: more make a bound tighter, and take as many times longer"
        )
        self.corrected = QCheckBox("Less P&NG length")
        self.corrected.setAccessibleName("Less PNG length")
        self.corrected.setToolTip(
            "Subtract the bits/dim of the same image as a PNG, so that simple images are not "
            "favoured (Serrà et al. 2020)"
        )
        self.corrected.toggled.connect(self.corrected_toggled)
        self.button = QPushButton()
        self.button.clicked.connect(self._pressed)
        layout = FlowLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            self.data,
            self.against,
            self.button,
            named("N&umber", self.count),
            named("Dra&ws", self.samples),
            self.corrected,
        ):
            layout.addWidget(widget)
        for chooser in (self.data, self.against):
            chooser.changed.connect(self._follow)
            chooser.changed.connect(self.changed)
        self.set_running(False)

    def set_model(self, spec: ModelSpec | None) -> None:
        """Offer the data of a model."""
        self.data.set_model(spec)
        self.against.set_model(spec)
        self._follow()

    def choices(self) -> tuple[DataChoice, ...]:
        """Return the data sets that are chosen: one, or two."""
        first = self.data.choice(self.count.value())
        other = self.against.choice(self.count.value())
        if other.source == FADED:
            return first, replace(first, faded=True)
        return (first, other) if other.source else (first,)

    def set_running(self, running: bool) -> None:
        """Show that data is being scored: the button stops it then."""
        self._running = running
        self._follow()

    def _follow(self) -> None:
        self.button.setText("Cance&l" if self._running else "Sco&re")
        able = bool(self.data.source)
        self.button.setEnabled(self._running or able)
        tip = "Score these images" if able else "Choose images first"
        self.button.setToolTip("Stop; what was scored stays" if self._running else tip)

    def _pressed(self) -> None:
        (self.cancel_asked if self._running else self.score_asked).emit()
