"""What the Train panel says before there is a run."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPalette, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.notes import EmptyState
from latentlab.ui.widgets.run_marks import Mark
from latentlab.ui.widgets.run_series import smooth

_TITLE = "No training run yet"
_TEXT = (
    "Training fits a model to your own images. A run goes on in the background, also when this "
    "window is closed; here you see its curves and samples, pause and resume it, and open it in "
    "every panel while it learns."
)
_LOOKING = "Looking for runs"


def sample_curves(palette: QPalette, width: int = 220, height: int = 96) -> QPixmap:
    """Return a drawing of two falling losses, for the empty panel."""
    ratio = 2
    pixmap = QPixmap(width * ratio, height * ratio)
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(faint(palette, 0.5), 1))
    room = QRectF(8, 6, width - 16, height - 14)
    painter.drawPolyline([room.topLeft(), room.bottomLeft(), room.bottomRight()])
    x = np.linspace(0, 1, 160)
    rng = np.random.default_rng(7)
    for slot, (fall, end) in enumerate(((9.0, 0.16), (5.0, 0.34))):
        clean = end + (0.95 - end) * np.exp(-fall * x)
        noisy = clean + rng.normal(0, 0.04, x.shape) * (0.4 + clean)
        for values, alpha, wide in ((noisy, 70, 1.0), (smooth(noisy, 0.85), 255, 1.8)):
            pen = Mark(slot).pen(palette, wide)
            colour = QColor(pen.color())
            colour.setAlpha(alpha)
            pen.setColor(colour)
            painter.setPen(pen)
            places = zip(room.left() + x * room.width(), room.bottom() - values * room.height())
            painter.drawPolyline(QPolygonF([QPointF(a, max(b, room.top())) for a, b in places]))
    painter.end()
    return pixmap


class RunsEmpty(QWidget):
    """What training is, one button to begin, another to watch.

    Signals:
        new_asked: a new run is wanted.
        watch_asked: a folder of runs is to be watched.
    """

    new_asked = Signal()
    watch_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.state = EmptyState(_TITLE, _TEXT, "&New run", lambda: self.new_asked.emit())
        self.watch = QPushButton("&Watch a folder…", self)
        self.watch.setToolTip("Show runs that were started elsewhere, for example on a shared disk")
        self.watch.setFlat(True)
        self.watch.clicked.connect(lambda: self.watch_asked.emit())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addStretch(1)
        layout.addWidget(self.state)
        layout.addWidget(self.watch, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(2)
        self.state.set_picture(sample_curves(self.palette()))

    def set_looking(self, looking: bool) -> None:
        """Say that folders are still being looked through."""
        self.state.say(_LOOKING if looking else _TITLE, _TEXT)

    def changeEvent(self, event: QEvent) -> None:
        """Another palette has other colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.state.set_picture(sample_curves(self.palette()))
