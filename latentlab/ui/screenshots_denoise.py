"""Pictures of the Denoising panel with a model of many steps, if one is in the library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from latentlab.core.denoising import Branch
from latentlab.core.latents import Condition

_STEPS = 25


def prepare(window: Any, wait: Callable[[Callable[[], bool]], None]) -> bool:
    """Open a model of many steps with a run and three branches; return whether there is one."""
    controller = window.controller
    able = [
        entry.id
        for entry in controller.library.entries()
        if entry.error is None and "steps" in entry.header.spec.capabilities
    ]
    if not able:
        return False
    controller.open_model(able[0])
    window.layout_keeper.show_workspace("denoise")
    model = window.hosts["denoising"].panel.model
    model.run_again()
    wait(lambda: model.complete(""))
    names = model.spec.attribute_names
    told = None
    if names:
        told = Condition(attributes={"smiling" if "smiling" in names else names[0]: 1.0})
    third, half = _STEPS // 3, _STEPS // 2
    first = model.branch("", Branch(at=third, guidance=3.0, condition=told))
    model.branch("", Branch(at=half, noise=4))
    model.branch(first, Branch(at=half, sampler="ddim"))
    wait(lambda: all(model.complete(path) for path in model.paths))
    return True


def grab(window: Any, out: Path, name: str, settle: Callable[[], None]) -> list[Path]:
    """Write the workspace as it is, with two branches compared, and its second page."""
    window.layout_keeper.show_workspace("denoise")
    panel = window.hosts["denoising"].panel
    model, watch = panel.model, panel.watch
    looks: tuple[tuple[str, Callable[[], None]], ...] = (
        ("tree", model.cursor.stop_comparing),
        ("compare", lambda: model.cursor.compare("", model.paths[1])),
        ("photograph", lambda: panel.tabs.setCurrentWidget(panel.photo)),
    )
    written = []
    for look, act in looks:
        panel.tabs.setCurrentWidget(watch)
        model.select("", _STEPS // 2)
        act()
        settle()
        written.append(out / f"denoise-{look}-{name}.png")
        window.grab().save(str(written[-1]))
    panel.tabs.setCurrentWidget(watch)
    return written
