"""What the menus do with the map."""

from __future__ import annotations

from typing import Any


def _panel(window: Any) -> Any:
    host = window.hosts.get("manifold")
    return None if host is None else host.panel


def fit_map(window: Any) -> None:
    """Show all points of the map."""
    panel = _panel(window)
    if panel is not None:
        panel.map.fit_view()


def keep_selection(window: Any) -> None:
    """Keep what is selected on the map in the tray."""
    panel = _panel(window)
    if panel is not None:
        panel.pointer.keep_points(panel.model.selection)
