"""The image view: exact pixels, whole-number zoom, hits, keys, errors."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QPushButton

from latentlab.core.requests import Failure
from latentlab.ui.widgets.grid_geometry import fit_grid, next_scale, snap_scale
from latentlab.ui.widgets.image_view import BUSY_AFTER_MS, ImageView
from latentlab.ui.widgets.images import as_qimage, from_qimage
from tests.ui.stage import pixels, turn_wheel

pytestmark = pytest.mark.gui


def noise_images(count: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    levels = np.random.default_rng(7).integers(0, 256, (count, height, width, channels))
    return levels.astype(np.uint8)


@pytest.fixture
def view(qtbot):
    view = ImageView()
    qtbot.addWidget(view)
    view.resize(400, 300)
    with qtbot.waitExposed(view):
        view.show()
    return view


def enlarged(image: np.ndarray, scale: int) -> np.ndarray:
    rgb = np.broadcast_to(image, (*image.shape[:2], 3))
    return rgb.repeat(scale, axis=0).repeat(scale, axis=1)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_equal_the_array_at_whole_zoom(view, channels):
    images = noise_images(1, 13, 17, channels)
    view.set_images(images)
    assert view.scale == 23  # 300 // 13
    for steps in (0, -1, -3):
        view.zoom_by(steps)
        scale = int(view.scale)
        assert scale == view.scale
        rect = view.image_rect(0)
        painted = pixels(view)[rect.top() : rect.bottom() + 1, rect.left() : rect.right() + 1]
        np.testing.assert_array_equal(painted, enlarged(images[0], scale))


def test_grid_shows_every_image_exactly(view):
    images = noise_images(7, 10, 14)
    view.set_images(images)
    painted = pixels(view)
    scale = int(view.scale)
    assert scale >= 4
    for row in range(7):
        rect = view.image_rect(row)
        part = painted[rect.top() : rect.bottom() + 1, rect.left() : rect.right() + 1]
        np.testing.assert_array_equal(part, enlarged(images[row], scale))


def test_images_are_not_copied(view):
    images = noise_images(2, 8, 8)
    assert np.shares_memory(np.frombuffer(as_qimage(images[1]).constBits(), np.uint8), images)
    view.set_images(images)
    assert np.shares_memory(view.image(1), images)


def test_qimage_round_trip_with_odd_width():
    image = noise_images(1, 5, 7)[0]
    np.testing.assert_array_equal(from_qimage(as_qimage(image)), image)


def test_smoothing_blends_pixels(view):
    images = noise_images(1, 12, 12)
    view.set_images(images)
    plain = {tuple(p) for p in pixels(view).reshape(-1, 3)}
    view.set_smooth(True)
    assert len({tuple(p) for p in pixels(view).reshape(-1, 3)}) > 3 * len(plain)


@pytest.mark.parametrize("count", [1, 2, 5, 16, 25, 64])
@pytest.mark.parametrize("area", [(300, 200), (640, 480), (333, 1001), (2000, 700)])
@pytest.mark.parametrize("image", [(28, 28), (64, 64), (40, 96)])
def test_grid_fits_and_finds_every_image(count, area, image):
    grid = fit_grid(count, image, area, gap=4)
    assert grid.scale in (1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6) or grid.scale == int(grid.scale)
    seen = set()
    for index in range(count):
        x, y, width, height = grid.cell(index)
        assert x >= 0
        assert y >= 0
        assert x + width <= area[0]
        assert y + height <= area[1]
        for corner in ((x, y), (x + width - 1, y + height - 1), (x + width / 2, y + height / 2)):
            assert grid.index_at(*corner) == index
        assert grid.index_at(x + width + 1, y) is None
        assert grid.index_at(x, y + height + 1) is None
        seen.add((x, y))
    assert len(seen) == count
    assert grid.index_at(-1, -1) is None


def test_grid_takes_the_largest_scale():
    # By hand: three 100-pixel squares in 620x210 fit side by side at 2, in two rows only at 1.
    assert fit_grid(3, (100, 100), (620, 210), gap=4).columns == 3
    assert fit_grid(3, (100, 100), (620, 210), gap=4).scale == 2


def test_scales_are_whole_or_one_over_whole():
    assert [snap_scale(s) for s in (7.9, 1.0, 0.99, 0.5, 0.34)] == [7, 1, 1 / 2, 1 / 2, 1 / 3]
    assert next_scale(4, 1) == 5
    assert next_scale(1, -1) == 1 / 2
    assert next_scale(64, 1) == 64


@pytest.mark.parametrize("row", [0, 3, 6])
def test_click_selects_and_double_click_activates(view, qtbot, row):
    view.set_images(noise_images(7, 10, 14))
    at = view.image_rect(row).center()
    with qtbot.waitSignal(view.selected) as chosen:
        qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=at)
    assert chosen.args == [row]
    assert view.selection == row
    assert f"image {row + 1} selected" in view.accessibleDescription()
    with qtbot.waitSignal(view.activated) as activated:
        qtbot.mouseDClick(view, Qt.MouseButton.LeftButton, pos=at)
    assert activated.args == [row]


def test_selection_is_outlined(view):
    view.set_images(noise_images(4, 10, 10))
    before = pixels(view)
    view.select(2)
    rect = view.image_rect(2)
    edge = pixels(view)[rect.top() - 1, rect.center().x()]
    assert (edge != before[rect.top() - 1, rect.center().x()]).any()
    accent = view.palette().highlight().color()
    assert tuple(edge) == accent.getRgb()[:3]


def test_arrows_enter_and_escape(view, qtbot):
    view.set_images(noise_images(7, 10, 14))
    columns = view.grid().columns
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_Right)
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.selection == 1
    qtbot.keyClick(view, Qt.Key.Key_Down)
    assert view.selection == 1 + columns
    qtbot.keyClick(view, Qt.Key.Key_Up)
    qtbot.keyClick(view, Qt.Key.Key_Left)
    assert view.selection == 0
    with qtbot.waitSignal(view.activated) as activated:
        qtbot.keyClick(view, Qt.Key.Key_Return)
    assert activated.args == [0]
    with qtbot.assertNotEmitted(view.back_requested):
        qtbot.keyClick(view, Qt.Key.Key_Escape)
    view.can_go_back = True
    with qtbot.waitSignal(view.back_requested):
        qtbot.keyClick(view, Qt.Key.Key_Escape)


def test_keys_zoom_and_fit(view, qtbot):
    view.set_images(noise_images(1, 50, 50))
    assert view.scale == 6
    qtbot.keyClick(view, Qt.Key.Key_Plus)
    assert view.scale == 7
    qtbot.keyClick(view, Qt.Key.Key_Minus)
    qtbot.keyClick(view, Qt.Key.Key_Minus)
    assert view.scale == 5
    qtbot.keyClick(view, Qt.Key.Key_0)
    assert view.scale == 6


def test_ctrl_wheel_zooms_around_the_mouse(view):
    images = noise_images(1, 50, 50)
    view.set_images(images)
    # Larger than the view on both sides: what is smaller stays in the middle instead.
    view.zoom_by(4)
    at = QPointF(260, 140)
    rect = view.image_rect(0)
    under = ((at.x() - rect.left()) / view.scale, (at.y() - rect.top()) / view.scale)
    for _ in range(3):
        assert turn_wheel(view, 1, Qt.KeyboardModifier.ControlModifier, at)
    assert view.scale == 20
    rect = view.image_rect(0)
    now = ((at.x() - rect.left()) / view.scale, (at.y() - rect.top()) / view.scale)
    assert now == pytest.approx(under, abs=0.2)


def test_wheel_moves_only_what_overflows(view, qtbot):
    view.set_images(noise_images(1, 50, 50))
    assert not turn_wheel(view, 1)
    view.zoom_by(4)
    top = view.image_rect(0).top()
    assert turn_wheel(view, 1)
    assert view.image_rect(0).top() > top
    left = view.image_rect(0).left()
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(200, 150))
    qtbot.mouseMove(view, QPoint(190, 150))
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(190, 150))
    assert view.image_rect(0).left() == left - 10


def test_zoom_stays_while_the_size_does(view):
    view.set_images(noise_images(1, 50, 50))
    view.zoom_by(2)
    view.set_images(noise_images(1, 50, 50))
    assert view.scale == 8
    view.set_images(noise_images(4, 50, 50))
    assert view.scale < 8


def test_drag_starts_after_a_distance(view, qtbot):
    view.set_images(noise_images(4, 10, 10))
    at = view.image_rect(1).center()
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=at)
    with qtbot.assertNotEmitted(view.drag_started):
        qtbot.mouseMove(view, at + QPoint(2, 0))
    with qtbot.waitSignal(view.drag_started) as started:
        qtbot.mouseMove(view, at + QPoint(30, 0))
    assert started.args == [1]
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=at)


def test_error_stands_where_the_image_would_be(view, qtbot):
    images = noise_images(1, 10, 10)
    view.set_images(images)
    sentence = "There is no space 'w': choose z."
    view.show_failure(Failure(sentence, "Traceback: deep inside"))
    assert view.failure.message == sentence
    label = view.findChild(QLabel, "errorSentence")
    assert label.isVisible()
    assert sentence in label.text()
    colours = {tuple(p) for p in images.reshape(-1, 3)}
    assert not colours & {tuple(p) for p in pixels(view)[:20].reshape(-1, 3)}
    details, copy = view.findChildren(QPushButton)
    assert not view.findChild(QPlainTextEdit).isVisible()
    qtbot.mouseClick(details, Qt.MouseButton.LeftButton)
    assert view.findChild(QPlainTextEdit).isVisible()
    assert "deep inside" in view.findChild(QPlainTextEdit).toPlainText()
    qtbot.mouseClick(copy, Qt.MouseButton.LeftButton)
    text = QGuiApplication.clipboard().text()
    assert sentence in text
    assert "deep inside" in text
    view.set_images(images)
    assert view.failure is None
    assert not label.isVisible()


def test_computing_appears_late_and_not_for_quick_images(view, qtbot):
    view.set_busy(True)
    assert not view.busy_shown
    qtbot.waitUntil(lambda: view.busy_shown)
    view.set_images(noise_images(1, 10, 10))
    assert not view.busy_shown
    view.set_busy(True)
    view.set_images(noise_images(1, 10, 10))
    qtbot.wait(BUSY_AFTER_MS + 60)
    assert not view.busy_shown


def test_space_is_held_until_release(view, qtbot):
    view.set_images(noise_images(1, 10, 10))
    view.setFocus()
    held = []
    view.before_held.connect(held.append)
    qtbot.keyPress(view, Qt.Key.Key_Space)
    qtbot.keyPress(view, Qt.Key.Key_Space)
    assert held == [True]
    qtbot.keyRelease(view, Qt.Key.Key_Space)
    assert held == [True, False]
