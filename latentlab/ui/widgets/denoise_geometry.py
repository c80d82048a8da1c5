"""Where the frames of a watched run stand on its timeline. Pure arithmetic, no Qt.

Lengths are in logical pixels. A *slot* is a column of the timeline: one step, or where there is no
room for all of them, every n-th.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

HEADER = 20
GAP = 3
GROUP_GAP = 5


@dataclass(frozen=True)
class GroupFacts:
    """What one run or branch takes up.

    Attributes:
        path: of it.
        first: its first own step, counted from 1.
        last: its last place: one more than its steps, where the result stands.
        folded: only its header is seen.
    """

    path: str
    first: int
    last: int
    folded: bool = False


@dataclass(frozen=True)
class Group:
    """A run or branch on the timeline.

    Attributes:
        facts: what it takes up.
        top: of its header.
        rows: tops of its rows, by what they show.
        bottom: below its last row.
    """

    facts: GroupFacts
    top: int
    rows: dict[str, int]
    bottom: int

    @property
    def path(self) -> str:
        """Its path."""
        return self.facts.path


@dataclass(frozen=True)
class Timeline:
    """All groups.

    Attributes:
        groups: from the top down.
        gutter: width of the captions on the left, which do not scroll.
        cell: (width, height) of a drawn frame.
        every: steps of a slot.
        slots: number of columns.
    """

    groups: tuple[Group, ...]
    gutter: int
    cell: tuple[int, int]
    every: int
    slots: int

    @property
    def pitch(self) -> int:
        """From one column to the next."""
        return self.cell[0] + GAP

    @property
    def width(self) -> int:
        """Of everything, the gutter included."""
        return self.gutter + self.slots * self.pitch + GAP

    @property
    def height(self) -> int:
        """Of everything."""
        return self.groups[-1].bottom if self.groups else 0

    def group(self, path: str) -> Group | None:
        """Return the group of a path."""
        return next((one for one in self.groups if one.path == path), None)

    def slot_of(self, index: int) -> int:
        """Return the column of a step, counted from 1."""
        return max(0, index - 1) // self.every

    def steps_of(self, slot: int) -> range:
        """Return the steps of a column."""
        return range(slot * self.every + 1, (slot + 1) * self.every + 1)

    def x_of(self, slot: int) -> int:
        """Return the left edge of a column, unscrolled."""
        return self.gutter + GAP + slot * self.pitch

    def slot_at(self, x: float) -> int | None:
        """Return the column at a place, unscrolled; ``None`` between two and beside them."""
        slot, inside = divmod(x - self.gutter - GAP, self.pitch)
        fits = 0 <= slot < self.slots and inside < self.cell[0]
        return int(slot) if fits else None

    def group_at(self, y: float) -> Group | None:
        """Return the group at a height, unscrolled."""
        return next((one for one in self.groups if one.top <= y < one.bottom), None)

    def row_at(self, y: float) -> tuple[Group, str] | None:
        """Return the group and what its row shows at a height, unscrolled; ``None`` beside."""
        group = self.group_at(y)
        for show, top in {} if group is None else group.rows.items():
            if top <= y < top + self.cell[1]:
                return group, show
        return None


def steps_per_slot(total: int, pitch: int, room: int) -> int:
    """Return the smallest number of steps a column stands for, so that all columns find room."""
    columns = max(1, room // max(1, pitch))
    return max(1, math.ceil(total / columns))


def arrange(
    facts: Sequence[GroupFacts],
    shows: Sequence[str],
    cell: tuple[int, int],
    gutter: int,
    room: int | None,
) -> Timeline:
    """Return the timeline.

    Args:
        facts: runs and branches, from the top down.
        shows: rows of each.
        cell: (width, height) of a drawn frame.
        gutter: width of the captions.
        room: width in which all columns are to fit; ``None``: every step has a column.
    """
    total = max((one.last for one in facts), default=0)
    every = 1
    if room is not None:
        every = steps_per_slot(total, cell[0] + GAP, room - gutter - 2 * GAP)
    groups, top = [], 0
    for one in facts:
        rows: dict[str, int] = {}
        at = top + HEADER
        for show in () if one.folded else shows:
            rows[show] = at
            at += cell[1] + GAP
        bottom = at + GROUP_GAP
        groups.append(Group(one, top, rows, bottom))
        top = bottom
    return Timeline(tuple(groups), gutter, cell, every, math.ceil(total / every))
