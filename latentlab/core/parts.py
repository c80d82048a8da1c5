"""Parts of a space chosen together, and the names and headings of what is found in them.

A model that decouples (Ma et al. 2021, arXiv 2004.11820) has a part ``global`` and a part a scale,
``local_1``, ``local_2`` ...; ``local`` stands for all of these. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from latentlab.core.errors import LatentLabError
from latentlab.core.spec import LatentSpace
from latentlab.core.suggest import did_you_mean

ALL, GLOBAL, LOCAL, BOTH = "all", "global", "local", "both"
_LOCAL = f"{LOCAL}_"


@dataclass(frozen=True)
class PartChoice:
    """Parts of a space that a person chooses as one.

    Attributes:
        id: ``all``, ``global``, ``local``, or a part's name.
        title: as a chooser shows it.
        parts: their names, in the space's order.
    """

    id: str
    title: str
    parts: tuple[str, ...]


def part_title(name: str) -> str:
    """Return what a person calls a part: ``Global part``, ``Local part 2``."""
    if name == GLOBAL:
        return "Global part"
    if name.startswith(_LOCAL) and name[len(_LOCAL) :].isdigit():
        return f"Local part {name[len(_LOCAL) :]}"
    return name


def local_parts(space: LatentSpace) -> tuple[str, ...]:
    """Return the names of the parts ``local_1``, ``local_2`` ... of a space."""
    return tuple(part.name for part in space.parts if part.name.startswith(_LOCAL))


def is_decoupled(space: LatentSpace) -> bool:
    """Whether a space has a global part and local ones."""
    return decouples(part.name for part in space.parts)


def decouples(names: Iterable[str]) -> bool:
    """Whether there are a global part and local ones among the names of parts."""
    found = list(names)
    return GLOBAL in found and any(name.startswith(_LOCAL) for name in found)


def part_choices(space: LatentSpace) -> tuple[PartChoice, ...]:
    """Return what can be chosen of a space: everything first, then groups, then single parts.

    A space of one part leaves no choice but everything.
    """
    names = tuple(part.name for part in space.parts)
    found = [PartChoice(ALL, "All parts", names)]
    if len(names) == 1:
        return tuple(found)
    local = local_parts(space)
    grouped = len(local) > 1 and len(local) < len(names)
    for name in names:
        if grouped and name == local[0]:
            found.append(PartChoice(LOCAL, "Local parts", local))
        single = "Local parts" if local == (name,) else part_title(name)
        found.append(PartChoice(name, single, (name,)))
    return tuple(found)


def chosen_parts(space: LatentSpace, names: Iterable[str]) -> tuple[str, ...]:
    """Return the parts that names mean, in the space's order; all of them when none are given.

    Args:
        space: that they are parts of.
        names: parts, or ``all`` (also ``both``), or ``local`` for every part ``local_<i>``.

    Raises:
        LatentLabError: there is no such part.
    """
    asked = list(names)
    known = [part.name for part in space.parts]
    groups = {ALL: tuple(known), BOTH: tuple(known)}
    if local := local_parts(space):
        groups[LOCAL] = local
    found: set[str] = set()
    for name in asked:
        if name not in known and name not in groups:
            raise LatentLabError(
                f"There is no part '{name}'{did_you_mean(name, [*known, *groups])}"
            )
        found |= {name} if name in known else set(groups[name])
    return tuple(name for name in known if not asked or name in found)


def narrowed(space: LatentSpace, names: Iterable[str] = ()) -> LatentSpace:
    """Return a space with some of its parts alone, under its own name.

    Args:
        space: the whole one.
        names: as ``chosen_parts`` takes them.

    Raises:
        LatentLabError: there is no such part.
    """
    kept = chosen_parts(space, names)
    return space.model_copy(update={"parts": tuple(p for p in space.parts if p.name in kept)})


def first_parts(space: LatentSpace) -> tuple[str, ...]:
    """Return the parts that a map begins with: the global one, where there are local ones too.

    Thousands of local numbers are a round cloud, in which nothing is near anything.
    """
    return (GLOBAL,) if is_decoupled(space) else ()


def choice_of(space: LatentSpace, parts: Sequence[str]) -> PartChoice:
    """Return the choice that parts make; a mixture that no chooser offers is named by its parts."""
    kept = chosen_parts(space, parts)
    for choice in part_choices(space):
        if choice.parts == kept:
            return choice
    return PartChoice("+".join(kept), ", ".join(map(part_title, kept)), kept)


def name_in(name: str, space: LatentSpace, parts: Sequence[str]) -> str:
    """Return the name of a direction that moves some parts alone.

    What moves the global part, or all parts of a space without one, has the plain name; others say
    where they move: ``smiling (local)``, ``smiling (local_2)``, ``smiling (both)``.
    """
    choice = choice_of(space, parts)
    if choice.id == GLOBAL or (choice.id == ALL and not is_decoupled(space)):
        return name
    return f"{name} ({BOTH if choice.id == ALL else choice.id})"


def moved_text(names: Iterable[str]) -> str:
    """Return which parts a direction moves, in words: ``Global part, local parts 1, 2``.

    Empty for the only part of a space that does not tell parts apart.
    """
    found = sorted(names)
    if len(found) == 1 and part_title(found[0]) == found[0]:
        return ""
    local = [name for name in found if name.startswith(_LOCAL) and name != part_title(name)]
    others = [part_title(name) for name in found if name not in local or len(local) < 2]
    if len(local) < 2:
        return ", ".join(others)
    scales = sorted((name[len(_LOCAL) :] for name in local), key=lambda text: (len(text), text))
    return ", ".join([*others, f"{'local' if others else 'Local'} parts {', '.join(scales)}"])


def heading_in(space: LatentSpace, parts: Sequence[str]) -> str:
    """Return the heading of directions that come with a model: ``Global part``, ``Both parts``."""
    choice = choice_of(space, parts)
    return "Both parts" if choice.id == ALL and is_decoupled(space) else choice.title
