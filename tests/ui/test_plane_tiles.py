"""The plane as pictures: which tiles are decoded, when, and where they stand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from latentlab.core.requests import Failure, PreviewResult
from latentlab.ui.map_layouts import DIRECTIONS, LayoutChoice
from latentlab.ui.widgets import plane_tiles
from latentlab.ui.widgets.images import from_qimage
from latentlab.ui.widgets.plane_tiles import (
    CHANNEL,
    PlaneTiles,
    covering,
    extent,
    level_for,
    middle,
)
from tests.ui.map_stage import MapStage
from tests.ui.stage import decode, pixels, turn_wheel

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def stage(tmp_path, qtbot, monkeypatch):
    stage = MapStage(tmp_path, monkeypatch)
    stage.controller.open_model("flat")
    return stage


@pytest.fixture
def panel(stage, qtbot):
    panel = stage.panel(qtbot)
    stage.open_points(panel, stage.points(width=2))
    qtbot.mouseClick(panel.tools.layers["points"], LEFT)
    return panel


def settle(panel, qtbot) -> None:
    """Wait until every tile in sight is decoded."""

    def done() -> bool:
        x0, x1, y0, y1 = panel.map.view_rect()
        level = level_for(panel.map.plot_rect().width() / (x1 - x0))
        return set(covering((x0, x1, y0, y1), level, level)) <= set(panel.tiles.known)

    qtbot.waitUntil(done, timeout=5000)
    qtbot.wait(30)


def asked_places(stage) -> list[np.ndarray]:
    return [request.stored["z"] for request in stage.bridge.asked(CHANNEL)]


def check_pixels(panel) -> int:
    """Hold the middle of every whole tile in sight to the decoded image of its middle."""
    grabbed = pixels(panel.map)
    x0, x1, y0, y1 = panel.map.view_rect()
    level = level_for(panel.map.plot_rect().width() / (x1 - x0))
    checked = 0
    for tile in covering((x0, x1, y0, y1), level, level):
        left, right, low, high = extent(tile)
        corner, other = panel.map.to_pixels(left, high), panel.map.to_pixels(right, low)
        box = panel.map.plot_rect()
        if not (box.contains(corner) and box.contains(other)):
            continue
        size = other.x() - corner.x()
        assert 48 <= round(size, 6) <= 96.01
        image = decode(np.array([middle(tile)]))[0]
        side = len(image)
        for row, column in ((2, 3), (6, 6), (9, 4)):
            x = corner.x() + (column + 0.5) / side * size
            y = corner.y() + (row + 0.5) / side * size
            found = grabbed[int(y), int(x)].astype(int)
            assert np.abs(found - image[row, column]).max() < 24, (tile, row, column)
        checked += 1
    return checked


def test_a_level_has_tiles_of_48_to_96_pixels():
    for scale in np.geomspace(1e-3, 1e5, 400):
        side = 2.0 ** -level_for(float(scale)) * scale
        assert side * 1.00001 > 48
        assert side <= 96 * 1.00001


def test_tiles_decode_the_middles_of_the_plane_and_refine_as_one_zooms(panel, stage, qtbot):
    qtbot.mouseClick(panel.tools.layers["tiles"], LEFT)
    settle(panel, qtbot)
    assert check_pixels(panel) > 20
    places = np.concatenate(asked_places(stage))
    known = np.array([middle(tile) for tile in panel.tiles.known])
    assert {tuple(p) for p in places.round(6)} == {tuple(p) for p in known.round(6)}
    before = len(places)
    at = panel.map.plot_rect().center()
    for _ in range(9):
        turn_wheel(panel.map, 1, at=at)
    QApplication.sendEvent(panel.map, QEvent(QEvent.Type.Leave))
    settle(panel, qtbot)
    assert check_pixels(panel) > 20
    fine = np.concatenate(asked_places(stage))[before:]
    spread = np.ptp(fine, axis=0)
    assert (spread < np.ptp(places, axis=0) / 2).all()


def test_the_coarse_level_comes_first_and_requests_are_small(panel, stage, qtbot):
    qtbot.mouseClick(panel.tools.layers["tiles"], LEFT)
    settle(panel, qtbot)
    batches = asked_places(stage)
    assert max(len(batch) for batch in batches) <= 48
    x0, x1, _, _ = panel.map.view_rect()
    level = level_for(panel.map.plot_rect().width() / (x1 - x0))
    side = 2.0 ** -(level - plane_tiles.COARSE_STEPS)
    first = batches[0][0].astype(float) / side
    np.testing.assert_allclose(first - np.floor(first), 0.5, atol=1e-6)
    coarse = math.ceil((x1 - x0) / side + 1) ** 2
    assert len(batches[0]) <= max(coarse, 8)


def test_one_request_is_on_its_way_at_a_time(panel, stage, qtbot):
    stage.bridge.held = True
    qtbot.mouseClick(panel.tools.layers["tiles"], LEFT)
    qtbot.waitUntil(lambda: len(stage.bridge.asked(CHANNEL)) == 1)
    for _ in range(4):
        turn_wheel(panel.map, 1)
        qtbot.wait(30)
    assert len(stage.bridge.asked(CHANNEL)) == 1
    stage.bridge.held = False
    stage.bridge.release()
    settle(panel, qtbot)


def test_known_tiles_stay_while_one_pans(panel, stage, qtbot):
    qtbot.mouseClick(panel.tools.layers["tiles"], LEFT)
    settle(panel, qtbot)
    known = set(panel.tiles.known)
    before = len(np.concatenate(asked_places(stage)))
    centre = panel.map.plot_rect().center().toPoint()
    QTest.mousePress(panel.map, LEFT, pos=centre)
    for step in (20, 60, 120):
        QTest.mouseMove(panel.map, centre + QPoint(step, 0))
    QTest.mouseRelease(panel.map, LEFT, pos=centre + QPoint(120, 0))
    settle(panel, qtbot)
    assert known <= set(panel.tiles.known)
    again = np.concatenate(asked_places(stage))[before:]
    old = {tuple(np.round(middle(tile), 6)) for tile in known}
    assert not old & {tuple(row) for row in again.round(6).astype(float)}


def test_a_result_for_another_plane_is_dropped(panel, stage, qtbot):
    stage.controller.open_model("waves")
    stage.open_points(panel, stage.points(), "waves")
    stage.bridge.held = True
    panel.tools.layers["tiles"].setChecked(True)
    qtbot.waitUntil(lambda: len(stage.bridge.asked(CHANNEL)) == 1)
    panel.model.choose_layout(LayoutChoice(DIRECTIONS, "zebra", "smiling"))
    stage.bridge.release()
    assert panel.tiles.known == ()
    stage.bridge.held = False
    qtbot.waitUntil(lambda: bool(panel.tiles.known))
    rows = asked_places(stage)[-1]
    mean = stage.points().parts["z"].mean(axis=0)
    np.testing.assert_allclose(rows[:, 2:], np.tile(mean[2:], (len(rows), 1)), atol=1e-5)


def test_another_model_clears_the_tiles(panel, stage, qtbot):
    qtbot.mouseClick(panel.tools.layers["tiles"], LEFT)
    settle(panel, qtbot)
    stage.controller.open_model("waves")
    assert panel.tiles.known == ()
    assert panel.tiles.bytes_used == 0


def test_a_failure_is_said_once_and_not_asked_for_over_and_over(panel, stage, qtbot):
    stage.bridge.failure = Failure("No memory is left: close other programs.")
    qtbot.mouseClick(panel.tools.layers["tiles"], LEFT)
    qtbot.waitUntil(panel.note.failure.isVisible)
    assert "No memory" in panel.note.failure.sentence.text()
    for _ in range(5):
        panel.map.update()
        qtbot.wait(20)
    assert len(stage.bridge.asked(CHANNEL)) <= 2
    stage.bridge.failure = None
    turn_wheel(panel.map, 1)
    settle(panel, qtbot)
    assert not panel.note.failure.isVisible()


def test_memory_is_limited_and_the_visible_tiles_stay(stage, qtbot):
    stage.open_points(panel := stage.panel(qtbot), stage.points(width=2))
    limit = 200_000
    layer = PlaneTiles(stage.controller, panel.model.picture_of, max_bytes=limit)
    layer.set_plane(panel.model.plane)
    image = QImage(600, 400, QImage.Format.Format_RGB32)

    def look(x0: float) -> None:
        image.fill(QColor("black"))
        painter = QPainter(image)
        layer.paint(
            painter, lambda x, y: QPointF((x - x0) * 100, 400 - y * 100), (x0, x0 + 6, 0, 4)
        )
        painter.end()

    for step in range(30):
        for _ in range(40):
            look(step * 5.0)
            qtbot.wait(1)
            if not layer._missing():
                break
        assert layer.bytes_used <= limit
    look(145.0)
    assert not layer._missing()
    assert (from_qimage(image).reshape(-1, 3).max(axis=0) > 0).all()
    layer.deleteLater()


def test_tiles_need_a_plane(panel, stage):
    stage.controller.open_model("waves")
    coordinates = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    stage.open_points(panel, stage.points(coordinates={"tsne": coordinates}), "waves")
    assert panel.tools.layers["tiles"].isEnabled()
    panel.model.choose_layout(LayoutChoice("tsne"))
    assert not panel.tools.layers["tiles"].isEnabled()
    assert "Only a plane" in panel.tools.layers["tiles"].toolTip()


def rough(stage, shade: int, milliseconds: float = 5.0) -> None:
    """Answer the request that waits with rough images, all of one shade."""
    request = stage.bridge.asked(CHANNEL)[-1]
    images = np.full((len(request.stored["z"]), 12, 12, 3), shade, np.uint8)
    result = PreviewResult(
        CHANNEL, request.sequence, images=images, total_ms=milliseconds, final=False
    )
    stage.bridge.preview_arrived.emit(result)


def test_rough_tiles_of_many_steps_are_drawn_and_never_stay(panel, stage, qtbot):
    stage.bridge.held = True
    qtbot.mouseClick(panel.tools.layers["tiles"], LEFT)
    qtbot.waitUntil(lambda: len(stage.bridge.asked(CHANNEL)) == 1)
    for shade in (40, 90):
        rough(stage, shade)
        box = panel.map.plot_rect().center()
        middle_of = pixels(panel.map)[int(box.y()) - 3, int(box.x()) + 9]
        assert tuple(middle_of) == (shade, shade, shade)
    assert panel.tiles.known == ()
    assert len(stage.bridge.asked(CHANNEL)) == 1
    stage.bridge.held = False
    stage.bridge.release()
    settle(panel, qtbot)
    assert check_pixels(panel) > 3


def test_rough_tiles_go_when_the_rest_fails(panel, stage, qtbot):
    stage.bridge.held = True
    qtbot.mouseClick(panel.tools.layers["tiles"], LEFT)
    qtbot.waitUntil(lambda: len(stage.bridge.asked(CHANNEL)) == 1)
    rough(stage, 40)
    assert panel.tiles.bytes_used > 0
    stage.bridge.failure = Failure("No memory is left: close other programs.")
    stage.bridge.release()
    assert panel.tiles.bytes_used == 0


def test_the_time_of_one_step_decides_how_many_tiles_are_asked_for(panel, stage, qtbot):
    stage.bridge.held = True
    qtbot.mouseClick(panel.tools.layers["tiles"], LEFT)
    qtbot.waitUntil(lambda: len(stage.bridge.asked(CHANNEL)) == 1)
    first = len(asked_places(stage)[0])
    rough(stage, 40, milliseconds=5.0)
    stage.bridge.release()
    qtbot.waitUntil(lambda: len(stage.bridge.asked(CHANNEL)) == 2)
    assert len(asked_places(stage)[1]) == 2 * first
