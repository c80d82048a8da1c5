"""What a person changes of the watched run; each change is one step of the history. No widget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from latentlab.core.denoising import Branch, SamplerName, Sampling, format_path, parse_path
from latentlab.core.document import Denoising, Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents
from latentlab.ui import denoise_tree as tree
from latentlab.ui.edits import batch_of


def _pinned(run: Denoising) -> Denoising:
    return run.model_copy(update={"follows": False})


class RunEdits:
    """Methods of ``DenoiseModel``; see there."""

    _controller: Any
    _tree: Denoising | None
    cursor: Any
    folded: set[str]
    spec: Any
    follows: bool
    title: Callable[[str], str]
    run_changed: Any
    watch_asked: Any

    def _apply(self, run: Denoising | None, label: str, merge_key: str | None = None) -> None:
        raise NotImplementedError

    def start(self, picture: Picture, stored: Latents | None = None) -> None:
        """Watch the run of a picture of one image; a branch or frame that it shows is selected.

        Args:
            picture: what to denoise.
            stored: the latents that it names, if they may not be here yet.
        """
        with self._controller.reporting():
            if stored is not None:
                self._controller.store.put_latents(stored)
            self._check(picture)
            sampling = Sampling.from_options(picture.options)
            run = Denoising(base=tree.bare(picture))
            if sampling.branch:
                run = tree.with_branch(run, format_path(parse_path(sampling.branch)))
            self._apply(run, f"Denoise {tree.source_title(picture)}")
            path = run.branches[-1].path if run.branches else ""
            self.cursor.select(path, sampling.stop_at)
            self._controller.panel_asked.emit("denoising")
            self.watch_asked.emit()

    def _check(self, picture: Picture) -> None:
        if batch_of(picture, self._controller.store) != 1:
            raise LatentLabError("Choose one image: a run is watched of one picture at a time.")
        entry = self._controller.model_entry
        if entry is None or picture.model != entry.id:
            raise LatentLabError(
                f"This picture is of the model '{picture.model}': open that model first."
            )

    def follow_canvas(self) -> None:
        """Watch the picture of the canvas, with its own settings; branches go, until undo."""
        self._apply(None, "Denoise the canvas")

    def restart(
        self, sampling: Sampling, condition: Condition, merge_key: str | None = None
    ) -> None:
        """Make the run again with other settings; calls with one merge key are one step."""
        here = self._tree
        if here is None:
            return
        base = here.base.model_copy(
            update={"options": sampling.to_options(), "condition": condition}
        )
        base = tree.bare(base)
        before, after = tree.expected_count(here.base, ""), tree.expected_count(base, "")
        run = tree.with_steps(here, base, before, after)
        run = run.model_copy(update={"follows": self.follows and not run.branches})
        self.cursor.keep_place(before, after)
        self._apply(run, tree.run_title(run.base), merge_key)

    def branch(self, parent: str, branch: Branch) -> str:
        """Leave a run or branch after ``branch.at`` of its steps; return the path."""
        here = self._tree
        if here is None:
            return ""
        path = tree.placed(parent, branch)
        with self._controller.reporting():
            run = tree.with_branch(_pinned(here), path)
            # First: what is looked at is made first.
            self.cursor.select(path, None)
            self._apply(run, f"Branch: {tree.what_changed(here.base, path, self.spec)}")
            return path
        return ""

    def compare_samplers(self, name: SamplerName | None = None) -> str:
        """Run another sampler on the same noise, and look at both; return its path."""
        here = self._tree
        if here is None:
            return ""
        now = tree.setting_of(here.base, "").sampling.sampler
        other = name or ("ddim" if now == "dpmpp" else "dpmpp")
        path = self.branch("", Branch(at=0, sampler=other))
        if path:
            self.cursor.compare("", path)
        return path

    def remove(self, path: str) -> None:
        """Delete a branch and all that leave it; undo brings them back."""
        here = self._tree
        if here is not None and path:
            self._apply(
                _pinned(tree.without_branch(here, path)), f"Delete branch {self.title(path)}"
            )

    def rename(self, path: str, title: str) -> None:
        """Call a branch something else; the empty title says what it changes."""
        here = self._tree
        if here is not None and path:
            run = _pinned(tree.renamed(here, path, title.strip()[:200]))
            self._apply(run, f"Name '{title.strip()}'")

    def fold(self, path: str, folded: bool) -> None:
        """Show a run or branch as one line, or its pictures again."""
        (self.folded.add if folded else self.folded.discard)(path)
        self.run_changed.emit()
