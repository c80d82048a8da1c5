"""The one image that the Likelihood panel scores: that of the canvas, once it rests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.likelihood import ImageLikelihood
from latentlab.core.requests import Failure
from latentlab.core.spec import ModelSpec
from latentlab.ui import edits

_REST_MS = 200
"""The canvas rests so long before its image is scored."""


@dataclass(frozen=True)
class Subject:
    """The one image that is scored.

    Attributes:
        picture: of one image.
        photo: score its photograph, not what the model makes of it.
        title: what a person calls it.
        samples: draws.
        fingerprint: of the weights.
    """

    picture: Picture
    photo: bool
    title: str
    samples: int
    fingerprint: str


def scoring_spec(controller: Any) -> ModelSpec | None:
    """Return the spec of the current model, if it has a likelihood."""
    header = controller.model
    if header is None or "log_prob" not in header.spec.capabilities:
        return None
    spec: ModelSpec = header.spec
    return spec


class ImageScore(QObject):
    """The score of the canvas: one job at a time, the newest wish next.

    Args:
        controller: of the window.

    Signals:
        changed: the score came, or another image stands for it.
    """

    changed = Signal()

    def __init__(self, controller: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.samples = 1
        self.prefers_photo = True
        self.found: ImageLikelihood | None = None
        self.failure: Failure | None = None
        self.scored: Subject | None = None
        self._job: Any = None
        self._watched = False
        self._rest = QTimer(self, singleShot=True, interval=_REST_MS)
        self._rest.timeout.connect(self._score)
        self._gone = QTimer(self, singleShot=True, interval=0)
        self._gone.timeout.connect(self._sweep)
        controller.job_changed.connect(self._look)
        controller.document_changed.connect(self.follow)
        controller.selection_changed.connect(self.follow)

    def set_watched(self, watched: bool) -> None:
        """Say whether somebody looks: an image is scored only then."""
        self._watched = watched
        if watched:
            self.follow()

    def forget(self) -> None:
        """Show no score: the model is another one."""
        self.found = self.failure = self.scored = None
        self.changed.emit()
        self.follow()

    def follow(self, *_: object) -> None:
        """Score what the canvas shows, once it rests."""
        if self._watched and not self.current:
            self._rest.start()

    def prefer_photo(self, photo: bool) -> None:
        """Score the photograph of the canvas, or what the model makes of it."""
        self.prefers_photo = photo
        self._score()

    @property
    def has_photo(self) -> bool:
        """Whether the canvas shows a photograph of the model's size."""
        return self._photo(self._controller.document.canvas) is not None

    def _photo(self, picture: Picture | None) -> Any:
        spec, photo = scoring_spec(self._controller), self._controller.photo_of(picture)
        if spec is None or photo is None:
            return None
        channels, height, width = spec.image_shape
        return photo if photo.shape == (height, width, channels) else None

    def subject(self) -> Subject | None:
        """Return the image that should be scored: of a grid, the selected one or the first."""
        canvas, spec, entry = (
            self._controller.document.canvas,
            scoring_spec(self._controller),
            self._controller.model_entry,
        )
        if canvas is None or spec is None or entry is None or canvas.model != entry.id:
            return None
        row = self._controller.selection or 0
        try:
            several = edits.batch_of(canvas, self._controller.store) > 1
            picture = edits.row_picture(canvas, row, self._controller.store)
        except LatentLabError:
            return None
        photo = self.prefers_photo and self._photo(canvas) is not None
        title = "photograph" if photo else f"image {row + 1}" if several else "canvas"
        return Subject(picture, photo, title, self.samples, spec.fingerprint)

    @property
    def current(self) -> bool:
        """Whether the score is that of what the canvas shows."""
        return self.scored is not None and self.scored == self.subject()

    def _score(self) -> None:
        subject = self.subject()
        if subject is None or subject == self.scored or self._job is not None:
            if subject is None and self.found is not None:
                self.found = self.scored = None
                self.changed.emit()
            return
        arguments: dict[str, Any] = {"model": subject.picture.model, "samples": subject.samples}
        try:
            if subject.photo:
                arguments["photo"] = self._photo(self._controller.document.canvas)
            else:
                arguments["picture"] = subject.picture
                arguments["stored"] = self._controller.store.latents(subject.picture)
                arguments["directions"] = self._controller.own_directions(subject.picture)
        except LatentLabError as error:
            self._failed(subject, Failure(error.message, error.details))
            return
        job = self._controller.run_job(
            "likelihood_image",
            "Scoring the image",
            arguments,
            on_value=lambda value: self._arrived(subject, value),
            on_failure=lambda failure: self._failed(subject, failure),
        )
        # It may have ended before the call returned.
        self._job = job if job in self._controller.jobs else None

    def _arrived(self, subject: Subject, value: ImageLikelihood) -> None:
        self._job = None
        spec = scoring_spec(self._controller)
        if spec is not None and spec.fingerprint == subject.fingerprint:
            self.found, self.scored, self.failure = value, subject, None
            self.changed.emit()
        # The canvas may have gone on meanwhile.
        self.follow()

    def _failed(self, subject: Subject, failure: Failure) -> None:
        self._job = None
        self.found, self.scored, self.failure = None, subject, failure
        self.changed.emit()
        self.follow()

    def _look(self) -> None:
        if self._job is not None and self._job not in self._controller.jobs:
            self._gone.start()

    def _sweep(self) -> None:
        """A job that was cancelled ends without a word."""
        if self._job is not None and self._job not in self._controller.jobs:
            self._job = None
