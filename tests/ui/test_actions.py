"""The table of actions: complete, without conflicts, and each one does what it says."""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeySequence
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu

from latentlab.core.directionfile import load_direction, save_direction
from latentlab.core.paths import asset_path
from latentlab.ui.actions import ACTIONS, CHECKS, CONDITIONS
from latentlab.ui.controller import Controller
from latentlab.ui.help import TOPICS, HelpPopup, keys_text

pytestmark = pytest.mark.gui

KEYS_OF_THE_DESIGN = {
    "open": "Ctrl+O",
    "save": "Ctrl+S",
    "export": "Ctrl+E",
    "undo": "Ctrl+Z",
    "redo": "Ctrl+Shift+Z",
    "copy": "Ctrl+C",
    "paste": "Ctrl+V",
    "copy_command": "Ctrl+Shift+C",
    "find": "Ctrl+K",
    "reroll": "R",
    "previous_seed": "[",
    "next_seed": "]",
    "keep": "K",
    "cancel": "Esc",
    "help_here": "F1",
    "full_screen": "F11",
}


def test_every_row_leads_somewhere():
    assert len({row.id for row in ACTIONS}) == len(ACTIONS)
    for row in ACTIONS:
        target, _, function = row.handler.partition(":")
        if target.startswith("controller."):
            assert callable(getattr(Controller, target.removeprefix("controller.")))
        else:
            assert callable(getattr(importlib.import_module(target), function))
        assert row.enabled in CONDITIONS
        assert not row.checked or row.checked in CHECKS
        assert not row.icon or asset_path("icons", f"{row.icon}.svg").is_file()


def test_the_keys_are_those_of_the_design_and_none_is_there_twice(window):
    actions = window.actions_table.actions
    for name, keys in KEYS_OF_THE_DESIGN.items():
        assert QKeySequence(keys) in actions[name].shortcuts(), name
    used = Counter(k.toString() for a in actions.values() for k in a.shortcuts() if not k.isEmpty())
    assert [key for key, count in used.items() if count > 1] == []


def test_every_menu_entry_has_a_mnemonic_of_its_own(window):
    for menu in window.menuBar().findChildren(QMenu):
        letters = [
            action.text().replace("&&", "")[action.text().replace("&&", "").find("&") + 1].lower()
            for action in menu.actions()
            if "&" in action.text().replace("&&", "")
        ]
        assert len(letters) == len(set(letters)), menu.title()


def test_no_entry_is_enabled_in_vain(window):
    actions = window.actions_table.actions
    assert not actions["undo"].isEnabled()
    assert not actions["reset_edits"].isEnabled()
    assert actions["cancel"].isEnabled() == bool(window.controller.jobs)
    window.controller.set_edit("smiling", 1.0)
    assert actions["undo"].isEnabled()
    actions["reset_edits"].trigger()
    assert window.controller.document.canvas.edits == {}


def test_copy_image_and_command_reach_the_clipboard(window, qtbot):
    window.controller.show_row(4)
    control = Qt.KeyboardModifier.ControlModifier
    qtbot.keyClick(window, Qt.Key.Key_C, control)
    image = QGuiApplication.clipboard().image()
    assert (image.width(), image.height()) == (12, 12)
    pixel = image.pixelColor(5, 7)
    assert (pixel.red(), pixel.green(), pixel.blue()) == tuple(
        window.controller.last_images[0][7, 5]
    )
    qtbot.keyClick(window, Qt.Key.Key_C, control | Qt.KeyboardModifier.ShiftModifier)
    command = QGuiApplication.clipboard().text()
    assert command.startswith("latentlab sample ")
    assert "--seeds 4" in command


def test_export_asks_for_a_name_and_adds_the_suffix(window, tmp_path, monkeypatch):
    def answer(*_args):
        return str(tmp_path / "faces"), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    window.actions_table.actions["export"].trigger()
    job = next(job for job in window.bridge.jobs if job.kind == "export_png")
    assert job.arguments["path"] == str(tmp_path / "faces.png")
    assert job.arguments["picture"] == window.controller.document.canvas
    window.actions_table.actions["export_latents"].trigger()
    job = next(job for job in window.bridge.jobs if job.kind == "export_latents")
    assert job.arguments["path"] == str(tmp_path / "faces.safetensors")


def test_a_dialog_that_is_left_changes_nothing(window, monkeypatch):
    def answer(*_args):
        return "", ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", answer)
    before, jobs = window.controller.document, list(window.bridge.jobs)
    for name in ("open", "save_as", "export", "export_latents", "import_direction"):
        window.actions_table.actions[name].trigger()
    assert window.controller.document == before
    assert window.bridge.jobs == jobs


def test_a_direction_is_chosen_exported_and_taken_in_again(window, tmp_path, monkeypatch, qtbot):
    controller, actions = window.controller, window.actions_table.actions
    asked = []

    def answer(_window, _title, start, *_args):
        asked.append(start)
        return str(tmp_path / "grin"), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    controller.rename_direction("smiling", "Grin / wide & <so>")
    actions["export_direction"].trigger()
    menu = QApplication.activePopupWidget()
    texts = [action.text().replace("&&", "&") for action in menu.actions()]
    assert texts == [controller.title_of(name) for name in controller.directions]
    keys = [Qt.Key.Key_Down] * (texts.index("Grin / wide & <so>") + 1)
    for key in [*keys, Qt.Key.Key_Return]:
        qtbot.keyClick(menu, key)
    assert asked[0].endswith("Grin - wide - -so.safetensors")
    path = tmp_path / "grin.safetensors"
    found = load_direction(path)
    assert found.name == "Grin / wide & <so>"
    assert np.array_equal(found.vector["z"], controller.directions["smiling"].vector["z"])
    save_direction(path, replace(found, vector={"z": -found.vector["z"]}))

    def other(*_args):
        return str(path), ""

    monkeypatch.setattr(QFileDialog, "getOpenFileName", other)
    assert not CONDITIONS["own_directions"](controller)
    actions["import_direction"].trigger()
    assert "Grin / wide & <so>" in controller.directions
    assert actions["store_direction"].isEnabled()
    actions["store_direction"].trigger()
    assert window.bridge.jobs[-1].kind == "store_directions"
    assert list(window.bridge.jobs[-1].arguments["directions"]) == ["Grin / wide & <so>"]


def test_help_lists_every_key(window):
    text = keys_text(window)
    for name in KEYS_OF_THE_DESIGN:
        assert window.actions_table.rows[name].name in text


def test_help_explains_the_panel_with_the_focus(window, qtbot):
    window.library_panel.search.setFocus()
    window.actions_table.actions["help_here"].trigger()
    popup = window.findChild(HelpPopup)
    assert popup.isVisible()
    texts = {text for _, text in TOPICS.values()}
    assert popup.body.text() in texts
    popup.close()


def test_recent_files_are_listed(window, tmp_path):
    assert window.controller.save_session(tmp_path / "mine.latentlab")
    window._recent.aboutToShow.emit()
    assert [action.text() for action in window._recent.actions()] == ["mine.latentlab"]
