"""What a person changes of the switch matrix; each change is one step of the history. No widget."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QMimeData
from PySide6.QtGui import QGuiApplication

from latentlab.core.document import MAX_SOURCES, Picture, Switch
from latentlab.core.errors import LatentLabError
from latentlab.core.recombine import PartRange
from latentlab.core.requests import Failure
from latentlab.core.spec import LatentSpace, ModelSpec
from latentlab.ui import switch_edits as change
from latentlab.ui.controller_files import IMAGE_SUFFIXES
from latentlab.ui.edits import batch_of, row_picture
from latentlab.ui.widgets.image_mime import (
    dropped_files,
    dropped_image,
    has_picture,
    read_pictures,
)
from latentlab.ui.widgets.images import Images

_SEEDS = 1_000_000
_NO_MODEL = "Open a model with several parts first, such as a flow."


class SwitchHand:
    """Methods of ``SwitchModel``; see there."""

    _controller: Any
    _space: LatentSpace | None
    _spec: ModelSpec | None
    _switch: Switch | None
    failed: Any
    place_asked: Any
    count: int

    def _prepare_hand(self) -> None:
        self._portraits = 0

    def _apply(self, switch: Switch, label: str, merge_key: str | None = None) -> None:
        document = change.with_switch(self._controller.document, switch)
        self._controller.apply(document, label, merge_key)

    def _here(self) -> tuple[Switch, LatentSpace]:
        if self._switch is None or self._space is None:
            raise LatentLabError(_NO_MODEL)
        return self._switch, self._space

    # Sources.

    def add(self, pictures: Sequence[Picture], place: int | None = None, label: str = "") -> None:
        """Add pictures, each image of a grid by itself.

        Args:
            pictures: of the current model.
            place: in front of which source; the end when not given.
            label: of the step; empty for a usual one.
        """
        store = self._controller.store
        with self._controller.reporting():
            switch, _ = self._here()
            rows: list[Picture] = []
            for picture in pictures:
                # One more than fits, so that too many are told of.
                count = min(batch_of(picture, store), MAX_SOURCES + 1)
                rows += [row_picture(picture, row, store) for row in range(count)]
            names = ", ".join(change.source_name(one) for one in rows[:2])
            many = names if len(rows) < 3 else f"{len(rows)} pictures"
            self._apply(change.added(switch, rows, place), label or f"Switch {many}")

    def add_samples(self, count: int = 1) -> None:
        """Add prior samples; the first ones are those of the canvas, others have random seeds."""
        with self._controller.reporting():
            switch, space = self._here()
            canvas = self._controller.document.canvas
            here = canvas is not None and canvas.model == switch.model and not canvas.edits
            seeds = list(canvas.seeds[:count]) if here and not switch.sources else []
            while len(seeds) < count:
                seeds.append(secrets.randbelow(_SEEDS))
            plain = Picture(
                model=switch.model,
                fingerprint="" if self._spec is None else self._spec.fingerprint,
                space=space.name,
                seeds=tuple(seeds),
            )
            if here and canvas.space == space.name:
                kept = {"condition": canvas.condition, "options": canvas.options}
                plain = plain.model_copy(update=kept)
            self.add([plain], label=f"Switch {count} sample{'s' if count > 1 else ''}")

    def add_canvas(self) -> None:
        """Add the selected image of the canvas, or all of them."""
        controller = self._controller
        canvas, row = controller.document.canvas, controller.selection
        if canvas is None:
            controller.report(LatentLabError("There is no picture on the canvas yet."))
            return
        with controller.reporting():
            self.add([canvas if row is None else controller.row_picture(row)])

    def add_tray(self) -> None:
        """Add the selected pictures of the tray, or all of this model."""
        controller = self._controller
        tray, chosen = controller.document.tray, set(controller.selected_in_tray())
        with controller.reporting():
            switch, _ = self._here()
            found = [i.picture for i in tray if i.id in chosen or not chosen]
            found = [one for one in found if one.model == switch.model]
            if not found:
                raise LatentLabError("The tray has no picture of this model: keep one with K.")
            self.add(found)

    @property
    def takes_photos(self) -> bool:
        """Whether the model can encode photographs."""
        return self._spec is not None and "encode" in self._spec.capabilities

    @property
    def of_portraits(self) -> bool:
        """Whether the model was trained on portraits, which can be drawn here."""
        spec = self._spec
        return spec is not None and spec.provenance.data.get("name") == "portraits"

    def add_photo(
        self, photo: Path | bytes | Images, place: int | None = None, name: str = ""
    ) -> None:
        """Encode a photograph and add it; it stands in the status bar, with Cancel.

        Args:
            photo: a file, its bytes, or uint8 ``(H, W, C)``.
            place: in front of which source; the end when not given.
            name: what it is called; a file has its own.
        """
        if self._switch is None or not self.takes_photos:
            text = _NO_MODEL if self._switch is None else "This model takes no photographs in."
            self.failed.emit(Failure(text))
            return
        model, title = self._switch.model, photo.name if isinstance(photo, Path) else name
        source = str(photo.absolute()) if isinstance(photo, Path) else photo
        source = np.array(source) if isinstance(source, np.ndarray) else source

        def take(encoded: Any) -> None:
            self._controller.store.put(encoded.photo)
            self._controller.store.put_latents(encoded.latents)
            picture = encoded.picture
            if name:
                picture = picture.model_copy(update={"name": name})
            if self._switch is not None and self._switch.model == model:
                self.add([picture], place)

        self._controller.run_job(
            "encode_photo",
            f"Encoding {title or 'the photograph'}",
            {"model": model, "photo": source},
            on_value=take,
            on_failure=self.failed.emit,
        )

    def add_portraits(self, count: int = 1) -> None:
        """Draw portraits that no model was trained on, encode them and add them."""
        if self._switch is None:
            self.failed.emit(Failure(_NO_MODEL))
            return
        for _ in range(count):
            index, self._portraits = self._portraits, self._portraits + 1
            self._controller.run_job(
                "sample_portrait",
                "Drawing a portrait",
                {"model": self._switch.model, "index": index},
                on_value=lambda drawn: self.add_photo(drawn.image, name=drawn.name),
                on_failure=self.failed.emit,
            )

    def take(self, data: QMimeData, place: int | None = None) -> bool:
        """Add what was dropped or pasted; sources that were dragged here only move.

        Args:
            data: pictures of ours, files, or an image.
            place: in front of which source; the end when not given.

        Returns:
            Whether there was something.
        """
        with self._controller.reporting():
            switch, _ = self._here()
            if has_picture(data):
                dropped = read_pictures(data, self._controller.store)
                here = {source.id for source in switch.sources}
                if dropped.source == "switch" and dropped.items and set(dropped.items) <= here:
                    self.move(dropped.items, switch_end(switch) if place is None else place)
                else:
                    self.add(dropped.pictures, place)
                return True
            files = [p for p in dropped_files(data) if p.suffix.lower() in IMAGE_SUFFIXES]
            for file in files:
                self.add_photo(file, place)
            if files:
                return True
            image = dropped_image(data)
            if image is not None:
                self.add_photo(image, place, "pasted")
                return True
            raise LatentLabError("That is no picture: choose a JPEG or PNG file, or a kept image.")
        return True

    def paste(self) -> None:
        """Add what is on the clipboard."""
        data = QGuiApplication.clipboard().mimeData()
        if data is None or not (has_picture(data) or data.hasImage() or data.hasUrls()):
            self.failed.emit(Failure("The clipboard holds no picture: copy one first."))
            return
        self.take(data)

    def remove(self, ids: Collection[str]) -> None:
        """Take sources out; undo brings them back."""
        if self._switch is not None and ids:
            text = "Remove from the switch"
            self._apply(change.without(self._switch, ids), text)

    def clear(self) -> None:
        """Take all sources out."""
        if self._switch is not None and self._switch.sources:
            empty = change.without(self._switch, [one.id for one in self._switch.sources])
            self._apply(empty, "Clear the switch")

    def move(self, ids: Collection[str], place: int) -> None:
        """Move sources in front of a place."""
        if self._switch is not None:
            self._apply(change.moved(self._switch, ids, place), "Reorder the switch")

    def step(self, source: int, by: int) -> bool:
        """Move one source one place; return whether it moved."""
        switch = self._switch
        if switch is None or not 0 <= source + by < len(switch.sources):
            return False
        place = source + by + (1 if by > 0 else 0)
        self.move([switch.sources[source].id], place)
        return True

    def use(self, slot: str, picture: Picture) -> None:
        """Choose a picture as row or as column; it is added where it is no source yet."""
        switch = self._switch
        if switch is None:
            self.failed.emit(Failure(_NO_MODEL))
            return
        places = [k for k, one in enumerate(switch.sources) if one.picture == picture]
        place = places[0] if places else len(switch.sources)
        if not places:
            self.add([picture])
        if place < self.count:
            self.place_asked.emit((place, -1) if slot == "row" else (-1, place))

    # Roles.

    def turn(self, units: Collection[PartRange], to_row: bool) -> None:
        """Take parts or layers from the row, or from the column."""
        if self._switch is None or self._space is None:
            return
        new = change.turned(self._switch, units, to_row, self._space)
        self._apply(new, f"{change.both_texts(new, self._space)[0]} by row")

    def swap(self) -> None:
        """Turn the matrix about its diagonal."""
        if self._switch is not None and self._space is not None:
            self._apply(change.swapped(self._switch, self._space), "Swap rows and columns")

    # The pair.

    def choose_pair(self, first: int, second: int) -> None:
        """Choose two sources to be blended."""
        switch = self._switch
        if switch is not None and first != second:
            ids = (switch.sources[first].id, switch.sources[second].id)
            self._apply(change.with_pair(switch, *ids), "Choose a pair to blend")

    def set_amounts(
        self,
        pair: tuple[int, int],
        amounts: Mapping[PartRange, float],
        merge_key: str | None = None,
    ) -> None:
        """Blend two sources otherwise; calls with one merge key are one step.

        Args:
            pair: places of the two.
            amounts: by part or single layer: 0 is the first, 1 the second; others stay.
            merge_key: see ``Controller.apply``.
        """
        switch, space = self._switch, self._space
        if switch is None or space is None or max(pair) >= len(switch.sources):
            return
        ids = (switch.sources[pair[0]].id, switch.sources[pair[1]].id)
        with self._controller.reporting():
            new = change.with_amounts(change.with_pair(switch, *ids), amounts, space)
            first, second = (change.LETTERS[place] for place in pair)
            self._apply(new, f"Blend {first} and {second}", merge_key)


def switch_end(switch: Switch) -> int:
    """Return the place behind the last source."""
    return len(switch.sources)
