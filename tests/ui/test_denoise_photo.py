"""What a diffusion model does with a photograph, in the window: real clicks on a real model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, Qt
from PySide6.QtWidgets import QApplication, QComboBox

from latentlab.core.denoising import Sampling
from latentlab.core.noise_schedule import noise_schedule
from latentlab.core.requests import Failure, JobResult
from latentlab.core.restoration import corrupt, photo_psnr, shown_noisy, start_noise
from latentlab.ui.widgets.denoise_photo import (
    ColourisePage,
    CorruptPage,
    EnlargePage,
    InpaintPage,
    InvertPage,
    PhotoPage,
    UncropPage,
)
from latentlab.ui.widgets.denoise_photo_state import NOTHING_TOLD
from latentlab.ui.widgets.images import owned_qimage
from tests.ui.photo_stage import SIDE, photo, photo_controller
from tests.ui.stage import pixels
from tests.ui.windows import drop_on, file_data

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def page(folder: Path, qtbot):
    controller = photo_controller(folder)
    page = PhotoPage(controller)
    qtbot.addWidget(page)
    page.resize(420, 640)
    page.show()
    qtbot.waitExposed(page)
    yield page
    controller.deleteLater()


@pytest.fixture
def loaded(page: PhotoPage) -> PhotoPage:
    page.state.load(photo())
    return page


def open_tab(page: PhotoPage, kind: Any, qtbot) -> Any:
    """Click the tab of a page and return the page."""
    place = next(i for i, one in enumerate(page.pages) if isinstance(one, kind))
    click(page.bar.buttons[place], qtbot)
    found = page.pages[place]
    assert found.isVisible()
    return found


def click(widget: Any, qtbot) -> None:
    assert widget.isEnabled()
    qtbot.mouseClick(widget, LEFT)


def titles(page: Any) -> list[str]:
    return [one.title for one in page.view.shown]


def test_the_empty_state_teaches_and_begins_with_a_portrait(page: PhotoPage, qtbot) -> None:
    assert "Drop or paste" in page._empty.accessibleDescription()
    click(page._empty._button, qtbot)
    assert page.state.photo.image.shape == (SIDE, SIDE, 3)
    assert page.pages[0].isVisible()
    first = page.state.photo.image
    page.source.choose.menu().actions()[-1].trigger()
    assert not np.array_equal(page.state.photo.image, first)


def test_a_photograph_is_dropped_pasted_or_taken_from_the_canvas(
    page: PhotoPage, tmp_path: Path, qtbot
) -> None:
    Image.fromarray(photo(48)[:, :40]).save(tmp_path / "ada.png")
    assert drop_on(page, file_data(tmp_path / "ada.png"))
    assert (page.state.photo.name, page.state.photo.width) == ("ada", 40)
    assert page.source._note.text() == "Cut to its middle and scaled to 16 × 16 pixels from 40 × 48"
    data = QMimeData()
    data.setImageData(owned_qimage(photo()))
    QApplication.clipboard().setMimeData(data)
    page.source.choose.setFocus()
    qtbot.keyClick(page.source.choose, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert np.array_equal(page.state.photo.image, photo())
    assert page.source._note.text() == "16 × 16 pixels"
    page.state.load_canvas()
    assert np.array_equal(page.state.photo.image, page.state.controller.last_images[0])


def test_what_is_no_photograph_is_said_and_the_old_one_stays(
    page: PhotoPage, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    page.state.load(tmp_path / "a.png")
    assert page._error.isVisible()
    assert "not an image" in page._error.failure.message
    page.state.load(photo())
    assert not page._error.isVisible()
    said: list[str] = []
    page.state.controller.message.connect(lambda text, _details: said.append(text))
    page.state.load(tmp_path / "a.png")
    assert np.array_equal(page.state.photo.image, photo())
    assert "not an image" in said[-1]


def test_the_slider_of_time_makes_the_noisy_photograph_at_once(loaded: PhotoPage, qtbot) -> None:
    page = open_tab(loaded, CorruptPage, qtbot)
    schedule = noise_schedule("cosine")
    page.time.slider.setFocus()
    before = page.t
    qtbot.keyClick(page.time.slider, Qt.Key.Key_Right)
    assert page.t == before + 10
    for t in (page.t, 0, 999):
        if t != page.t:
            qtbot.keyClick(page.time.slider, Qt.Key.Key_Home if t == 0 else Qt.Key.Key_End)
        x_t = corrupt(photo(), t, schedule, start_noise(0, (3, SIDE, SIDE)))
        assert np.array_equal(page.view.shown[1].image, shown_noisy(x_t, t, schedule))
        assert f"SNR {schedule.snr[t]:.2g}" in page.rates.text().replace("−", "-")
    assert titles(page) == ["Photograph", "At t = 999"]
    click(page.seed.die, qtbot)
    other = start_noise(page.seed.value, (3, SIDE, SIDE))
    assert np.array_equal(page.x_t, corrupt(photo(), 999, schedule, other))


def test_denoising_back_shows_its_psnr_and_can_be_kept_and_undone(loaded: PhotoPage, qtbot) -> None:
    page = open_tab(loaded, CorruptPage, qtbot)
    controller = loaded.state.controller
    click(page.primary, qtbot)
    assert titles(page) == ["Photograph", "At t = 400", "Denoised"]
    assert page.picture.options["start_at"] == 400
    assert page.picture.options["steps"] == 4
    psnr = photo_psnr(photo(), page.result)
    assert page.view.shown[2].figure == f"PSNR {psnr:.1f} dB"
    page.view.setFocus()
    qtbot.keyClick(page.view, Qt.Key.Key_K)
    assert [item.picture for item in controller.document.tray] == [page.picture]
    qtbot.keyClick(page.view, Qt.Key.Key_Return)
    assert controller.document.canvas == page.picture
    assert np.array_equal(controller.last_images[0], page.result)
    assert np.array_equal(controller.photo_of(page.picture), photo())
    controller.undo()
    controller.undo()
    assert not controller.document.tray
    qtbot.keyClick(page.time.slider, Qt.Key.Key_Right)
    assert titles(page) == ["Photograph", "At t = 410"]


def test_a_run_is_sent_to_the_timeline(loaded: PhotoPage, qtbot) -> None:
    page = open_tab(loaded, CorruptPage, qtbot)
    controller = loaded.state.controller
    asked: list[str] = []
    controller.panel_asked.connect(asked.append)
    click(page.watch, qtbot)
    assert controller.denoise.picture.options["start_at"] == 400
    assert controller.denoise.stored["noise"].shape == (1, 3, SIDE, SIDE)
    assert asked == ["denoising"]
    frames = controller.denoise.frames("")
    assert not frames or frames[0].t == 400


def test_inversion_shows_what_was_lost_and_the_edit_follows(loaded: PhotoPage, qtbot) -> None:
    page = open_tab(loaded, InvertPage, qtbot)
    assert not page.watch.isEnabled()
    page.steps.set_number(10)
    click(page.primary, qtbot)
    assert titles(page) == ["Photograph", "Reconstruction"]
    assert page.view.shown[1].figure == f"PSNR {page.found.psnr:.1f} dB"
    assert page.editor.isVisible()
    page.edit.button.form.edited.emit("smiling", 1.0)
    assert titles(page) == ["Photograph", "Reconstruction", "Edited"]
    assert page.picture.condition.attributes == {"smiling": 1.0}
    assert page.picture.options["guidance"] == 1
    assert page.picture.stored == page.found.picture.stored
    assert not np.array_equal(page.result, page.found.reconstruction)
    page.guidance.slider.setFocus()
    before = page.result
    qtbot.keyClick(page.guidance.slider, Qt.Key.Key_Right)
    assert page.picture.options["guidance"] == 1.5
    assert not np.array_equal(page.result, before)
    click(page.keep, qtbot)
    assert loaded.state.controller.document.tray[0].picture == page.picture
    page.edit.button.form.told.emit(False)
    page.told.button.form.edited.emit("age", 1.0)
    assert titles(page) == ["Photograph"]


def test_the_condition_is_read_from_the_photograph(loaded: PhotoPage, qtbot) -> None:
    page = open_tab(loaded, InvertPage, qtbot)
    assert page.told.value == NOTHING_TOLD
    click(page.read, qtbot)
    told = page.told.value.attributes
    assert set(told) == set(loaded.state.spec.attribute_names)
    page.steps.set_number(10)
    click(page.primary, qtbot)
    assert page.found.picture.condition.attributes == told
    # The edit starts from all that was read.
    page.edit.button.form.edited.emit("smiling", 1.0)
    assert page.picture.condition.attributes == {**told, "smiling": 1.0}


def test_inversion_can_be_cancelled_and_fails_in_words(loaded: PhotoPage, qtbot) -> None:
    page = open_tab(loaded, InvertPage, qtbot)
    bridge = loaded.state.controller._bridge
    bridge.held_jobs = True
    click(page.primary, qtbot)
    assert not page.primary.isEnabled()
    page.line.stop()
    assert len(bridge.cancelled) == 1
    assert page.primary.isEnabled()
    assert page.found is None
    click(page.primary, qtbot)
    bridge.job_finished.emit(JobResult(bridge.jobs[-1].job, failure=Failure("No memory.")))
    assert page.line.failure.message == "No memory."
    assert page.primary.isEnabled()
    bridge.jobs.clear()


def test_inpainting_wants_paint_and_keeps_the_rest(loaded: PhotoPage, qtbot) -> None:
    page = open_tab(loaded, InpaintPage, qtbot)
    assert not page.primary.isEnabled()
    canvas = page.mask.canvas
    qtbot.mouseClick(canvas, LEFT, pos=canvas.image_rect().center().toPoint())
    painted = page.mask.model.painted
    assert painted.any()
    click(page.primary, qtbot)
    assert np.abs(page.result.astype(int) - photo())[~painted].max() <= 1
    assert np.abs(page.result.astype(int) - photo())[painted].max() > 10
    assert "Inpainted" in titles(page)
    stored = loaded.state.controller.store.latents(page.picture)
    assert np.array_equal(stored["mask"][0, 0] == 0, painted)
    qtbot.mouseClick(page.mask.undo, LEFT)
    assert page.result is None
    assert not page.primary.isEnabled()


@pytest.mark.parametrize(
    ("kind", "task"),
    [(UncropPage, "inpaint"), (ColourisePage, "colourise"), (EnlargePage, "super_resolve")],
)
def test_each_restoration_has_one_button_and_agrees_with_what_is_known(
    loaded: PhotoPage, kind: Any, task: str, qtbot
) -> None:
    page = open_tab(loaded, kind, qtbot)
    assert "arXiv 2212.00490" in page.method.text()
    assert titles(page) == ["Known", "Photograph"]
    click(page.primary, qtbot)
    assert titles(page)[0] == "Known"
    assert titles(page)[2] == "Photograph"
    sampling = Sampling.from_options(page.picture.options)
    assert (sampling.task, sampling.sampler, sampling.eta) == (task, "ddim", 0.85)
    assert sampling.steps == 4
    assert page.picture.condition.null
    first = page.result
    click(page.seed.die, qtbot)
    assert not np.array_equal(page.result, first)


def test_settings_change_what_is_known_and_how_it_is_sampled(loaded: PhotoPage, qtbot) -> None:
    page = open_tab(loaded, EnlargePage, qtbot)
    page.factor.setFocus()
    qtbot.keyClick(page.factor, Qt.Key.Key_Down)
    assert page.known.factor == 8
    crop = open_tab(loaded, UncropPage, qtbot)
    before = crop.known.share
    crop.border.slider.setFocus()
    qtbot.keyClick(crop.border.slider, Qt.Key.Key_Right)
    assert crop.known.share < before
    assert crop.sampler.isHidden()
    click(crop.more, qtbot)
    crop.sampler.setCurrentIndex(1)
    click(crop.primary, qtbot)
    assert "Only DDIM and DDPM can go back" in crop.view.failure.message
    crop.passes.setCurrentIndex(0)
    click(crop.primary, qtbot)
    assert crop.view.failure is None
    assert Sampling.from_options(crop.picture.options).sampler == "dpmpp"


def test_another_model_takes_the_same_photograph(loaded: PhotoPage, qtbot) -> None:
    controller = loaded.state.controller
    controller.open_model("grey")
    qtbot.waitUntil(lambda: loaded.state.photo is not None)
    assert loaded.state.photo.image.shape == (SIDE, SIDE, 1)
    page = open_tab(loaded, ColourisePage, qtbot)
    assert "makes grey images" in page.view.failure.message
    assert not page.primary.isEnabled()
    page = open_tab(loaded, EnlargePage, qtbot)
    assert page.condition.isHidden()
    click(page.primary, qtbot)
    assert page.result.shape == (SIDE, SIDE, 1)


def test_everything_fits_and_has_a_name(loaded: PhotoPage, qtbot) -> None:
    for place, one in enumerate(loaded.pages):
        loaded.bar.buttons[place].click()
        assert one.width() <= 420
        assert pixels(loaded).std() > 1
        for control in one.findChildren(QComboBox):
            assert control.accessibleName()
    for button in loaded.bar.buttons:
        words = button.fontMetrics().horizontalAdvance(button.accessibleName())
        assert button.geometry().right() <= loaded.bar.width()
        assert button.width() > words
