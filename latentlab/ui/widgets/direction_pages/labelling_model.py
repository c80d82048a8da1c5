"""Images to say yes or no to, fetched ahead, and the answers. No widget here."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents, stack
from latentlab.core.points import PointSet
from latentlab.core.requests import Failure, PreviewResult
from latentlab.ui import edits
from latentlab.ui.map_pictures import latents_picture
from latentlab.ui.widgets.images import Images

CHANNEL = "labelling"
BATCH = 16
AHEAD = 8
"""With fewer images ahead of the one that is shown, the next batch is asked for."""
FIRST_SEED = 1000
PRIOR, MAP, TRAY = "prior", "map", "tray"
YES, NO, SKIP = 1, 0, -1
_ORDER_SEED = 11
Key = tuple[str, str]
"""Where an image is from, and what it is called there."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """One image that can be answered.

    Attributes:
        key: the same for the same image.
        picture: that stands for it.
        image: uint8 ``(H, W, C)``.
        latents: one row, edits included.
    """

    key: Key
    picture: Picture
    image: Images
    latents: Latents


@dataclass(eq=False)
class Session:
    """The answers on one model.

    Attributes:
        source: ``PRIOR``, ``MAP`` or ``TRAY``.
        known: every image that came, by key.
        queue: keys that are still to be shown, in order.
        order: keys that were answered, the newest last.
        answers: ``YES``, ``NO`` or ``SKIP`` by key.
        before: what was there before everything was cleared.
    """

    source: str = PRIOR
    known: dict[Key, Candidate] = field(default_factory=dict)
    queue: list[Key] = field(default_factory=list)
    order: list[Key] = field(default_factory=list)
    answers: dict[Key, int] = field(default_factory=dict)
    before: Session | None = None

    def of(self, answer: int) -> list[Candidate]:
        """Return the images with an answer, in the order in which they were answered."""
        return [self.known[key] for key in self.order if self.answers[key] == answer]


class LabellingModel(QObject):
    """Shows one image after another; what was answered on a model stays while it is open.

    Args:
        controller: of the window.

    Signals:
        changed: another image is to be shown, or another answer was given.
    """

    changed = Signal()

    def __init__(self, controller: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._sessions: dict[str, Session] = {}
        self.failure: Failure | None = None
        self._batches: Iterator[tuple[Picture, list[Key]]] | None = None
        self._asked: tuple[Picture, list[Key]] | None = None
        self._expected: int | None = None
        self.exhausted = False
        controller.preview_rendered.connect(self._take)
        controller.hold_pictures(self._held)

    def _held(self) -> list[Picture]:
        return [
            one.picture for session in self._sessions.values() for one in session.known.values()
        ]

    @property
    def session(self) -> Session:
        """The answers on the current model."""
        return self._sessions.setdefault(self._controller.model_mark, Session())

    @property
    def current(self) -> Candidate | None:
        """The image that is to be answered, once it is here."""
        queue = self.session.queue
        return self.session.known[queue[0]] if queue else None

    def count(self, answer: int) -> int:
        """Return how many images have an answer."""
        return sum(one == answer for one in self.session.answers.values())

    # Answers.

    def answer(self, value: int) -> None:
        """Answer the image that is shown: ``YES``, ``NO`` or ``SKIP``."""
        session = self.session
        if not session.queue:
            if self._asked is not None:
                # The worker may have been started anew since.
                self._ask(self._asked)
            self.fetch()
            return
        key = session.queue.pop(0)
        session.answers[key] = value
        session.order.append(key)
        session.before = None
        self.fetch()
        self.changed.emit()

    @property
    def can_go_back(self) -> bool:
        """Whether there is an answer, or a clearing, to take back."""
        return bool(self.session.order) or self.session.before is not None

    def back(self) -> None:
        """Take the newest answer back and show its image again."""
        session = self.session
        if session.order:
            key = session.order.pop()
            del session.answers[key]
            session.queue.insert(0, key)
        elif session.before is not None:
            before, session.before = session.before, None
            session.order, session.answers = before.order, before.answers
            session.known |= before.known
            session.queue = [key for key in session.queue if key not in session.answers]
        self.changed.emit()

    def clear(self) -> None:
        """Forget all answers; ``back`` brings them back."""
        session = self.session
        if not session.order:
            return
        old = Session(known=session.known, order=session.order, answers=session.answers)
        session.queue = [*session.order, *session.queue]
        session.order, session.answers, session.before = [], {}, old
        self.changed.emit()

    # Fetching.

    def choose_source(self, source: str) -> None:
        """Show images from elsewhere; what was answered stays."""
        self.session.source = source
        self.restart()

    def restart(self) -> None:
        """Fetch anew, from another source."""
        self.session.queue.clear()
        self.stop()
        self.fetch()

    def stop(self) -> None:
        """Wait for nothing any more: the model or the source is another one."""
        self._batches = self._asked = self._expected = None
        self.failure, self.exhausted = None, False
        self.changed.emit()

    def fetch(self) -> None:
        """Ask for the next images, if there are few ahead."""
        if self._asked is not None or len(self.session.queue) > AHEAD or self.exhausted:
            return
        if self._controller.model is None:
            return
        if self._batches is None:
            self._batches = self._plan()
        try:
            batch = next(self._batches, None)
        except LatentLabError as error:
            self._batches = None
            self._fail(Failure(error.message, error.details))
            return
        if batch is None:
            self.exhausted = True
            return
        self._ask(batch)

    def _ask(self, batch: tuple[Picture, list[Key]]) -> None:
        # An answer may come before the call returns: then its sequence is not known yet.
        self._asked, self._expected, self.failure = batch, None, None
        sequence = self._controller.request_preview(CHANNEL, batch[0])
        if self._asked is batch:
            self._expected = sequence

    def _take(self, result: PreviewResult) -> None:
        if result.channel != CHANNEL or self._asked is None:
            return
        if self._expected not in (None, result.sequence):
            return
        if result.failure is not None:
            self._asked = self._batches = None
            self._fail(result.failure)
            return
        if not result.final or result.images is None or result.latents is None:
            return
        (picture, keys), self._asked = self._asked, None
        session, store = self.session, self._controller.store
        for row, key in enumerate(keys[: len(result.images)]):
            one = edits.row_picture(picture, row, store)
            image, latents = np.array(result.images[row]), result.latents.rows(row)
            session.known[key] = Candidate(key, one, image, latents)
            if key not in session.answers:
                session.queue.append(key)
        self.fetch()
        self.changed.emit()

    def _fail(self, failure: Failure) -> None:
        self.failure = failure
        self.changed.emit()

    # Where images come from.

    def _plan(self) -> Iterator[tuple[Picture, list[Key]]]:
        plans = {PRIOR: self._prior, MAP: self._map, TRAY: self._tray}
        known = set(self.session.answers) | set(self.session.queue)
        for picture, keys in plans[self.session.source]():
            if not known.issuperset(keys):
                yield picture, keys

    def _plain(self) -> Picture:
        """Return what every sample has in common: class and options as the canvas has them."""
        entry, model = self._controller.model_entry, self._controller.model
        canvas = self._controller.document.canvas
        fields: dict[str, Any] = {}
        if canvas is not None and canvas.model == entry.id:
            fields = {"condition": canvas.condition, "options": canvas.options}
        return Picture(
            model=entry.id,
            fingerprint=model.spec.fingerprint,
            space=model.spec.spaces[0].name,
            seeds=(0,),
            **fields,
        )

    def _prior(self) -> Iterator[tuple[Picture, list[Key]]]:
        if "sample" not in self._controller.model.spec.capabilities:
            raise LatentLabError("This model cannot draw samples: label a map's points instead.")
        first = FIRST_SEED
        while True:
            seeds = edits.seed_run(first, BATCH)
            picture = self._plain().model_copy(update={"seeds": seeds})
            yield picture, [(PRIOR, str(seed)) for seed in seeds]
            first += BATCH

    @property
    def map_points(self) -> tuple[str, PointSet] | None:
        """The file and the points of the map of this model, if it is shown."""
        found = getattr(self._controller, "map_model", None)
        if found is None or found.points is None or found.path is None:
            return None
        return str(found.path), found.points

    def _map(self) -> Iterator[tuple[Picture, list[Key]]]:
        found = self.map_points
        if found is None:
            raise LatentLabError("There is no map: make one in the panel Manifold first.")
        path, points = found
        selection = getattr(self._controller, "map_selection", None)
        chosen = np.arange(len(points)) if selection is None else np.asarray(selection[1])
        # Neighbours in a file are often alike: in a fixed random order they are not.
        chosen = np.random.Generator(np.random.Philox(_ORDER_SEED)).permutation(chosen)
        for start in range(0, len(chosen), BATCH):
            rows = chosen[start : start + BATCH]
            picture = latents_picture(
                points.latents(rows),
                points,
                self._plain().model,
                self._controller.store,
                self._controller.document.canvas,
            )
            yield picture, [(path, str(int(row))) for row in rows]

    def _tray(self) -> Iterator[tuple[Picture, list[Key]]]:
        entry = self._controller.model_entry
        mine = [i for i in self._controller.document.tray if i.picture.model == entry.id]
        if not mine:
            raise LatentLabError("The tray holds no pictures of this model: keep some with K.")
        for item in mine:
            yield item.picture, [(TRAY, item.id)]

    # What comes of the answers.

    def group(self, answer: int) -> tuple[Picture, Latents]:
        """Return all images with an answer as one picture and its latents, as jobs take them."""
        found = self.session.of(answer)
        if not found:
            raise LatentLabError("Answer at least one image with yes and one with no.")
        latents = stack([one.latents for one in found])
        stored = self._controller.store.put_latents(latents)
        like = found[0].picture
        update = {"seeds": (), "stored": stored, "edits": {}, "name": ""}
        update |= {"photo": None, "photo_path": None}
        return like.model_copy(update=update), latents

    def table(self, name: str) -> str:
        """Return the answers as CSV: one line an image, 1 for yes, 0 for no, empty for skipped.

        Where all images are files of one data set, the table is one that can be chosen as labels.
        """
        session = self.session
        files = {key: self._file_of(key) for key in session.order}
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        whole = bool(files) and all(files.values())
        writer.writerow(["file", name] if whole else ["source", "item", name])
        for key in session.order:
            value = {YES: "1", NO: "0"}.get(session.answers[key], "")
            writer.writerow([files[key], value] if whole else [*self._said(key), value])
        return text.getvalue()

    def _said(self, key: Key) -> tuple[str, str]:
        """Return where an image is from, for a person: a seed, or the row of a data set."""
        found = self.map_points
        if found is None or key[0] != found[0]:
            return key
        return found[1].source, str(int(found[1].rows[int(key[1])]))

    def _file_of(self, key: Key) -> str:
        """Return the file of an image, where it is one of a data set's."""
        if key[0] in (PRIOR, TRAY):
            return ""
        names = self._names(key[0])
        return "" if names is None else names[int(key[1])]

    def _names(self, path: str) -> list[str] | None:
        from latentlab.core.pointfile import read_point_names

        kept = self.__dict__.setdefault("_names_of", {})
        if path not in kept:
            try:
                kept[path] = read_point_names(Path(path))
            except LatentLabError:
                kept[path] = None
        return kept[path]
