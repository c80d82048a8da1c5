"""What every image can do: K keeps it, Ctrl+K is the window's, and panels take it."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication

from latentlab.ui.widgets.direction_pages.picture_row import PictureRow
from latentlab.ui.widgets.direction_pages.picture_well import PictureTile
from latentlab.ui.widgets.pair_strip import PairStrip
from latentlab.ui.widgets.picture_menu import PictureMenu, ShownPicture
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


def test_the_menu_of_every_image_fills_the_places_of_panels(window, qtbot):
    controller = window.controller
    menu = PictureMenu(controller, ShownPicture(controller.row_picture(3)), window)
    uses = next(a.menu() for a in menu.actions() if a.text() == "&Use as")
    offered = {action.text(): action for action in uses.actions()}
    offered["B of A − B + C"].trigger()
    maker = window.hosts["directions"].panel
    qtbot.waitUntil(maker.pages["arithmetic"].isVisible)
    assert maker.pages["arithmetic"].wells["B"].picture.seeds == (3,)
    offered["A of a plane of the map"].trigger()
    chosen = window.hosts["manifold"].panel.model.three.pictures
    assert chosen["A"].seeds == (3,)
