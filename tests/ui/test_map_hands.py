"""Hands on a map: real mouse, wheel and keys; what they hit is held to brute force."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtWidgets import QApplication

from tests.ui.maps import (
    LEFT,
    Log,
    drag,
    even_odd,
    hover,
    make_map,
    nearest,
    on_screen,
    send,
    some_points,
    zoom_to,
)
from tests.ui.stage import pixels, turn_wheel

pytestmark = pytest.mark.gui
SHIFT = Qt.KeyboardModifier.ShiftModifier
ALT = Qt.KeyboardModifier.AltModifier


@pytest.fixture
def point_map(qtbot):
    return make_map(qtbot)


@pytest.mark.parametrize("zoom", [0, 4, 9, 18])
def test_hover_finds_the_nearest_point_at_every_zoom(point_map, zoom):
    places = some_points()
    point_map.set_points(places)
    zoom_to(point_map, zoom)
    log = Log(point_map)
    screen = on_screen(point_map, places)
    rect = point_map.plot_rect()
    rng = np.random.default_rng(zoom)
    told = None
    hits = 0
    inside = [p for p in screen if rect.contains(*p)]
    for number in range(120):
        place = (
            rect.left() + rng.random() * rect.width(),
            rect.top() + rng.random() * rect.height(),
        )
        if inside and number % 2:
            near = inside[number % len(inside)] + rng.uniform(-5, 5, 2)
            place = tuple(near) if rect.contains(*near) else place
        before = len(log.hovers)
        hover(point_map, place)
        wanted = nearest(screen, place)
        hits += wanted is not None
        # It is told when it changes, and only then.
        assert log.hovers[before:] == ([] if wanted == told else [wanted])
        told = wanted
    assert hits > 20


@pytest.mark.parametrize("zoom", [0, 5, 12])
@pytest.mark.parametrize("tool", ["lasso", "rectangle"])
def test_outlines_choose_exactly_what_they_hold(point_map, zoom, tool):
    places = some_points(900)
    point_map.set_points(places)
    zoom_to(point_map, zoom)
    point_map.set_tool(tool)
    log = Log(point_map)
    rect = point_map.plot_rect()
    screen = on_screen(point_map, places)
    left, top = rect.left(), rect.top()
    path = [(left + 90, top + 60), (left + 400, top + 100.5), (left + 120, top + 300)]
    path += [(left + 60, top + 90), (left + 420, top + 310)]
    drag(point_map, path)
    if tool == "rectangle":
        (x0, y0), (x1, y1) = path[0], path[-1]
        path = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    wanted = even_odd(screen, path)
    assert len(wanted) > 3
    assert np.array_equal(point_map.selection, wanted)
    assert len(log.selections) == 1
    assert np.array_equal(log.selections[0], wanted)
    assert point_map.selection.dtype == np.int64


def test_shift_adds_alt_removes_escape_clears(point_map, qtbot):
    places = some_points(900)
    point_map.set_points(places)
    point_map.set_tool("rectangle")
    rect, screen = point_map.plot_rect(), on_screen(point_map, places)
    x, y = rect.left(), rect.top()

    def box(x0, y0, x1, y1):
        return set(even_odd(screen, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]).tolist())

    drag(point_map, [(x + 100, y + 80), (x + 300, y + 250)])
    drag(point_map, [(x + 250, y + 150), (x + 420, y + 320)], SHIFT)
    both = box(x + 100, y + 80, x + 300, y + 250) | box(x + 250, y + 150, x + 420, y + 320)
    assert set(point_map.selection.tolist()) == both
    drag(point_map, [(x + 200, y + 50), (x + 280, y + 300)], ALT)
    assert set(point_map.selection.tolist()) == both - box(x + 200, y + 50, x + 280, y + 300)
    qtbot.keyClick(point_map, Qt.Key.Key_Escape)
    assert len(point_map.selection) == 0


def test_an_outline_may_be_left_unfinished(point_map, qtbot):
    point_map.set_points(some_points(100))
    point_map.set_tool("lasso")
    log = Log(point_map)
    send(point_map, QEvent.Type.MouseButtonPress, (200, 100), LEFT)
    for place in ((300, 120), (250, 300)):
        send(point_map, QEvent.Type.MouseMove, place, LEFT)
    qtbot.keyClick(point_map, Qt.Key.Key_Escape)
    send(point_map, QEvent.Type.MouseButtonRelease, (250, 300), LEFT)
    assert not log.selections
    assert not log.clicks


def test_only_shown_points_are_hit_and_drawn(point_map):
    places = some_points(1500)
    rgb = np.tile(np.array([230, 10, 20], np.uint8), (1500, 1))
    shown = np.arange(1500) % 3 == 0
    point_map.set_points(places)
    point_map.set_colours(rgb)
    point_map.set_shown(shown)
    assert point_map.shown_count == 500
    screen, rect = on_screen(point_map, places), point_map.plot_rect()
    log = Log(point_map)
    for number in range(0, 1500, 41):
        hover(point_map, (rect.right() - 1, rect.top() + 1))
        hover(point_map, screen[number])
        assert log.hovers[-1] == nearest(screen, screen[number], shown)
    point_map.set_tool("rectangle")
    drag(point_map, [(rect.left() + 1, rect.top() + 1), (rect.right() - 1, rect.bottom() - 1)])
    assert np.array_equal(point_map.selection, np.flatnonzero(shown))
    # Hidden ones are chosen no more, and the owner hears it.
    point_map.set_shown(np.arange(1500) % 6 == 0)
    assert np.array_equal(log.selections[-1], np.flatnonzero(np.arange(1500) % 6 == 0))
    point_map.set_shown(np.zeros(1500, bool))
    assert point_map.shown_count == 0
    image = pixels(point_map)
    assert not (image == (230, 10, 20)).all(axis=2).any()
    point_map.set_shown(None)
    assert point_map.shown_count == 1500
    assert (pixels(point_map) == (230, 10, 20)).all(axis=2).sum() > 1000


def test_the_wheel_keeps_what_is_under_the_cursor(point_map):
    point_map.set_points(some_points())
    log = Log(point_map)
    rect = point_map.plot_rect()
    at = QPointF(rect.left() + 131.25, rect.top() + 77.5)
    for notches in (1, 3, -2, 5, -6):
        before, span = point_map.to_data(at), np.ptp(point_map.view_rect()[:2])
        assert turn_wheel(point_map, notches, at=at)
        assert point_map.to_data(at) == pytest.approx(before, rel=1e-9)
        assert (np.ptp(point_map.view_rect()[:2]) < span) == (notches > 0)
        assert log.views[-1] == point_map.view_rect()
    for notches in (400, -900):
        turn_wheel(point_map, notches, at=at)
        assert np.isfinite(point_map.view_rect()).all()


def test_a_drag_pans_and_a_press_clicks(point_map):
    places = some_points(50)
    point_map.set_points(places)
    log = Log(point_map)
    start, end = (200.0, 150.0), (263.0, 121.0)
    held = point_map.to_data(QPointF(*start))
    drag(point_map, [start, (220.0, 140.0), end])
    assert point_map.to_data(QPointF(*end)) == pytest.approx(held)
    assert not log.clicks
    screen = on_screen(point_map, places)
    rect = point_map.plot_rect()
    number = next(i for i, p in enumerate(screen) if rect.contains(*p))
    drag(point_map, [screen[number], screen[number] + 1])
    point, x, y = log.clicks[0]
    assert point == nearest(screen, screen[number] + 1)
    assert (x, y) == pytest.approx(point_map.to_data(QPointF(*(screen[number] + 1))))
    point_map.set_tool("lasso")
    before = point_map.view_rect()
    drag(point_map, [start, end], button=Qt.MouseButton.MiddleButton)
    assert point_map.view_rect() != before


def test_double_click_opens_a_point_or_shows_all(point_map, qtbot):
    places = np.array([(0.0, 0.0), (4.0, 3.0)])
    point_map.set_points(places)
    whole = point_map.view_rect()
    log = Log(point_map)
    at = point_map.to_pixels(4, 3).toPoint()
    qtbot.mouseDClick(point_map, LEFT, pos=at)
    assert log.doubles == [1]
    point_map.zoom(3)
    assert point_map.view_rect() != whole
    qtbot.mouseDClick(point_map, LEFT, pos=point_map.to_pixels(2, 2).toPoint())
    assert point_map.view_rect() == whole
    assert log.doubles == [1]


def test_keys_do_all_that_the_mouse_does(point_map, qtbot):
    places = some_points(400)
    point_map.set_points(places)
    point_map.setFocus()
    whole = point_map.view_rect()
    log = Log(point_map)
    qtbot.keyClick(point_map, Qt.Key.Key_Plus)
    assert np.ptp(point_map.view_rect()[:2]) < np.ptp(whole[:2])
    qtbot.keyClick(point_map, Qt.Key.Key_Minus)
    assert point_map.view_rect() == pytest.approx(whole)
    qtbot.keyClick(point_map, Qt.Key.Key_Right)
    assert point_map.view_rect()[0] > whole[0]
    qtbot.keyClick(point_map, Qt.Key.Key_Home)
    assert point_map.view_rect() == whole
    qtbot.keyClick(point_map, Qt.Key.Key_Return)
    assert not log.clicks
    for _ in range(4):
        qtbot.keyClick(point_map, Qt.Key.Key_Right, SHIFT)
    cursor = point_map.plot_rect().center() + QPointF(24, 0)
    assert log.pointers[-1] == pytest.approx(point_map.to_data(cursor))
    qtbot.keyClick(point_map, Qt.Key.Key_Return)
    point, x, y = log.clicks[-1]
    assert point == nearest(on_screen(point_map, places), (cursor.x(), cursor.y()))
    assert (x, y) == pytest.approx(point_map.to_data(cursor))


def test_a_lasso_and_a_rectangle_by_keys(point_map, qtbot):
    places = some_points(400)
    point_map.set_points(places)
    point_map.set_tool("lasso")
    screen, middle = on_screen(point_map, places), point_map.plot_rect().center()

    def go(key, times, modifiers=SHIFT):
        for _ in range(times):
            qtbot.keyClick(point_map, key, modifiers)

    go(Qt.Key.Key_Left, 1)
    corners = [(middle.x(), middle.y())]
    qtbot.keyClick(point_map, Qt.Key.Key_Return)
    for key, way in ((Qt.Key.Key_Right, (80, 0)), (Qt.Key.Key_Down, (0, 80))):
        go(key, 10)
        qtbot.keyClick(point_map, Qt.Key.Key_Return)
        corners.append((corners[-1][0] + way[0], corners[-1][1] + way[1]))
    qtbot.keyClick(point_map, Qt.Key.Key_Return)
    wanted = even_odd(screen, corners)
    assert len(wanted) > 2
    assert np.array_equal(point_map.selection, wanted)
    point_map.set_tool("rectangle")
    qtbot.keyClick(point_map, Qt.Key.Key_Return)
    go(Qt.Key.Key_Left, 12)
    go(Qt.Key.Key_Up, 12)
    qtbot.keyClick(point_map, Qt.Key.Key_Return)
    x, y = corners[-1]
    wanted = even_odd(screen, [(x, y), (x - 96, y), (x - 96, y - 96), (x, y - 96)])
    assert np.array_equal(point_map.selection, wanted)


def test_steering_tells_every_step_and_the_end(point_map, qtbot):
    point_map.set_points(some_points(100))
    point_map.set_tool("steer")
    log = Log(point_map)
    places = [(200.0, 150.0), (210.0, 160.0), (260.0, 200.0), (5000.0, 200.0)]
    drag(point_map, places)
    assert [released for *_, released in log.steers] == [False, False, False, False, True]
    for (x, y, _), place in zip(log.steers[:3], places):
        assert (x, y) == pytest.approx(point_map.to_data(QPointF(*place)))
    # Beyond the edge: the edge.
    assert log.steers[-1][0] == pytest.approx(point_map.view_rect()[1])
    assert not log.clicks
    log.steers.clear()
    qtbot.keyClick(point_map, Qt.Key.Key_Up, SHIFT)
    qtbot.keyClick(point_map, Qt.Key.Key_Up, SHIFT)
    assert [released for *_, released in log.steers] == [False, False]
    assert log.steers[1][1] > log.steers[0][1]
    qtbot.keyClick(point_map, Qt.Key.Key_Return)
    assert log.steers[-1][2] is True
    assert log.steers[-1][:2] == pytest.approx(log.steers[1][:2])


def test_the_menu_is_asked_with_the_point(point_map):
    point_map.set_points(np.array([(0.0, 0.0), (4.0, 3.0)]))
    log = Log(point_map)
    at = point_map.to_pixels(0, 0).toPoint()
    for place, wanted in ((at, 0), (at + QPoint(60, -60), None)):
        screen = point_map.mapToGlobal(place)
        event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, place, screen)
        QApplication.sendEvent(point_map, event)
        assert log.menus[-1] == (wanted, screen)


def test_leaving_tells_that_nothing_is_there(point_map):
    point_map.set_points(np.array([(0.0, 0.0), (4.0, 3.0)]))
    log = Log(point_map)
    hover(point_map, (point_map.to_pixels(0, 0).x(), point_map.to_pixels(0, 0).y()))
    assert log.hovers == [0]
    assert log.pointers[-1] == pytest.approx((0, 0), abs=1e-9)
    QApplication.sendEvent(point_map, QEvent(QEvent.Type.Leave))
    assert log.hovers == [0, None]
    assert log.pointers[-1] is None
    hover(point_map, (2.0, 2.0))
    assert log.pointers[-1] is None


def test_a_million_points_are_found(point_map):
    rng = np.random.default_rng(4)
    places = rng.normal(size=(1_000_000, 2)).astype(np.float32)
    point_map.set_points(places)
    view, rect = point_map.view_rect(), point_map.plot_rect()
    x = (places[:, 0].astype(np.float64) - view[0]) * (rect.width() / (view[1] - view[0]))
    y = (view[3] - places[:, 1].astype(np.float64)) * (rect.height() / (view[3] - view[2]))
    screen = np.stack([x + rect.left(), y + rect.top()], axis=1)
    log = Log(point_map)
    for _ in range(25):
        place = (
            rect.left() + rng.random() * rect.width(),
            rect.top() + rng.random() * rect.height(),
        )
        hover(point_map, place)
        wanted = nearest(screen, place)
        assert (log.hovers[-1] if log.hovers else None) == wanted
    point_map.set_tool("rectangle")
    corner = (rect.left() + 200.25, rect.top() + 120.5), (rect.left() + 320.75, rect.top() + 200)
    drag(point_map, list(corner))
    (x0, y0), (x1, y1) = corner
    inside = (screen >= (x0, y0)).all(axis=1) & (screen < (x1, y1)).all(axis=1)
    assert inside.sum() > 1000
    assert np.array_equal(point_map.selection, np.flatnonzero(inside))
