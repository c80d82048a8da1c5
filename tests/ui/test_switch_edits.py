"""Changes of a switch matrix and what is said of it: pure functions against sentences and sets."""

from __future__ import annotations

import numpy as np
import pytest

from latentlab.core.document import MAX_SOURCES, Document, Picture, Switch
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.recombine import PartRange, units_of
from latentlab.core.spec import LatentSpace, LayerGroup, ModelSpec, PartSpec
from latentlab.core.switching import row_ranges
from latentlab.services.switch import RoundTrip, SwitchCheck
from latentlab.ui import switch_edits as change
from latentlab.ui import switch_text
from latentlab.ui.switch_packed import packed_parts
from latentlab.ui.widgets.switch_geometry import GAP, HEAD_GAP, LETTER, fit_matrix

FLOW = LatentSpace(
    name="latent",
    parts=(
        PartSpec(name="global", shape=(4,)),
        PartSpec(name="local_1", shape=(3, 8, 8)),
        PartSpec(name="local_2", shape=(6, 4, 4)),
        PartSpec(name="local_3", shape=(12, 2, 2)),
    ),
)
LAYERED = LatentSpace(
    name="w_plus",
    parts=(
        PartSpec(
            name="w_plus",
            shape=(8, 16),
            layer_axis=0,
            layer_groups=(
                LayerGroup(name="coarse", first=0, last=1),
                LayerGroup(name="middle", first=2, last=4),
                LayerGroup(name="fine", first=5, last=7),
            ),
        ),
    ),
)


def sample(seed: int, **values: object) -> Picture:
    return Picture(model="flow", space="latent", seeds=(seed,), **values)


def matrix(*seeds: int, space: LatentSpace = FLOW) -> Switch:
    blank = change.switch_of(Document(), "flow", space)
    pictures = [sample(seed).model_copy(update={"space": space.name}) for seed in seeds]
    return change.added(blank, pictures)


def seeds(switch: Switch) -> list[int]:
    return [source.picture.seeds[0] for source in switch.sources]


def rows(switch: Switch, space: LatentSpace = FLOW) -> list[str]:
    return [str(one) for one in row_ranges(switch, space)]


def test_sources_come_go_and_move():
    switch = matrix(1, 2, 3)
    more = change.added(switch, [sample(9), sample(8)], 1)
    assert seeds(more) == [1, 9, 8, 2, 3]
    ids = [source.id for source in more.sources]
    assert len(set(ids)) == 5
    assert seeds(change.moved(more, [ids[4], ids[0]], 2)) == [9, 1, 3, 8, 2]
    assert seeds(change.moved(more, [ids[0]], 5)) == [9, 8, 2, 3, 1]
    assert seeds(change.without(more, [ids[1], ids[3]])) == [1, 8, 3]


def test_a_pair_that_loses_one_is_none():
    switch = matrix(1, 2, 3)
    first, second, third = (source.id for source in switch.sources)
    paired = change.with_amounts(
        change.with_pair(switch, first, second), {PartRange("global"): 0.5}, FLOW
    )
    assert paired.amounts == {"global": 0.5}
    assert change.without(paired, [third]).pair == (first, second)
    left = change.without(paired, [first])
    assert (left.pair, left.amounts) == ((), {})


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (Picture(model="other", space="latent", seeds=(1,)), "open that model"),
        (Picture(model="flow", space="z", seeds=(1,)), "one space"),
    ],
)
def test_what_does_not_fit_is_refused(picture, words):
    with pytest.raises(LatentLabError, match=words):
        change.added(matrix(1), [picture])


def test_a_matrix_has_an_end():
    full = matrix(*range(MAX_SOURCES))
    with pytest.raises(LatentLabError, match="remove some first"):
        change.added(full, [sample(99)])


def test_a_document_forgets_a_matrix_that_says_nothing():
    document = change.with_switch(Document(), matrix(1))
    assert seeds(change.switch_of(document, "flow", FLOW)) == [1]
    switch = change.without(matrix(1), [matrix(1).sources[0].id])
    empty = change.without(switch, [source.id for source in switch.sources])
    assert change.with_switch(document, empty).switches == {}
    # Another space of the model has no matrix yet.
    assert change.switch_of(document, "flow", LAYERED).sources == ()


