"""The Switch panel with a model of layers: groups, single layers, and blends of groups."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from latentlab.core.document import Picture
from latentlab.core.modelfile import ModelHeader, StoredModel, write_model
from latentlab.core.recombine import PartRange
from latentlab.core.settings import Settings
from latentlab.services.library import ModelLibrary
from latentlab.ui.controller import Controller
from latentlab.ui.panels.switch import SwitchPanel
from tests.services.switch_models import Layers, library
from tests.ui.switch_stage import FlowBridge

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def panel(tmp_path, qapp, qtbot):
    model = Layers()
    # Its file is read for what it says of itself alone.
    header = ModelHeader(config={}, spec=model.spec.model_copy(update={"family": "vae"}))
    weights = {"bias": np.zeros(4, np.float32)}
    write_model(tmp_path / "layers.safetensors", StoredModel(header, weights, {}))
    models = library(model)
    models.backend = lambda _name: model
    bridge = FlowBridge(models)
    controller = Controller(bridge, Settings(), ModelLibrary([tmp_path]))
    bridge.setParent(controller)
    controller.open_model("layers")
    found = SwitchPanel(controller)
    found.resize(720, 520)
    found.show()
    qtbot.waitUntil(found.isActiveWindow)
    pictures = [Picture(model="layers", space="w_plus", seeds=(seed,)) for seed in (1, 2)]
    found.model.add(pictures)
    qtbot.waitUntil(lambda: not found.model._calm.isActive() and not found.model.busy)
    yield found
    found.close()
    found.deleteLater()
    controller.deleteLater()


def by_row(panel) -> list[int]:
    return sorted(unit.first for unit in panel.model.rows)


def rows_of(panel, cell) -> list[int]:
    """Which source each layer of a cell is of."""
    ends = [panel.model.latents((k, k))["w_plus"][0] for k in (0, 1)]
    layers = panel.model.latents(cell)["w_plus"][0]
    return [next(k for k in (0, 1) if np.array_equal(ends[k][i], one)) for i, one in
            enumerate(layers)]  # fmt: skip


def test_coarse_layers_come_from_the_row_first(panel):
    assert panel.model.texts == ("Coarse", "Middle, fine")
    assert rows_of(panel, (0, 1)) == [0, 0, 1, 1, 1, 1]
    assert [chip.text() for chip in panel.roles.chips] == ["Coarse", "Middle", "Fine"]
    # Nothing of it is a map, and nothing is encoded exactly.
    assert not panel.page.maps.isVisible()
    assert not panel.page.check.isVisible()


def test_groups_and_single_layers_are_turned(panel):
    QTest.mouseClick(panel.roles.chips[2], LEFT)
    assert by_row(panel) == [0, 1, 4, 5]
    (strip,) = panel.roles.strips
    at = [strip.field_rect(layer).center().toPoint() for layer in range(6)]
    QTest.mouseClick(strip, LEFT, pos=at[4])
    assert by_row(panel) == [0, 1, 5]
    assert panel.roles.chips[2].partly
    assert panel.model.texts[0] == "Coarse, layer 5"
    QTest.mousePress(strip, LEFT, pos=at[2])
    QTest.mouseMove(strip, at[3])
    QTest.mouseRelease(strip, LEFT, pos=at[3])
    assert by_row(panel) == [0, 1, 2, 3, 5]
    # Nothing would be left to the column: all others go there.
    QTest.mouseClick(strip, LEFT, pos=at[4])
    assert by_row(panel) == [4]


def test_a_layer_is_turned_by_keys(panel):
    (strip,) = panel.roles.strips
    strip.setFocus()
    QTest.keyClick(strip, Qt.Key.Key_End)
    QTest.keyClick(strip, Qt.Key.Key_Space)
    assert by_row(panel) == [0, 1, 5]
    assert strip.accessibleDescription() == "Layer 5 comes from the row"
    QTest.keyClick(strip, Qt.Key.Key_Left)
    assert strip.accessibleDescription() == "Layer 4 comes from the column"


def test_the_last_layer_of_a_side_changes_places_with_the_others(panel):
    panel.model.turn({PartRange("w_plus", k, k) for k in (0, 1)}, False)
    assert by_row(panel) == [2, 3, 4, 5]


def test_groups_are_blended(panel, qtbot):
    panel.model.blend_asked.emit(0, 1)
    page = panel.blend_page
    titles = [label.text() for label in page.sliders._labels]
    assert titles == ["All", "Coarse", "Middle", "Fine"]
    slider = page.sliders.sliders[2]
    QTest.mouseClick(slider, LEFT, pos=QPoint(round(slider.x_of(0.5)), slider.height() // 2))
    assert panel.model.switch.amounts == {"w_plus:2-3": 0.5}
    ends = [panel.model.latents((k, k))["w_plus"][0] for k in (0, 1)]
    picture = panel.blend.picture()
    mixed = panel.model.controller.store.latents(picture)["w_plus"][0]
    assert np.allclose(mixed[2:4], (ends[0][2:4] + ends[1][2:4]) / 2, atol=1e-6)
    assert np.array_equal(mixed[[0, 1, 4, 5]], ends[0][[0, 1, 4, 5]])
    qtbot.waitUntil(lambda: not panel.blend._calm.isActive())
