"""How the Train panel was left: kept in the settings, read with care."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class TrainView(BaseModel):
    """What a person chose in the Train panel; assignment is validated.

    Attributes:
        run: folder of the open run; empty for none.
        overlaid: folders of the runs that are ticked.
        tab: ``curves``, ``samples``, ``log`` or ``recipe``.
        axis: of the charts.
        log: logarithmic y.
        smoothing: place of the slider, 0 to 1.
        charts: ids of the charts; ``None`` for the usual ones.
        legend: what was ticked or unticked in the legend.
        fps: sheets a second.
        loop: play again from the start.
        follow: show the newest sheet as it comes.
        smooth_images: smooth enlarged sheets.
        differences: the recipe table shows only what differs.
    """

    model_config = ConfigDict(extra="ignore", validate_assignment=True)

    run: str = ""
    overlaid: tuple[str, ...] = ()
    tab: Literal["curves", "samples", "log", "recipe"] = "curves"
    axis: Literal["steps", "epochs", "time"] = "steps"
    log: bool = False
    smoothing: float = Field(default=0.25, ge=0, le=1)
    charts: tuple[str, ...] | None = None
    legend: dict[str, bool] = Field(default_factory=dict)
    fps: int = Field(default=8, ge=1, le=60)
    loop: bool = True
    follow: bool = True
    smooth_images: bool = False
    differences: bool = True


def read_view(kept: Any) -> TrainView:
    """Return what the settings hold; the usual view when that is damaged."""
    try:
        return TrainView.model_validate(kept or {})
    except ValidationError:
        return TrainView()
