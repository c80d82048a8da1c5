"""The effects panel: which slider moves what, and how to untangle them."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QStackedLayout,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.effects import EffectReport
from latentlab.core.requests import Failure
from latentlab.ui.effects_model import (
    kept_names,
    report_sentence,
    side_effects,
    sigmas,
    stale_sentence,
)
from latentlab.ui.widgets.effects_bar import EffectsBar
from latentlab.ui.widgets.effects_matrices import EffectsMatrices
from latentlab.ui.widgets.notes import EmptyState, ErrorNote
from latentlab.ui.widgets.untangle_view import UntangleView

_WHAT = (
    "Sliders are entangled when one of them moves more than it should: eyeglasses that also make "
    "a face older. Measuring moves samples along every slider and reads what really changes."
)
_MEASURE = "Measure all sliders"
_CHOOSE = "Choose a labelled data set in its place; classifiers are fitted to its labels."
NAME_ROLE = Qt.ItemDataRole.UserRole + 1


class EffectsPanel(QWidget):
    """Measures what sliders do, warns of side effects and offers sliders that have fewer.

    Args:
        controller: of the window.
    """

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Effects")
        self._controller = controller
        self._job: Any = None
        self._partial: EffectReport | None = None
        self._found: Any = None
        self._asked: list[str] = []
        self._fingerprint = ""
        self.bar = EffectsBar()
        self.status = QLabel()
        self.matrices = EffectsMatrices(controller.title_of)
        self.warnings = QListWidget()
        self.untangle = UntangleView(controller)
        self.tabs = QTabWidget()
        self.empty = EmptyState("", "", _MEASURE, self._begin)
        self.error = ErrorNote()
        self._lay_out()
        self._connect()
        self._follow_model()

    def _lay_out(self) -> None:
        self.status.setWordWrap(True)
        self.status.setTextFormat(Qt.TextFormat.PlainText)
        self.warnings.setAccessibleName("Side effects, the largest first")
        self.warnings.setFrameShape(QFrame.Shape.NoFrame)
        self.warnings.setWordWrap(True)
        # Not by spacing: with it, Qt cuts lines that it has just wrapped.
        self.warnings.setStyleSheet("QListWidget::item { padding: 2px 0; }")
        self.warnings.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.warnings.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.warnings.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.matrices, "Ma&trices")
        self.tabs.addTab(self.warnings, "&Side effects")
        self.tabs.addTab(self.untangle, "&Untangle")
        content = QWidget()
        self._content = QStackedLayout(content)
        for page in (self.tabs, self.empty, self.error):
            self._content.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        layout.addWidget(content, 1)

    def _connect(self) -> None:
        controller = self._controller
        controller.model_changed.connect(self._follow_model)
        controller.directions_changed.connect(self._follow)
        controller.model_reloaded.connect(self._follow)
        controller.effects_changed.connect(self._follow)
        controller.job_changed.connect(self._follow_job)
        self.bar.measure_asked.connect(self._begin)
        self.bar.cancel_asked.connect(self._cancel)
        self.bar.reader_changed.connect(self._follow)
        self.matrices.edit_asked.connect(self._try_edit)
        self.matrices.slider_asked.connect(controller.select_slider)
        self.matrices.failed.connect(controller.report)
        self.warnings.itemActivated.connect(lambda item: self._try_edit(item.data(NAME_ROLE)))
        self.untangle.untangle_asked.connect(self._untangle)
        self.untangle.accept_asked.connect(self._accept)
        self.untangle.discard_asked.connect(self._discard)

    # Following.

    def _follow_model(self, *_: object) -> None:
        model = self._controller.model
        mark = self._controller.model_mark
        if mark != self._fingerprint:
            self._fingerprint = mark
            self._cancel()
            self._found = self._partial = None
        self.bar.set_model(None if model is None else model.spec)
        self._follow()

    def _follow(self, *_: object) -> None:
        """Show what is known about the current sliders."""
        measured = self._controller.measured_effects
        if self._found is not None and kept_names(
            self._controller.directions, self._asked_for.values()
        ) != tuple(self._asked_for):
            # What was found answers for sliders that are no more.
            self._found = None
        report = self._partial or (None if measured is None else measured.report)
        self.error.hide()
        if report is None:
            self._show_empty()
            return
        self._content.setCurrentWidget(self.tabs)
        changed = () if measured is None else measured.changed(self._controller.directions)
        dim = bool(changed) and self._partial is None
        self._say_status(report)
        if self._found is not None:
            self.matrices.show_report(self._found.before, after=self._found.after)
        else:
            self.matrices.show_report(report, dim=dim)
            self.untangle.show_choice(report, self._controller.locked)
        self.untangle.set_able(self._why_not_untangle(dim))
        self._fill_warnings(report)

    def _say_status(self, report: EffectReport) -> None:
        measured = self._controller.measured_effects
        said = report_sentence(report)
        if self._partial is not None:
            said = f"So far, {said[:1].lower()}{said[1:]}"
        elif measured is not None:
            directions = self._controller.directions
            changed, new = measured.changed(directions), measured.unmeasured(directions)
            stale = stale_sentence(changed, new, self._controller.title_of)
            said = stale if changed else f"{said} {stale}".strip()
            if measured.fingerprint not in ("", self._controller.model.spec.fingerprint):
                step = self._controller.weights_text(measured.fingerprint)
                said = f"⚠ Measured at {step}, and the model has learnt since: measure again."
        self.status.setText(said)
        self.status.show()

    def _why_not_untangle(self, dim: bool) -> str:
        if self._job is not None:
            return "Wait until it is measured."
        if dim:
            return "Measure again first: the sliders changed."
        return self.bar.objection

    def _show_empty(self) -> None:
        self.status.hide()
        self._content.setCurrentWidget(self.empty)
        controller, button = self._controller, _MEASURE
        if controller.model is None:
            title, text, button = "No model is open", "Choose a model in the library.", ""
        elif not controller.directions:
            title = "There are no sliders to measure"
            text, button = f"{_WHAT} Make a direction first.", ""
        elif self._job is not None:
            title, text, button = "Measuring", "The matrix appears as soon as it is known.", ""
        elif self.bar.objection:
            title, text = "What do these sliders move?", f"{self.bar.objection} {_CHOOSE}"
            button = "Choose a &data set"
        else:
            title, text = "What do these sliders move?", _WHAT
        self.empty.say(title, text)
        self.empty.set_button(button)

    def _fill_warnings(self, report: EffectReport) -> None:
        found = side_effects(report)
        self.warnings.clear()
        for effect in found:
            mark = "⚠ " if effect.warns else ""
            item = QListWidgetItem(mark + effect.sentence(self._controller.title_of))
            item.setData(NAME_ROLE, effect.direction)
            item.setToolTip(f"Enter shows it on the canvas at {sigmas(report.amount)}")
            self.warnings.addItem(item)
        if not found:
            self.warnings.addItem("No slider's own attribute is read: nothing can be compared.")
        count = sum(effect.warns for effect in found)
        self.tabs.setTabText(1, f"&Side effects ⚠ {count}" if count else "&Side effects")

    # Measuring.

    def _begin(self) -> None:
        if self.bar.objection:
            self.bar.choose_source()
            return
        self._partial = None
        with self._controller.reporting():
            self._job = self._controller.measure_effects(
                self.bar.settings(),
                on_done=self._end_job,
                on_failure=self._fail,
                on_partial=self._take_partial,
            )
        self._follow_job()
        self._follow()

    def _take_partial(self, value: Any) -> None:
        if isinstance(value, EffectReport):
            self._partial = value
            self._follow()

    def _end_job(self) -> None:
        self._job = self._partial = None
        self._found = None
        self._follow_job()
        self._follow()

    def _fail(self, failure: Failure) -> None:
        self._job = self._partial = None
        self._follow_job()
        self._follow()
        if self._content.currentWidget() is self.empty:
            self.error.show_failure(failure)
            self._content.setCurrentWidget(self.error)
        else:
            self.status.setText(f"⚠ {failure.message}")

    def _cancel(self) -> None:
        if self._job is not None and self._job in self._controller.jobs:
            self._controller.cancel(self._job)

    def _follow_job(self) -> None:
        """Follow the job; one that was cancelled ends without a word."""
        if self._job is not None and self._job not in self._controller.jobs:
            self._job = self._partial = None
            self._follow()
        self.bar.set_running(self._job is not None)

    def _try_edit(self, name: str | None) -> None:
        """Put an edit on the canvas, so that a person sees it."""
        if name is None or name not in self._controller.directions:
            return
        if self.matrices.shows_after and self._found is not None:
            self._controller.message.emit("Use the new sliders first, then try them.", "")
            return
        report = self._controller.effects
        amount = self.bar.amount_box.value() if report is None else report.amount
        self._controller.set_edit(name, amount)
        self._controller.end_merge()

    # Untangling.

    def _untangle(self, names: list[str]) -> None:
        measured = self._controller.measured_effects
        settings = self.bar.settings()
        if measured is not None:
            # What is compared is what was measured.
            settings["reader"] = measured.reader
        self._asked = list(names)
        directions = dict(self._controller.directions)
        with self._controller.reporting():
            self._job = self._controller.untangle(
                names,
                settings,
                on_value=lambda found: self._take_found(found, directions),
                on_failure=self._fail,
            )
        self._follow_job()
        self._follow()

    _asked_for: dict[str, Any] = {}

    def _take_found(self, found: Any, directions: dict[str, Any]) -> None:
        self._job = None
        if kept_names(self._controller.directions, directions.values()) != tuple(directions):
            self._controller.message.emit("The sliders changed meanwhile: untangle them again.", "")
            self._follow_job()
            return
        self._found, self._asked_for = found, directions
        self._follow_job()
        self._follow()
        self.untangle.show_result(self._asked, directions, found, self._controller.locked)
        self.tabs.setCurrentWidget(self.untangle)

    def _accept(self) -> None:
        found, self._found = self._found, None
        if found is None:
            return
        controller = self._controller
        same = kept_names(controller.directions, found.directions)
        new = {d.name: d for d in found.directions if d.name not in same}
        reader = self.bar.reader
        count = len(new)
        controller.replace_directions(new, f"Untangle {count} slider{'s' * (count != 1)}")
        controller.take_effects(found.after, list(controller.directions.values()), reader)
        self.tabs.setCurrentWidget(self.matrices)

    def _discard(self) -> None:
        self._found = None
        self._follow()
