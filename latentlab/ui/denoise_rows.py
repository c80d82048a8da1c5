"""The rows of the menu Model > Denoising."""

from __future__ import annotations

from latentlab.ui.action_rows import ActionRow

_MENU = "&Model/&Denoising"
_DENOISE = "latentlab.ui.denoise_actions:"

_VERBS = (
    (
        "canvas",
        "&Denoise the canvas",
        "denoising",
        "steps",
        "Watch the selected picture, step by step",
    ),
    (
        "branch",
        "&Branch here…",
        "branch",
        "watched",
        "Go on differently from the selected step (B)",
    ),
    (
        "compare",
        "&Compare two samplers",
        "compare",
        "watched",
        "Another sampler on the same noise, side by side",
    ),
    ("play", "&Play or pause", "play", "watched", "Play all steps (Space in the panel)"),
    (
        "keep",
        "&Keep the frame",
        "keep",
        "watched",
        "Keep the frame that is shown in the tray (K in the panel)",
    ),
    (
        "export",
        "&Export the run…",
        "film",
        "watched",
        "Write a strip, a film, or copy the command that does",
    ),
)

DENOISE_ROWS: tuple[ActionRow, ...] = tuple(
    ActionRow(
        f"denoise_{name}",
        title,
        _MENU,
        f"{_DENOISE}act",
        icon=picture,
        enabled=enabled,
        tip=tip,
        argument=name,
    )
    for name, title, picture, enabled, tip in _VERBS
)
"""What the menu offers, in its order."""
