"""What the menu Model > Switch does."""

from __future__ import annotations

from typing import Any


def act(window: Any, name: str) -> None:
    """Bring the Switch panel to the front and do one thing there."""
    window.controller.panel_asked.emit("switch")
    host = window.hosts.get("switch")
    panel = None if host is None else host.panel
    if panel is None:
        return
    if name == "samples":
        panel.model.add_samples(4)
    elif name == "canvas":
        panel.model.add_canvas()
    elif name == "swap":
        panel.model.swap()
    elif name == "blend":
        panel.tabs.setCurrentWidget(panel.blend_page)
    elif name == "check":
        panel.tabs.setCurrentWidget(panel.page)
        panel.page.check_chosen()
    else:
        panel.show_export()
