"""The controller's part about slider values."""

from __future__ import annotations

from collections.abc import Mapping

from latentlab.ui import edits


class EditActions:
    """Methods of ``Controller``; see there."""

    def set_edit(self, direction: str, amount: float, merge_key: str | None = None) -> None:
        """Move one slider, in standard deviations; 0 removes the edit."""
        canvas = self.document.canvas
        if canvas is not None:
            label = f"{self.title_of(direction)} {amount:+.2f}"
            self.apply_canvas(canvas.with_edit(direction, amount), label, merge_key)

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

    def set_edits(
        self, values: Mapping[str, float], label: str, merge_key: str | None = None
    ) -> None:
        """Set several sliders in one step; 0 removes an edit, the other sliders stay."""
        canvas = self.document.canvas
        if canvas is not None:
            new = {**canvas.edits, **values}
            new = {name: amount for name, amount in new.items() if amount != 0}
            self.apply_canvas(canvas.model_copy(update={"edits": new}), label, merge_key)
