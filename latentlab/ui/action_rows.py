"""Every action as data: menus, shortcuts and the palette are built from one table."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtGui import QKeySequence

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


_DO = "latentlab.ui.dialogs:"
_SHOW = "latentlab.ui.view_actions:"
_MAP = "latentlab.ui.map_actions:"

ACTIONS: tuple[ActionRow, ...] = (
    ActionRow(
        "open",
        "&Open…",
        "&File",
        f"{_DO}choose_and_open",
        (_KEYS.Open,),
        "open",
        tip="Open a model, session, direction, photograph, latents, or picture of LatentLab",
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
        "keep_map_selection",
        "Keep the map's se&lection",
        "&Edit",
        f"{_MAP}keep_selection",
        icon="keep",
        enabled="map_selection",
        tip="Keep the points that are selected on the map in the tray, at most 50",
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
        "import_direction",
        "&Import a direction…",
        "&Model",
        f"{_DO}import_direction",
        enabled="model",
        tip="Add the slider that a direction file holds",
        separator=True,
    ),
    ActionRow(
        "export_direction",
        "&Export a direction…",
        "&Model",
        f"{_DO}export_direction",
        enabled="directions",
        tip="Write one slider's direction as a file that others can load",
    ),
    ActionRow(
        "store_direction",
        "S&tore a direction in the model's file…",
        "&Model",
        f"{_DO}store_direction",
        enabled="own_directions",
        tip="Let a direction of your own come with the model from now on",
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
        "workspace_denoise",
        "&Denoise",
        "&View/&Workspace",
        f"{_SHOW}choose_workspace",
        argument="denoise",
        tip="Canvas and a large Denoising panel",
    ),
    ActionRow(
        "workspace_switch",
        "&Switch",
        "&View/&Workspace",
        f"{_SHOW}choose_workspace",
        argument="switch",
        tip="Canvas and a large Switch panel",
    ),
    ActionRow(
        "workspace_train",
        "&Train",
        "&View/&Workspace",
        f"{_SHOW}choose_workspace",
        argument="train",
        tip="Canvas and a large Train panel",
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
        "fit_map",
        "Fit the &map",
        "&View",
        f"{_MAP}fit_map",
        icon="map-fit",
        tip="Show all points of the map (Home on the map)",
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
