"""The effects panel: measuring, warnings, untangling; the document after accepting."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QPushButton

from latentlab.core.direction import apply_edits
from latentlab.core.latents import Latents
from latentlab.core.requests import Failure
from latentlab.core.spec import Provenance
from latentlab.ui.panels.effects import EffectsPanel
from latentlab.ui.widgets.diverging import diverging_colour
from tests.ui.effects_stage import COLUMNS, Found, answer, make_report, tell, turned
from tests.ui.stage import NAMES, FormulaBridge, decode, directions, make_controller, pixels

pytestmark = pytest.mark.gui


def open_controller(tmp_path, **model):
    controller = make_controller(tmp_path, FormulaBridge(), **model)
    controller.open_model("waves")
    controller.set_sampling(seed=3, count=1)
    controller._bridge.jobs.clear()
    return controller


@pytest.fixture
def controller(tmp_path, qtbot):
    return open_controller(tmp_path)


@pytest.fixture
def bridge(controller):
    return controller._bridge


def open_panel(controller, qtbot, width: int = 420, height: int = 560) -> EffectsPanel:
    panel = EffectsPanel(controller)
    qtbot.addWidget(panel)
    panel.resize(width, height)
    with qtbot.waitExposed(panel):
        panel.show()
    return panel


@pytest.fixture
def panel(controller, qtbot):
    return open_panel(controller, qtbot)


def button(panel, text: str) -> QPushButton:
    found = (b for b in panel.findChildren(QPushButton) if b.isVisibleTo(panel))
    return next(b for b in found if b.text().replace("&", "") == text)


def click(qtbot, widget) -> None:
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)


def measure(panel, qtbot, report=None) -> None:
    click(qtbot, panel.bar.button)
    answer(panel._controller._bridge, report or make_report())


def known_by_name(controller):
    return list(controller.directions.values())


def test_it_begins_with_what_entanglement_is_and_one_button(panel, bridge, qtbot):
    assert panel.empty.isVisible()
    assert "entangled" in panel.empty.accessibleDescription()
    start = next(b for b in panel.empty.findChildren(QPushButton) if b.isVisible())
    click(qtbot, start)
    job = bridge.jobs[-1]
    assert job.kind == "measure_effects"
    assert job.arguments["model"] == "waves"
    assert job.arguments["reader"] == "probe"
    assert (job.arguments["samples"], job.arguments["amount"]) == (128, 2.0)
    assert {d.name for d in job.arguments["directions"]} == set(NAMES)
    assert "Measuring what sliders do" in [one.title for one in panel._controller.jobs]


def test_a_report_is_drawn_and_known_to_the_controller(panel, controller, qtbot):
    told = []
    controller.effects_changed.connect(told.append)
    report = make_report()
    measure(panel, qtbot, report)
    assert controller.effects is report
    assert told[-1] is report
    assert not panel.empty.isVisible()
    view = panel.matrices.effects
    row, column = NAMES.index("smiling"), COLUMNS.index("eyeglasses")
    box = view.cell_rect(row, column)
    seen = pixels(view.viewport())[box.top() + 4, box.left() + 4]
    expected = diverging_colour(report.mean[row, column], view.matrix.limit, False)
    assert tuple(int(v) for v in seen) == expected.getRgb()[:3]
    assert "64 samples" in panel.status.text()
    assert "0.60" in panel.status.text()
    assert "mustache" in panel.status.text()


def test_partial_results_are_drawn_and_cancel_leaves_nothing(panel, controller, bridge, qtbot):
    click(qtbot, panel.bar.button)
    assert panel.bar.button.text().replace("&", "") == "Cancel"
    assert not panel.bar.reader_box.isEnabled()
    tell(bridge, 16, 64, make_report(samples=16))
    assert panel.matrices.isVisible()
    assert panel.status.text().startswith("So far")
    assert controller.effects is None
    stopped = []
    bridge.cancel = stopped.append
    click(qtbot, panel.bar.button)
    assert stopped == [bridge.jobs[-1].job]
    from latentlab.core.requests import JobResult

    bridge.job_finished.emit(JobResult(bridge.jobs[-1].job, cancelled=True))
    assert panel.empty.isVisible()
    assert panel.bar.button.text().replace("&", "") == "Measure"
    assert controller.effects is None


def test_a_failure_stands_where_the_matrix_would_be(panel, bridge, qtbot):
    click(qtbot, panel.bar.button)
    answer(bridge, Failure("The probe is missing: install it.", "no file"))
    assert panel.error.isVisible()
    assert panel.error.failure.message.startswith("The probe is missing")
    measure(panel, qtbot)
    assert panel.matrices.isVisible()
    click(qtbot, panel.bar.button)
    answer(bridge, Failure("No memory left.", ""))
    assert panel.matrices.isVisible()
    assert panel.status.text() == "⚠ No memory left."


def test_enter_on_a_cell_puts_that_edit_on_the_canvas(panel, controller, qtbot):
    measure(panel, qtbot)
    view = panel.matrices.effects
    view.setFocus()
    steps = len(controller.history.entries)
    qtbot.keyClick(view, Qt.Key.Key_Down)
    assert "Smiling at +2\N{NO-BREAK SPACE}σ" in panel.matrices.sentence.text()
    qtbot.keyClick(view, Qt.Key.Key_Return)
    assert controller.document.canvas.edits == {"smiling": 2.0}
    assert len(controller.history.entries) == steps + 1
    controller.undo()
    assert controller.document.canvas.edits == {}


def test_a_click_on_a_name_goes_to_its_slider(panel, controller, qtbot):
    measure(panel, qtbot)
    wanted = []
    controller.slider_selected.connect(wanted.append)
    view = panel.matrices.effects
    place = QPoint(8, view.cell_rect(NAMES.index("mustache"), 0).center().y())
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert wanted == ["mustache"]


def test_one_matrix_when_narrow_and_both_when_wide(panel, qtbot):
    measure(panel, qtbot)
    matrices = panel.matrices
    panel.resize(320, 560)
    assert matrices.effects.isVisible()
    assert not matrices.cosines.isVisible()
    buttons = matrices.which._group.buttons()
    click(qtbot, buttons[1])
    assert matrices.cosines.isVisible()
    assert not matrices.effects.isVisible()
    panel.resize(900, 560)
    assert matrices.cosines.isVisible()
    assert matrices.effects.isVisible()
    assert not matrices.which.isVisible()


def test_the_panel_fits_into_320_pixels(panel, qtbot):
    measure(panel, qtbot)
    assert panel.minimumSizeHint().width() <= 320
    panel.resize(320, 560)
    for tab in range(3):
        panel.tabs.setCurrentIndex(tab)
        assert panel.minimumSizeHint().width() <= 320
    assert panel.width() == 320
    panel.tabs.setCurrentIndex(0)
    assert panel.matrices.sentence.width() <= 320


def test_sizes_show_what_ups_and_downs_hide(panel, qtbot):
    report = make_report()
    measure(panel, qtbot, report)
    click(qtbot, panel.matrices.figure._group.buttons()[1])
    assert np.array_equal(panel.matrices.effects.matrix.values, report.size)


def test_warnings_are_sorted_and_marked(panel, controller, qtbot):
    measure(panel, qtbot)
    assert panel.tabs.tabText(1).endswith("⚠ 1")
    panel.tabs.setCurrentIndex(1)
    texts = [panel.warnings.item(i).text() for i in range(panel.warnings.count())]
    assert texts[0] == "⚠ Smiling moves eyeglasses by 0.71 of its own effect."
    assert not any(text.startswith("⚠") for text in texts[1:])
    assert controller.side_effect_of("smiling").warns
    assert not controller.side_effect_of("zebra").warns
    panel.warnings.setCurrentRow(0)
    panel.warnings.setFocus()
    qtbot.keyClick(panel.warnings, Qt.Key.Key_Return)
    assert controller.document.canvas.edits == {"smiling": 2.0}


def test_a_changed_direction_greys_the_matrix_until_undo(panel, controller, qtbot):
    measure(panel, qtbot)
    smiling = controller.directions["smiling"]
    controller.replace_directions({"smiling": turned(smiling)}, "Refit smiling")
    assert "Measured before smiling changed" in panel.status.text()
    assert "out of date" in panel.matrices.effects.accessibleName()
    assert controller.side_effect_of("smiling") is None
    assert not panel.untangle.go.isEnabled()
    controller.undo()
    assert "out of date" not in panel.matrices.effects.accessibleName()
    assert controller.side_effect_of("smiling").warns


def start_untangling(panel, controller, qtbot, better=("smiling",), report=None) -> Found:
    """Untangle what is chosen; the answer turns ``better`` and keeps the others."""
    before = report or make_report()
    measure(panel, qtbot, before)
    panel.tabs.setCurrentWidget(panel.untangle)
    panel.untangle._check(lambda _: True)
    click(qtbot, panel.untangle.go)
    old = controller.directions
    new = tuple(turned(d) if d.name in better else d for d in old.values())
    found = Found(new, before, make_report(side=0.2))
    answer(controller._bridge, found)
    return found


def test_sliders_with_warnings_are_chosen_and_locked_ones_stay(panel, controller, bridge, qtbot):
    controller.set_locked("zebra", True)
    measure(panel, qtbot)
    panel.tabs.setCurrentWidget(panel.untangle)
    assert panel.untangle.chosen == ["smiling"]
    click(qtbot, panel.untangle.all_button)
    assert set(panel.untangle.chosen) == set(NAMES) - {"zebra"}
    click(qtbot, panel.untangle.warned_button)
    click(qtbot, panel.untangle.go)
    job = bridge.jobs[-1]
    assert job.kind == "orthogonalise_directions"
    assert job.arguments["names"] == ("smiling",)
    assert job.arguments["locked"] == ("zebra",)
    assert job.arguments["reader"] == "probe"
    assert panel.bar.button.text().replace("&", "") == "Cancel"


def test_warnings_of_the_newest_report_are_chosen_unless_a_person_chose(panel, qtbot):
    panel.tabs.setCurrentWidget(panel.untangle)
    untangle = panel.untangle
    untangle.show_choice(make_report(side=0.7), ())
    assert untangle.chosen == ["smiling"]
    untangle.show_choice(make_report(side=0.2), ())
    assert set(untangle.chosen) == set(NAMES)
    untangle.show_choice(make_report(side=0.7), ())
    assert untangle.chosen == ["smiling"]
    first = untangle.list.item(0)
    rect = untangle.list.visualItemRect(first)
    at = rect.topLeft() + QPoint(10, rect.height() // 2)
    qtbot.mouseClick(untangle.list.viewport(), Qt.MouseButton.LeftButton, pos=at)
    mine = untangle.chosen
    assert mine != ["smiling"]
    untangle.show_choice(make_report(side=0.2), ())
    assert untangle.chosen == mine


def test_what_was_found_changes_nothing_until_it_is_accepted(panel, controller, qtbot):
    found = start_untangling(panel, controller, qtbot)
    steps, document = len(controller.history.entries), controller.document
    assert panel.untangle.shows_result
    table = panel.untangle.table
    rows = [table.figures.index(r, 0).data() for r in range(table.figures.rowCount())]
    assert len(rows) == len(NAMES)
    assert controller.document == document
    click(qtbot, panel.untangle.accept)
    assert len(controller.history.entries) == steps + 1
    vector = controller.directions["smiling"].vector["z"]
    assert np.allclose(vector, next(d for d in found.directions if d.name == "smiling").vector["z"])
    assert [record.name for record in controller.document.directions] == ["smiling"]
    # What was measured of the new sliders holds for them.
    assert controller.effects is found.after
    assert controller.effects_outdated == ()
    assert not controller.side_effect_of("smiling").warns
    controller.undo()
    assert np.allclose(
        controller.directions["smiling"].vector["z"], directions()["smiling"].vector["z"]
    )
    assert controller.effects is found.before
    assert controller.side_effect_of("smiling").warns


def test_discard_leaves_everything(panel, controller, qtbot):
    start_untangling(panel, controller, qtbot)
    document = controller.document
    click(qtbot, panel.untangle.discard)
    assert controller.document == document
    assert not panel.untangle.shows_result
    assert not panel.matrices.side.isVisibleTo(panel.matrices)


def test_a_switch_shows_the_effects_before_and_after(panel, controller, qtbot):
    found = start_untangling(panel, controller, qtbot)
    panel.tabs.setCurrentWidget(panel.matrices)
    assert panel.matrices.side.isVisible()
    assert panel.matrices.shows_after
    shown = panel.matrices.effects.matrix
    assert np.array_equal(shown.values, found.after.mean)
    click(qtbot, panel.matrices.side._group.buttons()[0])
    assert np.array_equal(panel.matrices.effects.matrix.values, found.before.mean)
    # The same colours mean the same.
    assert panel.matrices.effects.matrix.limit == shown.limit


def test_what_did_not_improve_says_so(panel, controller, qtbot):
    start_untangling(panel, controller, qtbot)
    assert panel.untangle.summary.text().startswith("1 new slider; 4 kept as they were")
    model = panel.untangle.table.figures
    said = {row.direction: row.kept for row in model.rows}
    assert said == {name: name != "smiling" for name in NAMES}
    click(qtbot, panel.untangle.discard)
    start_untangling(panel, controller, qtbot, better=())
    assert "Nothing better was found" in panel.untangle.summary.text()
    assert not panel.untangle.accept.isEnabled()


def test_the_same_faces_before_and_after(panel, controller, bridge, qtbot):
    found = start_untangling(panel, controller, qtbot)
    strip = panel.untangle.strip
    assert "Smiling at +2\N{NO-BREAK SPACE}σ" in strip.accessibleName()
    base = bridge.latents_of(strip.picture(0, 0).model_copy(update={"seeds": tuple(range(6))}))
    plain = Latents("z", {"z": base})
    for row, direction in (
        (1, directions()["smiling"]),
        (2, found.directions[NAMES.index("smiling")]),
    ):
        moved = apply_edits(plain, {"smiling": 2.0}, {"smiling": direction})["z"]
        expected = decode(moved)
        for column in range(6):
            assert np.array_equal(strip.image(row, column), expected[column])
    # Another row of the table shows its own faces.
    table = panel.untangle.table
    table.selectRow(next(i for i, r in enumerate(table.figures.rows) if r.direction == "zebra"))
    assert "Zebra" in strip.accessibleName()


def test_a_face_after_can_go_to_the_canvas_and_the_tray(panel, controller, qtbot):
    start_untangling(panel, controller, qtbot)
    strip = panel.untangle.strip
    picture = strip.picture(2, 3)
    qtbot.mouseDClick(strip, Qt.MouseButton.LeftButton, pos=strip.image_rect(0, 0).center())
    strip.setFocus()
    place = strip.image_rect(2, 3).center()
    qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=place)
    qtbot.keyClick(strip, Qt.Key.Key_K)
    assert controller.document.tray[-1].picture.stored == picture.stored
    qtbot.keyClick(strip, Qt.Key.Key_Return)
    assert controller.document.canvas.stored == picture.stored


def test_sliders_that_changed_meanwhile_are_not_replaced(panel, controller, bridge, qtbot):
    measure(panel, qtbot)
    panel.tabs.setCurrentWidget(panel.untangle)
    click(qtbot, panel.untangle.go)
    old = controller.directions
    new = tuple(turned(d) for d in old.values())
    said = []
    controller.message.connect(lambda text, _: said.append(text))
    controller.replace_directions({"smiling": turned(old["smiling"], 0.9)}, "Refit")
    answer(bridge, Found(new, make_report(), make_report(side=0.2)))
    assert not panel.untangle.shows_result
    assert "changed meanwhile" in said[-1]


def test_a_result_goes_when_its_sliders_change(panel, controller, qtbot):
    start_untangling(panel, controller, qtbot)
    zebra = controller.directions["zebra"]
    controller.replace_directions({"zebra": turned(zebra)}, "Refit zebra")
    assert not panel.untangle.shows_result


def test_grey_models_are_told_to_choose_a_data_set(tmp_path, qtbot, monkeypatch):
    from latentlab.ui.widgets import effects_bar

    digits = tmp_path / "digits.zip"
    digits.write_bytes(b"")
    recipe = {"data": {"source": str(digits), "split": "train"}}
    described = {"name": "digits", "source": "digits.zip, split train"}
    data = Provenance(data=described, recipe=recipe)
    controller = open_controller(tmp_path, provenance=data)
    panel = open_panel(controller, qtbot)
    # The labels of the data that it was trained on are offered in the probe's place.
    assert panel.bar.reader == str(digits)
    assert not panel.bar.reader_box.model().item(0).isEnabled()
    chosen = str(tmp_path / "faces.zip")
    monkeypatch.setattr(effects_bar.QFileDialog, "getOpenFileName", lambda *_: (chosen, ""))
    panel.bar.choose_source()
    assert panel.bar.reader == chosen
    click(qtbot, panel.bar.button)
    assert controller._bridge.jobs[-1].arguments["reader"] == chosen


def test_without_a_reader_the_button_asks_for_one(tmp_path, qtbot, monkeypatch):
    from latentlab.ui.widgets import effects_bar

    controller = open_controller(tmp_path, provenance=Provenance(data={"name": "digits"}))
    panel = open_panel(controller, qtbot)
    assert not panel.bar.button.isEnabled()
    assert "digits" in panel.empty.accessibleDescription() or "data set" in (
        panel.empty.accessibleDescription()
    )
    chosen = str(tmp_path / "faces.zip")
    monkeypatch.setattr(effects_bar.QFileDialog, "getOpenFileName", lambda *_: (chosen, ""))
    start = next(b for b in panel.empty.findChildren(QPushButton) if b.isVisible())
    click(qtbot, start)
    assert panel.bar.reader == chosen
    assert controller._bridge.jobs == []


def test_without_sliders_it_says_what_is_missing(tmp_path, qtbot):
    controller = open_controller(tmp_path, known={})
    panel = open_panel(controller, qtbot)
    assert panel.empty.accessibleName() == "There are no sliders to measure"


def test_another_model_has_its_own_report(controller, tmp_path, panel, qtbot):
    from tests.ui.stage import write_formula_model

    write_formula_model(tmp_path, "ripples", size=12)
    measure(panel, qtbot)
    controller.open_model("ripples")
    assert controller.effects is None
    assert panel.empty.isVisible()
    controller.open_model("waves")
    assert controller.effects is not None
    assert panel.matrices.isVisible()


def test_a_name_in_the_window_brings_its_slider_to_the_front(window, qtbot):
    controller = window.controller
    controller.take_effects(make_report(), known_by_name(controller))
    window.hosts["effects"].parentWidget().raise_()
    panel = window.hosts["effects"].panel
    qtbot.waitUntil(panel.matrices.effects.isVisible)
    attributes = window.hosts["attributes"].panel
    # Qt moves what is behind another tab out of the window.
    qtbot.waitUntil(lambda: attributes.visibleRegion().isEmpty())
    view = panel.matrices.effects
    qtbot.waitUntil(lambda: view.viewport().height() > 100)
    place = QPoint(8, view.cell_rect(1, 0).center().y())
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(lambda: not attributes.visibleRegion().isEmpty())
    assert not attributes.row("smiling").slider.visibleRegion().isEmpty()
    assert attributes.row("smiling").slider.hasFocus()
