"""Slider values copied and pasted: onto the canvas, one image of it, kept images."""

from __future__ import annotations

import shlex

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from latentlab.core.errors import LatentLabError
from latentlab.ui.slider_values import read_values, values_text

pytestmark = pytest.mark.gui

_BOTH = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
_COPY, _PASTE = (Qt.Key.Key_C, _BOTH), (Qt.Key.Key_V, _BOTH)
_PASTE_TRAY = (Qt.Key.Key_V, _BOTH | Qt.KeyboardModifier.ShiftModifier)


def menu(window) -> dict:
    found = window.hosts["attributes"].panel.menu_of_panel().actions()
    return {a.text().split("\t")[0].replace("&", ""): a for a in found if a.text()}


def test_copy_and_paste_onto_the_canvas_by_keys(window, qtbot):
    controller = window.controller
    controller.set_edit("smiling", 1.25)
    controller.set_edit("zebra", -2.0)
    qtbot.keyClick(window.canvas.view, *_COPY)
    controller.reset_edits()
    controller.set_edit("mustache", 3.0)
    steps = len(controller.history.entries)
    qtbot.keyClick(window.canvas.view, *_PASTE)
    assert controller.document.canvas.edits == {"smiling": 1.25, "zebra": -2.0}
    assert len(controller.history.entries) == steps + 1
    panel = window.hosts["attributes"].panel
    assert panel.row("smiling").sigma == 1.25
    assert panel.row("mustache").sigma == 0
    controller.undo()
    assert controller.document.canvas.edits == {"mustache": 3.0}


def test_paste_onto_several_kept_images_in_one_step(window, qtbot):
    controller = window.controller
    for row in (0, 1, 2):
        controller.keep(row)
    controller.set_edit("smiling", 1.5)
    assert not menu(window)["Paste onto selected tray images"].isEnabled()
    menu(window)["Copy slider values"].trigger()
    ids = [item.id for item in controller.document.tray]
    window.tray.select({ids[0], ids[2]})
    steps = len(controller.history.entries)
    qtbot.keyClick(window.tray.view, *_PASTE_TRAY)
    edits = [item.picture.edits for item in controller.document.tray]
    assert edits == [{"smiling": 1.5}, {}, {"smiling": 1.5}]
    assert len(controller.history.entries) == steps + 1
    controller.undo()
    tray = {a.text().split("\t")[0]: a for a in window.tray.menu_for_selection().actions()}
    tray["&Paste slider values"].trigger()
    assert [item.picture.edits for item in controller.document.tray] == edits
    controller.undo()
    menu(window)["Paste onto 2 selected tray images"].trigger()
    assert [item.picture.edits for item in controller.document.tray] == edits


def test_paste_onto_the_selected_image_alone(window):
    controller = window.controller
    controller.set_edit("smiling", 1.5)
    menu(window)["Copy slider values"].trigger()
    controller.reset_edits()
    assert not menu(window)["Paste onto the selected image, alone"].isEnabled()
    seed = controller.document.canvas.seeds[3]
    controller.select(3)
    menu(window)["Paste onto the selected image, alone"].trigger()
    assert controller.document.canvas.seeds == (seed,)
    assert controller.document.canvas.edits == {"smiling": 1.5}


def test_without_a_selection_the_key_says_what_to_do(window, qtbot):
    said = []
    window.controller.failed.connect(lambda text, _details: said.append(text))
    window.controller.keep(0)
    QApplication.clipboard().setText("--set smiling=1")
    qtbot.keyClick(window.tray.view, *_PASTE_TRAY)
    assert "Select images in the tray" in said[0]


def test_images_of_another_model_stay(window):
    controller, said = window.controller, []
    controller.keep(0)
    controller.open_model("ripples")
    controller.keep(0)
    controller.message.connect(lambda text, _details: said.append(text))
    controller.paste_edits_in_tray("--set zebra=1", [i.id for i in controller.document.tray])
    assert [item.picture.edits for item in controller.document.tray] == [{}, {"zebra": 1.0}]
    assert "1 of another model" in said[-1]


def test_an_unknown_slider_changes_nothing(window):
    said = []
    window.controller.failed.connect(lambda text, _details: said.append(text))
    before = window.controller.document
    window.controller.paste_edits("--set smiling=1 --set beard=2")
    assert window.controller.document == before
    assert "no slider 'beard'" in said[0]


def test_values_read_back_exactly():
    values = {"smiling 2": 1.1, "it's": -0.30000000000000004, "a=b": 2.0, "age": 1e-9}
    text = values_text(values)
    assert read_values(text) == values
    # What a shell makes of it is what the command line gets.
    assert shlex.split(text)[:2] == ["--set", "smiling 2=1.1"]


def test_a_whole_command_is_read():
    text = "latentlab edit waves --seed 3 --set smiling=2 --option psi=0.7 --set age=0 --out a.png"
    assert read_values(text) == {"smiling": 2.0}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "no slider values"),
        ("hello 'there", "no slider values"),
        ("--set smiling", "no slider values"),
        ("--set smiling=nan", "-100 to 100"),
        ("--set smiling=1e9", "-100 to 100"),
        ("--set smiling=much", "-100 to 100"),
    ],
)
def test_what_is_none_is_one_sentence(text, part):
    with pytest.raises(LatentLabError, match=part) as caught:
        read_values(text)
    assert "\n" not in caught.value.message
