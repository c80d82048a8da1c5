"""The window as a whole: what it shows, what it takes, how it starts and ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QEvent, QMimeData, QObject, Qt
from PySide6.QtWidgets import QApplication, QComboBox, QDockWidget, QToolButton, QWidget

from latentlab.catalog import Row
from latentlab.core.directionfile import save_direction
from latentlab.core.document import Document
from latentlab.core.registry import Plugin
from latentlab.core.requests import Failure, JobProgress, JobResult
from latentlab.core.settings import load_settings
from latentlab.services.worker_protocol import WorkerDied, WorkerReady
from latentlab.ui import app
from latentlab.ui.edits import FIRST_COUNT, missing_capabilities
from latentlab.ui.panel_host import PanelHost
from tests.ui.stage import picture, pixels
from tests.ui.windows import differs, drop_on, file_data, make_window

pytestmark = pytest.mark.gui


def shown_text(widget: QWidget) -> str:
    """Everything that visible labels of a widget say."""
    from PySide6.QtWidgets import QLabel

    return " ".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


def test_first_model_opens_with_a_grid_and_images_arrive(window):
    assert window.controller.document.canvas.seeds == tuple(range(FIRST_COUNT))
    assert window.canvas.view.count == FIRST_COUNT
    assert window.controller.last_images.shape == (FIRST_COUNT, 12, 12, 3)


def test_everything_is_visible_at_the_smallest_size_of_the_drawing(window, qtbot):
    window.resize(1100, 700)
    window.layout_keeper.reset()
    qtbot.wait(50)
    frame = window.rect()
    for part in (window.library_panel, window.history_panel, window.canvas, window.tray):
        corner = part.mapTo(window, part.rect().topLeft())
        assert frame.contains(corner)
        assert frame.contains(part.mapTo(window, part.rect().bottomRight()))
    for box in window.top_bar.findChildren(QWidget):
        if box.isVisibleTo(window.top_bar):
            assert box.width() >= min(box.sizeHint().width(), 78) or box.width() >= 18
    assert window.top_bar.mapTo(window, window.top_bar.rect().topRight()).x() <= frame.right()


def test_reroll_undo_and_redo_by_keys(window, qtbot):
    before = window.controller.document.canvas
    images = window.controller.last_images
    qtbot.keyClick(window, Qt.Key.Key_R)
    after = window.controller.document.canvas
    assert len(after.seeds) == FIRST_COUNT
    assert after.seeds != before.seeds
    assert not np.array_equal(window.controller.last_images, images)
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert window.controller.document.canvas == before
    assert np.array_equal(window.controller.last_images, images)
    both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(window, Qt.Key.Key_Z, both)
    assert window.controller.document.canvas == after


def test_brackets_step_through_seeds(window, qtbot):
    qtbot.keyClick(window, Qt.Key.Key_BracketRight)
    assert window.controller.document.canvas.seeds == tuple(range(FIRST_COUNT, 2 * FIRST_COUNT))
    qtbot.keyClick(window, Qt.Key.Key_BracketLeft)
    qtbot.keyClick(window, Qt.Key.Key_BracketLeft)
    assert window.controller.document.canvas.seeds == tuple(range(FIRST_COUNT))


def test_keep_by_key_needs_a_chosen_image(window, qtbot):
    qtbot.keyClick(window, Qt.Key.Key_K)
    assert window.controller.document.tray == ()
    assert "Click an image" in shown_text(window.notice)
    window.controller.select(3)
    qtbot.keyClick(window, Qt.Key.Key_K)
    assert [i.picture.seeds for i in window.controller.document.tray] == [(3,)]


def test_space_shows_the_image_before_its_edits(window, qtbot):
    window.controller.set_edit("smiling", 3.0)
    edited = pixels(window.canvas.view)
    qtbot.keyPress(window, Qt.Key.Key_Space)
    plain = pixels(window.canvas.view)
    assert differs(edited, plain) > 0.5
    qtbot.keyRelease(window, Qt.Key.Key_Space)
    assert differs(edited, pixels(window.canvas.view)) == 0


def test_theme_changes_every_part(window):
    light = pixels(window)
    window.theme.choose("dark")
    dark = pixels(window)
    assert light.mean() > 150
    assert dark.mean() < 100
    window.theme.choose("light")
    assert differs(light, pixels(window)) < 1


def test_number_key_shows_the_panel_and_reset_brings_all_back(window, qtbot):
    dock = window.layout_keeper.right[0]
    dock.hide()
    qtbot.keyClick(window, Qt.Key.Key_1)
    assert dock.isVisible()
    for dock in window.findChildren(QDockWidget):
        if dock.objectName() != "dock-tray":
            dock.hide()
    window.actions_table.actions["reset_layout"].trigger()
    assert all(d.isVisible() for d in window.findChildren(QDockWidget))


def test_workspaces_arrange_the_docks(window, qtbot):
    window.actions_table.actions["workspace_browse"].trigger()
    assert window.library_panel.isVisible()
    assert not window.history_panel.isVisible()
    right = window.layout_keeper.right
    qtbot.waitUntil(lambda: max(dock.width() for dock in right) > 0.4 * window.width())
    window.actions_table.actions["workspace_edit"].trigger()
    assert not window.library_panel.isVisible()
    assert window.hosts["attributes"].isVisible()
    qtbot.waitUntil(lambda: window.hosts["attributes"].width() < 0.4 * window.width())


def test_layout_and_settings_are_kept(tmp_path, qapp, qtbot):
    folder = tmp_path / "models"
    folder.mkdir()
    first = make_window(folder, qapp)
    first.show()
    first.layout_keeper.right[0].hide()
    first.actions_table.actions["theme_dark"].trigger()
    first.show_hint(False)
    first.close()
    assert first.bridge.stopped
    settings, problem = load_settings()
    assert problem is None
    assert settings.theme == "dark"
    assert settings.hint_dismissed
    second = make_window(folder, qapp)
    second.controller.settings.window_layout = settings.window_layout
    second.controller.settings.window_geometry = settings.window_geometry
    second.show()
    assert second.layout_keeper.restore(second.controller.settings)
    assert not second.layout_keeper.right[0].isVisible()
    assert second.layout_keeper.left[0].isVisible()
    second.close()
    for window in (first, second):
        window.deleteLater()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.txt", b"hello", "cannot be opened"),
        ("broken.safetensors", b"\x00", "not a whole safetensors file"),
        ("broken.latentlab", b"PK", "not a whole LatentLab session"),
        ("huge.safetensors", b"\xff" * 64, "not a whole safetensors file"),
    ],
)
def test_a_bad_file_is_one_sentence_and_the_work_stays(window, tmp_path, name, content, said):
    before = window.controller.document
    path = tmp_path / name
    path.write_bytes(content)
    assert drop_on(window, file_data(path))
    assert said in shown_text(window.notice)
    assert window.controller.document == before
    assert window.canvas.view.failure is None


def test_a_dropped_model_opens(window, tmp_path, qtbot):
    from tests.ui.stage import write_formula_model

    other = tmp_path / "elsewhere"
    other.mkdir()
    path = write_formula_model(other, "foreign")
    window.bridge.requests.clear()
    drop_on(window, file_data(path))
    # The worker does not know the file before it opened it: the picture waits until then.
    assert not [r for r in window.bridge.requests if r.channel == "canvas"]
    opened = window.bridge.finish_jobs("open_model")
    assert str(path) in [job.arguments["model"] for job in opened]
    assert window.controller.model.spec.id == "foreign"
    assert [r.picture.model for r in window.bridge.requests if r.channel == "canvas"] == ["foreign"]
    names = [window.top_bar.model.itemData(i) for i in range(window.top_bar.model.count())]
    assert "foreign" in names


def test_a_dropped_photograph_is_encoded(window, tmp_path):
    path = tmp_path / "me.png"
    Image.fromarray(np.full((40, 30, 3), 200, np.uint8)).save(path)
    drop_on(window, file_data(path))
    job = next(job for job in window.bridge.jobs if job.kind == "encode_photo")
    assert job.arguments["photo"] == str(path)
    assert job.arguments["model"] == "waves"


def test_text_is_not_taken(window):
    data = QMimeData()
    data.setText("hello")
    assert not drop_on(window, data)


def test_jobs_show_progress_time_left_and_cancel(window, qtbot):
    controller, bridge = window.controller, window.bridge
    bridge.finish_jobs("open_model")
    controller.export_png("/nowhere/a.png")
    controller.export_latents("/nowhere/b.npz")
    qtbot.waitUntil(window.status.jobs.isVisible)
    job = bridge.jobs[-1]
    bridge.job_progressed.emit(JobProgress(job.job, 40, 100, "Rendering"))
    text = window.status.jobs.row.label.text()
    assert text.startswith("Exporting b.npz, 40/100")
    assert "left" in text
    assert window.status.jobs.row.bar.value() == 40
    assert window.status.jobs.more.text() == "2 jobs"
    qtbot.mouseClick(window.status.jobs.row.cancel, Qt.MouseButton.LeftButton)
    assert bridge.cancelled == [job.job]
    assert not window.status.jobs.more.isVisible()
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert len(bridge.cancelled) == 2
    assert not window.status.jobs.isVisible()


def test_a_failed_job_says_why_with_details(window):
    window.controller.export_png("/nowhere/a.png")
    job = window.bridge.jobs[-1]
    failure = Failure("The disk is full: free some space.", "Traceback")
    window.bridge.job_finished.emit(JobResult(job.job, failure=failure))
    assert "The disk is full" in shown_text(window.notice)
    window.notice.toggle.click()
    assert window.notice.details.isVisible()
    assert window.notice.details.toPlainText() == "Traceback"
    window.notice.copy.click()
    assert "The disk is full" in QApplication.clipboard().text()


def test_an_image_that_cannot_be_made_says_so_on_the_canvas(window):
    window.bridge.failure = Failure("This cannot be decoded: try another seed.")
    window.controller.reroll()
    assert window.canvas.view.failure.message.startswith("This cannot be decoded")
    window.bridge.failure = None
    window.controller.reroll()
    assert window.canvas.view.failure is None


def test_a_dead_worker_can_be_started_again(window, qtbot):
    window.bridge.worker_changed.emit(WorkerReady(1, "cpu, 2 threads", 2, "2.13"))
    assert window.status.device.text() == "cpu, 2 threads"
    window.bridge.worker_changed.emit(WorkerDied(Failure("The worker was ended by SIGKILL."), -9))
    assert "SIGKILL" in shown_text(window.notice)
    count = len([r for r in window.bridge.requests if r.channel == "canvas"])
    button = next(
        b for b in window.notice.findChildren(QWidget) if b.property("text") == "&Start again"
    )
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert window.bridge.restarts == [None]
    assert len([r for r in window.bridge.requests if r.channel == "canvas"]) == count + 1
    assert not window.notice.isVisible()


def test_the_device_chooser_restarts_the_worker(window):
    place = window.top_bar.device.findData("cpu")
    window.top_bar.device.activated.emit(place)
    assert window.controller.settings.device == "cpu"
    assert [s.device for s in window.bridge.restarts] == ["cpu"]
    window.top_bar.device.activated.emit(place)
    assert len(window.bridge.restarts) == 1


def test_the_model_chooser_switches_and_undo_switches_back(window, qtbot):
    box: QComboBox = window.top_bar.model
    box.activated.emit(box.findData("ripples"))
    assert window.controller.model.spec.id == "ripples"
    assert window.controller.document.canvas.model == "ripples"
    window.controller.undo()
    assert window.controller.model.spec.id == "waves"
    assert box.currentData() == "waves"


def test_a_panel_says_what_it_would_need(window, qtbot):
    row = Row("flow", "Likelihood", "latentlab.ui.panels.tray:TrayPanel", needs=("log_prob",))
    host = PanelHost(Plugin(row, builtin=True), window.controller)
    qtbot.addWidget(host)
    host.show()
    assert "tell how likely an image is" in shown_text(host)
    assert "'Waves' cannot" in shown_text(host)


def test_a_panel_is_made_when_it_is_first_seen(window, qtbot):
    made = []
    host = window.hosts["effects"]
    host.made.connect(made.append)
    qtbot.wait(50)
    assert not made
    host.parentWidget().raise_()
    qtbot.waitUntil(lambda: len(made) == 1)
    assert made[0].isVisible()
    assert host.panel is made[0]


def test_no_window_flashes_while_panels_are_made(window, qapp, qtbot):
    class Watch(QObject):
        shown: ClassVar[list] = []

        def eventFilter(self, watched, event):
            if event.type() == QEvent.Type.Show and watched.isWidgetType() and watched.isWindow():
                self.shown.append(type(watched).__name__)
            return False

    watch = Watch()
    qapp.installEventFilter(watch)
    for host in window.hosts.values():
        host.parentWidget().raise_()
        able = not missing_capabilities(host.plugin.row.needs, window.controller.model)
        qtbot.waitUntil(lambda host=host, able=able: host.panel.isVisible() == able)
    window.controller.open_model("ripples")
    qapp.removeEventFilter(watch)
    assert not watch.shown


def test_what_a_panel_is_asked_for_reaches_it_before_it_was_seen(window, qtbot):
    window.controller.select_slider("zebra")
    sliders = window.hosts["attributes"].panel
    qtbot.waitUntil(sliders.isVisible)
    qtbot.waitUntil(lambda: sliders.isAncestorOf(QApplication.focusWidget() or window))


def test_a_panel_that_fails_to_load_says_why(window, qtbot):
    row = Row("bad", "Broken", "latentlab.no_such_module:Panel")
    host = PanelHost(Plugin(row, builtin=False), window.controller)
    qtbot.addWidget(host)
    host.show()
    qtbot.waitUntil(lambda: "'Broken'" in shown_text(host))
    assert "cannot be used" in shown_text(host)


def test_first_steps_tick_off_and_are_dismissed_for_good(window, qtbot):
    assert window.hint.isVisible()
    controller = window.controller
    controller.apply_canvas(controller.document.canvas.with_edit("zebra", 2.0), "Place on the map")
    controller.set_edit("smiling", 1.0)
    controller.keep(0)
    assert window.hint.done == {"map", "edit", "keep"}
    assert shown_text(window.hint).count("✓") == 3
    qtbot.mouseClick(window.hint.close_button, Qt.MouseButton.LeftButton)
    assert not window.hint.isVisible()
    assert controller.settings.hint_dismissed
    window.actions_table.actions["hint"].trigger()
    assert window.hint.isVisible()


def test_every_control_has_an_accessible_name(window):
    nameless = [
        button
        for button in window.findChildren(QToolButton)
        if not button.accessibleName()
        and not button.text()
        and button.isVisible()
        # Qt's own: the buttons of docks, tabs and line edits.
        and not button.objectName().startswith("qt_")
        and type(button) is QToolButton
        and not isinstance(button.parent(), QDockWidget)
        and button.parent().metaObject().className() != "QLineEdit"
    ]
    assert not nameless
    assert all(box.accessibleName() for box in window.findChildren(QComboBox))


def test_closing_asks_only_about_unsaved_work(tmp_path, qapp, qtbot):
    folder = tmp_path / "models"
    folder.mkdir()
    window = make_window(folder, qapp)
    asked = []
    window._ask_unsaved = lambda _window: bool(asked.append(1))
    window.show()
    window.controller.open_model("waves")
    window.controller.reroll()
    window.controller.keep(0)
    assert not window.close()
    assert asked == [1]
    assert not window.bridge.stopped
    assert window.controller.save_session(tmp_path / "work.latentlab")
    assert window.close()
    assert asked == [1]
    assert window.bridge.stopped
    window.deleteLater()


def test_an_empty_library_teaches(tmp_path, qapp, qtbot, monkeypatch):
    monkeypatch.setattr("latentlab.services.library.BUNDLED_MODELS", ())
    folder = tmp_path / "models"
    folder.mkdir()
    window = make_window(folder, qapp, ())
    window.show()
    window._start(None)
    assert window.controller.document == Document()
    assert "Drop a model file" in shown_text(window.library_panel)
    assert "Nothing on the canvas yet" in shown_text(window.canvas)
    window.close()
    window.deleteLater()


def test_showing_a_picture_of_a_missing_model_keeps_the_window_alive(window):
    window.controller.show_picture(picture(1).model_copy(update={"model": "gone"}), "Gone")
    assert window.controller.model is None
    window.hosts["attributes"].parentWidget().raise_()
    assert "needs a model" in shown_text(window.hosts["attributes"])
    window.controller.undo()
    assert window.controller.model.spec.id == "waves"


def test_start_takes_a_model_a_session_or_a_photograph(tmp_path, qapp, qtbot):
    folder = tmp_path / "models"
    folder.mkdir()
    window = make_window(folder, qapp, ("waves", "ripples"))
    window.show()
    window._start("ripples")
    control = window.controller
    assert control.model.spec.id == "ripples"
    control.keep(1)
    session = tmp_path / "kept.latentlab"
    assert control.save_session(session)
    control.remove_from_tray([control.document.tray[0].id])
    window._start(str(session))
    assert [item.picture.seeds for item in control.document.tray] == [(1,)]
    photo = tmp_path / "me.png"
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(photo)
    window._start(str(photo))
    assert window.bridge.jobs[-1].arguments["photo"] == str(photo)
    window._start("no-such-model")
    assert "no-such-model" in shown_text(window.notice)
    assert control.document.canvas is not None
    window.close()
    window.deleteLater()


def test_a_qt_that_crashes_is_refused_in_one_sentence(monkeypatch, capsys):
    def started(_settings):
        raise AssertionError("the worker must not start")

    def installed(_name):
        return "6.12.0"

    monkeypatch.setattr(app, "start_worker", started)
    monkeypatch.setattr("latentlab.services.device._version", installed)
    monkeypatch.setattr("sys.version_info", SimpleNamespace(major=3, minor=11))
    assert app.main() == 2
    assert "PySide6 6.12.0 crashes on Python 3.11" in capsys.readouterr().err


def test_the_first_grid_shows_small_faces_at_twice_their_size(window, qtbot):
    """At the smallest usual size of the window too, where 64 pixels would be a stamp."""
    window.resize(1100, 700)
    window.layout_keeper.reset()
    window.bridge.size = 64
    window.controller.reroll()
    qtbot.waitUntil(lambda: window.controller.last_images.shape[1] == 64)
    qtbot.waitUntil(lambda: window.canvas.view.scale >= 2)


def test_the_tray_is_as_high_as_its_tiles_until_it_scrolls(window, qtbot):
    empty = window.tray.height()
    for _ in range(3):
        window.controller.keep(0)
    assert window.tray.height() == empty
    for _ in range(30):
        window.controller.keep(1)
    qtbot.waitUntil(lambda: window.tray.height() > empty)


def test_a_number_key_puts_the_focus_into_its_panel(window, qtbot):
    window.canvas.view.setFocus()
    qtbot.keyClick(window, Qt.Key.Key_2)
    host = window.hosts["attributes"]
    qtbot.waitUntil(lambda: host.isAncestorOf(QApplication.focusWidget() or window))


def test_the_worker_can_be_started_again_from_the_menu(window):
    window.actions_table.actions["restart_worker"].trigger()
    assert window.bridge.restarts == [None]


def test_the_current_step_stays_in_sight_when_the_history_shrinks(window, qtbot):
    for number in range(40):
        window.controller.set_sampling(seed=number)
    view = window.history_panel.view
    window.resize(1000, 1000)
    qtbot.wait(20)
    window.resize(1000, 620)
    qtbot.waitUntil(lambda: view.viewport().rect().contains(view.visualRect(view.currentIndex())))


def test_a_dropped_direction_that_the_model_has_is_no_second_slider(window, tmp_path):
    path = tmp_path / "own.safetensors"
    save_direction(path, next(iter(window.controller.directions.values())))
    before = window.controller.document
    assert drop_on(window.canvas, file_data(path))
    assert "is here already" in shown_text(window.status)
    assert window.controller.document == before


def test_a_slider_is_fitted_again_in_the_directions_panel(window, qtbot):
    sliders, maker = window.hosts["attributes"].panel, window.hosts["directions"].panel
    menu = sliders.menu_for("zebra")
    refit = next(a for a in menu.actions() if a.text().replace("&", "").startswith("Refit"))
    refit.trigger()
    qtbot.waitUntil(maker.isVisible)
    assert maker.choosers["labels"].isChecked()
