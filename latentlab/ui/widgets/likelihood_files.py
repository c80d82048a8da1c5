"""Scores as files and on the clipboard: the menus of the histogram and of the strip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from latentlab.core.likelihood import Scores
from latentlab.services.commands import quote
from latentlab.services.likelihood_export import (
    histogram_data,
    table_text,
    write_extremes,
    write_scores,
)
from latentlab.services.likelihood_render import histogram_picture
from latentlab.ui.likelihood_model import LikelihoodModel
from latentlab.ui.widgets.images import owned_qimage

STRIP_IMAGES = 24
"""Images of a strip that is saved, as many as the command writes."""
_FILES = (("Save as &PNG…", ".png"), ("Save as &SVG…", ".svg"), ("Save numbers as CS&V…", ".csv"))


class LikelihoodFiles:
    """Copies and saves what the panel shows, with the bytes of the command.

    Args:
        controller: of the window.
        model: of the panel.
        shown: gives the data set of the strip, and whether its least likely images are shown.
        parent: of menus and dialogs.
    """

    def __init__(
        self,
        controller: Any,
        model: LikelihoodModel,
        shown: Callable[[], tuple[Scores | None, bool]],
        parent: QWidget,
    ) -> None:
        self._controller, self._model = controller, model
        self._shown, self._parent = shown, parent

    def plot_menu(self) -> QMenu:
        """Return the menu of the histogram: copy, save, the command."""
        menu = QMenu(self._parent)
        able = bool(self._model.complete)
        for text, act in (
            ("&Copy histogram", self.copy_plot),
            *((text, lambda suffix=suffix: self._ask(suffix)) for text, suffix in _FILES),
            ("Copy &numbers", self.copy_table),
            ("Copy as co&mmand", self.copy_command),
        ):
            action = menu.addAction(text)
            action.setEnabled(able)
            action.triggered.connect(lambda _=False, act=act: act())
        return menu

    def copy_plot(self) -> None:
        """Put the histogram onto the clipboard, as a file would have it."""
        image: QImage = owned_qimage(
            histogram_picture(histogram_data(self._model.complete, self._model.quantity))
        )
        QGuiApplication.clipboard().setImage(image)

    def copy_table(self) -> None:
        """Put the numbers of all images onto the clipboard."""
        QGuiApplication.clipboard().setText(table_text(self._model.complete, self._model.quantity))

    def copy_command(self) -> None:
        """Put the command that writes the histogram onto the clipboard."""
        with self._controller.reporting():
            words = [*self._model.arguments(), "--out", "likelihood.png"]
            QGuiApplication.clipboard().setText(quote(words))
            self._controller.message.emit("The command is on the clipboard", quote(words))

    def _ask(self, suffix: str) -> None:
        kind = suffix[1:].upper()
        path, _ = QFileDialog.getSaveFileName(
            self._parent, "Save the scores", f"likelihood{suffix}", f"{kind} (*{suffix})"
        )
        if path:
            self.save(Path(path if path.lower().endswith(suffix) else path + suffix))

    def save(self, path: Path) -> None:
        """Write the scores as .png, .svg or .csv: the same bytes as the command."""
        with self._controller.reporting():
            write_scores(path, self._model.complete, self._model.quantity)
            self._controller.message.emit(f"Written: {path.name}", str(path))

    def strip_menu(self) -> QMenu:
        """Return the menu of the extreme images."""
        menu = QMenu(self._parent)
        able = self._shown()[0] is not None
        for text, act in (
            ("Save strip as &PNG…", self._ask_strip),
            ("Save images into a &folder…", self._ask_folder),
            ("Save list as CS&V…", self._ask_list),
        ):
            action = menu.addAction(text)
            action.setEnabled(able)
            action.triggered.connect(lambda _=False, act=act: act())
        return menu

    def _ask_strip(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self._parent, "Save strip", "strip.png", "PNG (*.png)"
        )
        if path:
            self.save_strip(Path(path if path.lower().endswith(".png") else f"{path}.png"))

    def _ask_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self._parent, "Save images into")
        if path:
            self.save_strip(Path(path))

    def save_strip(self, path: Path) -> None:
        """Write the images of the strip as one .png, or into a folder."""
        scores, least = self._shown()
        if scores is None:
            return
        with self._controller.reporting():
            count = write_extremes(path, scores, self._model.quantity, STRIP_IMAGES, least)
            self._controller.message.emit(f"Written: {count} images", str(path))

    def _ask_list(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self._parent, "Save list", "list.csv", "CSV (*.csv)")
        scores, _least = self._shown()
        if not path or scores is None:
            return
        target = Path(path if path.lower().endswith(".csv") else f"{path}.csv")
        with self._controller.reporting():
            write_scores(target, [scores], self._model.quantity)
            self._controller.message.emit(f"Written: {target.name}", str(target))
