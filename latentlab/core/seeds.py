"""Lists of seeds as a person writes them: ``0-63``, ``3``, ``1,5,9-12``."""

from __future__ import annotations

from collections.abc import Sequence

from latentlab.core.errors import LatentLabError
from latentlab.core.noise import MAX_SEED

MAX_SEEDS = 4096
"""Most images of one picture."""
_MIN_RUN = 3


def _number(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > MAX_SEED:
        raise LatentLabError(
            f"'{whole[:60]}' is not a list of seeds: write whole numbers from 0 to {MAX_SEED}, "
            "for example 3, 0-63 or 1,5,9-12."
        )
    return int(text)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of a list such as ``0-63``, ``3`` or ``1,5,9-12``, in the written order.

    Raises:
        LatentLabError: not such a list, a range that runs backwards, or more than ``MAX_SEEDS``.
    """
    seeds: list[int] = []
    for item in text.replace(" ", "").split(","):
        first, dash, last = item.partition("-")
        start = _number(first, text)
        stop = _number(last, text) if dash else start
        if stop < start:
            raise LatentLabError(f"The range of seeds '{item[:60]}' runs backwards: swap its ends.")
        if len(seeds) + stop - start + 1 > MAX_SEEDS:
            raise LatentLabError(
                f"'{text[:60]}' names more than {MAX_SEEDS} seeds: make the list shorter."
            )
        seeds.extend(range(start, stop + 1))
    return tuple(seeds)


def format_seeds(seeds: Sequence[int]) -> str:
    """Return the shortest list that ``parse_seeds`` turns back into ``seeds``, order kept."""
    items: list[str] = []
    start = 0
    for end in range(1, len(seeds) + 1):
        if end < len(seeds) and seeds[end] == seeds[end - 1] + 1:
            continue
        run = seeds[start:end]
        if len(run) >= _MIN_RUN:
            items.append(f"{run[0]}-{run[-1]}")
        else:
            items.extend(str(seed) for seed in run)
        start = end
    return ",".join(items)
