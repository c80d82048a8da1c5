"""The log and the recipes of runs."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QTextDocument

from latentlab.core.paths import runs_folder
from latentlab.core.run_events import Event
from latentlab.core.runs import RunFolder
from latentlab.ui.widgets.run_comparison import best_row, compare, value_text
from latentlab.ui.widgets.run_facts import start_facts
from latentlab.ui.widgets.run_log import FILTERS, LogView
from latentlab.ui.widgets.run_marks import RunMarks
from latentlab.ui.widgets.run_recipe import RecipeView
from latentlab.ui.widgets.run_text import duration, figure, megabytes, parameters
from latentlab.ui.widgets.run_view_state import TrainView
from tests.ui.run_stage import StillFeed, make_run
from tests.ui.stage import FormulaBridge, make_controller

pytestmark = pytest.mark.gui


@pytest.fixture
def controller(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    found = make_controller(folder, FormulaBridge())
    found._feed = StillFeed(found.settings, found)
    return found


def runs_of(controller, *names: str):
    runs = {run.name: run for run in controller.runs.runs()}
    for name in names:
        controller.runs.watch(runs[name].path)
    return [runs[name] for name in names]


# Words.


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "–"), (48, "48 s"), (240, "4 min"), (4800, "80 min"), (19_260, "5 h 21 min"),
     (7200, "2 h"), (186_000, "2 d 4 h"), (float("nan"), "–")],
)  # fmt: skip
def test_durations(seconds, said):
    assert duration(seconds) == said


def test_figures_have_three_digits_and_a_unit():
    assert figure(0.38712) == "0.387"
    assert figure(-12_228.24) == "−12,228"
    assert figure(527.9, "img/s") == "528 img/s"
    assert figure(float("nan")) == "–"
    assert megabytes(1799.1) == "1.8 GB"
    assert parameters(3_839_252) == "3.84 M"
    assert parameters(10**400) == "–"


# Log.


@pytest.fixture
def log(controller, qtbot):
    make_run(runs_folder(), "bad", "failed", steps=260, resumed_at=150, message="The disk is full.")
    RunFolder(runs_folder() / "bad").console.write_text("OSError: [Errno 28]")
    view = LogView(controller)
    qtbot.addWidget(view)
    view.resize(420, 500)
    with qtbot.waitExposed(view):
        view.show()
    view.show_runs(runs_of(controller, "bad"))
    return view


def messages(view) -> list[str]:
    model = view.table.model()
    return [model.index(row, 3).data() for row in range(model.rowCount())]


def test_log_tells_everything_in_order(log):
    said = messages(log)
    assert said[0].startswith("Started: vae on cpu")
    assert any(text.startswith("Resumed at step 150") for text in said)
    assert said[-1] == "The disk is full."
    model = log.table.model()
    assert model.index(model.rowCount() - 1, 1).data() == "260"
    assert model.index(model.rowCount() - 1, 2).data() == "2"


def test_filters_leave_the_kinds_that_are_asked_for(log, qtbot):
    kinds = [title for title, _ in FILTERS]
    log.kinds.setCurrentIndex(kinds.index("Warnings and errors"))
    assert messages(log) == ["The disk is full."]
    log.kinds.setCurrentIndex(0)
    qtbot.keyClicks(log.search, "checkpoint")
    assert len(messages(log)) == 2
    assert all("Checkpoint" in text for text in messages(log))


def test_an_error_shows_its_details_and_the_console(log):
    log.table.selectRow(log.table.model().rowCount() - 1)
    said = log.details.toPlainText()
    assert "The disk is full." in said
    assert "Traceback: the details" in said
    assert "OSError: [Errno 28]" in said


def test_lines_of_anybody_are_shown_as_they_are(log, controller):
    with RunFolder(runs_folder() / "bad").events.open("a") as stream:
        said = {"message": "<img src='/etc/passwd'> & <b>bold</b>"}
        stream.write(Event("warning", 1e300, 2, 261, said).to_json() + "\n")
    controller.runs.look()
    log.show_runs(runs_of(controller, "bad"))
    row = log.table.model().rowCount() - 1
    cells = [log.table.model().index(row, column) for column in range(4)]
    assert cells[0].data() == "–"
    assert cells[3].data() == said["message"]
    tip = cells[3].data(Qt.ItemDataRole.ToolTipRole)
    shown = QTextDocument()
    shown.setHtml(tip)
    assert shown.toPlainText() == f"warning: {said['message']}"
    assert cells[3].data(Qt.ItemDataRole.AccessibleTextRole) == shown.toPlainText()


def test_log_is_copied_as_a_table(log):
    log.kinds.setCurrentIndex(1)
    log.copy_lines()
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0] == "Time\tStep\tStart\tMessage"
    assert lines[1].split("\t")[1:] == ["260", "2", "The disk is full."]


def test_new_lines_keep_the_chosen_one(log, controller):
    log.table.selectRow(1)
    with RunFolder(runs_folder() / "bad").events.open("a") as stream:
        stream.write(Event("warning", 9.0, 2, 261, {"message": "x"}).to_json() + "\n")
    controller.runs.look()
    log.show_runs(runs_of(controller, "bad"))
    assert messages(log)[-1] == "x"
    assert [index.row() for index in log.table.selectionModel().selectedRows()] == [1]


# Recipes.


def open_recipes(controller, qtbot, *names: str) -> RecipeView:
    view = RecipeView(controller, TrainView(), start_facts, RunMarks().of)
    qtbot.addWidget(view)
    view.resize(600, 500)
    with qtbot.waitExposed(view):
        view.show()
    view.show_runs(runs_of(controller, *names))
    return view


def rows(view) -> dict[str, list[str]]:
    found = {}
    for place in range(view.tree.topLevelItemCount()):
        group = view.tree.topLevelItem(place)
        for row in range(group.childCount()):
            item = group.child(row)
            texts = [item.text(column) for column in range(1, view.tree.columnCount())]
            found[f"{group.text(0)}: {item.text(0)}"] = texts
    return found


def test_one_recipe_is_shown_whole(controller, qtbot):
    make_run(runs_folder(), "one")
    found = rows(open_recipes(controller, qtbot, "one"))
    assert found["Model: latent_dim"] == ["16"]
    assert found["Data: source"] == ["portraits:count=2000,seed=1"]
    assert found["Training: learning_rate"] == ["0.001"]
    assert found["Figures: Parameters"] == ["3.84 M"]


def test_of_several_only_what_differs_and_the_best_is_marked(controller, qtbot):
    make_run(runs_folder(), "one", noise=0.0)
    make_run(runs_folder(), "two", noise=0.0, scale=0.5, latent_dim=32)
    view = open_recipes(controller, qtbot, "one", "two")
    found = rows(view)
    assert found["Model: latent_dim"] == ["16", "32"]
    assert "Training: batch_size" not in found
    assert found["Figures: Last loss"] == ["0.339", "0.169 ★"]
    assert found["Figures: Best held-out loss"][1].endswith("at step 400 ★")
    view.differences.setChecked(False)
    assert rows(view)["Training: batch_size"] == ["64", "64"]


def test_a_recipe_of_another_version_is_shown_as_written_with_the_reason(controller, qtbot):
    path = make_run(runs_folder(), "odd")
    text = RunFolder(path).recipe.read_text()
    RunFolder(path).recipe.write_text(text.replace("[train]", "[train]\nmagic = 3"))
    view = open_recipes(controller, qtbot, "odd")
    assert rows(view)["Training: magic"] == ["3"]
    assert "magic" in view.note.text()


def test_table_is_copied_with_tabs(controller, qtbot):
    make_run(runs_folder(), "one")
    make_run(runs_folder(), "two", latent_dim=32)
    view = open_recipes(controller, qtbot, "one", "two")
    view.copy_table()
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0] == "Setting\tone\ttwo"
    assert "Model: latent_dim\t16\t32" in lines


def test_comparison_knows_settings_that_only_one_run_has():
    found = compare([{"train": {"a": 1}}, {"train": {"a": 1, "b": True}}], [{}, {}], True)
    assert [group.rows for group in found] == [(("b", ("–", "yes")),)]
    assert value_text([0.9, 0.999]) == "0.9, 0.999"


@pytest.mark.parametrize(
    ("values", "best"),
    [(("0.5", "0.4 at step 3"), 1), (("0.5", "–"), None), (("0.5", "0.5"), None),
     (("−1", "0.2"), 0)],
)  # fmt: skip
def test_the_smallest_loss_is_the_best_one(values, best):
    assert best_row("Last loss", values) == best
    assert best_row("Steps", values) is None
