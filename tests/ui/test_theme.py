"""Light and dark: readable, and icons follow."""

from __future__ import annotations

import dataclasses

import pytest
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QCheckBox

from latentlab.core.paths import asset_path
from latentlab.ui.icons import icon
from latentlab.ui.palette import DARK, LIGHT, contrast, make_palette
from latentlab.ui.theme import ThemeKeeper
from latentlab.ui.widgets.images import from_qimage

pytestmark = pytest.mark.gui


def test_contrast_is_that_of_the_standard(qapp):
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    # Values published with WCAG's own examples.
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read_on_every_ground(qapp, colours):
    for ground in (colours.window, colours.base, colours.alternate, colours.button):
        for ink in (colours.text, colours.caption):
            assert contrast(ink, ground) >= 4.5
    assert contrast(colours.accent_text, colours.accent) >= 4.5
    assert contrast(colours.link, colours.window) >= 4.5
    assert contrast(colours.accent, colours.window) >= 3


def test_the_person_overrides_the_system(qapp):
    theme = ThemeKeeper(qapp, "dark")
    assert theme.dark
    assert qapp.palette().color(QPalette.ColorRole.Window).name() == DARK.window
    changes = []
    theme.changed.connect(lambda: changes.append(theme.dark))
    theme.choose("light")
    assert qapp.palette().color(QPalette.ColorRole.Window).name() == LIGHT.window
    assert changes == [False]


def test_icons_take_the_colour_of_the_text(qapp):
    for colours in (LIGHT, DARK):
        image = icon("undo", make_palette(colours)).pixmap(24, 24).toImage()
        pixels = [image.pixelColor(x, y) for x in range(24) for y in range(24)]
        solid = [p.name() for p in pixels if p.alpha() == 255]
        assert solid
        assert set(solid) == {colours.text}


def test_every_icon_draws_something_different(qapp):
    drawn = {}
    for path in sorted(asset_path("icons").glob("*.svg")):
        pixmap = icon(path.stem, make_palette(LIGHT)).pixmap(24, 24)
        array = from_qimage(pixmap.toImage())
        assert array.min() < 250, path.name
        drawn[path.stem] = array.tobytes()
    assert len(set(drawn.values())) == len(drawn)
    assert icon("no-such-icon", make_palette(LIGHT)).isNull()
    assert set(dataclasses.asdict(LIGHT)) == set(dataclasses.asdict(DARK))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_box_to_tick_is_seen_in_every_state(qapp, qtbot, request, theme):
    keeper = ThemeKeeper(qapp, theme)
    request.addfinalizer(lambda: keeper.choose("light"))
    box = QCheckBox("Tick me")
    qtbot.addWidget(box)
    box.show()

    def drawn():
        image = box.grab().toImage()
        behind = image.pixelColor(0, 0).name()
        inside = {image.pixelColor(x, image.height() // 2).name() for x in range(1, 16)}
        return behind, inside

    behind, empty = drawn()
    assert max(contrast(behind, colour) for colour in empty) >= 4.5
    box.setChecked(True)
    _, ticked = drawn()
    assert keeper.colours.accent in ticked
    assert max(contrast(keeper.colours.accent, colour) for colour in ticked) >= 4.5
