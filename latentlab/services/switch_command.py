"""A switch matrix as a command line, and how it stands in a file. No torch here.

``latentlab switch MODEL SOURCE... [--rows RANGE,...] [--mix A B --size N] --out FILE``

A source is ``seed:7``, a photograph, or a file of latents or a PNG of LatentLab, each of whose rows
is one. With, where they differ from the default: ``--space``, ``--temperature`` (of seeds), the
condition's words of ``services.commands``, ``--option``, and of the layout ``--heads``,
``--captions``, ``--padding``, ``--scale``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latentlab.core.document import Picture, Switch
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents, stack
from latentlab.core.pictures import stored_hashes
from latentlab.core.recombine import PartRange, default_rows
from latentlab.core.spec import LatentSpace, ModelSpec
from latentlab.core.switching import column_ranges, row_ranges
from latentlab.services.commands import (
    condition_arguments,
    format_number,
    format_option,
    keep_latents,
    photo_makes_it,
    portable_picture,
    quote,
)

if TYPE_CHECKING:
    from latentlab.services.library import Entry

MAX_SCALE, MAX_PADDING, MAX_SIZE = 64, 64, 16
_SIDE = 64


@dataclass(frozen=True)
class SwitchLayout:
    """How a matrix stands in a PNG.

    Attributes:
        heads: show the sources left of the rows and above the columns.
        captions: write what comes by row and what by column.
        padding: pixels between images, before the enlargement.
        scale: each pixel becomes so many squared; ``None``: images grow to 64 pixels at least.
        mix: places of two sources, counted from 1: their mix grid instead of the matrix.
        size: rows and columns of the mix grid; its amounts are equally far from 0 to 1.
    """

    heads: bool = False
    captions: bool = False
    padding: int = 2
    scale: int | None = None
    mix: tuple[int, int] | None = None
    size: int = 5

    def check(self, out: Path) -> None:
        """Raise ``LatentLabError`` for numbers that make no file, or a file of another kind."""
        if out.suffix.lower() != ".png":
            raise LatentLabError(f"A matrix is written as .png, not as '{out.suffix or out.name}'.")
        if self.scale is not None and not 1 <= self.scale <= MAX_SCALE:
            raise LatentLabError(f"Pixels are enlarged 1 to {MAX_SCALE} times, not {self.scale}.")
        if not 0 <= self.padding <= MAX_PADDING:
            raise LatentLabError(f"Between images are 0 to {MAX_PADDING} pixels.")
        if not 2 <= self.size <= MAX_SIZE:
            raise LatentLabError(f"A mix grid has 2 to {MAX_SIZE} rows, not {self.size}.")
        if self.mix is not None and self.heads:
            raise LatentLabError("A mix grid has its two sources in its corners: leave out heads.")

    def check_sources(self, count: int) -> None:
        """Raise ``LatentLabError`` unless two of ``count`` sources are mixed, or none."""
        if self.mix is not None and not all(1 <= place <= count for place in self.mix):
            raise LatentLabError(f"Mix two of the sources: give two numbers from 1 to {count}.")

    def amounts(self) -> tuple[float, ...]:
        """Return the amounts of the mix grid."""
        return tuple(float(amount) for amount in np.linspace(0, 1, self.size))

    def scale_for(self, spec: ModelSpec) -> int:
        """Return the enlargement of a model's images."""
        return self.scale or max(1, -(-_SIDE // max(spec.image_shape[1:])))

    def arguments(self) -> list[str]:
        """Return the words of what differs from the default."""
        plain = SwitchLayout()
        words = [] if self.mix is None else ["--mix", *map(str, self.mix)]
        words += [] if self.mix is None or self.size == plain.size else ["--size", str(self.size)]
        words += ["--heads"] if self.heads else []
        words += ["--captions"] if self.captions else []
        words += [] if self.padding == plain.padding else ["--padding", str(self.padding)]
        return words + ([] if self.scale is None else ["--scale", str(self.scale)])


def range_words(ranges: Sequence[PartRange]) -> str:
    """Return ranges for a person, for example ``local 1, local 2``; ``nothing`` for none."""
    return ", ".join(str(chosen).replace("_", " ") for chosen in ranges) or "nothing"


def caption_lines(switch: Switch, space: LatentSpace, mix: bool) -> tuple[str, str]:
    """Return the two lines that captions write."""
    down, across = (range_words(f(switch, space)) for f in (row_ranges, column_ranges))
    if mix:
        return f"down: {down}, from the first to the second", f"across: {across}, likewise"
    return f"by row: {down}", f"by column: {across}"


def one_told(switch: Switch) -> Picture:
    """Return the first source's picture, when all were told the same.

    Raises:
        LatentLabError: they were not: no one command makes such a matrix.
    """
    first = switch.sources[0].picture
    for source in switch.sources:
        picture = source.picture
        if (picture.condition, dict(picture.options)) != (first.condition, dict(first.options)):
            raise LatentLabError(
                "The sources differ in condition or options: a file and a command hold one for "
                "all, so set the same for all of them."
            )
    return first


def _plain(picture: Picture) -> bool:
    """Whether a seed alone makes it."""
    return len(picture.seeds) == 1 and not any(picture.edits.values())


def _temperature(switch: Switch) -> float:
    """Return the temperature that a command's seeds have: that of the first plain one."""
    return next((s.picture.temperature for s in switch.sources if _plain(s.picture)), 1.0)


def sheet_picture(
    switch: Switch, latents: Mapping[str, Latents], fingerprint: str
) -> tuple[Picture, Latents | None]:
    """Return what the PNG says it shows: all sources, one row each, and their latents.

    They are seeds where that is what all of them are; else final latents, edits included.

    Raises:
        LatentLabError: the sources were not told the same.
    """
    first, temperature = one_told(switch), _temperature(switch)
    pictures = [source.picture for source in switch.sources]
    rows = None
    seeds: tuple[int, ...] = ()
    if all(_plain(picture) and picture.temperature == temperature for picture in pictures):
        seeds = tuple(picture.seeds[0] for picture in pictures)
    else:
        rows, temperature = stack([latents[source.id] for source in switch.sources]), 1.0
    picture = Picture(
        model=switch.model,
        space=switch.space,
        seeds=seeds,
        temperature=temperature,
        stored={} if rows is None else stored_hashes(rows),
        condition=first.condition,
        options=first.options,
    )
    return portable_picture(picture, fingerprint), rows


def switch_arguments(
    switch: Switch,
    words: Sequence[str],
    spec: ModelSpec,
    *,
    model: str | None = None,
    temperature: float = 1.0,
    layout: SwitchLayout | None = None,
    out: str = "switch.png",
) -> list[str]:
    """Return the words of the command that writes a matrix.

    Args:
        switch: the matrix; its sources were told the same.
        words: the sources.
        spec: of the model.
        model: id or path; the matrix's own id when not given.
        temperature: of those sources that are seeds.
        layout: of the file.
        out: the file.
    """
    space, told = spec.space(switch.space), portable_picture(one_told(switch), "")
    found = ["latentlab", "switch", model or switch.model, *words]
    chosen = row_ranges(switch, space)
    if chosen != default_rows(space):
        found += ["--rows", ",".join(map(str, chosen))]
    found += [] if switch.space == spec.spaces[0].name else ["--space", switch.space]
    found += [] if temperature == 1 else ["--temperature", format_number(temperature)]
    found += condition_arguments(told.condition)
    for name, value in told.options.items():
        found += ["--option", f"{name}={format_option(value)}"]
    return [*found, *(layout or SwitchLayout()).arguments(), "--out", out]


def switch_command(
    switch: Switch,
    latents: Mapping[str, Latents],
    *,
    entry: Entry,
    layout: SwitchLayout | None = None,
    out: str = "switch.png",
    device: str | None = None,
    platform: str | None = None,
) -> str:
    """Return the text of "Copy as command": run anywhere, it writes this matrix, to the same bytes.

    Latents that come from no seed and from no photograph that is still there are written to the
    person's data folder, so that the command can name them.

    Args:
        switch: the matrix.
        latents: of every source, edits included, by id: ``SwitchMatrix.latents``.
        entry: the model; its path is named when no other program knows its id.
        layout: of the file.
        out: the file.
        device: named when the person chose one: another device rounds differently.
        platform: whose shell to quote for (``sys.platform``).

    Raises:
        LatentLabError: no sources, they were not told the same, or their latents cannot be kept.
    """
    if not switch.sources or entry.header is None:
        raise LatentLabError("There is nothing to switch: add two pictures or more.")
    temperature, words = _temperature(switch), []
    for source in switch.sources:
        picture = source.picture
        if _plain(picture) and picture.temperature == temperature:
            words.append(f"seed:{picture.seeds[0]}")
        elif picture.stored and not any(picture.edits.values()) and photo_makes_it(picture):
            words.append(str(Path(picture.photo_path or "").absolute()))
        else:
            rows = latents[source.id]
            final = picture.model_copy(update={"stored": stored_hashes(rows), "seeds": ()})
            words.append(str(keep_latents(final, rows)))
    arguments = switch_arguments(
        switch,
        words,
        entry.header.spec,
        model=switch.model if entry.portable else str(entry.path),
        temperature=temperature,
        layout=layout,
        out=out,
    )
    if device is not None and device != "auto":
        arguments += ["--device", device]
    return quote(arguments, platform)
