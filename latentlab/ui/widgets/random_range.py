"""The popover that moves many sliders at random, within a range, from a seed."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from latentlab.core.noise import uniform
from latentlab.ui.icons import icon
from latentlab.ui.widgets.quiet import QuietDoubleSpinBox
from latentlab.ui.widgets.seed_box import SeedBox
from latentlab.ui.widgets.sigma_slider import REACH

RANDOM_SEEDS = 1_000_000


def random_values(seed: int, reach: float, names: Iterable[str]) -> dict[str, float]:
    """Return a value in sigma for each slider, uniform in [-reach, reach], at two decimals.

    A value is a function of the seed and the slider's name alone: other sliders change nothing.
    """
    found = {}
    for name in names:
        part = float(uniform(seed, f"slider {name}", 0, (1,))[0])
        found[name] = round((2 * part - 1) * reach, 2)
    return found


class RandomRange(QFrame):
    """A popover: how far, which sliders, which seed. Esc closes it.

    Signals:
        rolled: seed, range in sigma, and whether only sliders in sight are meant.
    """

    rolled = Signal(object, float, bool)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName("Random slider values")
        self.reach = QuietDoubleSpinBox()
        self.reach.setRange(0.1, REACH)
        self.reach.setSingleStep(0.5)
        self.reach.setDecimals(1)
        self.reach.setValue(1.5)
        self.reach.setPrefix("±")
        self.reach.setSuffix(" σ")
        self.reach.setAccessibleName("Range in standard deviations")
        self.seed = SeedBox()
        self.seed.set_value(secrets.randbelow(RANDOM_SEEDS))
        self.seed.setAccessibleName("Seed of the random values")
        self.seed.edited.connect(lambda _seed: self._tell())
        self.dice = QToolButton()
        self.dice.setIcon(icon("dice", self.palette()))
        self.dice.setAccessibleName("Roll another seed")
        self.dice.setToolTip("Roll another seed and set the sliders")
        self.dice.clicked.connect(self._roll)
        self.only_shown = QCheckBox("Only sliders that are &shown now")
        self.only_shown.setChecked(True)
        self.only_shown.setToolTip("Found by the search, and not folded away")
        self.set_button = QPushButton("Set &sliders")
        self.set_button.setDefault(True)
        self.set_button.clicked.connect(self._tell)
        self._count = QLabel()
        self._count.setWordWrap(True)
        self._build()

    def _build(self) -> None:
        seeds = QHBoxLayout()
        seeds.addWidget(self.seed, 1)
        seeds.addWidget(self.dice)
        form = QFormLayout()
        form.addRow("&Range", self.reach)
        label = QLabel("S&eed")
        label.setBuddy(self.seed)
        form.addRow(label, seeds)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 12, 12, 12)
        layout.setSpacing(8)
        layout.addLayout(form)
        layout.addWidget(self.only_shown)
        layout.addWidget(self._count)
        layout.addWidget(self.set_button)

    def say_counts(self, shown: Mapping[bool, int], locked: int) -> None:
        """Say how many sliders move: of those in sight (true) and of all (false)."""

        def say(*_: object) -> None:
            count = shown[self.only_shown.isChecked()]
            text = f"{count} slider{'s' if count != 1 else ''} will move"
            self._count.setText(f"{text}; {locked} locked stay." if locked else f"{text}.")
            self.set_button.setEnabled(count > 0)
            self.dice.setEnabled(count > 0)

        self.only_shown.toggled.connect(say)
        say()

    def _roll(self) -> None:
        self.seed.set_value(secrets.randbelow(RANDOM_SEEDS))
        self._tell()

    def _tell(self) -> None:
        if self.set_button.isEnabled():
            self.reach.interpretText()
            self.rolled.emit(self.seed.value, self.reach.value(), self.only_shown.isChecked())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter sets the sliders, as the button does."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._tell()
        else:
            super().keyPressEvent(event)

    def show_under(self, widget: QWidget) -> None:
        """Show it under a button, all of it on the screen."""
        self.adjustSize()
        at = widget.mapToGlobal(QPoint(0, widget.height() + 2))
        screen = widget.screen().availableGeometry()
        x = min(max(at.x(), screen.left()), max(screen.left(), screen.right() - self.width()))
        y = min(at.y(), max(screen.top(), screen.bottom() - self.height()))
        self.move(x, y)
        self.show()
        self.reach.setFocus()
        self.reach.selectAll()
