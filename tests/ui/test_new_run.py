"""The form for a new run over the worker of formulas; jobs and measurements end by hand."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QPushButton

from latentlab.core.errors import LatentLabError
from latentlab.core.labels import LabelColumn
from latentlab.core.presets import SourceFacts, preset_recipe
from latentlab.core.recipe import parse_recipe
from latentlab.core.requests import Failure, JobProgress
from latentlab.data.base import SkippedFile
from latentlab.services import launcher
from latentlab.services.data_preview import DataPreview, summarise
from latentlab.ui.widgets import new_run_estimate, new_run_preview
from latentlab.ui.widgets.new_run import NewRunForm
from latentlab.ui.widgets.new_run_draft import RunDraft
from tests.ui.map_stage import MapBridge
from tests.ui.stage import make_controller, pixels, turn_wheel
from tests.ui.windows import drop_on, file_data

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton
FIGURES = {
    "parameters": 3_412_000,
    "total_steps": 2344,
    "seconds_per_step": 0.052,
    "images_per_second": 1230.0,
    "seconds_total": 5400.0,
    "memory_mb": 812.0,
    "device_memory_mb": None,
    "checkpoint_mb": 14.0,
    "data_wait": 0.2,
    "device": "cpu",
    "num_images": 9000,
    "num_held_out": 500,
}


class Measurements:
    """Stands where processes that measure would run."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.running: list[str] = []
        self.answer: Any = FIGURES

    def __call__(self, text: str) -> Any:
        self.texts.append(text)
        self.running.append(text)
        stop = lambda: self.running.remove(text) if text in self.running else None  # noqa: E731

        def poll() -> Any:
            if self.answer is not None:
                stop()
            return self.answer

        return SimpleNamespace(poll=poll, cancel=stop)


class Stage:
    def __init__(self, folder: Path, qtbot: Any, width: int = 380) -> None:
        self.qtbot = qtbot
        self.bridge = MapBridge()
        self.models = folder / "models"
        self.models.mkdir()
        self.controller = make_controller(self.models, self.bridge)
        self.form = NewRunForm(self.controller)
        qtbot.addWidget(self.form)
        self.form.resize(width, 700)
        with qtbot.waitExposed(self.form):
            self.form.show()
        self.started: list[Path] = []
        self.form.started.connect(self.started.append)

    @property
    def page(self) -> Any:
        return self.form.page

    def asked(self) -> dict[str, Any]:
        """Wait for the preview to be asked for."""
        self.qtbot.waitUntil(lambda: bool(self.bridge.of_kind("preview_data")))
        return dict(self.bridge.of_kind("preview_data")[-1].arguments)

    def see(self, **values: Any) -> DataPreview:
        """Let the preview arrive, and its second round where the preset takes the data in."""
        self.asked()
        found = preview(**values)
        self.bridge.finish("preview_data", found)
        return found

    def field(self, key: str) -> Any:
        return self.page.settings.fields[key]

    def type(self, key: str, text: str) -> None:
        box = self.field(key).control
        box.setFocus()
        box.selectAll()
        QTest.keyClicks(box, text)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_run_preview, "WAIT_MS", 0)
    monkeypatch.setattr(new_run_estimate, "WAIT_MS", 0)


@pytest.fixture(autouse=True)
def measurements(monkeypatch: pytest.MonkeyPatch) -> Measurements:
    found = Measurements()
    monkeypatch.setattr(launcher, "EstimateProcess", found)
    return found


@pytest.fixture
def stage(tmp_path: Path, qtbot: Any) -> Stage:
    return Stage(tmp_path, qtbot)


def preview(count: int = 12, size: int = 16, **values: Any) -> DataPreview:
    rng = np.random.default_rng(count)
    codes = (np.arange(100) % 3).astype(np.float32)
    labels = (summarise(LabelColumn("class", "categorical", codes, ("cat", "dog", "owl"))),)
    usual: dict[str, Any] = {
        "images": rng.integers(0, 256, (count, size, size, 3), np.uint8),
        "indices": np.arange(count),
        "flipped": np.arange(count) % 2 == 0,
        "num_training": 9000,
        "num_held_out": 500,
        "labels": labels,
        "splits": (),
        "warning": "",
        "skipped": (),
        "num_skipped": 0,
        "checked": 9500,
        "num_files": 9500,
    }
    return DataPreview(**{**usual, **values})


