"""The view-model: the only thing that panels talk to. No torch here, and no widget."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from latentlab.core.document import Document, History, Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import ModelHeader
from latentlab.core.requests import Failure, PreviewRequest, PreviewResult
from latentlab.core.settings import Settings
from latentlab.core.store import ArrayStore
from latentlab.services.library import Entry, ModelLibrary
from latentlab.ui import document_directions, edits
from latentlab.ui.bridge import Bridge
from latentlab.ui.controller_arrays import ArrayActions
from latentlab.ui.controller_denoise import DenoiseActions
from latentlab.ui.controller_directions import DirectionActions
from latentlab.ui.controller_edits import EditActions
from latentlab.ui.controller_effects import EffectActions
from latentlab.ui.controller_files import FileActions
from latentlab.ui.controller_models import ModelActions
from latentlab.ui.controller_runs import RunActions
from latentlab.ui.controller_sampling import SamplingActions
from latentlab.ui.controller_switch import SwitchActions
from latentlab.ui.controller_tray import TrayActions
from latentlab.ui.controller_watch import WatchActions
from latentlab.ui.document_directions import moves
from latentlab.ui.job_tracker import Job, JobTracker
from latentlab.ui.thumbnails import PREFIX, Thumbnails

CANVAS = "canvas"
RANDOM_SEEDS = 1_000_000


class Controller(
    ModelActions,
    TrayActions,
    FileActions,
    DirectionActions,
    EditActions,
    EffectActions,
    ArrayActions,
    WatchActions,
    RunActions,
    DenoiseActions,
    SamplingActions,
    SwitchActions,
    QObject,
):
    """What the window shows and every change of it.

    Args:
        bridge: to the worker; ``stop`` stops it.
        settings: what the person chose.
        library: model files by their headers.

    ``confirm_loss`` is asked before unsaved work is replaced; the window puts its question there.

    Signals:
        document_changed: the new ``Document``, after every change, undo and redo.
        model_changed: the ``ModelHeader`` of the current model, or ``None``.
        canvas_rendered: a ``PreviewResult`` of the canvas, images or a failure.
        preview_rendered: a ``PreviewResult`` of any other channel.
        thumbnail_rendered: ``thumbnail_key`` and image uint8 ``(H, W, C)``.
        photo_changed: the ``EncodedPhoto`` that was just taken in, or ``None``.
        job_changed: a job began, moved or ended.
        message: one sentence and its details.
        failed: one sentence and its details, for what a person must not overlook.
        selection_changed: the row of the canvas that is selected, or ``None``.
        before_held: a key or a button asks for the image without its edits (true), or lets go.
        library_changed: models came or went.
        directions_changed: the directions of the current model, their titles, locks or order.
        panel_asked: id of a panel that shall come to the front.
        picture_used: id of a panel, a place in it (``A``, ``B``, ``C``, ``row`` or ``column``), and
            the picture that it shall take.
    """

    document_changed = Signal(object)
    model_changed = Signal(object)
    canvas_rendered = Signal(object)
    preview_rendered = Signal(object)
    thumbnail_rendered = Signal(str, object)
    photo_changed = Signal(object)
    job_changed = Signal()
    message = Signal(str, str)
    failed = Signal(str, str)
    selection_changed = Signal(object)
    before_held = Signal(bool)
    library_changed = Signal()
    directions_changed = Signal()
    panel_asked = Signal(str)
    picture_used = Signal(str, str, object)

    def __init__(
        self,
        bridge: Bridge,
        settings: Settings,
        library: ModelLibrary,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.settings = settings
        self.library = library
        self.store = ArrayStore()
        self.history = History()
        self.model: ModelHeader | None = None
        self.model_entry: Entry | None = None
        self.photo_result: Any = None
        self.saved_document: Document | None = None
        self.session_path: Path | None = None
        self.confirm_loss: Callable[[], bool] = lambda: True
        self.selection: int | None = None
        self.last_images: NDArray[np.uint8] | None = None
        self.rendered_picture: Picture | None = None
        self.last_frame_ms: float | None = None
        self._bridge = bridge
        self._sequence = 0
        self._shown: dict[str, int] = {}
        self._asked: dict[int, tuple[Picture, str]] = {}
        self._opened: dict[str, Path] = {}
        self._loading: set[str] = set()
        self._deferred: dict[str, PreviewRequest] = {}
        self._prepare_directions()
        self._tracker = JobTracker(bridge, self)
        self._thumbnails = Thumbnails(bridge, self.store, self)
        self._tracker.changed.connect(self.job_changed)
        self._tracker.failed.connect(self._job_failed)
        self._thumbnails.arrived.connect(self.thumbnail_rendered)
        bridge.preview_arrived.connect(self._take_preview)

    # The document and its history.

    @property
    def document(self) -> Document:
        """The current document."""
        return self.history.document

    def apply(self, document: Document, label: str, merge_key: str | None = None) -> None:
        """Change the document: one step of the history, drawn at once.

        Args:
            document: the new one; an equal one changes nothing.
            label: for the visible list.
            merge_key: while the same key comes again, the step is replaced (one drag is one step).
        """
        before = self.document
        document = document_directions.settled(document)
        if document == before:
            return
        self.history.push(document, label, merge_key)
        self._changed(before)

    def apply_canvas(
        self, picture: Picture | None, label: str, merge_key: str | None = None
    ) -> None:
        """Change what the canvas shows; see ``apply``."""
        self.apply(self.document.model_copy(update={"canvas": picture}), label, merge_key)

    def end_merge(self) -> None:
        """Close the current step: a drag was released."""
        self.history.end_merge()
        self.document_changed.emit(self.document)

    def undo(self) -> None:
        """Step back."""
        self.go(max(0, self.history.index - 1))

    def redo(self) -> None:
        """Step forward."""
        self.go(min(len(self.history.entries) - 1, self.history.index + 1))

    def go(self, index: int) -> None:
        """Move to a step of the history."""
        before = self.document
        if index != self.history.index:
            self.history.end_merge()
            self.history.go(index)
            self._changed(before)

    def replace_history(self, history: History) -> None:
        """Put a whole history, for example a session's, in place of this one."""
        self.history = history
        self._changed(None)

    def _changed(self, before: Document | None) -> None:
        canvas = self.document.canvas
        if before is None or canvas != before.canvas:
            if canvas is not None:
                self._follow_model(canvas.model)
            if before is None or edits.rows_key(before.canvas) != edits.rows_key(canvas):
                self.select(None)
            self.render_canvas()
        elif canvas is not None and moves(before, canvas) != moves(self.document, canvas):
            self.render_canvas()
        if self.photo_result is not None and not self._is_photo(canvas):
            self.photo_result = None
            self.photo_changed.emit(None)
        self.free_arrays()
        self._tell_directions()
        self.document_changed.emit(self.document)

    def _is_photo(self, canvas: Picture | None) -> bool:
        return canvas is not None and canvas.photo == self.photo_result.picture.photo

    # Pictures.

    def show_picture(self, picture: Picture, label: str) -> None:
        """Put a picture onto the canvas."""
        self.apply_canvas(picture, label)

    def show_row(self, row: int) -> None:
        """Show one image of the grid alone."""
        with self.reporting():
            self.show_picture(self.row_picture(row), f"Image {row + 1} alone")

    def row_picture(self, row: int) -> Picture:
        """Return the picture of one image of the canvas; ``LatentLabError`` without one."""
        return edits.row_picture(self._canvas(), row, self.store)

    def reroll(self) -> None:
        """Sample again, from random seeds."""
        first = secrets.randbelow(RANDOM_SEEDS)
        self.set_sampling(seed=first, label="Reroll")

    def step_seed(self, delta: int) -> None:
        """Go to the next (+1) or previous (-1) seed; a grid moves by all its images."""
        canvas = self.document.canvas
        if canvas is not None:
            first = canvas.seeds[0] + delta * len(canvas.seeds) if canvas.seeds else 0
            self.set_sampling(seed=max(0, first), merge_key="step seed")

    def set_sampling(
        self,
        seed: int | None = None,
        count: int | None = None,
        temperature: float | None = None,
        merge_key: str | None = None,
        label: str = "",
    ) -> None:
        """Show prior samples: what is not given stays as it is."""
        canvas = self.document.canvas
        if canvas is None or (canvas.stored and seed is None and count is None):
            return
        with self.reporting():
            now = edits.batch_of(canvas, self.store)
            new = edits.sampled(canvas, now, seed=seed, new_count=count, temperature=temperature)
            text = f"seed {new.seeds[0]}"
            if count is not None:
                text = f"{count} image{'s' if count > 1 else ''}"
            elif temperature is not None and seed is None:
                text = f"temperature {temperature:.2f}"
            self.apply_canvas(new, f"{label}: {text}" if label else text.capitalize(), merge_key)

    def select(self, row: int | None) -> None:
        """Select an image of the canvas."""
        if row != self.selection:
            self.selection = row
            self.selection_changed.emit(row)

    def hold_before(self, held: bool) -> None:
        """Show the canvas without its edits while ``held``."""
        self.before_held.emit(held)

    def _canvas(self) -> Picture:
        canvas = self.document.canvas
        if canvas is None:
            raise LatentLabError("There is no picture yet: open a model first.")
        return canvas

    # Images.

    def render_canvas(self) -> None:
        """Ask for the images of the canvas."""
        canvas = self.document.canvas
        if canvas is not None:
            self.request_preview(CANVAS, canvas)

    def request_preview(
        self, channel: str, picture: Picture, *, decode: bool = True, keys: tuple[int, ...] = ()
    ) -> int:
        """Ask for the images of a picture; return the sequence that the results will carry.

        A result comes as ``canvas_rendered`` or ``preview_rendered``; of one channel, the newest
        request wins. Of a model of many steps come rough images first: only a ``final`` one may be
        kept.

        Args:
            channel: who asks.
            picture: what is asked for.
            decode: false asks for the latents alone.
            keys: see ``PreviewRequest``.
        """
        self._sequence += 1
        sequence = self._sequence
        if channel == CANVAS:
            self._asked[sequence] = (picture, self.thumbnail_key(picture))
        try:
            stored = self.store.latents(picture)
            own = self.own_directions(picture)
        except LatentLabError as error:
            failure = Failure(error.message, error.details)
            self._take_preview(PreviewResult(channel, sequence, failure=failure))
            return sequence
        self.free_arrays()
        request = PreviewRequest(
            channel, sequence, picture, stored, directions=own, decode=decode, keys=keys
        )
        if picture.model in self._loading:
            self._deferred[channel] = request
        else:
            self._bridge.preview(request)
        return sequence

    def photo_of(self, picture: Picture | None) -> NDArray[np.uint8] | None:
        """Return the photograph that was encoded, uint8 ``(H, W, C)``, if the picture has one."""
        if picture is None or picture.photo is None or picture.photo not in self.store:
            return None
        return self.store.get(picture.photo)

    def _take_preview(self, result: PreviewResult) -> None:
        if result.channel.startswith(PREFIX):
            return
        # Never an older picture after a newer one.
        if result.sequence < self._shown.get(result.channel, 0):
            return
        self._shown[result.channel] = result.sequence
        if result.channel != CANVAS:
            self.preview_rendered.emit(result)
            return
        picture, key = self._asked.get(result.sequence, (None, ""))
        self._asked = {k: v for k, v in self._asked.items() if k >= result.sequence}
        if result.images is not None:
            self.last_images, self.rendered_picture = result.images, picture
            self.last_frame_ms = result.total_ms
            if result.final and picture is not None and not self._dragging():
                self._thumbnails.put(key, picture.model, np.array(result.images[0]))
        self.canvas_rendered.emit(result)

    def _dragging(self) -> bool:
        """Whether a newer picture of the canvas is still to come."""
        return bool(self._asked) and max(self._asked) > self._shown.get(CANVAS, 0)

    # Jobs and messages.

    @property
    def jobs(self) -> list[Job]:
        """The running jobs, the oldest first."""
        return self._tracker.jobs

    def run_job(
        self,
        kind: str,
        title: str,
        arguments: Mapping[str, Any],
        on_value: Callable[[Any], None] | None = None,
        on_failure: Callable[[Failure], None] | None = None,
        on_progress: Callable[[Any], None] | None = None,
    ) -> Job:
        """Start a job; it stands in the status bar, with Cancel.

        Args:
            kind: row of ``services.jobs.JOBS``.
            title: for the status bar.
            arguments: of the job.
            on_value: gets its value.
            on_failure: gets the failure and shows it where the result would have been; without it,
                the window shows it.
            on_progress: gets each partial result.
        """
        return self._tracker.start(kind, title, arguments, on_value, on_progress, on_failure)

    def cancel(self, job: Job | None = None) -> None:
        """Ask a job, or the newest one, to end."""
        self._tracker.cancel(job)

    def _job_failed(self, job: Job, failure: Failure) -> None:
        if job.on_failure is None:
            self.failed.emit(failure.message, failure.details)

    def report(self, error: LatentLabError) -> None:
        """Show an error."""
        self.failed.emit(error.message, error.details)

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Show a ``LatentLabError`` of the body instead of raising it."""
        try:
            yield
        except LatentLabError as error:
            self.report(error)
