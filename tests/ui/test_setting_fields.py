"""The form of all settings: what is typed, stepped, searched, reset, and what is said of it."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel

from latentlab.core.families.registry import known_families
from latentlab.core.settings_schema import Setting, groups, settings
from latentlab.ui.widgets.setting_fields import SettingField
from latentlab.ui.widgets.setting_form import SettingsForm
from latentlab.ui.widgets.setting_text import objection, read_number, show_number, stepped

pytestmark = pytest.mark.gui
RATE = Setting(
    "train.learning_rate", "Rate", "How far.", "number", 1e-3, minimum=0, open_minimum=True
)
COUNT = Setting("train.batch_size", "Batch size", "How many.", "integer", 64, minimum=1)
DECAY = Setting(
    "train.ema_decay",
    "Decay",
    "How slow.",
    "number",
    0.999,
    minimum=0,
    maximum=1,
    open_maximum=True,
)
SIZE = Setting("data.size", "Size", "How large.", "integer", None, optional=True, minimum=4)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (64, "64"),
        (5_500_000, "5,500,000"),
        (1e-3, "1e-3"),
        (2.5e-4, "2.5e-4"),
        (0.25, "0.25"),
        (0.0, "0"),
        (12.0, "12"),
        (0.9995, "0.9995"),
        (2.0e7, "2e7"),
        (None, ""),
    ],
)
def test_numbers_are_read_back_as_they_are_shown(value, text) -> None:
    assert show_number(value) == text
    assert read_number(text, isinstance(value, int)) == value


@pytest.mark.parametrize(
    "text", ["abc", "1,5", "0,002", "1,500", "nan", "inf", "1 2", "0x10", "--1"]
)
def test_what_is_no_number_is_a_sentence(text) -> None:
    with pytest.raises(ValueError, match=r"^Write .*\.$"):
        read_number(text, whole=False)


def test_whole_numbers() -> None:
    assert read_number("2e5", whole=True) == 200_000
    assert read_number(str(2**61 + 1), whole=True) == 2**61 + 1
    with pytest.raises(ValueError, match="whole"):
        read_number("1.5", whole=True)


@pytest.mark.parametrize(
    ("setting", "value", "up", "down"),
    [
        (COUNT, 64, 128, 32),
        (COUNT, 1, 2, 1),
        (COUNT, 500, 1000, 200),
        (COUNT, 300, 500, 200),
        (RATE, 1e-3, 2e-3, 5e-4),
        (RATE, 3e-4, 5e-4, 2e-4),
        (DECAY, 0.999, 0.9995, 0.998),
        (DECAY, 0.5, 0.55, 0.45),
        (SIZE, 4, 5, 4),
    ],
)
def test_steps_are_sensible(setting, value, up, down) -> None:
    assert stepped(value, 1, setting) == pytest.approx(up)
    assert stepped(value, -1, setting) == pytest.approx(down)


@pytest.mark.parametrize("family", known_families())
def test_steps_never_leave_the_limits(family) -> None:
    for one in settings(family):
        if one.kind not in ("integer", "number"):
            continue
        for start in (one.default, one.minimum, one.maximum):
            for way in (1, -1):
                value = start
                for _ in range(40):
                    value = stepped(value, way, one)
                    assert not objection(one, value), (one.key, value)


def shown_form(qtbot, family: str = "vae") -> SettingsForm:
    form = SettingsForm()
    qtbot.addWidget(form)
    form.show_groups(groups(family))
    defaults = {one.key: one.default for one in settings(family)}
    form.show_values(defaults.get, defaults.get, (), "Usual")
    form.resize(380, 900)
    with qtbot.waitExposed(form):
        form.show()
    return form


def type_into(box, text: str) -> None:
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, text)


@pytest.mark.parametrize("family", known_families())
def test_every_setting_has_a_control_that_gives_its_default_back(qtbot, family) -> None:
    form = shown_form(qtbot, family)
    form.all_box.click()
    for one in settings(family):
        field = form.fields[one.key]
        assert field.isVisible()
        if not one.required:
            assert field.value() == one.default, one.key
        assert field.control.accessibleName().startswith(one.title)
        assert one.help in field.control.accessibleDescription()
        assert one.help in field.note.text()
        assert one.key in field.control.toolTip()


def test_typing_stepping_and_choosing_tell_the_value(qtbot) -> None:
    form = shown_form(qtbot)
    told: dict[str, object] = {}
    form.edited.connect(told.__setitem__)
    form.all_box.click()
    type_into(form.fields["train.learning_rate"].control, "3e-4")
    assert told["train.learning_rate"] == 3e-4
    box = form.fields["train.batch_size"].control
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Up)
    assert told["train.batch_size"] == 128
    QTest.keyClick(form.fields["train.schedule"].control, Qt.Key.Key_Down)
    assert told["train.schedule"] == "cosine"
    QTest.keyClick(form.fields["data.flip"].control, Qt.Key.Key_Space)
    assert told["data.flip"] is True
    type_into(form.fields["train.betas"].control, "0.5, 0.99")
    assert told["train.betas"] == [0.5, 0.99]
    type_into(form.fields["data.labels"].control, "smiling, age")
    assert told["data.labels"] == ["smiling", "age"]
    type_into(form.fields["data.size"].control, "32")
    box = form.fields["data.size"].control
    box.selectAll()
    QTest.keyClick(box, Qt.Key.Key_Delete)
    assert told["data.size"] is None
    trackers = form.fields["train.trackers"].control
    QTest.keyClick(trackers.focusProxy(), Qt.Key.Key_Space)
    assert told["train.trackers"] == ["tensorboard"]


def test_a_text_that_may_be_names_too(qtbot) -> None:
    form = shown_form(qtbot)
    told: dict[str, object] = {}
    form.edited.connect(told.__setitem__)
    form.all_box.click()
    box = form.fields["model.condition"].control
    type_into(box, "class")
    assert told["model.condition"] == "class"
    type_into(box, "smiling, age")
    assert told["model.condition"] == ["smiling", "age"]


def test_what_cannot_be_understood_is_said_beside_it_and_stays(qtbot) -> None:
    form = shown_form(qtbot)
    told: list[str] = []
    form.edited.connect(lambda key, _value: told.append(key))
    field = form.fields["train.batch_size"]
    type_into(field.control, "many")
    assert set(form.invalid) == {"train.batch_size"}
    form.set_problems({})
    assert "whole" in field.said or "number" in field.said
    assert field.control.text() == "many"
    QTest.mouseDClick(field.name, Qt.MouseButton.LeftButton)
    defaults = {one.key: one.default for one in settings("vae")}
    form.show_values(defaults.get, defaults.get, (), "Usual")
    assert field.control.text() == "64"
    assert not form.invalid


def test_the_wheel_edits_only_with_the_focus(qtbot) -> None:
    from tests.ui.stage import turn_wheel

    form = shown_form(qtbot)
    box = form.fields["train.batch_size"].control
    form.search.setFocus()
    assert not turn_wheel(box, 1)
    assert box.value() == 64
    box.setFocus()
    turn_wheel(box, 1)
    assert box.value() == 128


def test_few_settings_first_then_all_then_what_is_searched_for(qtbot) -> None:
    form = shown_form(qtbot)

    def visible() -> set[str]:
        return {key for key, field in form.fields.items() if field.isVisible()}

    few = {one.key for one in settings("vae") if not one.advanced}
    assert visible() == few
    form.all_box.click()
    assert visible() == set(form.fields)
    form.all_box.click()
    QTest.keyClicks(form.search, "weight decay")
    found = {"train.weight_decay", "train.optimizer", "train.ema_decay", "train.ema_half_life"}
    assert visible() == found
    headings = [label.text() for label in form.findChildren(QLabel) if label.isVisible()]
    assert "Optimiser" in headings
    assert "Network" not in headings
    form.search.clear()
    QTest.keyClicks(form.search, "xyzzy")
    assert not visible()
    assert form.nothing.isVisible()
    form.search.clear()
    assert visible() == few


def test_what_is_changed_or_wrong_is_never_hidden(qtbot) -> None:
    form = shown_form(qtbot)
    defaults = {one.key: one.default for one in settings("vae")}
    now = defaults | {"train.betas": [0.5, 0.9]}
    form.show_values(now.get, defaults.get, {"train.betas"}, "Preset")
    field = form.fields["train.betas"]
    assert field.isVisible()
    assert field.name.text().startswith("●")
    assert "0.9, 0.999" in field.reset.toolTip()
    form.set_problems({"train.clip_norm": "It is wrong."})
    assert form.fields["train.clip_norm"].isVisible()
    assert form.fields["train.clip_norm"].problem.isVisible()


def test_a_double_click_on_the_name_or_the_arrow_asks_for_a_reset(qtbot) -> None:
    field = SettingField(COUNT)
    qtbot.addWidget(field)
    field.show_usual(64, "Preset", changed=True)
    field.resize(360, 80)
    field.show()
    with qtbot.waitSignal(field.reset_asked):
        qtbot.mouseDClick(field.name, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(field.reset_asked):
        qtbot.mouseClick(field.reset, Qt.MouseButton.LeftButton)


def test_explanations_can_be_hidden(qtbot) -> None:
    form = shown_form(qtbot)
    note = form.fields["train.batch_size"].note
    assert note.isVisible()
    form.explain_box.click()
    assert not note.isVisible()


def test_limits_are_sentences() -> None:
    assert objection(COUNT, 0) == "Batch size must be at least 1."
    assert objection(DECAY, 1.0) == "Decay must be less than 1."
    assert objection(RATE, 0.0) == "Rate must be more than 0."
    assert objection(RATE, 1e-9) == ""
