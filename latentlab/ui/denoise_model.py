"""The run that a person watches: which picture, which branches, which step. No widget here.

The run is that of the picture that is selected on the canvas, as long as nothing else was asked
for. Settings, branches and pictures of its own stand in ``Document.denoising``, so that undo and
sessions know them; frames are kept here, and made again by the worker where they are gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from latentlab.core.denoising import DenoisingFrame, Sampling, format_path, parse_path
from latentlab.core.document import Denoising, DenoisingBranch, Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.requests import Failure
from latentlab.core.spec import ModelSpec
from latentlab.ui import denoise_tree as tree
from latentlab.ui.denoise_cursor import RunCursor
from latentlab.ui.denoise_edits import RunEdits
from latentlab.ui.denoise_frames import RunFrames, RunShelf
from latentlab.ui.denoise_work import RunWork
from latentlab.ui.document_directions import digest, used_records
from latentlab.ui.edits import picture_key, row_picture

QUICK_SECONDS = 2.0
"""A run that is known to take longer does not start by itself."""
_CALM_MS = 120


class DenoiseModel(RunEdits, QObject):
    """The watched run of one window.

    Args:
        controller: of the window.

    Signals:
        run_changed: another run, or other branches or settings of it.
        frames_added: path of the run or branch that has a frame more.
        selection_changed: another step or branch is selected, or two others are compared.
        progress_changed: it runs, goes on, ends, or fails.
        watch_asked: a run was started elsewhere, to be watched here.
    """

    run_changed = Signal()
    frames_added = Signal(str)
    selection_changed = Signal()
    progress_changed = Signal()
    watch_asked = Signal()

    def __init__(self, controller: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._shelf = RunShelf()
        self._run: RunFrames | None = None
        self._shown: RunFrames | None = None
        self._tree: Denoising | None = None
        self._problem: Failure | None = None
        self._asked = False
        self._serial = 0
        self._paths: tuple[str, ...] = ()
        self._titles: dict[str, str] = {}
        self.watched = False
        self.folded: set[str] = set()
        self.cursor = RunCursor(self)
        self.work = RunWork(controller, self)
        self._calm = QTimer(self, singleShot=True, interval=_CALM_MS)
        self._calm.timeout.connect(self._begin)
        self.work.arrived.connect(self._take)
        self.work.ended.connect(self._ended)
        self.work.progressed.connect(self.progress_changed)
        controller.document_changed.connect(self._follow)
        controller.selection_changed.connect(self._follow)
        controller.model_changed.connect(self._follow)
        controller.model_reloaded.connect(self._follow)
        controller.hold_pictures(self.held_pictures)
        self._follow()

    # What there is.

    @property
    def spec(self) -> ModelSpec | None:
        """Of the current model, if it makes its images in steps."""
        model = self._controller.model
        return None if model is None or "steps" not in model.spec.capabilities else model.spec

    @property
    def picture(self) -> Picture | None:
        """The picture of the run itself."""
        return None if self._tree is None else self._tree.base

    @property
    def stored(self) -> Latents | None:
        """The latents that the picture names, if it comes from no seed."""
        picture = self.picture
        return None if picture is None else self._controller.store.latents(picture)

    @property
    def pinned(self) -> bool:
        """Whether the run has settings, branches or a picture of its own."""
        return self._document_run() is not None

    @property
    def follows(self) -> bool:
        """Whether its latents are those of the canvas."""
        run = self._document_run()
        return run is None or run.follows

    @property
    def paths(self) -> tuple[str, ...]:
        """The run (the empty path) and its branches, each after its parent."""
        return self._paths

    def branch_of(self, path: str) -> DenoisingBranch | None:
        """Return what the document says of a branch."""
        branches = () if self._tree is None else self._tree.branches
        return next((one for one in branches if one.path == path), None)

    def title(self, path: str) -> str:
        """Return what a run or branch is called: ``guidance 3, smiling``."""
        known = self._titles.get(path)
        if known is None:
            known = self._titles[path] = self._title(path)
        return known

    def _title(self, path: str) -> str:
        found = self.branch_of(path)
        if self._tree is None or (path and found is None):
            return ""
        if found is None:
            return tree.run_title(self._tree.base)
        return found.title or tree.what_changed(self._tree.base, path, self.spec)

    def frames(self, path: str) -> list[DenoisingFrame]:
        """Return all frames on the way to the end of a path, the trunk's included."""
        return [] if self._shown is None or path not in self.paths else self._shown.frames(path)

    def own_frames(self, path: str) -> list[DenoisingFrame]:
        """Return the frames after the branching point."""
        return [] if self._shown is None or path not in self.paths else self._shown.own(path)

    def count(self, path: str) -> int:
        """Return the steps of a whole run: as its frames say, or as was asked for."""
        frames = self.frames(path)
        if frames and (not path or self.own_frames(path)):
            return frames[-1].count
        return 0 if self._tree is None else tree.expected_count(self._tree.base, path)

    @property
    def stale(self) -> bool:
        """Whether the frames are those of the run before, as long as nothing newer has come."""
        return self._shown is not None and self._shown is not self._run

    @property
    def dim(self) -> bool:
        """Whether the frames are those of the run before, and nothing newer is on its way."""
        return self.stale and self.work.job is None and not self._calm.isActive()

    @property
    def running(self) -> bool:
        """Whether frames are on their way."""
        return self._run is not None and self.work.busy_with(self._run)

    def complete(self, path: str) -> bool:
        """Whether a run or branch has come to its end."""
        return not self.stale and self._run is not None and path in self._run.done

    def failure(self, path: str) -> Failure | None:
        """Return why a run or branch has no frames, or no more."""
        if self._problem is not None:
            return self._problem
        return None if self._run is None else self._run.failures.get(path)

    @property
    def missing(self) -> tuple[str, ...]:
        """Paths that are not complete and not on their way."""
        run = self._run
        if run is None:
            return ()
        return tuple(p for p in self.paths if p not in run.done and not self.work.makes(run, p))

    @property
    def seconds_needed(self) -> float | None:
        """Time that the missing frames will take; ``None`` when it is not known yet."""
        pace = self.work.paces.get(self._tree.base.model) if self._tree is not None else None
        return None if pace is None else pace * sum(map(self.count, self.missing))

    # What is selected.

    @property
    def selected(self) -> tuple[str, int]:
        """Path and step, counted from 1; one more than there are steps is the result."""
        return self.cursor.path, self.cursor.index

    def select(self, path: str, index: int | None = None) -> None:
        """Select a step of a run or branch; ``None`` stays at the newest."""
        self.cursor.select(path, index)

    # What a person asks for; changes of the document are those of ``RunEdits``.

    def run_again(self) -> None:
        """Make what is missing: after Cancel, after an error, or because it takes long."""
        run = self._run
        if run is None:
            self._follow()
            return
        run.stopped, self._asked = False, True
        run.failures.clear()
        self._begin()
        self.progress_changed.emit()

    def cancel(self) -> None:
        """Stop making frames; those that are here stay."""
        self.work.cancel()

    def frame_picture(self, path: str, index: int, show: str) -> Picture:
        """Return the picture of one frame, so that it can be made again anywhere.

        Args:
            path: of the run or branch.
            index: of the step; one more than there are is the result.
            show: ``x_t``, ``x0`` or ``eps``.

        Raises:
            LatentLabError: there is no run.
        """
        if self._tree is None:
            raise LatentLabError("There is no run yet: open a picture of a diffusion model.")
        stop_at = None if index > self.count(path) else index
        # What is still shown is of the settings that it was made with.
        base = self._tree.base if self._shown is None else self._shown.picture
        return tree.frame_picture(base, path, stop_at, show)

    def set_watched(self, watched: bool) -> None:
        """Tell whether the run is in sight: only then does it start by itself."""
        self.watched = watched
        if watched:
            self._soon()
        else:
            self._calm.stop()

    def worker_restarted(self) -> None:
        """Go on: the worker was started anew."""
        if self._run is not None:
            self._run.failures.clear()
        self._soon()

    def held_pictures(self) -> Sequence[Picture]:
        """Return pictures whose arrays are needed here."""
        return () if self._tree is None else (self._tree.base,)

    # Following the document.

    def _document_run(self) -> Denoising | None:
        run, entry = self._controller.document.denoising, self._controller.model_entry
        return run if run is not None and entry is not None and run.base.model == entry.id else None

    def _apply(self, run: Denoising | None, label: str, merge_key: str | None = None) -> None:
        self._asked = True
        if self._run is not None:
            self._run.stopped = False
        document = self._controller.document.model_copy(update={"denoising": run})
        self._controller.apply(document, label, merge_key)
        self._begin()

    def _wanted(self) -> Denoising | None:
        """Return what the document, the canvas and the selection ask for."""
        controller, run = self._controller, self._document_run()
        if self.spec is None or (run is not None and not run.follows):
            return run if self.spec is not None else None
        canvas = controller.document.canvas
        if canvas is None or canvas.model != controller.model_entry.id:
            return run
        row = row_picture(canvas, controller.selection or 0, controller.store)
        path = Sampling.from_options(row.options).branch
        base = tree.bare(row)
        if run is None:
            found = Denoising(base=base)
            return tree.with_branch(found, format_path(parse_path(path))) if path else found
        update = {"options": run.base.options, "condition": run.base.condition}
        return run.model_copy(update={"base": base.model_copy(update=update)})

    def _key(self, base: Picture) -> str:
        weights = "" if self.spec is None else self.spec.fingerprint
        plain = base.model_copy(update={"fingerprint": ""})
        used = used_records(self._controller.document, base)
        return f"{picture_key(plain)} {weights} {digest(used)}"

    def _follow(self, *_: object) -> None:
        """Take what is asked for; what is new of it starts by itself if it is quick."""
        before, self._problem = self._tree, None
        try:
            self._tree = self._wanted()
        except LatentLabError as error:
            self._tree, self._problem = None, Failure(error.message, error.details)
        if before != self._tree:
            now = self._tree
            self._paths = () if now is None else tree.tree_order(now.branches)
        self._titles.clear()
        if self._tree is None:
            self._drop()
            return
        key = self._key(self._tree.base)
        same = self._run is not None and self._run.key == key
        if same and before == self._tree:
            return
        if not same:
            self._change_run(self._shelf.get(key, self._tree.base))
        self.cursor.settle()
        self.run_changed.emit()
        self.progress_changed.emit()
        self._soon()

    def _drop(self) -> None:
        had = self._run is not None
        self._run = self._shown = None
        self.work.leave(None)
        self._calm.stop()
        if had or self._problem is not None:
            self.run_changed.emit()
            self.progress_changed.emit()

    def _change_run(self, run: RunFrames) -> None:
        old, self._run = self._run, run
        self._serial += 1
        run.serial, run.stopped = self._serial, False
        restarted = old is not None and old.picture.seeds == run.picture.seeds
        restarted = restarted and old.picture.stored == run.picture.stored
        self.work.leave(run, gently=bool(restarted))
        if not run.empty or not (self.watched or self._asked):
            self._shown = run
        if not restarted:
            self.cursor.follow_newest()

    # Making frames.

    def _soon(self) -> None:
        if self.watched:
            self._calm.start()

    def _quick(self) -> bool:
        needed = self.seconds_needed
        return needed is None or needed <= QUICK_SECONDS

    def _begin(self) -> None:
        """Ask for the frames that are missing, unless they would hold up a person unasked."""
        run, asked = self._run, self._asked
        if run is None or run.stopped or not (asked or (self.watched and self._quick())):
            self._asked = False
            if run is not None and self._shown is not run and not self.work.waits:
                self._show(run)
            return
        missing = [path for path in self.missing if path not in run.failures]
        if not missing:
            # Still asked for as long as something is on its way.
            self._asked = asked and self.running
        else:
            # What is looked at comes first, and does not wait for what is not.
            here = self.cursor.path
            seen = {here} if self.running else {"", *tree.prefixes(here), *(self.cursor.pair or ())}
            first = [path for path in missing if path in seen]
            if first or not self.running:
                self.work.start(run, self._tree.base, first or missing)
        self.progress_changed.emit()

    def _show(self, run: RunFrames) -> None:
        self._shown = run
        self.cursor.settle()
        self.run_changed.emit()

    def _take(self, run: RunFrames, frames: Sequence[DenoisingFrame]) -> None:
        for frame in frames:
            run.add(frame)
        if self._shown is None or (run is not self._shown and run.serial > self._shown.serial):
            self._show(run)
        self._shelf.trim(run)
        if run is self._shown:
            for path in dict.fromkeys(frame.branch for frame in frames):
                self.cursor.settle()
                self.frames_added.emit(path)

    def _ended(self, run: RunFrames, paths: Sequence[str], end: Any) -> None:
        """Take the end of some work: a result, a failure, or neither when it was cancelled."""
        if isinstance(end, Failure) and not self.work.superseded:
            for path in paths:
                if path not in run.done:
                    run.failures[path] = end
            if run is self._run and self._shown is not run:
                self._show(run)
        elif end is not None and not isinstance(end, Failure):
            run.done |= set(paths)
        elif run is self._run and not self.work.superseded:
            run.stopped = True
        self._begin()
        self.progress_changed.emit()
