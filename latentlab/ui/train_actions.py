"""What the Train menu does: it is done by the Train panel, which comes to the front."""

from __future__ import annotations

from typing import Any

PANEL = "train"


def _panel(window: Any) -> Any:
    """Return the panel, brought to the front; ``None`` when it cannot be shown."""
    host = window.hosts.get(PANEL)
    if host is None or host.panel is None:
        return None
    dock = host.parentWidget()
    dock.show()
    dock.raise_()
    return host.panel


def new_run(window: Any) -> None:
    """Show the form of a new run."""
    panel = _panel(window)
    if panel is not None:
        panel.new_run()


def watch_folder(window: Any) -> None:
    """Ask for a folder and show its runs."""
    panel = _panel(window)
    if panel is not None:
        panel.watch_folder()


def act(window: Any, action: str) -> None:
    """Do something with the open run."""
    panel = _panel(window)
    if panel is not None:
        panel.act(action)
