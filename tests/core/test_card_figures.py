"""Figures on a card: which part of a flow holds what, in a table and in a line."""

from __future__ import annotations

from latentlab.core.card_figures import parts_line, parts_table, plain_lines, short_lines

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


def test_a_line_says_which_part_holds_what() -> None:
    line = "Held by the global part: wearing hat; by the local parts: smiling; by both: bangs"
    assert parts_line(QUALITY) == [line]
    assert short_lines(QUALITY)[-1] == line
    assert parts_line({"target_both_smiling": 1.0}) == []
