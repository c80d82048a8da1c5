"""The strip of a slider's whole range: real decodes of the formula, real clicks, keys and drags."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QDrag, QImage, QPalette
from PySide6.QtWidgets import QApplication

from latentlab.core.direction import Direction
from latentlab.core.requests import Failure, PreviewRequest
from latentlab.ui.widgets.image_mime import read_pictures
from latentlab.ui.widgets.images import from_qimage
from latentlab.ui.widgets.range_strip import BASE_CHANNEL, CHANNEL, RangeStrip
from latentlab.ui.widgets.range_view import sigma_text, strip_values
from tests.ui.stage import FormulaBridge, decode, make_controller, pixels

pytestmark = pytest.mark.gui


@pytest.fixture
def controller(tmp_path, qtbot):
    controller = make_controller(tmp_path, FormulaBridge(size=32))
    controller.open_model("waves")
    controller.set_sampling(seed=3, count=4)
    return controller


@pytest.fixture
def strip(controller, qtbot):
    strip = RangeStrip(controller)
    qtbot.addWidget(strip)
    strip.resize(480, 120)
    with qtbot.waitExposed(strip):
        strip.show()
    return strip


def expected(controller, name: str, count: int, row: int = 0) -> np.ndarray:
    """What each image must be, from the worker's own formula on one picture after another."""
    one = controller.row_picture(row)
    pictures = [one.with_edit(name, value) for value in strip_values(count)]
    store, bridge = controller.store, controller._bridge
    latents = [bridge.latents(PreviewRequest("", 0, p, store.latents(p)))["z"] for p in pictures]
    return decode(np.concatenate(latents), 32)


def shown(strip) -> np.ndarray:
    return np.stack([strip.view.image(place) for place in range(len(strip.view.values))])


def asked(controller, channel: str) -> list:
    return [r for r in controller._bridge.requests if r.channel == channel]


def click(qtbot, strip, place: int) -> None:
    qtbot.mouseClick(
        strip.view, Qt.MouseButton.LeftButton, pos=strip.view.image_rect(place).center()
    )


