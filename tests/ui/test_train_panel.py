"""The Train panel: runs found, chosen, laid over each other, and what can be done with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from latentlab.core.paths import runs_folder
from latentlab.core.runs import RunFolder
from latentlab.core.settings import load_settings
from latentlab.ui.panels.train import TrainPanel
from latentlab.ui.widgets.run_actions import RUN_ACTIONS, objection
from tests.ui.run_stage import StillFeed, make_run, set_state
from tests.ui.stage import FormulaBridge, make_controller, pixels

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def controller(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    found = make_controller(folder, FormulaBridge())
    found._feed = StillFeed(found.settings, found)
    found.said = []
    found.failed.connect(lambda sentence, _details: found.said.append(sentence))
    found.message.connect(lambda sentence, _details: found.said.append(sentence))
    return found


def open_panel(controller, qtbot, width: int = 380, height: int = 640) -> TrainPanel:
    panel = TrainPanel(controller)
    qtbot.addWidget(panel)
    panel.resize(width, height)
    with qtbot.waitExposed(panel):
        panel.show()
    return panel


@pytest.fixture
def three(controller, qtbot):
    """Three runs: the newest trains, one is finished, the oldest stopped."""
    root = runs_folder()
    make_run(root, "newest", "training", steps=260, age=100)
    make_run(root, "middle", "finished", age=5000, scale=0.7)
    make_run(root, "oldest", "stopped", steps=300, age=9000, scale=1.5)
    return open_panel(controller, qtbot)


def names(panel) -> list[str]:
    view = panel.list.view
    return [view.model().index(row, 0).data() for row in range(view.model().rowCount())]


def said_of(panel, row: int) -> str:
    """What a screen reader says of a row."""
    index = panel.list.view.model().index(row, 0)
    return index.data(Qt.ItemDataRole.AccessibleTextRole)


def row_rect(panel, name: str):
    return panel.list.view.visualRect(index_of(panel, name))


def index_of(panel, name: str):
    model = panel.list.view.model()
    rows = (model.index(row, 0) for row in range(model.rowCount()))
    return next(index for index in rows if index.data() == name)


def tick(panel, qtbot, name: str) -> None:
    panel.list.view.scrollTo(index_of(panel, name))
    rect = row_rect(panel, name)
    at = QPoint(rect.left() + 14, rect.center().y())
    qtbot.mouseClick(panel.list.view.viewport(), LEFT, pos=at)


def opened(panel) -> str:
    return panel.list.open.name


def press(panel, qtbot, name: str) -> None:
    qtbot.mouseClick(panel.toolbar.buttons[name], LEFT)


def texts(widget: QWidget) -> str:
    return " ".join(x.text() for x in widget.findChildren(QLabel) if x.isVisibleTo(widget))


def test_empty_panel_says_what_training_is_and_offers_to_begin(controller, qtbot):
    panel = open_panel(controller, qtbot)
    assert "Training fits a model" in texts(panel)
    shown = [b.text() for b in panel.empty.findChildren(QPushButton) if b.isVisibleTo(panel)]
    assert sorted(shown) == ["&New run", "&Watch a folder…"]
    assert all(not button.isEnabled() for button in panel.toolbar.buttons.values())


def test_runs_are_listed_newest_first_and_the_newest_is_open(three):
    assert names(three) == ["newest", "middle", "oldest"]
    assert opened(three) == "newest"
    assert list(three.view.curves.charts)[:3] == ["loss", "losses/reconstruction", "losses/kl"]
    said = said_of(three, 0)
    assert said.startswith("newest, Training, 260 / 400 · 2 min left")


def test_header_says_what_trains_on_what_and_how_fast(three, qtbot):
    qtbot.waitUntil(lambda: "3.84" in three.view.header.facts.text())
    said = three.view.header.facts.text().replace("\N{NO-BREAK SPACE}", " ")
    for part in ("VAE", "3.84 M parameters", "portraits (2,000 images)", "cpu on elsewhere",
                 "step 260 of 400", "512 img/s", "2 min left", "916 MB memory",
                 "6 % waiting for data"):  # fmt: skip
        assert part in said


def test_arrows_open_and_space_overlays(three, qtbot):
    view = three.list.view
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_Down)
    assert opened(three) == "middle"
    qtbot.keyClick(view, Qt.Key.Key_Space)
    qtbot.keyClick(view, Qt.Key.Key_Down)
    assert opened(three) == "oldest"
    assert [run.name for run in three.view.curves.runs] == ["oldest", "middle"]
    qtbot.keyClick(view, Qt.Key.Key_Up)
    qtbot.keyClick(view, Qt.Key.Key_Space)
    assert [run.name for run in three.view.curves.runs] == ["middle"]


def test_a_click_into_the_box_overlays_without_opening(three, qtbot):
    tick(three, qtbot, "oldest")
    assert opened(three) == "newest"
    assert [run.name for run in three.view.curves.runs] == ["newest", "oldest"]
    tick(three, qtbot, "oldest")
    assert [run.name for run in three.view.curves.runs] == ["newest"]


def test_only_shown_runs_are_followed(three, qtbot):
    feed = three._feed
    middle = runs_folder() / "middle"
    assert feed.curves(middle) is None
    tick(three, qtbot, "middle")
    assert len(feed.curves(middle)) == 40
    tick(three, qtbot, "middle")
    assert feed.curves(middle) is None


def test_search_appears_with_many_runs_and_opens_nothing_by_itself(controller, qtbot):
    for place in range(8):
        make_run(runs_folder(), f"run-{place}", steps=20, samples=False, age=1000.0 * place)
    panel = open_panel(controller, qtbot)
    assert panel.list.search.isVisible()
    qtbot.keyClicks(panel.list.search, "run-5")
    assert names(panel) == ["run-5"]
    assert opened(panel) == "run-0"
    panel.list.search.clear()
    assert len(names(panel)) == 8
    assert panel.list.view.currentIndex().data() == "run-0"


def test_new_lines_reach_the_charts_and_the_list(controller, qtbot):
    path = make_run(runs_folder(), "live", "training", steps=100)
    panel = open_panel(controller, qtbot)
    before = panel.view.curves.extent()
    make_run(runs_folder().parent / "other", "live", "training", steps=200)
    new = RunFolder(runs_folder().parent / "other" / "live").events.read_text()
    RunFolder(path).events.write_text(new)
    set_state(path, "training", 200)
    panel._feed.look()
    assert before[1] == 100
    assert panel.view.curves.extent()[1] == 200
    assert "200 / 400" in panel.list.view.model().index(0, 0).data(
        Qt.ItemDataRole.AccessibleTextRole
    )


# What can be done.


def test_buttons_follow_the_state_and_say_why_not(three, qtbot):
    enabled = {name for name, button in three.toolbar.buttons.items() if button.isEnabled()}
    assert enabled == {"pause", "stop", "duplicate", "explore"}
    assert "It runs already" in three.toolbar.buttons["resume"].toolTip()
    three.list.open_run(runs_folder() / "oldest")
    enabled = {name for name, button in three.toolbar.buttons.items() if button.isEnabled()}
    assert enabled == {"resume", "duplicate", "delete"}
    assert "No process works" in three.toolbar.buttons["stop"].toolTip()


@pytest.mark.parametrize(
    ("state", "able"),
    [
        ("training", {"pause", "stop", "explore"}),
        ("paused", {"proceed", "stop", "explore"}),
        ("stopped", {"resume", "finish", "explore", "delete"}),
        ("failed", {"resume", "finish", "explore", "delete"}),
        ("finished", {"explore", "open_model", "delete"}),
    ],
)
def test_every_state_allows_what_makes_sense(controller, state, able):
    path = make_run(runs_folder(), "one", state, steps=20, samples=False)
    run = next(run for run in controller.runs.runs() if run.path == path)
    always = {"duplicate", "show_folder", "copy_command"}
    found = {action.id for action in RUN_ACTIONS if not objection(action.id, run)}
    assert found == able | always


def test_pause_stop_and_continue_leave_their_files(three, qtbot):
    folder = RunFolder(runs_folder() / "newest")
    press(three, qtbot, "pause")
    assert folder.pause.exists()
    assert "Pausing" in said_of(three, 0)
    set_state(folder.path, "paused", 260)
    three._feed.look()
    assert "Paused" in said_of(three, 0)
    press(three, qtbot, "pause")
    assert not folder.pause.exists()
    set_state(folder.path, "training", 270)
    three._feed.look()
    press(three, qtbot, "stop")
    assert folder.stop.exists()


def test_delete_can_be_undone(three, qtbot):
    three.list.open_run(runs_folder() / "oldest")
    three.list.view.setFocus()
    qtbot.keyClick(three.list.view, Qt.Key.Key_Delete)
    assert names(three) == ["newest", "middle"]
    assert not (runs_folder() / "oldest").exists()
    undo = next(b for b in three.notice.findChildren(QPushButton) if b.text() == "&Undo")
    qtbot.mouseClick(undo, LEFT)
    assert names(three) == ["newest", "middle", "oldest"]
    assert opened(three) == "oldest"
    assert len(three._feed.curves(runs_folder() / "oldest")) == 30


def test_a_deleted_run_whose_name_was_taken_comes_back_under_another(three, qtbot):
    three.list.open_run(runs_folder() / "oldest")
    three.act("delete")
    make_run(runs_folder(), "oldest", steps=20)
    undo = next(b for b in three.notice.findChildren(QPushButton) if b.text() == "&Undo")
    qtbot.mouseClick(undo, LEFT)
    assert opened(three) == "oldest-2"


def test_a_running_run_is_not_deleted(three, qtbot):
    three.list.view.setFocus()
    qtbot.keyClick(three.list.view, Qt.Key.Key_Delete)
    assert (runs_folder() / "newest").is_dir()
    assert "Stop it first" in texts(three.notice)


def test_copied_command_goes_on_with_the_run(three):
    three.list.open_run(runs_folder() / "oldest")
    three.act("copy_command")
    said = QGuiApplication.clipboard().text()
    assert said == f"latentlab train --run-dir {runs_folder() / 'oldest'} --resume"


def test_failed_run_says_its_reason_in_the_header(controller, qtbot):
    make_run(runs_folder(), "bad", "failed", steps=50, message="The disk is full: free some space.")
    panel = open_panel(controller, qtbot)
    assert "The disk is full: free some space." in texts(panel.view.header)


def test_menu_names_everything_with_reasons(three):
    menu = three.toolbar.menu()
    by_text = {a.text().partition("\t")[0].replace("&", ""): a for a in menu.actions()}
    assert {"Pause", "Measure and finish", "Show folder", "Watch a folder…"} <= set(by_text)
    assert not by_text["Measure and finish"].isEnabled()
    assert by_text["Measure and finish"].toolTip() == "Stop it first."
    menu.deleteLater()


def test_a_watched_folder_adds_its_runs_and_is_kept(three, controller, tmp_path):
    make_run(tmp_path / "shared", "afar", "training", steps=40, samples=False)
    three.watch_folder(tmp_path / "shared")
    assert "afar" in names(three)
    assert controller.settings.run_folders == (str(tmp_path / "shared"),)
    # The command line knows the folder while the window is still open.
    assert load_settings()[0].run_folders == controller.settings.run_folders
    three.unwatch_folder(tmp_path / "shared")
    assert "afar" not in names(three)
    assert not load_settings()[0].run_folders
    three.watch_folder(tmp_path / "nothing")
    assert "is not a folder" in controller.said[-1]


# The form, and coming back.


class Form(QWidget):
    """Stands where the form of a new run stands."""

    started = Signal(Path)
    cancelled = Signal()

    def __init__(self, _controller, parent=None) -> None:
        super().__init__(parent)
        self.given = ("", "")

    def set_recipe(self, text: str, name: str) -> None:
        self.given = (text, name)


@pytest.fixture
def form(monkeypatch):
    from latentlab.ui.widgets import new_run

    monkeypatch.setattr(new_run, "NewRunForm", Form)
    return Form


def test_duplicate_fills_the_form_and_a_started_run_opens(three, qtbot, form):
    three.list.open_run(runs_folder() / "oldest")
    press(three, qtbot, "duplicate")
    shown = three.findChild(Form)
    assert shown.isVisible()
    assert "latent_dim = 16" in shown.given[0]
    assert shown.given[1] == "oldest"
    path = make_run(runs_folder(), "again", "training", steps=20, samples=False)
    shown.started.emit(path)
    assert opened(three) == "again"
    assert three.splitter.isVisible()


def test_cancelled_form_gives_the_runs_back(three, qtbot, form):
    qtbot.mouseClick(three.toolbar.new, LEFT)
    assert not three.splitter.isVisible()
    three.findChild(Form).cancelled.emit()
    assert three.splitter.isVisible()
    assert three.toolbar.isVisible()


def test_panel_comes_back_as_it_was_left(three, controller, qtbot):
    three.list.open_run(runs_folder() / "middle")
    tick(three, qtbot, "oldest")
    three.view.curves.bar.log.setChecked(True)
    three.view.tabs.setCurrentIndex(2)
    kept = json.loads(controller.settings.model_dump_json())["train_view"]
    assert kept["run"].endswith("middle")
    again = open_panel(controller, qtbot)
    assert opened(again) == "middle"
    assert [run.name for run in again.view.curves.runs] == ["middle", "oldest"]
    assert again.view.curves.bar.log.isChecked()
    assert again.view.tabs.currentWidget() is again.view.log


@pytest.mark.parametrize("kept", [{"axis": "sideways"}, {"fps": "many"}, {"run": 3}])
def test_damaged_settings_give_the_usual_view(controller, qtbot, kept):
    make_run(runs_folder(), "one", steps=20, samples=False)
    controller.settings.train_view = kept
    panel = open_panel(controller, qtbot)
    assert opened(panel) == "one"
    assert panel.view.tabs.currentIndex() == 0


def test_list_stands_beside_the_run_where_there_is_room(three, qtbot):
    assert three.splitter.orientation() == Qt.Orientation.Vertical
    three.resize(900, 640)
    assert three.splitter.orientation() == Qt.Orientation.Horizontal
    qtbot.waitUntil(lambda: 200 <= three.list.width() <= 340)


def test_every_state_looks_different(controller, qtbot):
    states = ("training", "paused", "stopped", "failed", "finished")
    for place, state in enumerate(states):
        make_run(runs_folder(), f"run-{state}", state, steps=200, age=1000.0 * place, samples=False)
    panel = open_panel(controller, qtbot, height=900)
    signs = []
    for state in states:
        panel.list.view.scrollTo(index_of(panel, f"run-{state}"))
        grab = pixels(panel.list.view.viewport())
        rect = row_rect(panel, f"run-{state}")
        signs.append(grab[rect.top() + 2 : rect.top() + 22, rect.right() - 110 : rect.right() - 6])
    assert all(not (a == b).all() for n, a in enumerate(signs) for b in signs[:n])


def test_the_feed_of_the_window_brings_runs_and_their_news(tmp_path, qtbot):
    """With the process that really watches, from the empty panel to the curves of a run."""
    folder = tmp_path / "models"
    folder.mkdir()
    controller = make_controller(folder, FormulaBridge())
    panel = open_panel(controller, qtbot)
    try:
        assert panel.empty.isVisible()
        make_run(runs_folder(), "real", "training", steps=200)
        controller.runs.refresh()
        qtbot.waitUntil(lambda: panel.view.curves.charts.get("loss") is not None, timeout=20_000)
        qtbot.waitUntil(lambda: panel.view.curves.extent() == (10, 200), timeout=20_000)
        assert opened(panel) == "real"
        panel.view.tabs.setCurrentWidget(panel.view.samples)
        qtbot.waitUntil(lambda: panel.view.samples.player.step.text() == "step 200 · 4 of 4")
    finally:
        controller.end_runs()


def test_workspace_and_menu_bring_the_panel_to_the_front(window, qtbot):
    window.controller._feed = StillFeed(window.controller.settings, window.controller)
    make_run(runs_folder(), "one", steps=100)
    actions = window.actions_table.actions
    actions["workspace_train"].trigger()
    panel = window.hosts["train"].panel
    qtbot.waitUntil(panel.isVisible)
    qtbot.waitUntil(lambda: panel.width() > window.width() / 2)
    assert not window.library_panel.isVisible()
    assert not window.history_panel.isVisible()
    assert window.canvas.isVisible()
    window.actions_table.refresh()
    assert actions["run_resume"].isEnabled()
    assert not actions["run_stop"].isEnabled()
    window.layout_keeper.reset()
    actions["run_delete"].trigger()
    assert panel.isVisible()
    assert panel.empty.isVisible()
    window.actions_table.refresh()
    assert not actions["run_resume"].isEnabled()
