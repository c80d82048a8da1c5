"""The samples of a run over all of its training: the same seeds at every step, as a film."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QStackedLayout, QVBoxLayout, QWidget

from latentlab.core.requests import Failure
from latentlab.core.run_status import RunSummary
from latentlab.services.run_watch_protocol import SampleSheet
from latentlab.ui.widgets.elided_label import ElidedLabel
from latentlab.ui.widgets.image_view import ImageView
from latentlab.ui.widgets.run_player import SamplePlayer
from latentlab.ui.widgets.run_sheets import SheetLoader
from latentlab.ui.widgets.run_view_state import TrainView

_AHEAD = 6
_EMPTY = (
    "The first sample sheet comes after some steps of training: see sample_every in the recipe."
)
_FILMS = "WebP film (*.webp);;GIF film (*.gif);;MP4 film (*.mp4)"
_STEPS = {Qt.Key.Key_Comma: -1, Qt.Key.Key_Period: 1, Qt.Key.Key_PageUp: -10,
          Qt.Key.Key_PageDown: 10}  # fmt: skip


class _Side(QWidget):
    """One run's sheet with its caption."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.path: Path | None = None
        self.wanted: SampleSheet | None = None
        self.caption = ElidedLabel()
        self.images = ImageView()
        self.images.can_select = False
        self.images.setAccessibleName("Sample sheet")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.caption)
        layout.addWidget(self.images, 1)


