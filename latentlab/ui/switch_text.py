"""What is said about round trips and checks of switched pictures. No Qt here."""

from __future__ import annotations

import math

from latentlab.services.switch_values import LOST, RoundTrip, SwitchCheck

_NBSP = "\N{NO-BREAK SPACE}"


def small(value: float) -> str:
    """Return a small number with two digits: ``3.1e−6``, ``0.42``, ``12``."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "?"
    if abs(value) >= 1e4:
        return f"{value:.1e}".replace("e+", "e").replace("-", "−")
    text = f"{value:.0f}" if abs(value) >= 9.95 else f"{value:.2g}"
    return text.replace("e-0", "e−").replace("e-", "e−").replace("-", "−")


def decibels(psnr_db: float) -> str:
    """Return a peak signal-to-noise ratio: ``38.2 dB``, or that the bytes are the same."""
    return f"{psnr_db:.1f}{_NBSP}dB" if math.isfinite(psnr_db) else "exact"


def trip_note(trip: RoundTrip | None) -> str:
    """Return the figure in the corner of a cell of the diagonal; empty without a photograph."""
    return "" if trip is None or trip.psnr_db is None else decibels(trip.psnr_db)


def trip_sentence(trip: RoundTrip | None) -> str:
    """Return how well a source comes back."""
    if trip is None:
        return ""
    said = []
    if trip.psnr_db is not None and math.isfinite(trip.psnr_db):
        level = (
            "" if trip.max_level_error is None else f", at most {trip.max_level_error} of 255 off"
        )
        said.append(f"The photograph comes back at {decibels(trip.psnr_db)}{level}.")
    elif trip.psnr_db is not None:
        said.append("The photograph comes back exactly, to the byte.")
    if trip.latent_error is not None:
        said.append(
            f"Encoded again, its latent is off by {small(trip.latent_error)}{_NBSP}σ at most."
        )
    return " ".join([*said, LOST] if trip.lost else said)


def check_sentences(check: SwitchCheck | None, first: str, second: str) -> str:
    """Return what was found when a switched picture was encoded again.

    Args:
        check: of the cell.
        first: letter of the row's source.
        second: letter of the column's source.
    """
    if check is None:
        return ""
    held = "" if check.global_shift_sigma is None else " with the global part held"
    said = [f"Encoded again{held}, the parts come back to {small(check.local_error)}{_NBSP}σ."]
    if check.global_shift_sigma is not None:
        shift = f"The encoder sees a global part {small(check.global_shift_sigma)}{_NBSP}σ away"
        apart = check.apart_sigma
        if apart:
            shift += f"; {first} and {second} are {small(apart)}{_NBSP}σ apart"
        said.append(f"{shift}.")
    return " ".join(said)
