"""The plot of a noise schedule: its numbers, its pixels, mouse, keys and files."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtSvg import QSvgRenderer

from latentlab.core.spec import DiffusionFacts
from latentlab.ui.widgets.run_marks import Mark as Style
from latentlab.ui.widgets.schedule_plot import Mark, SchedulePlot
from tests.ui.stage import pixels

LEFT = Qt.MouseButton.LeftButton
LINEAR = DiffusionFacts(schedule="linear", num_timesteps=1000, prediction="epsilon")
COSINE = DiffusionFacts(schedule="cosine", num_timesteps=1000, prediction="v")
ALPHA_BAR = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))


def sigma(t: int) -> float:
    return float(np.sqrt(1 / ALPHA_BAR[t] - 1))


def steps(label: str, times: list[int], current: int) -> list[Mark]:
    return [Mark(label, t, sigma(t), t == current) for t in times]


@pytest.fixture
def plot(qtbot):
    plot = SchedulePlot()
    qtbot.addWidget(plot)
    plot.resize(420, 230)
    plot.set_facts(LINEAR)
    plot.show()
    qtbot.waitExposed(plot)
    return plot


def place_of(plot, t: float, y: float | None = None) -> QPoint:
    """Return where a time is drawn in the first chart; in the middle of it when y is not given."""
    one = plot.canvas.painting().panes[0]
    level = one.plot.center().y() if y is None else float(one.y.place(y))
    return QPointF(float(one.x.place(t)), level).toPoint()


def chosen(plot) -> list[int]:
    found: list[int] = []
    plot.time_chosen.connect(found.append)
    return found


def near(image: np.ndarray, at: QPoint, colour) -> bool:
    """Whether a colour stands within two pixels of a place."""
    patch = image[at.y() - 2 : at.y() + 3, at.x() - 2 : at.x() + 3].reshape(-1, 3).astype(int)
    wanted = np.array(colour.getRgb()[:3])
    return bool((np.abs(patch - wanted).max(axis=1) < 60).any())


def test_alpha_bar_is_drawn_where_its_numbers_are(plot):
    for key in ("signal", "noise"):
        plot.toggle_curve(key, shown=False)
    image = pixels(plot.canvas)
    blue = Style(0).colour(plot.palette())
    for t in (100, 250, 400, 700):
        assert near(image, place_of(plot, t, ALPHA_BAR[t]), blue)
        assert not near(image, place_of(plot, t, ALPHA_BAR[t] + 0.2), blue)


def test_the_current_step_says_its_numbers(plot):
    plot.set_marks(steps("DDIM", [999, 600, 300], current=600))
    said = plot.canvas.accessibleDescription()
    bar = ALPHA_BAR[600]
    snr = bar / (1 - bar)
    for text in ("DDIM", "t 600", f"{sigma(600):.3g}", f"{bar:.3g}", f"{snr:.3g}"):
        assert text in said
    assert f"−{abs(10 * np.log10(snr)):.3g} dB" in said


def test_two_steps_are_told_in_the_same_words(plot):
    plot.resize(420, 400)
    marks = steps("a long name of a run, with 25 steps and more", [999, 600], 600)
    plot.set_marks(marks + steps("B", [999, 300], 300))
    told = [text for _box, _mark, text in plot.canvas.painting().numbers]
    assert len(told) == 2
    assert {"alpha-bar" in text for text in told} == {False}


def test_marks_of_runs_differ_by_shape_and_colour(plot):
    plot.resize(900, 260)
    bare = pixels(plot.canvas)
    plot.set_marks(steps("A", [999, 500], 500) + steps("B", [999, 200], 200))
    marked = pixels(plot.canvas)
    ink = plot.palette().windowText().color()
    assert near(marked, place_of(plot, 500, ALPHA_BAR[500]), ink)
    assert not near(marked, place_of(plot, 200, ALPHA_BAR[200]), ink)
    assert (bare != marked).any()


def test_click_drag_and_leave(plot, qtbot):
    found = chosen(plot)
    canvas = plot.canvas
    qtbot.mousePress(canvas, LEFT, pos=place_of(plot, 300))
    qtbot.mouseMove(canvas, place_of(plot, 500))
    qtbot.mouseMove(canvas, place_of(plot, 700))
    qtbot.mouseRelease(canvas, LEFT, pos=place_of(plot, 700))
    qtbot.mouseMove(canvas, place_of(plot, 100))
    assert found == [pytest.approx(t, abs=3) for t in (300, 500, 700)]
    assert all(isinstance(t, int) for t in found)


def test_beyond_the_axis_the_ends_are_chosen(plot, qtbot):
    found = chosen(plot)
    qtbot.mouseClick(plot.canvas, LEFT, pos=QPoint(plot.canvas.width() - 2, 100))
    assert found == [999]


def test_keys_go_to_the_steps_of_the_run(plot, qtbot):
    plot.set_marks(steps("DDIM", [999, 800, 600, 400], current=600))
    found = chosen(plot)
    canvas = plot.canvas
    canvas.setFocus()
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Home,
                Qt.Key.Key_End):  # fmt: skip
        qtbot.keyClick(canvas, key)
    assert found == [400, 600, 800, 0, 999]
    qtbot.keyClick(canvas, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert found[-1] == 998
    plot.set_marks(steps("DDIM", [999, 800, 600, 400], current=800))
    qtbot.keyClick(canvas, Qt.Key.Key_Left)
    assert found[-1] == 600, "the keys go on from the step that is looked at"


def test_keys_without_a_run_go_by_single_times(plot, qtbot):
    found = chosen(plot)
    qtbot.mouseClick(plot.canvas, LEFT, pos=place_of(plot, 500))
    here = found[-1]
    for key in (Qt.Key.Key_Left, Qt.Key.Key_PageUp):
        qtbot.keyClick(plot.canvas, key)
    assert found[1:] == [here - 1, here - 1 + 49]


def test_hover_reads_off_every_curve(plot, qtbot):
    before = pixels(plot.canvas)
    qtbot.mouseMove(plot.canvas, place_of(plot, 300))
    assert (pixels(plot.canvas) != before).any()
    assert plot.state.cursor == pytest.approx(300, abs=2)
    qtbot.mouseMove(plot.canvas, QPoint(2, 2))
    assert (pixels(plot.canvas) == before).all()


def test_a_click_on_the_legend_and_the_menu_toggle_curves(plot, qtbot):
    plot.canvas.grab()
    boxes = {curve.key: box for box, curve in plot.canvas.legend}
    assert set(boxes) == {"alpha_bar", "signal", "noise"}
    qtbot.mouseClick(plot.canvas, LEFT, pos=boxes["noise"].center().toPoint())
    assert plot.state.hidden == {"noise"}
    menu = plot.curves_menu()
    actions = {action.text(): action for action in menu.actions()}
    assert not actions["Noise rate"].isChecked()
    actions["Noise rate"].trigger()
    actions["SNR"].trigger()
    assert plot.state.hidden == {"snr"}
    menu.deleteLater()


def test_references_are_other_schedules(plot):
    for key in ("signal", "noise"):
        plot.toggle_curve(key, shown=False)
    names = [action.text() for action in plot.curves_menu().actions() if action.isCheckable()]
    assert names[-2:] == ["Cosine schedule", "Offset cosine schedule"]
    bare = pixels(plot.canvas)
    plot.toggle_reference("cosine", True)
    assert (pixels(plot.canvas) != bare).any()
    plot.set_facts(COSINE)
    assert plot.state.references == (), "a schedule is not compared with itself"


def test_all_charts_where_there_is_room_and_a_chooser_where_not(plot, qtbot):
    seen = {}
    for size in ((300, 160), (420, 230), (900, 200), (420, 520), (1600, 800)):
        plot.resize(*size)
        panes = [one.pane.key for one in plot.canvas.painting().panes]
        seen[size] = (panes, plot.pane.isVisible())
    assert seen[300, 160] == seen[420, 230] == (["rates"], True)
    for size in ((900, 200), (420, 520), (1600, 800)):
        assert seen[size] == (["rates", "snr", "beta"], False)
    plot.resize(300, 160)
    plot.pane.setFocus()
    qtbot.keyClick(plot.pane, Qt.Key.Key_Down)
    assert plot.canvas.painting().panes[0].pane.key == "snr"


def test_files_and_clipboard(plot, tmp_path, qtbot):
    plot.set_marks(steps("DDIM", [999, 500], current=500))
    for kind in ("PNG", "SVG", "CSV"):
        with qtbot.waitSignal(plot.written):
            plot.save(tmp_path / f"plot.{kind.lower()}", kind)
    image = QImage(str(tmp_path / "plot.png"))
    assert image.size() == plot.canvas.size() * 2
    assert QSvgRenderer(str(tmp_path / "plot.svg")).isValid()
    with (tmp_path / "plot.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["alpha_bar"]) for row in rows] == pytest.approx(ALPHA_BAR, rel=1e-8)
    assert [row["t"] for row in rows if row["steps"]] == ["500", "999"]
    assert rows[500]["steps"] == "DDIM 2"
    plot.copy()
    assert QGuiApplication.clipboard().image().size() == image.size()


def test_a_file_that_cannot_be_written_says_so(plot, tmp_path, qtbot):
    (tmp_path / "folder").mkdir()
    with qtbot.waitSignal(plot.failed) as failed:
        plot.save(tmp_path / "folder", "PNG")
    assert failed.args[0].endswith(".")


def test_without_a_model_it_says_what_it_would_show(plot, qtbot):
    plot.set_marks(steps("DDIM", [500], current=500))
    plot.set_facts(None)
    assert "diffusion model" in plot.canvas.accessibleDescription()
    found = chosen(plot)
    qtbot.mouseClick(plot.canvas, LEFT)
    qtbot.keyClick(plot.canvas, Qt.Key.Key_Left)
    plot.canvas.grab()
    assert not found
    assert not plot.curves.isEnabled()


@pytest.mark.parametrize("times", [1, 2, 7, 50_000])
def test_schedules_of_any_length(plot, qtbot, times):
    plot.set_facts(DiffusionFacts(schedule="cosine", num_timesteps=times, prediction="x0"))
    plot.set_marks([Mark("", times - 1.0, 3.0, True)])
    found = chosen(plot)
    qtbot.mouseClick(plot.canvas, LEFT, pos=QPoint(plot.canvas.width() - 3, 100))
    plot.canvas.grab()
    assert found == [times - 1]


def test_light_and_dark_draw_on_their_own_ground(plot, qapp):
    from latentlab.ui.theme import ThemeKeeper

    grounds = []
    for theme in ("light", "dark"):
        keeper = ThemeKeeper(qapp, theme)
        grounds.append(int(np.median(pixels(plot.canvas))))
        keeper.deleteLater()
    ThemeKeeper(qapp, "light").deleteLater()
    assert grounds[0] > 200
    assert grounds[1] < 60
