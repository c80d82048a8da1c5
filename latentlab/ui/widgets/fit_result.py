"""A direction that was found and is not yet a slider: how good it is, what it does, add it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.direction import Direction
from latentlab.core.directionfile import save_direction
from latentlab.ui.edits import readable
from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.direction_pages.canvas_latents import CanvasLatents
from latentlab.ui.widgets.direction_pages.direction_strip import DirectionStrip
from latentlab.ui.widgets.direction_pages.evidence_bar import Evidence, EvidenceBar, evidence_of
from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.matrix_paint import small_font

SUFFIX = ".direction.safetensors"
_FILTER = "Direction (*.safetensors)"


def plain_file_name(name: str) -> str:
    """Return a name that every file system takes."""
    kept = "".join(c if c.isalnum() or c in " ._-" else "_" for c in name)
    return kept.strip(" .") or "direction"


def caption(direction: Direction) -> str:
    """Return how a direction was found, in one line."""
    known = direction.provenance
    data = known.get("data")
    counts = data if isinstance(data, dict) else {}
    words = [direction.method or "unknown method"]
    positive, negative = counts.get("positive"), counts.get("negative")
    count = known.get("count", counts.get("count"))
    if isinstance(positive, int) and isinstance(negative, int):
        words.append(f"{positive:,} with, {negative:,} without")
    elif isinstance(count, int) and not isinstance(count, bool):
        words.append(f"{count:,} image{'s' * (count != 1)}")
    share, distance = known.get("share"), known.get("distance")
    if isinstance(share, float):
        words.append(f"{100 * share:.2g} % of the variance")
    if isinstance(distance, float):
        words.append(f"{distance:.1f} σ apart")
    others = known.get("orthogonal_to")
    if isinstance(others, (list, tuple)) and others:
        names = ", ".join(readable(str(one)).lower() for one in others[:4])
        words.append(f"orthogonal to {names}{' and more' if len(others) > 4 else ''}")
    return " · ".join(words)


def file_facts(direction: Direction, fingerprint: str) -> tuple[str, str]:
    """Return what a direction file says of where it fits, and a warning or nothing.

    Args:
        direction: of the file.
        fingerprint: of the current model.
    """
    fact = f"Space {direction.space}"
    if direction.fingerprint == fingerprint:
        return f"{fact} ✓ · made on these weights ✓", ""
    if not direction.fingerprint:
        return f"{fact} ✓ · does not say on which weights it was made", ""
    warning = "Made on other weights: its effect and its scale may differ here."
    return f"{fact} ✓ · weights {direction.fingerprint[:8]}…", warning


class FitResult(QWidget):
    """One found direction.

    Args:
        controller: of the window.
        base: the image that its strip moves.
        direction: what was found.
        path: the file that it was read from, if it was.

    Signals:
        discarded: it is to go away.
    """

    discarded = Signal()

    def __init__(
        self,
        controller: Any,
        base: CanvasLatents,
        direction: Direction,
        path: Path | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._found = direction
        self._path = path
        self._added = ""
        self._base = base
        self.setObjectName("fitResult")
        self.name_box = QLineEdit(direction.name)
        self.evidence = EvidenceBar(evidence_of(direction.provenance))
        self.figure = QLabel()
        self.caption = ElidedLabel(caption(direction))
        self.warning = QLabel()
        self.strip = DirectionStrip(controller, base)
        self.add_button = QPushButton("&Add slider")
        self.export_button = QPushButton("&Export…")
        self.discard_button = QPushButton("&Discard")
        self._lay_out()
        self._connect()
        self._say()
        self.strip.set_direction(direction)
        self._follow()

    def _lay_out(self) -> None:
        self.name_box.setMaxLength(80)
        self.name_box.setAccessibleName("Name of the slider")
        self.name_box.setToolTip("What the slider will be called")
        font = self.name_box.font()
        font.setBold(True)
        self.name_box.setFont(font)
        for label in (self.figure, self.warning):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
        self.caption.setFont(small_font(self.font()))
        figures = QHBoxLayout()
        figures.addWidget(self.evidence)
        figures.addWidget(self.figure, 1)
        buttons = FlowLayout()
        for button in (self.add_button, self.export_button, self.discard_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 8)
        layout.setSpacing(4)
        layout.addWidget(self.name_box)
        layout.addWidget(self.caption)
        layout.addLayout(figures)
        layout.addWidget(self.warning)
        layout.addWidget(self.strip)
        layout.addLayout(buttons)

    def _connect(self) -> None:
        self.name_box.textChanged.connect(lambda _text: self._follow())
        self.name_box.returnPressed.connect(self._press)
        self.add_button.clicked.connect(self._press)
        self.export_button.clicked.connect(self._ask_file)
        self.discard_button.clicked.connect(self.discarded)
        self._controller.directions_changed.connect(self._follow)

    def _say(self) -> None:
        """Say what is known of it."""
        found = evidence_of(self._found.provenance)
        lines = [] if found is None or not found.warning else [found.warning]
        if self._path is not None:
            model = self._controller.model
            mark = "" if model is None else model.spec.fingerprint
            fact, warning = file_facts(self._found, mark)
            self.caption.setText(f"{fact} · {caption(self._found)}")
            lines += [warning] if warning else []
        self.warning.setText("\n".join(f"⚠ {line}" for line in lines))
        self.warning.setVisible(bool(lines))
        self.figure.setText(_figure(found))
        self.figure.setVisible(found is not None)
        self.setAccessibleName(f"Found: {readable(self._found.name)}")
        words = [self.caption.text(), "" if found is None else found.text, *lines]
        self.setAccessibleDescription(". ".join(word for word in words if word))

    # What a person does.

    @property
    def direction(self) -> Direction:
        """What was found, under the name that the person gave it."""
        name = " ".join(self.name_box.text().split())
        return replace(self._found, name=name or self._found.name)

    @property
    def added(self) -> str:
        """The name of its slider while there is one; empty before."""
        known = self._controller.directions.get(self._added)
        return self._added if known is not None else ""

    def add(self) -> None:
        """Make it a slider: one step of the history."""
        if self.added:
            return
        direction = self.direction
        if self._path is not None and direction.name == self._found.name:
            name = self._controller.import_direction(self._path)
            self.take_added(name or "")
            return
        label = f"Add {readable(direction.name)}"
        names = self._controller.add_directions([direction], label)
        self.take_added(names[0] if names else "")

    def take_added(self, name: str) -> None:
        """Take the name of the slider that was made of it."""
        self._added = name
        self._follow()

    def _press(self) -> None:
        if self.added:
            self._controller.select_slider(self.added)
        else:
            self.add()

    def export(self, path: Path | str) -> None:
        """Write it as a file, added or not."""
        path = Path(path)
        with self._controller.reporting():
            save_direction(path, self.direction)
            self._controller.message.emit(f"Written: {path.name}", str(path.absolute()))

    def _ask_file(self) -> None:
        start = f"{plain_file_name(self.direction.name)}{SUFFIX}"
        path, _ = QFileDialog.getSaveFileName(self, "Export a direction", start, _FILTER)
        if path:
            self.export(path if path.endswith(".safetensors") else f"{path}{SUFFIX}")

    def _follow(self) -> None:
        added = self.added
        self.add_button.setText("&Show slider" if added else "&Add slider")
        said = f"It is a slider now: {added}" if added else "Put it among the attributes (Enter)"
        self.add_button.setToolTip(said)
        self.discard_button.setText("&Close" if added else "&Discard")
        self.name_box.setReadOnly(bool(added))
        self.strip.setAccessibleName(f"{readable(self.direction.name)} from −3 to +3 σ")

    # Painting.

    def changeEvent(self, event: QEvent) -> None:
        """Write captions in the colours of the palette."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._recolour()

    def _recolour(self) -> None:
        palette = self.caption.palette()
        colour = faint(self.palette(), 0.85)
        if palette.color(QPalette.ColorRole.WindowText) != colour:
            palette.setColor(QPalette.ColorRole.WindowText, colour)
            self.caption.setPalette(palette)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """A thin line parts it from what is above."""
        painter = QPainter(self)
        painter.setPen(QPen(faint(self.palette(), 0.25), 1))
        painter.drawLine(0, 0, self.width(), 0)


def _figure(found: Evidence | None) -> str:
    """Return the figure beside the bar."""
    if found is None:
        return ""
    kind, _, rest = found.text.partition(",")
    return f"{kind}\n{rest.strip().partition('interval ')[2]}"
