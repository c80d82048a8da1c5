"""File choosers, and the one question that may stand in the way: losing unsaved work."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QFileDialog, QMenu, QMessageBox

from latentlab.core.paths import data_folder
from latentlab.ui.controller_files import IMAGE_SUFFIXES, MODEL_SUFFIX, SESSION_SUFFIX
from latentlab.ui.widgets.picture_menu import show_menu

_IMAGES = " ".join(f"*{suffix}" for suffix in IMAGE_SUFFIXES)
OPEN_FILTER = (
    f"Everything that opens (*{MODEL_SUFFIX} *{SESSION_SUFFIX} *.npz {_IMAGES});;"
    f"Models, directions and latents (*{MODEL_SUFFIX} *.npz);;Sessions (*{SESSION_SUFFIX});;"
    f"Images ({_IMAGES});;All files (*)"
)
_DIRECTIONS = f"Direction (*{MODEL_SUFFIX})"


def _last_folder(window: Any) -> str:
    for name in window.controller.settings.recent_files:
        if Path(name).parent.is_dir():
            return str(Path(name).parent)
    return str(Path.home() if Path.home().is_dir() else data_folder())


def choose_and_open(window: Any) -> None:
    """Ask for a file and open it, whatever it is."""
    path, _ = QFileDialog.getOpenFileName(window, "Open", _last_folder(window), OPEN_FILTER)
    if path:
        window.open_path(Path(path))


def choose_library_folder(window: Any) -> None:
    """Ask for a folder of models and show it in the library."""
    path = QFileDialog.getExistingDirectory(window, "Add a model folder", _last_folder(window))
    if path:
        window.add_library_folder(Path(path))


def save_session(window: Any) -> bool:
    """Save the session where it came from, or ask; return whether it was saved."""
    known = window.controller.session_path
    return window.controller.save_session(known) if known else save_session_as(window)


def save_session_as(window: Any) -> bool:
    """Ask for a name and save the session; return whether it was saved."""
    known = window.controller.session_path
    start = str(known) if known else str(Path(_last_folder(window)) / f"session{SESSION_SUFFIX}")
    path, _ = QFileDialog.getSaveFileName(
        window, "Save session", start, f"LatentLab session (*{SESSION_SUFFIX})"
    )
    return bool(path) and window.controller.save_session(path)


def export_png(window: Any) -> None:
    """Ask for a name and write the canvas as a PNG."""
    canvas = window.controller.document.canvas
    single = canvas is not None and (canvas.stored or len(canvas.seeds) == 1)
    start = Path(_last_folder(window)) / ("face.png" if single else "grid.png")
    path, _ = QFileDialog.getSaveFileName(window, "Export image", str(start), "PNG image (*.png)")
    if path:
        name = Path(path)
        window.controller.export_png(name if name.suffix.lower() == ".png" else f"{name}.png")


def export_latents(window: Any) -> None:
    """Ask for a name and write the latents of the canvas."""
    start = str(Path(_last_folder(window)) / f"latents{MODEL_SUFFIX}")
    path, chosen = QFileDialog.getSaveFileName(
        window, "Export latents", start, f"Safetensors (*{MODEL_SUFFIX});;NumPy (*.npz)"
    )
    if path:
        name = Path(path)
        if name.suffix not in (MODEL_SUFFIX, ".npz"):
            name = Path(f"{name}{'.npz' if 'npz' in chosen else MODEL_SUFFIX}")
        window.controller.export_latents(name)


def import_direction(window: Any) -> None:
    """Ask for a direction file and add its slider."""
    path, _ = QFileDialog.getOpenFileName(
        window, "Import a direction", _last_folder(window), _DIRECTIONS
    )
    if path:
        window.controller.import_direction(path)


def export_direction(window: Any) -> None:
    """Ask which direction, then for a name, and write it."""
    _choose_direction(window, list(window.controller.directions), _export_direction)


def store_direction(window: Any) -> None:
    """Ask which direction of the person's own goes into the model's file."""
    controller = window.controller
    own = [name for name in controller.directions if controller.is_own_direction(name)]
    _choose_direction(window, own, lambda _window, name: controller.store_direction(name))


def _choose_direction(window: Any, names: list[str], act: Callable[[Any, str], None]) -> None:
    """Let the person choose one of several; a single one is not asked about."""
    if len(names) == 1:
        act(window, names[0])
    elif names:
        menu = QMenu(window)
        for name in names:
            title = window.controller.title_of(name).replace("&", "&&")
            menu.addAction(title).triggered.connect(lambda _=False, name=name: act(window, name))
        show_menu(menu, window.canvas.mapToGlobal(window.canvas.rect().center()))


def _export_direction(window: Any, name: str) -> None:
    plain = re.sub(r"[^\w. +-]+", "-", window.controller.title_of(name)).strip(" .-")
    start = Path(_last_folder(window)) / f"{plain or 'direction'}{MODEL_SUFFIX}"
    path, _ = QFileDialog.getSaveFileName(window, "Export a direction", str(start), _DIRECTIONS)
    if path:
        whole = path if path.lower().endswith(MODEL_SUFFIX) else f"{path}{MODEL_SUFFIX}"
        window.controller.export_direction(name, whole)


def ask_unsaved(window: Any) -> bool:
    """Ask what to do with unsaved work; return whether to go on."""
    box = QMessageBox(window)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("Unsaved work")
    box.setText("Save the session before it is closed?")
    box.setInformativeText("Kept images, edits and the history would be lost.")
    buttons = QMessageBox.StandardButton
    box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)
    box.setDefaultButton(buttons.Save)
    answer = box.exec()
    if answer == buttons.Save:
        return save_session(window)
    return answer == buttons.Discard
