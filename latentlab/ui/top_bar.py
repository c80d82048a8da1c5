"""The choosers at the right end of the menu bar: model, device, seed."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from latentlab.core.document import Document
from latentlab.services.library import Entry
from latentlab.ui.icons import icon
from latentlab.ui.widgets.seed_box import SeedBox

DEVICES: tuple[tuple[str, str], ...] = (
    ("auto", "Auto"),
    ("cpu", "CPU"),
    ("cuda", "CUDA"),
    ("mps", "MPS"),
)


class TopBar(QWidget):
    """Model, device, seed and reroll.

    Args:
        window: it has ``controller`` and ``choose_device``.
    """

    def __init__(self, window: Any) -> None:
        super().__init__(window)
        self.setAccessibleName("Model, device and seed")
        self._window = window
        self._controller = window.controller
        self._entries: list[Entry] = []
        self.model = self._chooser("Model", "The model that the canvas shows", 190)
        self.device = self._chooser("Device", "Where the networks run", 78)
        self.seed = SeedBox()
        self.seed.setAccessibleName("Seed of the first image")
        self.seed.setToolTip("Seed of the first image ( [ and ] step )")
        self.seed.setFixedWidth(92)
        self.reroll = QToolButton()
        self.reroll.setAutoRaise(True)
        self.reroll.setAccessibleName("Reroll")
        self.reroll.setToolTip("Reroll: random seeds (R)")
        self._build()
        self._connect()
        self.recolour()
        self.refresh()
        self._follow(self._controller.document)

    def _chooser(self, name: str, tip: str, width: int) -> QComboBox:
        box = QComboBox()
        box.setAccessibleName(name)
        box.setToolTip(tip)
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        box.setMinimumWidth(width)
        return box

    def _build(self) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 2, 8, 2)
        layout.setSpacing(6)
        rows = (("M&odel", self.model), ("&Device", self.device), ("Seed", self.seed))
        for text, widget in rows:
            label = QLabel(text)
            label.setBuddy(widget)
            layout.addWidget(label)
            layout.addWidget(widget)
            layout.addSpacing(4)
        layout.addWidget(self.reroll)
        for value, text in DEVICES:
            self.device.addItem(text, value)
        chosen = self._controller.settings.device
        if self.device.findData(chosen) < 0:
            self.device.addItem(chosen, chosen)
        self.device.setCurrentIndex(self.device.findData(chosen))

    def _connect(self) -> None:
        controller = self._controller
        self.model.activated.connect(self._choose_model)
        self.device.activated.connect(
            lambda place: self._window.choose_device(self.device.itemData(place))
        )
        self.seed.edited.connect(lambda seed: controller.set_sampling(seed=seed))
        self.reroll.clicked.connect(lambda: controller.reroll())
        controller.library_changed.connect(self.refresh)
        controller.model_changed.connect(lambda _model: self.refresh())
        controller.document_changed.connect(self._follow)

    def recolour(self) -> None:
        """Draw the icon anew, for another palette."""
        self.reroll.setIcon(icon("dice", self.palette()))

    def refresh(self) -> None:
        """Read the library again."""
        entries = [e for e in self._controller.library.entries() if e.error is None]
        if [e.id for e in entries] == [e.id for e in self._entries]:
            # Other titles at most: a list that is open stays open.
            self._entries = entries
            for place, entry in enumerate(entries):
                if self.model.itemText(place) != entry.title:
                    self.model.setItemText(place, entry.title)
        else:
            self._entries = entries
            self.model.clear()
            for entry in entries:
                self.model.addItem(entry.title, entry.id)
        current = self._controller.model_entry
        self.model.setCurrentIndex(-1 if current is None else self.model.findData(current.id))
        self.model.setEnabled(bool(entries))

    def _choose_model(self, place: int) -> None:
        chosen = self.model.itemData(place)
        current = self._controller.model_entry
        if current is None or chosen != current.id:
            self._controller.open_model(chosen)

    def _follow(self, document: Document) -> None:
        canvas = document.canvas
        self.seed.setEnabled(canvas is not None)
        self.reroll.setEnabled(canvas is not None)
        if canvas is not None and canvas.seeds and self.seed.value != canvas.seeds[0]:
            self.seed.set_value(canvas.seeds[0])
