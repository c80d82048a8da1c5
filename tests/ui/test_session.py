"""Sessions: saved, opened, autosaved, restored after a crash."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QPushButton

from latentlab.core.autosave import autosave_folder, recoverable
from latentlab.core.latents import Latents
from latentlab.core.session import Session, load_session, save_session
from latentlab.ui.edits import FIRST_COUNT
from latentlab.ui.keeper import SessionKeeper
from tests.ui.stage import DEPTH, picture
from tests.ui.windows import drop_on, file_data, make_window

pytestmark = pytest.mark.gui


def own_autosaves() -> list[str]:
    folder = autosave_folder()
    return [p.name for p in folder.glob("*.latentlab")] if folder.is_dir() else []


def with_latents(controller):
    """Show stored latents, as an encoded photograph would."""
    rng = np.random.default_rng(1)
    stored = Latents("z", {"z": rng.normal(size=(1, DEPTH)).astype(np.float32)})
    one = picture(stored=controller.store.put_latents(stored))
    controller.show_picture(one, "Latents")
    return one


def test_what_was_saved_comes_back_whole(window, tmp_path, qapp, qtbot):
    controller = window.controller
    with_latents(controller)
    controller.set_edit("smiling", 1.5)
    controller.keep(0)
    images = controller.last_images.copy()
    path = tmp_path / "work.latentlab"
    assert controller.save_session(path)
    other = make_window(tmp_path / "models", qapp)
    other.show()
    assert drop_on(other, file_data(path))
    assert other.controller.document == controller.document
    assert other.controller.history.entries == controller.history.entries
    assert np.array_equal(other.controller.last_images, images)
    assert other.windowTitle().startswith("work")
    other.close()
    other.deleteLater()


def test_the_title_tells_of_unsaved_work(window, tmp_path, monkeypatch):
    controller = window.controller
    controller.reroll()
    assert not window.isWindowModified()
    controller.keep_picture(picture(1))
    assert window.isWindowModified()

    def answer(*_args):
        return str(tmp_path / "mine"), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    window.actions_table.actions["save"].trigger()
    assert (tmp_path / "mine.latentlab").is_file()
    assert not window.isWindowModified()
    controller.undo()
    assert window.isWindowModified()
    # Known by name now: nothing is asked.
    monkeypatch.setattr(QFileDialog, "getSaveFileName", None)
    window.actions_table.actions["save"].trigger()
    assert load_session(tmp_path / "mine.latentlab").history.document == controller.document


def test_opening_a_session_asks_before_work_is_lost(window, tmp_path):
    controller = window.controller
    path = tmp_path / "empty.latentlab"
    save_session(path, Session())
    controller.keep_picture(picture(1))
    before = controller.document
    controller.confirm_loss = lambda: False
    assert not controller.load_session(path)
    assert controller.document == before
    controller.confirm_loss = lambda: True
    assert controller.load_session(path)
    assert controller.document.tray == ()


def test_a_folder_that_cannot_be_written_is_one_sentence(window, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert not window.controller.save_session(blocked / "a.latentlab")
    assert "could not be written" in window.notice.sentence.text()


def test_unsaved_work_is_autosaved_off_the_window_thread(window, monkeypatch):
    keeper = window.keeper
    keeper.save()
    assert own_autosaves() == []
    window.controller.keep_picture(picture(7))
    writers = []
    write = keeper._file.write

    def note(session):
        writers.append(threading.current_thread())
        write(session)

    monkeypatch.setattr(keeper._file, "write", note)
    keeper.save()
    keeper._thread.join()
    assert writers != [threading.main_thread()]
    assert load_session(keeper._file.path).history.document == window.controller.document
    keeper.save()
    assert len(writers) == 1
    window.controller.undo()
    keeper.save()
    assert own_autosaves() == []


def test_autosave_runs_by_itself(window, qtbot):
    quick = SessionKeeper(window.controller, interval_ms=20, parent=window)
    window.controller.keep_picture(picture(7))
    qtbot.waitUntil(lambda: len(own_autosaves()) == 1)
    quick.close()
    assert own_autosaves() == []


def crash(path_out) -> None:
    """Let another process autosave and die."""
    code = (
        "import os\n"
        "from latentlab.core.autosave import AutosaveFile\n"
        "from latentlab.core.document import *\n"
        "from latentlab.core.session import Session\n"
        "h = History()\n"
        "p = Picture(model='waves', space='z', seeds=(11, 12), edits={'smiling': 2.0})\n"
        "h.push(Document(canvas=p), 'Work')\n"
        "AutosaveFile().write(Session(h))\n"
        "os._exit(9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False)
    assert done.returncode == 9


@pytest.mark.parametrize("button", ["&Restore", "Dis&card"])
def test_after_a_crash_the_work_is_offered(tmp_path, qapp, qtbot, button):
    crash(tmp_path)
    assert len(recoverable()) == 1
    folder = tmp_path / "models"
    folder.mkdir()
    window = make_window(folder, qapp)
    window.show()
    window.start("waves")
    qtbot.waitUntil(window.offer.isVisible)
    buttons = {b.text(): b for b in window.offer.findChildren(QPushButton)}
    qtbot.mouseClick(buttons[button], Qt.MouseButton.LeftButton)
    assert not window.offer.isVisible()
    canvas = window.controller.document.canvas
    if button == "&Restore":
        assert canvas.seeds == (11, 12)
        assert window.controller.dirty
        assert len(own_autosaves()) == 1
    else:
        assert canvas.seeds == tuple(range(FIRST_COUNT))
    assert recoverable() == []
    window.close()
    window.deleteLater()
    assert own_autosaves() == []
