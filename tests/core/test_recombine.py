"""Latents put together from parts: against a formula of its own, to the bit at the ends."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array, Latents
from latentlab.core.recombine import (
    PartRange,
    blend,
    can_recombine,
    default_rows,
    mix,
    parse_range,
    recombine,
    units_of,
    weights_by_part,
)
from latentlab.core.spec import LatentSpace, LayerGroup, PartSpec

GROUPS = (LayerGroup(name="coarse", first=0, last=1), LayerGroup(name="fine", first=2, last=4))
FLOW = LatentSpace(
    name="latent",
    parts=(
        PartSpec(name="global", shape=(6,)),
        PartSpec(name="local_1", shape=(2, 4, 4)),
        PartSpec(name="local_2", shape=(4, 2, 2), interpolation="linear"),
    ),
)
STYLE = LatentSpace(
    name="w_plus",
    parts=(
        PartSpec(
            name="w_plus", shape=(5, 3), layer_axis=0, layer_groups=GROUPS, interpolation="linear"
        ),
    ),
)
TOKENS = LatentSpace(
    name="codes",
    parts=(
        PartSpec(name="top", shape=(2, 2), dtype="int64", interpolation="step"),
        PartSpec(name="side", shape=(3, 4), layer_axis=1, interpolation="spherical"),
    ),
)


def latents(space: LatentSpace, seed: int, rows: int = 2) -> Latents:
    rng = np.random.default_rng(seed)
    parts: dict[str, Array] = {}
    for part in space.parts:
        shape = (rows, *(n or 1 for n in part.shape))
        draws = rng.normal(size=shape)
        parts[part.name] = (draws * 9).astype(part.dtype) if part.dtype == "int64" else draws
        parts[part.name] = parts[part.name].astype(part.dtype)
    return Latents(space.name, parts)


def reference_slerp(a: Array, b: Array, t: float) -> Array:
    """One row, by rotation in the plane of the two: Gram-Schmidt, then cosine and sine."""
    a64, b64 = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    length_a, length_b = math.sqrt(a64 @ a64), math.sqrt(b64 @ b64)
    first = a64 / length_a
    across = b64 / length_b - (first @ b64 / length_b) * first
    across /= math.sqrt(across @ across)
    angle = math.atan2(across @ b64, first @ b64)
    way = math.cos(t * angle) * first + math.sin(t * angle) * across
    return (way * max(0, (1 - t) * length_a + t * length_b)).reshape(a.shape)


@pytest.mark.parametrize("t", [-0.5, 0.1, 0.25, 0.5, 0.9, 1.3])
@pytest.mark.parametrize("shape", [(2,), (6,), (3, 4, 4)])
def test_a_spherical_blend_is_a_rotation(t: float, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(shape))
    a, b = (rng.normal(size=(4, *shape)).astype(np.float32) for _ in range(2))
    found = blend(a, b, t, "spherical")
    assert found.dtype == np.float32
    for row in range(4):
        np.testing.assert_allclose(
            found[row], reference_slerp(a[row], b[row], t), rtol=1e-5, atol=1e-5
        )


def test_a_blend_keeps_the_norm_that_a_gaussian_has() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(1, 3000)).astype(np.float32) for _ in range(2))
    middle = blend(a, b, 0.5, "spherical")
    assert np.linalg.norm(middle) == pytest.approx(math.sqrt(3000), rel=0.05)
    # The straight line between them passes through the ball, where no sample is.
    assert np.linalg.norm(blend(a, b, 0.5, "linear")) < 0.75 * math.sqrt(3000)


@pytest.mark.parametrize("rule", ["spherical", "linear", "step"])
def test_the_ends_are_the_latents_to_the_bit(rule: Any) -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.normal(size=(3, 7)).astype(np.float32) for _ in range(2))
    assert blend(a, b, 0, rule).tobytes() == a.tobytes()
    assert blend(a, b, 1, rule).tobytes() == b.tobytes()


def test_rows_on_one_line_are_blended_along_it() -> None:
    a = np.array([[2, 0], [1, 1], [0, 0], [3, 0]], np.float32)
    b = np.array([[4, 0], [-1, -1], [1, 2], [0, 0]], np.float32)
    found = blend(a, b, 0.25, "spherical")
    np.testing.assert_allclose(found, [[2.5, 0], [0.5, 0.5], [0.25, 0.5], [2.25, 0]], atol=1e-6)
    same = blend(a[:2], a[:2], 0.3, "spherical")
    np.testing.assert_allclose(same, a[:2], rtol=1e-6)


def test_beyond_the_shorter_of_two_nothing_turns_around() -> None:
    a, b = np.array([[10.0, 0]], np.float32), np.array([[0.0, 1]], np.float32)
    assert np.abs(blend(a, b, 2.0, "spherical")).max() == 0
    assert np.isfinite(blend(a, b, -10.0, "spherical")).all()


def test_a_linear_and_a_stepped_blend() -> None:
    a, b = np.array([[1.0, -2]], np.float32), np.array([[3.0, 2]], np.float32)
    np.testing.assert_array_equal(blend(a, b, 0.25, "linear"), [[1.5, -1]])
    np.testing.assert_array_equal(blend(a, b, 2, "linear"), [[5, 6]])
    np.testing.assert_array_equal(blend(a, b, 0.49, "step"), a)
    np.testing.assert_array_equal(blend(a, b, 0.5, "step"), b)


# Recombination.


def test_every_set_of_parts_is_taken_to_the_bit() -> None:
    row, column = latents(FLOW, 1), latents(FLOW, 2)
    names = [part.name for part in FLOW.parts]
    for count in range(len(names) + 1):
        for chosen in itertools.combinations(names, count):
            found = recombine(row, column, [PartRange(name) for name in chosen], FLOW)
            for name in names:
                want = row if name in chosen else column
                assert found[name].tobytes() == want[name].tobytes()
            found.check(FLOW)


def test_ranges_of_layers_are_taken_to_the_bit() -> None:
    row, column = latents(STYLE, 1), latents(STYLE, 2)
    found = recombine(row, column, [PartRange("w_plus", 1, 2), PartRange("w_plus", 4, 4)], STYLE)
    for layer in range(5):
        want = row if layer in (1, 2, 4) else column
        np.testing.assert_array_equal(found["w_plus"][:, layer], want["w_plus"][:, layer])
    found.check(STYLE)


def test_layers_need_not_be_the_first_axis() -> None:
    row, column = latents(TOKENS, 1), latents(TOKENS, 2)
    found = recombine(row, column, [PartRange("side", 0, 1), PartRange("top")], TOKENS)
    np.testing.assert_array_equal(found["side"][..., :2], row["side"][..., :2])
    np.testing.assert_array_equal(found["side"][..., 2:], column["side"][..., 2:])
    np.testing.assert_array_equal(found["top"], row["top"])
    found.check(TOKENS)


def test_each_part_is_mixed_by_its_own_amount_and_rule() -> None:
    a, b = latents(FLOW, 1), latents(FLOW, 2)
    amounts = {PartRange("global"): 0.3, PartRange("local_2"): 0.75}
    found = mix(a, b, amounts, FLOW)
    for row in range(2):
        want = reference_slerp(a["global"][row], b["global"][row], 0.3)
        np.testing.assert_allclose(found["global"][row], want, rtol=1e-5, atol=1e-5)
    assert found["local_1"].tobytes() == a["local_1"].tobytes()
    straight = 0.25 * a["local_2"].astype(np.float64) + 0.75 * b["local_2"]
    np.testing.assert_allclose(found["local_2"], straight, rtol=1e-6)


def test_each_layer_is_mixed_alone() -> None:
    a, b = latents(TOKENS, 3), latents(TOKENS, 4)
    found = mix(a, b, {PartRange("side", 1, 3): 0.4, PartRange("top"): 0.4}, TOKENS)
    np.testing.assert_array_equal(found["side"][..., 0], a["side"][..., 0])
    whole = mix(a, b, {PartRange("side"): 0.4}, TOKENS)
    for layer in (1, 2, 3):
        for row in range(2):
            want = reference_slerp(a["side"][row, :, layer], b["side"][row, :, layer], 0.4)
            np.testing.assert_allclose(found["side"][row, :, layer], want, rtol=1e-5, atol=1e-5)
        # A layer moves in the same way whether the others do or not.
        np.testing.assert_array_equal(found["side"][..., layer], whole["side"][..., layer])
    np.testing.assert_array_equal(found["top"], a["top"])


def test_weights_are_zero_where_nothing_is_named() -> None:
    amounts = {PartRange("w_plus", 1, 3): 0.5, PartRange("w_plus", 3): 2.0}
    np.testing.assert_array_equal(
        weights_by_part({PartRange("w_plus", 1, 3): 0.5}, STYLE)["w_plus"], [0, 0.5, 0.5, 0.5, 0]
    )
    found = weights_by_part({**amounts, PartRange("w_plus", 3, 3): 2.0}, STYLE)
    np.testing.assert_array_equal(found["w_plus"], [0, 0.5, 0.5, 2, 0])


def test_other_latents_are_refused() -> None:
    with pytest.raises(LatentLabError, match="belong to space"):
        recombine(latents(FLOW, 1), latents(STYLE, 1), (), FLOW)
    with pytest.raises(LatentLabError, match="Only as many latents"):
        mix(latents(FLOW, 1, rows=1), latents(FLOW, 1, rows=2), {}, FLOW)


# Texts.


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("w_plus", PartRange("w_plus")),
        ("w_plus:3", PartRange("w_plus", 3, 3)),
        (" w_plus:0-4 ", PartRange("w_plus", 0, 4)),
        ("w_plus:2-2", PartRange("w_plus", 2, 2)),
    ],
)
def test_a_range_is_read_and_written(text: str, want: PartRange) -> None:
    assert parse_range(text, STYLE) == want
    assert parse_range(str(want), STYLE) == want


HOSTILE = [
    ("", "There is no part"),
    ("w_plus:", "There is no part"),
    ("w_plus:-1", "There is no part"),
    ("w_plus:1-", "There is no part"),
    ("w_plus:1.5", "There is no part"),
    ("w_plus:0-1-2", "There is no part"),
    ("w_plus:0:1", "There is no part"),
    ("w_plus:\u0663", "There is no part"),
    ("w_plus:1\n2", "There is no part"),
    ("W_PLUS", "did you mean 'w_plus'"),
    ("w_plus:3-1", "use 0 to 4"),
    ("w_plus:5", "use 0 to 4"),
    ("w_plus:0-999999", "use 0 to 4"),
    ("w_plus:" + "9" * 4000, "There is no part"),
    ("x" * 5000, "There is no part"),
]


@pytest.mark.parametrize(("text", "words"), HOSTILE)
def test_a_text_that_is_no_range_is_told_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(LatentLabError) as caught:
        parse_range(text, STYLE)
    assert words in caught.value.message
    assert len(caught.value.message) < 400


def test_a_part_without_layers_has_no_range() -> None:
    with pytest.raises(LatentLabError, match="has no layers: leave out ':0'"):
        parse_range("global:0", FLOW)


# What there is to switch.


def test_what_can_be_switched_alone() -> None:
    assert list(map(str, units_of(FLOW))) == ["global", "local_1", "local_2"]
    assert list(map(str, units_of(STYLE))) == [f"w_plus:{layer}" for layer in range(5)]
    assert can_recombine(FLOW)
    assert can_recombine(STYLE)
    single = LatentSpace(name="z", parts=(PartSpec(name="z", shape=(8,)),))
    assert not can_recombine(single)
    assert list(map(str, default_rows(FLOW))) == ["global"]
    assert list(map(str, default_rows(STYLE))) == ["w_plus:0-1"]
    plain = STYLE.parts[0].model_copy(update={"layer_groups": ()})
    assert list(map(str, default_rows(LatentSpace(name="w_plus", parts=(plain,))))) == [
        "w_plus:0-1"
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"layer_axis": 2},
        {"layer_axis": -1},
        {"layer_axis": 0, "layer_groups": ({"name": "coarse", "first": 3, "last": 1},)},
        {"layer_axis": 0, "layer_groups": ({"name": "coarse", "first": 0, "last": 10**12},)},
        {"layer_groups": ({"name": "coarse", "first": 0, "last": 0},)},
    ],
    ids=str,
)
def test_a_file_cannot_name_layers_that_are_not_there(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="layers"):
        PartSpec(name="w", shape=(5, 3), **changes)
