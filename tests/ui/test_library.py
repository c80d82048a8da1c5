"""The library: cards, search, disabled rows, files that come and go."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PySide6.QtCore import Qt

from latentlab.core.modelfile import StoredModel, read_header, write_model
from latentlab.ui.panels.library import ENTRY_ROLE, describe_entry
from tests.ui.stage import pixels, write_formula_model
from tests.ui.windows import differs

pytestmark = pytest.mark.gui


def ids(panel) -> list[str]:
    model = panel.view.model()
    found = [model.index(row, 0).data(ENTRY_ROLE) for row in range(model.rowCount())]
    return [entry.id for entry in found if not entry.bundled]


def index_of(panel, name: str):
    model = panel.view.model()
    rows = [model.index(row, 0) for row in range(model.rowCount())]
    return next(index for index in rows if index.data(ENTRY_ROLE).id == name)


def click(panel, name: str, qtbot) -> None:
    index = index_of(panel, name)
    panel.view.scrollTo(index)
    at = panel.view.visualRect(index).center()
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=at)


def test_cards_open_models_with_a_click(window, qtbot):
    panel = window.library_panel
    assert ids(panel) == ["ripples", "waves"]
    assert panel.view.currentIndex().data(ENTRY_ROLE).id == "waves"
    click(panel, "ripples", qtbot)
    assert window.controller.model.spec.id == "ripples"
    assert window.controller.document.canvas.model == "ripples"
    steps = len(window.controller.history.entries)
    click(panel, "ripples", qtbot)
    assert len(window.controller.history.entries) == steps


def test_search_by_name_and_family(window, qtbot):
    panel = window.library_panel
    qtbot.keyClicks(panel.search, "ripp")
    assert ids(panel) == ["ripples"]
    panel.search.setText("vae")
    assert set(ids(panel)) == {"ripples", "waves"}
    panel.search.setText("nothing like it")
    assert ids(panel) == []
    assert panel._empty.isVisible()
    assert "No model has this name" in panel._empty.text()


def test_a_broken_file_is_a_disabled_row_that_says_why(window, qtbot, tmp_path):
    (tmp_path / "models" / "broken.safetensors").write_bytes(b"\x80\x04pickle")
    panel = window.library_panel
    # The folder is watched: nobody has to ask.
    qtbot.waitUntil(lambda: "broken" in ids(panel))
    index = index_of(panel, "broken")
    assert not index.flags() & Qt.ItemFlag.ItemIsEnabled
    assert "not a whole safetensors file" in index.data(Qt.ItemDataRole.ToolTipRole)
    assert "not a whole safetensors file" in index.data(Qt.ItemDataRole.AccessibleTextRole)
    before = window.controller.document
    click(panel, "broken", qtbot)
    assert window.controller.document == before


def test_the_card_shows_the_picture_of_the_file(window, qtbot, tmp_path):
    path = write_formula_model(tmp_path / "models", "painted")
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 230
    header = read_header(path)
    spec = header.spec.model_copy(update={"quality": {"psnr_db": 23.456, "held_out_images": 5000}})
    header = header.model_copy(update={"spec": spec, "directions": ()})
    weights = {"bias": np.full(4, 7, np.float32)}
    write_model(path, StoredModel(header, weights, {}, red))
    panel = window.library_panel
    panel.refresh()
    index = index_of(panel, "painted")
    panel.view.scrollTo(index)
    card = pixels(panel.view.viewport())
    box = panel.view.visualRect(index)
    area = card[box.top() : box.bottom(), box.left() : box.right()].astype(int)
    reddish = (area[..., 0] > 200) & (area[..., 1] < 60) & (area[..., 2] < 60)
    assert reddish.sum() > 40 * 40
    assert "psnr db: 23.5\nheld out images: 5,000\n" in describe_entry(index.data(ENTRY_ROLE))


def test_files_that_go_leave_the_list(window, qtbot, tmp_path):
    shutil.move(tmp_path / "models" / "ripples.safetensors", tmp_path / "away")
    qtbot.waitUntil(lambda: ids(window.library_panel) == ["waves"])


def test_selected_card_is_highlighted(window, qtbot):
    panel = window.library_panel
    before = pixels(panel.view.viewport())
    click(panel, "ripples", qtbot)
    assert differs(before, pixels(panel.view.viewport())) > 1
