"""Directions that were found: cards to look at, add, export or discard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from latentlab.core.direction import Direction
from latentlab.core.requests import Failure
from latentlab.ui.widgets.direction_pages.canvas_latents import CanvasLatents
from latentlab.ui.widgets.fit_result import FitResult
from latentlab.ui.widgets.notes import ErrorNote


class Results(QWidget):
    """The newest first; those of another model come back with it.

    Args:
        controller: of the window.
        base: the image that strips move.
    """

    def __init__(self, controller: Any, base: CanvasLatents, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._base = base
        self._cards: list[tuple[str, FitResult]] = []
        self.title = QLabel()
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.add_all = QPushButton("Add a&ll")
        self.add_all.setToolTip("Make all of them sliders, in one step of the history")
        self.add_all.clicked.connect(lambda: self.add_every())
        self.clear = QPushButton("Clea&r")
        self.clear.setToolTip("Put all of these away; sliders that were added stay")
        self.clear.clicked.connect(self.discard_every)
        self._error = ErrorNote()
        self._error.hide()
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.add_all)
        head.addWidget(self.clear)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self._column.addLayout(head)
        self._column.addWidget(self._error)
        controller.model_changed.connect(self._follow)
        controller.directions_changed.connect(self._follow)
        self._follow()

    @property
    def cards(self) -> list[FitResult]:
        """The cards of the current model, the newest first."""
        mark = self._mark()
        return [card for of, card in self._cards if of == mark]

    def _mark(self) -> str:
        mark: str = self._controller.model_mark
        return mark

    @property
    def failure(self) -> Failure | None:
        """Why a file could not be read, while that is said."""
        return None if self._error.isHidden() else self._error.failure

    def show_directions(
        self, directions: Sequence[Direction], path: Path | None = None
    ) -> list[FitResult]:
        """Put cards of found directions on top; return them.

        Args:
            directions: of the current model.
            path: the file that the one direction was read from.
        """
        self._error.hide()
        made = []
        for place, direction in enumerate(directions):
            card = FitResult(self._controller, self._base, direction, path)
            card.discarded.connect(lambda card=card: self._discard(card))
            self._cards.insert(place, (self._mark(), card))
            self._column.insertWidget(2 + place, card)
            made.append(card)
        self._follow()
        return made

    def show_failure(self, failure: Failure) -> None:
        """Say why there is no direction."""
        self._error.show_failure(failure)
        self._follow()

    def add_every(self) -> None:
        """Add what was not added: one step of the history."""
        cards = [card for card in self.cards if not card.added]
        count = len(cards)
        label = f"Add {count} directions" if count != 1 else "Add a direction"
        names = self._controller.add_directions([card.direction for card in cards], label)
        for card, name in zip(cards, names):
            card.take_added(name)
        self._follow()

    def discard_every(self) -> None:
        """Put all cards of this model away."""
        self._error.hide()
        for card in self.cards:
            self._discard(card)
        self._follow()

    def _discard(self, card: FitResult) -> None:
        self._cards = [pair for pair in self._cards if pair[1] is not card]
        self._column.removeWidget(card)
        card.hide()
        card.deleteLater()
        self._follow()

    def _follow(self, *_: object) -> None:
        mine = self.cards
        for _, card in self._cards:
            card.setVisible(card in mine)
        left = sum(not card.added for card in mine)
        self.title.setText(f"Found ({len(mine)})")
        self.add_all.setVisible(left > 1)
        self.clear.setVisible(len(mine) > 1)
        self.setVisible(bool(mine) or not self._error.isHidden())
        self.title.setVisible(bool(mine))
