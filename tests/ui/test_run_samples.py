"""Sample sheets over all of training, played, followed, side by side, and as a film."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt

from latentlab.core.paths import runs_folder
from latentlab.core.run_events import Event
from latentlab.core.runs import RunFolder
from latentlab.ui.widgets.run_samples import SamplesView
from latentlab.ui.widgets.run_sheets import MAX_BYTES, SheetLoader
from latentlab.ui.widgets.run_view_state import TrainView
from tests.ui.run_stage import StillFeed, make_run, sheet_colour, write_sheet
from tests.ui.stage import FormulaBridge, make_controller

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def controller(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    found = make_controller(folder, FormulaBridge())
    found._feed = StillFeed(found.settings, found)
    return found


def show(view, controller, *names: str) -> None:
    runs = {run.name: run for run in controller.runs.runs()}
    for name in names:
        controller.runs.watch(runs[name].path)
    view.show_runs([runs[name] for name in names])


def open_view(controller, qtbot, *names: str, width: int = 380, **chosen) -> SamplesView:
    view = SamplesView(controller, TrainView(**chosen))
    qtbot.addWidget(view)
    view.resize(width, 420)
    with qtbot.waitExposed(view):
        view.show()
    show(view, controller, *names)
    return view


def colour(view, side: int = 0) -> tuple[int, ...] | None:
    image = view.sides[side].images.image(0)
    return None if image is None else tuple(image[5, 5].tolist())


def shows(qtbot, view, step: int, side: int = 0) -> None:
    qtbot.waitUntil(lambda: colour(view, side) == sheet_colour(step))


@pytest.fixture
def view(controller, qtbot):
    make_run(runs_folder(), "one")
    return open_view(controller, qtbot, "one")


def test_newest_sheet_is_shown_first_and_the_slider_goes_over_all(view, qtbot):
    shows(qtbot, view, 400)
    assert view.player.step.text() == "step 400 · 8 of 8"
    view.player.slider.setFocus()
    qtbot.keyClick(view.player.slider, Qt.Key.Key_Home)
    shows(qtbot, view, 50)
    assert view.player.step.text() == "step 50 · 1 of 8"
    qtbot.keyClick(view.player.slider, Qt.Key.Key_Right)
    shows(qtbot, view, 100)


def test_a_click_on_the_slider_goes_there(view, qtbot):
    slider = view.player.slider
    qtbot.mouseClick(slider, LEFT, pos=slider.rect().center())
    assert view.player.place in (3, 4)
    shows(qtbot, view, 50 * (view.player.place + 1))


def test_comma_and_full_stop_step_through_the_sheets(view, qtbot):
    images = view.sides[0].images
    images.setFocus()
    qtbot.keyClick(images, Qt.Key.Key_Comma)
    qtbot.keyClick(images, Qt.Key.Key_Comma)
    shows(qtbot, view, 300)
    qtbot.keyClick(images, Qt.Key.Key_Period)
    shows(qtbot, view, 350)


def test_space_plays_from_the_start_and_pauses(view, qtbot):
    view.player.fps.setValue(60)
    view.player.buttons["loop"].setChecked(False)
    images = view.sides[0].images
    images.setFocus()
    held = []
    images.before_held.connect(held.append)
    seen = []
    view.player.moved.connect(seen.append)
    qtbot.keyClick(images, Qt.Key.Key_Space)
    assert view.player.playing
    qtbot.waitUntil(lambda: not view.player.playing)
    assert seen == [0, 1, 2, 3, 4, 5, 6, 7]
    shows(qtbot, view, 400)
    assert held == []
    qtbot.keyClick(images, Qt.Key.Key_Space)
    qtbot.keyClick(images, Qt.Key.Key_Space)
    assert not view.player.playing


def test_playing_in_a_loop_goes_on_from_the_start(view, qtbot):
    view.player.fps.setValue(60)
    seen = []
    view.player.moved.connect(seen.append)
    qtbot.mouseClick(view.player.buttons["play"], LEFT)
    qtbot.waitUntil(lambda: seen.count(0) >= 2)
    qtbot.mouseClick(view.player.buttons["play"], LEFT)
    assert not view.player.playing


def grow(controller, view, path, step: int) -> None:
    """Write one more sheet, and tell."""
    write_sheet(RunFolder(path), step)
    with RunFolder(path).events.open("a") as stream:
        stream.write(
            f'{{"kind": "sample", "time": 1.0, "attempt": 1, "step": {step}, '
            f'"path": "samples/{RunFolder(path).sample(step).name}"}}\n'
        )
    controller.runs.look()
    view.show_runs([run for run in controller.runs.runs() if run.path == path])


def test_newest_sheet_is_followed_until_another_one_is_chosen(view, controller, qtbot):
    path = runs_folder() / "one"
    grow(controller, view, path, 450)
    shows(qtbot, view, 450)
    view.player.step_by(-3)
    assert not view.player.buttons["newest"].isChecked()
    grow(controller, view, path, 500)
    shows(qtbot, view, 300)
    assert view.player.step.text() == "step 300 · 6 of 10"
    qtbot.mouseClick(view.player.buttons["newest"], LEFT)
    shows(qtbot, view, 500)


def test_two_runs_stand_side_by_side_at_the_nearest_step(controller, qtbot):
    make_run(runs_folder(), "long")
    make_run(runs_folder(), "short", steps=200, age=5000)
    view = open_view(controller, qtbot, "long", "short", width=700)
    shows(qtbot, view, 400)
    shows(qtbot, view, 200, side=1)
    assert view.sides[1].caption.text() == "short: step 200"
    view.player.slider.setValue(1)
    shows(qtbot, view, 100)
    shows(qtbot, view, 100, side=1)
    show(view, controller, "long")
    assert not view.sides[1].isVisible()


def test_a_sheet_that_was_drawn_anew_is_read_anew(view, controller, qtbot):
    """A run of the same name was begun: its sheets have the paths of the old ones."""
    shows(qtbot, view, 400)
    folder = RunFolder(runs_folder() / "one")
    Image.new("RGB", (48, 32), (1, 2, 3)).save(folder.sample(400))
    with folder.events.open("a") as stream:
        stream.write(Event("start", time.time(), 2, 300, {}).to_json() + "\n")
        path = f"samples/{folder.sample(400).name}"
        stream.write(Event("sample", time.time() + 1, 2, 400, {"path": path}).to_json() + "\n")
    controller.runs.look()
    show(view, controller, "one")
    qtbot.waitUntil(lambda: colour(view) == (1, 2, 3))


def test_no_run_shows_the_sheet_of_another_while_its_own_is_read(view, controller, qtbot):
    shows(qtbot, view, 400)
    make_run(runs_folder(), "two", steps=100)
    controller.runs.look()
    view.loader.want = lambda _sheets: None
    show(view, controller, "two")
    assert view.player.step.text() == "step 100 · 2 of 2"
    assert colour(view) is None


def test_only_png_files_are_read_as_sheets(controller, qtbot):
    folder = RunFolder(make_run(runs_folder(), "odd", steps=100))
    Image.new("RGB", (48, 32)).save(folder.sample(100), "JPEG")
    view = open_view(controller, qtbot, "odd")
    qtbot.waitUntil(lambda: view.sides[0].images.failure is not None)
    assert "cannot be read as an image" in view.sides[0].images.failure.message


def test_a_run_without_sheets_says_when_they_come(controller, qtbot):
    make_run(runs_folder(), "bare", samples=False)
    view = open_view(controller, qtbot, "bare")
    assert view.note.isVisible()
    assert not view.player.isEnabled()


def test_a_damaged_sheet_is_a_sentence_and_the_others_go_on(controller, qtbot):
    path = make_run(runs_folder(), "one")
    RunFolder(path).sample(400).write_bytes(b"not a picture")
    view = open_view(controller, qtbot, "one")
    qtbot.waitUntil(lambda: view.sides[0].images.failure is not None)
    assert "step_0000400.png" in view.sides[0].images.failure.message
    view.player.step_by(-1)
    shows(qtbot, view, 350)
    assert view.sides[0].images.failure is None


def test_enlarged_pixels_stay_whole_until_smoothing_is_asked_for(view, qtbot):
    shows(qtbot, view, 400)
    assert view.sides[0].images.scale == int(view.sides[0].images.scale)
    before = view.sides[0].images.scale
    qtbot.mouseClick(view.player.buttons["smooth"], LEFT)
    assert view.sides[0].images.scale >= before


def test_film_is_a_job_of_the_open_run(view, controller, tmp_path):
    view.player.fps.setValue(12)
    view.export_film(tmp_path / "one.webp")
    job = controller._bridge.jobs[-1]
    assert job.kind == "sample_film"
    assert job.arguments == {
        "run_dir": str(runs_folder() / "one"),
        "path": str(tmp_path / "one.webp"),
        "fps": 12.0,
    }


def test_sheets_are_kept_only_as_long_as_there_is_room(qtbot):
    loader = SheetLoader()
    big = np.zeros((2048, 2048, 3), np.uint8)
    paths = [runs_folder() / f"{n}.png" for n in range(12)]
    for path in paths:
        loader._take(path, big)
    kept = [path for path in paths if loader.get(path) is not None]
    assert kept == paths[-len(kept) :]
    assert len(kept) * big.nbytes <= MAX_BYTES