def shown(label: Any) -> str:
    return "" if label.isHidden() else label.text()


# The data.


def test_it_begins_with_a_recipe_that_can_start(stage) -> None:
    asked = stage.asked()
    assert (
        asked["data"]
        == preset_recipe("vae", "quick", "portraits").model_dump(mode="json", exclude_none=True)[
            "data"
        ]
    )
    assert stage.form.foot.start_button.isEnabled()
    assert stage.form.name == "portraits-vae-quick"


def test_the_preview_shows_the_images_and_numbers_of_the_data(stage) -> None:
    found = stage.see(
        warning="All splits are trained on.",
        skipped=(SkippedFile("a/b.png", "It is cut short."),),
        num_skipped=1,
        checked=100,
    )
    preview_view = stage.page.preview
    grid = preview_view.grid
    columns, _, zoom = grid.geometry_for(grid.width())
    assert zoom == 4, "16 pixels are enlarged by a whole number"
    painted = pixels(grid)
    for place in (0, 1, columns):
        x, y = (place % columns) * 66, (place // columns) * 66
        cell = painted[y : y + 64, x : x + 64]
        np.testing.assert_array_equal(cell[::4, ::4], found.images[place])
    assert "9,000 images to train on, 500 held out; 16 × 16 pixels, colour" in shown(
        preview_view.facts
    )
    assert "All splits" in shown(preview_view.warning)
    assert "1 file cannot be read" in shown(preview_view.damaged)
    stage.qtbot.mouseClick(preview_view.skipped_button, LEFT)
    assert preview_view.details.toPlainText() == "a/b.png: It is cut short."
    stage.qtbot.mouseClick(preview_view.labels_button, LEFT)
    assert preview_view.details.toPlainText() == "class: 3 classes (cat 34, dog 33, owl 33)"
    stage.qtbot.mouseClick(preview_view.check_button, LEFT)
    assert stage.asked()["check"] is True


def test_a_change_of_the_data_cancels_the_old_preview_and_greys_it(stage) -> None:
    stage.see()
    assert not stage.page.preview.grid.stale
    first = len(stage.bridge.cancelled)
    stage.type("data.size", "16")
    assert stage.page.preview.grid.stale
    stage.qtbot.waitUntil(lambda: bool(stage.bridge.of_kind("preview_data")))
    stage.type("data.size", "64")
    assert len(stage.bridge.cancelled) > first
    stage.qtbot.waitUntil(lambda: bool(stage.bridge.of_kind("preview_data")))
    assert stage.asked()["data"]["size"] == 64
    stage.see()
    assert not stage.page.preview.grid.stale


def test_other_settings_leave_the_preview_alone(stage) -> None:
    stage.see()
    stage.type("train.learning_rate", "2e-4")
    QTest.qWait(20)
    assert not stage.bridge.of_kind("preview_data")
    assert not stage.page.preview.grid.stale


def test_a_first_look_comes_before_the_end_and_can_be_cancelled(stage) -> None:
    stage.asked()
    job = stage.bridge.of_kind("preview_data")[-1].job
    first = preview(count=4, checked=4)
    stage.bridge.job_progressed.emit(JobProgress(job, 10, 9500, "looking", first))
    assert stage.page.preview.grid.count == 4
    assert "10 of 9,500" in stage.page.preview._said.text()
    stage.qtbot.mouseClick(stage.page.preview.cancel_button, LEFT)
    assert stage.bridge.cancelled == [job]
    assert stage.page.preview.grid.count == 4


def test_data_that_cannot_be_opened_is_said_where_the_images_would_be(stage) -> None:
    stage.asked()
    said = "There is no 'faces.zip': choose another."
    stage.bridge.finish("preview_data", failure=Failure(said, "traceback"))
    assert stage.page.preview.error.failure.message == said
    assert stage.page.preview.error.isVisible()
    assert not stage.form.foot.start_button.isEnabled()
    assert said in stage.form.foot.start_button.toolTip()
    stage.qtbot.mouseClick(stage.page.preview.again_button, LEFT)
    stage.see()
    assert not stage.page.preview.error.isVisible()
    assert stage.form.foot.start_button.isEnabled()


def test_the_preset_takes_in_what_is_known_of_the_data(stage, tmp_path) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    assert drop_on(stage.form, file_data(folder))
    assert stage.asked()["data"]["source"] == str(folder)
    facts = SourceFacts((1, 28, 28), num_images=60_000, splits=("train", "test"))
    stage.see(facts=facts, splits=("train", "test"))
    again = stage.asked()["data"]
    assert (again["size"], again["channels"], again["split"]) == (32, 1, "train")
    stage.see(facts=facts, splits=("train", "test"))
    assert not stage.bridge.of_kind("preview_data"), "two rounds are enough"
    box = stage.page.data.parts_box
    assert box.currentText() == "train"
    box.setCurrentText("test")
    box.activated.emit(box.currentIndex())
    assert stage.form.draft.data["split"] == "test"


def test_more_images_a_step_than_there_are(stage) -> None:
    stage.see(num_training=40)
    assert "40 images" in stage.field("train.batch_size").said
    assert not stage.form.foot.start_button.isEnabled()
    stage.type("train.batch_size", "32")
    assert stage.form.foot.start_button.isEnabled()


# Settings.


def test_an_invalid_value_is_said_beside_it_and_blocks_start(stage) -> None:
    stage.see()
    stage.type("train.batch_size", "0")
    said = stage.field("train.batch_size").said
    assert said == "Batch size must be at least 1."
    assert stage.form.foot.sentence
    assert "at least 1" in stage.form.foot.start_button.toolTip()
    QTest.keyClick(stage.form, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert not stage.started
    stage.form.foot.name.setFocus()
    stage.qtbot.mouseClick(stage.form.foot.show_button, LEFT)
    assert stage.field("train.batch_size").control.hasFocus()
    stage.qtbot.mouseDClick(stage.field("train.batch_size").name, LEFT)
    assert stage.field("train.batch_size").control.text() == "64"
    assert stage.form.foot.start_button.isEnabled()


def test_a_size_that_the_family_does_not_have_blocks_start(stage) -> None:
    stage.see()
    stage.type("data.size", "17")
    assert "16, 32, 64" in stage.field("data.size").said
    assert "16, 32, 64" in stage.form.foot.start_button.toolTip()
    stage.type("data.size", "32")
    assert stage.form.foot.start_button.isEnabled()


def test_a_source_that_is_typed_stays_as_it_is_typed(stage) -> None:
    stage.type("data.source", "portraits:count=700,seed=9")
    assert stage.field("data.source").control.text() == "portraits:count=700,seed=9"
    assert stage.form.draft.recipe().data.source == "portraits:count=700,seed=9"
    assert stage.asked()["data"]["source"] == "portraits:count=700,seed=9"


def test_the_wheel_over_a_chooser_scrolls_and_chooses_nothing(stage) -> None:
    stage.form.foot.name.setFocus()
    for box in (stage.page.family_box, stage.page.warm, stage.page.data.source_box):
        before = box.currentIndex()
        turn_wheel(box, -1)
        assert box.currentIndex() == before


def test_one_length_replaces_the_other(stage) -> None:
    stage.type("train.epochs", "3")
    values = stage.form.draft.values
    assert values["train.epochs"] == 3
    assert "train.images_seen" not in values
    assert stage.field("train.images_seen").control.text() == ""
    assert stage.form.foot.start_button.isEnabled()
    stage.qtbot.mouseDClick(stage.field("train.epochs").name, LEFT)
    assert stage.form.draft.values["train.images_seen"] == 150_000
    assert "train.epochs" not in stage.form.draft.values


def test_a_preset_keeps_what_a_person_changed(stage) -> None:
    stage.type("model.latent_dim", "17")
    assert stage.field("model.latent_dim").name.text().startswith("●")
    buttons = stage.page.preset_buttons
    stage.qtbot.mouseClick(buttons["good"], LEFT)
    recipe = stage.form.draft.recipe()
    good = preset_recipe("vae", "good", "portraits")
    assert recipe.model.settings["latent_dim"] == 17
    assert recipe.train == good.train
    assert recipe.data == good.data
    assert stage.form.name == "portraits-vae-good"
    assert buttons["good"].isChecked()
    assert not buttons["quick"].isChecked()


def test_another_family_has_its_own_settings(stage) -> None:
    stage.type("train.seed", "7")
    box = stage.page.family_box
    box.setCurrentIndex(box.findData("probe"))
    box.activated.emit(box.currentIndex())
    assert "model.feature_dim" in stage.page.settings.fields
    assert "model.latent_dim" not in stage.page.settings.fields
    recipe = stage.form.draft.recipe()
    assert recipe.model.family == "probe"
    assert recipe.train.seed == 7


def test_every_control_has_a_name_and_a_place_in_the_tab_order(stage) -> None:
    focus = stage.page.family_box
    focus.setFocus()
    seen = []
    for _ in range(400):
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        now = QApplication.focusWidget()
        if now in seen:
            break
        seen.append(now)
    fields = [f.control for f in stage.page.settings.fields.values() if f.isVisible()]
    order = [seen.index(control) for control in fields if control in seen]
    assert len(order) == len(fields)
    assert order == sorted(order)
    assert stage.form.foot.start_button in seen
    for widget in seen:
        named = widget.accessibleName() or getattr(widget, "text", str)()
        assert named, widget


# Recipes.


def test_a_recipe_fills_the_form_and_a_duplicate_gets_a_number(stage, tmp_path) -> None:
    text = preset_recipe("vae", "good", "portraits:count=500,seed=4").to_toml()
    (stage.form.root / "faces").mkdir(parents=True)
    stage.form.set_recipe(text, "faces")
    assert stage.form.name == "faces-2"
    assert stage.form.draft.recipe() == parse_recipe(text)
    assert not stage.form.draft.changed
    assert not any(button.isChecked() for button in stage.page.preset_buttons.values())
    assert stage.field("data.source").control.text() == "portraits:count=500,seed=4"


def test_a_wrong_recipe_names_its_line_and_changes_nothing(stage, tmp_path) -> None:
    before = stage.form.draft.text()
    path = tmp_path / "mine.toml"
    path.write_text('[model]\nfamily = "vae"\n[data]\nsource = "portraits"\n[train]\nstep = 3\n')
    assert drop_on(stage.form, file_data(path))
    assert stage.form.notice.isVisible()
    assert "mine.toml, line 6" in stage.form.notice.sentence.text()
    assert stage.form.draft.text() == before


@pytest.mark.parametrize("every", [False, True])
def test_the_recipe_can_be_read_copied_and_saved(stage, tmp_path, monkeypatch, every) -> None:
    stage.type("model.latent_dim", "17")
    stage.qtbot.mouseClick(stage.page.recipe_button, LEFT)
    view = stage.form.recipe
    if every:
        view.every_box.click()
    assert parse_recipe(view.text.toPlainText()) == stage.form.draft.recipe()
    assert ("ema_decay" in view.text.toPlainText()) or not every
    stage.qtbot.mouseClick(view.copy_button, LEFT)
    assert QGuiApplication.clipboard().text() == view.text.toPlainText()
    path = tmp_path / "saved"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    stage.qtbot.mouseClick(view.save_button, LEFT)
    assert path.with_suffix(".toml").read_text() == view.text.toPlainText()
    stage.qtbot.mouseClick(view.back_button, LEFT)
    assert stage.page.isVisible()


def test_the_command_trains_what_the_form_says(stage) -> None:
    stage.form.recipe.command_button.clicked.emit()
    words = QGuiApplication.clipboard().text().split()
    assert words[:2] == ["latentlab", "train"]
    assert parse_recipe(Path(words[2]).read_text()) == stage.form.draft.recipe()
    assert words[3:] == ["--run-dir", str(stage.form.root / "portraits-vae-quick")]


def test_weights_to_start_from_are_of_the_same_family(stage, tmp_path) -> None:
    model = next(stage.models.glob("*.safetensors"))
    assert drop_on(stage.form, file_data(model))
    assert stage.page.warm.path == model
    other = tmp_path / "other.safetensors"
    shutil.copy(model, other)
    other.write_bytes(b"nothing")
    assert drop_on(stage.form, file_data(other))
    assert stage.form.notice.isVisible()
    assert stage.page.warm.path == model
    box = stage.page.family_box
    box.setCurrentIndex(box.findData("probe"))
    box.activated.emit(box.currentIndex())
    assert stage.page.warm.path is None


# What it takes.


def test_it_is_measured_by_itself_and_again_after_a_change(stage, measurements) -> None:
    estimate = stage.page.estimate
    assert not measurements.texts, "the data comes first"
    stage.see()
    stage.qtbot.waitUntil(lambda: estimate.figures is not None)
    texts = [label.text() for label in estimate._values.values()]
    assert texts == ["3.41 M", "812 MB", "1 h 30 min (CPU)"]
    assert "20% of the time waiting for data" in estimate._further.text()
    measurements.answer = None
    stage.type("model.latent_dim", "17")
    assert estimate.stale
    assert not estimate._values["Time"].isEnabled()
    stage.qtbot.waitUntil(lambda: estimate.measuring)
    assert "latent_dim = 17" in measurements.texts[-1]
    stage.qtbot.mouseClick(estimate.cancel_button, LEFT)
    assert not measurements.running
    measurements.answer = FIGURES
    stage.qtbot.mouseClick(estimate.measure_button, LEFT)
    stage.qtbot.waitUntil(lambda: not estimate.stale)
    count = len(measurements.texts)
    stage.qtbot.mouseDClick(stage.field("model.latent_dim").name, LEFT)
    assert not estimate.stale, "figures that are known are shown at once"
    assert len(measurements.texts) == count


def test_a_measurement_that_fails_is_a_sentence_in_its_place(stage, measurements) -> None:
    measurements.answer = Failure("There is not enough memory: use a smaller batch.", "")
    stage.see()
    estimate = stage.page.estimate
    stage.qtbot.waitUntil(lambda: estimate.failure is not None)
    assert "not enough memory" in estimate._note.text()
    assert estimate.measure_button.isVisible()
    assert stage.form.foot.start_button.isEnabled()


def test_a_form_that_is_not_seen_measures_nothing(stage, measurements) -> None:
    measurements.answer = None
    stage.see()
    stage.qtbot.waitUntil(lambda: bool(measurements.running))
    stage.form.hide()
    assert not measurements.running


# Starting.


def test_start_gives_the_whole_recipe_and_the_folder(stage, monkeypatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(
        launcher,
        "start_run",
        lambda text, run, *, warm_start: calls.append((text, run, warm_start)),
    )
    stage.see()
    stage.form.foot.name.setFocus()
    stage.form.foot.name.selectAll()
    QTest.keyClicks(stage.form.foot.name, "My first run")
    QTest.keyClick(stage.form.foot.name, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    ((text, run, warm),) = calls
    assert parse_recipe(text) == stage.form.draft.recipe()
    assert run == stage.form.root / "My-first-run"
    assert warm is None
    assert stage.started == [run]


def test_a_double_click_starts_one_run(stage, monkeypatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(launcher, "start_run", lambda *a, **k: calls.append(a))
    stage.see()
    for _ in range(3):
        stage.qtbot.mouseClick(stage.form.foot.start_button, LEFT)
    assert len(calls) == len(stage.started) == 1


@pytest.mark.parametrize(
    "error", [LatentLabError("The disk is full: free some."), OSError(28, "x")]
)
def test_a_start_that_fails_is_a_sentence_and_loses_nothing(stage, monkeypatch, error) -> None:
    def fail(*_: Any, **__: Any) -> int:
        raise error

    monkeypatch.setattr(launcher, "start_run", fail)
    stage.see()
    stage.type("model.latent_dim", "17")
    stage.qtbot.mouseClick(stage.form.foot.start_button, LEFT)
    assert stage.form.notice.isVisible()
    assert stage.form.notice.sentence.text().endswith(".")
    assert not stage.started
    assert stage.form.draft.value("model.latent_dim") == 17
    assert stage.form.foot.start_button.isEnabled()


def test_a_runs_folder_that_cannot_be_made_is_a_sentence(stage) -> None:
    stage.form.root.parent.mkdir(parents=True, exist_ok=True)
    stage.form.root.write_text("in the way")
    stage.see()
    stage.qtbot.mouseClick(stage.form.foot.start_button, LEFT)
    assert stage.form.notice.isVisible()
    assert not stage.started


def test_data_that_vanished_is_said_before_anything_starts(stage, tmp_path) -> None:
    folder = tmp_path / "faces"
    folder.mkdir()
    stage.page.data.choose(str(folder))
    stage.see()
    folder.rmdir()
    stage.qtbot.mouseClick(stage.form.foot.start_button, LEFT)
    assert "no longer there" in stage.form.notice.sentence.text()
    assert not stage.started


def test_cancel_leaves_what_is_filled_in(stage) -> None:
    stage.type("model.latent_dim", "17")
    with stage.qtbot.waitSignal(stage.form.cancelled):
        stage.qtbot.mouseClick(stage.form.foot.cancel_button, LEFT)
    assert stage.form.draft.value("model.latent_dim") == 17


# Room.


@pytest.mark.parametrize("width", [380, 1000])
def test_nothing_is_clipped_in_a_narrow_and_a_wide_dock(tmp_path, qtbot, width) -> None:
    stage = Stage(tmp_path, qtbot, width)
    stage.see()
    stage.page.settings.all_box.click()
    QTest.qWait(1)
    area = stage.page._main_area
    assert area.widget().width() <= area.viewport().width()
    for button in stage.form.findChildren(QPushButton):
        if button.isVisible():
            assert button.width() >= button.sizeHint().width() - 1, button.text()
            right = button.mapTo(stage.form, button.rect().topRight()).x()
            assert right < width, button.text()
    assert stage.page._side_area.isVisible() == (width == 1000)


def test_no_torch_is_imported_by_the_form() -> None:
    code = (
        "import sys; import latentlab.ui.widgets.new_run, latentlab.services.launcher; "
        "from latentlab.ui.widgets.new_run_draft import RunDraft; RunDraft().recipe(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The draft alone.


def test_a_recipe_keeps_its_data_when_a_preset_is_chosen() -> None:
    draft = RunDraft()
    text = preset_recipe("vae", "quick", "portraits:count=500,seed=4", size=16).to_toml()
    draft.take_recipe(text, "small.toml")
    draft.set("train.seed", 5)
    draft.choose_preset("good")
    recipe = draft.recipe()
    assert recipe.data.source == "portraits:count=500,seed=4"
    assert recipe.data.size == 16
    assert recipe.train.seed == 5
    assert recipe.train.images_seen == preset_recipe("vae", "good", "portraits").train.images_seen


def test_other_data_forgets_what_belongs_to_the_old_alone() -> None:
    draft = RunDraft(source="old")
    draft.set("data.split", "train")
    draft.set("data.flip", True)
    draft.choose_source("new")
    assert draft.value("data.split") is None
    assert draft.value("data.flip") is True
    draft.choose_source("")
    assert draft.problems() == {"data.source": "Choose the images to train on."}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.beta", -1.0),
        ("train.betas", [0.5, 1.0]),
        ("train.betas", [0.5]),
        ("output.id", "no spaces"),
        ("model.condition", ["age", "age"]),
        ("train.ema_decay", 1.0),
        ("data.size", 2),
    ],
)
def test_what_a_recipe_refuses_is_said_of_its_setting(key, value) -> None:
    draft = RunDraft()
    draft.set(key, value)
    problems = draft.problems()
    assert list(problems) in ([key], [key.rpartition(".")[0]], [""])
    assert all(said.endswith(".") for said in problems.values())
    draft.reset(key)
    assert not draft.problems()
