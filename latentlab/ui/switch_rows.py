"""The rows of the menu Model > Switch."""

from __future__ import annotations

from latentlab.ui.action_rows import ActionRow

_MENU = "&Model/&Switch"
_SWITCH = "latentlab.ui.switch_actions:"

_VERBS = (
    ("samples", "Switch &samples", "switch", "parts", "Add four samples to the matrix"),
    ("canvas", "Add the &canvas", "plus", "parts", "Add the selected picture to the matrix"),
    ("swap", "S&wap rows and columns", "switch-swap", "switched", "Let parts change sides"),
    ("blend", "&Blend two", "", "switched", "Go from one picture to another, part by part"),
    ("check", "C&heck the picture", "measure", "switched", "Whether its parts come back"),
    ("export", "&Export the matrix…", "export", "switched", "Write a PNG, or copy the command"),
)

SWITCH_ROWS: tuple[ActionRow, ...] = tuple(
    ActionRow(
        f"switch_{name}",
        title,
        _MENU,
        f"{_SWITCH}act",
        icon=picture,
        enabled=enabled,
        tip=tip,
        argument=name,
    )
    for name, title, picture, enabled, tip in _VERBS
)
"""What the menu offers, in its order."""
