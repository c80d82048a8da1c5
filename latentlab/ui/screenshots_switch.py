"""Pictures of the Switch panel with a model of several parts, if one is in the library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from latentlab.core.recombine import PartRange
from latentlab.ui.edits import PARTS, missing_capabilities

_SOURCES = 5
_PATIENCE = 60
"""Times that is waited for the grid."""


def prepare(window: Any, wait: Callable[[Callable[[], bool]], None]) -> bool:
    """Open a model of several parts with photographs and a sample; return whether there is one."""
    controller = window.controller
    able = [
        entry.id
        for entry in controller.library.entries()
        if entry.error is None and not missing_capabilities(("decode", PARTS), entry.header)
    ]
    if not able:
        return False
    controller.open_model(able[0])
    window.layout_keeper.show_workspace("switch")
    model = window.hosts["switch"].panel.model
    portraits = _SOURCES - 1 if model.of_portraits and model.takes_photos else 0
    model.add_portraits(portraits)
    wait(lambda: model.count == portraits)
    model.add_samples(_SOURCES - portraits)
    wait(lambda: not any(model.waiting((i, j)) for i in range(_SOURCES) for j in range(_SOURCES)))
    if model.can_check:
        model.check((1, 2))
        wait(lambda: model.check_of((1, 2)) is not None)
    return True


def grab(window: Any, out: Path, name: str, settle: Callable[[], None]) -> list[Path]:
    """Write the workspace as it is: the matrix, local parts, and a blend with its grid."""
    window.layout_keeper.show_workspace("switch")
    panel = window.hosts["switch"].panel
    page, written = panel.page, []

    def shoot(look: str) -> None:
        settle()
        written.append(out / f"switch-{look}-{name}.png")
        window.grab().save(str(written[-1]))

    panel.tabs.setCurrentWidget(page)
    page.choose((1, 2))
    page.matrix.setFocus()
    shoot("matrix")
    page.maps.setChecked(True)
    shoot("local")
    page.maps.setChecked(False)
    panel.tabs.setCurrentWidget(panel.blend_page)
    panel.blend.choose(0, 1)
    panel.model.set_amounts((0, 1), {PartRange(panel.model.space.parts[0].name): 0.5})
    last = len(panel.blend.amounts) - 1
    for _ in range(_PATIENCE):
        if panel.blend.cell_image(last, last) is not None:
            break
        settle()
    shoot("blend")
    panel.tabs.setCurrentWidget(page)
    return written
