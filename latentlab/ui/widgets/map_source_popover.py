"""Choosing what a map shows: prior samples, or a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
    QWidget,
)

from latentlab.core.parts import choice_of
from latentlab.core.points import PRIOR
from latentlab.core.spec import LatentSpace
from latentlab.ui.widgets.direction_pages.parts_chooser import PartsBox
from latentlab.ui.widgets.quiet import QuietSpinBox

PORTRAITS = "portraits"
FOLDER = "folder"
PROBE = "probe"
MOST_POINTS = 1_000_000
_KINDS = ((PRIOR, "Prior samples"), (PORTRAITS, "Portraits (drawn, labelled)"), (FOLDER, "Images…"))
_COUNTS = {PRIOR: 2000, PORTRAITS: 2000, FOLDER: 10_000}


@dataclass(frozen=True)
class SourceChoice:
    """What a person asked to map.

    Attributes:
        source: as ``open_dataset`` takes it, or ``PRIOR``.
        count: at most so many points.
        split: part of the source.
        attributes: a table of labels for a folder or zip of images.
        reader: what labels prior samples, if anything.
    """

    source: str
    count: int
    split: str | None = None
    attributes: str | None = None
    reader: str | None = None


class SourcePopover(QFrame):
    """A small form that goes away with the next click beside it, or Esc.

    Signals:
        chosen: a ``SourceChoice``.
        parts_chosen: names of the parts that the map is laid out by; none for all.
    """

    chosen = Signal(object)
    parts_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName("What the map shows")
        self.kind = QComboBox()
        self.kind.setAccessibleName("Source")
        for key, title in _KINDS:
            self.kind.addItem(title, key)
        self.path = QLineEdit(placeholderText="Folder, zip, idx or CIFAR file")
        self.path.setAccessibleName("Folder or file of images")
        self.path.setMinimumWidth(190)
        self.split = QComboBox()
        self.split.setEditable(True)
        self.split.setAccessibleName("Split")
        self.split.addItems(["all", "train", "test", "valid"])
        self.split.setToolTip("Part of the data set, if its makers gave it parts")
        self.count = QuietSpinBox()
        self.count.setAccessibleName("Number of points")
        self.count.setRange(10, MOST_POINTS)
        self.count.setSingleStep(1000)
        self.count.setGroupSeparatorShown(True)
        self.labels = QLineEdit(placeholderText="Optional: a CSV with labels")
        self.labels.setAccessibleName("Table of labels")
        self.read = QCheckBox("&Read attributes off the samples")
        self.read.setToolTip(
            "Decode every sample and let the portraits probe read it, so that its attributes can "
            "colour the map; it takes longer"
        )
        self.parts = PartsBox("The map is laid out by these parts of the latents, at once")
        self.parts.activated.connect(lambda _row: self.parts_chosen.emit(self.parts.parts))
        self.readable = False
        self.go = QPushButton("&Map")
        self.go.setDefault(True)
        self.go.clicked.connect(self._choose)
        self._lay_out()
        self.kind.currentIndexChanged.connect(self._follow_kind)
        self.path.textChanged.connect(self._follow_path)
        self.path.returnPressed.connect(self._choose)
        self._follow_kind()

    def _lay_out(self) -> None:
        self._form = QFormLayout(self)
        self._form.setContentsMargins(12, 12, 12, 12)
        self._form.addRow("&Source", self.kind)
        self._path_row = self._with_button(self.path, self._browse, "Choose a file or a folder")
        self._form.addRow("&Images", self._path_row)
        self._form.addRow("S&plit", self.split)
        self._form.addRow("&Points", self.count)
        self._label_row = self._with_button(self.labels, self._browse_labels, "Choose a CSV")
        self._form.addRow("&Labels", self._label_row)
        self._form.addRow(self.read)
        self._form.addRow("Par&ts", self.parts)
        self._note = QLabel()
        self._note.setWordWrap(True)
        self._note.setMinimumWidth(280)
        self._form.addRow(self._note)
        self._form.addRow(self.go)

    def _with_button(self, edit: QLineEdit, act, tip: str) -> QWidget:
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        button = QToolButton()
        button.setText("…")
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        button.clicked.connect(lambda: act())
        layout.addWidget(edit, 1)
        layout.addWidget(button)
        row.setFocusProxy(edit)
        return row

    def _follow_kind(self) -> None:
        kind = self.kind.currentData()
        files = kind == FOLDER
        for row in (self._path_row, self.split, self._label_row):
            self._form.setRowVisible(row, files)
        self._form.setRowVisible(self.read, self.readable and kind == PRIOR)
        self.count.setValue(_COUNTS[kind])
        self._note.setText(
            {
                PRIOR: "Random latents of the model's own prior; each point is a seed.",
                PORTRAITS: "Faces that are drawn here, with exact labels, and encoded.",
                FOLDER: "The model encodes every image; class folders and a CSV give colours.",
            }[kind]
        )
        self._follow_path()
        self.adjustSize()

    def _follow_path(self) -> None:
        self.go.setEnabled(self.kind.currentData() != FOLDER or bool(self.path.text().strip()))

    def _browse(self) -> None:
        """Choose a file; a folder is chosen by one of its images."""
        title = "Choose a zip, idx or CIFAR file, or any image of a folder"
        found, _ = QFileDialog.getOpenFileName(self.parentWidget(), title)
        if found:
            self.open_with(found)

    def _browse_labels(self) -> None:
        found, _ = QFileDialog.getOpenFileName(
            self.parentWidget(), "Choose a table of labels", "", "Tables (*.csv *.tsv *.txt)"
        )
        if found:
            self.labels.setText(found)
            self.show()

    def open_with(self, path: str) -> None:
        """Fill in a file or folder; a single image means its folder."""
        self.kind.setCurrentIndex(self.kind.findData(FOLDER))
        chosen = Path(path)
        if chosen.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".bmp"):
            chosen = chosen.parent
        self.path.setText(str(chosen))
        self.show()

    def choice(self) -> SourceChoice:
        """Return what is filled in."""
        kind, count = self.kind.currentData(), self.count.value()
        if kind == PRIOR:
            reads = self.readable and self.read.isChecked()
            return SourceChoice(PRIOR, count, reader=PROBE if reads else None)
        if kind == PORTRAITS:
            return SourceChoice(f"portraits:count={count}", count)
        split = self.split.currentText().strip()
        labels = self.labels.text().strip()
        return SourceChoice(
            self.path.text().strip(),
            count,
            None if split in ("", "all") else split,
            labels or None,
        )

    def _choose(self) -> None:
        if self.go.isEnabled():
            self.hide()
            self.chosen.emit(self.choice())

    def set_space(self, space: LatentSpace | None, parts: tuple[str, ...]) -> None:
        """Offer the parts of a space, and show those that the map is laid out by."""
        self.parts.set_space(space)
        if space is not None:
            self.parts.choose(choice_of(space, parts).id)
        self._form.setRowVisible(self.parts, self.parts.offers)
        self.adjustSize()

    def set_readable(self, readable: bool) -> None:
        """Whether the probe can read the model's samples."""
        if readable != self.readable:
            self.readable = readable
            self._form.setRowVisible(self.read, readable and self.kind.currentData() == PRIOR)
            self.adjustSize()

    def show_under(self, widget: QWidget) -> None:
        """Open below a widget, all of it on the screen."""
        self.adjustSize()
        place = widget.mapToGlobal(QPoint(0, widget.height()))
        room = self.screen().availableGeometry()
        x = min(max(place.x(), room.left()), room.right() - self.width())
        y = min(max(place.y(), room.top()), room.bottom() - self.height())
        self.move(x, y)
        self.show()
        self.kind.setFocus()
