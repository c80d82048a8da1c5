"""Two groups of pictures: filled by drops, from the tray, the canvas and the map; fitted."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtCore import QObject, QPoint, Qt, Signal
from PySide6.QtGui import QDrag
from PySide6.QtWidgets import QApplication

from latentlab.core.points import PointSet
from latentlab.core.requests import Failure
from latentlab.latent.crossval import MIN_EACH
from latentlab.ui.widgets.direction_pages import groups_page
from latentlab.ui.widgets.image_mime import picture_mime, read_pictures
from latentlab.ui.widgets.thumbnail import IMAGE_ROLE
from tests.ui.directions_stage import click, found, make_stage, mark
from tests.ui.stage import DEPTH, decode, picture
from tests.ui.windows import drop_on

pytestmark = pytest.mark.gui


@pytest.fixture
def stage(tmp_path, qtbot):
    controller, bridge, panel = make_stage(tmp_path, qtbot, 640)
    for seed in range(10, 16):
        controller.set_sampling(seed=seed)
        controller.keep(0)
    panel.show_page("groups", focus=True)
    return controller, bridge, panel.pages["groups"]


def menu_entry(well, words: str):
    return next(a for a in well.add_menu().actions() if words in a.text().replace("&", ""))


def seeds(well) -> list[int]:
    return [one.seeds[0] for one in well.model.pictures]


def drop(well, *pictures):
    return drop_on(well, picture_mime(pictures))


def test_the_least_size_is_the_one_of_the_job():
    assert groups_page.MIN_EACH == MIN_EACH


def test_pictures_are_dropped_and_shown(stage, qtbot):
    controller, bridge, page = stage
    assert drop(page.positive, picture(1), picture(2, 3))
    assert seeds(page.positive) == [1, 2, 3]
    model = page.positive.model
    for row, seed in enumerate((1, 2, 3)):
        want = decode(bridge.latents_of(picture(seed)))[0]
        qtbot.waitUntil(lambda row=row: model.index(row).data(IMAGE_ROLE) is not None)
        assert np.array_equal(model.index(row).data(IMAGE_ROLE), want)
    assert page.positive.title.text() == "A: with it (3)"
    assert controller.document.tray[0].picture.seeds == (10,)


def test_a_picture_is_in_one_group_once(stage):
    _, _, page = stage
    drop(page.positive, picture(1), picture(2))
    drop(page.positive, picture(2))
    assert seeds(page.positive) == [1, 2]
    drop(page.negative, picture(2), picture(5))
    assert seeds(page.positive) == [1]
    assert seeds(page.negative) == [2, 5]


def test_pictures_come_from_the_tray_and_the_canvas(stage):
    controller, _, page = stage
    controller.selected_in_tray = lambda: [controller.document.tray[i].id for i in (1, 3)]
    menu_entry(page.positive, "Selected in the tray (2)").trigger()
    assert seeds(page.positive) == [11, 13]
    controller.group_in_tray([controller.document.tray[5].id], "hats")
    menu_entry(page.negative, "Group 'hats'").trigger()
    assert seeds(page.negative) == [15]
    menu_entry(page.negative, "All of the tray (6)").trigger()
    assert len(page.negative.model.pictures) == 6
    assert page.positive.model.size == 0
    controller.set_sampling(seed=40, count=4)
    menu_entry(page.positive, "Image on the canvas (4)").trigger()
    assert seeds(page.positive) == [40, 41, 42, 43]
    page.positive.remove_selected()
    controller.select(2)
    menu_entry(page.positive, "Image on the canvas (1)").trigger()
    assert seeds(page.positive) == [42]


def test_pictures_of_another_model_are_refused_in_the_group(stage):
    _, _, page = stage
    foreign = picture(1).model_copy(update={"model": "elsewhere"})
    assert drop(page.positive, picture(2), foreign)
    assert "'elsewhere'" in page.positive.note.text()
    assert page.positive.note.isVisible()
    assert page.positive.model.size == 0
    drop(page.positive, picture(2))
    assert not page.positive.note.isVisible()


def test_keys_remove_and_show(stage, qtbot):
    controller, _, page = stage
    drop(page.positive, picture(1), picture(2), picture(3))
    tiles = page.positive.tiles
    tiles.setFocus()
    tiles.setCurrentIndex(page.positive.model.index(1))
    qtbot.keyClick(tiles, Qt.Key.Key_Return)
    assert controller.document.canvas == picture(2)
    qtbot.keyClick(tiles, Qt.Key.Key_Delete)
    assert seeds(page.positive) == [1, 3]
    tiles.clearSelection()
    click(qtbot, page.positive.remove_button)
    assert page.positive.model.size == 0


def test_a_tile_is_dragged_away(stage, qtbot, monkeypatch):
    controller, _, page = stage
    dragged = []
    monkeypatch.setattr(
        QDrag, "exec", lambda self, *_: dragged.append(self.mimeData()) or Qt.DropAction.CopyAction
    )
    drop(page.positive, picture(1), picture(2))
    view = page.positive.tiles.viewport()
    start = page.positive.tiles.visualRect(page.positive.model.index(1)).center()
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=start)
    for step in (1, 2):
        qtbot.mouseMove(view, start + QPoint(step * QApplication.startDragDistance(), 4))
    assert read_pictures(dragged[0], controller.store).pictures == (picture(2),)


def test_swap_exchanges_the_groups(stage, qtbot):
    _, _, page = stage
    drop(page.positive, picture(1))
    drop(page.negative, picture(2), picture(3))
    click(qtbot, page.swap_button)
    assert (seeds(page.positive), seeds(page.negative)) == ([2, 3], [1])


def test_the_fit_takes_both_groups(stage, qtbot):
    controller, bridge, page = stage
    controller.add_directions([found("mine", 4, mark(controller))], "Add")
    controller.set_locked("zebra", True)
    assert not page.fit_button.isEnabled()
    assert "group A" in page.fit_button.toolTip()
    edited = picture(1, edits={"mine": 1.0})
    drop(page.positive, edited)
    assert "group B" in page.fit_button.toolTip()
    drop(page.negative, picture(2), picture(3))
    page.name_box.setText("my  look")
    click(qtbot, page.fit_button)
    asked = bridge.finish("fit_group_direction", (found("my look", 1, mark(controller)),))
    assert asked["positive"] == ((edited, None),)
    assert asked["negative"] == ((picture(2), None), (picture(3), None))
    assert (asked["name"], asked["method"], asked["model"]) == (
        "my look",
        "mean difference",
        "waves",
    )
    assert list(asked["directions"]) == ["mine"]
    assert [one.name for one in asked["orthogonal_to"]] == ["zebra"]
    assert "path" not in asked


def test_locked_sliders_can_be_left_out(stage, qtbot):
    controller, bridge, page = stage
    controller.set_locked("zebra", True)
    drop(page.positive, picture(1))
    drop(page.negative, picture(2))
    assert page.locked.box.text() == "Keep &orthogonal to locked (1)"
    qtbot.keyClick(page.locked.box, Qt.Key.Key_Space)
    click(qtbot, page.fit_button)
    assert bridge.finish("fit_group_direction", ())["orthogonal_to"] == ()


def test_classifiers_need_enough_pictures(stage):
    _, _, page = stage
    box = page.method_box
    drop(page.positive, *(picture(n) for n in range(10)))
    drop(page.negative, *(picture(n) for n in range(20, 29)))
    assert not box.model().item(1).isEnabled()
    drop(page.negative, picture(29))
    assert box.model().item(1).isEnabled()
    box.setCurrentIndex(1)
    assert box.method == "logistic"
    page.negative.tiles.setCurrentIndex(page.negative.model.index(0))
    page.negative.remove_selected()
    assert box.method == "mean difference"


def test_a_failure_stands_on_the_page(stage, qtbot):
    _, bridge, page = stage
    drop(page.positive, picture(1))
    drop(page.negative, picture(2))
    click(qtbot, page.fit_button)
    bridge.finish("fit_group_direction", failure=Failure("The groups are alike."))
    assert page.jobs.failure.message == "The groups are alike."


# Points of a map.


class Map(QObject):
    """As much of the map as groups need."""

    group_chosen = Signal(str, str, object)
    points_changed = Signal()

    def __init__(self, controller, path) -> None:
        super().__init__()
        rows = np.random.default_rng(0).normal(size=(30, DEPTH)).astype(np.float32)
        self.points = PointSet(
            "waves", mark(controller), "z", "faces.zip", np.arange(30), {"z": rows}
        )
        self.path = path


def test_a_selection_on_the_map_becomes_a_group(stage, qtbot, tmp_path):
    controller, bridge, page = stage
    controller.map_model = Map(controller, tmp_path / "map.safetensors")
    path = str(controller.map_model.path)
    page.hide()
    page.show()
    with qtbot.waitSignal(page.asked_for):
        controller.map_model.group_chosen.emit("positive", path, np.array([3, 4, 9]))
    assert page.positive.title.text() == "A: with it (3)"
    index = page.positive.model.index(0)
    qtbot.waitUntil(lambda: index.data(IMAGE_ROLE) is not None)
    image = index.data(IMAGE_ROLE)
    assert np.array_equal(image, decode(controller.map_model.points.parts["z"][3:4])[0])
    controller.map_selection = (path, np.array([1, 2]))
    menu_entry(page.negative, "Selection on the map (2)").trigger()
    drop(page.negative, picture(5))
    assert page.negative.model.size == 3
    click(qtbot, page.fit_button)
    asked = bridge.finish("fit_group_direction", ())
    assert asked["path"] == path
    assert asked["positive_points"].tolist() == [3, 4, 9]
    assert asked["negative_points"].tolist() == [1, 2]
    assert asked["positive"] == ()
    assert asked["negative"] == ((picture(5), None),)


def test_points_of_two_maps_do_not_go_together(stage):
    _, _, page = stage
    page.positive.add_points("one.safetensors", [1])
    page.positive.add_points("two.safetensors", [2])
    assert "another map" in page.positive.note.text()
    page.negative.add_points("two.safetensors", [2])
    assert not page.fit_button.isEnabled()
    assert "two maps" in page.fit_button.toolTip()


def test_the_map_is_optional(stage):
    controller, _, page = stage
    controller.map_model = SimpleNamespace(
        points=None, path=None, group_chosen=Map.group_chosen, points_changed=None
    )
    entry = menu_entry(page.positive, "Selection on the map")
    assert not entry.isEnabled()


def test_groups_lie_side_by_side_where_there_is_room(stage, qtbot):
    _, _, page = stage
    panel = page.window()
    qtbot.waitUntil(lambda: page.negative.x() > page.positive.x())
    panel.resize(330, 900)
    qtbot.waitUntil(lambda: page.negative.y() > page.positive.y())
    assert page.negative.x() == page.positive.x()
