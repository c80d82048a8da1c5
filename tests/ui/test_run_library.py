"""Models of finished runs in the window's library: told by who watches, read beside the window."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from latentlab.core.paths import runs_folder
from latentlab.core.runs import RunFolder
from latentlab.services import library_runs
from latentlab.ui import controller_runs
from latentlab.ui.widgets import new_run_data
from tests.services.models import write_vae
from tests.ui.run_stage import StillFeed, make_run, set_state
from tests.ui.stage import FormulaBridge, make_controller

pytestmark = pytest.mark.gui


@pytest.fixture
def controller(tmp_path, qtbot):
    folder = tmp_path / "models"
    folder.mkdir()
    found = make_controller(folder, FormulaBridge())
    found.library.runs.roots = [runs_folder()]
    found._feed = StillFeed(found.settings, found)
    found._feed.runs_changed.connect(found.take_runs)
    return found


def listed(controller) -> list[str]:
    return [entry.id for entry in controller.library.entries() if entry.run is not None]


def test_finished_runs_come_and_go_without_the_window_reading(controller, qtbot, monkeypatch):
    threads = []
    really = controller_runs.read_run_models

    def read(runs):
        threads.append(threading.current_thread())
        return really(runs)

    monkeypatch.setattr(controller_runs, "read_run_models", read)
    one = make_run(runs_folder(), "one", "finished", steps=20)
    write_vae(RunFolder(one).model)
    make_run(runs_folder(), "two", "training", steps=20)
    controller.runs.runs()
    qtbot.waitUntil(lambda: controller.library.runs.told is not None)
    assert listed(controller) == ["one"]

    def refuse(*_):
        raise AssertionError("a folder of runs was looked into")

    monkeypatch.setattr(library_runs, "run_model_files", refuse)
    with qtbot.waitSignal(controller.library_changed):
        write_vae(RunFolder(runs_folder() / "two").model, bump=0.1)
        set_state(runs_folder() / "two", "finished", 20)
        controller.runs.look()
    assert listed(controller) == ["one", "two"]
    with qtbot.waitSignal(controller.library_changed):
        set_state(one, "training", 20)
        controller.runs.look()
    assert listed(controller) == ["two"]
    assert threading.main_thread() not in threads


def test_data_of_earlier_runs_are_offered_without_the_window_reading(
    controller, qtbot, monkeypatch
):
    make_run(runs_folder(), "one", steps=20)
    threads = []
    really = new_run_data.sources_of_runs

    def read(roots):
        threads.append(threading.current_thread())
        return really(roots)

    monkeypatch.setattr(new_run_data, "sources_of_runs", read)
    chooser = new_run_data.NewRunData(controller)
    qtbot.addWidget(chooser)
    chooser.show_source("portraits", None)
    qtbot.waitUntil(lambda: chooser.source_box.findData("portraits:count=2000,seed=1") >= 0)
    assert chooser.source == "portraits"
    assert threading.main_thread() not in threads


def test_the_first_paint_waits_for_nothing_of_training():
    code = (
        "import sys, latentlab.ui.main_window\n"
        "late = ('latentlab.ui.run_feed', 'latentlab.ui.panels.train', 'latentlab.core.recipe', "
        "'latentlab.ui.widgets.new_run', 'torch')\n"
        "print([name for name in late if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
