"""The recipe that a form stands for, as text: to read, to copy, to save, to run by command."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import replace_file
from latentlab.core.paths import data_folder
from latentlab.ui.widgets.flow_layout import FlowLayout

RECIPES = "Recipes (*.toml);;All files (*)"


def recipes_folder() -> Path:
    """Return where recipes go that are saved for a command."""
    return data_folder() / "recipes"


def write_recipe(path: Path, text: str) -> None:
    """Write a recipe: whole, or not at all.

    Raises:
        LatentLabError: it cannot be written.
    """
    replace_file(path, lambda target: target.write_text(text, encoding="utf-8"))


def quoted(word: str | Path) -> str:
    """Return a word as every shell of the three systems takes it."""
    text = str(word)
    plain = all(c.isalnum() or c in "/\\._-:+" for c in text)
    return text if text and plain else '"' + text.replace('"', '\\"') + '"'


class NewRunRecipe(QWidget):
    """The text of the recipe, read-only.

    Signals:
        left: back to the form.
        every_wanted: the text shall hold every setting, or only those that are not as usual.
        said: a sentence about what was done.
        failed: a ``LatentLabError``.
        command_wanted: put the command that trains it on the clipboard.
    """

    left = Signal()
    every_wanted = Signal(bool)
    said = Signal(str)
    failed = Signal(object)
    command_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("The recipe")
        self.name = "recipe"
        self._note = QLabel(
            "What the form stands for. Saved as a file, this is what the command line takes: "
            "latentlab train RECIPE"
        )
        self._note.setWordWrap(True)
        self._note.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setAccessibleName("Recipe, TOML")
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setTabChangesFocus(True)
        self.every_box = QCheckBox("Every settin&g")
        self.every_box.setToolTip("Also those that have their usual value")
        self.every_box.toggled.connect(self.every_wanted)
        self.back_button = self._button("&Back to the form", "", self.left.emit)
        self.copy_button = self._button("&Copy", "Copy the recipe", self._copy)
        self.save_button = self._button("Save &as…", "Save the recipe as a file", self._save)
        self.command_button = self._button(
            "Copy as comman&d",
            "Save the recipe among your own and copy the command that trains it",
            self.command_wanted.emit,
        )
        bar = QWidget()
        flow = FlowLayout(bar, spacing=6)
        flow.setContentsMargins(0, 0, 0, 0)
        buttons = (self.back_button, self.copy_button, self.save_button, self.command_button)
        for widget in (*buttons, self.every_box):
            flow.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(bar)
        layout.addWidget(self._note)
        layout.addWidget(self.text, 1)

    def _button(self, text: str, tip: str, act) -> QPushButton:
        button = QPushButton(text)
        button.setToolTip(tip)
        button.clicked.connect(lambda: act())
        return button

    def show_text(self, text: str, name: str) -> None:
        """Show a recipe.

        Args:
            text: TOML.
            name: proposed for its file.
        """
        self.name = name
        if text != self.text.toPlainText():
            self.text.setPlainText(text)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text.toPlainText())
        self.said.emit("The recipe was copied.")

    def _save(self) -> None:
        start = str(Path.home() / f"{self.name}.toml")
        path, _ = QFileDialog.getSaveFileName(self, "Save the recipe", start, RECIPES)
        if path:
            self.save_as(Path(path))

    def save_as(self, path: Path) -> None:
        """Write the recipe to a file."""
        path = path if path.suffix else path.with_suffix(".toml")
        try:
            write_recipe(path, self.text.toPlainText())
        except LatentLabError as error:
            self.failed.emit(error)
        else:
            self.said.emit(f"Saved as {path}")
