"""Directions from the labels of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QComboBox, QPushButton, QWidget

from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.points import PRIOR
from latentlab.core.requests import Failure
from latentlab.ui.widgets.direction_pages.data_chooser import DataChooser, source_title
from latentlab.ui.widgets.direction_pages.label_tree import LabelTree
from latentlab.ui.widgets.direction_pages.page import (
    LockedBox,
    Page,
    Tools,
    caption_label,
    column_in,
    named,
)
from latentlab.ui.widgets.image_mime import dropped_files
from latentlab.ui.widgets.notes import EmptyState
from latentlab.ui.widgets.quiet import QuietSpinBox

METHODS: Mapping[str, tuple[str, str]] = {
    "logistic": (
        "Logistic",
        "The boundary that tells images with from images without best. A good first choice.",
    ),
    "linear svm": (
        "Linear SVM",
        "The boundary with the widest margin: only the images near it count.",
    ),
    "mean difference": (
        "Mean difference",
        "The mean with, minus the mean without: steady, but it takes along what often comes "
        "with it.",
    ),
    "joint regression": (
        "Joint regression",
        "All labels at once: what one adds while the others stay the same.",
    ),
}
"""Title and explanation by method of ``fit_label_directions``."""
COUNT = (100, 1_000_000, 5000)
FEW = 1000
"""Images to use, unless a person says otherwise, where each takes many network evaluations."""
_PORTRAITS = "Use drawn &portraits"
_TEACH = (
    "Choose images whose labels are known: a folder with a sub-folder for each class, a zip, or "
    "your own images with a table. What parts the images with a label from those without becomes "
    "a slider."
)


class LabelsPage(Page):
    """Choose labelled images, labels and a method; fit; look at what was found."""

    def __init__(self, tools: Tools, parent: QWidget | None = None) -> None:
        super().__init__(tools, parent)
        self.setAcceptDrops(True)
        self.setAccessibleName("From labels")
        controller = self._controller
        self.data = DataChooser(controller)
        self.empty = EmptyState(
            "A slider from labelled images", _TEACH, _PORTRAITS, self._use_portraits
        )
        self.labels = LabelTree()
        self.method_box = QComboBox()
        self.method_box.setAccessibleName("Method")
        for key, (title, _) in METHODS.items():
            self.method_box.addItem(title, key)
        self.explanation = caption_label()
        self.count_box = QuietSpinBox()
        self.count_box.setRange(*COUNT[:2])
        self.count_box.setSingleStep(1000)
        self.count_box.setValue(COUNT[2])
        self.count_box.setGroupSeparatorShown(True)
        self.count_box.setAccessibleName("Images to use")
        self._usual_count = COUNT[2]
        self.locked = LockedBox(controller)
        self.fit_button = QPushButton()
        self.fit_button.clicked.connect(self.fit)
        self._wanted = ""
        self._lay_out()
        self.data.changed.connect(self._look)
        self.labels.changed.connect(self._follow)
        self.method_box.currentIndexChanged.connect(self._follow)
        self.jobs.changed.connect(self._follow)
        self._follow()

    def _lay_out(self) -> None:
        self._form = QWidget()
        form = column_in(self._form)
        form.addWidget(self.labels)
        form.addLayout(named("Me&thod", self.method_box))
        form.addWidget(self.explanation)
        form.addLayout(named("Images to &use", self.count_box))
        form.addWidget(self.locked)
        form.addWidget(self.fit_button)
        self._form.hide()
        for widget in (self.data, self.empty, self._form, self.jobs):
            self.column.addWidget(widget)

    def follow_model(self) -> None:
        """Labels stay: they are of the data."""
        model = self._controller.model
        drawn = model is not None and model.spec.provenance.data.get("name") == "portraits"
        self.empty.set_button(_PORTRAITS if drawn else "")
        self._propose_count()
        self._follow()

    def _propose_count(self) -> None:
        """Offer fewer images where each is slow; what a person chose stays."""
        model = self._controller.model
        slow = model is not None and "steps" in model.spec.capabilities
        usual = FEW if slow or self.data.source == PRIOR else COUNT[2]
        if self.count_box.value() == self._usual_count:
            self.count_box.setValue(usual)
        self._usual_count = usual
        what = "decoded and read" if self.data.source == PRIOR else "encoded"
        more = "; each takes this model many network evaluations" if slow else ""
        self.count_box.setToolTip(
            f"At most so many images are {what}: more are surer and slower{more}"
        )

    # The labels of a data set.

    def _use_portraits(self) -> None:
        self.data.choose("portraits")

    def take_files(self, paths: list[Path]) -> bool:
        """Take dropped files; return whether they were of use."""
        return self.data.take(paths)

    def _look(self) -> None:
        """Ask for the labels of what is chosen."""
        source = self.data.source
        self.empty.hide()
        self._form.hide()
        self._propose_count()
        if not source:
            self.empty.show()
            return
        arguments: dict[str, Any] = {"source": source}
        if self.data.split:
            arguments["split"] = self.data.split
        if self.data.table:
            arguments["attributes"] = self.data.table
        title = f"Labels of {source_title(source)}"
        self.jobs.run("label_names", title, arguments, self._take_labels)

    def _take_labels(self, rows: Any) -> None:
        if not rows:
            self.jobs.fail(
                Failure(
                    "These images have no labels: put each class into a folder of its own, or "
                    "choose a table of labels above."
                )
            )
            return
        self.labels.set_rows(rows)
        if self._wanted:
            self.labels.check([self._wanted])
            self._wanted = ""
        self._form.show()
        self._follow()

    # Fitting.

    @property
    def method(self) -> str:
        """As ``fit_label_directions`` takes it."""
        return str(self.method_box.currentData())

    def _objection(self) -> str:
        model = self._controller.model
        if model is None:
            return "Open a model first."
        if "encode" not in model.spec.capabilities and self.data.source != PRIOR:
            return "This model cannot take images in: label its own samples by hand instead."
        return "" if self.labels.chosen else "Check one label or more."

    def _follow(self, *_: object) -> None:
        self.explanation.setText(METHODS[self.method][1])
        count = self.labels.directions
        objection = self._objection()
        running = self.jobs.runs("fit_label_directions")
        self.fit_button.setEnabled(not objection and not running)
        many = f"&Fit {count} directions"
        self.fit_button.setText(
            "Fitting…" if running else many if count > 1 else "&Fit the direction"
        )
        first = "Read the samples" if self.data.source == PRIOR else "Encode the images"
        self.fit_button.setToolTip(objection or f"{first} and fit; nothing changes yet")

    def fit(self) -> None:
        """Fit the directions of the chosen labels."""
        if not self.fit_button.isEnabled():
            return
        labels = self.labels.chosen
        arguments: dict[str, Any] = {
            "model": self.model_id,
            "source": self.data.source,
            "labels": labels,
            "method": self.method,
            "count": self.count_box.value(),
            "orthogonal_to": self.locked.directions(),
            **self.moving(),
        }
        if self.data.split:
            arguments["split"] = self.data.split
        if self.data.table:
            arguments["attributes"] = self.data.table
        what = labels[0] if len(labels) == 1 else f"{len(labels)} labels"
        self.jobs.run("fit_label_directions", f"Fitting {what}", arguments, self._tools.show)

    def refit(self, direction: Direction) -> None:
        """Fill in what a direction was fitted on, so that it can be fitted again.

        Raises:
            LatentLabError: it does not say.
        """
        known = direction.provenance
        data = known.get("data")
        data = data if isinstance(data, Mapping) else {}
        source = data.get("source")
        if not isinstance(source, str) or not source:
            raise LatentLabError(
                f"'{direction.name}' does not say on which images it was fitted: choose labelled "
                "images here."
            )
        split, table = (data.get(key) for key in ("split", "attributes"))
        label = known.get("column", known.get("label"))
        at = self.method_box.findData(direction.method)
        if at >= 0:
            self.method_box.setCurrentIndex(at)
        self._wanted = label if isinstance(label, str) else direction.name
        self.data.choose(
            source,
            split if isinstance(split, str) else None,
            table if isinstance(table, str) else None,
        )

    # Drops.

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take data sets and tables."""
        if dropped_files(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Choose what was dropped."""
        if self.take_files(dropped_files(event.mimeData())):
            event.acceptProposedAction()
