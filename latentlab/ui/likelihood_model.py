"""What the Likelihood panel shows: scores of data sets and of one image, and the work on them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from latentlab.core.errors import LatentLabError
from latentlab.core.likelihood import (
    DataChoice,
    Float,
    Quantity,
    ScoreChunk,
    Scores,
    titles,
)
from latentlab.core.requests import Failure
from latentlab.core.spec import ModelSpec
from latentlab.services.likelihood_draw import HistogramData
from latentlab.services.likelihood_export import likelihood_arguments
from latentlab.ui.likelihood_canvas import ImageScore, scoring_spec
from latentlab.ui.own_data import own_source

_KEPT = 8
"""Data sets whose scores are kept, so that a model that comes back has them at once."""


@dataclass(frozen=True)
class ScoreKey:
    """What scores depend on."""

    fingerprint: str
    data: DataChoice
    samples: int


def usual_source(spec: ModelSpec | None) -> str:
    """Return images that a model was measured on and not trained on, or else what it learnt from.

    Both as its recipe names them, where they can be opened here; ``portraits`` if neither can.
    """
    if spec is None:
        return ""
    data = spec.provenance.recipe.get("data")
    held_out = data.get("held_out") if isinstance(data, dict) else None
    source = held_out.get("source") if isinstance(held_out, dict) else None
    if isinstance(source, str) and source.partition(":")[0] == "portraits":
        return source
    return own_source(spec) or "portraits"


class _Growing:
    """The scores of a data set so far."""

    def __init__(self) -> None:
        self.chunks: list[ScoreChunk] = []

    def values(self, quantity: Quantity) -> Float:
        """Return the values so far, ``(n,)``."""
        if not self.chunks:
            return np.zeros(0)
        bits = np.concatenate([chunk.bits for chunk in self.chunks])
        if quantity == "bits":
            return bits
        return bits - np.concatenate([chunk.complexity for chunk in self.chunks])


class LikelihoodModel(QObject):
    """Scores that are there, or on their way. One data set is scored at a time.

    Args:
        controller: of the window.

    Signals:
        scores_changed: other scores, or more of them.
        image_changed: the image's score came, or another image stands for it.
        running_changed: work began or ended.
    """

    scores_changed = Signal()
    image_changed = Signal()
    running_changed = Signal()

    def __init__(self, controller: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.canvas = ImageScore(controller, self)
        self.choices: tuple[DataChoice, ...] = ()
        self.samples = 1
        self.quantity: Quantity = "bits"
        self.hidden: frozenset[int] = frozenset()
        self.failure: Failure | None = None
        self._kept: OrderedDict[ScoreKey, Scores] = OrderedDict()
        self._growing: dict[ScoreKey, _Growing] = {}
        self._waiting: list[ScoreKey] = []
        self._key: ScoreKey | None = None
        self._job: Any = None
        self._gone = QTimer(self, singleShot=True, interval=0)
        self._gone.timeout.connect(self._sweep)
        self.canvas.changed.connect(self.image_changed)
        controller.job_changed.connect(self._look)
        controller.model_changed.connect(self._follow_model)
        controller.model_reloaded.connect(self._follow_model)

    # What there is.

    @property
    def spec(self) -> ModelSpec | None:
        """Of the current model, if it has a likelihood."""
        return scoring_spec(self._controller)

    def _keys(self) -> list[ScoreKey]:
        spec = self.spec
        mark = "" if spec is None else spec.fingerprint
        return [ScoreKey(mark, data, self.samples) for data in self.choices] if spec else []

    @property
    def sets(self) -> list[Scores | None]:
        """Scores of each data set; ``None`` while they are not complete."""
        return [self._kept.get(key) for key in self._keys()]

    @property
    def complete(self) -> list[Scores]:
        """Scores of all data sets, or none while one is missing."""
        found = [one for one in self.sets if one is not None]
        return found if len(found) == len(self.choices) else []

    def histogram(self) -> HistogramData:
        """Return what the histogram shows now."""
        keys, mark, title, values = self._keys(), None, "", []
        for key in keys:
            done, growing = self._kept.get(key), self._growing.get(key)
            if done is not None:
                values.append(done.values(self.quantity))
            else:
                values.append(np.zeros(0) if growing is None else growing.values(self.quantity))
        image, subject = self.canvas.found, self.canvas.scored
        if image is not None and subject is not None:
            mark, title = image.value(self.quantity), subject.title
        bound = image is not None and image.bound
        bound = bound or any(one is not None and one.bound for one in self.sets)
        named = titles(self.choices) if keys else ()
        return HistogramData(named, tuple(values), self.quantity, bound, mark, title, self.hidden)

    @property
    def running(self) -> bool:
        """Whether data sets are being scored."""
        return self._key is not None

    @property
    def job(self) -> Any:
        """The job that scores a data set, as the status bar shows it, or ``None``."""
        return self._job

    @property
    def begun(self) -> bool:
        """Whether any score of a data set is there."""
        return any(len(values) for values in self.histogram().values)

    def arguments(self) -> list[str]:
        """Return the words of the command that scores what is shown.

        Raises:
            LatentLabError: nothing was scored yet.
        """
        entry = self._controller.model_entry
        if entry is None or not self.choices:
            raise LatentLabError("There is nothing to repeat yet: score a data set first.")
        words = likelihood_arguments(
            entry.id if entry.portable else str(entry.path),
            self.choices,
            samples=self.samples,
            quantity=self.quantity,
        )
        device = self._controller.settings.device
        return words if device == "auto" else [*words, "--device", device]

    # Data sets.

    def score(self, choices: tuple[DataChoice, ...], samples: int) -> None:
        """Score data sets; those that were scored before are there at once.

        Raises:
            LatentLabError: a choice is none.
        """
        for data in choices:
            data.check()
        self.cancel()
        self.choices, self.samples, self.hidden = choices, samples, frozenset()
        self.failure = None
        self._waiting = [key for key in self._keys() if key not in self._kept]
        self._growing.clear()
        self.scores_changed.emit()
        self.canvas.samples = samples
        self.canvas.follow()
        self._next()

    def cancel(self) -> None:
        """Score no more data; what was scored so far stays to be seen."""
        self._waiting = []
        job, self._job, self._key = self._job, None, None
        if job is not None and job in self._controller.jobs:
            self._controller.cancel(job)
        self.running_changed.emit()

    def _next(self) -> None:
        if self._key is not None:
            return
        if not self._waiting:
            self.running_changed.emit()
            return
        key = self._waiting.pop(0)
        growing = self._growing.setdefault(key, _Growing())
        self._key = key
        job = self._controller.run_job(
            "likelihood_data",
            f"Scoring {key.data.title}",
            {"model": self._controller.model_entry.id, "data": key.data, "samples": key.samples},
            on_value=lambda scores: self._take(key, scores),
            on_failure=lambda failure: self._fail(key, failure),
            on_progress=lambda chunk: self._grow(growing, chunk),
        )
        # It may have ended before the call returned.
        if self._key == key and job in self._controller.jobs:
            self._job = job
        self.running_changed.emit()

    def _grow(self, growing: _Growing, chunk: Any) -> None:
        if isinstance(chunk, ScoreChunk):
            growing.chunks.append(chunk)
            self.scores_changed.emit()

    def _take(self, key: ScoreKey, scores: Scores) -> None:
        # Weights may have changed since it was asked for: the scores say of which they are.
        self._kept[replace(key, fingerprint=scores.fingerprint)] = scores
        self._growing.pop(key, None)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        self._end(key)
        self.scores_changed.emit()

    def _fail(self, key: ScoreKey, failure: Failure) -> None:
        self._growing.pop(key, None)
        self._waiting, self.failure = [], failure
        self._end(key)

    def _end(self, key: ScoreKey) -> None:
        if self._key == key:
            self._key, self._job = None, None
            self._next()

    # What is shown of them.

    def set_quantity(self, quantity: Quantity) -> None:
        """Show bits/dim, or bits/dim less those of the compressed image."""
        if quantity != self.quantity:
            self.quantity = quantity
            self.scores_changed.emit()
            self.image_changed.emit()

    def toggle(self, place: int) -> None:
        """Show or hide a data set of the histogram."""
        self.hidden = self.hidden ^ {place}
        self.scores_changed.emit()

    def _follow_model(self, *_: object) -> None:
        self.cancel()
        self.failure = None
        self.scores_changed.emit()
        self.canvas.forget()

    # A job that ended without a word: it was cancelled, or the worker is gone.

    def _look(self) -> None:
        running = self._controller.jobs
        if self._job is not None and self._job not in running:
            self._gone.start()

    def _sweep(self) -> None:
        running = self._controller.jobs
        if self._job is not None and self._job not in running:
            self._waiting = []
            self._key = self._job = None
            self.running_changed.emit()
