"""A watched run as a tree: its shape, its changes, its words."""

from __future__ import annotations

import numpy as np
import pytest

from latentlab.core.denoising import Branch, DenoisingFrame, Sampling, parse_path
from latentlab.core.document import Denoising, Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition
from latentlab.core.spec import ModelSpec
from latentlab.ui import denoise_tree as tree
from latentlab.ui.denoise_frames import RunFrames, RunShelf
from latentlab.ui.widgets.denoise_geometry import GroupFacts, arrange, steps_per_slot
from tests.ui.denoise_stage import frame

BASE = Picture(model="faces", space="noise", seeds=(3,), options={"steps": 20})


def run(*paths: str) -> Denoising:
    found = Denoising(base=BASE)
    for path in paths:
        found = tree.with_branch(found, path)
    return found


def test_a_branch_brings_its_parents_and_gets_a_mark_of_its_own():
    made = run("8:guidance=3/12:noise=4", "2:eta=1")
    assert [one.path for one in made.branches] == [
        "8:guidance=3",
        "8:guidance=3/12:noise=4",
        "2:eta=1",
    ]
    assert [one.slot for one in made.branches] == [1, 2, 3]
    assert tree.tree_order(made.branches) == (
        "",
        "8:guidance=3",
        "8:guidance=3/12:noise=4",
        "2:eta=1",
    )
    left = tree.without_branch(made, "8:guidance=3")
    assert [one.path for one in left.branches] == ["2:eta=1"]
    # The mark of another one stays; the next takes the first that is free.
    assert left.branches[0].slot == 3
    assert tree.with_branch(left, "5:noise=1").branches[-1].slot == 1


def test_there_is_a_limit_that_says_what_to_do():
    made = run(*(f"1:noise={n}" for n in range(64)))
    with pytest.raises(LatentLabError, match="delete one"):
        tree.with_branch(made, "1:noise=64")


@pytest.mark.parametrize(
    ("parent", "at", "found"),
    [
        ("", 4, "4:eta=1"),
        ("8:guidance=3", 12, "8:guidance=3/12:eta=1"),
        # Before the parent itself branched, it is the run before it that is left.
        ("8:guidance=3", 4, "4:eta=1"),
        # At one step with the parent: what that changed, and more.
        ("8:guidance=3", 8, "8:eta=1,guidance=3"),
        ("8:guidance=3/12:noise=4", 12, "8:guidance=3/12:eta=1,noise=4"),
        ("8:guidance=3/12:noise=4", 3, "3:eta=1"),
    ],
)
def test_a_branch_leaves_the_run_that_has_the_step(parent: str, at: int, found: str):
    assert tree.placed(parent, Branch(at=at, eta=1.0)) == found


@pytest.mark.parametrize(
    ("path", "after", "found"),
    [
        ("10:noise=1", 40, "20:noise=1"),
        ("10:noise=1", 5, "2:noise=1"),
        ("19:noise=1", 2, "1:noise=1"),
        ("0:noise=1", 3, "0:noise=1"),
        ("10:noise=1/15:eta=1", 40, "20:noise=1/30:eta=1"),
        ("10:noise=1,steps=4/12:eta=1", 40, "20:noise=1,steps=4/22:eta=1"),
    ],
)
def test_branches_stay_at_their_time_in_a_run_of_other_steps(path: str, after: int, found: str):
    assert parse_path(tree.rescaled(path, 20, after)) == parse_path(found)
    moved = tree.with_steps(run(path), BASE, 20, after)
    assert parse_path(moved.branches[-1].path) == parse_path(found)


def test_two_branches_that_come_to_one_place_are_one():
    moved = tree.with_steps(run("10:noise=1", "11:noise=1"), BASE, 20, 4)
    assert [one.path for one in moved.branches] == ["2:noise=1"]


def test_a_frame_is_a_picture_that_can_be_made_again():
    kept = tree.frame_picture(BASE, "8:guidance=3", 11, "x_t")
    sampling = Sampling.from_options(kept.options)
    assert (sampling.stop_at, sampling.show, sampling.branch) == (11, "x_t", "8:guidance=3")
    assert sampling.steps == 20
    assert kept.seeds == (3,)
    assert kept.name == "step 11, noisy"
    result = tree.frame_picture(kept, "", None, "x0")
    assert result.options == {"steps": 20}
    assert result.name == ""
    assert tree.bare(kept) == BASE


def test_a_run_keeps_the_name_of_its_picture_but_not_that_of_a_frame():
    mine = BASE.model_copy(update={"seeds": (), "name": "portrait 1, inpainted"})
    assert tree.source_title(tree.bare(mine)) == "portrait 1, inpainted"
    kept = tree.frame_picture(mine, "", 11, "x_t")
    assert tree.bare(kept).name == ""


def test_what_holds_at_the_end_of_a_path():
    smiling = Condition(attributes={"smiling": 1.0})
    path = tree.placed("8:guidance=3,sampler=ddim", Branch(at=12, steps=4, condition=smiling))
    found = tree.setting_of(BASE, path)
    assert (found.sampling.sampler, found.sampling.guidance, found.sampling.steps) == (
        "ddim",
        3,
        16,
    )
    assert found.condition == smiling


