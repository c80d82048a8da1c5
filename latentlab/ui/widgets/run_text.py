"""What is said about runs: figures with their units, states, and what can be done next."""

from __future__ import annotations

import math
import time

from latentlab.core.run_status import RunState, RunStatus, RunSummary
from latentlab.ui.widgets.map_axes import plain

STATE_WORDS: dict[RunState, str] = {
    "starting": "Starting",
    "training": "Training",
    "paused": "Paused",
    "measuring": "Measuring",
    "stopped": "Stopped",
    "failed": "Failed",
    "finished": "Finished",
    "interrupted": "Interrupted",
}
STATE_ICONS: dict[RunState, str] = {
    "starting": "starting",
    "training": "play",
    "paused": "pause",
    "measuring": "measure",
    "stopped": "stop",
    "failed": "warning",
    "finished": "check",
    "interrupted": "interrupted",
}
_FAMILIES = {"vae": "VAE", "dcgan": "DCGAN", "stylegan": "StyleGAN", "flow": "Flow"}
_PARTS = {"kl": "KL divergence", "loss": "Loss"}


def figure(value: float | None, unit: str = "") -> str:
    """Return a number with three significant digits and its unit; ``–`` for none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:,.0f}".replace("-", "−") if 1000 <= abs(value) < 1e6 else plain(value)
    return f"{text} {unit}".strip()


def duration(seconds: float | None) -> str:
    """Return a time in its two largest units: ``48 s``, ``4 min``, ``1 h 20 min``, ``2 d 3 h``."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return "–"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def megabytes(count: float | None) -> str:
    """Return megabytes as ``890 MB`` or ``1.8 GB``."""
    if count is None or not math.isfinite(count):
        return "–"
    return f"{count / 1000:.1f} GB" if count >= 1000 else f"{count:.0f} MB"


def parameters(count: float | None) -> str:
    """Return a number of parameters as ``3.84 M``."""
    if count is None or not abs(count) < 1e18:
        return "–"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f}"


def family_name(family: str) -> str:
    """Return what a person calls a family."""
    return _FAMILIES.get(family, family.capitalize())


def part_name(part: str) -> str:
    """Return what a person calls a part of the loss."""
    return _PARTS.get(part, part.replace("_", " ").capitalize())


def clock(at: float) -> str:
    """Return the time of day of a moment; with the date when it was not today."""
    try:
        then, now = time.localtime(at), time.localtime()
    except (OverflowError, OSError, ValueError):
        # No clock says so, but a damaged file may.
        return "–"
    same_day = then[:3] == now[:3]
    return time.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M", then)


def steps_text(status: RunStatus) -> str:
    """Return how far a run is, in steps."""
    if not status.total_steps:
        return f"step {status.step:,}"
    return f"step {status.step:,} of {status.total_steps:,}"


def share_done(run: RunSummary) -> float:
    """Return how far a run is, from 0 to 1."""
    if run.state == "finished":
        return 1.0
    status = run.status
    return min(1.0, status.step / status.total_steps) if status.total_steps else 0.0


def state_word(run: RunSummary, asked: str = "") -> str:
    """Return the state in a word; ``asked`` is what was asked of it and not yet done."""
    return asked if asked and run.active else STATE_WORDS[run.state]


def state_sentence(run: RunSummary, asked: str = "") -> str:
    """Return how a run stands and what can be done about it."""
    status, step = run.status, steps_text(run.status)
    known = status.message.strip()
    if asked and run.active:
        return f"{asked}…"
    if run.state == "starting":
        return known or "Starting: it reads the data and builds the networks."
    if run.state == "training":
        return known or STATE_WORDS["training"]
    if run.state == "paused":
        return f"Paused at {step}: Continue goes on at once."
    if run.state == "measuring":
        return f"Measuring the model: {known}" if known else "Measuring the finished model."
    if run.state == "finished":
        return known or "Finished: the model is ready to open."
    if run.state == "interrupted":
        return (
            f"Its process ended without a word at {step}: Resume goes on from the last checkpoint."
        )
    if run.state == "failed":
        return known or f"It failed at {step}: the log says why."
    if not status.step:
        return known or "It has not begun: Resume starts it."
    why = f": {known.rstrip('.')}" if known else ""
    return f"Stopped at {step}{why}. Resume goes on from there."


def facts_text(run: RunSummary) -> str:
    """Return the second line of a run in the list: steps and time left."""
    status = run.status
    if status.total_steps:
        text = f"{status.step:,} / {status.total_steps:,}"
    else:
        text = f"{status.step:,} steps"
    if run.state == "training" and status.seconds_left is not None:
        text += f" · {duration(status.seconds_left)} left"
    return text


def pace_text(run: RunSummary) -> str:
    """Return loss and pace in a few words."""
    status = run.status
    parts = []
    if status.loss is not None:
        parts.append(f"loss {figure(status.loss)}")
    if run.state == "training" and status.images_per_second is not None:
        parts.append(f"{figure(status.images_per_second)} img/s")
    return " · ".join(parts)
