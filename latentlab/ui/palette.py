"""The two palettes: light and dark, one accent colour, text at a contrast of at least 4.5 to 1."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtGui import QColor, QPalette


@dataclass(frozen=True)
class Colours:
    """What a palette is made of, as ``#rrggbb``."""

    window: str
    base: str
    alternate: str
    button: str
    text: str
    disabled: str
    caption: str
    accent: str
    accent_text: str
    link: str
    line: str


LIGHT = Colours(
    window="#f3f4f6",
    base="#ffffff",
    alternate="#f0f2f5",
    button="#e8eaee",
    text="#1b1d21",
    disabled="#8d939c",
    caption="#565d68",
    accent="#1f5fbf",
    accent_text="#ffffff",
    link="#1a56b0",
    line="#c9cdd4",
)
DARK = Colours(
    window="#25272c",
    base="#17191c",
    alternate="#2b2e34",
    button="#32353c",
    text="#e7e9ec",
    disabled="#757b85",
    caption="#a8aeb8",
    accent="#3470d2",
    accent_text="#ffffff",
    link="#84b3ff",
    line="#40444d",
)


def make_palette(colours: Colours) -> QPalette:
    """Return the Qt palette of these colours."""
    role, group = QPalette.ColorRole, QPalette.ColorGroup
    palette = QPalette()
    values = {
        role.Window: colours.window,
        role.WindowText: colours.text,
        role.Base: colours.base,
        role.AlternateBase: colours.alternate,
        role.Text: colours.text,
        role.Button: colours.button,
        role.ButtonText: colours.text,
        role.BrightText: colours.accent_text,
        role.ToolTipBase: colours.base,
        role.ToolTipText: colours.text,
        role.PlaceholderText: colours.caption,
        role.Highlight: colours.accent,
        role.HighlightedText: colours.accent_text,
        role.Accent: colours.accent,
        role.Link: colours.link,
        role.LinkVisited: colours.link,
        role.Mid: colours.line,
    }
    for name, value in values.items():
        palette.setColor(name, QColor(value))
    # Fusion draws bevels with these: they follow the button, or dark mode gets white edges.
    button = QColor(colours.button)
    palette.setColor(role.Light, button.lighter(112))
    palette.setColor(role.Midlight, button.lighter(106))
    palette.setColor(role.Dark, button.darker(140))
    palette.setColor(role.Shadow, QColor("#000000"))
    for name in (role.WindowText, role.Text, role.ButtonText, role.ToolTipText):
        palette.setColor(group.Disabled, name, QColor(colours.disabled))
    palette.setColor(group.Disabled, role.Highlight, QColor(colours.line))
    palette.setColor(group.Disabled, role.HighlightedText, QColor(colours.text))
    return palette


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colours as the WCAG defines it, 1 to 21."""

    def luminance(colour: str) -> float:
        channels = QColor(colour).getRgbF()[:3]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dim = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)
