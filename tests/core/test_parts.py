"""Parts of a space chosen together."""

from __future__ import annotations

import pytest

from latentlab.core.errors import LatentLabError
from latentlab.core.parts import (
    choice_of,
    chosen_parts,
    heading_in,
    is_decoupled,
    moved_text,
    name_in,
    narrowed,
    part_choices,
)
from latentlab.core.spec import LatentSpace, PartSpec


def _space(*names: str) -> LatentSpace:
    return LatentSpace(name="latent", parts=tuple(PartSpec(name=n, shape=(2,)) for n in names))


FLOW = _space("global", "local_1", "local_2")
PLAIN = _space("local_1", "local_2")
ONE = _space("z")


def test_choices_are_everything_then_groups_then_parts() -> None:
    assert [(c.id, c.title) for c in part_choices(FLOW)] == [
        ("all", "All parts"),
        ("global", "Global part"),
        ("local", "Local parts"),
        ("local_1", "Local part 1"),
        ("local_2", "Local part 2"),
    ]
    assert [c.id for c in part_choices(PLAIN)] == ["all", "local_1", "local_2"]
    assert [c.id for c in part_choices(ONE)] == ["all"]
    pair = part_choices(_space("global", "local_1"))
    assert [(c.id, c.title) for c in pair][1:] == [
        ("global", "Global part"),
        ("local_1", "Local parts"),
    ]


def test_names_of_parts_are_expanded_in_the_order_of_the_space() -> None:
    assert chosen_parts(FLOW, ["local"]) == ("local_1", "local_2")
    assert chosen_parts(FLOW, ["local_2", "global"]) == ("global", "local_2")
    assert chosen_parts(FLOW, []) == chosen_parts(FLOW, ["all"]) == chosen_parts(FLOW, ["both"])
    assert narrowed(FLOW, ["local"]).size == 4
    assert narrowed(FLOW, ["local"]).name == "latent"
    with pytest.raises(LatentLabError, match=r"no part 'locl'.*local"):
        chosen_parts(FLOW, ["locl"])
    with pytest.raises(LatentLabError, match="no part 'local'"):
        chosen_parts(ONE, ["local"])


def test_names_and_headings_say_where_a_direction_moves() -> None:
    named = [name_in("smiling", FLOW, parts) for parts in (["global"], ["local"], ["all"])]
    assert named == ["smiling", "smiling (local)", "smiling (both)"]
    assert name_in("smiling", FLOW, ["local_2"]) == "smiling (local_2)"
    assert name_in("smiling", FLOW, ["global", "local_2"]) == "smiling (global+local_2)"
    assert name_in("smiling", PLAIN, []) == name_in("smiling", ONE, []) == "smiling"
    assert heading_in(FLOW, ["local"]) == "Local parts"
    assert heading_in(FLOW, []) == "Both parts"
    assert choice_of(PLAIN, []).id == "all"
    told = [moved_text(names) for names in (["global"], ["local_1", "local_2"], ["local_2"])]
    assert told == ["Global part", "Local parts 1, 2", "Local part 2"]
    assert moved_text(["global", "local_1", "local_10", "local_2"]) == (
        "Global part, local parts 1, 2, 10"
    )
    assert moved_text(["z"]) == moved_text([]) == ""
    assert (is_decoupled(FLOW), is_decoupled(PLAIN), is_decoupled(ONE)) == (True, False, False)
