"""Labels to colours, and the legend that toggles them."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QLabel, QScrollArea, QToolButton, QWidget

from latentlab.core.labels import LabelColumn
from latentlab.ui.widgets.colours import OKABE_ITO
from latentlab.ui.widgets.label_colours import (
    UNKNOWN,
    UNKNOWN_RGB,
    class_rgb,
    colours_of,
    diverging,
    viridis,
)
from latentlab.ui.widgets.map_legend import BarView, MapLegend
from tests.ui.stage import pixels

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton
ALT = Qt.KeyboardModifier.AltModifier


def categorical(count: int = 90, classes: int = 3) -> LabelColumn:
    values = (np.arange(count) % classes).astype(np.float32)
    return LabelColumn("kind", "categorical", values, tuple(f"kind {n}" for n in range(classes)))


@pytest.fixture
def legend(qtbot):
    found = MapLegend()
    qtbot.addWidget(found)
    found.resize(220, 420)
    found.show()
    qtbot.waitExposed(found)
    return found


def rows(legend: MapLegend) -> dict[str, QWidget]:
    return {row.row.name: row for row in legend.rows}


def tick(qtbot, row: QWidget, modifiers=Qt.KeyboardModifier.NoModifier) -> None:
    qtbot.mouseClick(row, LEFT, modifiers, QPoint(8, row.height() // 2))


def test_classes_have_okabe_and_itos_colours():
    column = categorical()
    rgb, items = colours_of(column)
    assert rgb.shape == (90, 3)
    assert rgb.dtype == np.uint8
    for row in items.rows:
        mine = column.values == row.code
        assert (rgb[mine] == row.rgb).all()
        assert "#{:02X}{:02X}{:02X}".format(*row.rgb) == OKABE_ITO[row.code]
        assert (items.shapes[mine] == row.shape).all()
        assert row.count == mine.sum() == 30
        assert row.name == f"kind {row.code}"


def test_fifty_six_classes_differ_in_colour_or_shape():
    _, items = colours_of(categorical(560, 56))
    assert len({(row.rgb, row.shape) for row in items.rows}) == 56


def test_what_is_not_known_is_grey():
    values = np.array([0, 1, np.nan, 1, np.nan], np.float32)
    for kind in ("binary", "categorical", "continuous"):
        rgb, items = colours_of(LabelColumn("smiling", kind, values, ("a", "b")))
        assert (rgb[[2, 4]] == UNKNOWN_RGB).all()
        assert items.codes.tolist().count(UNKNOWN) == 2
        assert (items.rows[-1].name, items.rows[-1].count) == ("unknown", 2)
    _, items = colours_of(LabelColumn("smiling", "binary", values))
    assert [(row.name, row.count) for row in items.rows[:2]] == [("no", 1), ("yes", 2)]


def test_a_class_without_a_name_is_numbered():
    column = LabelColumn("kind", "categorical", np.array([0, 7], np.float32), ("first",))
    _, items = colours_of(column)
    assert [(row.name, row.count) for row in items.rows] == [("first", 1), ("class 7", 1)]


def test_viridis_is_that_of_another_library():
    from pyqtgraph import colormap

    table = colormap.get("viridis").getLookupTable(nPts=256)[:, :3]
    assert np.abs(viridis().astype(int) - table.astype(int)).max() <= 6


def test_values_go_from_the_1st_to_the_99th_percentile():
    rng = np.random.default_rng(0)
    values = rng.normal(size=2000).astype(np.float32)
    values[5] = 1e6
    rgb, items = colours_of(LabelColumn("age", "continuous", values), unit="years")
    low, high = np.percentile(values.astype(np.float64), (1, 99))
    assert (items.bar.low, items.bar.high) == pytest.approx((low, high))
    assert items.bar.clipped
    assert items.bar.unit == "years"
    assert tuple(rgb[5]) == tuple(viridis()[255])
    middle = int(np.abs(values - (low + high) / 2).argmin())
    assert np.abs(rgb[middle].astype(int) - viridis()[127]).max() < 8
    same, _ = colours_of(LabelColumn("age", "continuous", np.full(9, 3.0, np.float32)))
    assert len(np.unique(same, axis=0)) == 1


def test_a_diverging_scale_has_zero_in_its_middle():
    values = np.linspace(-1, 4, 501).astype(np.float32)
    rgb, items = colours_of(LabelColumn("effect", "continuous", values), scale="diverging")
    assert items.bar.low == -items.bar.high
    zero = rgb[np.abs(values).argmin()].astype(int)
    assert np.ptp(zero) <= 4
    assert rgb[0, 2] > rgb[0, 0]
    assert rgb[-1, 0] > rgb[-1, 2]
    assert len(diverging()) == 256


def test_no_label_is_one_colour():
    rgb, items = colours_of(None, count=5)
    assert rgb.shape == (5, 3)
    assert len(np.unique(rgb, axis=0)) == 1
    assert not items.rows
    assert items.bar is None
    none, _ = colours_of(LabelColumn("x", "continuous", np.full(3, np.nan, np.float32)))
    assert (none == UNKNOWN_RGB).all()


def test_a_click_hides_a_class_and_shows_it_again(legend, qtbot):
    column = categorical()
    legend.set_items(colours_of(column)[1])
    masks = []
    legend.shown_changed.connect(masks.append)
    one = rows(legend)["kind 1"]
    tick(qtbot, one)
    assert np.array_equal(masks[-1], column.values != 1)
    tick(qtbot, one)
    assert masks[-1].all()
    assert len(masks) == 2


def test_space_toggles(legend, qtbot):
    legend.set_items(colours_of(categorical())[1])
    masks = []
    legend.shown_changed.connect(masks.append)
    row = rows(legend)["kind 2"]
    row.setFocus()
    qtbot.keyClick(row, Qt.Key.Key_Space)
    assert masks[-1].sum() == 60


def test_alt_click_isolates_and_brings_all_back(legend, qtbot):
    column = categorical()
    legend.set_items(colours_of(column)[1])
    masks = []
    legend.shown_changed.connect(masks.append)
    tick(qtbot, rows(legend)["kind 2"], ALT)
    assert np.array_equal(masks[-1], column.values == 2)
    assert len(masks) == 1
    tick(qtbot, rows(legend)["kind 2"], ALT)
    assert masks[-1].all()


def test_all_and_none(legend, qtbot):
    legend.set_items(colours_of(categorical())[1])
    masks = []
    legend.shown_changed.connect(masks.append)
    buttons = {b.text().replace("&", ""): b for b in legend.findChildren(QToolButton)}
    qtbot.mouseClick(buttons["None"], LEFT)
    assert not masks[-1].any()
    qtbot.mouseClick(buttons["All"], LEFT)
    assert masks[-1].all()


def test_rows_show_their_colour_and_say_what_they_are(legend):
    legend.set_items(colours_of(categorical())[1])
    for name, row in rows(legend).items():
        assert name in row.text()
        assert "30" in row.text()
        assert name in row.accessibleName()
        assert "30 points" in row.accessibleName()
        image = pixels(row)
        assert (image == class_rgb(row.row.code)).all(axis=2).sum() > 20
    assert "circle" in rows(legend)["kind 0"].accessibleName()


def test_many_classes_scroll(legend):
    legend.set_items(colours_of(categorical(200, 40))[1])
    area = legend.findChild(QScrollArea)
    assert area is not None
    assert area.verticalScrollBar().maximum() > 0
    assert len(legend.rows) == 40
    legend.set_items(colours_of(categorical(24, 12))[1])
    assert len(legend.rows) == 12
    assert not any(a.isVisible() for a in legend.findChildren(QScrollArea))


def test_a_bar_has_ticks_a_unit_and_says_that_it_is_clipped(legend, qtbot):
    values = np.linspace(0, 80, 1000).astype(np.float32)
    values[:40] = np.nan
    _, items = colours_of(LabelColumn("age", "continuous", values), unit="years")
    legend.set_items(items)
    bar = legend.findChild(BarView)
    image = pixels(bar)
    for end in (viridis()[2], viridis()[253]):
        assert (np.abs(image[6].astype(int) - end).max(axis=1) < 8).any()
    texts = [label.text() for label in legend.findChildren(QLabel) if label.isVisible()]
    assert "age (years)" in texts
    assert any("1st and 99th percentile" in text for text in texts)
    assert "years" in bar.accessibleName()
    masks = []
    legend.shown_changed.connect(masks.append)
    tick(qtbot, rows(legend)["unknown"])
    assert np.array_equal(masks[-1], np.isfinite(values))


def test_another_label_starts_with_everything_shown(legend, qtbot):
    legend.set_items(colours_of(categorical())[1])
    tick(qtbot, rows(legend)["kind 1"])
    assert not legend.shown.all()
    legend.set_items(colours_of(categorical(50, 5))[1])
    assert legend.shown.all()
    assert len(legend.shown) == 50
    legend.set_items(None)
    assert legend.shown is None
    assert not legend.rows
