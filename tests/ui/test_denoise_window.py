"""The Denoising panel in the whole window: its keys beside those of others, its docks, its end."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton

from latentlab.core.denoising import Sampling
from tests.ui.denoise_stage import STEPS, make_step_window, open_steps, shade
from tests.ui.stage import pixels

pytestmark = pytest.mark.gui
Key = Qt.Key


@pytest.fixture
def window(tmp_path, qapp, qtbot):
    folder = tmp_path / "models"
    folder.mkdir()
    window = make_step_window(folder, qapp)
    window.resize(1300, 900)
    window.show()
    qtbot.waitUntil(window.isActiveWindow)
    open_steps(window.controller)
    window.layout_keeper.show_workspace("denoise")
    qtbot.waitUntil(lambda: window.hosts["denoising"].panel is not None)
    qtbot.waitUntil(lambda: bool(window.bridge.asked))
    yield window
    window.close()
    window.deleteLater()


@pytest.fixture
def panel(window):
    window.bridge.finish()
    panel = window.hosts["denoising"].panel
    panel.watch.timeline.setFocus()
    return panel


def press(panel, key, modifiers=Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(QApplication.focusWidget() or panel, key, modifiers)


def level(panel, path: str, index: int, show: str) -> int:
    return shade(panel.model.picture, path, index, show)


def shown_level(panel) -> int:
    """Level of the large image, read off the screen."""
    view = panel.watch.view
    at = view.image_rect(0).center()
    return int(pixels(view)[at.y(), at.x(), 0])


def click_frame(panel, path: str, show: str, index: int, double: bool = False) -> None:
    timeline = panel.watch.timeline
    at = timeline.frame_rect(path, show, index).center()
    act = QTest.mouseDClick if double else QTest.mouseClick
    if double:
        QTest.mouseClick(timeline.viewport(), Qt.MouseButton.LeftButton, pos=at)
    act(timeline.viewport(), Qt.MouseButton.LeftButton, pos=at)


def test_frames_appear_one_by_one_while_it_runs(window, qtbot):
    panel = window.hosts["denoising"].panel
    timeline = panel.watch.timeline
    for step in (1, 2, 3):
        window.bridge.advance()
        qtbot.waitUntil(lambda step=step: shown_level(panel) == level(panel, "", step, "x0"))
        at = timeline.frame_rect("", "x_t", step).center()
        painted = pixels(timeline.viewport())
        assert painted[at.y(), at.x(), 0] == level(panel, "", step, "x_t")
        nothing = timeline.frame_rect("", "x_t", step + 1).center() + QPoint(6, 6)
        assert painted[nothing.y(), nothing.x(), 0] != level(panel, "", step + 1, "x_t")
    assert "step 3 of 6" in timeline.accessibleDescription()
    assert "Denoising seed 0" in window.status.jobs.row.label.text()


def test_space_plays_and_pauses_and_the_canvas_does_not_notice(window, panel, qtbot):
    held = []
    window.controller.before_held.connect(held.append)
    panel.watch.controls.pace.setValue(60)
    press(panel, Key.Key_Space)
    assert panel.watch.controls.playing
    qtbot.waitUntil(lambda: panel.model.selected[1] == 3)
    press(panel, Key.Key_Space)
    assert not panel.watch.controls.playing
    assert held == []


def test_k_keeps_the_frame_and_enter_shows_it(window, panel):
    click_frame(panel, "", "x_t", 3)
    press(panel, Key.Key_K)
    (item,) = window.controller.document.tray
    sampling = Sampling.from_options(item.picture.options)
    assert (sampling.stop_at, sampling.show, sampling.steps) == (3, "x_t", STEPS)
    press(panel, Key.Key_Return)
    assert window.controller.document.canvas.options == item.picture.options
    # The canvas shows a frame of the same run: nothing is made anew.
    assert panel.model.complete("")
    assert panel.model.follows


def test_esc_cancels_and_the_run_can_be_made_again(window, panel, qtbot):
    panel.form.controls.guidance.box.setValue(2.0)
    window.bridge.advance(2)
    panel.watch.timeline.setFocus()
    press(panel, Key.Key_Escape)
    qtbot.waitUntil(lambda: panel.again.isVisible())
    assert len(panel.model.frames("")) == 2
    QTest.mouseClick(panel.again, Qt.MouseButton.LeftButton)
    window.bridge.finish()
    assert panel.model.complete("")
    assert not panel.again.isVisible()


def test_another_model_says_what_it_would_need(window, panel):
    window.controller.open_model("waves")
    host = window.hosts["denoising"]
    assert not panel.isVisible()
    assert "can make an image step by step" in host._note.accessibleDescription()
    button = next(b for b in host.findChildren(QPushButton) if b.isVisible())
    # Of the models that can, the bundled one stands first in the library.
    assert button.text() == "&Open Portraits diffusion"
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert window.controller.model.spec.id == "portraits-diffusion"
    assert panel.isVisible()


def test_the_menu_does_the_same(window, panel):
    actions = window.actions_table.actions
    window.actions_table.refresh()
    assert actions["denoise_branch"].isEnabled()
    actions["denoise_compare"].trigger()
    assert panel.model.paths == ("", "0:sampler=ddim")
    window.bridge.finish()
    actions["denoise_keep"].trigger()
    assert len(window.controller.document.tray) == 1
    actions["denoise_canvas"].trigger()
    assert panel.model.paths == ("",)
    window.controller.open_model("waves")
    window.actions_table.refresh()
    assert not actions["denoise_canvas"].isEnabled()


@pytest.mark.parametrize("width", [420, 640, 900])
def test_nothing_is_cut_off_in_a_narrow_dock(window, panel, qtbot, width):
    dock = window.hosts["denoising"].parentWidget()
    window.resize(1100, 700)
    window.resizeDocks([dock], [width], Qt.Orientation.Horizontal)
    qtbot.wait(50)
    assert panel.minimumSizeHint().width() <= 420
    controls = panel.watch.controls
    for button in (*controls.buttons.values(), *controls.shows.values()):
        right = button.mapTo(panel, button.rect().topRight()).x()
        bottom = button.mapTo(controls, button.rect().bottomLeft()).y()
        assert right <= panel.width()
        assert bottom <= controls.height()
    assert panel.watch.view.height() >= 84
    assert panel.watch.timeline.height() >= 72


def test_closing_the_window_during_a_run_leaves_nothing(window):
    window.bridge.advance(1)
    window.close()
    assert window.bridge.stopped
