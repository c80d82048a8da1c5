"""Documents with the weights that their pictures are shown with, as a session keeps them. No Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from latentlab.core.document import Document, Entry, Picture, Switch, SwitchSource, TrayItem


def of_weights(entries: Sequence[Entry], marks: Mapping[str, str]) -> list[Entry]:
    """Return steps of a history whose pictures name other weights.

    Pictures that stand in hundreds of steps are changed once.

    Args:
        entries: of the history.
        marks: fingerprint of the weights, by model id; pictures of other models stay as they are.
    """
    if not marks:
        return list(entries)
    pictures: dict[int, Picture] = {}
    items: dict[int, TrayItem] = {}
    switches: dict[int, Switch] = {}

    def of_picture(picture: Picture) -> Picture:
        mark = marks.get(picture.model, picture.fingerprint)
        if mark == picture.fingerprint:
            return picture
        known = pictures.get(id(picture))
        if known is None:
            known = pictures[id(picture)] = picture.model_copy(update={"fingerprint": mark})
        return known

    def of_item(item: TrayItem) -> TrayItem:
        picture = of_picture(item.picture)
        if picture is item.picture:
            return item
        known = items.get(id(item))
        if known is None:
            known = items[id(item)] = item.model_copy(update={"picture": picture})
        return known

    def of_switch(switch: Switch) -> Switch:
        known = switches.get(id(switch))
        if known is None:
            sources = tuple(
                SwitchSource(id=source.id, picture=of_picture(source.picture))
                for source in switch.sources
            )
            known = switches[id(switch)] = switch.model_copy(update={"sources": sources})
        return known

    def of_document(document: Document) -> Document:
        canvas = None if document.canvas is None else of_picture(document.canvas)
        tray = tuple(of_item(item) for item in document.tray)
        run = document.denoising
        if run is not None:
            run = run.model_copy(update={"base": of_picture(run.base)})
        update = {"canvas": canvas, "tray": tray, "denoising": run}
        matrices = {model: of_switch(one) for model, one in document.switches.items()}
        return document.model_copy(update={**update, "switches": matrices})

    return [Entry(e.label, of_document(e.document), e.merge_key, e.created) for e in entries]
