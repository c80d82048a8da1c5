"""Which labelled images: a data set, part of it, and a table of labels for one's own images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.points import PRIOR
from latentlab.ui.help import HelpPopup
from latentlab.ui.own_data import own_source, probe_reads
from latentlab.ui.widgets.direction_pages.page import named
from latentlab.ui.widgets.tips import plain_tip

TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
_FILE, _FOLDER = "choose a file", "choose a folder"
_FILTER = "Data sets (*.zip *.csv *.gz *-ubyte *.bin);;All files (*)"
_TABLES = "Tables (*.csv *.tsv *.txt)"
_PORTRAITS = "portraits"
_MOST = 8
_HOW = (
    "A text file with one line for each image. The first line names the columns: the image file, "
    "then your labels.\n\n"
    "file,smiling,age,hair\n"
    "anna.png,1,31,brown\n"
    "ben.png,0,44,black\n"
    "cleo.png,1,,red\n\n"
    "Only 0 and 1 (or true and false): yes or no. Other numbers: more or less of it. Words: "
    "classes. An empty cell: not known. File names are relative to the folder or zip.\n\n"
    "The guide is docs/attributes.md, with an example in docs/examples."
)


def source_title(source: str) -> str:
    """Return what a person calls a data source."""
    name, _, rest = source.partition(":")
    if source == PRIOR:
        return "Its own samples, read by the probe"
    if name == _PORTRAITS:
        return f"Portraits ({_portraits_words(rest)})"
    return Path(source).name or source


def _portraits_words(options: str) -> str:
    """Return what the options of drawn portraits mean: ``count=10000,seed=1``."""
    if not options:
        return "drawn, labelled"
    named = dict(part.partition("=")[::2] for part in options.split(","))
    count = named.pop("count", "")
    words = [f"{int(count):,} drawn" if count.isdecimal() else "drawn"]
    return ", ".join([*words, *(f"{key} {value}".strip() for key, value in named.items())])


def is_table(path: Path) -> bool:
    """Whether a file can be a table of labels, by its name."""
    return path.suffix.lower() in TABLE_SUFFIXES


class _SourceBox(QComboBox):
    """The wheel scrolls what is behind it unless it has the focus.

    Signals:
        opening: the list is about to be shown.
    """

    opening = Signal()

    def showPopup(self) -> None:
        """Let the list be brought up to date first."""
        self.opening.emit()
        super().showPopup()

    def wheelEvent(self, event) -> None:
        """Step, but only with the focus."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class DataChooser(QWidget):
    """A data set, its split and a table of labels.

    Args:
        controller: of the window.

    Signals:
        changed: something else was chosen.
    """

    changed = Signal()

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._recent: list[str] = []
        self._last = -1
        self.source_box = _SourceBox()
        self.source_box.setAccessibleName("Labelled images")
        self.source_box.setPlaceholderText("Choose labelled images")
        fill = QSizePolicy.Policy.Expanding
        self.source_box.setSizePolicy(fill, QSizePolicy.Policy.Fixed)
        self.source_box.setMinimumContentsLength(12)
        shrink = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        self.source_box.setSizeAdjustPolicy(shrink)
        self.source_box.setToolTip("A folder, zip or data set file; drop one here")
        self.split_box = QComboBox()
        self.split_box.setEditable(True)
        self.split_box.addItems(["all", "train", "test", "valid"])
        self.split_box.setAccessibleName("Split")
        self.split_box.setToolTip("Part of the data set, if its makers gave it parts")
        self.table_box = QLineEdit(placeholderText="None; or a CSV with labels")
        self.table_box.setClearButtonEnabled(True)
        self.table_box.setAccessibleName("Table of labels")
        self.table_box.setMinimumWidth(60)
        self._browse_button = QToolButton()
        self._browse_button.setText("…")
        self._browse_button.setAccessibleName("Choose a table of labels")
        self._browse_button.setToolTip("Choose a CSV with labels of your own images")
        self.how_button = QPushButton("&How to write one")
        self.how_button.setFlat(True)
        self.how_button.setToolTip("What a table of labels looks like")
        self._lay_out()
        self._connect()
        self._fill("")

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(named("&Images", self.source_box))
        self._more = QWidget()
        more = QVBoxLayout(self._more)
        more.setContentsMargins(0, 0, 0, 0)
        more.setSpacing(6)
        table = named("&Table", self.table_box, self._browse_button)
        more.addLayout(table)
        line = QHBoxLayout()
        line.addLayout(named("S&plit", self.split_box))
        line.addStretch(1)
        line.addWidget(self.how_button)
        more.addLayout(line)
        layout.addWidget(self._more)

    def _connect(self) -> None:
        self.source_box.activated.connect(self._chosen)
        # What the map shows may have changed since.
        self.source_box.opening.connect(lambda: self._fill(self.source))
        self.split_box.activated.connect(lambda _row: self.changed.emit())
        self.split_box.lineEdit().editingFinished.connect(self._split_edited)
        self._split = self.split_box.currentText()
        self.table_box.editingFinished.connect(self._table_edited)
        self.table_box.textChanged.connect(lambda text: text or self._table_edited())
        self._table = ""
        self._browse_button.clicked.connect(lambda: self._browse())
        self.how_button.clicked.connect(self.explain)
        # A method of its own: a lambda would be called when the chooser is gone already.
        self._controller.model_changed.connect(self._fill_again)

    def _fill_again(self, *_: object) -> None:
        self._fill(self.source)

    # What is chosen.

    @property
    def source(self) -> str:
        """As ``open_dataset`` takes it; empty while nothing is chosen."""
        data = self.source_box.currentData()
        return "" if data in (None, _FILE, _FOLDER) else str(data)

    @property
    def split(self) -> str | None:
        """Part of the source; ``None`` means all."""
        text = self.split_box.currentText().strip()
        return None if not self._is_file or text in ("", "all") else text

    @property
    def table(self) -> str | None:
        """A table of labels."""
        return (self.table_box.text().strip() or None) if self._is_file else None

    @property
    def _is_file(self) -> bool:
        return bool(self.source) and self.source.partition(":")[0] not in (_PORTRAITS, PRIOR)

    def choose(self, source: str, split: str | None = None, table: str | None = None) -> None:
        """Choose a data source."""
        self._remember(source)
        self._fill(source)
        self.split_box.setCurrentText(split or "all")
        self._split = self.split_box.currentText()
        self._table = table or ""
        self.table_box.setText(self._table)
        self.changed.emit()

    def take(self, paths: list[Path]) -> bool:
        """Take dropped files: a table for the images that are chosen, or images."""
        tables = [p for p in paths if is_table(p)]
        images = [p for p in paths if p not in tables]
        if images:
            self.choose(str(images[0]), table=str(tables[0]) if tables else None)
        elif tables and self._is_file:
            self.table_box.setText(str(tables[0]))
            self._table_edited()
        elif tables:
            # A data set like CelebA may be named by a table; else the job says what is wrong.
            self.choose(str(tables[0]))
        return bool(images or tables)

    def choose_file(self, folder: bool = False) -> None:
        """Ask for a data set."""
        title = "Choose labelled images"
        if folder:
            path = QFileDialog.getExistingDirectory(self, title)
        else:
            path, _ = QFileDialog.getOpenFileName(self, title, "", _FILTER)
        if path:
            self.choose(path)

    def explain(self) -> None:
        """Say what a table of labels looks like."""
        popup = HelpPopup("A table of labels", _HOW, self.window())
        popup.show_at(self.how_button.mapToGlobal(QPoint(0, self.how_button.height())))

    # Inside.

    def _remember(self, source: str) -> None:
        others = [one for one in self._recent if one != source]
        self._recent = [source, *others][:_MOST]

    def _known(self) -> list[str]:
        """Return what is offered: recent ones, the model's own data, what the map shows."""
        found = list(self._recent)
        model = self._controller.model
        spec = None if model is None else model.spec
        own, samples = own_source(spec), PRIOR if probe_reads(spec) else ""
        points = getattr(getattr(self._controller, "map_model", None), "points", None)
        mapped = "" if points is None or points.source == PRIOR else points.source
        for source in (_PORTRAITS, samples, own, mapped):
            if source and source not in found:
                found.append(source)
        return found

    def _fill(self, wanted: str) -> None:
        self.source_box.clear()
        for source in self._known():
            self.source_box.addItem(source_title(source), source)
            self.source_box.setItemData(self.source_box.count() - 1, plain_tip(source), 3)
        self.source_box.insertSeparator(self.source_box.count())
        self.source_box.addItem("Zip or data set file…", _FILE)
        self.source_box.addItem("Folder of images…", _FOLDER)
        self._last = self.source_box.findData(wanted) if wanted else -1
        self.source_box.setCurrentIndex(self._last)
        self._more.setVisible(self._is_file)

    def _chosen(self, index: int) -> None:
        data = self.source_box.itemData(index)
        if data in (_FILE, _FOLDER):
            # Until something is chosen, what was chosen before stays.
            self.source_box.setCurrentIndex(self._last)
            self.choose_file(folder=data == _FOLDER)
        elif index != self._last:
            self.choose(str(data))

    def _split_edited(self) -> None:
        if self.split_box.currentText() != self._split:
            self._split = self.split_box.currentText()
            self.changed.emit()

    def _table_edited(self) -> None:
        if self.table_box.text().strip() != self._table:
            self._table = self.table_box.text().strip()
            self.changed.emit()

    def _browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Choose a table of labels", "", _TABLES)
        if path:
            self.table_box.setText(path)
            self._table_edited()
