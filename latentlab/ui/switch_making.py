"""How the pictures of a switch matrix are made: latents, a row in hand as a preview, then all.

The worker makes what is missing alone: a new source costs its own row and column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.requests import Failure, PreviewResult
from latentlab.core.spec import LatentSpace
from latentlab.core.switching import Cell, cell_latents
from latentlab.services.switch import Images, SwitchCheck
from latentlab.ui.map_jobs import NewestJobs
from latentlab.ui.switch_cells import Key, Plan, SwitchCells

CHANNEL = "switch"


class SwitchMaking:
    """Methods of ``SwitchModel``; see there."""

    _controller: Any
    _space: LatentSpace | None
    _plan: Plan | None
    _cells: SwitchCells
    _making: tuple[Any, ...] | None
    _previewed: tuple[int, tuple[Key, ...], Picture] | None
    _watched: bool
    _row: int
    failure: Failure | None
    jobs: NewestJobs
    failed: Any
    cells_changed: Any
    progress_changed: Any

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
        making = (shape_of(plan), missing)
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


def shape_of(plan: Plan | None) -> tuple[Any, ...] | None:
    """Return what decides which cells there are, and where."""
    return None if plan is None else (plan.switch.model, plan.looks, plan.by_row)
