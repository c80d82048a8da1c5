"""A small form: the watched run as a strip, as a film, as numbers, or as a command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QWidget,
)

from latentlab.ui.denoise_tree import QUANTITIES, prefixes, source_title
from latentlab.ui.widgets.denoise_state import WatchState
from latentlab.ui.widgets.quiet import QuietSpinBox

_KINDS = (
    (".png", "Strip (PNG)"),
    (".mp4", "Film (MP4)"),
    (".gif", "Film (GIF)"),
    (".webp", "Film (WebP)"),
    (".npz", "Numbers (NPZ)"),
)
_FILMS = (".mp4", ".gif", ".webp")
_MOST = 1000
_COMMAND_TIP = "The command line that writes the same file, byte for byte"


class ExportPopover(QFrame):
    """What is written of a run; it goes away with the next click beside it, or Esc.

    Args:
        controller: of the window; its watched run is written.
        state: rows and pace that the form begins with.
    """

    def __init__(self, controller: Any, state: WatchState, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName("Export the run")
        self._controller, self._state = controller, state
        self.kind = QComboBox()
        self.kind.setAccessibleName("Kind of file")
        for suffix, title in _KINDS:
            self.kind.addItem(title, suffix)
        self.which = QComboBox()
        self.which.setAccessibleName("Branches")
        self.which.addItem("All branches", True)
        self.which.addItem("The selected one and its parents", False)
        self.rows: dict[str, QCheckBox] = {}
        for show, word in QUANTITIES.items():
            self.rows[show] = QCheckBox(word)
            self.rows[show].toggled.connect(self._follow)
        self.every = QuietSpinBox()
        self.every.setRange(0, _MOST)
        self.every.setSpecialValueText("as fits")
        self.every.setPrefix("1 of ")
        self.every.setAccessibleName("Every n-th step")
        self.every.setToolTip("Every n-th step is shown, and the last one")
        self.fps = QuietSpinBox()
        self.fps.setRange(1, 60)
        self.fps.setSuffix(" steps/s")
        self.fps.setAccessibleName("Steps per second")
        self.captions = QCheckBox("&Captions: what each run is, step and time")
        self.captions.setChecked(True)
        self.save = QPushButton("&Save…")
        self.save.setDefault(True)
        self.command = QPushButton("Copy as co&mmand")
        self.command.setAutoDefault(False)
        self._lay_out()
        self.kind.currentIndexChanged.connect(self._follow)
        self.save.clicked.connect(self._ask)
        self.command.clicked.connect(self.copy_command)

    def _lay_out(self) -> None:
        self._form = QFormLayout(self)
        self._form.setContentsMargins(12, 12, 12, 12)
        self._form.addRow("&File", self.kind)
        self._form.addRow("&Branches", self.which)
        rows = QWidget()
        line = QHBoxLayout(rows)
        line.setContentsMargins(0, 0, 0, 0)
        for box in self.rows.values():
            line.addWidget(box)
        self._form.addRow("Rows", rows)
        self._form.addRow("S&teps", self.every)
        self._form.addRow("&Pace", self.fps)
        self._form.addRow(self.captions)
        buttons = QHBoxLayout()
        buttons.addWidget(self.command)
        buttons.addStretch(1)
        buttons.addWidget(self.save)
        self._form.addRow(buttons)

    def _follow(self, *_: object) -> None:
        suffix = self.kind.currentData()
        self._form.setRowVisible(self.fps, suffix in _FILMS)
        self._form.setRowVisible(self.captions, suffix != ".npz")
        self._form.setRowVisible(self.every, suffix != ".npz")
        able = any(box.isChecked() for box in self.rows.values())
        for button, tip in ((self.save, ""), (self.command, _COMMAND_TIP)):
            button.setEnabled(able)
            button.setToolTip(tip if able else "Tick at least one row")
        if self.isVisible():
            self.adjustSize()

    def show_under(self, widget: QWidget) -> None:
        """Open at a button, with what the timeline shows."""
        for show, box in self.rows.items():
            box.setChecked(show in self._state.rows)
        self.fps.setValue(self._state.fps)
        self.which.setEnabled(len(self._controller.denoise.paths) > 1)
        self._follow()
        self.adjustSize()
        place = widget.mapToGlobal(QPoint(0, widget.height()))
        room = self.screen().availableGeometry()
        y = place.y()
        if y + self.height() > room.bottom():
            y = max(room.top(), y - widget.height() - self.height())
        self.move(max(room.left(), min(place.x(), room.right() - self.width())), y)
        self.show()
        self.kind.setFocus()

    # What is written.

    def layout_chosen(self) -> Any:
        """Return the ``StripLayout`` that is filled in."""
        from latentlab.services.denoise_command import StripLayout

        rows = tuple(show for show, box in self.rows.items() if box.isChecked())
        return StripLayout(
            every=self.every.value() or None,
            rows=rows,
            captions=self.captions.isChecked(),
            fps=float(self.fps.value()),
        )

    def paths(self) -> tuple[str, ...]:
        """Return the branches that are written."""
        model = self._controller.denoise
        if self.which.currentData():
            return tuple(path for path in model.paths if path)
        return prefixes(model.selected[0])

    def _ask(self) -> None:
        suffix, title = self.kind.currentData(), self.kind.currentText()
        picture = self._controller.denoise.picture
        if picture is None:
            return
        name = f"denoising {source_title(picture)}{suffix}".replace(" ", "-")
        self.hide()
        path, _ = QFileDialog.getSaveFileName(
            self.parentWidget(), "Export the run", name, f"{title} (*{suffix})"
        )
        if path:
            target = Path(path)
            if target.suffix.lower() != suffix:
                target = target.with_name(f"{target.name}{suffix}")
            self.write(target)

    def write(self, path: Path) -> None:
        """Write the run; it stands in the status bar, with Cancel."""
        controller, model = self._controller, self._controller.denoise
        with controller.reporting():
            layout = self.layout_chosen()
            layout.check(path)
            arguments = {
                "path": str(path.absolute()),
                "picture": model.picture,
                "stored": model.stored,
                "directions": controller.own_directions(model.picture),
                "paths": self.paths(),
                "layout": layout,
            }
            controller.run_job(
                "export_denoising",
                f"Exporting {path.name}",
                arguments,
                on_value=lambda _done: controller.message.emit(
                    f"Written: {path.name}", str(path.absolute())
                ),
            )

    def command_text(self) -> str:
        """Return the command line that writes the same file; empty when there is none."""
        from latentlab.services.denoise_command import denoise_command

        controller, model = self._controller, self._controller.denoise
        if model.picture is None:
            return ""
        with controller.reporting():
            suffix = self.kind.currentData()
            return denoise_command(
                model.picture,
                model.stored,
                entry=controller.library.resolve(model.picture.model),
                paths=self.paths(),
                layout=self.layout_chosen(),
                out=f"{'strip' if suffix == '.png' else 'run'}{suffix}",
                device=controller.settings.device,
                directions=controller.own_directions(model.picture),
            )
        return ""

    def copy_command(self) -> None:
        """Put the command on the clipboard."""
        text = self.command_text()
        self.hide()
        if text:
            QGuiApplication.clipboard().setText(text)
            self._controller.message.emit("The command is on the clipboard", text)
