"""Every action as data: menus, shortcuts and the palette are built from one table."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget

from latentlab.ui.controller import Controller

_KEYS = QKeySequence.StandardKey


@dataclass(frozen=True)
class ActionRow:
    """One thing that a person can do.

    Attributes:
        id: unique.
        title: as menus show it, with its mnemonic.
        menu: title of the menu, or ``menu/submenu``; empty for the palette alone.
        handler: ``controller.method``, or ``module:function`` called with the window.
        keys: shortcuts, each a standard key or text.
        icon: name of a bundled icon.
        enabled: row of ``CONDITIONS``.
        tip: one line for the status bar.
        separator: a line above it.
        checked: row of ``CHECKS``: the action is a switch.
        argument: given to the handler after the window.
    """

    id: str
    title: str
    menu: str
    handler: str
    keys: tuple[QKeySequence.StandardKey | str, ...] = ()
    icon: str = ""
    enabled: str = "always"
    tip: str = ""
    separator: bool = False
    checked: str = ""
    argument: str | None = None

    @property
    def name(self) -> str:
        """The title without mnemonic and dots, as the palette shows it."""
        plain = self.title.replace("&&", "\0").replace("&", "").replace("\0", "&")
        return plain.rstrip("…")


def _canvas(controller: Controller) -> bool:
    return controller.document.canvas is not None


def _edits(controller: Controller) -> bool:
    canvas = controller.document.canvas
    return canvas is not None and bool(canvas.edits)


CONDITIONS: dict[str, Callable[[Controller], bool]] = {
    "always": lambda _controller: True,
    "canvas": _canvas,
    "edits": _edits,
    "tray": lambda controller: bool(controller.document.tray),
    "undo": lambda controller: controller.history.can_undo,
    "redo": lambda controller: controller.history.can_redo,
    "job": lambda controller: bool(controller.jobs),
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

_DO = "latentlab.ui.dialogs:"
_SHOW = "latentlab.ui.view_actions:"

ACTIONS: tuple[ActionRow, ...] = (
    ActionRow(
        "open",
        "&Open…",
        "&File",
        f"{_DO}choose_and_open",
        (_KEYS.Open,),
        "open",
        tip="Open a model, a session, a photograph, latents, or a picture of LatentLab",
    ),
    ActionRow(
        "add_folder",
        "Add a model &folder…",
        "&File",
        f"{_DO}choose_library_folder",
        icon="folder",
        tip="Show the models of another folder in the library",
    ),
    ActionRow(
        "save",
        "&Save session",
        "&File",
        f"{_DO}save_session",
        (_KEYS.Save,),
        "save",
        "saveable",
        "Save everything, with its history, in a session file",
        separator=True,
    ),
    ActionRow(
        "save_as",
        "Save session &as…",
        "&File",
        f"{_DO}save_session_as",
        ("Ctrl+Shift+S",),
        tip="Save the session under another name",
    ),
    ActionRow(
        "export",
        "&Export image…",
        "&File",
        f"{_DO}export_png",
        ("Ctrl+E",),
        "export",
        "canvas",
        "Write the canvas as a PNG that says how it was made",
        separator=True,
    ),
    ActionRow(
        "export_latents",
        "Export &latents…",
        "&File",
        f"{_DO}export_latents",
        ("Ctrl+Shift+E",),
        "latents",
        "canvas",
        "Write the latents of the canvas as .safetensors or .npz",
    ),
    ActionRow(
        "quit", "&Quit", "&File", f"{_SHOW}quit_program", ("Ctrl+Q",), "quit", separator=True
    ),
    ActionRow("undo", "&Undo", "&Edit", "controller.undo", (_KEYS.Undo,), "undo", "undo"),
    ActionRow(
        "redo", "&Redo", "&Edit", "controller.redo", ("Ctrl+Shift+Z", "Ctrl+Y"), "redo", "redo"
    ),
    ActionRow(
        "copy",
        "&Copy image",
        "&Edit",
        f"{_SHOW}copy_image",
        (_KEYS.Copy,),
        "copy",
        "canvas",
        "Copy the selected image, or the only one",
        separator=True,
    ),
    ActionRow(
        "paste",
        "&Paste photograph",
        "&Edit",
        f"{_SHOW}paste",
        (_KEYS.Paste,),
        "paste",
        tip="Take the image on the clipboard in",
    ),
    ActionRow(
        "copy_command",
        "Copy as co&mmand",
        "&Edit",
        f"{_SHOW}copy_command",
        ("Ctrl+Shift+C",),
        "command",
        "canvas",
        "Copy the command line that makes the same image",
    ),
    ActionRow(
        "keep",
        "&Keep in tray",
        "&Edit",
        "controller.keep",
        ("K",),
        "keep",
        "canvas",
        "Keep the selected image in the tray",
        separator=True,
    ),
    ActionRow(
        "reset_edits",
        "Reset all &edits",
        "&Edit",
        "controller.reset_edits",
        ("Ctrl+0",),
        "reset",
        "edits",
        "Put every slider back to 0",
    ),
    ActionRow(
        "copy_sliders",
        "Copy slider &values",
        "&Edit",
        f"{_SHOW}copy_sliders",
        ("Ctrl+Alt+C",),
        enabled="edits",
        tip="Copy the slider values of the canvas, for other images or a command line",
    ),
    ActionRow(
        "paste_sliders",
        "Paste slider values onto the canva&s",
        "&Edit",
        f"{_SHOW}paste_sliders",
        ("Ctrl+Alt+V",),
        enabled="canvas",
        tip="Set the sliders to copied values",
    ),
    ActionRow(
        "paste_sliders_tray",
        "Paste slider values onto selected &tray images",
        "&Edit",
        f"{_SHOW}paste_sliders_in_tray",
        ("Ctrl+Alt+Shift+V",),
        enabled="tray",
        tip="Set every image that is selected in the tray to copied slider values",
    ),
    ActionRow(
        "cancel",
        "Ca&ncel job",
        "&Edit",
        "controller.cancel",
        ("Esc",),
        "cancel",
        "job",
        "Cancel the newest job that runs",
        separator=True,
    ),
    ActionRow(
        "find",
        "&Find any action…",
        "&Edit",
        f"{_SHOW}open_palette",
        ("Ctrl+K",),
        "search",
        tip="Type a few letters of what you want to do",
    ),
    ActionRow(
        "reroll",
        "&Reroll",
        "&Model",
        "controller.reroll",
        ("R",),
        "dice",
        "canvas",
        "Sample again, from random seeds",
    ),
    ActionRow(
        "previous_seed",
        "&Previous seed",
        "&Model",
        "controller.step_seed",
        ("[",),
        "previous",
        "canvas",
        argument="-1",
    ),
    ActionRow(
        "next_seed",
        "&Next seed",
        "&Model",
        "controller.step_seed",
        ("]",),
        "next",
        "canvas",
        argument="1",
    ),
    ActionRow(
        "restart_worker",
        "Start the &worker again",
        "&Model",
        f"{_SHOW}restart_worker",
        tip="Start the process that runs the networks anew; running jobs end",
        separator=True,
    ),
    ActionRow(
        "theme_system",
        "&System",
        "&View/&Theme",
        f"{_SHOW}choose_theme",
        icon="theme",
        checked="theme:system",
        argument="system",
        tip="Light or dark as the system is",
    ),
    ActionRow(
        "theme_light",
        "&Light",
        "&View/&Theme",
        f"{_SHOW}choose_theme",
        checked="theme:light",
        argument="light",
    ),
    ActionRow(
        "theme_dark",
        "&Dark",
        "&View/&Theme",
        f"{_SHOW}choose_theme",
        checked="theme:dark",
        argument="dark",
    ),
    ActionRow(
        "workspace_browse",
        "&Browse",
        "&View/&Workspace",
        f"{_SHOW}choose_workspace",
        argument="browse",
        tip="Library, canvas and a large map",
    ),
    ActionRow(
        "workspace_edit",
        "&Edit",
        "&View/&Workspace",
        f"{_SHOW}choose_workspace",
        argument="edit",
        tip="History, canvas and the sliders",
    ),
    ActionRow(
        "reset_layout",
        "&Reset layout",
        "&View",
        f"{_SHOW}reset_layout",
        icon="layout",
        tip="Put every panel back to its place",
    ),
    ActionRow(
        "full_screen",
        "&Full screen",
        "&View",
        f"{_SHOW}toggle_full_screen",
        ("F11",),
        "fullscreen",
        checked="full_screen",
        separator=True,
    ),
    ActionRow(
        "help_here",
        "Help on the &panel under the cursor",
        "&Help",
        f"{_SHOW}help_here",
        ("F1",),
        "help",
    ),
    ActionRow("keys", "&Keys", "&Help", f"{_SHOW}show_keys", icon="keyboard"),
    ActionRow("hint", "&First steps", "&Help", f"{_SHOW}toggle_hint", checked="hint"),
    ActionRow("about", "&About LatentLab", "&Help", f"{_SHOW}about", icon="info", separator=True),
)
"""All actions, in the order of the menus."""


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
