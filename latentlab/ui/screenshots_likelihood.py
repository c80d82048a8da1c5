"""Pictures of the Likelihood panel: two data sets compared, and its first page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from latentlab.services.likelihood_export import FADED

_COUNT = 60


def prepare(window: Any, wait: Callable[[Callable[[], bool]], None]) -> bool:
    """Score two data sets by a model with a likelihood; return whether there is one."""
    controller = window.controller
    entries = controller.library.entries()
    able = [
        entry.id
        for entry in entries
        if entry.error is None and "log_prob" in entry.header.spec.capabilities
    ]
    if not able:
        return False
    if controller.model_entry is None or controller.model_entry.id not in able:
        controller.open_model(able[0])
    bring(window)
    panel = window.hosts["likelihood"].panel
    wait(lambda: panel.model.canvas.current)
    panel.bar.count.setValue(_COUNT)
    panel.bar.against.add(FADED)
    panel.bar.button.click()
    wait(lambda: len(panel.model.complete) == 2)
    return True


def bring(window: Any) -> None:
    """Bring the panel to the front, with room."""
    window.layout_keeper.show_workspace("denoise")
    window.controller.panel_asked.emit("likelihood")


def grab(window: Any, out: Path, name: str, settle: Callable[[], None]) -> list[Path]:
    """Write the window with the scores, by bits/dim and corrected."""
    bring(window)
    panel = window.hosts["likelihood"].panel
    written = []
    for look in (False, True):
        panel.bar.corrected.setChecked(look)
        settle()
        written.append(out / f"likelihood-{'corrected' if look else 'bits'}-{name}.png")
        window.grab().save(str(written[-1]))
    panel.bar.corrected.setChecked(False)
    return written
