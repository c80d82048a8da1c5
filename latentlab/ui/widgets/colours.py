"""Colours that mean something: categories that everyone can tell apart, and a ramp for values."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor, QPalette

from latentlab.core import palette as known

OKABE_ITO: tuple[str, ...] = tuple("#{:02X}{:02X}{:02X}".format(*rgb) for rgb in known.OKABE_ITO)
"""Categories (Okabe and Ito 2008), black left out."""

# Cividis (Nunez, Anderton and Renslow 2018) at 17 equal steps; between them it is nearly straight.
_CIVIDIS = (
    (0, 32, 77), (0, 44, 105), (6, 54, 110), (45, 66, 108), (65, 77, 107), (82, 89, 108),
    (97, 100, 111), (111, 112, 115), (125, 124, 120), (139, 135, 121), (155, 148, 119),
    (172, 161, 116), (188, 175, 111), (206, 188, 104), (224, 203, 94), (242, 218, 80),
    (255, 234, 70),
)  # fmt: skip


def cividis() -> NDArray[np.uint8]:
    """Return the colour ramp cividis: uint8 ``(256, 3)``, from low to high."""
    anchors = np.asarray(_CIVIDIS, np.float64)
    at = np.linspace(0, len(anchors) - 1, 256)
    steps = np.arange(len(anchors))
    ramp = [np.interp(at, steps, anchors[:, channel]) for channel in range(3)]
    return np.stack(ramp, axis=1).round().astype(np.uint8)


def category_index(name: str) -> int:
    """Return the same place in ``OKABE_ITO`` for the same name, in every run."""
    return hashlib.sha256(name.encode()).digest()[0] % len(OKABE_ITO)


def is_dark(palette: QPalette) -> bool:
    """Whether a palette is a dark one."""
    return palette.color(QPalette.ColorRole.Window).lightness() < 128


def surround(palette: QPalette) -> QColor:
    """Return the neutral grey around images: no hue, so that it changes no colour beside it."""
    level = palette.color(QPalette.ColorRole.Window).lightness()
    return QColor.fromHsl(0, 0, max(0, level - (10 if level < 128 else 14)))


def faint(palette: QPalette, strength: float = 0.62) -> QColor:
    """Return the text colour mixed with the background: for captions, still readable."""
    text = palette.color(QPalette.ColorRole.WindowText)
    back = palette.color(QPalette.ColorRole.Window)
    mixed = [
        round(strength * a + (1 - strength) * b)
        for a, b in zip(text.getRgb()[:3], back.getRgb()[:3])
    ]
    return QColor(*mixed)
