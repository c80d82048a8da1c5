"""The heat map: colours of cells, a cursor, sentences, files."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QImage
from PySide6.QtWidgets import QApplication

from latentlab.core.errors import LatentLabError
from latentlab.ui.palette import DARK, LIGHT, make_palette
from latentlab.ui.widgets.diverging import diverging, diverging_colour
from latentlab.ui.widgets.labelled_matrix import LabelledMatrix, nice_limit, short_number
from latentlab.ui.widgets.matrix_paint import GAP, measure_matrix, small_font
from latentlab.ui.widgets.matrix_view import MatrixView
from tests.ui.stage import pixels

pytestmark = pytest.mark.gui

VALUES = np.array([[1.0, -0.25, 0.0], [0.5, -1.0, 0.123456]])


def matrix(values=VALUES, **known) -> LabelledMatrix:
    rows, columns = values.shape
    own = np.zeros(values.shape, bool)
    own[0, 0] = True
    known = {"own": own, "reasons": {(1, 2): "A hat hides it."}} | known
    names = tuple(f"Slider number {i}" for i in range(rows))
    marks = tuple(f"Attribute {i}" for i in range(columns))
    return LabelledMatrix("Effects", names, marks, values, 1.0, "standard deviations", **known)


@pytest.fixture
def view(qtbot):
    view = MatrixView()
    qtbot.addWidget(view)
    view.resize(420, 260)
    view.set_matrix(matrix())
    with qtbot.waitExposed(view):
        view.show()
    return view


def corner_colour(view: MatrixView, row: int, column: int) -> tuple[int, ...]:
    """A pixel of a cell that neither its number nor a frame covers."""
    box = view.cell_rect(row, column)
    return tuple(int(v) for v in pixels(view.viewport())[box.top() + 4, box.left() + 4])


def press(qtbot, view: MatrixView, place: QPoint) -> None:
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_the_ramp_is_that_of_brewer_with_the_ground_in_its_middle():
    light, dark = diverging(False).astype(int), diverging(True).astype(int)
    assert tuple(light[0]) == (0x21, 0x66, 0xAC)
    assert tuple(light[-1]) == (0xB2, 0x18, 0x2B)
    assert tuple(light[128]) == (0xF7, 0xF7, 0xF7)
    assert light[128].min() > 240
    assert dark[128].max() < 50
    # Brightness falls from the middle to both ends in light, and rises in dark.
    for ramp, sign in ((light, -1), (dark, 1)):
        weights = np.array([0.2126, 0.7152, 0.0722])
        bright = ramp @ weights
        assert (sign * np.diff(bright[128:]) > -0.5).all()
        assert (sign * np.diff(bright[128::-1]) > -0.5).all()


def test_values_beyond_the_limit_have_the_colours_of_the_ends():
    assert diverging_colour(9.0, 1.0, False) == diverging_colour(1.0, 1.0, False)
    assert diverging_colour(-9.0, 1.0, True) == diverging_colour(-1.0, 1.0, True)
    assert diverging_colour(float("nan"), 1.0, False) == diverging_colour(0.0, 1.0, False)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_cells_have_the_colours_of_their_values(view, colours):
    view.setPalette(make_palette(colours))
    for row, column in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1)):
        expected = diverging_colour(VALUES[row, column], 1.0, colours is DARK)
        assert corner_colour(view, row, column) == expected.getRgb()[:3]


def test_what_is_out_of_date_is_grey(view):
    view.set_matrix(matrix(), dim=True)
    assert "out of date" in view.accessibleName()
    seen = set()
    for row, column in ((0, 0), (1, 1), (1, 0)):
        red, green, blue = corner_colour(view, row, column)
        assert max(red, green, blue) - min(red, green, blue) <= 6
        seen.add(red)
    # Larger values still stand out.
    assert len(seen) > 1


def test_a_hidden_cell_is_hatched_and_says_why(view):
    box = view.cell_rect(1, 2).adjusted(2, 2, -2, -2)
    picture = pixels(view.viewport())[box.top() : box.bottom(), box.left() : box.right()]
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1
    text, _ = view.tip_at(view.cell_rect(1, 2).center())
    assert text.endswith("A hat hides it.")


def test_its_own_cell_has_an_outline(view):
    view.clearFocus()
    ink = QColor(view.palette().windowText().color()).getRgb()[:3]
    box = view.cell_rect(0, 0)
    grabbed = pixels(view.viewport())
    assert tuple(grabbed[box.top() + 1, box.center().x()]) == ink
    other = view.cell_rect(1, 0)
    assert tuple(grabbed[other.top() + 1, other.center().x()]) != ink


def test_numbers_are_in_the_cells_when_all_of_them_fit(view):
    def inked(row: int, column: int) -> bool:
        box = view.cell_rect(row, column).adjusted(5, 4, -5, -4)
        part = pixels(view.viewport())[box.top() : box.bottom(), box.left() : box.right()]
        return len(np.unique(part.reshape(-1, 3), axis=0)) > 1

    assert inked(0, 1)
    wide = np.tile(VALUES, (1, 6))
    view.set_matrix(matrix(wide, own=None, reasons={}))
    assert not inked(0, 1)
    assert not inked(1, 0)


def test_arrow_keys_move_the_cursor_and_enter_takes_it(view, qtbot):
    moves, taken = [], []
    view.cell_changed.connect(lambda *cell: moves.append(cell))
    view.cell_activated.connect(lambda *cell: taken.append(cell))
    view.setFocus()
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_End):
        qtbot.keyClick(view, key)
    assert moves == [(0, 1), (1, 1), (1, 2)]
    qtbot.keyClick(view, Qt.Key.Key_Return)
    assert taken == [(1, 2)]
    assert "Slider number 1, attribute 2" in view.accessibleDescription()
    qtbot.keyClick(view, Qt.Key.Key_Home)
    qtbot.keyClick(view, Qt.Key.Key_PageUp)
    assert view.cursor_cell == (0, 0)


def test_the_cursor_is_seen_only_with_the_focus(view):
    view.clearFocus()
    before = pixels(view.viewport())
    view.setFocus()
    accent = np.array(view.palette().highlight().color().getRgb()[:3])
    box = view.cell_rect(0, 0)
    after = pixels(view.viewport())
    assert (after[box.top() + 1, box.center().x()] == accent).all()
    assert not (before[box.top() + 1, box.center().x()] == accent).all()


def test_mouse_chooses_cells_and_rows(view, qtbot):
    moves, taken, rows = [], [], []
    view.cell_changed.connect(lambda *cell: moves.append(cell))
    view.cell_activated.connect(lambda *cell: taken.append(cell))
    view.row_clicked.connect(rows.append)
    press(qtbot, view, view.cell_rect(1, 2).center())
    assert moves == [(1, 2)]
    place = view.cell_rect(0, 1).center()
    qtbot.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert taken == [(0, 1)]
    press(qtbot, view, QPoint(10, view.cell_rect(1, 0).center().y()))
    assert rows == [1]
    # Below the cells there is nothing.
    press(qtbot, view, QPoint(view.cell_rect(1, 1).center().x(), view.viewport().height() - 2))
    assert len(moves) == 1


def test_tooltips_are_sentences(view):
    view.set_matrix(matrix(sentences={(0, 1): "It moves."}, column_notes={1: "Read well."}))
    assert view.tip_at(view.cell_rect(0, 1).center())[0] == "It moves."
    assert view.tip_at(QPoint(view.cell_rect(0, 1).center().x(), 5))[0] == "Attribute 1. Read well."
    assert "go to its slider" in view.tip_at(QPoint(5, view.cell_rect(0, 0).center().y()))[0]


def test_a_large_matrix_scrolls_and_its_names_stay(view, qtbot):
    rng = np.random.default_rng(0)
    view.set_matrix(matrix(rng.uniform(-1, 1, (40, 30)), own=None, reasons={}))
    view.resize(320, 240)
    assert view.horizontalScrollBar().maximum() > 0
    assert view.verticalScrollBar().maximum() > 0
    view.setFocus()
    head = view.cell_rect(0, 0).top()
    names = pixels(view.viewport())[:, : view.cell_rect(0, 0).left() - 4]
    for key in (Qt.Key.Key_End, Qt.Key.Key_PageDown):
        qtbot.keyClick(view, key)
    assert view.cursor_cell == (39, 29)
    box = view.cell_rect(39, 29)
    assert view.cell_at(box.center()) == (39, 29)
    assert box.top() >= head
    later = pixels(view.viewport())[:, : names.shape[1]]
    assert not np.array_equal(names, later)
    assert later[head:].std() > 0


def test_names_of_columns_are_never_clipped(view):
    long = LabelledMatrix("T", ("a",), ("Light direction", "Hair colour blond"), np.ones((1, 2)),
                          1.0, "")  # fmt: skip
    for width in (320, 900):
        geometry = measure_matrix(long, view.font(), width, 300)
        metrics = QFontMetricsF(small_font(view.font()))
        longest = max(metrics.horizontalAdvance(name) for name in long.columns)
        room = geometry.head - GAP if geometry.turned else geometry.cell_width
        assert longest <= room


def test_the_table_can_be_copied(view, qtbot):
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    lines = QApplication.clipboard().text().splitlines()
    assert lines[0].split("\t")[1:] == ["Attribute 0", "Attribute 1", "Attribute 2"]
    assert [float(v) for v in lines[2].split("\t")[1:]] == pytest.approx(list(VALUES[1]))
    view.copy_picture()
    assert not QApplication.clipboard().image().isNull()


def test_files_hold_the_whole_matrix(view, tmp_path):
    view.resize(200, 200)
    for kind in ("PNG", "SVG", "CSV"):
        view.save(tmp_path / f"effects.{kind.lower()}", kind)
    rows = list(csv.reader(io.StringIO((tmp_path / "effects.csv").read_text())))
    assert [[float(v) for v in row[1:]] for row in rows[1:]] == VALUES.tolist()
    root = ET.parse(tmp_path / "effects.svg").getroot()
    texts = {"".join(node.itertext()).strip() for node in root.iter() if node.tag.endswith("text")}
    assert {"Effects", "Slider number 1", "Attribute 2", "−0.25"} <= texts
    image = QImage(str(tmp_path / "effects.png"))
    assert image.width() > 400


def test_a_file_that_cannot_be_written_is_one_sentence(view, tmp_path, monkeypatch):
    from latentlab.ui.widgets import matrix_view

    (tmp_path / "folder").mkdir()
    target = str(tmp_path / "folder")
    monkeypatch.setattr(
        matrix_view.QFileDialog, "getSaveFileName", lambda *_: (target + "/", ""), raising=True
    )
    failures = []
    view.failed.connect(failures.append)
    action = next(a for a in view.menu().actions() if "CSV" in a.text())
    (tmp_path / "folder.csv").mkdir()
    action.trigger()
    assert len(failures) == 1
    assert isinstance(failures[0], LatentLabError)


def test_nothing_is_shown_without_a_matrix(view):
    view.set_matrix(None)
    assert view.cursor_cell is None
    assert view.accessibleDescription() == ""
    assert view.cell_at(QPoint(100, 100)) is None
    assert len(np.unique(pixels(view.viewport()).reshape(-1, 3), axis=0)) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.4149, "0.41"), (-1.234, "−1.2"), (0.004, "0"), (-0.001, "0"), (12.3, "12"),
     (0.996, "1.0"), (9.96, "10"), (float("inf"), "?")],
)  # fmt: skip
def test_numbers_have_two_digits(value, text):
    assert short_number(value) == text


def test_limits_are_round_and_large_enough():
    for top in (0.12, 0.99, 1.0, 1.01, 7.3, 9.9, 42.0):
        limit = nice_limit(np.array([top, -top / 2, np.nan]))
        assert top <= limit <= 1.6 * top
    assert nice_limit(np.zeros((0,))) == pytest.approx(0.1)


def test_a_matrix_needs_a_name_for_each_row():
    with pytest.raises(ValueError, match="names"):
        LabelledMatrix("T", ("a",), ("b",), np.ones((2, 1)), 1.0, "")
