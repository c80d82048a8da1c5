"""The bundled icons: 24 by 24 strokes, in the colours of the palette."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer

from latentlab.core.paths import asset_path

_SIZES = (16, 20, 24, 32, 48)


@lru_cache(maxsize=128)
def _source(name: str) -> bytes:
    path = asset_path("icons", f"{name}.svg")
    return path.read_bytes() if path.is_file() else b""


def _render(source: bytes, colour: QColor, size: int) -> QPixmap:
    data = source.replace(b"currentColor", colour.name().encode())
    renderer = QSvgRenderer(QByteArray(data))
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    renderer.render(painter, QRectF(0, 0, size, size))
    painter.end()
    return pixmap


def icon(name: str, palette: QPalette) -> QIcon:
    """Return an icon in the colours of a palette; an empty one when there is no such icon."""
    found = QIcon()
    source = _source(name) if name else b""
    if not source:
        return found
    text = QPalette.ColorRole.WindowText
    modes = {
        QIcon.Mode.Normal: palette.color(QPalette.ColorGroup.Active, text),
        QIcon.Mode.Disabled: palette.color(QPalette.ColorGroup.Disabled, text),
        QIcon.Mode.Selected: palette.color(QPalette.ColorRole.HighlightedText),
    }
    for mode, colour in modes.items():
        for size in _SIZES:
            found.addPixmap(_render(source, colour, size), mode)
    return found


def application_icon() -> QIcon:
    """Return the icon of the program."""
    found = QIcon()
    for size in (*_SIZES, 64, 128, 256):
        found.addPixmap(_render(_source("latentlab"), QColor("#000000"), size))
    return found
