"""The switch matrix of the current model: what is shown, and what is still to be made. No widget.

Sources, roles and amounts stand in ``Document.switches``, so that undo and sessions know them;
latents and images are kept here, and made again by the worker where they are gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from latentlab.core.document import Picture, Switch
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.recombine import PartRange
from latentlab.core.requests import Failure, PreviewResult
from latentlab.core.spec import LatentSpace, ModelSpec
from latentlab.core.switching import Cell, cell_latents, cell_picture, row_ranges
from latentlab.services.switch import Images, RoundTrip, SwitchCheck
from latentlab.ui import switch_edits as change
from latentlab.ui.document_directions import digest, used_records
from latentlab.ui.edits import picture_key
from latentlab.ui.map_jobs import NewestJobs
from latentlab.ui.switch_cells import Key, Plan, SwitchCells
from latentlab.ui.switch_hand import SwitchHand

CHANNEL = "switch"
_CALM_MS = 30


class SwitchModel(SwitchHand, QObject):
    """The matrix of one window.

    Args:
        controller: of the window.

    Signals:
        changed: other sources, roles, amounts or another model.
        cells_changed: images came, or figures about them.
        progress_changed: something is made, is no longer, or failed.
        failed: a ``Failure`` of something that a person asked for.
        place_asked: row and column that shall be chosen.
        blend_asked: places of two sources that shall be blended.
    """

    changed = Signal()
    cells_changed = Signal()
    progress_changed = Signal()
    failed = Signal(object)
    place_asked = Signal(object)
    blend_asked = Signal(int, int)

    def __init__(self, controller: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._spec: ModelSpec | None = None
        self._space: LatentSpace | None = None
        self._switch: Switch | None = None
        self._plan: Plan | None = None
        self._texts = ("", "")
        self._cells = SwitchCells()
        self._last: dict[tuple[str, str], Images] = {}
        self._making: tuple[Any, ...] | None = None
        self._previewed: tuple[int, tuple[Key, ...], Picture] | None = None
        self._watched = False
        self._row = 0
        self.failure: Failure | None = None
        self.jobs = NewestJobs(controller, self)
        self.jobs.changed.connect(self.progress_changed)
        self.jobs.ended.connect(self._ended)
        self._calm = QTimer(self, singleShot=True, interval=_CALM_MS)
        self._calm.timeout.connect(self._begin)
        for signal in (controller.document_changed, controller.model_changed):
            signal.connect(self._follow)
        controller.model_reloaded.connect(self._follow)
        controller.preview_rendered.connect(self._take_preview)
        controller.hold_pictures(self.held_pictures)
        self._prepare_hand()
        self._follow()

    # What there is.

    @property
    def controller(self) -> Any:
        """Of the window."""
        return self._controller

    @property
    def spec(self) -> ModelSpec | None:
        """Of the current model, if it has parts to switch."""
        return self._spec

    @property
    def space(self) -> LatentSpace | None:
        """Whose parts are switched."""
        return self._space

    @property
    def switch(self) -> Switch | None:
        """The matrix of the current model."""
        return self._switch

    @property
    def count(self) -> int:
        """Sources of the matrix."""
        return 0 if self._switch is None else len(self._switch.sources)

    @property
    def rows(self) -> frozenset[PartRange]:
        """Parts and single layers that come from the row."""
        if self._switch is None or self._space is None or self._plan is None:
            return frozenset()
        return change.single(row_ranges(self._switch, self._space), self._space)

    @property
    def texts(self) -> tuple[str, str]:
        """What comes from the row and what from the column, for a person."""
        return self._texts

    def source(self, place: int) -> Picture:
        """Return the picture of a source."""
        assert self._switch is not None
        return self._switch.sources[place].picture

    def name(self, place: int) -> str:
        """Return what a source is called, with its letter: ``A (seed 3)``."""
        return f"{change.LETTERS[place]} ({change.source_name(self.source(place))})"

    def caption(self, cell: Cell, *, short: bool = False) -> str:
        """Return what a cell is: ``Global of A, local of B``; names in full unless ``short``."""
        rows, columns = self.texts
        names = [change.LETTERS[k] if short else self.name(k) for k in cell]
        return change.cell_text(rows, columns, *names)

    def image(self, cell: Cell) -> Images | None:
        """Return the image of a cell; while it is made, what stood there before."""
        if self._plan is None:
            return None
        found = self._cells.image(self._plan.key(cell))
        return self._last.get(self._ids(cell)) if found is None else found

    def waiting(self, cell: Cell) -> bool:
        """Whether the image of a cell is not the one that it will be."""
        return self._plan is not None and self._cells.image(self._plan.key(cell)) is None

    def head_image(self, place: int) -> Images | None:
        """Return the photograph of a source, or else its picture."""
        picture = self.source(place)
        photo = None if picture.edits else self._controller.photo_of(picture)
        return self.image((place, place)) if photo is None else photo

    def trip(self, place: int) -> RoundTrip | None:
        """Return how well a source comes back, if that is known."""
        return None if self._plan is None else self._cells.trips.get(self._plan.looks[place])

    def check_of(self, cell: Cell) -> SwitchCheck | None:
        """Return what was found when a cell was encoded again."""
        return None if self._plan is None else self._cells.checks.get(self._plan.key(cell))

    @property
    def can_check(self) -> bool:
        """Whether switched pictures can be encoded again exactly."""
        spec = self._spec
        return spec is not None and "encode" in spec.capabilities and spec.encode_kind == "exact"

    @property
    def known_latents(self) -> Mapping[str, Latents]:
        """Final latents of the sources, one row each, by id, as far as they are here."""
        return {} if self._plan is None else self._cells.known(self._plan)

    @property
    def plan(self) -> Plan | None:
        """What decides how the cells look."""
        return self._plan

    def latents(self, cell: Cell) -> Latents | None:
        """Return the latents of a cell, one row, once those of its sources are here."""
        known = self.known_latents
        if self._plan is None or self._space is None or not set(self._ids(cell)) <= set(known):
            return None
        return cell_latents(self._plan.switch, known, [cell], self._space)

    def picture(self, cell: Cell) -> Picture | None:
        """Return the picture of a cell, its latents being put into the store.

        ``None`` as long as the latents of its sources are not here.
        """
        if self._plan is None:
            return None
        if cell[0] == cell[1]:
            return self.source(cell[0])
        latents = self.latents(cell)
        if latents is None:
            return None
        self._controller.store.put_latents(latents)
        names = [change.source_name(self.source(place)) for place in cell]
        text = change.cell_text(*self.texts, *names)
        found = cell_picture(self._plan.switch, cell, latents)
        return found.model_copy(update={"name": f"{text[:1].lower()}{text[1:]}"[:200]})

    def _ids(self, cell: Cell) -> tuple[str, str]:
        assert self._switch is not None
        return self._switch.sources[cell[0]].id, self._switch.sources[cell[1]].id

    # In sight or not.

    @property
    def busy(self) -> bool:
        """Whether images are on their way."""
        return self.jobs.runs("switch_matrix") or self.jobs.runs("picture_latents")

    def set_watched(self, watched: bool) -> None:
        """Tell whether the matrix is in sight: only then is it made."""
        self._watched = watched
        if watched:
            self._calm.start()
        else:
            self._calm.stop()

    def set_row(self, row: int) -> None:
        """Tell which row is in hand: it is made first."""
        self._row = max(0, row)

    def try_again(self) -> None:
        """Make what is missing: after Cancel, or an error."""
        self.failure, self._making = None, None
        self.progress_changed.emit()
        self._begin()

    def worker_restarted(self) -> None:
        """Go on: the worker was started anew."""
        self._making = None
        if self._watched:
            self._calm.start()

    def held_pictures(self) -> Sequence[Picture]:
        """Return pictures whose arrays are needed here."""
        return () if self._previewed is None else (self._previewed[2],)

    # Following the document.

    def _look(self, picture: Picture) -> str:
        """Return a text that changes with the image of a source."""
        weights = "" if self._spec is None else self._spec.fingerprint
        used = used_records(self._controller.document, picture)
        plain = picture.model_copy(update={"fingerprint": ""})
        return f"{picture_key(plain)} {weights} {digest(used)}"

    def _follow(self, *_: object) -> None:
        controller, before = self._controller, (self._spec, self._switch, self._plan)
        model, entry = controller.model, controller.model_entry
        self._spec = self._space = self._switch = None
        plan = None
        if model is not None and entry is not None:
            self._space = change.switch_space(model.spec)
        if self._space is not None:
            self._spec = model.spec
            self._switch = change.switch_of(controller.document, entry.id, self._space)
            plan = self._planned(self._switch, self._space)
        self._plan = plan
        if plan is not None and self._space is not None:
            self._texts = change.both_texts(plan.switch, self._space)
        if (self._spec, self._switch, plan) == before:
            return
        if _shape(plan) != _shape(before[2]):
            self.failure = None
            if before[2] is not None:
                self._remember(before[2])
        self.changed.emit()
        if self._watched:
            self._calm.start()

    def _planned(self, switch: Switch, space: LatentSpace) -> Plan | None:
        try:
            by_row = tuple(str(one) for one in row_ranges(switch, space))
        except LatentLabError as error:
            self.failure = Failure(error.message, error.details)
            return None
        looks = tuple(self._look(source.picture) for source in switch.sources)
        # What is blended changes no cell.
        plain = switch.model_copy(update={"pair": (), "amounts": {}})
        return Plan(plain, looks, by_row)

    def _remember(self, plan: Plan) -> None:
        """Keep what the cells show, until their new images come."""
        ids = [source.id for source in plan.switch.sources]
        for row, first in enumerate(ids):
            for column, second in enumerate(ids):
                image = self._cells.image(plan.key((row, column)))
                if image is not None:
                    self._last[first, second] = image
        here = set() if self._switch is None else {one.id for one in self._switch.sources}
        self._last = {pair: image for pair, image in self._last.items() if set(pair) <= here}
        self._cells.forget_rough()

    # Making images.

    def _begin(self) -> None:
        """Ask for what is missing: latents first, then a preview of the row in hand, then all."""
        plan = self._plan
        if not self._watched or plan is None or not plan.looks or self.failure is not None:
            return
        if len(self._cells.known(plan)) < len(plan.looks):
            self._ask_latents(plan)
            return
        row = min(self._row, len(plan.looks) - 1)
        missing = self._cells.missing(plan, row)
        making = (_shape(plan), missing)
        if self._making is not None and self._making[0] == making[0]:
            # On its way already.
            return
        if not missing:
            self.jobs.stop("switch_matrix")
            self._making = None
            return
        self._preview_row(plan, row)
        self._making = making
        self._ask_cells(plan, missing)

    def arguments(self, plan: Plan) -> dict[str, Any] | None:
        """Return what every job about the matrix takes; ``None`` when arrays are gone."""
        store, sources = self._controller.store, plan.switch.sources
        pictures = [source.picture for source in sources]
        try:
            stored = {source.id: store.latents(source.picture) for source in sources}
            own = self._controller.own_directions(*pictures)
        except LatentLabError as error:
            self._fail(Failure(error.message, error.details))
            return None
        kept = {name: rows for name, rows in stored.items() if rows is not None}
        return {"switch": plan.switch, "stored": kept, "directions": own}

    def _ask_latents(self, plan: Plan) -> None:
        given = self.arguments(plan)
        if given is None:
            return
        pairs = list(zip(plan.switch.sources, plan.looks))
        lacking = [(s, look) for s, look in pairs if self._cells.latents(look) is None]
        pictures = tuple((s.picture, given["stored"].get(s.id)) for s, _ in lacking)
        self._making = None

        def take(found: Sequence[Latents]) -> None:
            for (_, look), latents in zip(lacking, found):
                self._cells.put_latents(look, latents)
            self._begin()

        arguments = {"pictures": pictures, "directions": given["directions"]}
        self.jobs.run("picture_latents", "Taking parts", arguments, take, self._fail)

    def _ask_cells(self, plan: Plan, cells: tuple[Cell, ...]) -> None:
        given = self.arguments(plan)
        if given is None:
            return
        keys, looks = {cell: plan.key(cell) for cell in cells}, plan.looks
        places = {source.id: k for k, source in enumerate(plan.switch.sources)}

        def take_part(part: Any) -> None:
            for cell, image in zip(part.cells, part.images):
                self._cells.put(keys[cell], image)
            self.cells_changed.emit()

        def take(matrix: Any) -> None:
            take_part(matrix)
            for name, trip in matrix.round_trip.items():
                self._cells.trips[looks[places[name]]] = trip
            self._making = None
            self.cells_changed.emit()
            self._begin()

        arguments = {**given, "cells": cells, "photos": self._photos(plan)}
        self.jobs.run(
            "switch_matrix", "Switching", arguments, take, self._fail, on_progress=take_part
        )

    def _photos(self, plan: Plan) -> dict[str, Images]:
        pairs = {s.id: self._controller.photo_of(s.picture) for s in plan.switch.sources}
        return {name: photo for name, photo in pairs.items() if photo is not None}

    def _ended(self, kind: str) -> None:
        """A job that was cancelled by hand ends without a word: say so, and do not insist."""
        if kind == "switch_matrix" and self._making is not None and not self.jobs.runs(kind):
            self._fail(Failure("Stopped: some pictures of the matrix are missing."))

    def _fail(self, failure: Failure) -> None:
        self.failure, self._making = failure, None
        self.progress_changed.emit()

    def _preview_row(self, plan: Plan, row: int) -> None:
        """Show one row at once: a single batch, before the images for keeping."""
        cells = self._cells.missing_in_row(plan, row)
        if len(cells) < 2 or self._space is None:
            return
        known = self._cells.known(plan)
        latents = cell_latents(plan.switch, known, cells, self._space)
        source = plan.switch.sources[row].picture
        picture = Picture(
            model=plan.switch.model,
            fingerprint=source.fingerprint,
            space=plan.switch.space,
            stored=self._controller.store.put_latents(latents),
            condition=source.condition,
            options=source.options,
        )
        keys = tuple(plan.key(cell) for cell in cells)
        # First: an answer may come at once.
        self._previewed = (-1, keys, picture)
        sequence = self._controller.request_preview(CHANNEL, picture)
        if self._previewed is not None:
            self._previewed = (sequence, keys, picture)

    def _take_preview(self, result: PreviewResult) -> None:
        if result.channel != CHANNEL or self._previewed is None:
            return
        sequence, keys, _ = self._previewed
        if sequence not in (-1, result.sequence):
            return
        if result.images is not None:
            for key, image in zip(keys, result.images):
                self._cells.put_rough(key, image)
            self.cells_changed.emit()
        if result.final:
            self._previewed = None

    # Checking.

    def check(self, cell: Cell) -> None:
        """Encode a switched picture again and measure what comes back."""
        plan = self._plan
        given = None if plan is None else self.arguments(plan)
        if plan is None or given is None:
            return
        key = plan.key(cell)

        def take(found: Sequence[SwitchCheck]) -> None:
            self._cells.checks[key] = found[0]
            self.cells_changed.emit()

        arguments = {**given, "cells": (cell,)}
        self.jobs.run("switch_check", "Checking", arguments, take, self.failed.emit)


def _shape(plan: Plan | None) -> tuple[Any, ...] | None:
    """Return what decides which cells there are, and where."""
    return None if plan is None else (plan.switch.model, plan.looks, plan.by_row)
