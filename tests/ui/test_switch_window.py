"""The Switch panel in the whole window: its workspace, its menu, and pictures of other places."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLabel, QMenuBar, QPushButton, QTabBar, QWidget

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


def letters_in_use(window) -> dict[str, list[str]]:
    """Return what answers to Alt and a letter, by letter: all that Qt counts as visible."""
    found: dict[str, list[str]] = {}
    for widget in window.findChildren(QWidget):
        if not widget.isVisible():
            continue
        texts = []
        if isinstance(widget, QMenuBar):
            texts = [action.text() for action in widget.actions()]
        elif isinstance(widget, QTabBar):
            texts = [widget.tabText(place) for place in range(widget.count())]
        elif isinstance(widget, QAbstractButton) or (isinstance(widget, QLabel) and widget.buddy()):
            texts = [widget.text()]
        for text in texts:
            letter = QKeySequence.mnemonic(text).toString()
            if letter:
                found.setdefault(letter, []).append(text)
    return found


def twice(window) -> list[list[str]]:
    return [texts for texts in letters_in_use(window).values() if len(texts) > 1]


def test_no_two_things_in_sight_answer_to_the_same_letter(window, qtbot):
    for name in ("directions", "likelihood", "switch"):
        window._bring(name)
        qtbot.waitUntil(window.hosts[name].panel.isVisible)
    # Behind a tab nothing answers, and nothing is made.
    qtbot.waitUntil(lambda: not window.hosts["likelihood"].panel.isVisible())
    assert not window.hosts["directions"].panel.isVisible()
    assert twice(window) == []
    panel = window.hosts["switch"].panel
    trigger(window, "switch_samples")
    settle(panel.model, qtbot)
    assert twice(window) == []
    panel.tabs.setCurrentWidget(panel.blend_page)
    assert twice(window) == []
    window._bring("likelihood")
    qtbot.waitUntil(lambda: not panel.isVisible())
    assert window.hosts["likelihood"].panel.isVisible()
    assert twice(window) == []


def test_a_panel_that_is_torn_off_is_shown_and_so_is_the_one_behind(window, qtbot):
    window._bring("switch")
    panel = window.hosts["switch"].panel
    dock = window.hosts["switch"].parentWidget()
    dock.setFloating(True)
    qtbot.waitUntil(lambda: dock.isFloating() and panel.isVisible())
    dock.setFloating(False)
    dock.raise_()
    qtbot.waitUntil(panel.isVisible)
    window.layout_keeper.reset()
    qtbot.waitUntil(lambda: not panel.isVisible())


def test_ways_to_begin_stand_together(window, qtbot):
    window._bring("switch")
    empty = window.hosts["switch"].panel.empty
    empty.portraits.setVisible(True)
    qtbot.waitUntil(empty.portraits.isVisible)
    begin = next(b for b in empty.findChildren(QPushButton) if b.text() == "Swit&ch 4 samples")
    lower, upper = (b.mapTo(empty, b.rect().topLeft()).y() for b in (empty.portraits, begin))
    assert 0 < lower - upper - begin.height() <= 16
