"""The action palette finds anything by a few letters."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from latentlab.ui.widgets.command_palette import fuzzy_score

pytestmark = pytest.mark.gui


def test_letters_must_come_in_order():
    assert fuzzy_score("rol", "Model: Reroll") is not None
    assert fuzzy_score("lor", "Reroll") is None
    assert fuzzy_score("", "Anything") is not None


@pytest.mark.parametrize(
    ("wanted", "best"),
    [("exp im", "File: Export image"), ("undo", "Edit: Undo"), ("dark", "View > Theme: Dark")],
)
def test_the_best_fit_comes_first(wanted, best):
    titles = ["File: Export image", "File: Export latents", "Edit: Undo", "View > Theme: Dark"]
    scores = {t: s for t in titles if (s := fuzzy_score(wanted, t)) is not None}
    assert max(scores, key=scores.get) == best


def test_type_and_enter_does_it(window, qtbot):
    before = window.controller.document.canvas
    qtbot.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    popup = window.palette_popup
    assert popup.isVisible()
    assert popup.list.count() == len(window.palette_entries())
    qtbot.keyClicks(popup.line, "next seed")
    assert popup.shown()[0].startswith("Model: Next seed")
    qtbot.keyClick(popup.line, Qt.Key.Key_Return)
    assert not popup.isVisible()
    assert window.controller.document.canvas.seeds[0] == before.seeds[-1] + 1


def test_what_cannot_be_used_is_passed_over(window, qtbot):
    window.actions_table.actions["find"].trigger()
    popup = window.palette_popup
    qtbot.keyClicks(popup.line, "undo")
    assert popup.shown()[0].startswith("Edit: Undo")
    current = popup.list.currentItem()
    assert current is None or not current.text().startswith("Edit: Undo")
    qtbot.keyClick(popup.line, Qt.Key.Key_Escape)
    assert not popup.isVisible()


def test_arrows_move_the_choice(window, qtbot):
    window.actions_table.actions["find"].trigger()
    popup = window.palette_popup
    first = popup.list.currentRow()
    qtbot.keyClick(popup.line, Qt.Key.Key_Down)
    assert popup.list.currentRow() > first
    qtbot.keyClick(popup.line, Qt.Key.Key_Up)
    assert popup.list.currentRow() == first
    popup.hide()
