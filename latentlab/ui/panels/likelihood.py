"""The likelihood panel: how likely the model finds images, and what that does not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QPoint, QSize, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QScrollArea,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.likelihood import simplicity_sentence, verdict
from latentlab.ui.help import HelpPopup
from latentlab.ui.icons import icon
from latentlab.ui.likelihood_model import LikelihoodModel
from latentlab.ui.widgets.image_mime import dropped_files
from latentlab.ui.widgets.likelihood_bar import LikelihoodBar
from latentlab.ui.widgets.likelihood_files import LikelihoodFiles
from latentlab.ui.widgets.likelihood_image import LikelihoodImage
from latentlab.ui.widgets.likelihood_plot import LikelihoodPlot
from latentlab.ui.widgets.likelihood_strip import LikelihoodStrip
from latentlab.ui.widgets.notes import EmptyState, ErrorNote
from latentlab.ui.widgets.picture_menu import show_menu
from latentlab.ui.widgets.setting_controls import QuietCombo

_WHAT = (
    "Score the images of a data set by the model's likelihood, in bits/dim, and see where the "
    "image of the canvas stands among them. Compare two data sets, and look at the least likely "
    "images."
)
_BEGIN = "S&core these images"
_LIMITS = "A likelihood is no outlier test: a simple image of other data may score as likely."
LIMITS_TEXT = (
    "A density is high where an image is easy to predict. So a model may find simple images of "
    "quite other data likelier than its own: flows trained on photographs of objects score house "
    "numbers higher, and any image higher when its contrast is lowered (Nalisnick et al. 2019, "
    "arXiv 1810.09136). Compare with the faded copies, or another data set: an AUC below 0.5 is "
    "this failure.\n\n"
    "Subtracting the length of the image as a PNG removes part of it (Serrà et al. 2020, arXiv "
    "1909.11480). It is a remedy, not a proof: PNG is a crude measure of simplicity.\n\n"
    "A likely image need not be typical either: in many dimensions, samples lie at a distance "
    "from the mode. Of a VAE the score is a bound, looser for some images than for others. The "
    "least likely images of one's own data are worth a look; whether they are wrong, the figure "
    "cannot say."
)


class LikelihoodPanel(QWidget):
    """Settings, the image of the canvas, the histogram, and the extreme images.

    Args:
        controller: of the window.
    """

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Likelihood")
        self.setAcceptDrops(True)
        self._controller = controller
        self._strip_of: object = None
        self.model = LikelihoodModel(controller, self)
        self.bar = LikelihoodBar()
        self.image = LikelihoodImage(controller, self.model)
        self.photo = QuietCombo()
        self.plot = LikelihoodPlot()
        self.verdict = QLabel()
        self.limits = QToolButton()
        self.more = QToolButton()
        self.strip = LikelihoodStrip(controller)
        self.end = QuietCombo()
        self.strip_more = QToolButton()
        self.files = LikelihoodFiles(controller, self.model, self._shown_end, self)
        self.empty = EmptyState("How likely are these images?", _WHAT, _BEGIN, self._begin)
        self.error = ErrorNote()
        self._name()
        self._lay_out()
        self._connect()
        self._recolour()
        self._follow_model()

    # Building.

    def _name(self) -> None:
        self.photo.setAccessibleName("What of the photograph is scored")
        self.photo.setToolTip("Score the photograph itself, or what the model makes of it")
        self.photo.addItem("The photograph", True)
        self.photo.addItem("Its reconstruction", False)
        self.verdict.setWordWrap(True)
        self.verdict.setTextFormat(Qt.TextFormat.PlainText)
        self.verdict.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.verdict.setAccessibleName("What the scores say")
        self.limits.setText("What it does not sa&y")
        self.limits.setToolTip(_LIMITS)
        self.limits.setAutoRaise(True)
        for button, tip in (
            (self.more, "Copy or save the histogram"),
            (self.strip_more, "Save these images, or the list"),
        ):
            button.setAccessibleName(tip)
            button.setToolTip(tip)
            button.setAutoRaise(True)
        self.end.setAccessibleName("Which images")
        self.end.setToolTip("The images at one end of the scores")
        self.end.setSizeAdjustPolicy(QuietCombo.SizeAdjustPolicy.AdjustToContents)

    def _lay_out(self) -> None:
        self._note = QLabel(_LIMITS)
        self._note.setWordWrap(True)
        note = QHBoxLayout()
        note.addWidget(self._note, 1)
        note.addWidget(self.limits)
        scores = QWidget()
        column = QVBoxLayout(scores)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        head = QHBoxLayout()
        head.addWidget(self.verdict, 1)
        head.addWidget(self.more, 0, Qt.AlignmentFlag.AlignTop)
        column.addLayout(head)
        column.addWidget(self.plot, 1)
        line = QHBoxLayout()
        line.addWidget(self.end, 1)
        line.addWidget(self.strip_more)
        self._strip_head = QWidget()
        self._strip_head.setLayout(line)
        line.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._strip_head)
        column.addWidget(self.strip)
        pages = QWidget()
        self._pages = QStackedLayout(pages)
        for page in (scores, self.empty, self.error):
            self._pages.addWidget(page)
        content = QWidget()
        inside = QVBoxLayout(content)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(4)
        inside.addWidget(self.image)
        inside.addWidget(self.photo)
        inside.addWidget(pages, 1)
        area = QScrollArea()
        area.setWidget(content)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 4)
        layout.setSpacing(6)
        layout.addWidget(self.bar)
        layout.addWidget(area, 1)
        layout.addLayout(note)

    def _connect(self) -> None:
        controller, model = self._controller, self.model
        controller.model_changed.connect(self._follow_model)
        controller.document_changed.connect(self._follow_photo)
        self.bar.score_asked.connect(self._begin)
        self.bar.cancel_asked.connect(model.cancel)
        self.bar.corrected_toggled.connect(
            lambda on: model.set_quantity("corrected" if on else "bits")
        )
        self.photo.activated.connect(
            lambda row: model.canvas.prefer_photo(bool(self.photo.itemData(row)))
        )
        self.plot.toggled.connect(model.toggle)
        self.plot.menu_wanted.connect(lambda at: show_menu(self.files.plot_menu(), at))
        self.more.clicked.connect(lambda: self._popup(self.files.plot_menu(), self.more))
        self.strip.files_wanted.connect(lambda at: show_menu(self.files.strip_menu(), at))
        self.strip_more.clicked.connect(
            lambda: self._popup(self.files.strip_menu(), self.strip_more)
        )
        self.end.activated.connect(lambda _row: self._fill_strip())
        self.limits.clicked.connect(self.explain)
        model.scores_changed.connect(self._follow)
        model.image_changed.connect(self._follow)
        model.running_changed.connect(self._follow)

    # Following.

    def _follow_model(self, *_: object) -> None:
        self.bar.set_model(self.model.spec)
        self._follow_photo()
        self._follow()

    def _follow_photo(self, *_: object) -> None:
        self.photo.setVisible(self.model.canvas.has_photo)
        self.photo.setCurrentIndex(0 if self.model.canvas.prefers_photo else 1)

    def _follow(self) -> None:
        model = self.model
        self.bar.set_running(model.running)
        shown = model.histogram()
        if model.begun or model.running:
            self._pages.setCurrentIndex(0)
        elif model.failure is not None:
            self.error.show_failure(model.failure)
            self._pages.setCurrentWidget(self.error)
        else:
            self._pages.setCurrentWidget(self.empty)
        self.plot.show_data(shown)
        self._say()
        self._fill_ends()

    def _say(self) -> None:
        model, found = self.model, self.model.complete
        said = []
        if model.running:
            said.append("Scoring…")
        elif model.failure is not None:
            said.append(f"⚠ {model.failure.message}")
        elif len(found) == 2:
            said.append(verdict(found[0], found[1], model.quantity))
        elif not found and model.begun:
            said.append("Not all images were scored.")
        if found and not model.running:
            said += [simplicity_sentence(found[0]), found[0].caveat]
        self.verdict.setText(" ".join(filter(None, said)))
        self.more.setEnabled(bool(found))

    def _fill_ends(self) -> None:
        """Offer both ends of every data set that is scored."""
        found = [(at, one) for at, one in enumerate(self.model.sets) if one is not None]
        state = [(at, id(one)) for at, one in found], self.model.quantity
        self._strip_head.setVisible(bool(found))
        self.strip.setVisible(bool(found))
        if state == self._strip_of:
            return
        self._strip_of = state
        chosen = self.end.currentData()
        self.end.clear()
        words = {"bits": ("Least likely", "Most likely"), "corrected": ("Highest", "Lowest")}
        for at, _ in found:
            title = self.model.histogram().titles[at]
            for least, word in zip((True, False), words[self.model.quantity]):
                self.end.addItem(f"{word} of {title}", (at, least))
        self.end.setCurrentIndex(max(0, self.end.findData(chosen)))
        self._fill_strip()

    def _shown_end(self) -> tuple[Any, bool]:
        data = self.end.currentData()
        at, least = data if data is not None else (0, True)
        sets = self.model.sets
        return (sets[at] if at < len(sets) else None), bool(least)

    def _fill_strip(self) -> None:
        scores, least = self._shown_end()
        self.strip.extremes.take(scores, self.model.quantity, least)
        self.strip.scrollToTop()
        self.strip.setAccessibleName(self.end.currentText() or "Extreme images")

    # Scoring.

    def _begin(self) -> None:
        with self._controller.reporting():
            self.model.score(self.bar.choices(), self.bar.samples.value())

    def explain(self) -> None:
        """Say what a likelihood does not say."""
        popup = HelpPopup("What a likelihood does not say", LIMITS_TEXT, self.window())
        popup.show_at(self.limits.mapToGlobal(QPoint(0, self.limits.height())))

    def _popup(self, menu: QMenu, button: QToolButton) -> None:
        show_menu(menu, button.mapToGlobal(QPoint(0, button.height())))

    # In sight or not; drops; looks.

    def showEvent(self, event) -> None:
        """The image of the canvas is scored while somebody looks."""
        super().showEvent(event)
        self.model.canvas.set_watched(True)

    def hideEvent(self, event) -> None:
        """Nothing starts by itself out of sight."""
        self.model.canvas.set_watched(False)
        super().hideEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take a data set: a folder, or a file that is no image."""
        if self._dropped_data(event.mimeData()) is not None:
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()

    def dropEvent(self, event: QDropEvent) -> None:
        """Choose the data set that was dropped, to compare with."""
        found = self._dropped_data(event.mimeData())
        if found is not None:
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
            self.bar.against.add(str(found))

    @staticmethod
    def _dropped_data(data: Any) -> Path | None:
        for path in dropped_files(data):
            if path.is_dir() or path.suffix.lower() in (".zip", ".gz", ".bin"):
                return path
        return None

    def _recolour(self) -> None:
        for button in (self.more, self.strip_more):
            button.setIcon(icon("export", self.palette()))
            button.setIconSize(QSize(16, 16))
        self.empty.set_picture(icon("likelihood", self.palette()).pixmap(64, 64))

    def changeEvent(self, event: QEvent) -> None:
        """Another palette has other icons."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "error"):
            self._recolour()
