"""The table of actions as Qt actions: when they can be used, and what they do."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget

from latentlab.ui.action_rows import ACTIONS as FIRST_ACTIONS
from latentlab.ui.action_rows import ActionRow
from latentlab.ui.controller import Controller
from latentlab.ui.denoise_rows import DENOISE_ROWS
from latentlab.ui.edits import PARTS, missing_capabilities
from latentlab.ui.switch_rows import SWITCH_ROWS
from latentlab.ui.train_rows import TRAIN_ROWS

__all__ = ["ACTIONS", "CHECKS", "CONDITIONS", "ActionRow", "ActionSet"]

ACTIONS: tuple[ActionRow, ...] = (*FIRST_ACTIONS, *DENOISE_ROWS, *SWITCH_ROWS, *TRAIN_ROWS)
"""All actions; those of one menu are in its order."""


def _canvas(controller: Controller) -> bool:
    return controller.document.canvas is not None


def _edits(controller: Controller) -> bool:
    canvas = controller.document.canvas
    return canvas is not None and bool(canvas.edits)


def _own_directions(controller: Controller) -> bool:
    return any(controller.is_own_direction(name) for name in controller.directions)


def _steps(controller: Controller) -> bool:
    return controller.model is not None and "steps" in controller.model.spec.capabilities


def _watched(controller: Controller) -> bool:
    """Whether there are frames of a run; asking makes none."""
    run = controller.watched_run
    return _steps(controller) and run is not None and bool(run.frames(""))


def _parts(controller: Controller) -> bool:
    return not missing_capabilities(("decode", PARTS), controller.model)


def _switched(controller: Controller) -> bool:
    """Whether the matrix of the current model has sources."""
    entry = controller.model_entry
    switch = None if entry is None else controller.document.switches.get(entry.id)
    return _parts(controller) and switch is not None and bool(switch.sources)


def _run(name: str, controller: Controller) -> bool:
    return name in getattr(controller, "run_actions", ())


CONDITIONS: dict[str, Callable[[Controller], bool]] = {
    "always": lambda _controller: True,
    "canvas": _canvas,
    "edits": _edits,
    "model": lambda controller: controller.model is not None,
    "directions": lambda controller: bool(controller.directions),
    "own_directions": _own_directions,
    "map_selection": lambda controller: getattr(controller, "map_selection", None) is not None,
    "steps": _steps,
    "watched": _watched,
    "parts": _parts,
    "switched": _switched,
    "tray": lambda controller: bool(controller.document.tray),
    "undo": lambda controller: controller.history.can_undo,
    "redo": lambda controller: controller.history.can_redo,
    "job": lambda controller: bool(controller.jobs),
    **{row.enabled: partial(_run, row.argument or "") for row in TRAIN_ROWS if row.argument},
    "saveable": lambda controller: controller.document != controller.saved_document,
}
"""When an action can be used."""

CHECKS: dict[str, Callable[[QWidget], bool]] = {
    "theme:system": lambda window: window.theme.theme == "system",
    "theme:light": lambda window: window.theme.theme == "light",
    "theme:dark": lambda window: window.theme.theme == "dark",
    "full_screen": lambda window: window.isFullScreen(),
    "hint": lambda window: window.hint_visible(),
}
"""Whether a switch is on."""


def _call(window: Any, row: ActionRow) -> None:
    if row.handler.startswith("controller."):
        method = getattr(window.controller, row.handler.removeprefix("controller."))
        _ = method() if row.argument is None else method(int(row.argument))
        return
    module, _, function = row.handler.partition(":")
    act = getattr(importlib.import_module(module), function)
    _ = act(window) if row.argument is None else act(window, row.argument)


class ActionSet:
    """The table as Qt actions of one window.

    Args:
        window: the window: it has ``controller`` and ``theme``.
        rows: what to build.
    """

    def __init__(self, window: Any, rows: tuple[ActionRow, ...] = ACTIONS) -> None:
        self._window = window
        self.rows: dict[str, ActionRow] = {}
        self.actions: dict[str, QAction] = {}
        for row in rows:
            self.add(row)

    def add(self, row: ActionRow) -> QAction:
        """Build one more action."""
        action = QAction(row.title, self._window)
        action.setObjectName(row.id)
        action.setShortcuts([QKeySequence(key) for key in row.keys])
        action.setStatusTip(row.tip)
        keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        action.setToolTip(f"{row.tip or row.name} ({keys})" if keys else row.tip or row.name)
        action.setCheckable(bool(row.checked))
        action.triggered.connect(lambda: _call(self._window, row))
        # In no menu yet: the window must know it for its shortcut.
        self._window.addAction(action)
        self.rows[row.id] = row
        self.actions[row.id] = action
        return action

    def refresh(self) -> None:
        """Enable what can be used now, and tick what is on."""
        for name, action in self.actions.items():
            row = self.rows[name]
            action.setEnabled(CONDITIONS[row.enabled](self._window.controller))
            if row.checked in CHECKS:
                action.setChecked(CHECKS[row.checked](self._window))

    def recolour(self, make_icon: Callable[[str], Any]) -> None:
        """Draw the icons anew, for another palette."""
        for name, action in self.actions.items():
            if self.rows[name].icon:
                action.setIcon(make_icon(self.rows[name].icon))
