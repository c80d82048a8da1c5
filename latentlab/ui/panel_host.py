"""A panel in its dock: made when it is first needed, and what it says when the model cannot."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QDockWidget, QStackedLayout, QWidget

from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import ModelHeader
from latentlab.core.registry import Plugin
from latentlab.core.requests import Failure
from latentlab.ui.edits import missing_capabilities
from latentlab.ui.help import TOPIC, TOPICS
from latentlab.ui.widgets.notes import EmptyState, ErrorNote

_WORDS = {
    "sample": "draw samples",
    "decode": "turn latents into images",
    "encode": "take images in",
    "convert": "convert between its latent spaces",
    "log_prob": "tell how likely an image is",
    "steps": "make an image step by step, as diffusion models do",
    "layers": "change single layers",
    "parts": "keep global and local parts, or layers, apart",
}


def need_sentence(title: str, missing: list[str], header: ModelHeader | None) -> str:
    """Return what a panel would need, in one line."""
    if header is None:
        return f"{title} needs a model: open one in the library."
    able = " and ".join(_WORDS.get(need, need) for need in missing)
    name = header.spec.title or header.spec.id
    return f"{title} needs a model that can {able}; '{name}' cannot."


class PanelHost(QWidget):
    """One row of the panels' registry; its panel is made when it is first seen or asked for.

    A panel takes a moment to import and to build: the window is painted before.

    Args:
        plugin: the row.
        controller: of the window.

    Signals:
        made: the panel, once.
    """

    made = Signal(object)

    def __init__(self, plugin: Plugin, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = plugin.row
        self.plugin = plugin
        self._controller = controller
        self.setAccessibleName(row.title)
        known = row.id in TOPICS
        self.setProperty(TOPIC, row.id if known else f"{row.title}|{row.summary}")
        self._panel: QWidget | None = None
        self._tried = False
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._make)
        self._blank = QWidget()
        self._able = ""
        self._behind = False
        self._settled = QTimer(self, singleShot=True, interval=0)
        self._settled.timeout.connect(self._turn)
        self._note = EmptyState(row.title, "", act=lambda: controller.open_model(self._able))
        self._error = ErrorNote()
        self._stack = QStackedLayout(self)
        for page in (self._blank, self._note, self._error):
            self._stack.addWidget(page)
        controller.model_changed.connect(self._follow)
        self._follow(controller.model)

    @property
    def panel(self) -> QWidget | None:
        """The panel; ``None`` when it cannot be shown."""
        self._make()
        return self._panel

    def _make(self) -> None:
        if self._tried:
            return
        self._tried = True
        self._load()
        self._follow(self._controller.model)
        if self._panel is not None:
            self.made.emit(self._panel)

    def _load(self) -> None:
        try:
            self._panel = self.plugin.load()(self._controller)
        except LatentLabError as error:
            self._error.show_failure(Failure(error.message, error.details))
        except Exception as error:
            # A panel from elsewhere may fail in any way: the window goes on without it.
            title = self.plugin.row.title
            message = f"The panel '{title}' cannot be shown ({type(error).__name__}: {error})."
            self._error.show_failure(Failure(message))
        else:
            self._stack.addWidget(self._panel)

    def follow_dock(self, dock: QDockWidget) -> None:
        """Hide what is behind another tab.

        Qt only moves such a dock out of the window: what is in it counts as visible, works on, and
        answers to Alt and a letter.

        Args:
            dock: that this stands in.
        """

        def turn(seen: bool) -> None:
            self._behind = not (seen or dock.isFloating())
            if self._behind:
                # Docks that are arranged anew come and go several times.
                self._settled.start()
            else:
                self._turn()

        dock.visibilityChanged.connect(turn)
        dock.topLevelChanged.connect(lambda floats: turn(floats or not self._behind))

    def _turn(self) -> None:
        self._follow(self._controller.model)

    def _follow(self, header: ModelHeader | None) -> None:
        row = self.plugin.row
        missing = missing_capabilities(row.needs, header)
        if missing:
            self._note.say(row.title, need_sentence(row.title, missing, header))
            self._offer()
        if self._behind:
            self._stack.setCurrentWidget(self._blank)
        elif self._tried and self._panel is None:
            self._stack.setCurrentWidget(self._error)
        else:
            self._stack.setCurrentWidget(self._note if missing else self._panel or self._blank)

    def _offer(self) -> None:
        """Lead to the first model of the library that can do what is needed, if there is one."""
        needs, entries = self.plugin.row.needs, self._controller.library.entries()
        able = [e for e in entries if e.error is None and not missing_capabilities(needs, e.header)]
        self._able = able[0].id if able else ""
        self._note.set_button(f"&Open {able[0].header.spec.title or able[0].id}" if able else "")

    def paintEvent(self, event: QPaintEvent) -> None:
        """Make the panel after this paint: what is seen first is the window."""
        super().paintEvent(event)
        if not self._tried and self._stack.currentWidget() is self._blank:
            self._soon.start()
