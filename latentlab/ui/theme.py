"""Light and dark: follows the system, or what the person chose."""

from __future__ import annotations

import dataclasses

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QApplication, QStyleFactory

from latentlab.core.paths import asset_path
from latentlab.core.settings import Theme
from latentlab.ui.palette import DARK, LIGHT, Colours, make_palette

# Thin separators and no boxes in boxes; boxes to tick, which Fusion draws almost black on black in
# the dark; everything else is Fusion's.
_STYLE = """
QMainWindow::separator {{ background: {line}; width: 1px; height: 1px; }}
QMainWindow::separator:hover {{ background: {accent}; }}
QMenuBar::item {{ padding: 6px 8px; background: transparent; }}
QMenuBar::item:selected {{ background: {accent}; color: {accent_text}; }}
#tray {{ border-top: 1px solid {line}; }}
QStatusBar {{ border-top: 1px solid {line}; }}
QStatusBar::item {{ border: none; }}
QCheckBox::indicator, QAbstractItemView::indicator {{
    width: 11px; height: 11px; border: 1px solid {caption}; border-radius: 2px; background: {base};
}}
QCheckBox::indicator:hover, QAbstractItemView::indicator:hover {{ border-color: {text}; }}
QCheckBox::indicator:disabled, QAbstractItemView::indicator:disabled {{ border-color: {disabled}; }}
QCheckBox::indicator:checked, QAbstractItemView::indicator:checked {{
    background: {accent}; border-color: {accent}; image: url("{tick}");
}}
QCheckBox::indicator:indeterminate, QAbstractItemView::indicator:indeterminate {{
    background: {accent}; border-color: {accent}; image: url("{dash}");
}}
QAbstractItemView::indicator:selected {{ border-color: {accent_text}; }}
QCheckBox::indicator:checked:disabled, QAbstractItemView::indicator:checked:disabled {{
    background: {disabled}; border-color: {disabled};
}}
QToolTip {{ color: {text}; background: {base}; border: 1px solid {line}; padding: 3px; }}
"""


class ThemeKeeper(QObject):
    """Sets style and palette of the application, and keeps them when the system changes.

    Args:
        application: whose look it is.
        theme: ``system``, ``light`` or ``dark``.
    """

    changed = Signal()

    def __init__(
        self, application: QApplication, theme: Theme, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._application = application
        self._theme: Theme = theme
        application.setStyle(QStyleFactory.create("Fusion"))
        application.styleHints().colorSchemeChanged.connect(self._system_changed)
        self._apply()

    @property
    def theme(self) -> Theme:
        """What was chosen."""
        return self._theme

    @property
    def dark(self) -> bool:
        """Whether the dark palette is in use."""
        if self._theme == "system":
            scheme = self._application.styleHints().colorScheme()
            return scheme == Qt.ColorScheme.Dark
        return self._theme == "dark"

    @property
    def colours(self) -> Colours:
        """The colours in use."""
        return DARK if self.dark else LIGHT

    def choose(self, theme: Theme) -> None:
        """Follow the system, or be light or dark."""
        self._theme = theme
        self._apply()

    def _system_changed(self, _scheme: Qt.ColorScheme) -> None:
        if self._theme == "system":
            self._apply()

    def _apply(self) -> None:
        colours = self.colours
        self._application.setPalette(make_palette(colours))
        marks = {name: asset_path("marks", f"{name}.svg").as_posix() for name in ("tick", "dash")}
        style = _STYLE.format(**dataclasses.asdict(colours), **marks)
        self._application.setStyleSheet(style)
        self.changed.emit()
