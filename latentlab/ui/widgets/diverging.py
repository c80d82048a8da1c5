"""Colours of values around 0: blue below, red above, and the ground of the theme at 0."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor

STEPS = 257
"""Odd, so that 0 has a colour of its own."""
# RdBu (Brewer 2003), turned round: told apart by everyone, and its middle is the paper.
_LIGHT = ("#2166ac", "#67a9cf", "#d1e5f0", "#f7f7f7", "#fddbc7", "#ef8a62", "#b2182b")
# The same hues on a dark ground: the middle is dark, the ends are bright.
_DARK = ("#9ccbff", "#4590d0", "#234e75", "#1f2125", "#74351f", "#d0663c", "#ffb797")


@lru_cache(maxsize=2)
def diverging(dark: bool) -> NDArray[np.uint8]:
    """Return the ramp for a light or a dark ground: uint8 ``(257, 3)``, row 128 for 0."""
    colours = [QColor(name).getRgb()[:3] for name in (_DARK if dark else _LIGHT)]
    anchors = np.asarray(colours, np.float64)
    at = np.linspace(0, len(anchors) - 1, STEPS)
    ramp = [np.interp(at, np.arange(len(anchors)), anchors[:, k]) for k in range(3)]
    table = np.stack(ramp, axis=1).round().astype(np.uint8)
    table.flags.writeable = False
    return table


def diverging_colour(value: float, limit: float, dark: bool) -> QColor:
    """Return the colour of a value from ``-limit`` to ``limit``; beyond, that of the end."""
    share = min(max(value / limit, -1.0), 1.0) if limit > 0 and np.isfinite(value) else 0.0
    middle = (STEPS - 1) // 2
    return QColor(*(int(level) for level in diverging(dark)[round(middle + share * middle)]))
