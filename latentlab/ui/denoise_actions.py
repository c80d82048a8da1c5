"""What the menu Model > Denoising does."""

from __future__ import annotations

from typing import Any


def act(window: Any, name: str) -> None:
    """Bring the Denoising panel to the front and do one thing there."""
    window.controller.panel_asked.emit("denoising")
    host = window.hosts.get("denoising")
    panel = None if host is None else host.panel
    if panel is None:
        return
    panel.tabs.setCurrentWidget(panel.watch)
    if name == "canvas":
        panel.model.follow_canvas()
    elif name == "compare":
        panel.model.compare_samplers()
    elif name == "play":
        panel.watch.controls.toggle()
    elif name == "branch":
        panel.watch.ask_branch()
    elif name == "keep":
        panel.watch.keep()
    else:
        panel.watch.export.show_under(panel.watch.controls.buttons["export"])
