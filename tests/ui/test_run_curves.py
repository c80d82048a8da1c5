"""The curves of runs: what is drawn, over what, how smooth, and what a person reads off."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QCheckBox

from latentlab.core.paths import runs_folder
from latentlab.ui.widgets.images import from_qimage
from latentlab.ui.widgets.run_chart_state import readings
from latentlab.ui.widgets.run_curves_view import CurvesView
from latentlab.ui.widgets.run_marks import Mark
from latentlab.ui.widgets.run_scale import Scale, padded
from latentlab.ui.widgets.run_series import RunSeries, records_of, smooth, training_time
from latentlab.ui.widgets.run_view_state import TrainView
from tests.ui.run_stage import StillFeed, loss_at, make_run
from tests.ui.stage import FormulaBridge, make_controller, pixels, turn_wheel

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton
CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def controller(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    found = make_controller(folder, FormulaBridge())
    found._feed = StillFeed(found.settings, found)
    found.said = []
    found.failed.connect(lambda sentence, _details: found.said.append(sentence))
    found.message.connect(lambda sentence, _details: found.said.append(sentence))
    return found


def open_view(controller, qtbot, *names: str, width: int = 420, **chosen) -> CurvesView:
    view = CurvesView(controller, TrainView(**chosen))
    qtbot.addWidget(view)
    view.resize(width, 700)
    runs = [(runs_folder() / name, name, Mark(place)) for place, name in enumerate(names)]
    feed = controller.runs
    feed.runs()
    for path, _, _ in runs:
        feed.watch(path)
    view.show_runs(runs)
    with qtbot.waitExposed(view):
        view.show()
    return view


@pytest.fixture
def one(controller, qtbot):
    make_run(runs_folder(), "one", noise=0.1)
    return open_view(controller, qtbot, "one", smoothing=0.0)


def lines_of(view, chart: str) -> dict[str, object]:
    return {line.key.rpartition("/")[2]: line for line in view.charts[chart].current_state().lines}


def box(view, name: str) -> QCheckBox:
    return next(b for b in view.legend.findChildren(QCheckBox) if b.accessibleName() == name)


def tick(qtbot, found: QCheckBox) -> None:
    qtbot.mouseClick(found, LEFT, pos=QPoint(8, found.height() // 2))


# Numbers.


def test_debiased_average_is_the_weighted_mean_of_the_past():
    values = np.random.default_rng(0).normal(size=60)
    values[[0, 7, 8, 30]] = np.nan
    decay = 0.9
    found = smooth(values, decay)
    assert math.isnan(found[0])
    for n in (1, 9, 31, 59):
        weights = decay ** (n - np.arange(n + 1.0)) * np.isfinite(values[: n + 1])
        expected = np.nansum(weights * values[: n + 1]) / weights.sum()
        assert found[n] == pytest.approx(expected, rel=1e-12)


def test_a_constant_stays_the_same_however_smooth():
    assert smooth(np.full(50, 3.5), 0.999) == pytest.approx(3.5)


def test_slider_goes_from_one_record_to_ten_thousand():
    assert [records_of(slider) for slider in (0, 0.5, 1)] == pytest.approx([1, 100, 10_000])


def test_pauses_between_attempts_are_no_training_time():
    times = np.array([0.0, 1, 2, 3, 4, 4000, 4001, 4002])
    assert training_time(times).tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


def test_zoomed_in_the_average_still_knows_what_came_before(controller, qtbot):
    make_run(runs_folder(), "one", noise=0.5, every=1, samples=False)
    open_view(controller, qtbot, "one")
    series = RunSeries(controller.runs.curves(runs_folder() / "one"), "steps")
    whole = series.line("loss", 1, 400, 400, 0.25)
    part = series.line("loss", 300, 320, 400, 0.25)
    expected = dict(zip(whole.smooth_x.tolist(), whole.smooth_y.tolist()))
    assert len(part.smooth_x) >= 20
    for x, y in zip(part.smooth_x.tolist(), part.smooth_y.tolist()):
        assert y == pytest.approx(expected[x], rel=2e-4)


def test_many_records_become_few_points_without_losing_a_peak(controller, qtbot):
    path = make_run(runs_folder(), "long", noise=0.0, steps=400, every=1, samples=False)
    open_view(controller, qtbot, "long")
    series = RunSeries(controller.runs.curves(path), "steps")
    line = series.line("loss", 1, 400, 50, 0.5)
    assert len(line.x) <= 53
    assert np.nanmax(line.high) == pytest.approx(loss_at(1), rel=1e-6)
    assert np.nanmin(line.low) == pytest.approx(loss_at(400), rel=1e-6)


@pytest.mark.parametrize("log", [False, True])
def test_scales_go_to_pixels_and_back(log):
    scale = Scale(0.001, 50.0, 200.0, 10.0, log)
    for value in (0.001, 0.3, 50.0):
        assert scale.value(float(scale.place(value))) == pytest.approx(value)
    assert padded(2.0, 2.0, log)[0] < 2.0 < padded(2.0, 2.0, log)[1]


def test_log_scale_has_no_place_for_zero_and_ticks_at_powers():
    scale = Scale(0.001, 100.0, 200.0, 10.0, True)
    assert np.isnan(scale.place(np.array([0.0, -1.0]))).all()
    ticks = scale.ticks(6)
    assert ticks.values == pytest.approx((0.001, 0.01, 0.1, 1, 10, 100))
    assert ticks.texts == ("0.001", "0.01", "0.1", "1", "10", "100")


def test_log_ticks_leave_room_for_their_numbers():
    scale = Scale(1.5, 2500.0, 80.0, 10.0, True)
    assert scale.ticks(3).texts == ("10", "100", "1000")
    narrow = Scale(0.02, 2.1, 80.0, 10.0, True)
    assert narrow.ticks(9).texts == ("0.02", "0.05", "0.1", "0.2", "0.5", "1", "2")
    assert narrow.ticks(4).texts == ("0.03", "0.1", "0.3", "1")
    assert narrow.ticks(2).texts == ("0.1", "1")


# Charts.


def test_usual_charts_and_what_they_hold(one):
    assert list(one.charts) == [
        "loss",
        "losses/reconstruction",
        "losses/kl",
        "learning_rate",
        "grad_norm",
        "images_per_second",
    ]
    lines = lines_of(one, "loss")
    assert set(lines) == {"oneloss", "oneheld_out_loss"}
    assert lines["oneloss"].line.low == pytest.approx(
        [loss_at(step, 0.1) for step in range(10, 401, 10)], rel=1e-6
    )
    assert lines["oneheld_out_loss"].line.x.tolist() == [100, 200, 300, 400]


def test_legend_toggles_parts_and_held_out_points(one, qtbot):
    tick(qtbot, box(one, "Show KL divergence"))
    tick(qtbot, box(one, "Show Held-out loss"))
    lines = lines_of(one, "loss")
    assert set(lines) == {"oneloss", "kl"}
    colours = {line.mark.colour(one.palette()).name() for line in lines.values()}
    dashes = {line.mark.dash for line in lines.values()}
    assert len(colours) == len(dashes) == 2


def test_charts_are_chosen_in_the_menu_and_the_usual_ones_come_back(one):
    actions = {action.text(): action for action in one.bar.charts_menu.actions()}
    actions["Waiting for data"].trigger()
    actions["Loss"].trigger()
    assert "data_wait" in one.charts
    assert "loss" not in one.charts
    line = lines_of(one, "data_wait")["onedata_wait"]
    assert np.unique(line.line.high) == pytest.approx([6.0], rel=1e-5)
    one.bar.charts_menu.actions()[-1].trigger()
    assert "loss" in one.charts
    assert "data_wait" not in one.charts


def test_learning_rate_is_never_smoothed(one):
    one.bar.smoothing.setValue(50)
    assert len(lines_of(one, "loss")["oneloss"].line.smooth_x) > 0
    assert len(lines_of(one, "learning_rate")["onelearning_rate"].line.smooth_x) == 0


@pytest.mark.parametrize(("axis", "last"), [("epochs", 400 / 31), ("time", 390.0)])
def test_other_axes(one, axis, last):
    one.bar.axis.setCurrentIndex(one.bar.axis.findData(axis))
    lines = lines_of(one, "loss")
    assert lines["oneloss"].line.x[-1] == pytest.approx(last, rel=1e-5)
    assert one.extent()[1] == pytest.approx(last, rel=1e-5)
    assert one.x_unit()[1] == ("epochs" if axis == "epochs" else "training time, min")


def test_dragging_zooms_all_charts_and_home_fits(one, qtbot):
    chart, other = one.charts["loss"], one.charts["grad_norm"]
    plot = chart.painter_for(QRectF(chart.rect())).plot
    middle = round(plot.center().y())
    start = QPoint(round(plot.left() + plot.width() * 0.25), middle)
    end = QPoint(round(plot.left() + plot.width() * 0.5), middle)
    qtbot.mousePress(chart, LEFT, pos=start)
    qtbot.mouseMove(chart, end)
    qtbot.mouseRelease(chart, LEFT, pos=end)
    first, last = chart.state.view
    assert first == pytest.approx(10 + 390 * 0.25, abs=4)
    assert last == pytest.approx(10 + 390 * 0.5, abs=4)
    assert other.state.view == chart.state.view
    qtbot.keyClick(chart, Qt.Key.Key_Home)
    assert chart.state.view == other.state.view == (10, 400)


def test_wheel_zooms_with_control_and_scrolls_without(one):
    chart = one.charts["loss"]
    assert not turn_wheel(chart, 1)
    assert chart.state.view == (10, 400)
    plot = chart.painter_for(QRectF(chart.rect())).plot
    assert turn_wheel(chart, 2, CONTROL, QPointF(plot.left(), plot.center().y()))
    first, last = chart.state.view
    assert first == pytest.approx(10, abs=1)
    assert last - first == pytest.approx(390 / 1.25**2, rel=1e-3)


def test_keys_move_zoom_and_read(one, qtbot):
    chart = one.charts["loss"]
    chart.setFocus()
    qtbot.keyClick(chart, Qt.Key.Key_Plus)
    first, last = chart.state.view
    assert last - first == pytest.approx(390 / 1.25)
    qtbot.keyClick(chart, Qt.Key.Key_Right)
    assert chart.state.view[0] == pytest.approx(first + 39 / 1.25)
    qtbot.keyClick(chart, Qt.Key.Key_Right, CONTROL)
    assert math.isfinite(one.charts["grad_norm"].state.cursor)
    assert chart.accessibleDescription().startswith("step 2")
    assert "Loss 0." in chart.accessibleDescription()


def test_hover_reads_the_record_under_the_mouse_in_every_chart(one, qtbot):
    chart = one.charts["loss"]
    painter = chart.painter_for(QRectF(chart.rect()))
    at = QPoint(round(float(painter.x.place(200))), round(painter.plot.center().y()))
    qtbot.mouseMove(chart, at)
    said = {line.label: text for line, text in readings(chart.current_state())}
    assert said["Loss"] == f"Loss {loss_at(200, 0.1):.3g}"
    pace = readings(one.charts["images_per_second"].current_state())
    assert pace[0][1] == "504 img/s"
    before = pixels(chart)
    qtbot.keyClick(chart, Qt.Key.Key_Tab)
    chart.set_cursor(math.nan)
    assert (pixels(chart) != before).any()


def test_log_axis_says_when_it_cannot_show_anything(controller, qtbot):
    make_run(runs_folder(), "negative", scale=-1.0, noise=0.0)
    view = open_view(controller, qtbot, "negative", log=True, smoothing=0.0)
    chart = view.charts["loss"]
    assert chart.painter_for(QRectF(chart.rect())).y is None
    view.bar.log.setChecked(False)
    assert chart.painter_for(QRectF(chart.rect())).y is not None


def test_values_that_are_no_numbers_leave_gaps(controller, qtbot):
    path = make_run(runs_folder(), "gap", noise=0.0)
    events = path / "events.jsonl"
    lines = events.read_text().splitlines()
    broken = [line.replace('"loss": 0.', '"loss": null, "was": 0.') if '"step": 300,' in line
              else line for line in lines]  # fmt: skip
    events.write_text("\n".join(broken) + "\n")
    view = open_view(controller, qtbot, "gap", smoothing=0.0)
    line = lines_of(view, "loss")["gaploss"].line
    assert math.isnan(line.low[line.x.tolist().index(300)])
    assert np.isfinite(line.low).sum() == 39
    pixels(view)


def test_a_run_without_values_says_so(controller, qtbot):
    make_run(runs_folder(), "new", "training", steps=0)
    view = open_view(controller, qtbot, "new")
    assert view.charts == {}
    assert "no values yet" in view.status.text()


def test_checkpoints_and_attempts_are_marked(controller, qtbot):
    make_run(runs_folder(), "twice", resumed_at=150)
    view = open_view(controller, qtbot, "twice")
    flags = view.charts["loss"].state.flags
    assert [(f.place, f.kind) for f in flags if f.kind != "checkpoint"] == [
        (150, "attempt"),
        (300, "best"),
    ]
    assert [f.place for f in flags if f.kind == "checkpoint"] == [100, 200, 400]
    # The hour between the attempts is no training time.
    view.bar.axis.setCurrentIndex(view.bar.axis.findData("time"))
    assert view.extent()[1] == pytest.approx(390, abs=1)


# Several runs.


@pytest.fixture
def two(controller, qtbot):
    make_run(runs_folder(), "first", noise=0.0, steps=200)
    make_run(runs_folder(), "second", noise=0.0, scale=2.0)
    return open_view(controller, qtbot, "first", "second", smoothing=0.0)


def test_runs_are_laid_over_each_other_with_colour_and_dash(two):
    lines = {line.label: line for line in two.charts["learning_rate"].current_state().lines}
    assert set(lines) == {"first", "second"}
    marks = [line.mark for line in lines.values()]
    assert len({mark.colour(two.palette()).name() for mark in marks}) == 2
    assert len({mark.dash for mark in marks}) == 2
    assert len({mark.shape for mark in marks}) == 2
    assert two.extent() == (10, 400)


def test_legend_hides_a_run(two, qtbot):
    tick(qtbot, box(two, "Show second"))
    assert [run.name for run in two.runs] == ["first"]
    assert two.extent() == (10, 200)
    tick(qtbot, box(two, "Show second"))
    assert [run.name for run in two.runs] == ["first", "second"]


def test_two_columns_where_there_is_room(two, qtbot):
    columns = {two.charts[name].x() for name in two.charts}
    assert len(columns) == 1
    two.resize(900, 700)
    qtbot.waitUntil(lambda: len({two.charts[name].x() for name in two.charts}) == 2)


# Files.


def test_copied_and_saved_pictures_hold_all_charts_and_the_legend(two, controller, tmp_path):
    charts = list(two.charts.values())
    two.menu.copy(charts)
    copied = QGuiApplication.clipboard().image()
    two.menu.save(tmp_path / "runs.png", "png", charts)
    two.menu.save(tmp_path / "runs.svg", "svg", charts)
    saved = QImage(str(tmp_path / "runs.png"))
    assert saved.size() == copied.size()
    assert saved.height() >= 2 * sum(chart.height() for chart in charts)
    array = from_qimage(saved)
    for run in two.runs:
        colour = run.mark.colour(two.palette()).getRgb()[:3]
        assert (array == np.array(colour)).all(axis=-1).sum() > 100
    text = (tmp_path / "runs.svg").read_text()
    assert "Learning rate" in text
    assert "second" in text
    assert controller.said[-1] == "Written: runs.svg"


def test_saved_numbers_are_those_of_the_runs(two, tmp_path):
    two.menu.save(tmp_path / "runs.csv", "csv", [two.charts["loss"]])
    with (tmp_path / "runs.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    first = [row for row in rows if row["run"] == "first"]
    assert [int(row["step"]) for row in first] == list(range(10, 201, 10))
    assert float(first[4]["loss"]) == pytest.approx(loss_at(50), rel=1e-6)
    assert [row["step"] for row in first if row["held_out_loss"]] == ["100", "200"]
    assert float(first[4]["losses/kl"]) == pytest.approx(0.2 * loss_at(50), rel=1e-6)


def test_a_file_that_cannot_be_written_is_a_sentence(two, controller, tmp_path):
    (tmp_path / "file").write_text("in the way")
    two.menu.save(tmp_path / "file" / "runs.png", "png", list(two.charts.values()))
    assert "runs.png" in controller.said[-1] or "file" in controller.said[-1]
    assert (tmp_path / "file").read_text() == "in the way"
