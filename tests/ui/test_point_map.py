"""The map of points: real mouse, wheel and keys; what they hit is held to brute force."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QContextMenuEvent, QImage, QMouseEvent, QPalette
from PySide6.QtWidgets import QApplication

from latentlab.core.errors import LatentLabError
from latentlab.ui.palette import DARK, LIGHT, make_palette
from latentlab.ui.widgets.point_map import REACH, PointMap
from tests.ui.stage import pixels, turn_wheel

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton
SHIFT = Qt.KeyboardModifier.ShiftModifier
ALT = Qt.KeyboardModifier.AltModifier
NONE = Qt.KeyboardModifier.NoModifier


class Log:
    """What a map told."""

    def __init__(self, point_map: PointMap) -> None:
        self.hovers, self.pointers, self.clicks, self.doubles = [], [], [], []
        self.steers, self.selections, self.views, self.menus = [], [], [], []
        point_map.hovered.connect(self.hovers.append)
        point_map.pointer_moved.connect(self.pointers.append)
        point_map.clicked.connect(lambda *a: self.clicks.append(a))
        point_map.double_clicked.connect(self.doubles.append)
        point_map.steered.connect(lambda *a: self.steers.append(a))
        point_map.selection_changed.connect(self.selections.append)
        point_map.view_changed.connect(lambda *a: self.views.append(a))
        point_map.menu_asked.connect(lambda *a: self.menus.append(a))


@pytest.fixture
def point_map(qtbot):
    found = PointMap()
    qtbot.addWidget(found)
    found.resize(620, 460)
    found.show()
    qtbot.waitExposed(found)
    return found


def some_points(count: int = 2000, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 2)).astype(np.float32) * (3, 1.5)


def on_screen(point_map: PointMap, places: np.ndarray) -> np.ndarray:
    """Every point through ``to_pixels``, in float64."""
    found = [point_map.to_pixels(float(x), float(y)) for x, y in places]
    return np.array([(p.x(), p.y()) for p in found]).reshape(-1, 2)


def send(point_map, kind, place, button=Qt.MouseButton.NoButton, modifiers=NONE) -> None:
    """A mouse event at a place between pixels, too."""
    held = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseButtonRelease else button
    changed = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseMove else button
    at = QPointF(*place)
    screen = point_map.mapToGlobal(at)
    QApplication.sendEvent(point_map, QMouseEvent(kind, at, screen, changed, held, modifiers))


def drag(point_map, places, modifiers=NONE, button=LEFT) -> None:
    send(point_map, QEvent.Type.MouseButtonPress, places[0], button, modifiers)
    for place in places[1:]:
        send(point_map, QEvent.Type.MouseMove, place, button, modifiers)
    send(point_map, QEvent.Type.MouseButtonRelease, places[-1], button, modifiers)


def hover(point_map, place) -> None:
    send(point_map, QEvent.Type.MouseMove, place)


def nearest(screen: np.ndarray, place, shown=None) -> int | None:
    distance = np.hypot(*(screen - np.asarray(place)).T)
    if shown is not None:
        distance = np.where(shown, distance, np.inf)
    return int(distance.argmin()) if distance.min() <= REACH else None


def even_odd(screen: np.ndarray, polygon) -> np.ndarray:
    """Points inside, one edge and one point at a time."""
    found = []
    ends = [*polygon[1:], polygon[0]]
    for number, (x, y) in enumerate(screen.tolist()):
        odd = False
        for (ax, ay), (bx, by) in zip(polygon, ends):
            if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
                odd = not odd
        if odd:
            found.append(number)
    return np.array(found, np.int64)


def zoom_to(point_map: PointMap, zoom: int) -> None:
    rect = point_map.plot_rect()
    at = QPointF(rect.left() + 0.45 * rect.width(), rect.top() + 0.55 * rect.height())
    for _ in range(zoom):
        turn_wheel(point_map, 1, at=at)


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


@pytest.mark.parametrize("count", [40, 4000, 300_000])
def test_a_points_pixel_has_its_colour(point_map, count):
    rng = np.random.default_rng(8)
    # Apart by more than a marker, so that none lies over another.
    side = int(np.ceil(np.sqrt(count)))
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)
    places = grid[:count].astype(np.float64)
    rgb = rng.integers(0, 255, (count, 3)).astype(np.uint8)
    point_map.set_points(places)
    point_map.set_colours(rgb, rng.integers(0, 8, count).astype(np.uint8))
    if count > 40_000:
        point_map.set_view(100.2, 130.7, 200.1, 221.4)
    image, rect = pixels(point_map), point_map.plot_rect()
    checked = 0
    for number, (x, y) in enumerate(
        on_screen(point_map, places[:60_000] if count < 1e5 else places)
    ):
        if rect.adjusted(2, 2, -2, -2).contains(x, y):
            assert tuple(image[int(y), int(x)]) == tuple(rgb[number])
            checked += 1
    assert checked >= min(count, 400)


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


def test_selection_dims_the_others(point_map):
    places = np.array([(0.0, 0.0), (4.0, 3.0)])
    point_map.set_points(places)
    point_map.set_colours(np.array([(255, 0, 0), (255, 0, 0)], np.uint8))
    log = Log(point_map)
    point_map.set_selection([1])
    assert [s.tolist() for s in log.selections] == [[1]]
    image = pixels(point_map)
    (x0, y0), (x1, y1) = on_screen(point_map, places).astype(int)
    assert tuple(image[y1, x1]) == (255, 0, 0)
    base = point_map.palette().color(QPalette.ColorRole.Base).getRgb()[:3]
    away = np.abs(image[y0, x0].astype(int) - base).max()
    assert away < 90
    point_map.set_selection([1])
    assert len(log.selections) == 1
    point_map.set_selection([])
    assert tuple(pixels(point_map)[y0, x0]) == (255, 0, 0)


class Tiles:
    def __init__(self) -> None:
        self.seen = []

    def paint(self, painter, to_pixels, view_rect) -> None:
        self.seen.append(view_rect)
        corner = to_pixels(view_rect[0] - 1, view_rect[3] + 1)
        painter.fillRect(corner.x(), corner.y(), 5000, 5000, QColor(10, 200, 30))


def test_tiles_lie_under_the_points_and_inside_the_plot(point_map):
    point_map.set_points(np.array([(0.0, 0.0), (4.0, 3.0)]))
    point_map.set_colours(np.array([(255, 0, 0), (255, 0, 0)], np.uint8))
    tiles = Tiles()
    point_map.set_tiles(tiles)
    image = pixels(point_map)
    assert tiles.seen[-1] == point_map.view_rect()
    x, y = on_screen(point_map, np.array([(4.0, 3.0)]))[0].astype(int)
    assert tuple(image[y, x]) == (255, 0, 0)
    rect = point_map.plot_rect()
    assert tuple(image[int(rect.top()) + 5, int(rect.left()) + 5]) == (10, 200, 30)
    assert not (image[:, : int(rect.left()) - 3] == (10, 200, 30)).all(axis=2).any()
    point_map.set_points_visible(False)
    assert tuple(pixels(point_map)[y, x]) == (10, 200, 30)
    log = Log(point_map)
    hover(point_map, (x, y))
    assert log.hovers == []
    point_map.set_tiles(None)
    point_map.set_points_visible(True)
    assert not (pixels(point_map) == (10, 200, 30)).all(axis=2).any()


def test_density_is_seen_where_the_points_are(point_map):
    places = np.concatenate([some_points(5000) * 0.1, [(4.0, 3.0)]])
    point_map.set_points(places)
    point_map.set_points_visible(False)
    before = pixels(point_map).astype(int)
    point_map.set_density(True)
    changed = np.abs(pixels(point_map).astype(int) - before).sum(axis=2)
    x, y = on_screen(point_map, np.array([(0.0, 0.0)]))[0].astype(int)
    assert changed[y, x] > 60
    assert point_map.density_at(0, 0) > 0.5
    far = on_screen(point_map, np.array([(2.0, 2.0)]))[0].astype(int)
    assert changed[far[1], far[0]] == 0
    assert point_map.density_at(2.0, 2.0) == pytest.approx(0, abs=1e-4)
    assert point_map.density_at(1e6, 0) is None
    # One point: the peak of what is in sight is its own after zooming to it.
    point_map.set_view(3.99, 4.01, 2.99, 3.01)
    assert point_map.density_at(4.0, 3.0) > 0.95


def test_the_marker_is_drawn_and_points_back_from_outside(point_map):
    point_map.set_points(np.array([(0.0, 0.0), (4.0, 4.0)]))
    plain = pixels(point_map).astype(int)
    point_map.set_marker((2.0, 1.0))
    changed = np.abs(pixels(point_map).astype(int) - plain).sum(axis=2) > 100
    down, across = np.nonzero(changed)
    at = point_map.to_pixels(2.0, 1.0)
    assert (across.mean(), down.mean()) == pytest.approx((at.x(), at.y()), abs=1.5)
    point_map.set_marker((1000.0, 1.0))
    down, across = np.nonzero(np.abs(pixels(point_map).astype(int) - plain).sum(axis=2) > 100)
    assert across.min() > point_map.plot_rect().right() - 30
    point_map.set_marker(None)
    assert np.array_equal(pixels(point_map), plain)


@pytest.mark.parametrize(
    "places",
    [
        np.zeros((0, 2)),
        np.array([(3.0, -2.0)]),
        np.full((500, 2), 7.5),
        np.array([(-1e9, 1e9), (1e9, -1e9), (0, 0)]),
        np.array([(1e9, 5.0), (1e9 + 1, 5.5)]),
        np.array([(0, 0), (1e9, 1e-6)]),
        np.array([(1e-20, 0.0), (3e-20, 1e-20)]),
    ],
)
def test_odd_sets_of_points_are_drawn_hit_and_zoomed(point_map, places, qtbot):
    point_map.set_points(places)
    log = Log(point_map)
    for key in (Qt.Key.Key_Plus, Qt.Key.Key_Left, Qt.Key.Key_Minus, Qt.Key.Key_Home):
        qtbot.keyClick(point_map, key)
        pixels(point_map)
    screen, rect = on_screen(point_map, places), point_map.plot_rect()
    assert all(rect.contains(*p) for p in screen)
    for place in screen[:3]:
        hover(point_map, (rect.right() - 1, rect.top() + 1))
        hover(point_map, place)
        assert log.hovers[-1] == nearest(screen, place)
    point_map.set_tool("rectangle")
    drag(point_map, [(rect.left() + 1, rect.top() + 1), (rect.right() - 1, rect.bottom() - 1)])
    assert np.array_equal(point_map.selection, np.arange(len(places)))


def test_bad_input_says_what_is_wrong(point_map):
    point_map.set_points(some_points(10))
    bad = some_points(10)
    bad[4, 0] = np.inf
    with pytest.raises(LatentLabError, match="point 4"):
        point_map.set_points(bad)
    assert point_map.count == 10
    with pytest.raises(LatentLabError, match="10 points"):
        point_map.set_colours(np.zeros((9, 3), np.uint8))
    with pytest.raises(LatentLabError, match="10 points"):
        point_map.set_shown(np.zeros(9, bool))
    with pytest.raises(LatentLabError, match="finite"):
        point_map.set_view(0, np.nan, 0, 1)
    point_map.set_selection([3, 99, -1])
    assert point_map.selection.tolist() == [3]


def test_the_view_stays_when_asked_and_follows_the_size(point_map):
    places = some_points(300)
    point_map.set_points(places)
    point_map.set_view(-1, 2, -3, 4)
    point_map.set_points(places + 1, keep_view=True)
    assert point_map.view_rect() == (-1, 2, -3, 4)
    point_map.resize(500, 300)
    assert point_map.view_rect() == (-1, 2, -3, 4)
    point_map.zoom(2)
    middle = point_map.to_data(point_map.plot_rect().center())
    scale = point_map.to_pixels(1, 0).x() - point_map.to_pixels(0, 0).x()
    point_map.resize(640, 520)
    assert point_map.to_data(point_map.plot_rect().center()) == pytest.approx(middle)
    assert point_map.to_pixels(1, 0).x() - point_map.to_pixels(0, 0).x() == pytest.approx(scale)
    point_map.fit_view()
    point_map.resize(400, 420)
    rect = point_map.plot_rect()
    assert all(rect.contains(*p) for p in on_screen(point_map, places + 1))


def test_it_follows_the_palette(point_map):
    point_map.set_points(np.array([(0.0, 0.0), (4.0, 3.0)]))
    for colours in (DARK, LIGHT):
        palette = make_palette(colours)
        point_map.setPalette(palette)
        image = pixels(point_map)
        at = point_map.to_pixels(1, 2.1)
        base = palette.color(QPalette.ColorRole.Base).getRgb()[:3]
        # A grid line may run there, so the most frequent colour.
        patch = image[int(at.y()) - 9 : int(at.y()) + 9, int(at.x()) - 9 : int(at.x()) + 9]
        found, counts = np.unique(patch.reshape(-1, 3), axis=0, return_counts=True)
        assert tuple(found[counts.argmax()]) == base
        window = palette.color(QPalette.ColorRole.Window).getRgb()[:3]
        assert tuple(image[2, 2]) == window


def test_files_hold_what_is_seen(point_map, tmp_path):
    places = some_points(300)
    shown = np.arange(300) % 2 == 0
    rgb = np.tile(np.array([200, 30, 40], np.uint8), (300, 1))
    point_map.set_points(places)
    point_map.set_colours(rgb)
    point_map.set_shown(shown)
    point_map.set_axis_labels("PC 1", "PC 2")
    point_map.save_png(tmp_path / "map.png")
    image = QImage(str(tmp_path / "map.png"))
    assert (image.width(), image.height()) == (2 * point_map.width(), 2 * point_map.height())
    for x, y in on_screen(point_map, places[shown][:5]):
        assert image.pixelColor(int(2 * x), int(2 * y)).getRgb()[:3] == (200, 30, 40)
    names = [f"image, {n}" for n in range(300)]
    point_map.save_csv(tmp_path / "map.csv", {"name": names})
    with (tmp_path / "map.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(r["point"]) for r in rows] == list(range(0, 300, 2))
    assert np.allclose([(float(r["x"]), float(r["y"])) for r in rows], places[shown], rtol=1e-7)
    assert rows[3]["name"] == "image, 6"
    with pytest.raises(LatentLabError, match="column 'name' has 2"):
        point_map.save_csv(tmp_path / "map.csv", {"name": ["a", "b"]})
    with pytest.raises(LatentLabError, match="folder"):
        point_map.save_png(tmp_path)
    point_map.copy_image()
    copied = QApplication.clipboard().image()
    assert copied.width() == image.width()


def test_a_vector_file_has_a_shape_for_each_point(point_map, tmp_path):
    from PySide6.QtGui import QPainter
    from PySide6.QtSvg import QSvgRenderer

    places = np.stack(np.meshgrid(np.arange(20.0), np.arange(15.0)), axis=-1).reshape(-1, 2)
    point_map.set_points(places)
    point_map.set_colours(np.tile(np.array([200, 30, 40], np.uint8), (300, 1)))
    point_map.set_axis_labels("PC 1", "PC 2")
    point_map.save_svg(tmp_path / "map.svg")
    text = (tmp_path / "map.svg").read_text(encoding="utf-8")
    assert text.count("<circle") + text.count("<ellipse") + text.count("<path") >= 300
    assert "PC 1" in text
    assert "base64" not in text
    image = QImage(point_map.size(), QImage.Format.Format_RGB32)
    painter = QPainter(image)
    QSvgRenderer(str(tmp_path / "map.svg")).render(painter)
    painter.end()
    for x, y in on_screen(point_map, places[:40]):
        assert image.pixelColor(int(x), int(y)).red() > 150
        assert image.pixelColor(int(x), int(y)).green() < 90
    point_map.set_points(some_points(30_000))
    point_map.save_svg(tmp_path / "many.svg")
    assert "base64" in (tmp_path / "many.svg").read_text(encoding="utf-8")


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
