"""The menus of the attributes panel: of one slider, and of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMenu

from latentlab.ui.edits import readable
from latentlab.ui.slider_values import values_text


def _add(
    menu: QMenu, text: str, act: Callable[[], object], *, enabled: bool = True, keys: str = ""
) -> QAction:
    action = menu.addAction(f"{text}\t{keys}" if keys else text)
    action.triggered.connect(lambda: act())
    action.setEnabled(enabled)
    return action


def _plain(text: str) -> str:
    """Return a name for a menu: an ampersand in it is no mnemonic."""
    return text.replace("&", "&&")


def row_menu(panel: Any, name: str) -> QMenu:
    """Return the menu of one slider.

    Args:
        panel: the attributes panel.
        name: of the direction.
    """
    controller, row = panel.controller, panel.row(name)
    title = row.facts.title
    menu = QMenu(panel)
    lower = _plain(title if title != readable(name) else title.lower())
    reset = controller.reset_edits
    edited = any(controller.document.canvas.edits.values()) if controller.document.canvas else False
    _add(menu, f"&Reset {lower}", lambda: reset([name]), enabled=row.sigma != 0)
    _add(menu, "Reset &all", lambda: reset(), enabled=edited)
    menu.addSeparator()
    _add(menu, "Re&name…", row.edit_title, keys="F2")
    locked = row.facts.locked
    text = "Un&lock" if locked else "&Lock"
    _add(menu, text, lambda: controller.set_locked(name, not locked), keys="L")
    step = panel.list.step
    for text, way, keys in (("Move &up", -1, "Alt+Up"), ("Move d&own", 1, "Alt+Down")):
        can = panel.list.can_step(name, way)
        _add(menu, text, lambda way=way: step(name, way), enabled=can, keys=keys)
    opened = panel.range.name == name
    text = "Close its &strip" if opened else "Show its whole range as a &strip"
    _add(menu, text, lambda: panel.toggle_range(name), keys="S")
    menu.addSeparator()
    _add(menu, "Ref&it…", lambda: panel.direction_asked.emit(name))
    _add(menu, "&Export as a file…", lambda: _export(panel, name))
    own = controller.is_own_direction(name)
    entry = controller.model_entry
    can = own and entry is not None and not entry.bundled
    _add(menu, "Put into the model's &file", lambda: controller.store_direction(name), enabled=can)
    text = f"&Delete {lower}" if own else f"&Hide {lower}"
    _add(menu, text, lambda: controller.remove_direction(name))
    menu.addSeparator()
    option = values_text({name: row.sigma})
    _add(menu, f"&Copy {_plain(option)}", lambda: panel.copy_text(option))
    _add(menu, "Copy d&etails", lambda: panel.copy_text(row.facts.tip))
    return menu


def _export(panel: Any, name: str) -> None:
    path, _ = QFileDialog.getSaveFileName(
        panel, "Export a direction", f"{name}.safetensors", "Direction (*.safetensors)"
    )
    if path:
        path = path if path.lower().endswith(".safetensors") else f"{path}.safetensors"
        panel.controller.export_direction(name, path)


def _import(panel: Any) -> None:
    path, _ = QFileDialog.getOpenFileName(
        panel, "Import a direction", "", "Direction (*.safetensors)"
    )
    if path:
        panel.controller.import_direction(path)


def _paste_items(menu: QMenu, panel: Any) -> None:
    """Add what copies slider values and gives them to other images."""
    controller, clipboard = panel.controller, QGuiApplication.clipboard
    canvas, row = controller.document.canvas, controller.selection
    here, edited = canvas is not None, canvas is not None and bool(canvas.edits)

    def paste(rows: tuple[int, ...] = ()) -> None:
        controller.paste_edits(clipboard().text(), rows)

    def copy() -> None:
        panel.copy_text(controller.copy_edits())

    _add(menu, "&Copy slider values", copy, enabled=edited, keys="Ctrl+Alt+C")
    _add(menu, "&Paste onto the canvas", paste, enabled=here, keys="Ctrl+Alt+V")
    text = "Paste onto the &selected image, alone"
    _add(menu, text, lambda: paste((row,)), enabled=here and row is not None)
    chosen = controller.selected_in_tray()
    count = f"{len(chosen)} " if chosen else ""
    _add(
        menu,
        f"Paste onto {count}selected &tray image{'s' if len(chosen) != 1 else ''}",
        lambda: controller.paste_edits_in_tray(clipboard().text(), chosen),
        enabled=bool(chosen),
        keys="Ctrl+Alt+Shift+V",
    )


def panel_menu(panel: Any) -> QMenu:
    """Return the menu of all sliders.

    Args:
        panel: the attributes panel.
    """
    controller = panel.controller
    menu = QMenu(panel)
    _paste_items(menu, panel)
    menu.addSeparator()
    _add(menu, "Fold &all headings", lambda: panel.list.fold_all(True))
    _add(menu, "&Open all headings", lambda: panel.list.fold_all(False))
    menu.addSeparator()
    _add(menu, "&Make a direction…", panel.making_asked.emit)
    _add(menu, "&Import a direction…", lambda: _import(panel), enabled=controller.model is not None)
    hidden = len(controller.removed_directions)
    text = f"Show &hidden ({hidden})" if hidden else "Show &hidden"
    _add(menu, text, lambda: controller.restore_directions(), enabled=hidden > 0)
    return menu
