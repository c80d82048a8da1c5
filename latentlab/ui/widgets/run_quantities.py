"""What the charts of a run can show, and where each comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from latentlab.ui.widgets.run_text import part_name

LOSS = "loss"
HELD_OUT = "held_out_loss"
PART = "losses/"


@dataclass(frozen=True)
class Quantity:
    """One chart.

    Attributes:
        id: name of its first series.
        title: a few words.
        unit: of y; empty for none.
        usual: shown until a person chooses.
        tip: what it is good for.
    """

    id: str
    title: str
    unit: str = ""
    usual: bool = True
    tip: str = ""


_KNOWN = (
    Quantity(LOSS, "Loss", tip="What training makes smaller; held-out points beside it"),
    Quantity("learning_rate", "Learning rate", tip="The size of the optimiser's steps"),
    Quantity("grad_norm", "Gradient norm", tip="Length of the whole gradient, before clipping"),
    Quantity("images_per_second", "Images per second", "img/s", tip="The pace of training"),
    Quantity("data_wait", "Waiting for data", "%", False,
             tip="Share of the time in which the networks waited for images"),
    Quantity("memory_mb", "Memory", "MB", False, tip="Of the process, at its peak"),
    Quantity("device_memory_mb", "Device memory", "MB", False, tip="Of the GPU, at its peak"),
    Quantity("seconds_left", "Time left", "s", False, tip="What was foretold at each step"),
)  # fmt: skip


def quantities(names: Iterable[str]) -> list[Quantity]:
    """Return the charts for the series of one or several runs, in their order."""
    known = list(dict.fromkeys(names))
    parts = [
        Quantity(
            name, part_name(name.removeprefix(PART)), tip="A part of the loss, on its own axis"
        )
        for name in known
        if name.startswith(PART)
    ]
    usual = {q.id: q for q in _KNOWN}
    first = [usual[LOSS]] if LOSS in known else []
    return [*first, *parts, *(q for q in _KNOWN if q.id in known and q.id != LOSS)]


def series_of(quantity: str, names: Iterable[str]) -> list[str]:
    """Return the series that a chart can show: the loss takes its parts and held-out points."""
    if quantity != LOSS:
        return [quantity]
    parts = [name for name in names if name.startswith(PART)]
    return [LOSS, *([HELD_OUT] if HELD_OUT in names else []), *parts]


def series_title(name: str) -> str:
    """Return what a legend calls a series."""
    if name == LOSS:
        return "Loss"
    if name == HELD_OUT:
        return "Held-out loss"
    return part_name(name.removeprefix(PART))


def is_noisy(name: str) -> bool:
    """Return whether smoothing helps: what is exact is drawn as it is."""
    return name in (LOSS, "grad_norm", "images_per_second", "data_wait") or name.startswith(PART)


def factor_of(name: str) -> float:
    """Return what values are multiplied with for display: shares become percent."""
    return 100.0 if name == "data_wait" else 1.0
