"""A widget of images has K for itself and leaves Ctrl+K, the action palette, to the window."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication

from latentlab.ui.widgets.direction_pages.picture_row import PictureRow
from latentlab.ui.widgets.direction_pages.picture_well import PictureTile
from latentlab.ui.widgets.pair_strip import PairStrip
from latentlab.ui.widgets.range_view import RangeView

pytestmark = pytest.mark.gui


def claimed(widget, modifiers) -> bool:
    event = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_K, modifiers)
    event.ignore()
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


@pytest.mark.parametrize(
    "make",
    [
        lambda controller: PairStrip(controller),
        lambda controller: PictureTile(controller, "A"),
        lambda controller: PictureRow(controller, ("0",)),
        lambda controller: RangeView(),
    ],
    ids=["pairs", "tile", "row", "range"],
)
def test_k_alone_is_claimed(window, qtbot, make):
    widget = make(window.controller)
    qtbot.addWidget(widget)
    assert claimed(widget, Qt.KeyboardModifier.NoModifier)
    assert not claimed(widget, Qt.KeyboardModifier.ControlModifier)
