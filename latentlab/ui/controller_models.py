"""The controller's part about models."""

from __future__ import annotations

from pathlib import Path

from latentlab.catalog import BUNDLED_MODELS
from latentlab.core.document import Document, History
from latentlab.core.errors import LatentLabError
from latentlab.core.requests import Failure
from latentlab.services.library import Entry
from latentlab.services.run_models import RunLook
from latentlab.ui import edits


class ModelActions:
    """Methods of ``Controller``; see there."""

    def open_model(self, model: str | Path) -> None:
        """Make a model the current one and show a grid of its samples."""
        try:
            entry = self.library.resolve(model)
        except LatentLabError as error:
            self.report(error)
            return
        if not entry.bundled and entry.path.parent not in self.library.folders and not entry.run:
            self._opened[entry.id] = entry.path
            self.settings.add_recent(entry.path)
        try:
            self._use_model(entry)
        except LatentLabError as error:
            self.report(error)
            return
        if self.library.given(entry.id) is None:
            self._load(entry)
        self.library_changed.emit()
        self._show_model(entry, entry.title)

    def _show_model(self, entry: Entry, title: str) -> None:
        """Draw the canvas again where it shows the model already, else put its samples there."""
        canvas = self.document.canvas
        if canvas is not None and canvas.model == entry.id:
            self.render_canvas()
            return
        first = edits.first_picture(entry.header.spec, entry.id)
        document = self.document.model_copy(update={"canvas": first})
        if self.document == Document():
            self.replace_history(History(document))
        else:
            self.apply(document, f"Open {title}")

    def open_first(self) -> None:
        """Open the first bundled model, or whatever the library has."""
        usable = [entry.id for entry in self.library.entries() if entry.error is None]
        wanted = [name for name in BUNDLED_MODELS if name in usable] or usable
        if wanted:
            self.open_model(wanted[0])

    def _load(self, entry: Entry) -> None:
        """Let the worker load a model, with a line in the status bar.

        It learns of a single file by opening it: pictures of that model wait until then.
        """
        if entry.id in self._opened or entry.run is not None:
            self._loading.add(entry.id)

        def loaded(result: object) -> None:
            if isinstance(result, RunLook) and result.model is not None:
                self._take_run_model(result.model)
            self._release(entry.id)

        def failed(failure: Failure) -> None:
            loaded(None)
            self.failed.emit(failure.message, failure.details)

        title = f"Opening {entry.title}"
        if entry.run is not None:
            # Under the id that it has here, wherever the worker looks for models.
            arguments = {"model": entry.id, "run": str(entry.run)}
            self.run_job("look_at_run", title, arguments, loaded, failed)
            return
        self.run_job("open_model", title, {"model": str(entry.path)}, loaded, failed)

    def worker_restarted(self) -> None:
        """Show everything again: the worker started anew and knows nothing."""
        self._thumbnails.forget_requests()
        for name in self._opened:
            with self.reporting():
                self._load(self.library.resolve(name))
        self.render_canvas()
        if self._denoise is not None:
            self._denoise.worker_restarted()
        if self._switch_model is not None:
            self._switch_model.worker_restarted()

    def _follow_model(self, model: str) -> None:
        """Make the model of a picture the current one, if it is here."""
        if self.model_entry is not None and self.model_entry.id == model:
            return
        try:
            self._use_model(self.library.resolve(model))
        except LatentLabError:
            # The worker says so where the image would be, unless it is the model of a run.
            self._await_run(model)
            self.model, self.model_entry, self._model_directions = None, None, {}
            self.model_changed.emit(None)
            self._tell_directions()

    def _use_model(self, entry: Entry) -> None:
        if self.model_entry != entry:
            self._set_model(entry)

    def _set_model(self, entry: Entry) -> None:
        self._model_directions = dict(self.library.directions(entry))
        self.model_entry, self.model = entry, entry.header
        self.model_changed.emit(self.model)
        self._tell_directions()