def test_roles_turn_and_never_leave_one_side_empty():
    switch = matrix(1, 2)
    assert rows(switch) == ["global"]
    both = change.turned(switch, {PartRange("local_2")}, True, FLOW)
    assert rows(both) == ["global", "local_2"]
    assert change.both_texts(both, FLOW) == ("Global, local 2", "Local 1, 3")
    # The last one of the row changes places with all that the column had.
    swapped = change.turned(switch, {PartRange("global")}, False, FLOW)
    assert rows(swapped) == ["local_1", "local_2", "local_3"]
    assert change.both_texts(swapped, FLOW) == ("Local", "Global")
    back = change.turned(swapped, {PartRange("global")}, True, FLOW)
    assert rows(back) == ["global"]
    assert change.swapped(change.swapped(both, FLOW), FLOW) == both


def test_turning_all_of_one_side_turns_the_rest():
    switch = matrix(1, 2)
    locals_ = {PartRange(f"local_{k}") for k in (1, 2, 3)}
    turned = change.turned(switch, locals_, True, FLOW)
    assert rows(turned) == ["local_1", "local_2", "local_3"]


def test_default_roles_are_not_written_down():
    switch = change.with_rows(matrix(1, 2), {PartRange("global")}, FLOW)
    assert switch.by_row == ()
    assert change.with_rows(switch, {PartRange("local_1")}, FLOW).by_row == ("local_1",)


def test_layers_join_to_the_fewest_ranges():
    units = {PartRange("w_plus", k, k) for k in (0, 1, 2, 5, 7)}
    assert [str(one) for one in change.joined(units, LAYERED)] == [
        "w_plus:0-2",
        "w_plus:5",
        "w_plus:7",
    ]
    assert change.single(change.joined(units, LAYERED), LAYERED) == units
    every = change.joined(units_of(LAYERED), LAYERED)
    assert [str(one) for one in every] == ["w_plus"]


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        ((0, 1), "Coarse"),
        ((0, 1, 2, 3, 4), "Coarse, middle"),
        ((0, 1, 2), "Coarse, layer 2"),
        ((3, 5, 6), "Layers 3, 5–6"),
        (tuple(range(8)), "W plus"),
    ],
)
def test_layers_are_said_by_their_groups(layers, text):
    units = frozenset(PartRange("w_plus", k, k) for k in layers)
    assert change.ranges_text(units, LAYERED) == text


def test_captions():
    assert change.cell_text("Global", "Local", "A", "B") == "Global of A, local of B"
    assert change.cell_text("Global", "Local", "A", "A") == "A itself"
    assert change.source_name(sample(4)) == "seed 4"
    assert change.source_name(sample(4, name="Ada")) == "Ada"


def test_a_space_of_one_part_has_nothing_to_switch():
    plain = LatentSpace(name="z", parts=(PartSpec(name="z", shape=(4,)),))
    spec = ModelSpec(id="m", family="vae", image_shape=(3, 8, 8), spaces=(plain, LAYERED))
    assert change.switch_space(spec) == LAYERED
    alone = spec.model_copy(update={"spaces": (plain,)})
    assert change.switch_space(alone) is None


def test_amounts_of_layers_and_groups():
    switch = matrix(1, 2, space=LAYERED)
    coarse, middle, fine = change.mix_parts(LAYERED)
    assert [part.title for part in (coarse, middle, fine)] == ["Coarse", "Middle", "Fine"]
    switch = change.with_amounts(switch, dict.fromkeys(coarse.units, 0.5), LAYERED)
    switch = change.with_amounts(switch, dict.fromkeys(middle.units, 0.5), LAYERED)
    assert switch.amounts == {"w_plus:0-4": 0.5}
    switch = change.with_amounts(switch, dict.fromkeys(coarse.units, 0.0), LAYERED)
    assert switch.amounts == {"w_plus:2-4": 0.5}
    assert change.amounts_of(switch, LAYERED)[PartRange("w_plus", 3, 3)] == 0.5


