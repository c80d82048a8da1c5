"""The map of points: what is drawn and written, and odd or bad input."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage, QPalette
from PySide6.QtWidgets import QApplication

from latentlab.core.errors import LatentLabError
from latentlab.ui.palette import DARK, LIGHT, make_palette
from latentlab.ui.widgets.images import from_qimage
from tests.ui.maps import (
    Log,
    drag,
    hover,
    make_map,
    nearest,
    on_screen,
    some_points,
)
from tests.ui.stage import pixels

pytestmark = pytest.mark.gui


@pytest.fixture
def point_map(qtbot):
    return make_map(qtbot)


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


def test_hiding_a_class_does_not_move_the_view(point_map):
    places = some_points(300)
    point_map.set_points(places)
    point_map.set_shown(places[:, 0] > 1)
    point_map.resize(500, 400)
    assert all(point_map.plot_rect().contains(*p) for p in on_screen(point_map, places))
    point_map.fit_view()
    assert not all(point_map.plot_rect().contains(*p) for p in on_screen(point_map, places))


def test_a_view_far_too_wide_can_be_left(point_map):
    point_map.set_points(some_points(30))
    point_map.set_view(-1e9, 1e9, -1e9, 1e9)
    point_map.zoom(0.5)
    assert point_map.view_rect() == (-1e9, 1e9, -1e9, 1e9)
    point_map.zoom(2)
    assert point_map.view_rect() == pytest.approx((-5e8, 5e8, -5e8, 5e8))


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
    hover(point_map, on_screen(point_map, places)[0])
    point_map.save_png(tmp_path / "map.png")
    image = QImage(str(tmp_path / "map.png"))
    assert (image.width(), image.height()) == (2 * point_map.width(), 2 * point_map.height())
    for x, y in on_screen(point_map, places[shown][:5]):
        assert image.pixelColor(int(2 * x), int(2 * y)).getRgb()[:3] == (200, 30, 40)
    # The ring under the mouse is on the screen, not in the file.
    highlight = point_map.palette().color(QPalette.ColorRole.Highlight).getRgb()[:3]
    assert (pixels(point_map) == highlight).all(axis=2).any()
    assert not (from_qimage(image) == highlight).all(axis=2).any()
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
