"""A model's own samples, read by the probe: as labelled images, and as colours of a map."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QCheckBox, QComboBox, QPushButton

from latentlab.core.spec import Provenance
from latentlab.ui.widgets.map_source_popover import SourcePopover
from tests.ui.directions_stage import LABELS, click, make_stage
from tests.ui.stage import write_formula_model

pytestmark = pytest.mark.gui

PORTRAITS = Provenance(data={"name": "portraits"})


def open_portraits(controller, folder, **spec) -> None:
    """Open a model of portraits that makes them in one step, or in many."""
    write_formula_model(folder, "faces", size=12, provenance=PORTRAITS, **spec)
    controller.open_model("faces")


def box_of(panel, name: str) -> QComboBox:
    boxes = panel.pages["labels"].findChildren(QComboBox)
    return next(box for box in boxes if box.accessibleName() == name)


def test_samples_of_a_portraits_model_are_labelled_images(tmp_path, qtbot):
    controller, bridge, panel = make_stage(tmp_path, qtbot)
    box = box_of(panel, "Labelled images")
    assert box.findData("prior") < 0
    open_portraits(controller, tmp_path)
    row = box.findData("prior")
    assert box.itemText(row) == "Its own samples, read by the probe"
    page = panel.pages["labels"]
    box.setCurrentIndex(row)
    box.activated.emit(row)
    assert bridge.finish("label_names", LABELS) == {"source": "prior"}
    assert page.count_box.value() == 1000
    assert "decoded and read" in page.count_box.toolTip()
    page.labels.check(["smiling"])
    click(qtbot, page.fit_button)
    asked = bridge.of_kind("fit_label_directions")[-1].arguments
    assert (asked["source"], asked["count"], asked["labels"]) == ("prior", 1000, ("smiling",))


def test_the_number_of_images_follows_the_data_until_a_person_chooses(tmp_path, qtbot):
    controller, _bridge, panel = make_stage(tmp_path, qtbot)
    open_portraits(controller, tmp_path)
    page = panel.pages["labels"]
    page.data.choose("portraits")
    assert page.count_box.value() == 5000
    page.data.choose("prior")
    assert page.count_box.value() == 1000
    page.count_box.setValue(300)
    page.data.choose("portraits")
    assert page.count_box.value() == 300


def test_a_map_of_samples_can_be_read_by_the_probe(qtbot):
    popover = SourcePopover()
    qtbot.addWidget(popover)
    popover.show()
    read = popover.findChild(QCheckBox)
    assert not read.isVisible()
    popover.set_readable(True)
    assert read.isVisible()
    chosen = []
    popover.chosen.connect(chosen.append)
    go = next(b for b in popover.findChildren(QPushButton) if b.text() == "&Map")
    click(qtbot, go)
    popover.show()
    read.click()
    click(qtbot, go)
    assert [(c.source, c.reader) for c in chosen] == [("prior", None), ("prior", "probe")]
    popover.show()
    popover.kind.setCurrentIndex(1)
    assert not read.isVisible()
    assert popover.choice().reader is None
    popover.close()
