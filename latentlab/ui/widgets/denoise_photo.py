"""What a diffusion model does with a photograph: noise, inversion, and restorations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QFrame,
    QScrollArea,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.denoising import Sampling
from latentlab.core.requests import Failure
from latentlab.ui.widgets.denoise_photo_corrupt import CorruptPage
from latentlab.ui.widgets.denoise_photo_invert import InvertPage
from latentlab.ui.widgets.denoise_photo_mode import ModePage
from latentlab.ui.widgets.denoise_photo_restore import (
    ColourisePage,
    EnlargePage,
    InpaintPage,
    UncropPage,
)
from latentlab.ui.widgets.denoise_photo_source import SourceBar, take_data, takes
from latentlab.ui.widgets.denoise_photo_state import PhotoState
from latentlab.ui.widgets.flow_layout import FlowLayout
from latentlab.ui.widgets.notes import EmptyState, ErrorNote

_TEACH = (
    "Drown a photograph in noise and denoise it back, find its noise and change what it shows, or "
    "let the model draw a part, a border, the colour or the detail anew. Drop or paste a "
    "photograph here, or begin with a sample portrait."
)
_TABS: tuple[tuple[str, str, type[ModePage]], ...] = (
    ("C&orrupt", "Add noise up to a time, then denoise back", CorruptPage),
    ("In&vert", "Find the noise of the photograph, then edit the condition", InvertPage),
    ("In&paint", "Paint over what shall be drawn anew", InpaintPage),
    ("&Uncrop", "Draw a border around the photograph", UncropPage),
    ("Colou&r", "Find colours for a grey photograph", ColourisePage),
    ("&Enlarge", "Draw detail into a small photograph", EnlargePage),
)


class ModeBar(QWidget):
    """What can be done, in a row that goes on in the next one where the dock is narrow.

    Signals:
        chosen: place of the one that is wanted.
    """

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("What to do with the photograph")
        self.buttons: list[QToolButton] = []
        self._row = FlowLayout(self, spacing=2)
        self._row.setContentsMargins(0, 0, 0, 0)

    def add(self, title: str, tip: str) -> None:
        """Add one at the end."""
        button = QToolButton(self, text=title)
        button.setToolTip(tip)
        button.setAccessibleName(title.replace("&", ""))
        button.setAccessibleDescription(tip)
        button.setCheckable(True)
        button.setAutoExclusive(True)
        button.setAutoRaise(True)
        place = len(self.buttons)
        button.setChecked(place == 0)
        button.toggled.connect(lambda on: self.chosen.emit(place) if on else None)
        self.buttons.append(button)
        self._row.addWidget(button)


class PhotoPage(QWidget):
    """A photograph, and a row of things to do with it.

    Args:
        controller: of the window.
    """

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Photograph")
        self.setAcceptDrops(True)
        self.state = PhotoState(controller, self)
        self.source = SourceBar(self.state)
        self.bar = ModeBar()
        self.pages: list[ModePage] = []
        self._empty = EmptyState(
            "What the model does with a photograph",
            _TEACH,
            "A &sample portrait",
            self.state.load_portrait,
        )
        self._error = ErrorNote()
        self._build()
        self.state.changed.connect(self._follow)
        self.state.failed.connect(self._fail)
        self.state.busy_changed.connect(lambda _busy: self._follow())
        self._follow()

    def _build(self) -> None:
        work = QWidget()
        self._stack = QStackedLayout()
        # Before its pages: without a widget around it, the first would be a window.
        column = QVBoxLayout(work)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.bar)
        column.addLayout(self._stack, 1)
        for title, tip, make in _TABS:
            self.bar.add(title, tip)
            page = make(self.state)
            self.pages.append(page)
            area = QScrollArea()
            area.setFrameShape(QFrame.Shape.NoFrame)
            area.setWidgetResizable(True)
            area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            area.setWidget(page)
            self._stack.addWidget(area)
        self.bar.chosen.connect(self._stack.setCurrentIndex)
        self._work = work
        content = QWidget()
        self._content = QStackedLayout(content)
        for widget in (self._empty, self._error, self._work):
            self._content.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(4)
        layout.addWidget(self.source)
        layout.addWidget(content, 1)

    def use_settings(self, settings: Callable[[], Sampling]) -> None:
        """Take sampler and steps from here, instead of from the canvas."""
        self.state.use_settings(settings)

    def page(self, kind: type[ModePage]) -> ModePage:
        """Return the page of a class."""
        return next(page for page in self.pages if isinstance(page, kind))

    def show_page(self, kind: type[ModePage]) -> ModePage:
        """Bring the page of a class to the front and return it."""
        page = self.page(kind)
        self.bar.buttons[self.pages.index(page)].setChecked(True)
        return page

    def _follow(self) -> None:
        photo = self.state.photo
        if photo is not None:
            self._content.setCurrentWidget(self._work)
        elif self.state.busy or self._content.currentWidget() is not self._error:
            self._content.setCurrentWidget(self._empty)
        reading = self.state.busy and photo is None
        self._empty.say(
            "Reading the photograph" if reading else "What the model does with a photograph",
            "" if reading else _TEACH,
        )
        self._empty.set_button("" if reading else "A &sample portrait")

    def _fail(self, failure: Failure) -> None:
        """Say it where the photograph would be; one that is here stays."""
        if self.state.photo is None:
            self._error.show_failure(failure)
            self._content.setCurrentWidget(self._error)
        else:
            self.state.controller.message.emit(failure.message, failure.details)

    # Dropped and pasted.

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take photographs."""
        if takes(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Take the photograph."""
        if take_data(self.state, event.mimeData()):
            event.acceptProposedAction()

    def event(self, event: QEvent) -> bool:
        """Take Ctrl+V here: it pastes the photograph of this page, not of the canvas."""
        if event.type() == QEvent.Type.ShortcutOverride and event.matches(
            QKeySequence.StandardKey.Paste
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Paste."""
        if event.matches(QKeySequence.StandardKey.Paste):
            self.source.paste()
        else:
            super().keyPressEvent(event)
