"""A panel in its dock: made when it is first needed, and what it says when the model cannot."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QStackedLayout, QWidget

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
    "steps": "work in steps",
    "layers": "change single layers",
}


def need_sentence(title: str, missing: list[str], header: ModelHeader | None) -> str:
    """Return what a panel would need, in one line."""
    if header is None:
        return f"{title} needs a model: open one in the library."
    able = " and ".join(_WORDS.get(need, need) for need in missing)
    name = header.spec.title or header.spec.id
    return f"{title} needs a model that can {able}; '{name}' cannot."


class PanelHost(QWidget):
    """One row of the panels' registry.

    Args:
        plugin: the row.
        controller: of the window.
    """

    def __init__(self, plugin: Plugin, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = plugin.row
        self.plugin = plugin
        self._controller = controller
        self.setAccessibleName(row.title)
        known = row.id in TOPICS
        self.setProperty(TOPIC, row.id if known else f"{row.title}|{row.summary}")
        self.panel: QWidget | None = None
        self._note = EmptyState(row.title, "")
        self._error = ErrorNote()
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self._note)
        self._stack.addWidget(self._error)
        self._load()
        controller.model_changed.connect(self._follow)
        self._follow(controller.model)

    def _load(self) -> None:
        try:
            self.panel = self.plugin.load()(self._controller)
        except LatentLabError as error:
            self._error.show_failure(Failure(error.message, error.details))
        except Exception as error:
            # A panel from elsewhere may fail in any way: the window goes on without it.
            title = self.plugin.row.title
            message = f"The panel '{title}' cannot be shown ({type(error).__name__}: {error})."
            self._error.show_failure(Failure(message))
        else:
            self._stack.addWidget(self.panel)

    def _follow(self, header: ModelHeader | None) -> None:
        if self.panel is None:
            self._stack.setCurrentWidget(self._error)
            return
        row = self.plugin.row
        missing = missing_capabilities(row.needs, header)
        if missing:
            self._note.say(row.title, need_sentence(row.title, missing, header))
        self._stack.setCurrentWidget(self._note if missing else self.panel)
