"""What the entanglement view says, against the figures of the report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentlab.core.spec import LatentSpace, ModelSpec, PartSpec, Provenance
from latentlab.ui import effects_model as model
from latentlab.ui.edits import readable
from latentlab.ui.widgets.effects_bar import EffectsBar
from latentlab.ui.widgets.figures_table import FiguresModel, change_mark, is_better
from tests.ui.effects_stage import COLUMNS, make_report, turned
from tests.ui.stage import NAMES, directions


def test_side_effects_are_sorted_and_agree_with_the_report():
    report = make_report()
    found = model.side_effects(report)
    shares = [effect.share for effect in found]
    assert shares == sorted(shares, reverse=True)
    first = found[0]
    assert (first.direction, first.column) == ("smiling", "eyeglasses")
    assert first.share == pytest.approx(0.71 / 1.0)
    assert first.warns
    assert first.sentence(readable) == "Smiling moves eyeglasses by 0.71 of its own effect."
    for name in NAMES:
        figures = report.figures(name)
        mine = next(effect for effect in found if effect.direction == name)
        assert mine.size == pytest.approx(figures.side)
        assert mine.target == pytest.approx(figures.target)
    # What a hat hides is no side effect, however large.
    assert ("wearing_hat", "bangs") not in {(e.direction, e.column) for e in found}
    assert sum(effect.warns for effect in found) == 1


def test_a_slider_that_does_not_move_itself_says_so():
    report = make_report(scale=0.0)
    effect = model.worst_side_effect(report, "smiling")
    assert effect.share == np.inf
    assert effect.sentence(readable) == (
        "Smiling moves eyeglasses by 0.71 standard deviations, but itself by 0 only."
    )
    assert model.worst_side_effect(make_report(directions=("nose", *NAMES[1:])), "nose") is None


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_cells_say_sentences_with_their_error():
    matrix = model.effect_matrix(make_report(), readable)
    row, column = NAMES.index("smiling"), COLUMNS.index("eyeglasses")
    assert plain(matrix.sentence(row, column)) == (
        "Smiling at +2 σ makes eyeglasses change by −0.70 ± 0.02 standard deviations."
    )
    own = plain(matrix.sentence(row, COLUMNS.index("smiling")))
    assert own.startswith("Smiling at +2 σ changes its own attribute by 1.0 ± 0.02")
    hidden = NAMES.index("wearing_hat"), COLUMNS.index("bangs")
    assert set(matrix.reasons) == {hidden}
    assert "Wearing hat hides bangs" in matrix.sentence(*hidden)
    assert "poorly" in matrix.column_notes[COLUMNS.index("mustache")]
    assert "0.99" in matrix.column_notes[COLUMNS.index("zebra")]


def test_ups_and_downs_that_cancel_are_told():
    report = make_report()
    size = report.size.copy()
    size[0, 1] = 0.4
    said = model.effect_sentence(replace(report, size=size), 0, 1, readable)
    assert "on average, but by 0.40 in size" in said


def test_the_matrix_holds_the_figures_and_its_own_cells():
    report = make_report()
    mean, size = model.effect_matrix(report, readable), model.effect_matrix(
        report, readable, sizes=True
    )  # fmt: skip
    assert np.array_equal(mean.values, report.mean)
    assert np.array_equal(size.values, report.size)
    assert mean.limit == size.limit >= report.size.max()
    expected = [[name == column for column in COLUMNS] for name in NAMES]
    assert mean.own.tolist() == expected
    assert mean.strongest(1) == [mean.sentence(NAMES.index("smiling"), 2)]


def test_cosines_are_from_minus_one_to_one():
    matrix = model.cosine_matrix(make_report(), readable)
    assert matrix.limit == 1.0
    assert matrix.sentence(0, 1) == "Zebra and smiling have a cosine of 0.42 (65°)."
    assert "nearly at right angles" in matrix.sentence(0, 2)
    assert "with itself is 1" in matrix.sentence(3, 3)


def test_a_report_is_out_of_date_when_a_direction_changes():
    known = directions()
    report = model.measured(make_report(), known.values(), "probe")
    assert report.changed(known) == ()
    # Another name for where it came from changes nothing; another vector or scale does.
    same = known | {"smiling": replace(known["smiling"], method="SVM", group="x")}
    assert report.changed(same) == ()
    other = known | {"smiling": turned(known["smiling"])}
    assert report.changed(other) == ("smiling",)
    larger = known | {"smiling": replace(known["smiling"], scale=2.0)}
    assert report.changed(larger) == ("smiling",)
    gone = {name: d for name, d in known.items() if name != "zebra"}
    assert report.changed(gone) == ("zebra",)
    more = known | {"age": replace(known["zebra"], name="age")}
    assert report.changed(more) == ()
    assert report.unmeasured(more) == ("age",)


def test_out_of_date_is_one_sentence():
    say = model.stale_sentence
    assert say((), (), readable) == ""
    assert say(("smiling",), (), readable) == ("⚠ Measured before smiling changed: measure again.")
    assert "smiling and wearing hat changed" in say(("smiling", "wearing_hat"), (), readable)
    assert say((), ("age",), readable) == "Age has not been measured yet."
    many = say(("a", "b", "c", "d", "e"), (), readable)
    assert "a, b, c and 2 more" in many


def spec(channels: int = 3, **data) -> ModelSpec:
    space = LatentSpace(name="z", parts=(PartSpec(name="z", shape=(2,)),))
    return ModelSpec(
        id="m", family="vae", image_shape=(channels, 8, 8), spaces=(space,),
        provenance=Provenance(data=data),
    )  # fmt: skip


def test_the_probe_reads_colour_portraits_only():
    assert model.probe_objection(spec(name="portraits")) == ""
    assert model.probe_objection(spec()) == ""
    assert "grey" in model.probe_objection(spec(1))
    assert "cifar10" in model.probe_objection(spec(name="cifar10"))


def test_figures_before_and_after_say_what_was_kept():
    before, after = make_report(), make_report(side=0.2)
    names = ["smiling", "zebra", "mustache"]
    rows = model.figure_rows(names, before, after, kept=("zebra",), locked=("mustache",))
    assert [(r.direction, r.kept, r.locked) for r in rows] == [
        ("smiling", False, False), ("zebra", True, False), ("mustache", True, True)
    ]  # fmt: skip
    table = FiguresModel(readable)
    table.set_rows(rows)
    text = [[table.index(r, c).data() for c in range(4)] for r in range(3)]
    assert text[0] == ["Smiling", "1.0 =", "0.71 → 0.21 ▼", "1.4 → 4.8 ▲"]
    assert text[1][1:] == ["1.0", "0.06", "17"]
    from PySide6.QtCore import Qt

    said = table.index(0, 2).data(Qt.ItemDataRole.AccessibleTextRole)
    assert said == "Smiling, side effect: 0.71 → 0.21 ▼, better (eyeglasses)"
    assert "kept as it was" in table.index(1, 0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert "locked: kept as it was" in table.index(2, 0).data(Qt.ItemDataRole.ToolTipRole)


def test_arrows_say_up_or_down_and_which_is_better():
    assert change_mark(1.201, 1.204) == "="
    assert change_mark(0.41, 0.2) == "▼"
    assert is_better(2, 0.41, 0.2)
    assert not is_better(3, 4.0, 2.0)
    assert is_better(1, 1.0, 1.0) is None


def test_directions_that_stayed_are_found():
    known = directions()
    new = [known["zebra"], turned(known["smiling"])]
    assert model.kept_names(known, new) == ("zebra",)


def test_a_model_of_many_steps_is_measured_on_fewer_samples(qtbot) -> None:
    bar = EffectsBar()
    qtbot.addWidget(bar)
    quick = spec()
    slow = quick.model_copy(update={"capabilities": (*quick.capabilities, "steps")})
    bar.set_model(quick)
    assert bar.samples_box.value() == 128
    bar.set_model(slow)
    assert bar.samples_box.value() == 32
    bar.samples_box.setValue(500)
    bar.set_model(quick)
    # What a person chose stays.
    assert bar.samples_box.value() == 500
