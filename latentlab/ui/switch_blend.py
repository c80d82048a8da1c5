"""Two sources of the switch matrix, blended part by part, and the grid between them. No widget."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.recombine import PartRange
from latentlab.core.requests import PreviewResult
from latentlab.core.switching import Cell, blended_latents, mix_latents
from latentlab.services.switch import Images
from latentlab.ui import switch_edits as change
from latentlab.ui.switch_model import SwitchModel

CHANNEL = "switch blend"
_KEPT = 8
_CALM_MS = 150


class SwitchBlend(QObject):
    """The pair of a matrix.

    Args:
        model: the matrix.

    Signals:
        changed: another pair, other amounts, or other parts.
        image_changed: the blended image has come.
        grid_changed: images of the grid have come.
    """

    changed = Signal()
    image_changed = Signal()
    grid_changed = Signal()

    def __init__(self, model: SwitchModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self._controller = model.controller
        self._pair: tuple[int, int] = (0, 1)
        self._size = 5
        self._watched = False
        self._gestures = count()
        self._gesture = next(self._gestures)
        self._grids: OrderedDict[Any, dict[Cell, Images]] = OrderedDict()
        self._asked: tuple[int, Picture] | None = None
        self._made: Any = None
        self.image: Images | None = None
        self._calm = QTimer(self, singleShot=True, interval=_CALM_MS)
        self._calm.timeout.connect(self._ask_grid)
        model.changed.connect(self._follow)
        model.cells_changed.connect(self._latents_came)
        self._controller.preview_rendered.connect(self._take)
        self._controller.hold_pictures(self.held_pictures)

    # What there is.

    @property
    def pair(self) -> tuple[int, int] | None:
        """Places of the two sources; ``None`` as long as there are not two."""
        model = self.model
        if model.switch is None or model.count < 2:
            return None
        ids = [source.id for source in model.switch.sources]
        if model.switch.pair:
            first, second = model.switch.pair
            return ids.index(first), ids.index(second)
        first, second = (min(place, model.count - 1) for place in self._pair)
        return (first, second) if first != second else (0, 1)

    @property
    def amounts(self) -> tuple[float, ...]:
        """Of the rows and of the columns of the grid."""
        return tuple(float(amount) for amount in np.linspace(0, 1, self._size))

    @property
    def parts(self) -> tuple[change.MixPart, ...]:
        """What has a slider."""
        return () if self.model.space is None else change.mix_parts(self.model.space)

    def amount(self, part: change.MixPart) -> float:
        """Return how far a part is blended; the mean of layers that differ."""
        model = self.model
        if model.switch is None or model.space is None or model.plan is None:
            return 0.0
        every = change.amounts_of(model.switch, model.space)
        return float(np.mean([every[unit] for unit in part.units]))

    def _ends(self) -> tuple[Latents, Latents] | None:
        pair, known = self.pair, self.model.known_latents
        if pair is None or self.model.switch is None:
            return None
        found = [known.get(self.model.switch.sources[place].id) for place in pair]
        return (found[0], found[1]) if found[0] is not None and found[1] is not None else None

    def picture(self) -> Picture | None:
        """Return the picture of the blend, its latents being put into the store."""
        model, ends = self.model, self._ends()
        if ends is None or model.switch is None or model.space is None or model.plan is None:
            return None
        return self._stored(blended_latents(model.switch, *ends, model.space), "blend")

    def cell_picture(self, row: int, column: int) -> Picture | None:
        """Return the picture of a cell of the grid, its latents being put into the store."""
        model, ends = self.model, self._ends()
        if ends is None or model.switch is None or model.space is None or model.plan is None:
            return None
        two = (self.amounts[row], self.amounts[column])
        # Of the four cells of two amounts, the second is the first amount down, the other across.
        latents = mix_latents(model.switch, *ends, two, model.space).rows(1)
        return self._stored(latents, "mix")

    def _stored(self, latents: Latents, word: str) -> Picture:
        assert self.pair is not None
        assert self.model.switch is not None
        first, second = (self.model.source(place) for place in self.pair)
        names = " and ".join(change.source_name(one) for one in (first, second))
        return Picture(
            model=first.model,
            fingerprint=first.fingerprint,
            space=self.model.switch.space,
            stored=self._controller.store.put_latents(latents),
            condition=first.condition,
            options=first.options,
            name=f"{word} of {names}"[:200],
        )

    def cell_image(self, row: int, column: int) -> Images | None:
        """Return an image of the grid, once it is here."""
        return self._grids.get(self._key(), {}).get((row, column))

    def held_pictures(self) -> Sequence[Picture]:
        """Return pictures whose arrays are needed here."""
        return () if self._asked is None else (self._asked[1],)

    # What a person asks for.

    def choose(self, first: int, second: int) -> None:
        """Choose the two sources."""
        if first == second:
            # The one that was there goes to the other side.
            first, second = (self.pair or (0, 1))[::-1]
        self._pair = (first, second)
        self.model.choose_pair(first, second)

    def swap(self) -> None:
        """Let the two change sides; the picture stays where it is between them."""
        model = self.model
        if self.pair is not None and model.switch is not None and model.space is not None:
            now = change.amounts_of(model.switch, model.space)
            turned = {unit: round(1 - amount, 6) for unit, amount in now.items()}
            model.set_amounts((self.pair[1], self.pair[0]), turned)

    def set_amount(self, units: Sequence[PartRange] | frozenset[PartRange], amount: float) -> None:
        """Blend some parts otherwise; one drag is one step."""
        if self.pair is not None:
            amounts = dict.fromkeys(units, amount)
            self.model.set_amounts(self.pair, amounts, f"switch blend {self._gesture}")

    def end_gesture(self) -> None:
        """A drag was released: the next change is a new step."""
        self._gesture = next(self._gestures)
        self._controller.end_merge()

    def take_cell(self, row: int, column: int) -> None:
        """Set the sliders to a cell of the grid."""
        model = self.model
        if self.pair is None or model.space is None:
            return
        rows = model.rows
        units = [unit for part in self.parts for unit in part.units]
        amounts = {
            unit: self.amounts[row] if unit in rows else self.amounts[column] for unit in units
        }
        model.set_amounts(self.pair, amounts)

    def set_size(self, size: int) -> None:
        """Make a grid of other size."""
        if size != self._size:
            self._size = size
            self.changed.emit()
            self._calm.start()

    def set_watched(self, watched: bool) -> None:
        """Tell whether it is in sight: only then is something made."""
        self._watched = watched
        if watched:
            self._follow()
        else:
            self._calm.stop()

    # Making images.

    def _latents_came(self) -> None:
        if self._watched and self._made is None:
            self._follow()

    def _look(self) -> Any:
        plan, pair = self.model.plan, self.pair
        if plan is None or pair is None:
            return None
        return plan.looks[pair[0]], plan.looks[pair[1]], plan.switch.model

    def _key(self) -> Any:
        plan, look = self.model.plan, self._look()
        return None if plan is None or look is None else (*look, plan.by_row, self._size)

    def _follow(self, *_: object) -> None:
        self.changed.emit()
        if not self._watched:
            return
        switch, look = self.model.switch, self._look()
        made = None if switch is None or look is None else (look, tuple(switch.amounts.items()))
        if made is None:
            self._made = self.image = None
            self.image_changed.emit()
            return
        if made != self._made:
            try:
                picture = self.picture()
            except LatentLabError:
                picture = None
            if picture is not None:
                self._made = made
                self._ask(picture)
        if self._key() not in self._grids:
            self._calm.start()

    def _ask(self, picture: Picture) -> None:
        # First: an answer may come at once.
        self._asked = (-1, picture)
        sequence = self._controller.request_preview(CHANNEL, picture)
        self._asked = (sequence, picture)

    def _take(self, result: PreviewResult) -> None:
        if result.channel != CHANNEL or result.images is None:
            return
        self.image = result.images[0]
        self.image_changed.emit()

    def _ask_grid(self) -> None:
        """Make the grid of the pair, once the hand has rested."""
        key, plan, pair = self._key(), self.model.plan, self.pair
        if not self._watched or key is None or key in self._grids or plan is None or pair is None:
            return
        given = self.model.arguments(plan)
        if given is None:
            return
        images: dict[Cell, Images] = {}
        self._grids[key] = images
        while len(self._grids) > _KEPT:
            self._grids.popitem(last=False)

        def take_part(part: Any) -> None:
            images.update(zip(part.cells, part.images))
            self.grid_changed.emit()

        def take(mix: Any) -> None:
            images.update({cell: mix.images[cell] for cell in np.ndindex(mix.images.shape[:2])})
            self.grid_changed.emit()

        def failed(failure: Any) -> None:
            self._grids.pop(key, None)
            self.model.failed.emit(failure)

        ids = tuple(plan.switch.sources[place].id for place in pair)
        arguments = {**given, "pair": ids, "amounts": self.amounts}
        self.model.jobs.run("switch_mix", "Blending", arguments, take, failed, take_part)
