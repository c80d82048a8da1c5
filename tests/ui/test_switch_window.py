"""The Switch panel in the whole window: its workspace, its menu, and pictures of other places."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from latentlab.core.settings import Settings
from latentlab.services.library import ModelLibrary
from latentlab.ui.controller import Controller
from latentlab.ui.main_window import MainWindow
from latentlab.ui.theme import ThemeKeeper
from latentlab.ui.widgets.picture_menu import PictureMenu, ShownPicture
from tests.flow_models import write_tiny
from tests.ui.stage import write_formula_model
from tests.ui.switch_stage import FlowBridge, sample

pytestmark = pytest.mark.gui


@pytest.fixture
def window(tmp_path, qapp, qtbot):
    write_tiny(tmp_path / "tiny-flow.safetensors")
    write_formula_model(tmp_path, "waves")
    library = ModelLibrary([tmp_path], device="cpu")
    bridge = FlowBridge(library)
    settings = Settings(library_folders=(str(tmp_path),), hint_dismissed=True)
    controller = Controller(bridge, settings, ModelLibrary([tmp_path]))
    theme = ThemeKeeper(qapp, "light")
    window = MainWindow(controller, bridge, theme, ask_unsaved=lambda _window: True)
    for part in (theme, bridge, controller):
        part.setParent(window)
    window.resize(1280, 800)
    window.show()
    qtbot.waitUntil(window.isActiveWindow)
    controller.open_model("tiny-flow")
    yield window
    window.close()
    window.deleteLater()


def trigger(window, name: str) -> None:
    action = window.actions_table.actions[name]
    window.actions_table.refresh()
    assert action.isEnabled(), name
    action.trigger()


def enabled(window, name: str) -> bool:
    window.actions_table.refresh()
    return window.actions_table.actions[name].isEnabled()


def settle(model, qtbot) -> None:
    qtbot.waitUntil(lambda: not model._calm.isActive() and not model.busy)


def test_the_menu_makes_checks_and_blends_a_matrix(window, qtbot):
    assert not enabled(window, "switch_check")
    trigger(window, "workspace_switch")
    trigger(window, "switch_samples")
    panel = window.hosts["switch"].panel
    qtbot.waitUntil(panel.isVisible)
    settle(panel.model, qtbot)
    assert panel.model.count == 4
    panel.page.choose((0, 1))
    trigger(window, "switch_check")
    assert panel.model.check_of((0, 1)) is not None
    trigger(window, "switch_swap")
    assert panel.model.texts == ("Local", "Global")
    trigger(window, "switch_blend")
    assert panel.tabs.currentWidget() is panel.blend_page
    trigger(window, "switch_export")
    assert panel.export.isVisible()
    panel.export.hide()
    settle(panel.model, qtbot)
    qtbot.waitUntil(lambda: not panel.blend._calm.isActive())


def test_a_picture_of_the_canvas_becomes_a_column(window, qtbot):
    shown = ShownPicture(sample(5))
    menu = PictureMenu(window.controller, shown, window)
    uses = next(action.menu() for action in menu.actions() if action.menu() is not None)
    column = next(action for action in uses.actions() if action.text() == "Column of the switch")
    column.trigger()
    panel = window.hosts["switch"].panel
    qtbot.waitUntil(panel.isVisible)
    assert panel.model.source(0) == sample(5)
    assert panel.page.matrix.place == (-1, 0)
    settle(panel.model, qtbot)
    menu.deleteLater()


def test_keys_of_the_matrix_are_its_own(window, qtbot):
    trigger(window, "switch_samples")
    panel = window.hosts["switch"].panel
    qtbot.waitUntil(panel.isVisible)
    settle(panel.model, qtbot)
    matrix = panel.page.matrix
    matrix.setFocus()
    panel.page.choose((1, 0))
    QTest.keyClick(matrix, Qt.Key.Key_K)
    (kept,) = window.controller.document.tray
    assert kept.picture == panel.model.picture((1, 0))
    seeds = window.controller.document.canvas.seeds
    QTest.keyClick(matrix, Qt.Key.Key_R)
    assert window.controller.document.canvas.seeds != seeds


def test_a_model_of_one_part_says_what_is_needed(window):
    window.controller.open_model("waves")
    host = window.hosts["switch"]
    assert "global and local parts" in host._note.accessibleDescription()
    assert not enabled(window, "switch_samples")
    menu = PictureMenu(window.controller, ShownPicture(sample(5)), window)
    uses = next(action.menu() for action in menu.actions() if action.menu() is not None)
    assert not [action for action in uses.actions() if "switch" in action.text()]
    menu.deleteLater()


def test_another_theme_draws_other_icons(window, qtbot):
    trigger(window, "switch_samples")
    panel = window.hosts["switch"].panel
    qtbot.waitUntil(panel.isVisible)
    settle(panel.model, qtbot)

    def ink(button) -> int:
        image = button.icon().pixmap(16, 16).toImage()
        colours = [image.pixelColor(x, y) for x in range(16) for y in range(16)]
        return max(colour.lightness() for colour in colours if colour.alpha() > 200)

    pairs = (panel.add, panel.page.keep, panel.blend_page.swap)
    assert all(ink(button) < 100 for button in pairs)
    window.theme.choose("dark")
    qtbot.waitUntil(lambda: all(ink(button) > 150 for button in pairs))
    window.theme.choose("light")
