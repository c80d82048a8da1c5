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
from latentlab.core.requests import Failure
from latentlab.core.spec import LatentSpace, ModelSpec
from latentlab.core.switching import Cell, cell_latents, cell_picture, row_ranges
from latentlab.services.switch import Images, RoundTrip, SwitchCheck
from latentlab.ui import switch_edits as change
from latentlab.ui.document_directions import digest, used_records
from latentlab.ui.edits import picture_key
from latentlab.ui.map_jobs import NewestJobs
from latentlab.ui.switch_cells import Key, Plan, SwitchCells
from latentlab.ui.switch_hand import SwitchHand
from latentlab.ui.switch_making import SwitchMaking, shape_of

_CALM_MS = 30


class SwitchModel(SwitchHand, SwitchMaking, QObject):
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
        self.failure, self._making = None, None
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
        if shape_of(plan) != shape_of(before[2]):
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
