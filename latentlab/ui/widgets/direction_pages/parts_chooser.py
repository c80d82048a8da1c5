"""Which parts of the latent new directions move: shown for models whose latents have several."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from latentlab.core.parts import ALL, PartChoice, part_choices
from latentlab.core.spec import LatentSpace

_TIP = "What new sliders move; the other parts of the latent stay as the picture has them"


class PartsBox(QComboBox):
    """Everything, a group of parts, or one part of a latent space.

    Args:
        tip: what the choice is for.
    """

    def __init__(self, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choices: tuple[PartChoice, ...] = ()
        self.setToolTip(tip)
        self.setAccessibleName("Parts of the latent")

    def set_space(self, space: LatentSpace | None, chosen: str = ALL) -> None:
        """Offer the parts of a space; what was chosen stays, if the space has it.

        Args:
            space: of the model.
            chosen: id of the choice where nothing was chosen yet, or another space had it.
        """
        choices = () if space is None else part_choices(space)
        if choices == self._choices:
            return
        # Another model begins anew: its parts mean something else.
        self._choices = choices
        self.blockSignals(True)
        self.clear()
        for choice in choices:
            self.addItem(choice.title, choice)
            numbers = sum(space.part(name).size for name in choice.parts) if space else 0
            tip = f"{', '.join(choice.parts)}: {numbers:,} numbers"
            self.setItemData(self.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.blockSignals(False)
        self.choose(chosen)

    @property
    def offers(self) -> bool:
        """Whether there is more than one choice."""
        return len(self._choices) > 1

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the chosen parts; none for all of them."""
        choice = self.currentData()
        return () if choice is None or choice.id == ALL else choice.parts

    def choose(self, wanted: str) -> None:
        """Choose by id, where there is such a choice."""
        ids = [choice.id for choice in self._choices]
        if wanted in ids:
            self.setCurrentIndex(ids.index(wanted))


class PartsChooser(QWidget):
    """The line of the directions panel that says what new directions move.

    Args:
        controller: of the window.

    Signals:
        changed: other parts are chosen.
    """

    changed = Signal()

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.box = PartsBox(_TIP)
        label = QLabel("Mov&es")
        label.setBuddy(self.box)
        line = QHBoxLayout(self)
        line.setContentsMargins(8, 0, 8, 0)
        line.setSpacing(6)
        line.addWidget(label)
        line.addWidget(self.box, 1)
        self.box.currentIndexChanged.connect(lambda _row: self.changed.emit())
        controller.model_changed.connect(self._follow)
        self._follow()

    def _follow(self, *_: object) -> None:
        model = self._controller.model
        self.box.set_space(None if model is None else model.spec.space())
        self.setVisible(self.box.offers)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the chosen parts; none for all of them."""
        model = self._controller.model
        known = set() if model is None else {part.name for part in model.spec.space().parts}
        # What was chosen may still be of the model before.
        return self.box.parts if set(self.box.parts) <= known else ()
