"""How a person likes the Denoising panel, kept between runs of the program."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from latentlab.core.settings import Settings
from latentlab.ui.denoise_tree import QUANTITIES


@dataclass
class WatchState:
    """What was chosen.

    Attributes:
        show: what the large image shows.
        rows: what the timeline shows.
        fitted: every n-th step, so that all find room.
        fps: steps a second while playing.
        loop: play again from the start.
        schedule: whether the schedule plot is shown; ``None`` where there is room.
    """

    show: str = "x0"
    rows: tuple[str, ...] = ("x_t", "x0")
    fitted: bool = False
    fps: int = 12
    loop: bool = True
    schedule: bool | None = None

    @classmethod
    def read(cls, settings: Settings) -> WatchState:
        """Return what the settings say; what is not sound is as at first.

        Without animation, playing does not loop unless it is asked to.
        """
        kept: dict[str, Any] = settings.denoise_view
        found = cls(loop=settings.animation)
        if kept.get("show") in QUANTITIES:
            found.show = kept["show"]
        rows = kept.get("rows")
        if isinstance(rows, list | tuple) and rows and set(map(str, rows)) <= set(QUANTITIES):
            found.rows = tuple(show for show in QUANTITIES if show in rows)
        if type(kept.get("fps")) is int and 1 <= kept["fps"] <= 60:
            found.fps = kept["fps"]
        for name in ("fitted", "loop", "schedule"):
            if isinstance(kept.get(name), bool):
                setattr(found, name, kept[name])
        if not settings.animation:
            found.loop = False
        return found

    def write(self, settings: Settings) -> None:
        """Keep it in the settings."""
        settings.denoise_view = {**asdict(self), "rows": list(self.rows)}
