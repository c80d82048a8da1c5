"""Label images by hand, quickly, and watch the direction come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import replace_file
from latentlab.core.requests import Failure
from latentlab.ui.widgets.direction_pages.direction_strip import DirectionStrip
from latentlab.ui.widgets.direction_pages.evidence_bar import EvidenceBar
from latentlab.ui.widgets.direction_pages.groups_page import MethodBox
from latentlab.ui.widgets.direction_pages.labelling import YesNoStrip
from latentlab.ui.widgets.direction_pages.labelling_model import (
    MAP,
    NO,
    PRIOR,
    SKIP,
    TRAY,
    YES,
    LabellingModel,
)
from latentlab.ui.widgets.direction_pages.live_fit import ENOUGH, ENOUGH_TO_CHECK, LiveFit, live_fit
from latentlab.ui.widgets.direction_pages.page import (
    LockedBox,
    Page,
    Tools,
    caption_label,
    named,
)
from latentlab.ui.widgets.fit_result import plain_file_name
from latentlab.ui.widgets.flow_layout import FlowLayout

_SOURCES = (
    (PRIOR, "New samples"),
    (MAP, "Points of the map"),
    (TRAY, "The tray"),
)


class LabellingPage(Page):
    """One image at a time: yes, no or skip; the direction follows every answer."""

    def __init__(self, tools: Tools, parent: QWidget | None = None) -> None:
        super().__init__(tools, parent)
        self.setAccessibleName("Label by hand")
        controller = self._controller
        self.model = LabellingModel(controller, self)
        self.live: LiveFit | None = None
        self.name_box = QLineEdit(placeholderText="for example: freckles")
        self.name_box.setMaxLength(80)
        self.name_box.setAccessibleName("What are you labelling?")
        self.source_box = QComboBox()
        self.source_box.setAccessibleName("Images to label")
        for key, title in _SOURCES:
            self.source_box.addItem(title, key)
        self.strip = YesNoStrip(controller, self.model)
        self.counts = QLabel()
        self.hint = caption_label()
        self.evidence = EvidenceBar()
        self.evidence_text = QLabel()
        self.preview = DirectionStrip(controller, tools.base)
        self.method_box = MethodBox()
        self.explanation = caption_label()
        self.locked = LockedBox(controller)
        self.fit_button = QPushButton("&Fit the direction")
        self.fit_button.clicked.connect(self.fit)
        self.save_button = QPushButton("Sa&ve answers…")
        self.save_button.setToolTip("Write the answers as a CSV table")
        self.save_button.clicked.connect(self._ask_file)
        self.clear_button = QPushButton("Start &over")
        self.clear_button.setToolTip("Forget the answers; Backspace brings them back")
        self.clear_button.clicked.connect(self.model.clear)
        # After the next image is painted: the answer must not wait for it.
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._fit_live)
        self._lay_out()
        self._connect()
        self._follow()

    def _lay_out(self) -> None:
        figures = QHBoxLayout()
        figures.addWidget(self.evidence)
        figures.addWidget(self.evidence_text, 1)
        buttons = FlowLayout()
        for button in (self.fit_button, self.save_button, self.clear_button):
            buttons.addWidget(button)
        self.column.addLayout(named("&Labelling", self.name_box))
        self.column.addLayout(named("Ima&ges", self.source_box))
        for widget in (self.strip, self.counts, self.hint):
            self.column.addWidget(widget)
        self.column.addLayout(figures)
        self.column.addWidget(self.preview)
        self._end = QWidget()
        end = QHBoxLayout(self._end)
        end.setContentsMargins(0, 0, 0, 0)
        end.addLayout(named("Me&thod", self.method_box), 1)
        for widget in (self._end, self.explanation, self.locked):
            self.column.addWidget(widget)
        self.column.addLayout(buttons)
        self.column.addWidget(self.jobs)

    def _connect(self) -> None:
        self.model.changed.connect(self._follow)
        self.model.changed.connect(self._soon.start)
        self._tools.parts.changed.connect(self._soon.start)
        self.source_box.activated.connect(self._choose_source)
        self.name_box.textChanged.connect(self._follow)
        self.name_box.returnPressed.connect(self.strip.setFocus)
        self.method_box.currentIndexChanged.connect(self._follow)
        self.jobs.changed.connect(self._follow)

    def begin(self) -> None:
        """Take the keys: the page was asked for."""
        self.strip.setFocus()

    def showEvent(self, event: QShowEvent) -> None:
        """Fetch the first images when they are first seen."""
        super().showEvent(event)
        self.model.fetch()

    def follow_model(self) -> None:
        """Show images of another model; its own answers come back with it."""
        at = self.source_box.findData(self.model.session.source)
        self.source_box.setCurrentIndex(at)
        self.model.stop()
        if self.isVisible():
            self.model.fetch()

    def _choose_source(self) -> None:
        self.model.choose_source(str(self.source_box.currentData()))
        self.strip.setFocus()

    @property
    def name(self) -> str:
        """What is labelled."""
        return " ".join(self.name_box.text().split()) or "my label"

    # The direction so far.

    def _fit_live(self) -> None:
        session, space = self.model.session, self.space
        self.live = None
        if space is not None:
            yes, no, skipped = (
                [one.latents for one in session.of(answer)] for answer in (YES, NO, SKIP)
            )
            mark = self._controller.model.spec.fingerprint
            self.live = live_fit(self.name, space, yes, no, skipped, mark)
        found = None if self.live is None else self.live.evidence
        self.evidence.show_evidence(found)
        self.evidence_text.setVisible(found is not None)
        if found is not None:
            weak = "\n⚠ Not yet better than chance" if found.weak else ""
            self.evidence_text.setText(
                f"AUC {found.value:.2f}\n{found.low:.2f} to {found.high:.2f}{weak}"
            )
        self.preview.setVisible(self.live is not None)
        self.preview.set_direction(None if self.live is None else self.live.direction)

    def _follow(self, *_: object) -> None:
        model = self.model
        yes, no, skipped = (model.count(answer) for answer in (YES, NO, SKIP))
        self.counts.setText(f"{yes} yes · {no} no" + (f" · {skipped} skipped" if skipped else ""))
        self.hint.setText(_hint(yes, no))
        self.hint.setVisible(bool(self.hint.text()))
        self.method_box.set_sizes(yes, no)
        self.explanation.setText(self.method_box.explanation)
        able = min(yes, no) >= ENOUGH
        for widget in (self._end, self.explanation, self.locked):
            widget.setVisible(able)
        running = self.jobs.running
        self.fit_button.setEnabled(able and not running)
        self.fit_button.setText("Fitting…" if running else "&Fit the direction")
        self.fit_button.setToolTip(
            "Fit it on all answers, with its AUC" if able else f"Needs {ENOUGH} of each"
        )
        self.save_button.setEnabled(bool(model.session.order))
        self.clear_button.setEnabled(bool(model.session.order))

    # What comes of it.

    def fit(self) -> None:
        """Fit the direction from no to yes."""
        if not self.fit_button.isEnabled():
            return
        try:
            arguments: dict[str, Any] = {
                "model": self.model_id,
                "name": self.name,
                "positive": (self.model.group(YES),),
                "negative": (self.model.group(NO),),
                "method": self.method_box.method,
                "orthogonal_to": self.locked.directions(),
                **self.moving(),
            }
        except LatentLabError as error:
            self.jobs.fail(Failure(error.message, error.details))
            return
        title = f"Fitting {self.name}"
        self.jobs.run("fit_group_direction", title, arguments, self._tools.show)

    def save(self, path: Path | str) -> None:
        """Write the answers as CSV."""
        path = Path(path)
        text = self.model.table(self.name)
        with self._controller.reporting():
            replace_file(path, lambda target: target.write_text(text, encoding="utf-8"))
            self._controller.message.emit(f"Written: {path.name}", str(path.absolute()))

    def _ask_file(self) -> None:
        start = f"{plain_file_name(self.name)}.csv"
        path, _ = QFileDialog.getSaveFileName(self, "Save answers", start, "Tables (*.csv)")
        if path:
            self.save(path if path.lower().endswith(".csv") else f"{path}.csv")


def _hint(yes: int, no: int) -> str:
    """Return what is still missing."""
    if not yes and not no:
        return (
            "Press Y or N for each image (or Right and Left), Space to skip, Backspace to go back."
        )
    for enough, what in ((ENOUGH, "the direction"), (ENOUGH_TO_CHECK, "its AUC")):
        missing = [
            f"{enough - count} more {word}"
            for count, word in ((yes, "yes"), (no, "no"))
            if count < enough
        ]
        if missing:
            return f"{' and '.join(missing)} until {what} shows."
    return ""
