"""A small form: the switch matrix, or the mix grid, as a PNG or as a command."""

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

from latentlab.services.switch_command import MAX_SCALE, SwitchLayout, switch_command
from latentlab.ui.switch_blend import SwitchBlend
from latentlab.ui.widgets.quiet import QuietSpinBox

_COMMAND_TIP = "The command line that writes the same file, byte for byte"


class SwitchExport(QFrame):
    """What is written; it goes away with the next click beside it, or Esc.

    Args:
        controller: of the window.
        blend: the pair, and its matrix.
    """

    def __init__(self, controller: Any, blend: SwitchBlend, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName("Export the switch")
        self._controller, self._blend = controller, blend
        self.what = QComboBox()
        self.what.setAccessibleName("What is written")
        self.what.addItem("The matrix", False)
        self.what.addItem("The mix grid of the pair", True)
        self.heads = QCheckBox("&Sources beside rows and columns")
        self.heads.setChecked(True)
        self.captions = QCheckBox("&Captions: what comes from where")
        self.captions.setChecked(True)
        self.scale = QuietSpinBox()
        self.scale.setRange(0, MAX_SCALE)
        self.scale.setSpecialValueText("as fits")
        self.scale.setSuffix(" ×")
        self.scale.setAccessibleName("Enlargement")
        self.scale.setToolTip("Each pixel becomes so many squared")
        self.save = QPushButton("&Save…")
        self.save.setDefault(True)
        self.command = QPushButton("Copy as co&mmand")
        self.command.setAutoDefault(False)
        self.command.setToolTip(_COMMAND_TIP)
        self._lay_out()
        self.what.currentIndexChanged.connect(self._follow)
        self.save.clicked.connect(self._ask)
        self.command.clicked.connect(self.copy_command)

    def _lay_out(self) -> None:
        self._form = QFormLayout(self)
        self._form.setContentsMargins(12, 12, 12, 12)
        self._form.addRow("&What", self.what)
        self._form.addRow(self.heads)
        self._form.addRow(self.captions)
        self._form.addRow("&Enlarge", self.scale)
        buttons = QHBoxLayout()
        buttons.addWidget(self.command)
        buttons.addStretch(1)
        buttons.addWidget(self.save)
        self._form.addRow(buttons)

    def _follow(self, *_: object) -> None:
        # A mix grid has its sources in its corners.
        self._form.setRowVisible(self.heads, not self.what.currentData())
        if self.isVisible():
            self.adjustSize()

    def show_under(self, widget: QWidget, *, mix: bool) -> None:
        """Open at a button.

        Args:
            widget: the button.
            mix: whether the mix grid is proposed.
        """
        able = self._blend.pair is not None
        self.what.setEnabled(able)
        self.what.setCurrentIndex(1 if mix and able else 0)
        self._follow()
        self.adjustSize()
        place = widget.mapToGlobal(QPoint(0, widget.height()))
        room = self.screen().availableGeometry()
        x = max(room.left(), min(place.x(), room.right() - self.width()))
        self.move(x, max(room.top(), min(place.y(), room.bottom() - self.height())))
        self.show()
        self.what.setFocus()

    # What is written.

    def layout_chosen(self) -> SwitchLayout:
        """Return what is filled in."""
        pair, mix = self._blend.pair, None
        if self.what.currentData() and pair is not None:
            mix = (pair[0] + 1, pair[1] + 1)
        return SwitchLayout(
            heads=self.heads.isChecked() and mix is None,
            captions=self.captions.isChecked(),
            scale=self.scale.value() or None,
            mix=mix,
            size=len(self._blend.amounts),
        )

    def _ask(self) -> None:
        self.hide()
        name = "mix.png" if self.what.currentData() else "switch.png"
        path, _ = QFileDialog.getSaveFileName(
            self.parentWidget(), "Export the switch", name, "PNG image (*.png)"
        )
        if path:
            target = Path(path)
            if target.suffix.lower() != ".png":
                target = target.with_name(f"{target.name}.png")
            self.write(target)

    def write(self, path: Path) -> None:
        """Write the file; it stands in the status bar, with Cancel."""
        controller, model = self._controller, self._blend.model
        given = None if model.plan is None else model.arguments(model.plan)
        if given is None:
            return
        with controller.reporting():
            layout = self.layout_chosen()
            layout.check(path)
            arguments = {**given, "path": str(path.absolute()), "layout": layout}
            controller.run_job(
                "export_switch",
                f"Exporting {path.name}",
                arguments,
                on_value=lambda _done: controller.message.emit(
                    f"Written: {path.name}", str(path.absolute())
                ),
            )

    def command_text(self) -> str:
        """Return the command line that writes the same file; empty when there is none yet."""
        controller, model = self._controller, self._blend.model
        plan, known = model.plan, model.known_latents
        if plan is None or len(known) < len(plan.looks):
            return ""
        with controller.reporting():
            layout = self.layout_chosen()
            return switch_command(
                plan.switch,
                known,
                entry=controller.library.resolve(plan.switch.model),
                layout=layout,
                out="switch.png" if layout.mix is None else "mix.png",
                device=controller.settings.device,
            )
        return ""

    def copy_command(self) -> None:
        """Put the command on the clipboard."""
        text = self.command_text()
        self.hide()
        if text:
            QGuiApplication.clipboard().setText(text)
            self._controller.message.emit("The command is on the clipboard", text)
