"""A mask painted with the mouse and by keys, on real widgets."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt

from latentlab.ui.widgets.mask_editor import MaskEditor
from latentlab.ui.widgets.mask_model import MaskModel
from tests.ui.stage import pixels

SIDE = 16
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
SHIFT, CTRL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def editor(qtbot) -> MaskEditor:
    editor = MaskEditor()
    qtbot.addWidget(editor)
    editor.resize(420, 480)
    editor.set_photo(np.full((SIDE, SIDE, 3), 90, np.uint8))
    editor.show()
    qtbot.waitExposed(editor)
    return editor


def at(editor: MaskEditor, x: float, y: float) -> QPoint:
    """Where the middle of a pixel is on the canvas."""
    rect = editor.canvas.image_rect()
    side = rect.width() / SIDE
    return QPoint(round(rect.left() + (x + 0.5) * side), round(rect.top() + (y + 0.5) * side))


def test_a_brush_paints_a_disc_and_a_line_and_one_stroke_is_one_step() -> None:
    model = MaskModel()
    model.start(32, 32)
    model.begin()
    model.move((16.0, 16.0), 8)
    y, x = np.indices((32, 32)) + 0.5
    assert np.array_equal(model.painted, (x - 16) ** 2 + (y - 16) ** 2 <= 16)
    model.move((26.0, 16.0), 8)
    assert model.painted[16, 12:30].all()
    assert not model.painted[:12].any()
    model.end()
    model.undo()
    assert model.share == 0
    model.redo()
    assert model.share > 0.1
    assert model.levels.max() == 255


def test_a_brush_of_one_pixel_paints_one_pixel_wherever_it_stands_in_it() -> None:
    model = MaskModel()
    model.start(8, 8)
    for place in ((3.5, 4.5), (3.45, 4.6)):
        model.begin()
        model.move(place, 1)
        model.end()
        assert np.argwhere(model.painted).tolist() == [[4, 3]]


def test_the_mouse_paints_and_the_right_button_or_the_eraser_takes_away(editor, qtbot) -> None:
    canvas, model = editor.canvas, editor.model
    editor.size_slider.setValue(2)
    qtbot.mousePress(canvas, LEFT, pos=at(editor, 3, 3))
    qtbot.mouseMove(canvas, at(editor, 10, 3))
    qtbot.mouseRelease(canvas, LEFT, pos=at(editor, 10, 3))
    assert model.painted[3, 3:11].all()
    assert not model.painted[8:].any()
    qtbot.mouseClick(canvas, RIGHT, pos=at(editor, 6, 3))
    assert not model.painted[3, 6]
    assert model.painted[3, 10]
    qtbot.mouseClick(editor.erase, LEFT)
    qtbot.mouseClick(canvas, LEFT, pos=at(editor, 10, 3))
    assert not model.painted[3, 10]
    assert editor._share.text().endswith("painted")


def test_painted_pixels_are_seen_by_colour_and_hatching(editor, qtbot) -> None:
    before = pixels(editor.canvas)
    editor.model.fill(0, 0, SIDE, SIDE // 2)
    after = pixels(editor.canvas)
    rect = editor.canvas.image_rect().toRect()
    middle = rect.center().y()
    top = after[rect.top() + 4 : middle - 4, rect.left() : rect.right()]
    assert (
        (top != before[rect.top() + 4 : middle - 4, rect.left() : rect.right()]).any(axis=2).all()
    )
    assert len(np.unique(top.reshape(-1, 3), axis=0)) > 1
    below = slice(middle + 4, rect.bottom() - 4)
    columns = slice(rect.left(), rect.right())
    assert np.array_equal(after[below, columns], before[below, columns])


def test_a_rectangle_is_moved_sized_painted_and_erased_by_keys(editor, qtbot) -> None:
    canvas, model = editor.canvas, editor.model
    canvas.setFocus()
    box = canvas.rectangle
    for _ in range(20):
        qtbot.keyClick(canvas, Qt.Key.Key_Left)
    qtbot.keyClick(canvas, Qt.Key.Key_Up, CTRL)
    assert (canvas.rectangle.left(), canvas.rectangle.top()) == (0, 0)
    qtbot.keyClick(canvas, Qt.Key.Key_Right, SHIFT)
    qtbot.keyClick(canvas, Qt.Key.Key_Down, SHIFT)
    qtbot.keyClick(canvas, Qt.Key.Key_Space)
    side = box.width() + 1
    assert model.painted[:side, :side].all()
    assert model.painted.sum() == side * side
    qtbot.keyClick(canvas, Qt.Key.Key_Right)
    qtbot.keyClick(canvas, Qt.Key.Key_Delete)
    assert model.painted.sum() == side
    qtbot.keyClick(canvas, Qt.Key.Key_Z, CTRL)
    assert model.painted.sum() == side * side
    qtbot.keyClick(canvas, Qt.Key.Key_Z, CTRL | SHIFT)
    assert model.painted.sum() == side
    assert "rectangle at 1, 0" in canvas.accessibleDescription()


def test_brackets_size_the_brush_and_the_slider_follows(editor, qtbot) -> None:
    canvas = editor.canvas
    before = canvas.diameter
    qtbot.keyClick(canvas, Qt.Key.Key_BracketRight)
    assert editor.size_slider.value() == canvas.diameter == before + 1
    for _ in range(20):
        qtbot.keyClick(canvas, Qt.Key.Key_BracketLeft)
    assert editor.size_slider.value() == canvas.diameter == 1


def test_invert_clear_undo_and_redo_are_buttons(editor, qtbot) -> None:
    model = editor.model
    assert not editor.undo.isEnabled()
    model.fill(2, 2, 4, 4)
    qtbot.mouseClick(editor.invert, LEFT)
    assert model.share == pytest.approx(1 - 16 / 256)
    qtbot.mouseClick(editor.clear, LEFT)
    assert model.share == 0
    qtbot.mouseClick(editor.undo, LEFT)
    qtbot.mouseClick(editor.undo, LEFT)
    assert model.share == pytest.approx(16 / 256)
    qtbot.mouseClick(editor.redo, LEFT)
    assert model.share == pytest.approx(1 - 16 / 256)
    assert editor.redo.isEnabled()


def test_another_photograph_of_the_same_size_keeps_the_mask(editor) -> None:
    editor.model.fill(2, 2, 4, 4)
    editor.set_photo(np.zeros((SIDE, SIDE, 3), np.uint8))
    assert editor.model.share > 0
    editor.set_photo(np.zeros((32, 32, 1), np.uint8))
    assert editor.model.share == 0
    assert not editor.undo.isEnabled()
