"""The menu of one point of a map: that of every image, and what only a map can do."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QMenu, QWidget

from latentlab.core.document import Picture
from latentlab.ui.map_layouts import THREE, LayoutChoice
from latentlab.ui.map_model import MapModel
from latentlab.ui.map_pictures import Target
from latentlab.ui.map_pointer import MapPointer
from latentlab.ui.widgets.picture_menu import PictureMenu, ShownPicture


def point_menu(
    controller: Any, model: MapModel, pointer: MapPointer, point: int, parent: QWidget
) -> QMenu | None:
    """Return the menu of a point; ``None`` when it is gone."""
    picture = pointer.picture(Target(point, 0.0, 0.0))
    if picture is None:
        return None
    image = controller.thumbnail(picture)
    menu = PictureMenu(controller, ShownPicture(picture, image), parent)
    menu.addSeparator()
    for title, metric in (("Nearest by &latent", "latent"), ("Nearest by &pixels", "pixel")):
        menu.addAction(title).triggered.connect(
            lambda _=False, metric=metric: model.ask_neighbours(point, metric)
        )
    return menu


def use_as(controller: Any, model: MapModel, slot: str, picture: Picture) -> None:
    """Let a picture be A, B or C of the plane of three pictures."""
    model.three.put(slot, picture)
    if model.points is None:
        controller.message.emit(f"This is {slot} of a plane; map something to see it", "")
        return
    if not model.three.missing:
        model.choose_layout(LayoutChoice(THREE))
        return
    missing = " and ".join(model.three.missing)
    controller.message.emit(f"This is {slot}; choose {missing} too, and the plane is shown", "")
