"""The controller's part about kept pictures."""

from __future__ import annotations

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.ui import edits


class TrayActions:
    """Methods of ``Controller``; see there."""

    def keep(self, row: int | None = None) -> None:
        """Put one image of the canvas, or the selected one, into the tray."""
        with self.reporting():
            picture = self._canvas()
            row = self.selection if row is None else row
            if row is None and edits.batch_of(picture, self.store) > 1:
                raise LatentLabError("Click an image of the grid first, then keep it.")
            picture = edits.row_picture(picture, row or 0, self.store)
            self.keep_picture(picture)

    def keep_picture(self, picture: Picture) -> None:
        """Put a picture of one image into the tray."""
        what = picture.name or (f"seed {picture.seeds[0]}" if picture.seeds else "latents")
        self.apply(edits.kept(self.document, picture), f"Keep {what}")

    def remove_from_tray(self, ids: list[str]) -> None:
        """Take pictures out of the tray."""
        tray = tuple(item for item in self.document.tray if item.id not in ids)
        label = "Remove from tray"
        self.apply(self.document.model_copy(update={"tray": tray}), label)

    def rename_in_tray(self, item_id: str, name: str) -> None:
        """Name a kept picture."""
        self.apply(edits.changed_tray(self.document, [item_id], name=name), f"Name '{name}'")

    def group_in_tray(self, ids: list[str], group: str) -> None:
        """Put kept pictures into a group; an empty name takes them out of theirs."""
        label = f"Group '{group}'" if group else "Ungroup"
        self.apply(edits.changed_tray(self.document, ids, group=group), label)

    def move_in_tray(self, item_id: str, index: int) -> None:
        """Move a kept picture to another place."""
        self.apply(edits.moved_in_tray(self.document, item_id, index), "Move in tray")
