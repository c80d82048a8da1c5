"""How well a direction tells its label: a figure with its interval on a small scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from latentlab.ui.widgets.colours import faint
from latentlab.ui.widgets.matrix_paint import small_font

_WIDTH, _LINE = 120, 10


@dataclass(frozen=True)
class Evidence:
    """A cross-validated figure.

    Attributes:
        kind: ``AUC`` or ``Correlation``.
        value: the figure.
        low: lower end of its interval.
        high: upper end.
        level: of the interval, for example 0.95.
    """

    kind: str
    value: float
    low: float
    high: float
    level: float = 0.95

    @property
    def nothing(self) -> float:
        """The figure of a direction that tells nothing."""
        return 0.5 if self.kind == "AUC" else 0.0

    @property
    def weak(self) -> bool:
        """Whether the interval includes the figure of a direction that tells nothing."""
        return self.low <= self.nothing

    @property
    def text(self) -> str:
        """The figure and its interval, with few digits."""
        return (
            f"{self.kind} {_short(self.value)}, {100 * self.level:.3g} % interval "
            f"{_short(self.low)} to {_short(self.high)}"
        )

    @property
    def warning(self) -> str:
        """What to do about a weak figure; empty for a good one."""
        if not self.weak:
            return ""
        return (
            f"Weak: the interval includes {self.nothing:g}, which is chance. Use more images, or "
            "another label."
        )


def _short(value: float) -> str:
    digits = 3 if value > 0.985 else 2
    return f"{value:.{digits}f}".replace("-", "−")


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def evidence_of(provenance: Mapping[str, Any]) -> Evidence | None:
    """Return the figure of a direction's provenance, which anybody may have written."""
    for key, kind in (("auc", "AUC"), ("correlation", "Correlation")):
        value, ends = _number(provenance.get(key)), provenance.get("interval")
        if value is None or not isinstance(ends, (list, tuple)) or len(ends) != 2:
            continue
        low, high = _number(ends[0]), _number(ends[1])
        if low is not None and high is not None:
            return Evidence(kind, value, low, high, _number(provenance.get("level")) or 0.95)
    return None


class EvidenceBar(QWidget):
    """Paints a figure as a mark on its interval, from chance to 1, with three ticks."""

    def __init__(self, evidence: Evidence | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._evidence = evidence
        self.show_evidence(evidence)

    def show_evidence(self, evidence: Evidence | None) -> None:
        """Show another figure; ``None`` shows nothing."""
        self._evidence = evidence
        said = "No figure yet" if evidence is None else evidence.text
        self.setAccessibleName(said)
        self.setToolTip("" if evidence is None else f"{said}, on images that were not fitted")
        self.setVisible(evidence is not None)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """A small bar and the numbers under it."""
        return QSize(_WIDTH + 24, _LINE + self.fontMetrics().height())

    def x_of(self, value: float) -> float:
        """Return where a figure stands, in logical pixels; beyond the ends it stands there."""
        low = 0.5 if self._evidence is None else self._evidence.nothing
        share = (min(max(value, low), 1.0) - low) / (1 - low)
        return 12 + share * (self.width() - 24)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the scale, the interval and the figure."""
        found = self._evidence
        if found is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = _LINE / 2 + 1
        left, right = self.x_of(found.nothing), self.x_of(1)
        painter.setPen(QPen(faint(self.palette(), 0.4), 1))
        painter.drawLine(left, middle, right, middle)
        accent = self.palette().color(QPalette.ColorRole.Highlight)
        low, high = self.x_of(found.low), self.x_of(found.high)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(accent)
        # Never too thin to be seen.
        width = max(3.0, high - low)
        painter.drawRoundedRect(QRectF(min(low, right - width), middle - 2, width, 4), 2, 2)
        at = self.x_of(found.value)
        painter.setBrush(self.palette().color(QPalette.ColorRole.Window))
        painter.setPen(QPen(accent, 2))
        painter.drawEllipse(QRectF(at - 3.5, middle - 3.5, 7, 7))
        painter.setFont(small_font(self.font()))
        painter.setPen(faint(self.palette(), 0.85))
        for value in (found.nothing, (1 + found.nothing) / 2, 1.0):
            x = self.x_of(value)
            line = QRectF(x - 16, _LINE + 1, 32, self.height() - _LINE)
            painter.drawText(line, Qt.AlignmentFlag.AlignCenter, f"{value:g}")
