"""The controller's part about runs: a model is explored while it trains, and taken when it is done.

The run has one id in the library from its first checkpoint to its finished model. Newer weights
come in under it: the document, its history and the selection stay as they are, and everything that
shows images is told by ``model_reloaded`` to ask for them anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PySide6.QtCore import Signal

from latentlab.core.document import History, Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import ModelHeader
from latentlab.core.requests import Failure
from latentlab.core.runs import RunFolder
from latentlab.services.library import Entry, RunModel
from latentlab.services.library_entries import read_run_models
from latentlab.services.library_runs import ToldModel, find_run
from latentlab.services.run_models import RunLook
from latentlab.ui.live_documents import of_weights
from latentlab.ui.map_background import Background
from latentlab.ui.run_follower import RunFollower

_KEPT_STEPS = 500


class RunActions:
    """Methods of ``Controller``; see there.

    Signals:
        exploring_changed: the folder of the run that is followed, or ``None``.
        run_looked: a ``RunLook`` at that run: how it stands, and which step is shown.
        model_reloaded: the ``ModelHeader`` of the current model, which has other weights now.
    """

    exploring_changed = Signal(object)
    run_looked = Signal(object)
    model_reloaded = Signal(object)
    exploring: Path | None = None
    run_look: RunLook | None = None

    # What a person asks for.

    def explore_run(self, run_dir: Path | str) -> None:
        """Open the newest weights of a run, and go on with every newer checkpoint.

        Where the run has no checkpoint yet, its first one opens by itself.
        """
        run = Path(run_dir).absolute()
        if not RunFolder(run).recipe.is_file():
            error = LatentLabError(f"'{run}' is not a training run: it holds no recipe.toml.")
            self.report(error)
            return
        name = self.library.run_id(run)
        known = self.library.given(name)
        self._follow_run(run, name, known)
        if known is None:
            self._wanted_run = name
        else:
            self._show_run_model(known.entry)

    def stop_exploring(self) -> None:
        """Stay at the weights that are shown."""
        if self.exploring is not None:
            self._run_follower().stop()
            self.exploring = self.run_look = None
            self._wanted_run = ""
            self.exploring_changed.emit(None)

    # What others ask.

    @property
    def model_mark(self) -> str:
        """What stays the same while the current model learns, and differs between models."""
        entry = self.model_entry
        if entry is None or self.model is None:
            return ""
        given = self.library.given(entry.id)
        return self.model.spec.fingerprint if given is None else f"run:{entry.id}"

    @property
    def explored_entry(self) -> Entry | None:
        """The weights of the followed run that are here, if there are any yet."""
        name = self._run_follower().name if self.exploring is not None else ""
        given = self.library.given(name) if name else None
        return None if given is None else given.entry

    def step_of(self, fingerprint: str) -> int | None:
        """Return the step of weights that were explored; ``None`` for any others."""
        return self._run_steps().get(fingerprint)

    def weights_text(self, fingerprint: str) -> str:
        """Return what weights are called beside the current ones: ``step 400``."""
        step = self.step_of(fingerprint)
        return "other weights" if step is None else f"step {step:,}"

    # Following.

    _wanted_run = ""
    _told_step = -1
    _runs_done: Mapping[Path, float] = MappingProxyType({})
    _runs_unread: frozenset[Path] | set[Path] = frozenset()

    def _run_follower(self) -> RunFollower:
        found = self.__dict__.get("_follower")
        if found is None:
            found = self.__dict__["_follower"] = RunFollower(self._bridge, self)
            found.looked.connect(self._take_look)
            found.failed.connect(self._look_failed)
            found.came_late.connect(self._take_run_model)
            self.runs.run_changed.connect(self._run_moved)
        return found

    def _run_steps(self) -> OrderedDict[str, int]:
        return self.__dict__.setdefault("_steps_by_weights", OrderedDict())

    def _follow_run(self, run: Path, name: str, known: RunModel | None) -> None:
        self.run_look = None
        changed, self.exploring = self.exploring != run, run
        self._run_follower().start(run, name, known)
        if changed:
            self.exploring_changed.emit(run)

    def _run_moved(self, run: Path) -> None:
        """Look at once when a watched run tells of a newer checkpoint."""
        newest = self.runs.checkpoint(run) if run == self.exploring else None
        if newest is not None and newest.step != self._told_step:
            self._told_step = newest.step
            self._run_follower().look()

    def _take_look(self, look: RunLook) -> None:
        if look.problem:
            self._give_up(look.problem)
            return
        self.run_look = look
        if look.model is not None:
            self._take_run_model(look.model)
        elif self._wanted_run in self._loading:
            # A session of this run waits, and there are no weights to show it with.
            self._release(self._wanted_run)
        self.run_looked.emit(look)
        if look.finished and self.exploring is not None:
            self._finish_exploring(self.exploring.name)

    def _finish_exploring(self, name: str) -> None:
        self.stop_exploring()
        self.library.runs.forget()
        self.library_changed.emit()
        self.message.emit(f"{name} has finished: this is the model that it left.", "")

    def _look_failed(self, failure: Failure) -> None:
        if self._wanted_run:
            self._release(self._wanted_run)
            self._wanted_run = ""
            self.failed.emit(failure.message, failure.details)

    def _give_up(self, sentence: str) -> None:
        self._release(self._wanted_run)
        self.stop_exploring()
        self.failed.emit(sentence, "")

    def take_runs(self) -> None:
        """Look for models anew when a run has finished, or a finished one has gone."""
        # One without a status may have been finished by an older version.
        done = {
            run.path: run.status.time
            for run in self.runs.runs()
            if run.state == "finished" or not run.status.time
        }
        if done != self._runs_done and self.runs.looked:
            before, self._runs_done = self._runs_done, done
            self._read_run_models({path for path in done if done[path] != before.get(path)})

    def _read_run_models(self, changed: set[Path]) -> None:
        """Read new models of runs in a thread: their folders may be far away."""
        self._runs_unread = {
            path for path in (self._runs_unread | changed) if path in self._runs_done
        }
        unread = frozenset(self._runs_unread)

        def take(found: dict[Path, ToldModel]) -> None:
            self._runs_unread -= unread
            told = self.library.runs.told or {}
            kept = {
                path: model
                for path, model in told.items()
                if path.parent in self._runs_done and path.parent not in unread
            }
            self.library.runs.roots = self.settings.run_roots()
            self.library.tell_runs(kept | found)
            self.library_changed.emit()

        self._run_reading().run(
            lambda: read_run_models(sorted(unread)), take, self._look_failed, much=True
        )

    def _run_reading(self) -> Background:
        found = self.__dict__.get("_reading_runs")
        if found is None:
            found = self.__dict__["_reading_runs"] = Background(self)
        return found

    # Newer weights.

    def _take_run_model(self, model: RunModel) -> None:
        """Put weights that the worker has taken in before the person."""
        entry, before = model.entry, self.model_entry
        known = self.library.given(entry.id)
        self.library.give(model)
        self._opened[entry.id] = entry.path
        self._note_step(entry)
        if known is not None:
            self._thumbnails.outdate(entry.id)
        if self._wanted_run == entry.id:
            self._wanted_run = ""
            self._show_run_model(entry)
        elif before is not None and before.id == entry.id:
            self._reload(entry, model)
        self._release(entry.id)
        self.library_changed.emit()

    def _note_step(self, entry: Entry) -> None:
        steps, spec = self._run_steps(), entry.header.spec
        steps[spec.fingerprint] = spec.provenance.steps if entry.step is None else entry.step
        while len(steps) > _KEPT_STEPS:
            steps.popitem(last=False)

    def _show_run_model(self, entry: Entry) -> None:
        """Make a model of a run the current one, unless it is."""
        before = self.model_entry
        given = self.library.given(entry.id)
        if before is not None and before.id == entry.id and given is not None:
            self._reload(entry, given)
        else:
            self._use_model(entry)
        self._show_model(entry, entry.id)

    def _reload(self, entry: Entry, model: RunModel) -> None:
        """Go on with other weights of the current model; the document stays as it is."""
        before = self.model_entry
        if not _alike(before.header, entry.header):
            # Another network was begun under the same name.
            self._set_model(entry)
            self.render_canvas()
            return
        same = before.content == entry.content
        self.model_entry, self.model = entry, entry.header
        if same:
            return
        self._model_directions = dict(model.directions)
        # The canvas first: its image is what the person looks at.
        self.render_canvas()
        self.model_reloaded.emit(self.model)
        self._tell_directions()

    def _release(self, name: str) -> None:
        """Send the requests that waited for a model."""
        if name not in self._loading:
            return
        self._loading.discard(name)
        for request in [r for r in self._deferred.values() if r.picture.model == name]:
            del self._deferred[request.channel]
            self._bridge.preview(request)

    # Sessions.

    def _await_run(self, model: str) -> bool:
        """Explore the run that a document's model is of, if there is one; its pictures wait."""
        run = find_run(model.partition("@")[0], self.library.runs.roots)
        if run is None or self.library.run_id(run) != model:
            return False
        self._loading.add(model)
        self._follow_run(run, model, None)
        self._wanted_run = model
        return True

    def _history_as_shown(self) -> History:
        """Return the history, with the weights that pictures of explored runs are shown with."""
        marks = {}
        for name in {picture.model for picture in self._pictures()}:
            given = self.library.given(name)
            if given is not None:
                marks[name] = given.entry.header.spec.fingerprint
        entries = of_weights(self.history.entries, marks)
        return History.restore(entries, self.history.index)

    def _pictures(self) -> Iterator[Picture]:
        for entry in self.history.entries:
            if entry.document.canvas is not None:
                yield entry.document.canvas
            yield from (item.picture for item in entry.document.tray)
            if entry.document.denoising is not None:
                yield entry.document.denoising.base
            for switch in entry.document.switches.values():
                yield from (source.picture for source in switch.sources)

    def weights_note(self) -> str:
        """Return a sentence where pictures were made with weights that are not here any more."""
        document, gone = self.document, []
        pictures = [] if document.canvas is None else [document.canvas]
        for picture in [*pictures, *(item.picture for item in document.tray)]:
            try:
                spec = self.library.resolve(picture.model).header.spec
            except LatentLabError:
                continue
            if picture.fingerprint not in ("", spec.fingerprint) and picture.model not in gone:
                gone.append(picture.model)
        if not gone:
            return ""
        names = " and ".join(f"'{name}'" for name in gone[:3])
        return (
            f"⚠ It was made with other weights of {names}, which are not here: its images are made "
            "with those that are, and differ."
        )


def _alike(before: ModelHeader | None, after: ModelHeader | None) -> bool:
    """Whether latents, conditions and sizes mean the same."""
    if before is None or after is None:
        return False
    one, other = before.spec, after.spec
    fields: tuple[str, ...] = ("family", "image_shape", "spaces", "conditions", "class_names")
    fields = (*fields, "attribute_names", "capabilities")
    return all(_value(one, name) == _value(other, name) for name in fields)


def _value(spec: Any, name: str) -> Any:
    return getattr(spec, name)