def test_what_is_said_of_round_trips_and_checks():
    trip = RoundTrip(psnr_db=48.26, max_level_error=2, latent_error=3.14e-6)
    assert switch_text.trip_note(trip) == "48.3\N{NO-BREAK SPACE}dB"
    said = switch_text.trip_sentence(trip)
    assert "at most 2 of 255 off" in said
    assert "3.1e−6" in said
    assert switch_text.LOST not in said
    assert switch_text.small(5130948705957) == "5.1e12"
    lost = switch_text.trip_sentence(RoundTrip(4.1, 255, float("inf")))
    assert lost.endswith(switch_text.LOST)
    assert switch_text.trip_note(RoundTrip(float("inf"), 0, 0.0)) == "exact"
    assert "to the byte" in switch_text.trip_sentence(RoundTrip(float("inf"), 0))
    assert switch_text.trip_note(RoundTrip()) == switch_text.trip_sentence(None) == ""
    check = SwitchCheck((0, 1), 2e-5, 0.84, 12.3)
    said = switch_text.check_sentences(check, "A", "B")
    assert "come back to 2e−5" in said
    assert "0.84" in said
    assert "A and B are 12" in said
    plain = switch_text.check_sentences(SwitchCheck((0, 1), 2e-5, None, None), "A", "B")
    assert "global" not in plain


def test_local_parts_are_packed_channel_by_channel():
    rng = np.random.default_rng(0)
    parts = {p.name: rng.normal(size=(1, *p.shape)).astype(np.float32) for p in FLOW.parts}
    packed = packed_parts(Latents("latent", parts), FLOW)
    assert [one.title for one in packed] == [
        "Local 1, 3 × 8 × 8",
        "Local 2, 6 × 4 × 4",
        "Local 3, 12 × 2 × 2",
    ]
    sheet = packed[1].values
    # Three across: channel 4 is the second of the second line.
    assert np.array_equal(sheet[5:9, 5:9], parts["local_2"][0, 4])
    assert np.isnan(sheet[4]).all()
    ramp = np.stack([np.arange(257)] * 3, 1).clip(0, 255).astype(np.uint8)
    image = packed[0].coloured(ramp, np.array([9, 8, 7], np.uint8))
    value = float(parts["local_1"][0, 0, 2, 3])
    assert image[2, 3, 0] == min(255, round(128 + np.clip(value / 3, -1, 1) * 128))
    assert tuple(image[0, 8]) == (9, 8, 7)


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
def test_cells_have_whole_pixels_and_fill_the_room(ratio):
    found = fit_matrix(4, 4, (32, 32), (600, 500), ratio)
    scale = found.width * ratio / 32
    assert scale == round(scale)
    assert found.cells_left + found.cells_width <= 600
    assert found.cells_top + found.cells_height <= 500
    larger = 32 * (scale + 1) / ratio * 5 + 3 * GAP + HEAD_GAP + LETTER
    assert larger > 500


def test_every_place_is_under_its_own_middle():
    found = fit_matrix(3, 3, (16, 16), (400, 400))
    for row in range(-1, 3):
        for column in range(-1, 3):
            x, y, width, height = found.box((row, column))
            assert found.place_at(x + width / 2, y + height / 2, (0, 0)) == (row, column)
    x, y, width, height = found.box((1, 1))
    assert found.place_at(x + 2, y + 2, (width + GAP, 0)) == (1, 2)
    assert found.place_at(x, 2000, (0, 0)) is None
    assert found.gap_at(found.cells_left - 3, 0, (0, 0)) == 0
    assert found.gap_at(x + width + GAP / 2, y, (0, 0)) == 2
    head_x, head_y, _, head_height = found.box((2, -1))
    assert found.gap_at(head_x + 3, head_y + head_height, (0, 0)) == 3


def test_what_has_no_room_scrolls():
    found = fit_matrix(16, 16, (32, 32), (300, 300))
    assert found.width >= 28
    assert found.cells_width > 300
