"""Figures on a card: which part of a flow holds what, in a table and in a line."""

from __future__ import annotations

from latentlab.core.card_figures import (
    parts_line,
    parts_table,
    plain_lines,
    short_lines,
    switch_table,
)

QUALITY = {
    "bits_per_dim": 1.234,
    "target_smiling": 2.0,
    "target_global_smiling": 0.3,
    "target_local_smiling": 1.1,
    "target_both_smiling": 1.2,
    "selectivity_global_smiling": 0.5,
    "selectivity_local_smiling": 3.14,
    "selectivity_both_smiling": 3.0,
    "target_global_wearing_hat": 1.3,
    "target_local_wearing_hat": -0.1,
    "target_both_wearing_hat": 1.25,
    "target_global_bangs": 0.5,
    "target_local_bangs": 0.6,
}


def test_figures_of_parts_stand_in_a_table_and_nowhere_else() -> None:
    assert plain_lines(QUALITY) == ["bits per dim: 1.23", "target smiling: 2"]
    title, *rows = parts_table(QUALITY)
    assert title.startswith("Edits by part")
    assert [row.split() for row in rows] == [
        ["attribute", "global", "local", "both"],
        ["smiling", "0.30", "(0.5)", "1.10", "(3.1)", "1.20", "(3.0)"],
        ["wearing", "hat", "1.30", "-0.10", "1.25"],
        ["bangs", "0.50", "0.60"],
    ]
    assert parts_table({"bits_per_dim": 1.0}) == []


SWITCHED = {
    "switched_global_wearing_hat": 1.004,
    "switched_local_wearing_hat": -0.004,
    "switched_global_smiling": 0.23,
    "switched_local_smiling": 0.33,
    "switched_global_mustache": 0.06,
    "switched_local_mustache": 0.67,
    "switched_global_age": 0.03,
    "switched_local_age": 0.1,
    "frechet_switched": 8.73,
    "frechet_probe_floor": 0.25,
}


def test_what_comes_with_which_part_of_a_switched_picture() -> None:
    assert plain_lines(SWITCHED) == ["frechet probe floor: 0.25"]
    title, *rows = switch_table(SWITCHED)
    assert title.endswith("(Fréchet distance 8.73; data to data 0.25)")
    assert [row.split() for row in rows] == [
        ["attribute", "global", "local"],
        ["wearing", "hat", "100", "%", "0", "%"],
        ["smiling", "23", "%", "33", "%"],
        ["mustache", "6", "%", "67", "%"],
        ["age", "3", "%", "10", "%"],
    ]
    assert switch_table(QUALITY) == []


def test_a_line_says_what_comes_with_which_part() -> None:
    line = (
        "What comes with the global part: wearing hat; with the local parts: mustache; with both: "
        "smiling"
    )
    assert parts_line(SWITCHED) == [line]
    assert short_lines(SWITCHED)[-1] == line
    assert parts_line(QUALITY) == []