class SamplesView(QWidget):
    """The sheets of the open run, beside those of a second one; a slider goes over all steps.

    Args:
        controller: of the window.
        view: what the person chose; it is changed here.

    Signals:
        view_changed: a choice was made.
    """

    view_changed = Signal()

    def __init__(self, controller: Any, view: TrainView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Samples")
        self._controller = controller
        self._view = view
        self._runs: list[RunSummary] = []
        self._sheets: list[list[Any]] = [[], []]
        self.loader = SheetLoader(self)
        self.sides = (_Side(), _Side())
        self.player = SamplePlayer(view, self)
        self.note = QLabel(_EMPTY)
        self._lay_out()
        self.loader.arrived.connect(self._arrived)
        self.player.moved.connect(lambda _place: self._show())
        self.player.view_changed.connect(self._follow_switches)
        self.player.export_asked.connect(self._ask_film)
        self._follow_switches()

    def _lay_out(self) -> None:
        self.note.setWordWrap(True)
        self.note.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.note.setContentsMargins(16, 16, 16, 16)
        pair = QWidget()
        row = QHBoxLayout(pair)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        for side in self.sides:
            row.addWidget(side, 1)
            side.images.installEventFilter(self)
        self.player.slider.installEventFilter(self)
        pages = QWidget()
        self._pages = QStackedLayout(pages)
        self._pages.addWidget(self.note)
        self._pages.addWidget(pair)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(pages, 1)
        layout.addWidget(self.player)

    def show_runs(self, runs: Sequence[RunSummary]) -> None:
        """Show the sheets of the first run, and of the second one beside it."""
        before = [run.path for run in self._runs[:1]]
        step = self._step()
        old_place = self.player.place
        self._runs = list(runs)
        feed = self._controller.runs
        self._sheets = [feed.samples(run.path) for run in self._runs[:2]]
        self._sheets += [[]] * (2 - len(self._sheets))
        first = self._sheets[0]
        self._pages.setCurrentIndex(1 if first else 0)
        self.sides[1].setVisible(len(self._runs) > 1)
        if before != [run.path for run in self._runs[:1]]:
            self.player.stop()
            place = len(first) - 1
        elif self._view.follow:
            place = len(first) - 1
        else:
            # Sheets may have gone with an attempt that was repeated: stay at the step.
            place = _nearest(first, step) if step is not None else old_place
        self.player.set_range(len(first), max(0, place))
        self._show()

    def _step(self) -> int | None:
        first, place = self._sheets[0], self.player.place
        return first[place].step if place < len(first) else None

    def _show(self) -> None:
        """Show the sheets of this place, or ask for them; those that follow are read ahead."""
        first, step = self._sheets[0], self._step()
        if step is None:
            for side in self.sides:
                side.path = side.wanted = None
                side.images.set_images(None)
            self.player.say_step("")
            return
        self.player.say_step(f"step {step:,} · {self.player.place + 1} of {len(first)}")
        wanted = []
        for side, sheets, run in zip(self.sides, self._sheets, self._runs):
            place = _nearest(sheets, step)
            if side.path != run.path:
                # What is still read is not yet known: another run's images are not its own.
                side.images.set_images(None)
            side.path, side.wanted = run.path, sheets[place] if sheets else None
            several = len(self._runs) > 1
            at = f"step {sheets[place].step:,}" if sheets else "no sheet yet"
            side.caption.setText(f"{run.name}: {at}" if several else "")
            side.caption.setVisible(several)
            wanted += sheets[place : place + 1]
            self._draw(side)
        ahead = range(self.player.place + 1, min(len(first), self.player.place + 1 + _AHEAD))
        wanted += [first[place] for place in ahead]
        if len(self._runs) > 1:
            others = (_nearest(self._sheets[1], first[place].step) for place in ahead)
            wanted += [self._sheets[1][place] for place in others if self._sheets[1]]
        self.loader.want(wanted)
        sides = self.sides[: len(self._runs)]
        self.player.set_ready(
            all(s.wanted is None or self.loader.get(s.wanted) is not None for s in sides)
        )

    def _draw(self, side: _Side) -> bool:
        """Draw the sheet of a side if it is here; until then the one before stays."""
        sheet = None if side.wanted is None else self.loader.get(side.wanted)
        if side.wanted is None:
            side.images.set_images(None)
        elif isinstance(sheet, Failure):
            side.images.show_failure(sheet)
        elif isinstance(sheet, np.ndarray):
            side.images.set_images(sheet[None])
        return sheet is not None or side.wanted is None

    def _arrived(self, sheet: SampleSheet) -> None:
        shown = self.sides[: len(self._runs)]
        if any(side.wanted == sheet for side in shown):
            for side in shown:
                if side.wanted == sheet:
                    self._draw(side)
            self.player.set_ready(
                all(s.wanted is None or self.loader.get(s.wanted) is not None for s in shown)
            )

    def _follow_switches(self) -> None:
        for side in self.sides:
            if side.images._smooth != self._view.smooth_images:
                side.images.set_smooth(self._view.smooth_images)
        self.view_changed.emit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Space plays; comma, full stop and the page keys step, from the images and the slider."""
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            if event.key() == Qt.Key.Key_Space:
                if not event.isAutoRepeat():
                    self.player.toggle()
                return True
            if (event.key() in _STEPS and watched is not self.player.slider) or event.key() in (
                Qt.Key.Key_Comma, Qt.Key.Key_Period,
            ):  # fmt: skip
                self.player.step_by(_STEPS[Qt.Key(event.key())])
                return True
        if event.type() == QEvent.Type.KeyRelease and isinstance(event, QKeyEvent):
            # The window shows the image without its edits while Space is held: not from here.
            return event.key() == Qt.Key.Key_Space
        return False

    # Films.

    def _ask_film(self) -> None:
        if not self._runs:
            return
        run = self._runs[0]
        path, chosen = QFileDialog.getSaveFileName(
            self, "Export the samples as a film", f"{run.name}.webp", _FILMS
        )
        if path:
            target = Path(path)
            if target.suffix.lower() not in (".webp", ".gif", ".mp4", ".png", ".apng"):
                suffix = chosen.rpartition("*")[2].rstrip(")")
                target = target.with_name(f"{target.name}{suffix}")
            self.export_film(target)

    def export_film(self, path: Path) -> None:
        """Write the sheets of the open run as a film; it stands in the status bar, with Cancel."""
        run = self._runs[0]
        self._controller.run_job(
            "sample_film",
            f"Film of {run.name}",
            {"run_dir": str(run.path), "path": str(path), "fps": float(self._view.fps)},
            on_value=lambda _film: self._controller.message.emit(
                f"Written: {path.name}", str(path)
            ),
        )


def _nearest(sheets: Sequence[Any], step: int) -> int:
    """Return the place of the sheet whose step is nearest; 0 without any."""
    if not sheets:
        return 0
    steps = np.array([sheet.step for sheet in sheets])
    return int(np.argmin(np.abs(steps - step)))
