"""The map: look, place, keep, steer, select; real mouse events on a shown panel."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest

from latentlab.core.requests import Failure
from latentlab.ui.map_layouts import DIRECTIONS, TSNE, LayoutChoice
from tests.ui.map_stage import LEFT, MapStage, click, drag, empty_place, hover, place
from tests.ui.stage import decode, pixels

pytestmark = pytest.mark.gui


@pytest.fixture
def stage(tmp_path, qtbot, monkeypatch):
    stage = MapStage(tmp_path, monkeypatch)
    stage.controller.open_model("waves")
    return stage


@pytest.fixture
def panel(stage, qtbot):
    panel = stage.panel(qtbot)
    stage.open_points(panel, stage.points())
    return panel


def canvas_latents(stage) -> np.ndarray:
    return stage.controller.store.latents(stage.controller.document.canvas)["z"]


def test_a_click_on_a_point_puts_its_latents_on_the_canvas(panel, stage):
    entries = len(stage.controller.history.entries)
    click(panel, place(panel, 40))
    np.testing.assert_array_equal(canvas_latents(stage)[0], panel.model.points.parts["z"][40])
    assert len(stage.controller.history.entries) == entries + 1
    assert stage.controller.history.entries[-1].label == "Point 40 of the map"
    x, y = panel.pointer.marker()
    np.testing.assert_allclose((x, y), panel.model.placed.coordinates[40], atol=1e-5)


def test_a_click_on_a_prior_sample_shows_its_seed(panel, stage):
    stage.open_points(panel, stage.points(prior=True), "prior")
    click(panel, place(panel, 7))
    assert stage.controller.document.canvas.seeds == (1007,)


def test_a_click_beside_the_points_places_the_planes_latent(panel, stage):
    at = empty_place(panel)
    click(panel, at)
    expected = panel.model.plane.latents([panel.map.to_data(at)])["z"]
    np.testing.assert_allclose(canvas_latents(stage), expected, atol=1e-6)
    assert stage.controller.history.entries[-1].label == "Place on the map"


def test_hover_decodes_the_point_beside_the_cursor(panel, stage, qtbot):
    at = place(panel, 25)
    hover(panel, qtbot, at)
    assert panel.card.isVisible()
    np.testing.assert_array_equal(panel.card.image, decode(panel.model.points.parts["z"][25:26])[0])
    assert panel.card.lines[:2] == ["faces.zip, row 1025", "Kind: square"]
    assert not panel.card.geometry().contains(at.toPoint())
    assert panel.map.rect().contains(panel.card.geometry())


def test_hover_over_the_plane_decodes_it_and_over_tsne_says_nothing(panel, stage, qtbot):
    at = empty_place(panel)
    hover(panel, qtbot, at)
    latents = panel.model.plane.latents([panel.map.to_data(at)])["z"]
    np.testing.assert_array_equal(panel.card.image, decode(latents)[0])
    coordinates = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    ready = stage.points(coordinates={TSNE: coordinates})
    stage.open_points(panel, ready, "tsne")
    panel.model.choose_layout(LayoutChoice(TSNE))
    np.testing.assert_array_equal(panel.model.placed.coordinates, coordinates)
    asked = len(stage.bridge.asked("map"))
    hover(panel, qtbot, empty_place(panel))
    assert not panel.card.isVisible()
    assert len(stage.bridge.asked("map")) == asked
    hover(panel, qtbot, place(panel, 3))
    np.testing.assert_array_equal(panel.card.image, decode(ready.parts["z"][3:4])[0])


def test_the_card_is_never_under_the_cursor_and_never_cut(panel, stage, qtbot):
    box = panel.map.plot_rect()
    for x in np.linspace(box.left() + 2, box.right() - 2, 7):
        for y in np.linspace(box.top() + 2, box.bottom() - 2, 7):
            at = QPointF(x, y)
            hover(panel, qtbot, at)
            assert panel.card.isVisible()
            assert not panel.card.geometry().contains(at.toPoint())
            assert panel.map.rect().contains(panel.card.geometry())


def test_a_failed_decode_stands_where_the_image_would_be(panel, stage, qtbot):
    stage.bridge.failure = Failure("No memory is left: close other programs.")
    hover(panel, qtbot, place(panel, 25))
    assert panel.card.image is None
    assert "No memory" in panel.card.failure


def test_a_double_click_keeps_the_point(panel, stage):
    at = place(panel, 12).toPoint()
    QTest.mouseDClick(panel.map, LEFT, pos=at)
    (item,) = stage.controller.document.tray
    kept = stage.controller.store.latents(item.picture)["z"]
    np.testing.assert_array_equal(kept[0], panel.model.points.parts["z"][12])
    assert item.picture.name == "row 1012"


def test_k_keeps_what_is_under_the_cursor(panel, stage, qtbot):
    panel.map.setFocus()
    hover(panel, qtbot, place(panel, 31))
    QTest.keyClick(panel.map, Qt.Key.Key_K)
    (item,) = stage.controller.document.tray
    kept = stage.controller.store.latents(item.picture)["z"]
    np.testing.assert_array_equal(kept[0], panel.model.points.parts["z"][31])


def steer_start(stage, panel, edits: dict[str, float]) -> np.ndarray:
    """Show one seed with edits; return its latents as decoded."""
    stage.controller.set_sampling(seed=3, count=1)
    for name, amount in edits.items():
        stage.controller.set_edit(name, amount)
    return stage.bridge.latents_of(stage.controller.document.canvas)[0]


def test_steering_keeps_what_lies_outside_the_plane_and_is_one_step(panel, stage, qtbot):
    before = steer_start(stage, panel, {"smiling": 1.0})
    entries = len(stage.controller.history.entries)
    qtbot.mouseClick(panel.tools.tools["steer"], LEFT)
    centre = panel.map.plot_rect().center()
    path = [centre + QPointF(step, -step) for step in range(0, 60, 10)]
    drag(panel, path)
    assert len(stage.controller.history.entries) == entries + 1
    assert stage.controller.history.entries[-1].label == "Steer on the map"
    canvas = stage.controller.document.canvas
    assert canvas.edits == {"smiling": 1.0}
    now = stage.bridge.latents(stage.bridge.asked("canvas")[-1])["z"][0].astype(np.float64)
    plane = panel.model.plane
    axes = np.stack([plane.x_axis["z"], plane.y_axis["z"]])
    np.testing.assert_allclose(
        axes @ (now - plane.origin["z"]), panel.map.to_data(QPointF(path[-1].toPoint())), atol=1e-4
    )
    outside = np.eye(8) - axes.T @ axes
    np.testing.assert_allclose(outside @ now, outside @ before.astype(np.float64), atol=1e-5)
    np.testing.assert_allclose(panel.pointer.marker(), axes @ (now - plane.origin["z"]), atol=1e-4)
    stage.controller.undo()
    assert stage.controller.document.canvas.seeds == (3,)


def test_every_move_of_the_hand_asks_for_the_canvas(panel, stage):
    steer_start(stage, panel, {})
    panel.tools.choose("steer")
    asked = len(stage.bridge.asked("canvas"))
    centre = panel.map.plot_rect().center()
    drag(panel, [centre + QPointF(10 * step, 0) for step in range(6)])
    assert len(stage.bridge.asked("canvas")) - asked >= 5


def test_steering_a_grid_moves_the_selected_image(panel, stage):
    stage.controller.set_sampling(seed=0, count=6)
    stage.controller.select(4)
    before = stage.bridge.latents_of(stage.controller.document.canvas)[4]
    panel.tools.choose("steer")
    centre = panel.map.plot_rect().center()
    drag(panel, [centre, centre + QPointF(20, 20)])
    plane = panel.model.plane
    axes = np.stack([plane.x_axis["z"], plane.y_axis["z"]])
    outside = np.eye(8) - axes.T @ axes
    np.testing.assert_allclose(outside @ canvas_latents(stage)[0], outside @ before, atol=1e-5)


def lasso(panel) -> np.ndarray:
    """Draw around the left half; return the points inside."""
    panel.tools.choose("lasso")
    box = panel.map.plot_rect()
    corners = [
        QPointF(box.left() + 2, box.top() + 2),
        QPointF(box.center().x(), box.top() + 2),
        QPointF(box.center().x(), box.bottom() - 2),
        QPointF(box.left() + 2, box.bottom() - 2),
    ]
    drag(panel, corners)
    middle = panel.map.to_data(QPointF(corners[1].toPoint()))[0]
    return np.flatnonzero(panel.model.placed.coordinates[:, 0] < middle)


def test_a_lasso_fills_the_strip_which_keeps_at_most_fifty(panel, stage, qtbot):
    inside = lasso(panel)
    assert len(inside) > 60
    np.testing.assert_array_equal(panel.model.selection, inside)
    assert panel.strip.isVisible()
    assert panel.strip.title.text() == f"{len(inside)} selected"
    path, points = stage.controller.map_selection
    assert path == "map.safetensors"
    np.testing.assert_array_equal(points, inside)
    entries = len(stage.controller.history.entries)
    with qtbot.waitSignal(stage.controller.message) as said:
        qtbot.mouseClick(panel.strip.buttons["keep"], LEFT)
    assert "first 50 of" in said.args[0]
    assert len(stage.controller.document.tray) == 50
    assert len(stage.controller.history.entries) == entries + 1
    first = stage.controller.store.latents(stage.controller.document.tray[0].picture)["z"]
    np.testing.assert_array_equal(first[0], panel.model.points.parts["z"][inside[0]])


def test_the_strip_shows_thumbnails_of_the_points_in_sight_only(panel, stage, qtbot):
    panel.model.select(np.arange(250))
    qtbot.wait(30)
    pixels(panel.strip)
    asked = [r for r in stage.bridge.requests if r.channel.startswith("thumb:")]
    assert 0 < len(asked) < 40
    assert panel.strip.title.text() == "250 selected, the first 200"
    assert panel.strip.model.rowCount() == 200
    index = panel.strip.model.index(2)
    from latentlab.ui.widgets.thumbnail import IMAGE_ROLE

    np.testing.assert_array_equal(
        index.data(IMAGE_ROLE), decode(panel.model.points.parts["z"][2:3])[0]
    )
    assert index.data() == "row 1002"


def test_isolating_shows_only_the_selection_until_all_are_shown(panel, stage, qtbot):
    inside = lasso(panel)
    qtbot.mouseClick(panel.strip.buttons["isolate"], LEFT)
    assert panel.map.shown_count == len(inside)
    assert "all" in panel.strip.buttons["isolate"].toolTip()
    qtbot.mouseClick(panel.strip.buttons["isolate"], LEFT)
    assert panel.map.shown_count == 300


def test_a_group_is_handed_on(panel, stage, qtbot):
    inside = lasso(panel)
    with qtbot.waitSignal(stage.controller.map_model.group_chosen) as chosen:
        qtbot.mouseClick(panel.strip.buttons["positive"], LEFT)
    side, path, points = chosen.args
    assert (side, path) == ("positive", "map.safetensors")
    np.testing.assert_array_equal(points, inside)


def test_names_are_written_as_a_table(panel, tmp_path):
    out = tmp_path / "names.csv"
    panel.files.write_names(out, np.array([4, 5]))
    lines = out.read_text().splitlines()
    assert lines[0] == "point,row,name,source,split,x,y,kind,shade"
    x, y = panel.model.placed.coordinates[4]
    assert lines[1].startswith(f"4,1004,4.png,faces.zip,,{x:.6g},{y:.6g},square,")


def test_neighbours_stand_in_the_strip_in_order_with_distances(panel, stage, qtbot):
    from types import SimpleNamespace

    menu = panel.menu_for(9)
    texts = [action.text().replace("&", "") for action in menu.actions()]
    assert any(text.startswith("To canvas") for text in texts)
    action = next(a for a in menu.actions() if "pixels" in a.text())
    action.trigger()
    arguments = stage.bridge.finish(
        "map_neighbours",
        SimpleNamespace(
            points=np.array([9, 70, 3]), distances=np.array([0, 1.5, 2]), metric="pixel"
        ),
    )
    assert (arguments["point"], arguments["metric"]) == (9, "pixel")
    model = panel.strip.model
    assert [model.index(row).data() for row in range(model.rowCount())] == ["0", "1.5", "2"]
    assert "by pixels" in panel.strip.title.text()
    np.testing.assert_array_equal(panel.map.selection, [3, 9, 70])
    menu.deleteLater()


def test_the_legend_hides_points_from_sight_and_from_the_cursor(panel, stage, qtbot):
    panel.model.choose_colour("kind")
    row = panel.legend.rows[1]
    at = place(panel, 25)
    row.click()
    assert panel.map.shown_count == 200
    hover(panel, qtbot, at)
    assert panel.map.point_at(at) != 25
    panel.model.choose_layout(LayoutChoice(DIRECTIONS, "zebra", "mustache"))
    assert panel.map.shown_count == 200
    assert not row.isChecked()
    row.click()
    assert panel.map.shown_count == 300
    panel.model.choose_colour("shade")
    assert panel.legend.items.bar is not None
    panel.model.choose_colour(None)
    assert not panel.legend_area.isVisible()
