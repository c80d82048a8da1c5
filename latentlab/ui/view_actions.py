"""What the actions of the View and Help menus do, and those of the clipboard."""

from __future__ import annotations

import platform
from typing import Any

from PySide6 import __version__ as qt_version
from PySide6.QtCore import Qt
from PySide6.QtGui import QCursor, QGuiApplication
from PySide6.QtWidgets import QMessageBox

from latentlab.core.version import version
from latentlab.ui import help as panel_help


def quit_program(window: Any) -> None:
    """Close the window; it asks when there is unsaved work."""
    window.close()


def copy_image(window: Any) -> None:
    """Copy the selected image."""
    if window.canvas.copy_image():
        window.controller.message.emit("The image is on the clipboard", "")


def paste(window: Any) -> None:
    """Take in what is on the clipboard."""
    if not window.canvas.paste():
        window.controller.message.emit("There is no image on the clipboard: copy one first.", "")


def copy_command(window: Any) -> None:
    """Copy the command line of the canvas."""
    command = window.controller.copy_command()
    if command:
        QGuiApplication.clipboard().setText(command)
        window.controller.message.emit("The command is on the clipboard", command)


def copy_sliders(window: Any) -> None:
    """Copy the slider values of the canvas."""
    text = window.controller.copy_edits()
    QGuiApplication.clipboard().setText(text)
    window.controller.message.emit("The slider values are on the clipboard", text)


def paste_sliders(window: Any) -> None:
    """Set the sliders of the canvas to the values on the clipboard."""
    window.controller.paste_edits(QGuiApplication.clipboard().text())


def paste_sliders_in_tray(window: Any) -> None:
    """Set the images that are selected in the tray to the values on the clipboard."""
    window.controller.paste_edits_in_tray(QGuiApplication.clipboard().text())


def restart_worker(window: Any) -> None:
    """Start the process of the networks anew; what is shown is made again."""
    window.notice.hide()
    window.status.device.setText("starting…")
    window.bridge.restart()


def open_palette(window: Any) -> None:
    """Open the action palette."""
    window.palette_popup.open_with(window.palette_entries())


def choose_theme(window: Any, theme: str) -> None:
    """Follow the system, or be light or dark."""
    window.theme.choose(theme)
    window.controller.settings.theme = theme
    window.actions_table.refresh()


def choose_workspace(window: Any, name: str) -> None:
    """Show one of the named arrangements."""
    window.layout_keeper.show_workspace(name)


def reset_layout(window: Any) -> None:
    """Put every panel back to its place."""
    window.layout_keeper.reset()


def toggle_full_screen(window: Any) -> None:
    """Fill the screen, or be a window again."""
    if window.isFullScreen():
        window.showNormal()
    else:
        window.showFullScreen()
    window.actions_table.refresh()


def help_here(window: Any) -> None:
    """Explain the panel under the cursor, or the one with the focus."""
    title, text = panel_help.help_here()
    panel_help.HelpPopup(title, text, window).show_at(QCursor.pos())


def show_keys(window: Any) -> None:
    """List all keys."""
    popup = panel_help.HelpPopup("Keys", panel_help.keys_text(window), window, table=True)
    popup.show_at(window.geometry().center(), centre=True)


def toggle_hint(window: Any) -> None:
    """Show the first steps, or put them away."""
    window.show_hint(not window.hint_visible())


def about(window: Any) -> None:
    """Say what this program is."""
    box = QMessageBox(window)
    box.setWindowTitle("About LatentLab")
    box.setText(f"<b>LatentLab {version()}</b>")
    box.setInformativeText(
        "Open any generative image model, see its latent space, and steer it.\n\n"
        f"Python {platform.python_version()}, Qt {qt_version}. Apache License 2.0."
    )
    box.setIconPixmap(window.windowIcon().pixmap(64, 64))
    box.setModal(False)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.show()


def show_panel(window: Any, place: str) -> None:
    """Bring a panel to the front; a closed one opens."""
    dock = window.layout_keeper.right[int(place)]
    dock.show()
    dock.raise_()
    host = dock.widget()
    if host.panel is None:
        return
    first = host.nextInFocusChain()
    while first is not host and not (
        host.isAncestorOf(first)
        and first.isVisibleTo(host)
        and first.isEnabled()
        and first.focusPolicy() & Qt.FocusPolicy.TabFocus
    ):
        first = first.nextInFocusChain()
    if first is not host:
        first.setFocus(Qt.FocusReason.ShortcutFocusReason)
