"""The directions panel and the map over a real flow: what moves is the part that was chosen."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from latentlab.core.requests import JobResult
from latentlab.ui.map_pictures import Target, place_lines
from latentlab.ui.panels.directions import DirectionsPanel
from latentlab.ui.panels.manifold import ManifoldPanel
from tests.ui.directions_stage import LABELS, click
from tests.ui.map_stage import place
from tests.ui.switch_stage import make_switch

pytestmark = pytest.mark.gui
LOCAL = ("local_1", "local_2", "local_3")
FACES = "portraits:count=70,seed=4"


@pytest.fixture
def flow(tmp_path: Path, qtbot: Any) -> Any:
    stage = make_switch(tmp_path)
    stage.controller.set_sampling(seed=3, count=1)
    yield stage
    stage.bridge.context.lane.stop()


def shown(panel: Any, qtbot: Any, width: int = 460, height: int = 900) -> Any:
    qtbot.addWidget(panel)
    panel.resize(width, height)
    with qtbot.waitExposed(panel):
        panel.show()
    return panel


def canvas(stage: Any) -> dict[str, np.ndarray]:
    """The latents of the canvas, edits included, as float32."""
    controller = stage.controller
    picture = controller.document.canvas
    found = stage.bridge.context.renderer.latents(
        picture, controller.store.latents(picture), controller.own_directions(picture)
    )
    return dict(found)


def keep(stage: Any, *seeds: int) -> list[str]:
    """Keep samples; return their ids in the tray."""
    for seed in seeds:
        stage.controller.set_sampling(seed=seed, count=1)
        stage.controller.keep()
    return [item.id for item in stage.controller.document.tray[-len(seeds) :]]


# Directions.


def test_the_chooser_stands_there_for_models_of_several_parts(flow, qtbot) -> None:
    panel = shown(DirectionsPanel(flow.controller), qtbot)
    box = panel.parts.box
    assert panel.parts.isVisible()
    texts = [box.itemText(row) for row in range(box.count())]
    assert texts == [
        "All parts", "Global part", "Local parts", "Local part 1", "Local part 2", "Local part 3",
    ]  # fmt: skip
    assert box.itemData(1, Qt.ItemDataRole.ToolTipRole) == "global: 6 numbers"
    (label,) = panel.parts.findChildren(QLabel)
    assert label.buddy() is box
    assert box.accessibleName() == "Parts of the latent"
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Down)
    assert panel.parts.parts == ("global",)
    flow.controller.open_model("waves")
    assert not panel.parts.isVisible()
    assert panel.parts.parts == ()


def test_a_slider_found_in_local_parts_moves_only_these(flow, qtbot) -> None:
    panel = shown(DirectionsPanel(flow.controller), qtbot)
    keep(flow, 1, 2)
    first, second = (item.picture for item in flow.controller.document.tray)
    panel.parts.box.choose("local")
    panel.show_page("groups")
    page = panel.pages["groups"]
    page.positive.add([first])
    page.negative.add([second])
    click(qtbot, page.fit_button)
    qtbot.waitUntil(lambda: len(panel.results.cards) == 1)
    (job,) = [one for one in flow.bridge.asked if one.kind == "fit_group_direction"]
    assert job.arguments["parts"] == LOCAL
    flow.controller.add_directions([panel.results.cards[0].direction], "Add it")
    before = canvas(flow)
    flow.controller.set_edit("my direction", 2.0)
    after = canvas(flow)
    np.testing.assert_array_equal(after["global"], before["global"])
    for name in LOCAL:
        assert np.abs(after[name] - before[name]).max() > 0


def test_labels_are_asked_for_in_the_chosen_parts(flow, qtbot) -> None:
    panel = shown(DirectionsPanel(flow.controller), qtbot)
    page = panel.pages["labels"]
    flow.bridge.held = True
    page.data.choose(FACES)
    asked = flow.bridge.jobs.pop()
    flow.bridge.job_finished.emit(JobResult(asked.job, value=LABELS))
    page.labels.check(["smiling"])
    for choice, parts in (("local_2", ("local_2",)), ("all", None)):
        panel.parts.box.choose(choice)
        click(qtbot, page.fit_button)
        job = flow.bridge.asked[-1]
        assert (job.kind, job.arguments.get("parts")) == ("fit_label_directions", parts)
        page.jobs.stop()


def test_answers_by_hand_are_fitted_in_the_chosen_parts(flow, qtbot) -> None:
    panel = shown(DirectionsPanel(flow.controller), qtbot)
    panel.show_page("labelling")
    page = panel.pages["labelling"]
    for number in range(10):
        qtbot.waitUntil(lambda: page.model.current is not None)
        page.model.answer(number % 2)
    qtbot.waitUntil(lambda: page.live is not None)
    assert page.live.direction.vector.keys() == {"global", *LOCAL}
    panel.parts.box.choose("global")
    qtbot.waitUntil(lambda: page.live.direction.vector.keys() == {"global"})


def test_dimensions_are_those_of_the_chosen_parts(flow, qtbot) -> None:
    panel = shown(DirectionsPanel(flow.controller), qtbot)
    panel.show_page("components")
    section = panel.pages["components"].dimensions
    assert section.part_box.count() == 4
    panel.parts.box.choose("local_3")
    assert section.part_box.count() == 1
    assert section.box.maximum() == 191
    section.box.setValue(5)
    assert section.direction.name == "local_3[5]"
    assert section.direction.vector.keys() == {"local_3"}


def test_arithmetic_of_the_global_part_keeps_the_local_ones_of_c(flow, qtbot) -> None:
    panel = shown(DirectionsPanel(flow.controller), qtbot)
    ids = keep(flow, 1, 2, 3)
    panel.show_page("arithmetic")
    panel.parts.box.choose("global")
    page = panel.pages["arithmetic"]
    for title, item in zip("ABC", ids):
        page.wells[title].set_item(item)
    qtbot.waitUntil(lambda: page.result.picture is not None)
    drawn = flow.bridge.context.library.backend("tiny-flow").sample_prior("latent", [1, 2, 3])
    found = canvas(flow)
    a, b, c = drawn["global"].double().numpy()
    np.testing.assert_allclose(found["global"][0], a - b + c, atol=1e-6)
    for name in LOCAL:
        np.testing.assert_array_equal(found[name][0], drawn[name][2].numpy())
    # Other parts: at once, as another step of the history.
    steps = len(flow.controller.history.entries)
    panel.parts.box.choose("local_2")
    found = canvas(flow)
    np.testing.assert_array_equal(found["global"][0], c.astype(np.float32))
    assert np.abs(found["local_2"][0] - drawn["local_2"][2].numpy()).max() > 0
    assert len(flow.controller.history.entries) == steps + 1


# The map.


@pytest.fixture
def mapped(flow: Any, qtbot: Any) -> Any:
    panel = shown(ManifoldPanel(flow.controller), qtbot, 700, 760)
    panel.model.map_source(FACES, count=70)
    qtbot.waitUntil(lambda: panel.model.placed is not None)
    return SimpleNamespace(panel=panel, model=panel.model, **vars(flow))


def test_a_flow_is_laid_out_by_its_global_part(mapped) -> None:
    model = mapped.model
    assert model.parts == ("global",)
    assert mapped.panel.bar.source.text() == "70 portraits · Global part ▾"
    assert model.placed.held == LOCAL
    plane = model.plane
    rows = np.asarray(model.points.parts["global"], np.float64)
    at = model.placed.coordinates
    # What lies elsewhere counts for nothing.
    np.testing.assert_allclose(plane.coordinates(model.points.parts), at, atol=1e-3)
    noise = {n: np.zeros_like(model.points.parts[n]) for n in LOCAL}
    np.testing.assert_allclose(plane.coordinates({"global": rows, **noise}), at, atol=1e-3)


def test_an_empty_place_has_the_other_parts_at_the_middle(mapped) -> None:
    mapped.panel.pointer.put_on_canvas(Target(None, 0.5, -0.5))
    found = canvas(mapped)
    for name in LOCAL:
        assert not found[name].any()
    lines = place_lines(mapped.model.placed, Target(None, 0.5, -0.5))
    assert lines[-1] == "Local parts: at the middle"


def test_a_point_is_its_own_image_and_steering_keeps_its_local_parts(mapped, qtbot) -> None:
    panel, model = mapped.panel, mapped.model
    qtbot.mouseClick(panel.map, Qt.MouseButton.LeftButton, pos=place(panel, 7).toPoint())
    start = canvas(mapped)
    for name, array in start.items():
        np.testing.assert_array_equal(array, np.asarray(model.points.parts[name][7:8], np.float32))
    qtbot.waitUntil(lambda: panel.pointer.marker() is not None)
    x, y = (float(v) for v in model.placed.coordinates[7])
    panel.pointer.steer(x + 0.7, y - 0.3, True)
    moved = canvas(mapped)
    for name in LOCAL:
        np.testing.assert_array_equal(moved[name], start[name])
    np.testing.assert_allclose(model.plane.coordinates(moved)[0], (x + 0.7, y - 0.3), atol=1e-3)


def test_other_parts_are_chosen_under_points(mapped, qtbot) -> None:
    panel, model = mapped.panel, mapped.model
    model.select(np.array([3, 5]))
    panel.bar.open_source()
    box = panel.bar.popover.parts
    assert box.currentText() == "Global part"
    assert box.isVisible()
    qtbot.keyClick(box, Qt.Key.Key_Down)
    box.activated.emit(box.currentIndex())
    panel.bar.popover.hide()
    assert model.parts == LOCAL
    qtbot.waitUntil(lambda: model.placed.held == ("global",))
    assert model.choice.method == "pca"
    assert panel.bar.source.text() == "70 portraits · Local parts ▾"
    np.testing.assert_array_equal(model.selection, [3, 5])
    model.ask_neighbours(3, "latent")
    (job,) = [one for one in mapped.bridge.asked if one.kind == "map_neighbours"]
    assert job.arguments["parts"] == LOCAL
    model.choose_parts(())
    assert panel.bar.source.text() == "70 portraits ▾"
    assert model.placed.held == ()


def test_a_model_without_parts_has_no_such_chooser(flow, qtbot) -> None:
    panel = shown(ManifoldPanel(flow.controller), qtbot, 700, 760)
    flow.controller.open_model("waves")
    panel.bar.open_source()
    assert not panel.bar.popover.parts.isVisible()
    panel.bar.popover.hide()
