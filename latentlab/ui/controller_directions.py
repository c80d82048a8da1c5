"""The controller's part about directions: the model's own, and those that the person made."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from latentlab.core.direction import Direction
from latentlab.core.directionfile import load_direction, save_direction
from latentlab.core.document import DirectionRecord, Document, Picture
from latentlab.core.errors import LatentLabError
from latentlab.services.library import Entry
from latentlab.ui import document_directions as changes
from latentlab.ui.edits import picture_key, readable

_KEPT = 1024


class DirectionActions:
    """Methods of ``Controller``; see there."""

    def _prepare_directions(self) -> None:
        self._model_directions: dict[str, Direction] = {}
        self._made: OrderedDict[int, tuple[DirectionRecord, Direction]] = OrderedDict()
        self._listed: tuple[Any, dict[str, Direction]] = (None, {})
        self._told: Any = None

    # What there is.

    @property
    def directions(self) -> dict[str, Direction]:
        """The current model's directions by name, in the order of the sliders.

        The model's own and the document's, of which the latter win by name; without those that were
        removed. The same objects as long as nothing changed.
        """
        mark = self._directions_mark()
        if self._listed[0] != mark:
            self._listed = (mark, self._list_directions())
        return self._listed[1]

    def _directions_mark(self) -> Any:
        """Return what ``directions`` depends on."""
        if self.model_entry is None:
            return None
        model = self.model_entry.id
        own = tuple(changes.own_records(self.document, model).values())
        return model, id(self._model_directions), own, changes.arrangement(self.document, model)

    def _list_directions(self) -> dict[str, Direction]:
        if self.model_entry is None:
            return {}
        model = self.model_entry.id
        known = dict(self._model_directions)
        for name, record in changes.own_records(self.document, model).items():
            # Of another model that once had this id, or without its vector: no slider.
            try:
                direction = self._direction(record)
                self._check_fits(direction)
            except LatentLabError:
                continue
            known[name] = direction
        arrangement = changes.arrangement(self.document, model)
        ordered = changes.arranged(known, arrangement.order)
        return {n: d for n, d in ordered.items() if n not in arrangement.removed}

    def _direction(self, record: DirectionRecord) -> Direction:
        known = self._made.get(id(record))
        if known is None:
            known = (record, self.store.direction(record))
            self._made[id(record)] = known
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return known[1]

    def own_directions(
        self, *pictures: Picture, document: Document | None = None
    ) -> dict[str, Direction]:
        """Return the person's own directions that edits of pictures name.

        That is what a request or a job about these pictures takes as ``directions``.

        Args:
            pictures: of one model.
            document: the one that they stand in; the current one when not given.

        Raises:
            LatentLabError: a vector is no longer here.
        """
        used = changes.used_records(document or self.document, *pictures)
        return {name: self._direction(record) for name, record in used.items()}

    def thumbnail_key(self, picture: Picture, document: Document | None = None) -> str:
        """Return a key that is the same for pictures with the same images, here and now."""
        used = changes.used_records(document or self.document, picture)
        return picture_key(picture) + changes.digest(used)

    def is_own_direction(self, name: str) -> bool:
        """Whether a direction is the person's, not the model's."""
        model = self.model_entry
        return model is not None and name in changes.own_records(self.document, model.id)

    def title_of(self, name: str) -> str:
        """Return what a person calls a direction."""
        model = "" if self.model_entry is None else self.model_entry.id
        return changes.arrangement(self.document, model).titles.get(name) or readable(name)

    @property
    def locked(self) -> tuple[str, ...]:
        """Names of the directions that others are kept orthogonal to."""
        model = "" if self.model_entry is None else self.model_entry.id
        known = self.directions
        return tuple(n for n in changes.arrangement(self.document, model).locked if n in known)

    @property
    def removed_directions(self) -> tuple[str, ...]:
        """Names of the directions that have no slider, because the person removed them."""
        if self.model_entry is None:
            return ()
        model = self.model_entry.id
        known = {**self._model_directions, **changes.own_records(self.document, model)}
        return tuple(n for n in changes.arrangement(self.document, model).removed if n in known)

    # Changes; each is one step of the history.

    def add_directions(self, directions: Iterable[Direction], label: str) -> list[str]:
        """Put directions beside the model's own; return the names that they got.

        A name that is taken gets a number: ``smiling 2``. One that does not fit the model is
        refused, and then none is added.
        """
        found = list(directions)
        with self.reporting():
            model = self._directions_model().id
            for direction in found:
                self._check_fits(direction)
            taken = {*self._model_directions, *changes.own_records(self.document, model)}
            records = []
            for direction in found:
                name = changes.unique_name(direction.name, taken)
                taken.add(name)
                records.append(self.store.put_direction(replace(direction, name=name), model))
            if records:
                self.apply(changes.with_records(self.document, records), label)
            return [record.name for record in records]
        return []

    def replace_directions(self, directions: Mapping[str, Direction], label: str) -> None:
        """Let names mean other directions from now on; kept pictures go on as they are.

        A name of the model's own is allowed: the person's then stands before it.
        """
        with self.reporting():
            model = self._directions_model().id
            document = self.document
            for name, direction in directions.items():
                self._check_fits(direction)
                record = self.store.put_direction(replace(direction, name=name), model)
                old = self._record(document, name)
                if old is not None and changes.content_key(old) != changes.content_key(record):
                    taken = self._model_directions.keys()
                    document = changes.kept_for_tray(document, model, old, taken)
                document = changes.with_records(document, [record])
            self.apply(changes.shown(document, model, directions), label)

    def _record(self, document: Document, name: str) -> DirectionRecord | None:
        """Return what a name means now, as a document would keep it."""
        model = self._directions_model().id
        own = changes.own_records(document, model).get(name)
        theirs = self._model_directions.get(name)
        if own is None and theirs is not None:
            return self.store.put_direction(theirs, model)
        return own

    def remove_direction(self, name: str) -> None:
        """Remove a slider, and its edit from the canvas; kept pictures go on as they are.

        One of the model's own is hidden. One of the person's own goes; while a kept picture still
        uses it, it is hidden and comes back when that picture is shown. One that stands before the
        model's own of the same name gives way to it.
        """
        with self.reporting():
            model = self._directions_model().id
            title = self.title_of(name)
            document = changes.without_edit(self.document, model, name)
            record = changes.own_records(document, model).get(name)
            if record is None and name not in self._model_directions:
                raise LatentLabError(f"There is no direction '{name}' here.")
            if record is None or name not in self._model_directions:
                # ``apply`` drops one of the person's own that nothing needs.
                document = changes.hidden(document, model, name)
                label = f"Hide {title}" if record is None else f"Delete {title}"
            else:
                taken = self._model_directions.keys()
                document = changes.kept_for_tray(document, model, record, taken)
                others = tuple(r for r in document.directions if r is not record)
                document = document.model_copy(update={"directions": others})
                label = f"Back to the model's own {title}"
            self.apply(document, label)

    def restore_directions(self, names: Iterable[str] | None = None) -> None:
        """Show removed directions again, or all of them."""
        with self.reporting():
            model = self._directions_model().id
            wanted = None if names is None else set(names)
            self.apply(changes.shown(self.document, model, wanted), "Show hidden sliders")

    def rename_direction(self, name: str, title: str) -> None:
        """Call a direction something else; edits go on naming it as before."""
        with self.reporting():
            model = self._directions_model().id
            before = self.title_of(name)
            title = " ".join(title.split())[:200]
            known = changes.arrangement(self.document, model).titles
            titles = {key: text for key, text in known.items() if key != name}
            if title and title != readable(name):
                titles[name] = title
            label = f"Rename {before} to {title or readable(name)}"
            self.apply(changes.rearranged(self.document, model, titles=titles), label)

    def set_locked(self, name: str, locked: bool) -> None:
        """Lock a direction: others are kept orthogonal to it; or unlock it."""
        with self.reporting():
            model = self._directions_model().id
            known = changes.arrangement(self.document, model).locked
            names = tuple(n for n in known if n != name) + ((name,) if locked else ())
            label = f"{'Lock' if locked else 'Unlock'} {self.title_of(name)}"
            if set(names) != set(known):
                self.apply(changes.rearranged(self.document, model, locked=names), label)

    def move_direction(self, name: str, index: int) -> None:
        """Put a direction at a place of ``directions``, counted without itself."""
        with self.reporting():
            model = self._directions_model().id
            order = [other for other in self.directions if other != name]
            order.insert(index, name)
            if order != list(self.directions):
                # What is hidden keeps its place behind the others.
                order += self.removed_directions
                document = changes.rearranged(self.document, model, order=tuple(order))
                self.apply(document, f"Move {self.title_of(name)}")

    # Files.

    def import_direction(self, path: Path | str) -> str | None:
        """Take a direction file in; return its name here."""
        path = Path(path)
        with self.reporting():
            entry = self._directions_model()
            direction = load_direction(path)
            self._check_fits(direction)
            record = self.store.put_direction(direction, entry.id)
            name = self._known_as(record)
            if name is not None:
                self.restore_directions([name])
                self.message.emit(f"{self.title_of(name)} is here already.", "")
                return name
            (name,) = self.add_directions([direction], f"Import {readable(direction.name)}")
            text = f"Imported: {self.title_of(name)}"
            if direction.fingerprint not in ("", entry.header.spec.fingerprint):
                text = f"⚠ {text}. It was fitted on other weights: its effect may differ here."
            self.message.emit(text, str(path))
            return name
        return None

    def _known_as(self, record: DirectionRecord) -> str | None:
        """Return the name of a direction that does just the same, if there is one."""
        names = [record.name, *changes.own_records(self.document, record.model)]
        key = changes.content_key(record)
        for name in names:
            here = self._record(self.document, name)
            if here is not None and changes.content_key(here) == key:
                return name
        return None

    def export_direction(self, name: str, path: Path | str) -> bool:
        """Write a direction as a file, under the title that the person gave it."""
        with self.reporting():
            direction = self.directions.get(name)
            if direction is None:
                raise LatentLabError(f"There is no direction '{name}' here.")
            title = self.title_of(name)
            named = name if title == readable(name) else title
            save_direction(Path(path), replace(direction, name=named))
            self.message.emit(f"Written: {Path(path).name}", str(Path(path).absolute()))
            return True
        return False

    def store_direction(self, name: str) -> None:
        """Put a direction into the model's file, so that it comes with the model."""
        with self.reporting():
            entry, direction = self._directions_model(), self.directions.get(name)
            if direction is None:
                raise LatentLabError(f"There is no direction '{name}' here.")
            if entry.bundled:
                raise LatentLabError(
                    f"'{entry.title}' came with LatentLab and stays as it is: export the direction "
                    "as a file instead."
                )
            if entry.step is not None:
                raise LatentLabError(
                    f"'{entry.id}' is still being trained, and its next checkpoint replaces this "
                    "one: export the direction as a file instead."
                )

            def stored(_value: object) -> None:
                self.message.emit(f"{self.title_of(name)} is in '{entry.path.name}' now.", "")
                with self.reporting():
                    self._reload_model(entry)

            title = f"Storing {self.title_of(name)} in {entry.path.name}"
            arguments = {"model": str(entry.path), "directions": {name: direction}}
            self.run_job("store_directions", title, arguments, stored)

    def _reload_model(self, entry: Entry) -> None:
        """Read what a model's file says anew, if it still is the current one."""
        self.library.read_again(entry.path)
        if self.model_entry is not None and self.model_entry.path == entry.path:
            self._set_model(self.library.resolve(entry.path))
        self.library_changed.emit()

    # Inside.

    def _directions_model(self) -> Entry:
        if self.model_entry is None or self.model is None:
            raise LatentLabError("Open a model first: a direction belongs to one.")
        return self.model_entry

    def _check_fits(self, direction: Direction) -> None:
        spaces = () if self.model is None else self.model.spec.spaces
        space = next((space for space in spaces if space.name == direction.space), None)
        if space is None:
            known = ", ".join(space.name for space in spaces)
            raise LatentLabError(
                f"Direction '{direction.name}' moves in space '{direction.space}', which this "
                f"model does not have (it has: {known}): open the model that it was made for."
            )
        direction.check(space)

    def _adopt(
        self, picture: Picture, directions: Mapping[str, Direction]
    ) -> tuple[Document, Picture]:
        """Return the document with directions that came with a picture, and the picture."""
        model = picture.model
        theirs = self.library.directions(self.library.resolve(model)) if directions else {}
        records = [self.store.put_direction(d, model) for d in directions.values()]

        def known(name: str) -> tuple[object, ...] | None:
            mine = theirs.get(name)
            return mine and changes.content_key(self.store.put_direction(mine, model))

        return changes.adopted(self.document, picture, records, theirs.keys(), known)

    def _tell_directions(self) -> None:
        """Say that the directions changed, if they did."""
        mark = self._directions_mark()
        if mark != self._told:
            self._told = mark
            self.directions_changed.emit()
