"""Points to pixels, the index that finds them, the density and the axes: numbers only."""

from __future__ import annotations

import math

import numpy as np
import pytest

from latentlab.core.errors import LatentLabError
from latentlab.ui.widgets.lasso import inside_polygon
from latentlab.ui.widgets.map_axes import plain, step_of, ticks_of
from latentlab.ui.widgets.map_density import BANDWIDTH, CELL, DensityGrid
from latentlab.ui.widgets.map_view import MapView, fitted
from latentlab.ui.widgets.marker_shapes import SHAPES, stamp
from latentlab.ui.widgets.point_index import PointIndex
from latentlab.ui.widgets.point_raster import Canvas, Ink, fitting_width, ink_of, mixed, pack
from latentlab.ui.widgets.point_scene import PointScene

pytestmark = pytest.mark.gui


def winding_parity(px: float, py: float, polygon: np.ndarray) -> bool:
    """One point at a time, by angles: another road to the even-odd rule."""
    crossings = 0
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, axis=0)):
        if (ay > py) != (by > py) and px < ax + (py - ay) / (by - ay) * (bx - ax):
            crossings += 1
    return crossings % 2 == 1


def test_polygon_agrees_with_one_point_at_a_time():
    rng = np.random.default_rng(0)
    for corners in (3, 4, 11, 60):
        polygon = rng.normal(size=(corners, 2))
        x, y = rng.normal(size=(2, 500))
        expected = [winding_parity(a, b, polygon) for a, b in zip(x, y)]
        assert inside_polygon(x, y, polygon).tolist() == expected


def test_polygon_area_and_self_crossing():
    rng = np.random.default_rng(1)
    angles = np.arange(5) * 4 * np.pi / 5
    star = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert not inside_polygon(np.zeros(1), np.zeros(1), star)[0]
    x, y = rng.uniform(-1, 1, (2, 200_000))
    circle = np.stack([np.cos(np.linspace(0, 2 * np.pi, 400)[:-1])] * 2, axis=1)
    circle[:, 1] = np.sin(np.linspace(0, 2 * np.pi, 400)[:-1])
    assert inside_polygon(x, y, circle).mean() == pytest.approx(math.pi / 4, abs=0.004)


def test_polygon_of_too_few_corners_holds_nothing():
    x = np.zeros(3)
    assert not inside_polygon(x, x, np.zeros((0, 2))).any()
    assert not inside_polygon(x, x, np.array([(-1.0, -1.0), (1.0, 1.0)])).any()
    assert len(inside_polygon(x[:0], x[:0], np.zeros((4, 2)))) == 0


@pytest.mark.parametrize("count", [0, 1, 7, 3000, 50_000])
@pytest.mark.parametrize("kind", ["normal", "lattice", "equal", "outliers", "huge"])
def test_index_finds_every_point_of_a_rectangle(count, kind):
    rng = np.random.default_rng(count)
    places = rng.normal(size=(count, 2))
    if kind == "lattice":
        places = np.round(places)
    elif kind == "equal":
        places = np.full((count, 2), 0.25)
    elif kind == "outliers":
        places[::100] *= 1e9
    elif kind == "huge":
        places = places * 1e9 + 1e12
    index = PointIndex.build(places)
    assert sorted(index.order) == list(range(count))
    assert np.array_equal(np.stack([index.x, index.y], axis=1), places[index.order])
    low, high = places.min(axis=0, initial=0), places.max(axis=0, initial=1)
    for _ in range(12):
        x0, x1 = np.sort(rng.uniform(low[0], high[0], 2))
        y0, y1 = np.sort(rng.uniform(low[1], high[1], 2))
        at = index.places(x0, x1, y0, y1)
        found = set(index.order[at].tolist())
        x, y = places.T
        wanted = np.flatnonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1))
        assert set(wanted.tolist()) <= found


def test_filtered_index_holds_what_the_mask_holds():
    rng = np.random.default_rng(5)
    places = rng.normal(size=(30_000, 2))
    mask = rng.random(30_000) < 0.3
    index = PointIndex.build(places).filtered(mask)
    assert np.array_equal(np.sort(index.order), np.flatnonzero(mask))
    found = index.order[index.places(-0.1, 0.1, -0.1, 0.1)]
    wanted = np.flatnonzero(mask & (np.abs(places) <= 0.1).all(axis=1))
    assert set(wanted) <= set(found)
    # Far fewer than all of them: it is an index.
    assert len(found) < 0.1 * len(places)


def test_coordinates_that_cannot_be_drawn_say_so():
    places = np.zeros((5, 2))
    places[3, 1] = np.nan
    with pytest.raises(LatentLabError, match=r"1 of 5 points .* point 3"):
        PointIndex.build(places)
    with pytest.raises(LatentLabError, match=r"shape \(5, 3\)"):
        PointIndex.build(np.zeros((5, 3)))
    with pytest.raises(LatentLabError, match="too large"):
        PointIndex.build(np.full((2, 2), 1e200))


