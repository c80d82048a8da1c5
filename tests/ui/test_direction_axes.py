"""Principal components and single dimensions: lists, strips, sliders."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtCore import QObject, Qt, Signal

from latentlab.core.direction import Direction
from latentlab.core.points import PointSet
from latentlab.core.spec import LatentSpace, PartSpec
from latentlab.services.directions_axes import dimension_directions
from latentlab.ui.widgets.direction_pages.dimensions import dimension_direction, part_deviations
from latentlab.ui.widgets.direction_pages.direction_strip import AMOUNTS
from tests.flow_models import write_tiny
from tests.ui.directions_stage import base_latents, click, make_stage, mark, moved_images
from tests.ui.stage import DEPTH

pytestmark = pytest.mark.gui
SPREAD = np.array([0.5, 3.0, 1.0, 0.1, 2.0, 0.7, 0.9, 0.2])


@pytest.fixture
def stage(tmp_path, qtbot):
    controller, bridge, panel = make_stage(tmp_path, qtbot)
    panel.show_page("components", focus=True)
    return controller, bridge, panel.pages["components"]


def component(number: int, share: float, fingerprint: str) -> Direction:
    vector = np.zeros(DEPTH)
    vector[number] = 1
    return Direction(
        f"PC {number + 1}",
        "z",
        {"z": vector},
        2.0,
        "principal component",
        fingerprint,
        "principal components",
        {"share": share, "count": 600},
    )


class Map(QObject):
    points_changed = Signal()
    group_chosen = Signal(str, str, object)

    def __init__(self, controller, path) -> None:
        super().__init__()
        rows = np.random.default_rng(0).normal(size=(500, DEPTH)) * SPREAD
        parts = {"z": rows.astype(np.float16)}
        self.points = PointSet(
            "waves", mark(controller), "z", "faces.zip", np.arange(500), parts, "train"
        )
        self.path = path


def with_map(controller, page, tmp_path):
    controller.map_model = Map(controller, tmp_path / "map.safetensors")
    page.hide()
    page.show()
    return str(controller.map_model.path)


def strip_of(strip) -> np.ndarray:
    return np.stack([strip.image(place) for place in range(7)])


# Components.


def test_components_of_prior_samples(stage, qtbot):
    controller, bridge, page = stage
    page.count_box.setValue(3)
    click(qtbot, page.find_button)
    asked = bridge.finish("map_points", SimpleNamespace(path="prior.safetensors"))
    assert asked == {"model": "waves", "source": "prior", "count": 2000}
    found = [component(n, s, mark(controller)) for n, s in enumerate((0.5, 0.2, 0.1))]
    asked = bridge.finish("principal_component_directions", tuple(found))
    assert asked == {"model": "waves", "path": "prior.safetensors", "count": 3}
    rows = [page.list.topLevelItem(row) for row in range(3)]
    assert [row.text(0) for row in rows] == ["PC 1", "PC 2", "PC 3"]
    assert [row.text(1) for row in rows] == ["50.0 %", "20.0 %", "10.0 %"]
    qtbot.waitUntil(lambda: page.strip.image(0) is not None)
    expected = moved_images(base_latents(controller, bridge), found[0], AMOUNTS)
    assert np.array_equal(strip_of(page.strip), expected)


def test_components_of_the_map_and_the_checked_ones_become_sliders(stage, qtbot, tmp_path):
    controller, bridge, page = stage
    path = with_map(controller, page, tmp_path)
    assert "500 points" in page.source_box.currentText()
    click(qtbot, page.find_button)
    found = tuple(component(n, 0.4 / (n + 1), mark(controller)) for n in range(4))
    assert bridge.finish("principal_component_directions", found)["path"] == path
    assert not page.add_button.isEnabled()
    page.list.setFocus()
    qtbot.keyClick(page.list, Qt.Key.Key_Space)
    qtbot.keyClick(page.list, Qt.Key.Key_Down)
    qtbot.keyClick(page.list, Qt.Key.Key_Down)
    qtbot.keyClick(page.list, Qt.Key.Key_Space)
    assert page.add_button.text() == "&Add 2 components"
    expected = moved_images(base_latents(controller, bridge), found[2], AMOUNTS)
    qtbot.waitUntil(
        lambda: page.strip.image(0) is not None and np.array_equal(page.strip.image(6), expected[6])
    )
    steps = len(controller.history.entries)
    click(qtbot, page.add_button)
    assert len(controller.history.entries) == steps + 1
    assert [r.name for r in controller.document.directions] == ["PC 1", "PC 3"]
    assert page.checked == []


def test_an_even_spread_is_said(stage, tmp_path, monkeypatch):
    controller, _, page = stage
    space = LatentSpace(name="z", parts=(PartSpec(name="z", shape=(200,)),))
    monkeypatch.setattr(type(page), "space", property(lambda _self: space))
    page._take(tuple(component(n, 0.008, mark(controller)) for n in range(3)))
    assert "nearly alike" in page._teach.text()
    assert page._teach.isVisible()
    page._take(tuple(component(n, 0.1, mark(controller)) for n in range(3)))
    assert not page._teach.isVisible()


def test_few_points_of_noise_vary_evenly_but_for_chance(stage, monkeypatch):
    controller, _, page = stage
    space = LatentSpace(name="noise", parts=(PartSpec(name="noise", shape=(3, 32, 32)),))
    monkeypatch.setattr(type(page), "space", property(lambda _self: space))
    # 600 samples of N(0, 1) in 3,072 dimensions: measured, as the worker would.
    points = np.random.default_rng(0).normal(size=(600, 3072)).astype(np.float32)
    values = np.linalg.eigvalsh(points @ points.T)
    for share, even in ((float(values[-1] / values.sum()), True), (0.02, False)):
        known = component(0, share, mark(controller))
        provenance = {**known.provenance, "count": 600}
        page._take((replace(known, provenance=provenance),))
        assert page._teach.isVisible() == even


# Dimensions.


@pytest.mark.parametrize("index", [0, 3, 5])
def test_a_dimension_is_what_the_job_makes(index):
    parts = (PartSpec(name="a", shape=(2, 3)), PartSpec(name="b", shape=(4,)))
    space = LatentSpace(name="w", parts=parts)
    spec = SimpleNamespace(space=lambda _name=None: space, fingerprint="f" * 64)
    library = SimpleNamespace(backend=lambda _model: SimpleNamespace(spec=spec))
    job = dimension_directions(
        SimpleNamespace(library=library), model="m", part="a", indices=(index,)
    )
    try:
        while True:
            next(job)
    except StopIteration as stop:
        (made,) = stop.value
    mine = dimension_direction(space, "a", index, 1.0, "f" * 64)
    assert (mine.name, mine.scale, mine.space) == (made.name, made.scale, made.space)
    assert mine.vector.keys() == made.vector.keys() == {"a"}
    assert np.array_equal(mine.vector["a"], made.vector["a"])


def test_the_strip_walks_through_the_dimensions(stage, qtbot):
    controller, bridge, page = stage
    section = page.dimensions
    section.slider.setFocus()
    for _ in range(3):
        qtbot.keyClick(section.slider, Qt.Key.Key_Right)
    assert section.box.value() == 3
    assert section.figure.text() == "1 σ = 1 latent unit"
    expected = base_latents(controller, bridge).repeat(7, axis=0)
    expected[:, 3] += np.array(AMOUNTS, np.float32)
    from tests.ui.stage import decode

    want = decode(expected)
    qtbot.waitUntil(
        lambda: section.strip.image(0) is not None and np.array_equal(strip_of(section.strip), want)
    )
    section.box.setValue(6)
    assert section.slider.value() == 6
    assert not section.active_box.isEnabled()


def test_the_most_active_dimension_comes_first(stage, tmp_path):
    controller, _, page = stage
    with_map(controller, page, tmp_path)
    section = page.dimensions
    section.active_box.click()
    section.slider.setValue(0)
    order = []
    for place in range(DEPTH):
        section.slider.setValue(place)
        order.append(section.box.value())
    assert order == np.argsort(-SPREAD).tolist()
    rows = controller.map_model.points.parts["z"].astype(np.float64)
    section.slider.setValue(0)
    assert section.direction.scale == pytest.approx(rows[:, 1].std(), rel=1e-9)
    section.box.setValue(2)
    assert section.slider.value() == order.index(2)


def test_the_map_may_tell_of_the_next_model_before_its_parts_are_offered(stage, tmp_path):
    controller, _, page = stage
    with_map(controller, page, tmp_path)
    controller.model_changed.disconnect()
    write_tiny(tmp_path / "tiny-flow.safetensors")
    controller.open_file(tmp_path / "tiny-flow.safetensors")
    assert controller.model.spec.family == "flow"
    controller.map_model.points = None
    controller.map_model.points_changed.emit()
    page.follow_model()
    assert page.dimensions.part in {part.name for part in controller.model.spec.space().parts}


def test_a_dimension_becomes_a_slider(stage, tmp_path, qtbot):
    controller, bridge, page = stage
    path = with_map(controller, page, tmp_path)
    page.dimensions.box.setValue(5)
    shown = page.dimensions.direction
    click(qtbot, page.dimensions.add_button)
    asked = bridge.finish("dimension_directions", (shown,))
    assert asked == {"model": "waves", "part": "z", "indices": (5,), "path": path}
    assert [r.name for r in controller.document.directions] == ["z[5]"]
    assert controller.history.entries[-1].label == "Add z[5]"


def test_deviations_of_wide_parts_are_read_from_fewer_points():
    rows = np.random.default_rng(0).normal(size=(400, 20, 30)).astype(np.float16)
    points = PointSet("m", "f", "z", "x", np.arange(400), {"z": rows})
    found = part_deviations(points, "z")
    assert np.allclose(found, rows.reshape(400, -1).astype(np.float64).std(axis=0))
