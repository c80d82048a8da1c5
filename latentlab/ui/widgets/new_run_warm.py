"""Which weights a new run starts from: new ones, or those of a model of the same family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QFileDialog, QWidget

from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import read_header
from latentlab.ui.widgets.setting_controls import QuietCombo
from latentlab.ui.widgets.tips import plain_tip

_NEW = "New weights, drawn from the seed"
_FILE = "choose a file"
_FILTER = "Models (*.safetensors);;All files (*)"


class NewRunWarm(QuietCombo):
    """New weights, a model of the library, or a file.

    Args:
        controller: of the window.

    Signals:
        chosen: a path or ``None``.
        failed: a ``LatentLabError`` about a file that cannot be started from.
    """

    chosen = Signal(object)
    failed = Signal(object)

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._family = ""
        self._path: Path | None = None
        self.setAccessibleName("Weights to start from")
        self.setToolTip("Start from the weights of a model of the same family, or from new ones")
        shrink = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        self.setSizeAdjustPolicy(shrink)
        self.setMinimumContentsLength(12)
        self.activated.connect(self._activated)

    @property
    def path(self) -> Path | None:
        """The model file; ``None`` for new weights."""
        return self._path

    def set_family(self, family: str) -> None:
        """Offer the models of a family; one of another family is let go."""
        if family != self._family:
            self._family = family
            if self._path is not None and self._objection(self._path):
                self._path = None
                self.chosen.emit(None)
        self._fill()

    def choose(self, path: Path | None) -> bool:
        """Start from a file; return whether that is possible, else ``failed`` says why not."""
        said = "" if path is None else self._objection(path)
        if said:
            self._fill()
            self.failed.emit(LatentLabError(said))
            return False
        self._path = path
        self._fill()
        self.chosen.emit(path)
        return True

    def showPopup(self) -> None:
        """Bring the list up to date first."""
        self._fill()
        super().showPopup()

    def _objection(self, path: Path) -> str:
        try:
            family = read_header(path).spec.family
        except LatentLabError as error:
            return error.message
        if family == self._family:
            return ""
        return f"'{path.name}' is a {family} and this run trains a {self._family}: choose another."

    def _models(self) -> list[tuple[str, Path]]:
        found = []
        for entry in self._controller.library.entries():
            header = entry.header
            if header is not None and header.spec.family == self._family:
                found.append((entry.title, entry.path))
        return found

    def _fill(self) -> None:
        self.clear()
        self.addItem(_NEW, None)
        models = self._models()
        if self._path is not None and self._path not in [path for _, path in models]:
            models.append((self._path.name, self._path))
        for title, path in models:
            self.addItem(f"Weights of {title}", path)
            self.setItemData(self.count() - 1, plain_tip(str(path)), Qt.ItemDataRole.ToolTipRole)
        self.insertSeparator(self.count())
        self.addItem("Model file…", _FILE)
        rows = [row for row in range(self.count()) if self.itemData(row) == self._path]
        self.setCurrentIndex(rows[0] if rows else 0)

    def _activated(self, row: int) -> None:
        data = self.itemData(row)
        if data != _FILE:
            self.choose(data)
            return
        self._fill()
        found, _ = QFileDialog.getOpenFileName(self, "Choose a model", "", _FILTER)
        if found:
            self.choose(Path(found))
