"""What a box of data sources offers when it is opened."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import shiboken6
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox

from latentlab.ui.widgets.direction_pages.data_chooser import DataChooser, source_title
from tests.ui.directions_stage import LABELS, make_stage

pytestmark = pytest.mark.gui


def test_what_the_map_shows_by_now_is_offered_when_the_list_opens(tmp_path, qtbot, monkeypatch):
    controller, bridge, panel = make_stage(tmp_path, qtbot)
    boxes = panel.pages["labels"].findChildren(QComboBox)
    box = next(b for b in boxes if b.accessibleName() == "Labelled images")
    faces = str(tmp_path / "faces.zip")
    assert box.findData(faces) < 0
    mapped = SimpleNamespace(points=SimpleNamespace(source=faces))
    monkeypatch.setattr(controller, "map_model", mapped, raising=False)
    QTest.mouseClick(box, Qt.MouseButton.LeftButton)
    row = box.findData(faces)
    assert row >= 0
    view = box.view()
    view.setCurrentIndex(box.model().index(row, 0))
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert bridge.finish("label_names", LABELS) == {"source": faces}
    assert box.currentData() == faces


def test_a_chooser_that_is_gone_hears_of_no_other_model(tmp_path, qtbot):
    controller, _bridge, _panel = make_stage(tmp_path, qtbot)
    chooser = DataChooser(controller)
    shiboken6.delete(chooser)
    with qtbot.capture_exceptions() as raised:
        controller.model_changed.emit(controller.model)
    assert raised == []


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("portraits", "Portraits (drawn, labelled)"),
        ("portraits:count=10000,seed=1", "Portraits (10,000 drawn, seed 1)"),
        ("portraits:seed=3", "Portraits (drawn, seed 3)"),
        ("portraits:count=many", "Portraits (drawn)"),
        ("/home/me/My pictures", "My pictures"),
        ("prior", "Its own samples, read by the probe"),
    ],
)
def test_sources_are_called_by_words(source, title):
    assert source_title(source) == title
