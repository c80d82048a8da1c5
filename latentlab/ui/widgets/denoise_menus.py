"""What can be done with a frame or a branch: the menu of all pictures, and more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QWidget

from latentlab.core.denoising import SAMPLERS
from latentlab.ui.denoise_tree import QUANTITIES, setting_of
from latentlab.ui.widgets.denoise_state import WatchState
from latentlab.ui.widgets.picture_menu import PictureMenu, ShownPicture

Act = Callable[[], object]


def _item(text: str, act: Act, keys: str, parent: QWidget) -> QAction:
    action = QAction(f"{text}\t{keys}" if keys else text, parent)
    action.triggered.connect(lambda: act())
    return action


def branch_items(controller: Any, path: str, rename: Act, parent: QWidget) -> list[QAction]:
    """Return what can be done with a run or branch."""
    model, found = controller.denoise, []
    for letter in "AB":
        found.append(
            _item(
                f"Compare as &{letter}",
                lambda letter=letter: model.cursor.use_as(letter, path),
                f"Shift+{letter}",
                parent,
            )
        )
        found[-1].setEnabled(len(model.paths) > 1)
    folded = path in model.folded
    text = "Un&fold" if folded else "&Fold"
    found.append(_item(text, lambda: model.fold(path, not folded), "F", parent))
    if path:
        found.append(_item("Re&name", rename, "F2", parent))
        found.append(_item("De&lete branch", lambda: model.remove(path), "Del", parent))
    return found


def branch_menu(controller: Any, path: str, rename: Act, parent: QWidget) -> QMenu:
    """Return the menu of a run or branch."""
    menu = QMenu(parent)
    for action in branch_items(controller, path, rename, menu):
        menu.addAction(action)
    return menu


def frame_menu(
    controller: Any, shown: ShownPicture, path: str, branch: Act, rename: Act, parent: QWidget
) -> QMenu:
    """Return the menu of a frame: branch, compare, and what every picture offers."""
    menu = PictureMenu(controller, shown, parent)
    first = menu.actions()[0]
    menu.insertAction(first, _item("&Branch here…", branch, "B", menu))
    for action in branch_items(controller, path, rename, menu):
        menu.insertAction(first, action)
    menu.insertSeparator(first)
    return menu


def fill_samplers(menu: QMenu, controller: Any) -> None:
    """Offer what the run can be compared with, on the same noise."""
    model = controller.denoise
    menu.clear()
    menu.setToolTipsVisible(True)
    now = None if model.picture is None else setting_of(model.picture, "").sampling.sampler
    for one in SAMPLERS:
        action = menu.addAction(one.title)
        action.setToolTip(one.summary)
        action.setEnabled(one.id != now)
        action.triggered.connect(lambda _=False, name=one.id: model.compare_samplers(name))


def rows_menu(state: WatchState, changed: Act, parent: QWidget) -> QMenu:
    """Return the menu of what is shown and how it plays; it changes ``state`` and tells."""
    menu = QMenu(parent)

    def switch(show: str, on: bool) -> None:
        wanted = tuple(one for one in QUANTITIES if (on if one == show else one in state.rows))
        # One row at least: the last one stays.
        state.rows = wanted or state.rows
        changed()

    def choose(name: str, on: bool) -> None:
        setattr(state, name, on)
        changed()

    for show, word in QUANTITIES.items():
        name = {"x_t": "x_t", "x0": "x0", "eps": "epsilon"}[show]
        action = menu.addAction(f"{word} ({name})")
        action.setCheckable(True)
        action.setChecked(show in state.rows)
        action.toggled.connect(lambda on, show=show: switch(show, on))
    menu.addSeparator()
    switches = (("fitted", "&Fit: every n-th step"), ("loop", "&Loop: play again and again"))
    for name, text in switches:
        action = menu.addAction(text)
        action.setCheckable(True)
        action.setChecked(getattr(state, name))
        action.toggled.connect(lambda on, name=name: choose(name, on))
    return menu
