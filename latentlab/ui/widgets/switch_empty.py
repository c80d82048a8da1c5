"""What stands where a matrix would be: what the panel does, one button to begin, one picture."""

from __future__ import annotations

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QPushButton, QSizePolicy, QVBoxLayout, QWidget

from latentlab.ui.icons import icon
from latentlab.ui.switch_model import SwitchModel
from latentlab.ui.widgets.notes import EmptyState

FIRST = 4
"""Pictures that a matrix begins with."""
_ICON_SIDE = 64
_TEXT = (
    "Every picture of the matrix has {rows} of the picture beside its row and {columns} of the "
    "one above its column; the diagonal shows the pictures themselves, made again. Begin with "
    "samples, or drop photographs and kept pictures here."
)


class SwitchEmpty(QWidget):
    """Offers to begin.

    Args:
        model: the matrix.
    """

    def __init__(self, model: SwitchModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.state = EmptyState(
            "", "", f"Swit&ch {FIRST} samples", lambda: model.add_samples(FIRST)
        )
        self.portraits = QPushButton(f"or {FIRST} sample port&raits")
        self.portraits.setFlat(True)
        self.portraits.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.portraits.setToolTip("Portraits that no model was trained on, encoded by this one")
        self.state.add_other(self.portraits)
        self.portraits.clicked.connect(lambda: model.add_portraits(FIRST))
        layout = QVBoxLayout(self)
        layout.addWidget(self.state)
        self._draw()
        self.follow()

    def follow(self) -> None:
        """Speak of the parts of the current model."""
        model = self._model
        rows, columns = (text[:1].lower() + text[1:] for text in model.texts)
        words = [f"the {text} part" if text else "a part" for text in (rows, columns)]
        self.state.say(
            "Put one picture's parts into another", _TEXT.format(rows=words[0], columns=words[1])
        )
        spec = model.spec
        able = spec is not None and "sample" in spec.capabilities
        self.state.set_button(f"Swit&ch {FIRST} samples" if able else "")
        self.portraits.setVisible(model.of_portraits and model.takes_photos)

    def changeEvent(self, event: QEvent) -> None:
        """Draw the picture anew in another palette."""
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "state"):
            self._draw()
        super().changeEvent(event)

    def _draw(self) -> None:
        self.state.set_picture(icon("switch", self.palette()).pixmap(_ICON_SIDE, _ICON_SIDE))
