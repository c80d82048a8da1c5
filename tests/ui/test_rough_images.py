"""Rough images of models of many steps: shown at once, never kept, and no flicker."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication

from latentlab.core.requests import PreviewRequest, PreviewResult
from latentlab.ui.panels.canvas import CanvasPanel
from latentlab.ui.thumbnails import PREFIX
from latentlab.ui.widgets.picture_details import PictureDetails
from latentlab.ui.widgets.picture_menu import PictureMenu
from latentlab.ui.widgets.range_strip import CHANNEL, RangeStrip
from tests.ui.stage import FormulaBridge, decode, make_controller, picture, pixels

pytestmark = pytest.mark.gui


class SteppedBridge(FormulaBridge):
    """Answers a held request with a rough image, a darker one of the right size, or the last."""

    def rough(self, request: PreviewRequest, share: int) -> np.ndarray:
        latents = self.latents(request)
        images = (decode(latents["z"], self.size) // share).astype(np.uint8)
        images.flags.writeable = False
        result = PreviewResult(
            request.channel, request.sequence, images=images, latents=latents, final=False
        )
        self.preview_arrived.emit(result)
        return images

    def last(self, channel: str) -> PreviewRequest:
        return [r for r in self.requests if r.channel == channel][-1]


@pytest.fixture
def bridge():
    return SteppedBridge()


@pytest.fixture
def controller(tmp_path, qtbot, bridge):
    controller = make_controller(tmp_path, bridge)
    controller.open_model("waves")
    return controller


@pytest.fixture
def canvas(controller, qtbot):
    panel = CanvasPanel(controller)
    qtbot.addWidget(panel)
    panel.resize(640, 480)
    with qtbot.waitExposed(panel):
        panel.show()
    controller.render_canvas()
    return panel


def image_pixels(canvas: CanvasPanel) -> np.ndarray:
    rect = canvas.view.image_rect(0)
    return pixels(canvas.view)[rect.top() : rect.bottom() + 1, rect.left() : rect.right() + 1]


def enlarged(canvas: CanvasPanel, image: np.ndarray) -> np.ndarray:
    scale = int(canvas.view.scale)
    return image.repeat(scale, 0).repeat(scale, 1)


def test_a_rough_image_is_shown_and_computing_stays_until_the_last(
    controller, canvas, bridge, qtbot
):
    bridge.held = True
    controller.show_picture(picture(5), "One")
    request = bridge.last("canvas")
    first = bridge.rough(request, 4)
    np.testing.assert_array_equal(canvas.view.image(0), first[0])
    qtbot.waitUntil(lambda: canvas.view.busy_shown)
    seen = []
    for share in (4, 3, 2):
        image = bridge.rough(request, share)
        seen.append(canvas.view.busy_shown)
        corner = enlarged(canvas, image[0])[-60:, -60:]
        # Away from the chip that says so.
        np.testing.assert_array_equal(image_pixels(canvas)[-60:, -60:], corner)
    assert seen == [True, True, True]
    bridge.release()
    assert not canvas.view.busy_shown
    np.testing.assert_array_equal(image_pixels(canvas), enlarged(canvas, canvas.view.image(0)))


def test_the_view_stays_where_it_is_while_images_get_better(controller, canvas, bridge):
    bridge.held = True
    controller.show_picture(picture(5), "One")
    bridge.rough(bridge.last("canvas"), 4)
    canvas.view.zoom_by(2)
    place = canvas.view.image_rect(0)
    bridge.rough(bridge.last("canvas"), 2)
    bridge.release()
    assert canvas.view.image_rect(0) == place


def test_rough_images_are_neither_thumbnails_nor_copied(controller, canvas, bridge):
    made = []
    controller.thumbnail_rendered.connect(lambda key, image: made.append(image))
    controller.show_picture(picture(5), "One")
    made.clear()
    bridge.held = True
    controller.show_picture(picture(6), "Two")
    said = []
    controller.message.connect(lambda text, _details: said.append(text))
    bridge.rough(bridge.last("canvas"), 4)
    QGuiApplication.clipboard().clear()
    assert not canvas.copy_image()
    assert said == ["Not copied: the image is still being made"]
    assert canvas.shown().image is None
    assert canvas.shown().picture == controller.document.canvas
    assert made == []
    bridge.release()
    assert canvas.copy_image()
    assert len(made) == 1
    np.testing.assert_array_equal(made[0], canvas.view.image(0))


def test_a_thumbnail_waits_for_its_last_image(controller, bridge):
    bridge.held = True
    wanted = picture(9)
    assert controller.thumbnail(wanted) is None
    (request,) = [r for r in bridge.requests if r.channel.startswith(PREFIX)]
    bridge.rough(request, 4)
    assert controller.thumbnail(wanted) is None
    assert [r.channel for r in bridge.requests].count(request.channel) == 1
    bridge.release()
    np.testing.assert_array_equal(
        controller.thumbnail(wanted), decode(bridge.latents_of(wanted), bridge.size)[0]
    )


def test_before_is_remembered_when_it_is_done(controller, canvas, bridge, qtbot):
    bridge.held = True
    controller.show_picture(picture(8, edits={"smiling": 2.0}), "Edited")
    bridge.release()
    edited = np.array(canvas.view.image(0))
    canvas.show_before(True)
    rough = bridge.rough(bridge.last("before"), 4)
    np.testing.assert_array_equal(canvas.view.image(0), rough[0])
    canvas.show_before(False)
    np.testing.assert_array_equal(canvas.view.image(0), edited)
    assert not canvas.view.rough
    # The rough one is not taken for what it was before.
    canvas.show_before(True)
    bridge.release()
    expected = decode(bridge.latents_of(picture(8)), bridge.size)[0]
    np.testing.assert_array_equal(canvas.view.image(0), expected)
    assert not canvas.view.rough
    canvas.show_before(False)
    asked = len(bridge.requests)
    canvas.show_before(True)
    np.testing.assert_array_equal(canvas.view.image(0), expected)
    assert len(bridge.requests) == asked


def test_releasing_before_shows_a_rough_image_as_rough(controller, canvas, bridge):
    bridge.held = True
    controller.show_picture(picture(8, edits={"smiling": 2.0}), "Edited")
    rough = bridge.rough(bridge.last("canvas"), 4)
    canvas.show_before(True)
    canvas.show_before(False)
    np.testing.assert_array_equal(canvas.view.image(0), rough[0])
    assert canvas.view.rough


def test_a_strip_asks_for_latents_once_and_hands_out_no_rough_image(
    controller, canvas, bridge, qtbot
):
    controller.show_picture(picture(5), "One")
    strip = RangeStrip(controller)
    qtbot.addWidget(strip)
    bridge.held = True
    strip.open("smiling")
    bridge.release()
    request = bridge.last(CHANNEL)
    assert [r.decode for r in bridge.requests if r.channel == "strip base"] == [False]
    # The noise that a sampler injects is the slider's own, whatever its value.
    assert request.keys == (5,) * strip.view.count
    bridge.rough(request, 4)
    assert strip.view.image(0) is not None
    assert not copying(strip).isEnabled()
    bridge.release()
    assert copying(strip).isEnabled()


def copying(strip: RangeStrip):
    """Open the menu of an image and return its entry that copies."""
    strip.view.menu_asked.emit(0, QPoint())
    menu = strip.findChildren(PictureMenu)[-1]
    menu.close()
    return next(a for a in menu.actions() if "Copy image" in a.text().replace("&", ""))


def test_details_ask_for_latents_alone(controller, bridge, qtbot):
    dialog = PictureDetails(controller, picture(5))
    qtbot.addWidget(dialog)
    assert not bridge.requests[-1].decode
    assert "Norm" in dialog.text()
    dialog.close()


def test_space_holds_before_while_images_get_better(controller, canvas, bridge, qtbot):
    controller.show_picture(picture(8, edits={"smiling": 2.0}), "Edited")
    canvas.show_before(True)
    canvas.show_before(False)
    bridge.held = True
    controller.show_picture(picture(8, edits={"smiling": 3.0}), "Edited more")
    request = bridge.last("canvas")
    canvas.view.setFocus()
    qtbot.keyPress(canvas.view, Qt.Key.Key_Space)
    before = np.array(canvas.view.image(0))
    bridge.rough(request, 4)
    np.testing.assert_array_equal(canvas.view.image(0), before)
    bridge.release()
    np.testing.assert_array_equal(canvas.view.image(0), before)
    qtbot.keyRelease(canvas.view, Qt.Key.Key_Space)
    np.testing.assert_array_equal(canvas.view.image(0), controller.last_images[0])
