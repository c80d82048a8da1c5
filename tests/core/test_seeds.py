from __future__ import annotations

import pytest

from latentlab.core.errors import LatentLabError
from latentlab.core.noise import MAX_SEED
from latentlab.core.seeds import MAX_SEEDS, format_seeds, parse_seeds


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", (3,)),
        ("0-3", (0, 1, 2, 3)),
        ("1,5,9-12", (1, 5, 9, 10, 11, 12)),
        (" 7 , 2 ", (7, 2)),
        ("4-4", (4,)),
        ("5,5", (5, 5)),
        (str(MAX_SEED), (MAX_SEED,)),
    ],
)
def test_a_list_is_read_in_the_written_order(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "a",
        "-1",
        "1-",
        "-",
        "1--2",
        "3.5",
        "1,,2",
        "٣",
        "1e3",
        "9-2",
        str(MAX_SEED + 1),
        "0x1",
    ],
)
def test_anything_else_is_one_sentence(text: str) -> None:
    with pytest.raises(LatentLabError, match="seeds"):
        parse_seeds(text)


def test_a_huge_range_is_refused_before_it_takes_memory() -> None:
    with pytest.raises(LatentLabError, match=str(MAX_SEEDS)):
        parse_seeds("0-999999999999")
    assert len(parse_seeds(f"0-{MAX_SEEDS - 1}")) == MAX_SEEDS


@pytest.mark.parametrize(
    ("seeds", "text"),
    [
        ((3,), "3"),
        (tuple(range(64)), "0-63"),
        ((1, 5, 9, 10, 11, 12), "1,5,9-12"),
        ((1, 2), "1,2"),
        ((3, 2, 1), "3,2,1"),
        ((5, 5, 6, 7, 5), "5,5-7,5"),
        ((), ""),
    ],
)
def test_the_shortest_list_is_written_and_reads_back(seeds: tuple[int, ...], text: str) -> None:
    assert format_seeds(seeds) == text
    if seeds:
        assert parse_seeds(text) == seeds