def test_colours_pack_and_mix():
    assert pack(np.array([1, 2, 3], np.uint8)) == 0xFF010203
    colours = pack(np.array([(200, 100, 0), (0, 0, 255)], np.uint8))
    halfway = mixed(colours, 0xFFFFFFFF, 0.5)
    channels = np.stack([halfway >> s & 255 for s in (24, 16, 8, 0)], axis=1)
    assert np.abs(channels - [(255, 227, 177, 127), (255, 127, 127, 255)]).max() <= 1
    assert np.array_equal(mixed(colours, 0xFFFFFFFF, 0.0), colours)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8, 11])
def test_a_marker_stands_where_its_point_is(width):
    canvas = Canvas(60, 40, 66)
    ink = Ink(width, 1.0 if width >= 5 else 0.0)
    for x, y in ((30.5, 20.5), (30.2, 20.9), (0.1, 0.1), (59.9, 39.9)):
        canvas.clear()
        colours = pack(np.array([(200, 100, 50)], np.uint8))
        canvas.draw(np.array([x]), np.array([y]), colours, ink)
        picture = canvas.picture()
        assert picture[int(y), int(x)] == 0xFFC86432
        if x == 30.5:
            weight = (picture >> 24) / 255.0
            down, across = np.mgrid[0:40, 0:60] + 0.5
            total = weight.sum()
            middle = (weight * across).sum() / total, (weight * down).sum() / total
            # Even widths lie half a pixel off, as pixels are what they are.
            assert middle == pytest.approx((x, y), abs=0.51 if width % 2 == 0 else 0.01)
            area = width**2 if width <= 2 else np.pi * (0.94 * width / 2) ** 2
            assert total == pytest.approx(area, rel=0.35 if width < 4 else 0.05)


def test_what_lies_outside_leaves_no_mark():
    canvas = Canvas(50, 50, 66)
    far = np.array([-1e12, 1e12, -30.0, 80.0, 25.0, 25.0])
    other = np.array([25.0, 25.0, 25.0, 25.0, -1e15, 1e15])
    canvas.draw(far, other, np.full(6, 0xFFFFFFFF, np.uint32), Ink(11, 1.0))
    assert not canvas.picture().any()


def test_later_points_lie_over_earlier_ones():
    rng = np.random.default_rng(2)
    x, y = rng.uniform(0, 20, (2, 400))
    colours = np.arange(400, dtype=np.uint32) | 0xFF000000
    canvas = Canvas(20, 20, 66)
    canvas.draw(x.copy(), y.copy(), colours, Ink(1))
    expected = np.zeros((20, 20), np.uint32)
    for a, b, colour in zip(x, y, colours):
        expected[int(b), int(a)] = colour
    assert np.array_equal(canvas.picture(), expected)
    canvas.clear()
    canvas.draw(x.copy(), y.copy(), colours, ink_of(7, 1.0))
    last = canvas.picture()[int(y[-1]), int(x[-1])]
    assert last == colours[-1]


def test_every_shape_is_its_own_and_about_as_large():
    pictures = []
    for shape in range(len(SHAPES)):
        right, down, level, weights = stamp(shape, 11, 1.0)
        box = np.zeros((25, 25))
        box[down + 12, right + 12] = weights.sum(axis=1)[level]
        pictures.append(box)
        assert 55 < box.sum() < 105
        # The middle has the colour of the fill alone.
        centre = level[(right == 0) & (down == 0)][0]
        assert tuple(weights[centre]) == (1.0, 0.0)
    for one in range(len(pictures)):
        for other in range(one):
            assert np.abs(pictures[one] - pictures[other]).sum() > 12


def test_markers_shrink_before_a_picture_takes_long():
    assert fitting_width(9, 100, 1.0) == 9
    assert fitting_width(9, 1_000_000, 1.0) == 1
    assert fitting_width(2, 10_000_000, 2.0) == 1


def test_density_of_one_point_is_the_gaussian():
    grid = DensityGrid(300, 240)
    grid.add(np.array([151.5]), np.array([121.5]))
    found, peak = grid.blurred()
    assert found.shape == (80, 100)
    assert found.max() == 1
    down, across = np.mgrid[0:80, 0:100] * CELL + CELL / 2
    distance = ((across - 151.5) ** 2 + (down - 121.5) ** 2) / BANDWIDTH**2
    assert np.abs(found - np.exp(-0.5 * distance)).max() < 3e-3
    assert peak == pytest.approx(1 / (2 * np.pi * BANDWIDTH**2), rel=1e-4)


def test_density_counts_points_just_outside_and_none_far_away():
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-200, 500, (2, 400_000))
    grid = DensityGrid(300, 300)
    grid.add(x.copy(), y.copy())
    found, peak = grid.blurred()
    # Even everywhere, the edges included.
    assert found.min() > 0.75
    assert peak == pytest.approx(400_000 / 700**2, rel=0.25)
    empty = DensityGrid(300, 300)
    empty.add(np.full(9, 1e6), np.full(9, -1e6))
    assert not empty.blurred()[0].any()


