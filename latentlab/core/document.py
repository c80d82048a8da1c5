"""What a person is working on, as immutable values, and the history that undo walks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, model_validator

from latentlab.core.denoising import parse_path
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition
from latentlab.core.spec import Frozen

Option = float | int | str | bool
MAX_BRANCHES = 64
"""Most branches of one denoising run."""
MAX_SOURCES = 16
"""Most sources of one switch matrix."""


class Picture(Frozen):
    """An image, or a grid of images, that stands for latents: all that is needed to make it again.

    The latents come from ``seeds`` (prior samples) or from ``stored`` arrays (encoded photographs,
    imported or combined latents), never both.

    Attributes:
        model: id of the model in the library.
        fingerprint: of the model's weights.
        space: name of the latent space.
        seeds: one for each image of the grid.
        temperature: factor on the prior's standard deviation.
        stored: content hash of a ``(batch, *shape)`` array, by part name.
        photo: content hash of the photograph, uint8 ``(H, W, C)``, that was encoded.
        photo_path: where the photograph was read from, if it was a file.
        edits: slider value by direction name, in standard deviations.
        condition: class, attributes or text beside the latent.
        options: options of ``decode``: truncation psi, guidance, sampler and the like.
        name: what the person calls it.
    """

    model: str
    fingerprint: str = ""
    space: str
    seeds: tuple[int, ...] = ()
    temperature: float = 1.0
    stored: dict[str, str] = Field(default_factory=dict)
    photo: str | None = None
    photo_path: str | None = None
    edits: dict[str, float] = Field(default_factory=dict)
    condition: Condition = Condition()
    options: dict[str, Option] = Field(default_factory=dict)
    name: str = ""

    def with_edit(self, direction: str, amount: float) -> Picture:
        """Return the picture with one slider moved; an amount of 0 removes the edit."""
        edits = {**self.edits, direction: amount}
        if amount == 0:
            del edits[direction]
        return self.model_copy(update={"edits": edits})

    def array_hashes(self) -> set[str]:
        """Content hashes of the arrays that this picture needs."""
        return set(self.stored.values()) | ({self.photo} if self.photo else set())


class TrayItem(Frozen):
    """A kept picture of exactly one image."""

    id: str
    picture: Picture
    group: str = ""


class DirectionRecord(Frozen):
    """A direction that a person made or took in; its vector is in the store.

    Attributes:
        model: id of the model that it edits.
        vector: content hash of an array of the part's shape, by part name.
        others: as in ``Direction``.
    """

    name: str
    model: str
    space: str
    scale: float
    method: str
    fingerprint: str = ""
    group: str = ""
    provenance: dict[str, Any] = Field(default_factory=dict)
    vector: dict[str, str]


class Arrangement(Frozen):
    """How the sliders of one model stand.

    Attributes:
        order: names of directions, the first at the top; those not named follow in their own order.
        titles: what a person calls a direction, by name.
        locked: names that others are kept orthogonal to.
        removed: names of the model's own directions that are not shown.
    """

    order: tuple[str, ...] = ()
    titles: dict[str, str] = Field(default_factory=dict)
    locked: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class DenoisingBranch(Frozen):
    """A branch of the run that a person watches.

    Attributes:
        path: as ``core.denoising.parse_path`` reads it, never empty.
        title: what a person calls it; empty for what it changes.
        slot: its place among colours and markers; 0 is the run's own.
    """

    path: str = Field(min_length=1, max_length=2000)
    title: str = Field("", max_length=200)
    slot: int = Field(1, ge=1, le=10_000)


class Denoising(Frozen):
    """A run that a person watches step by step, and its branches.

    Attributes:
        base: the picture of the run itself, of one image, without a branch.
        follows: the latents are those of the picture that is selected on the canvas, and ``base``
            gives the settings and the condition.
        branches: in the order in which they were made; the parent of each is the run or a branch
            before it.
    """

    base: Picture
    follows: bool = False
    branches: tuple[DenoisingBranch, ...] = Field((), max_length=MAX_BRANCHES)

    @model_validator(mode="after")
    def _is_tree(self) -> Denoising:
        known = {""}
        for branch in self.branches:
            try:
                parse_path(branch.path)
            except LatentLabError as error:
                raise ValueError(error.message) from error
            parent = branch.path.rpartition("/")[0]
            if parent not in known or branch.path in known:
                raise ValueError("a branch stands twice, or before its parent")
            known.add(branch.path)
        return self


class SwitchSource(Frozen):
    """A picture whose parts are switched.

    Attributes:
        id: its own, among the sources.
        picture: of exactly one image.
    """

    id: str = Field(min_length=1, max_length=100)
    picture: Picture


class Switch(Frozen):
    """A matrix of pictures: some parts come from the source of the row, others from the column's.

    Attributes:
        model: id of the model of all sources.
        space: of their latents.
        sources: in the order of rows and of columns.
        by_row: ranges, as ``core.recombine.parse_range`` reads them, that come from the row; empty
            means ``default_rows``.
        pair: ids of two sources that are blended; empty for none.
        amounts: by range: 0 is the first of the pair, 1 the second.
    """

    model: str
    space: str
    sources: tuple[SwitchSource, ...] = Field((), max_length=MAX_SOURCES)
    by_row: tuple[str, ...] = Field((), max_length=1000)
    pair: tuple[str, ...] = Field((), max_length=2)
    amounts: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_matrix(self) -> Switch:
        ids = [source.id for source in self.sources]
        if len(set(ids)) < len(ids):
            raise ValueError("a source stands twice")
        if len(self.pair) == 1 or not set(self.pair) <= set(ids):
            raise ValueError("a pair is two of the sources")
        if any(len(source.picture.seeds) > 1 for source in self.sources):
            raise ValueError("a source is one image")
        if not all(-10 <= amount <= 10 for amount in self.amounts.values()):
            raise ValueError("an amount is out of range")
        return self


class Document(Frozen):
    """All that undo restores and a session keeps.

    Attributes:
        canvas: what the canvas shows.
        tray: kept pictures.
        directions: made by the person, for any model.
        sliders: arrangement by model id.
        denoising: the run with settings or branches of its own that the Denoising panel shows.
        switches: the matrix of the Switch panel, by model id.
    """

    canvas: Picture | None = None
    tray: tuple[TrayItem, ...] = ()
    directions: tuple[DirectionRecord, ...] = ()
    sliders: dict[str, Arrangement] = Field(default_factory=dict)
    denoising: Denoising | None = None
    switches: dict[str, Switch] = Field(default_factory=dict)

    def array_hashes(self) -> set[str]:
        """Content hashes of the arrays that this document needs."""
        hashes: set[str] = set() if self.canvas is None else self.canvas.array_hashes()
        if self.denoising is not None:
            hashes |= self.denoising.base.array_hashes()
        for switch in self.switches.values():
            for source in switch.sources:
                hashes |= source.picture.array_hashes()
        for record in self.directions:
            hashes |= set(record.vector.values())
        for item in self.tray:
            hashes |= item.picture.array_hashes()
        return hashes


@dataclass(frozen=True)
class Entry:
    """One step of the history."""

    label: str
    document: Document
    merge_key: str | None = None
    created: float = field(default_factory=time.time)


class History:
    """Documents in order, and the place where the person is.

    Args:
        document: the first document.
        limit: entries kept; the oldest go first.
    """

    def __init__(self, document: Document | None = None, limit: int = 500) -> None:
        self._entries: list[Entry] = [Entry("Start", document or Document())]
        self._index = 0
        self._limit = limit

    @classmethod
    def restore(cls, entries: Sequence[Entry], index: int, limit: int = 500) -> History:
        """Return a history with these entries, at ``index``; the oldest over ``limit`` go.

        Raises:
            IndexError: no entries, or ``index`` outside them.
        """
        if not 0 <= index < len(entries):
            raise IndexError(index)
        history = cls(limit=limit)
        surplus = min(max(0, len(entries) - limit), index)
        history._entries = list(entries)[surplus:]
        history._index = index - surplus
        return history

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries, the oldest first, undone ones included."""
        return tuple(self._entries)

    @property
    def index(self) -> int:
        """Position of the current entry."""
        return self._index

    @property
    def document(self) -> Document:
        """The current document."""
        return self._entries[self._index].document

    @property
    def can_undo(self) -> bool:
        """Whether there is an earlier entry."""
        return self._index > 0

    @property
    def can_redo(self) -> bool:
        """Whether there is a later entry."""
        return self._index < len(self._entries) - 1

    def push(self, document: Document, label: str, merge_key: str | None = None) -> None:
        """Add a document and drop what was undone.

        Args:
            document: the new state; one that equals the current state adds nothing.
            label: what happened, for the visible list.
            merge_key: while the same key comes again, the entry is replaced: one drag is one step.
        """
        if document == self.document:
            return
        current = self._entries[self._index]
        del self._entries[self._index + 1 :]
        if merge_key is not None and current.merge_key == merge_key and self._index > 0:
            self._entries[self._index] = Entry(label, document, merge_key, current.created)
            return
        self._entries.append(Entry(label, document, merge_key))
        del self._entries[: max(0, len(self._entries) - self._limit)]
        self._index = len(self._entries) - 1

    def end_merge(self) -> None:
        """Close the current entry (a drag was released): the next push adds a new one."""
        current = self._entries[self._index]
        self._entries[self._index] = Entry(current.label, current.document, None, current.created)

    def go(self, index: int) -> Document:
        """Move to an entry and return its document; ``IndexError`` outside the list."""
        if not 0 <= index < len(self._entries):
            raise IndexError(index)
        self._index = index
        return self.document

    def undo(self) -> Document:
        """Step back, if there is anywhere to go, and return the document."""
        return self.go(max(0, self._index - 1))

    def redo(self) -> Document:
        """Step forward, if there is anywhere to go, and return the document."""
        return self.go(min(len(self._entries) - 1, self._index + 1))

    def array_hashes(self) -> set[str]:
        """Content hashes of the arrays that any entry needs."""
        return set().union(*(entry.document.array_hashes() for entry in self._entries))
