"""The controller's part about slider values and vector arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.requests import Failure
from latentlab.ui import edits
from latentlab.ui.job_tracker import Job
from latentlab.ui.slider_values import check_names, pasted, read_values, values_text


@dataclass(eq=False)
class _Combination:
    """Three kept pictures that are being added, and their latents once they are here."""

    key: tuple[str, ...]
    base: Picture
    weight: float = 1.0
    parts: tuple[str, ...] = ()
    latents: tuple[Latents, ...] = ()
    job: Job | None = None


class EditActions:
    """Methods of ``Controller``; see there."""

    _combination: _Combination | None = None

    @staticmethod
    def selected_in_tray() -> list[str]:
        """Return ids of the kept pictures that are selected; the tray puts its own answer here."""
        return []

    def set_edit(self, direction: str, amount: float, merge_key: str | None = None) -> None:
        """Move one slider, in standard deviations; 0 removes the edit."""
        canvas = self.document.canvas
        if canvas is not None:
            label = f"{self.title_of(direction)} {amount:+.2f}"
            self.apply_canvas(canvas.with_edit(direction, amount), label, merge_key)

    def set_edits(
        self, values: Mapping[str, float], label: str, merge_key: str | None = None
    ) -> None:
        """Set several sliders in one step; 0 removes an edit, the other sliders stay."""
        canvas = self.document.canvas
        if canvas is not None:
            new = {**canvas.edits, **values}
            new = {name: float(amount) for name, amount in new.items() if amount != 0}
            self.apply_canvas(canvas.model_copy(update={"edits": new}), label, merge_key)

    def reset_edits(self, names: list[str] | None = None) -> None:
        """Put some sliders, or all, back to 0."""
        canvas = self.document.canvas
        if canvas is not None:
            label = (
                "Reset all edits"
                if names is None
                else f"Reset {', '.join(self.title_of(n).lower() for n in names)}"
            )
            self.apply_canvas(edits.without_edits(canvas, names), label)

    # Copy and paste.

    def copy_edits(self, picture: Picture | None = None) -> str:
        """Return the slider values of a picture (the canvas when not given) as text.

        The words are those of the command line; empty when no slider is moved.
        """
        picture = picture or self.document.canvas
        edits_of = {} if picture is None else picture.edits
        return values_text({name: amount for name, amount in edits_of.items() if amount})

    def paste_edits(self, text: str, rows: Sequence[int] = ()) -> None:
        """Set the sliders of the canvas to the values in a text, in one step.

        Args:
            text: as ``copy_edits`` returns it, or a whole command.
            rows: the canvas has one set of sliders; with some of its images, it shows these alone.
        """
        with self.reporting():
            values = self._values_here(text)
            canvas = self._canvas()
            if rows:
                canvas = edits.several_rows(canvas, rows, self.store)
            self.apply_canvas(canvas.model_copy(update={"edits": values}), "Paste slider values")

    def paste_edits_in_tray(self, text: str, items: Sequence[str] | None = None) -> None:
        """Set kept pictures to the slider values in a text, in one step.

        Args:
            text: as ``copy_edits`` returns it, or a whole command.
            items: ids of kept pictures; those that are selected when not given. Pictures of another
                model than the current one stay as they are.
        """
        with self.reporting():
            values = self._values_here(text)
            chosen = self.selected_in_tray() if items is None else list(items)
            if not chosen:
                raise LatentLabError("Select images in the tray first, then paste.")
            model = "" if self.model_entry is None else self.model_entry.id
            document, done, left = pasted(self.document, values, chosen, model)
            self.apply(document, "Paste slider values")
            said = f"Slider values pasted onto {done} kept picture{'s' if done != 1 else ''}"
            more = f"; {left} of another model left as they were" if left else ""
            self.message.emit(said + more, "")

    def _values_here(self, text: str) -> dict[str, float]:
        values = read_values(text)
        # A slider that was removed comes back with its value.
        check_names(values, {*self.directions, *self.removed_directions})
        return values

    # Vector arithmetic.

    def combine(
        self, a: str, b: str, c: str, weight: float = 1.0, parts: tuple[str, ...] = ()
    ) -> None:
        """Show C + weight * (A - B) of three kept pictures; weight 1 is A - B + C.

        Calls with the same pictures are one step of the history until ``end_merge``, so that a
        weight can be dragged; the latents are asked for once.

        Args:
            a: id of a kept picture.
            b: id of the one that is taken away from it.
            c: id of the one that the difference is added to.
            weight: on the difference.
            parts: of the latent that the difference moves; all when none are given.
        """
        with self.reporting():
            chosen = [self._kept_picture(item_id) for item_id in (a, b, c)]
            key = tuple(self.thumbnail_key(picture) for picture in chosen)
            here = self._combination
            if here is not None and here.key == key and (here.latents or here.job in self.jobs):
                here.weight, here.parts = weight, parts
                if here.latents:
                    self._show_combination(here)
                return
            if len({(one.model, one.space) for one in chosen}) > 1:
                raise LatentLabError(
                    "Only pictures of one model and space can be added: choose three of one model."
                )
            self._combination = here = _Combination(key, chosen[2], weight, parts)
            self._ask_for_latents(here, chosen)

    def _kept_picture(self, item_id: str) -> Picture:
        found = [item.picture for item in self.document.tray if item.id == item_id]
        if not found:
            raise LatentLabError("Choose three pictures of the tray: A, B and C.")
        return found[0]

    def _ask_for_latents(self, here: _Combination, chosen: list[Picture]) -> None:
        def take(found: Any) -> None:
            if self._combination is here:
                here.latents = tuple(found)
                with self.reporting():
                    self._show_combination(here)

        def failed(failure: Failure) -> None:
            if self._combination is here:
                self._combination = None
            self.failed.emit(failure.message, failure.details)

        arguments = {
            "pictures": tuple((one, self.store.latents(one)) for one in chosen),
            "directions": self.own_directions(*chosen),
        }
        here.job = self.run_job("picture_latents", "Adding latents", arguments, take, failed)

    def _show_combination(self, here: _Combination) -> None:
        try:
            found = edits.weighted_sum(*here.latents, here.weight, here.parts)
        except LatentLabError:
            self._combination = None
            raise
        made = {
            "seeds": (),
            "temperature": 1.0,
            "stored": self.store.put_latents(found),
            "photo": None,
            "photo_path": None,
            "edits": {},
            "name": "",
        }
        weight = "" if here.weight == 1 else f", weight {here.weight:+.2f}"
        document = self.document.model_copy(update={"canvas": here.base.model_copy(update=made)})
        where = f" in {', '.join(here.parts)}" if here.parts else ""
        merge = f"combine {' '.join((*here.key, *here.parts))}"
        self.apply(document, f"A - B + C{weight}{where}", merge)