def test_ticks_are_round_and_short():
    assert step_of(10, 5) == 2
    assert step_of(1.01, 5) == 0.5
    assert step_of(7e9, 4) == 2e9
    ticks = ticks_of(-1.03, 2.2, 5)
    assert ticks.values == (-1.0, 0.0, 1.0, 2.0)
    assert ticks.texts == ("−1", "0", "1", "2")
    assert ticks_of(0.02, 0.085, 5).texts == ("0.02", "0.04", "0.06", "0.08")
    large = ticks_of(-2.5e9, 2.5e9, 5)
    assert large.note == "×10⁹"
    assert large.texts == ("−2", "−1", "0", "1", "2")
    small = ticks_of(0, 4e-6, 5)
    assert (small.note, small.texts) == ("×10⁻⁶", ("0", "1", "2", "3", "4"))
    near = ticks_of(1e9, 1e9 + 4, 5)
    assert near.note == "+ 1 000 000 000"
    assert near.texts == ("0", "1", "2", "3", "4")


@pytest.mark.parametrize("span", [3e-9, 0.004, 0.7, 1.0, 13, 9999, 7e7, 3e12])
@pytest.mark.parametrize("low", [0.0, -0.37, 12.0, -5e8])
def test_ticks_always_read_back(span, low):
    low = low * span
    ticks = ticks_of(low, low + span, 6)
    assert 2 <= len(ticks.values) <= 7
    assert len(set(ticks.texts)) == len(ticks.texts)
    assert all(len(text) <= 7 for text in ticks.texts)
    steps = np.diff(ticks.values)
    mantissa = steps[0] / 10 ** np.floor(np.log10(steps[0]) + 1e-5)
    assert min(abs(mantissa - m) for m in (1, 2, 5)) < 1e-3


def test_plain_numbers_have_three_digits():
    assert [plain(v) for v in (0.0, 1.23456, -1200.0, 1.5e-7)] == [
        "0",
        "1.23",
        "−1.2×10³",
        "1.5×10⁻⁷",
    ]


def test_view_there_and_back():
    view = MapView(-3, 5, 10, 11, 50, 8, 640, 480)
    for x, y in ((-3, 10), (5, 11), (0.25, 10.7)):
        across, down = view.pixels(x, y)
        assert view.data(across, down) == pytest.approx((x, y))
    assert view.pixels(-3.0, 11.0) == (50, 8)
    zoomed = view.zoomed(3.0, 200, 100)
    assert zoomed.data(200, 100) == pytest.approx(view.data(200, 100))
    assert zoomed.scale == pytest.approx(tuple(3 * s for s in view.scale))
    moved = view.panned(12, -7)
    assert moved.pixels(0.0, 10.5) == pytest.approx(
        [a + b for a, b in zip(view.pixels(0.0, 10.5), (12, -7))]
    )


@pytest.mark.parametrize(
    "extent",
    [None, (1, 1, 2, 2), (0, 0, 0, 0), (0, 1e9, 0, 1e-3), (1e9, 1e9, -5, 5), (-1e-30, 1e-30, 0, 0)],
)
def test_fitted_view_holds_everything(extent):
    view = fitted(extent, 40, 8, 500, 300)
    x0, x1, y0, y1 = extent or (-1, 1, -1, 1)
    assert view.x0 < x0 <= x1 < view.x1
    assert view.y0 < y0 <= y1 < view.y1
    assert np.isfinite(view.scale).all()


def test_like_ranges_have_like_units():
    view = fitted((-3, 3, -1, 1), 40, 8, 500, 300)
    assert view.scale[0] == pytest.approx(view.scale[1])
    far = fitted((-300, 300, -1, 1), 40, 8, 500, 300)
    assert far.scale[1] > 10 * far.scale[0]


def test_a_million_points_are_drawn_where_they_are():
    rng = np.random.default_rng(11)
    count = 1_000_000
    places = rng.normal(size=(count, 2)).astype(np.float32)
    rgb = rng.integers(1, 255, (count, 3)).astype(np.uint8)
    scene = PointScene()
    scene.set_points(places)
    scene.set_colours(rgb)
    view = MapView(-1.0, 2.0, -2.0, 0.5, 0, 0, 300, 250)
    picture = scene.render(view, 1.0)
    x, y = view.pixels(places[:, 0].astype(np.float64), places[:, 1].astype(np.float64))
    inside = (x >= 0) & (x < 300) & (y >= 0) & (y < 250)
    flat = np.floor(y[inside]).astype(int) * 300 + np.floor(x[inside]).astype(int)
    counts = np.bincount(flat, minlength=300 * 250)
    assert np.array_equal((picture.reshape(-1) != 0), counts > 0)
    # Where a pixel has one point, it has its colour; elsewhere that of one of its points.
    packed = pack(rgb[inside])
    single = np.flatnonzero(counts == 1)
    owner = np.zeros(300 * 250, np.uint32)
    owner[flat] = packed
    assert np.array_equal(picture.reshape(-1)[single], owner[single])
    pairs = set(zip(flat.tolist(), packed.tolist()))
    drawn = np.flatnonzero(counts)[::37]
    assert all((p, int(picture.reshape(-1)[p])) in pairs for p in drawn.tolist())
