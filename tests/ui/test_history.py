"""The visible history: one row a step, pictures, and a click goes there."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester

from tests.ui.stage import pixels
from tests.ui.windows import differs

pytestmark = pytest.mark.gui


def labels(panel) -> list[str]:
    return [panel.model.index(row).data() for row in range(panel.model.rowCount())]


def click(panel, row: int, qtbot) -> None:
    index = panel.model.index(row)
    panel.view.scrollTo(index)
    at = panel.view.visualRect(index).center()
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=at)


def test_one_drag_is_one_row(window):
    panel = window.history_panel
    checker = QAbstractItemModelTester(
        panel.model, QAbstractItemModelTester.FailureReportingMode.Fatal
    )
    assert labels(panel) == ["Start"]
    for step in range(20):
        window.controller.set_edit("smiling", step / 10, "drag 1")
    window.controller.end_merge()
    window.controller.set_edit("smiling", 0.5, "drag 2")
    assert labels(panel) == ["Start", "Smiling +1.90", "Smiling +0.50"]
    window.controller.undo()
    window.controller.set_edit("mustache", 1.0)
    assert labels(panel) == ["Start", "Smiling +1.90", "Mustache +1.00"]
    checker.deleteLater()


def test_a_click_goes_to_the_step_and_later_ones_stay(window, qtbot):
    controller, panel = window.controller, window.history_panel
    first = controller.document
    controller.set_edit("smiling", 2.0)
    controller.reroll()
    last = controller.document
    click(panel, 0, qtbot)
    assert controller.document == first
    assert panel.view.currentIndex().row() == 0
    assert panel.model.rowCount() == 3
    said = panel.model.index(2).data(Qt.ItemDataRole.AccessibleTextRole)
    assert said.endswith("undone")
    click(panel, 2, qtbot)
    assert controller.document == last


def test_rows_have_the_pictures_of_their_steps(window, qtbot):
    controller, panel = window.controller, window.history_panel
    controller.show_row(3)
    controller.set_edit("zebra", 3.0)
    shots = []
    for row in range(3):
        pixmap = panel.model.index(row).data(Qt.ItemDataRole.DecorationRole)
        assert not pixmap.isNull()
        shots.append(pixmap.toImage())
    assert shots[0] != shots[1]
    assert shots[1] != shots[2]


def test_undone_steps_look_different(window):
    controller, panel = window.controller, window.history_panel
    controller.set_edit("smiling", 2.0)
    controller.set_edit("mustache", 2.0)
    before = pixels(panel.view.viewport())
    controller.undo()
    assert differs(before, pixels(panel.view.viewport())) > 0.2
    assert panel.model.index(2).data(Qt.ItemDataRole.ForegroundRole) is not None
    assert panel.model.index(1).data(Qt.ItemDataRole.ForegroundRole) is None


def test_a_loaded_history_replaces_all_rows(window, tmp_path):
    controller, panel = window.controller, window.history_panel
    controller.set_edit("smiling", 2.0)
    assert controller.save_session(tmp_path / "a.latentlab")
    for seed in range(5):
        controller.set_sampling(seed=seed + 100)
    assert panel.model.rowCount() == 7
    assert controller.load_session(tmp_path / "a.latentlab")
    assert labels(panel) == ["Start", "Smiling +2.00"]


def test_a_kept_image_is_the_picture_of_its_step(window):
    controller, panel = window.controller, window.history_panel
    controller.keep(3)
    kept = panel.model.index(1).data(Qt.ItemDataRole.DecorationRole).toImage()
    grid = panel.model.index(0).data(Qt.ItemDataRole.DecorationRole).toImage()
    assert labels(panel)[1] == "Keep seed 3"
    assert kept != grid
    controller.show_row(3)
    assert panel.model.index(2).data(Qt.ItemDataRole.DecorationRole).toImage() == kept