def test_values_go_from_end_to_end_in_equal_steps():
    for count in (7, 9, 11):
        values = strip_values(count)
        assert (values[0], values[count // 2], values[-1]) == (-4, 0, 4)
        assert np.allclose(np.diff(values), 8 / (count - 1), atol=0.011)
    assert strip_values(9) == (-4, -3, -2, -1, 0, 1, 2, 3, 4)
    assert [sigma_text(v) for v in (-4.0, 1.33, 0.0)] == ["−4 σ", "+1.3 σ", "0 σ"]


def test_it_decodes_the_slider_alone_in_one_batch(controller, strip):
    controller.set_edit("zebra", 2.0)
    controller.set_edit("smiling", 1.0)
    strip.open("smiling")
    count = strip.view.count
    assert np.array_equal(shown(strip), expected(controller, "smiling", count))
    assert len(asked(controller, CHANNEL)) == 1
    assert len(asked(controller, BASE_CHANNEL)) == 1
    assert asked(controller, CHANNEL)[0].stored.batch == count


def test_the_images_are_painted(controller, strip):
    strip.open("smiling")
    grab = pixels(strip.view)
    for place in (0, 3, len(strip.view.values) - 1):
        rect = strip.view.image_rect(place)
        zoom = rect.width() // 32
        want = np.kron(strip.view.image(place), np.ones((zoom, zoom, 1), np.uint8))
        found = grab[rect.top() : rect.top() + rect.height(), rect.left() :][:, : rect.width()]
        assert np.array_equal(found, want)


def test_it_follows_the_selection_and_the_canvas(controller, strip, qtbot):
    strip.open("smiling")
    with qtbot.waitSignal(strip.rendered):
        controller.select(2)
    assert np.array_equal(shown(strip), expected(controller, "smiling", strip.view.count, 2))
    with qtbot.waitSignal(strip.rendered):
        controller.set_sampling(seed=40)
    assert np.array_equal(shown(strip), expected(controller, "smiling", strip.view.count, 2))


def test_its_own_slider_moves_only_the_mark(controller, strip, qtbot):
    strip.open("smiling")
    before = len(asked(controller, CHANNEL))
    accent = strip.palette().color(QPalette.ColorRole.Highlight).getRgb()[:3]

    def mark() -> float:
        axis = pixels(strip.view)[2:5]
        return float(np.nonzero((axis == accent).all(axis=2))[1].mean())

    assert mark() == pytest.approx(strip.view.x_of(0), abs=1.5)
    controller.set_edit("smiling", 2.5)
    assert mark() == pytest.approx(strip.view.x_of(2.5), abs=1.5)
    qtbot.wait(300)
    assert len(asked(controller, CHANNEL)) == before


def test_another_slider_counts_when_the_hand_rests(controller, strip, qtbot):
    strip.open("smiling")
    before = len(asked(controller, CHANNEL))
    with qtbot.waitSignal(strip.rendered):
        for amount in (0.5, 1.0, 1.5, 2.0):
            controller.set_edit("zebra", amount, "drag")
    assert len(asked(controller, CHANNEL)) == before + 1
    assert np.array_equal(shown(strip), expected(controller, "smiling", strip.view.count))


def test_a_click_sets_the_slider_in_one_step(controller, strip, qtbot):
    strip.open("smiling")
    steps = len(controller.history.entries)
    place = len(strip.view.values) - 2
    click(qtbot, strip, place)
    assert controller.document.canvas.edits == {"smiling": strip.view.values[place]}
    assert len(controller.history.entries) == steps + 1
    click(qtbot, strip, 0)
    assert len(controller.history.entries) == steps + 2
    controller.undo()
    assert controller.document.canvas.edits == {"smiling": strip.view.values[place]}


def test_keys_choose_set_and_keep(controller, strip, qtbot):
    strip.open("smiling")
    strip.view.setFocus()
    middle = len(strip.view.values) // 2
    qtbot.keyClick(strip.view, Qt.Key.Key_Right)
    qtbot.keyClick(strip.view, Qt.Key.Key_Return)
    value = strip.view.values[middle + 1]
    assert controller.document.canvas.edits == {"smiling": value}
    qtbot.keyClick(strip.view, Qt.Key.Key_End)
    qtbot.keyClick(strip.view, Qt.Key.Key_K)
    assert controller.document.tray[0].picture == controller.row_picture(0).with_edit("smiling", 4)
    assert "+4 σ" in strip.view.accessibleDescription()


def test_an_image_is_dragged_away_as_its_picture(controller, strip, qtbot, monkeypatch):
    dragged = []
    monkeypatch.setattr(
        QDrag, "exec", lambda self, *_: dragged.append(self.mimeData()) or Qt.DropAction.CopyAction
    )
    strip.open("smiling")
    start = strip.view.image_rect(1).center()
    qtbot.mousePress(strip.view, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(strip.view, start + QPoint(QApplication.startDragDistance() + 4, 6))
    found = read_pictures(dragged[0], controller.store).pictures
    assert found == (controller.row_picture(0).with_edit("smiling", strip.view.values[1]),)
    assert controller.document.canvas.edits == {}


def test_the_tooltip_shows_the_image_larger(controller, strip):
    strip.open("smiling")
    tip = strip.view.tip(1)
    code = tip.split("base64,")[1].split("'")[0]
    image = QImage.fromData(base64.b64decode(code), "PNG")
    assert np.array_equal(from_qimage(image), strip.view.image(1))
    assert "width=192" in tip


def test_a_failure_stands_where_the_images_would_be(controller, strip, qtbot):
    controller._bridge.failure = Failure("The worker is busy elsewhere.")
    strip.open("smiling")
    assert strip.view.accessibleDescription() == "The worker is busy elsewhere."
    controller._bridge.failure = None
    with qtbot.waitSignal(strip.rendered):
        controller.set_edit("zebra", 1.0)
    assert np.array_equal(shown(strip), expected(controller, "smiling", strip.view.count))


def test_late_answers_of_another_slider_are_dropped(controller, strip, qtbot):
    strip.open("smiling")
    controller._bridge.held = True
    controller.select(1)
    qtbot.waitUntil(lambda: len(asked(controller, BASE_CHANNEL)) == 2)
    strip.open("zebra")
    controller.select(3)
    qtbot.waitUntil(lambda: len(asked(controller, BASE_CHANNEL)) == 4)
    controller._bridge.held = False
    controller._bridge.release()
    assert np.array_equal(shown(strip), expected(controller, "zebra", strip.view.count, 3))


def test_a_direction_of_ones_own(controller, strip, qtbot):
    vector = np.full(8, 8**-0.5)
    own = Direction("tilt", "z", {"z": vector}, 2.0, "made")
    (name,) = controller.add_directions([own], "Add")
    controller.set_edit(name, 1.0)
    strip.open(name)
    base = controller._bridge.latents_of(controller.row_picture(0).with_edit(name, 0))
    values = np.array(strip_values(strip.view.count))
    rows = base.astype(np.float64) + values[:, None] * 2.0 * vector.astype(np.float32)
    assert np.array_equal(shown(strip), decode(rows.astype(np.float32), 32))
    turned = Direction("tilt", "z", {"z": -vector}, 2.0, "made")
    with qtbot.waitSignal(strip.rendered):
        controller.replace_directions({name: turned}, "Turn")
        strip.follow_directions()
    assert np.array_equal(shown(strip)[::-1], decode(rows.astype(np.float32), 32))


def test_stored_latents_need_no_base(controller, strip):
    keep = controller.store.put_latents(controller._bridge.latents(asked(controller, "canvas")[-1]))
    canvas = controller.document.canvas.model_copy(update={"seeds": (), "stored": keep})
    controller.show_picture(canvas, "Stored")
    strip.open("zebra")
    assert not asked(controller, BASE_CHANNEL)
    assert np.array_equal(shown(strip), expected(controller, "zebra", strip.view.count))


def test_more_images_where_there_is_room(controller, strip, qtbot):
    strip.open("smiling")
    assert len(strip.view.values) == 7
    with qtbot.waitSignal(strip.rendered):
        strip.resize(900, 140)
    assert len(strip.view.values) == 11
    assert np.array_equal(shown(strip), expected(controller, "smiling", 11))
