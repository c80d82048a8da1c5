"""The canvas: images, before and after, photographs, drops, the sampling strip."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage
from PySide6.QtWidgets import QApplication

from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.noise import MAX_SEED
from latentlab.core.requests import Failure
from latentlab.core.spec import LatentSpace, PartSpec
from latentlab.ui.edits import FIRST_COUNT
from latentlab.ui.panels.canvas import CanvasPanel
from latentlab.ui.widgets.colours import cividis
from latentlab.ui.widgets.image_mime import PICTURE_MIME, picture_mime, read_pictures
from latentlab.ui.widgets.notes import EmptyState
from latentlab.ui.widgets.photo_view import bar_end, difference, psnr_db
from latentlab.ui.widgets.picture_details import (
    PictureDetails,
    gaussian_log_density,
    latent_facts,
)
from tests.ui.stage import (
    DEPTH,
    SIZE,
    FormulaBridge,
    decode,
    make_controller,
    picture,
    pixels,
    turn_wheel,
)

pytestmark = pytest.mark.gui


@pytest.fixture
def bridge():
    return FormulaBridge()


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


def drop(widget, data: QMimeData) -> bool:
    """Drag data over a widget and drop them, as the window system would."""
    place = QPointF(widget.rect().center())
    actions = Qt.DropAction.CopyAction | Qt.DropAction.MoveAction
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(place.toPoint(), actions, data, left, none)
    enter.setAccepted(False)
    QApplication.sendEvent(widget, enter)
    if not enter.isAccepted():
        return False
    event = QDropEvent(place, actions, data, left, none)
    event.setAccepted(False)
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


def shown_photo(controller) -> np.ndarray:
    rng = np.random.default_rng(5)
    z = rng.normal(size=(1, DEPTH)).astype(np.float32)
    noise = rng.integers(-9, 10, (SIZE, SIZE, 3))
    photo = np.clip(decode(z)[0].astype(int) + noise, 0, 255).astype(np.uint8)
    stored = controller.store.put_latents(Latents("z", {"z": z}))
    values = {"stored": stored, "photo": controller.store.put(photo), "photo_path": "/a/anna.png"}
    controller.show_picture(picture(**values), "Photograph")
    return photo


# Images.


def test_an_empty_canvas_teaches(tmp_path, qtbot, bridge):
    panel = CanvasPanel(make_controller(tmp_path, bridge))
    qtbot.addWidget(panel)
    panel.show()
    empty = panel.findChild(EmptyState)
    assert empty.isVisible()
    assert "drop" in empty.accessibleDescription()
    button = empty.findChild(type(empty._button))
    with qtbot.waitSignal(panel.open_requested):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_grid_shows_what_the_worker_made(controller, canvas):
    assert canvas.view.count == FIRST_COUNT
    np.testing.assert_array_equal(canvas.view.image(7), controller.last_images[7])
    rect = canvas.view.image_rect(7)
    scale = int(canvas.view.scale)
    part = pixels(canvas.view)[rect.top() : rect.bottom() + 1, rect.left() : rect.right() + 1]
    expected = controller.last_images[7].repeat(scale, 0).repeat(scale, 1)
    np.testing.assert_array_equal(part, expected)


def test_double_click_shows_one_image_and_escape_goes_back(controller, canvas, qtbot):
    grid = controller.document.canvas
    at = canvas.view.image_rect(7).center()
    qtbot.mouseDClick(canvas.view, Qt.MouseButton.LeftButton, pos=at)
    assert controller.document.canvas.seeds == (7,)
    assert canvas.view.count == 1
    canvas.view.setFocus()
    qtbot.keyClick(canvas.view, Qt.Key.Key_Escape)
    assert controller.document.canvas == grid
    assert canvas.view.count == FIRST_COUNT


def test_click_selects_for_the_whole_window_and_keep_takes_it(controller, canvas, qtbot):
    at = canvas.view.image_rect(11).center()
    qtbot.mouseClick(canvas.view, Qt.MouseButton.LeftButton, pos=at)
    assert controller.selection == 11
    controller.keep()
    assert controller.document.tray[0].picture.seeds == (11,)
    controller.select(4)
    assert canvas.view.selection == 4


def test_error_stands_on_the_canvas_and_goes_away(controller, canvas, bridge):
    bridge.failure = Failure("The network gave values that are not finite.", "deep inside")
    controller.reroll()
    assert canvas.view.failure.message == "The network gave values that are not finite."
    bridge.failure = None
    controller.reroll()
    assert canvas.view.failure is None
    assert canvas.view.count == FIRST_COUNT


def test_computing_is_said_only_for_slow_images(controller, canvas, bridge, qtbot):
    bridge.held = True
    controller.step_seed(1)
    assert not canvas.view.busy_shown
    qtbot.waitUntil(lambda: canvas.view.busy_shown)
    bridge.release()
    assert not canvas.view.busy_shown


# Before and after.


def test_space_shows_the_image_without_its_edits(controller, canvas, bridge, qtbot):
    controller.show_picture(picture(3, edits={"smiling": 2.0}), "One")
    after = canvas.view.image(0).copy()
    plain = decode(bridge.latents_of(picture(3)))[0]
    assert (after != plain).any()
    canvas.view.setFocus()
    qtbot.keyPress(canvas.view, Qt.Key.Key_Space)
    np.testing.assert_array_equal(canvas.view.image(0), plain)
    qtbot.keyRelease(canvas.view, Qt.Key.Key_Space)
    np.testing.assert_array_equal(canvas.view.image(0), after)
    asked = [r for r in bridge.requests if r.channel == "before"]
    assert len(asked) == 1
    qtbot.keyPress(canvas.view, Qt.Key.Key_Space)
    qtbot.keyRelease(canvas.view, Qt.Key.Key_Space)
    assert len([r for r in bridge.requests if r.channel == "before"]) == 1
    assert controller.document.canvas.edits == {"smiling": 2.0}


def test_a_late_before_does_not_replace_the_image(controller, canvas, bridge):
    controller.show_picture(picture(3, edits={"smiling": 2.0}), "One")
    after = canvas.view.image(0).copy()
    bridge.held = True
    canvas.show_before(True)
    canvas.show_before(False)
    bridge.release()
    np.testing.assert_array_equal(canvas.view.image(0), after)


def test_space_without_edits_asks_for_nothing(controller, canvas, bridge):
    controller.show_picture(picture(3), "One")
    canvas.show_before(True)
    assert not [r for r in bridge.requests if r.channel == "before"]


# Photographs.


def test_photo_reconstruction_and_error_side_by_side(controller, canvas, qtbot):
    photo = shown_photo(controller)
    view = canvas.view
    assert view.count == 3
    np.testing.assert_array_equal(view.image(0), photo)
    np.testing.assert_array_equal(view.image(1), controller.last_images[0])
    error = photo.astype(float) - controller.last_images[0]
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=view.image_rect(2).center())
    assert controller.selection is None
    assert view.psnr == pytest.approx(10 * math.log10(255**2 / np.mean(error**2)))
    level = np.abs(error).mean(axis=2)
    end = bar_end(level.max())
    expected = cividis()[np.round(level / end * 255).astype(int)]
    np.testing.assert_array_equal(view.image(2), expected)
    tops = {view.image_rect(row).top() for row in range(3)}
    assert len(tops) == 1
    assert "PSNR" in view.accessibleDescription()
    controller.set_edit("smiling", 2.0)
    assert "Edited" in view.accessibleDescription()
    canvas.show_before(True)
    assert "Reconstruction" in view.accessibleDescription()
    canvas.show_before(False)
    controller.reroll()
    assert view.count == 1


def test_error_figures():
    black, grey = np.zeros((2, 2, 1), np.uint8), np.full((2, 2, 3), 51, np.uint8)
    assert psnr_db(black, grey) == pytest.approx(20 * math.log10(5))
    assert psnr_db(grey, grey) == math.inf
    np.testing.assert_array_equal(difference(black, grey), np.full((2, 2), 51.0))
    assert [bar_end(v) for v in (0, 16, 17, 200)] == [16, 16, 32, 255]


# Drops, clipboard, menu.


def test_a_dropped_picture_goes_to_the_canvas(controller, canvas):
    one = picture(41, edits={"zebra": 1.0})
    assert drop(canvas, picture_mime([one], source="tray"))
    assert controller.document.canvas == one


def test_dropped_files_and_images_are_taken_in(controller, canvas, bridge, tmp_path):
    image = QImage(20, 10, QImage.Format.Format_RGB32)
    image.fill(0xFF336699)
    path = tmp_path / "photo.png"
    assert image.save(str(path))
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    assert drop(canvas, data)
    assert bridge.jobs[-1].kind == "encode_photo"
    assert bridge.jobs[-1].arguments["photo"] == str(path)
    data = QMimeData()
    data.setImageData(image)
    assert drop(canvas, data)
    array = bridge.jobs[-1].arguments["photo"]
    np.testing.assert_array_equal(array, np.full((10, 20, 3), (0x33, 0x66, 0x99)))


def test_pasting_what_was_copied_brings_the_picture_back(controller, canvas):
    controller.show_picture(picture(9, edits={"smiling": 1.0}), "One")
    copied = controller.document.canvas
    assert canvas.copy_image()
    assert not QGuiApplication.clipboard().image().isNull()
    controller.show_picture(picture(1), "Other")
    assert canvas.paste()
    assert controller.document.canvas == copied


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not json",
        b"[]",
        b'{"version": 1, "program": "x", "pictures": []}',
        b'{"version": 2, "program": "x", "pictures": [{"model": "m", "space": "z"}]}',
        b'{"version": 1, "program": "x", "pictures": [{"model": "m", "space": "z"}]}',
        b'{"version": 1, "program": "x", "pictures": [{"model": "m", "space": "z", '
        b'"seeds": [-1]}]}',
        b'{"version": 1, "program": "x", "pictures": [{"model": "m", "space": "z", '
        b'"seeds": [1], "edits": {"a": NaN}}]}',
        b'{"version": 1, "program": "x", "evil": 1, "pictures": [{"model": "m", "space": "z", '
        b'"seeds": [1]}]}',
        b"9" * (5 * 2**20),
    ],
)
def test_foreign_data_are_refused(controller, canvas, qtbot, text):
    data = QMimeData()
    data.setData(PICTURE_MIME, text)
    before = controller.document
    with qtbot.waitSignal(controller.failed):
        drop(canvas, data)
    assert controller.document == before
    with pytest.raises(LatentLabError):
        read_pictures(data, controller.store)


def test_latents_of_another_program_are_refused(controller):
    data = picture_mime([picture(stored={"z": "ab" * 32})])
    with pytest.raises(LatentLabError, match="another window"):
        read_pictures(data, controller.store)


def test_menu_says_the_same_everywhere(controller, canvas):
    menu = canvas.menu_for(5)
    named = {a.text().split("\t")[0].replace("&", ""): a for a in menu.actions() if a.text()}
    assert list(named) == [
        "To canvas",
        "Keep in tray",
        "Use as",
        "Copy image",
        "Save image…",
        "Copy as command",
        "Details",
    ]
    named["Keep in tray"].trigger()
    assert controller.document.tray[0].picture.seeds == (5,)
    named["Copy as command"].trigger()
    text = QGuiApplication.clipboard().text()
    assert "sample waves" in text or "waves.safetensors" in text
    assert "--seeds 5" in text
    named["To canvas"].trigger()
    assert controller.document.canvas.seeds == (5,)


def test_the_norm_of_noise_leaves_a_mask_and_known_pixels_aside():
    parts = (
        PartSpec(name="noise", shape=(3, 4, 4)),
        PartSpec(name="known", shape=(3, 4, 4), kind="learned"),
        PartSpec(name="mask", shape=(1, 4, 4), kind="learned"),
    )
    arrays = {part.name: np.full((1, *part.shape), 2.0, np.float32) for part in parts}
    facts = dict(latent_facts(Latents("guided", arrays), LatentSpace(name="guided", parts=parts)))
    assert facts["Norm |z|"].startswith("13.9; a typical sample has √D = 6.93 (D = 48)")
    assert facts["Prior log-density"].startswith("-140.1 nats")


def test_details_give_norm_and_log_density(controller, canvas, qtbot, bridge):
    details = PictureDetails(controller, picture(5, edits={"smiling": 1.0}))
    qtbot.addWidget(details)
    z = bridge.latents_of(picture(5, edits={"smiling": 1.0}))[0].astype(np.float64)
    norm = np.linalg.norm(z)
    density = -0.5 * (z**2).sum() - 0.5 * DEPTH * math.log(2 * math.pi)
    text = details.text()
    assert f"{norm:.3g}; a typical sample has √D = {math.sqrt(DEPTH):.3g}" in text
    assert f"{density:.1f} nats" in text
    assert "smiling +1.00 σ" in text
    assert gaussian_log_density(0, 2) == pytest.approx(-math.log(2 * math.pi))


# The strip.


def test_strip_samples(controller, canvas, qtbot):
    strip = canvas.strip
    strip.seed.selectAll()
    qtbot.keyClicks(strip.seed, str(MAX_SEED))
    qtbot.keyClick(strip.seed, Qt.Key.Key_Return)
    assert controller.document.canvas.seeds[-1] == MAX_SEED
    strip.seed.selectAll()
    qtbot.keyClicks(strip.seed, "99999999999999999999")
    qtbot.keyClick(strip.seed, Qt.Key.Key_Return)
    assert controller.document.canvas.seeds[-1] <= MAX_SEED
    strip.count.selectAll()
    qtbot.keyClicks(strip.count, "4")
    qtbot.keyClick(strip.count, Qt.Key.Key_Return)
    assert len(controller.document.canvas.seeds) == 4
    assert canvas.view.count == 4


def test_strip_follows_and_steps(controller, canvas, qtbot):
    controller.show_picture(picture(100, temperature=0.7), "One")
    strip = canvas.strip
    assert strip.seed.value == 100
    assert strip.count.value() == 1
    assert strip.temperature_box.value() == 0.7
    qtbot.mouseClick(strip.next, Qt.MouseButton.LeftButton)
    assert controller.document.canvas.seeds == (101,)
    qtbot.mouseClick(strip.previous, Qt.MouseButton.LeftButton)
    assert strip.seed.value == 100
    qtbot.mouseClick(strip.reroll, Qt.MouseButton.LeftButton)
    assert controller.document.canvas.temperature == 0.7
    assert controller.document.canvas.seeds != (100,)


def test_temperature_drag_is_one_step(controller, canvas, qtbot):
    strip = canvas.strip
    steps = len(controller.history.entries)
    strip.temperature.setSliderDown(True)
    for value in (90, 70, 50):
        strip.temperature.setValue(value)
    strip.temperature.setSliderDown(False)
    assert len(controller.history.entries) == steps + 1
    assert controller.document.canvas.temperature == 0.5
    assert not turn_wheel(strip.temperature, 1)


def test_conditions_are_offered_only_when_the_model_has_them(tmp_path, qtbot, bridge):
    controller = make_controller(
        tmp_path,
        bridge,
        conditions=("class", "attributes"),
        class_names=("cat", "dog"),
        attribute_names=("age", "smiling"),
    )
    panel = CanvasPanel(controller)
    qtbot.addWidget(panel)
    panel.show()
    assert not panel.strip.label.isVisible()
    controller.open_model("waves")
    assert panel.strip.label.isVisible()
    panel.strip.label.setFocus()
    qtbot.keyClick(panel.strip.label, Qt.Key.Key_Down)
    qtbot.keyClick(panel.strip.label, Qt.Key.Key_Down)
    assert controller.document.canvas.condition.class_index == 1
    age = panel.strip.attributes.form.rows["age"].slider
    for _ in range(4):
        qtbot.keyClick(age, Qt.Key.Key_Right)
    assert controller.document.canvas.condition.attributes == {"age": 0.4}
    controller.undo()
    assert controller.document.canvas.condition.attributes == {}
    assert panel.strip.label.currentText() == "dog"