@pytest.mark.parametrize(
    ("options", "path", "count"),
    [
        ({"steps": 20}, "", 20),
        ({"steps": 20}, "8:noise=1", 20),
        ({"steps": 20}, "8:steps=4", 12),
        # A second-order solver asks twice a step, but once at the last.
        ({"steps": 20, "sampler": "heun"}, "", 39),
        ({"steps": 20}, "8:sampler=heun", 31),
    ],
)
def test_how_many_evaluations_a_run_will_have(options: dict, path: str, count: int):
    base = BASE.model_copy(update={"options": options})
    assert tree.expected_count(base, path) == count


def test_words():
    spec = ModelSpec(
        id="faces", family="diffusion", image_shape=(3, 8, 8), spaces=(), class_names=("cat", "dog")
    )
    assert tree.what_changed(BASE, "8:guidance=3,attr.wearing_hat=1", spec) == (
        "guidance 3, wearing hat"
    )
    assert tree.what_changed(BASE, "8:sampler=ddim,eta=0.5,noise=4", spec) == (
        "DDIM, noise 4, eta 0.5"
    )
    assert tree.what_changed(BASE, "8:label=1,steps=1", spec) == "1 step left, dog"
    assert tree.what_changed(BASE, "8:attr.age=1/9:attr.age=-0.5", None) == "age -0.5"
    told = BASE.model_copy(update={"condition": Condition(class_index=0)})
    assert tree.what_changed(told, "8:unconditional=true", spec) == "no condition"
    assert tree.run_title(BASE) == "DPM-Solver++ 2M, 20 steps, guidance 1"


def test_the_caption_tells_step_time_and_noise():
    blank = np.zeros((4, 4, 3), np.uint8)
    one = DenoisingFrame("", 8, 25, 680.0, 2.1, blank, blank, blank)
    said = tree.caption(one, 25).replace("\N{NO-BREAK SPACE}", " ")
    assert said == "step 8 of 25, t = 680, sigma 2.1, noise 90 %"
    assert tree.caption(None, 25) == "result after 25 steps"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.00462, "0.0046"),
        (2.14, "2.1"),
        (13.37, "13.4"),
        (157.2, "157"),
        (1234.5, "1,234"),
    ],
)
def test_figures_have_two_or_three_digits(value: float, text: str):
    assert tree.figure(value) == text


# Frames and memory.


def test_frames_of_a_branch_begin_with_those_of_its_parent():
    found = RunFrames("key", BASE)
    for index in range(1, 21):
        found.add(frame(BASE, "", index))
    path = "8:noise=1"
    assert [one.index for one in found.frames(path)] == list(range(1, 9))
    found.add(frame(BASE, path, 9))
    assert [one.index for one in found.frames(path)] == list(range(1, 10))
    assert found.frames(path)[-1].branch == path
    found.add(frame(BASE, "", 3))
    assert len(found.frames("")) == 20


def test_memory_is_limited_by_leaving_steps_out():
    shelf = RunShelf(limit=30_000)
    other = shelf.get("other", BASE)
    other.add(frame(BASE, "", 1))
    current = shelf.get("key", BASE)
    long = BASE.model_copy(update={"options": {"steps": 200}})
    for index in range(1, 201):
        current.add(frame(long, "", index))
        shelf.trim(current)
    assert current.bytes_used <= 30_000
    kept = [one.index for one in current.frames("")]
    assert kept[0] == 1
    assert kept[-1] == 200
    assert current.frames("")[-1].result is not None
    assert len(kept) > 5
    gaps = np.diff(kept[1:-1])
    assert set(gaps.tolist()) == {current.every}
    assert shelf.get("other", BASE).empty
    sizes = [a.nbytes for one in current.frames("") for a in (one.x_t, one.x0, one.eps)]
    assert current.bytes_used == sum(sizes) + current.frames("")[-1].result.nbytes


# Geometry.


def test_columns_are_steps_and_branches_stand_below_their_parent():
    facts = [GroupFacts("", 1, 21), GroupFacts("8:noise=1", 9, 21), GroupFacts("x", 3, 9, True)]
    line = arrange(facts, ("x_t", "x0"), (32, 32), 60, None)
    assert (line.every, line.slots) == (1, 21)
    assert line.slot_at(line.x_of(8) + 5) == 8
    assert line.slot_at(line.x_of(8) - 1) is None
    first, branch, folded = line.groups
    assert branch.top >= first.bottom
    assert line.row_at(branch.rows["x0"] + 4) == (branch, "x0")
    assert line.group_at(branch.top) == branch
    assert not folded.rows
    assert folded.bottom - folded.top < 32


@pytest.mark.parametrize(("total", "room", "every"), [(21, 2000, 1), (21, 700, 2), (1001, 700, 51)])
def test_where_there_is_no_room_every_nth_step_is_a_column(total: int, room: int, every: int):
    assert steps_per_slot(total, 35, room) == every
    line = arrange([GroupFacts("", 1, total)], ("x0",), (32, 32), 60, room + 66)
    assert line.width <= room + 70
    assert line.slot_of(total) == line.slots - 1
    assert total in line.steps_of(line.slots - 1)
