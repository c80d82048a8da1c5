"""Pictures of many steps: rough at once, then better, and exact where they are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from latentlab.core.direction import Direction
from latentlab.core.document import Picture
from latentlab.core.latents import Latents
from latentlab.core.noise import noise_rows
from latentlab.core.pictures import stored_hashes
from latentlab.core.requests import JobRequest, PreviewRequest, PreviewResult
from latentlab.core.row_keys import row_keys, stored_keys
from latentlab.services import previews
from latentlab.services.decoding import decode_exact, decode_turns
from latentlab.services.previews import LARGEST_PASS, stepped
from latentlab.services.renderer import MICRO_BATCH, Renderer
from latentlab.services.scheduler import Scheduler
from tests.services.stepped_models import SHAPE, Stairs, stairs_library


@pytest.fixture
def model() -> Stairs:
    return Stairs()


def picture(*seeds: int, **values: Any) -> Picture:
    return Picture(model="stairs", space="noise", seeds=seeds, **values)


def latents(*seeds: int) -> Latents:
    return Latents("noise", {"noise": noise_rows(seeds, "prior", SHAPE)})


def levels(images: Any) -> Any:
    """By hand: float64 numpy."""
    values = (np.transpose(np.asarray(images, np.float64), (0, 2, 3, 1)) + 1) * 127.5
    return np.clip(np.round(values), 0, 255)


def rough(rows: Latents, share: float) -> Any:
    return levels(np.tanh(rows["noise"].astype(np.float64)) * share)


def render(model: Stairs, what: Picture, **changes: Any) -> list[PreviewResult | None]:
    renderer = Renderer(stairs_library(model))
    return list(renderer.render(PreviewRequest("canvas", 3, what, **changes)))


class Clock:
    """Every look at it takes some seconds."""

    def __init__(self, tick: float) -> None:
        self.now, self.tick = 0.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


@pytest.mark.parametrize("exact", [False, True])
def test_the_first_image_comes_after_one_evaluation_and_the_last_is_final(
    model: Stairs, exact: bool
) -> None:
    results = render(model, picture(1, 2, 3), exact=exact)
    first, *others, last = results
    assert first is not None
    assert last is not None
    assert len(results) == 5
    assert [r for r in others if r is not None and r.final] == []
    assert (first.final, last.final) == (False, True)
    assert first.images is not None
    assert last.images is not None
    assert np.abs(first.images - rough(latents(1, 2, 3), 1 / 5)).max() <= 0.51
    assert np.abs(last.images - rough(latents(1, 2, 3), 1.0)).max() <= 0.51
    assert last.latents is not None
    assert np.array_equal(last.latents["noise"], latents(1, 2, 3)["noise"])
    assert not last.images.flags.writeable
    assert 0 < first.forward_ms <= last.forward_ms <= last.total_ms


@pytest.mark.parametrize(("tick", "shown"), [(0.0, 2), (10.0, 40)])
def test_later_images_come_now_and_then(model: Stairs, tick: float, shown: int) -> None:
    what = picture(1, options={"steps": 40})
    turns = list(stepped(model, latents(1), what, (1,), clock=Clock(tick)))
    assert len(turns) == 40
    assert sum(turn.images is not None for turn in turns) == shown
    assert turns[0].images is not None
    assert [turn.final for turn in turns] == [False] * 39 + [True]


def test_a_large_grid_is_shown_whole_and_no_pass_is_long(model: Stairs) -> None:
    count = LARGEST_PASS + 6
    what, rows = picture(*range(count)), latents(*range(count))
    turns = list(stepped(model, rows, what, tuple(range(count)), clock=Clock(0.0)))
    assert model.evaluations == [LARGEST_PASS, 6] * 5
    assert len(turns) == 10
    assert [turn.images is not None for turn in turns] == [False, True] + [False] * 7 + [True]
    first, last = turns[1].images, turns[-1].images
    assert first is not None
    assert last is not None
    assert np.abs(first - rough(rows, 1 / 5)).max() <= 0.51
    assert np.abs(last - rough(rows, 1.0)).max() <= 0.51


def test_a_grid_of_the_canvas_is_one_batch(model: Stairs) -> None:
    render(model, picture(*range(16)))
    assert model.evaluations == [16] * 5


def test_time_in_the_network_is_that_of_all_evaluations(model: Stairs) -> None:
    # Two looks at the clock around each evaluation, a second apart.
    turns = list(stepped(model, latents(1), picture(1), (1,), clock=Clock(1.0)))
    assert turns[-1].forward_ms == pytest.approx(5 * 1000)


def test_values_that_are_not_finite_are_told_at_once(model: Stairs) -> None:
    model.broken_at = 1
    (result,) = render(model, picture(1))
    assert result is not None
    assert result.failure is not None
    assert "not finite" in result.failure.message


# The noise that a sampler injects.


NOISY = {"injected": 0.5}


def test_kept_rows_are_the_same_in_every_batch(model: Stairs) -> None:
    seeds = tuple(range(40, 59))
    together = decode_exact(model, latents(*seeds), None, NOISY, seeds)
    assert set(model.evaluations) == {MICRO_BATCH}
    plain = decode_exact(model, latents(*seeds), None, {}, seeds)
    assert (plain != together).any(axis=(1, 2, 3)).all()
    for row in (0, 7, 8, 18):
        alone = decode_exact(model, latents(seeds[row]), None, NOISY, (seeds[row],))
        assert np.array_equal(alone[0], together[row])


def test_exact_previews_exports_and_single_images_agree(model: Stairs) -> None:
    seeds = tuple(range(11))
    *_, last = render(model, picture(*seeds, options=NOISY), exact=True)
    assert last is not None
    assert last.images is not None
    renderer = Renderer(stairs_library(model))
    assert np.array_equal(renderer.exact(picture(*seeds, options=NOISY))[0], last.images)
    assert np.array_equal(renderer.exact(picture(9, options=NOISY))[0][0], last.images[9])
    *_, quick = render(model, picture(*seeds, options=NOISY))
    assert quick is not None
    assert quick.images is not None
    assert np.abs(quick.images.astype(int) - last.images).max() <= 1


def test_injected_noise_stays_while_a_slider_moves(model: Stairs) -> None:
    vector = np.zeros(SHAPE, np.float32)
    vector[0, 0, 0] = 1.0
    model.directions["x"] = Direction("x", "noise", {"noise": vector}, 1.0, "test")
    rows = latents(5, 6)
    for what, stored in (
        (picture(5, 6, edits={"x": 1.5}), None),
        (picture(stored=stored_hashes(rows), edits={"x": 1.5}), rows),
    ):
        model.keys.clear()
        render(model, what, stored=stored)
        render(model, what.model_copy(update={"edits": {"x": -2.0}}), stored=stored)
        render(model, what, stored=stored, exact=True)
        Renderer(stairs_library(model)).exact(what, stored)
        moved, other, exact, export = model.keys
        assert moved == other == exact[:2] == export[:2]
        assert len(set(moved)) == 2


def test_keys_are_of_seeds_or_of_rows_alone() -> None:
    rows = latents(1, 2, 3)
    assert row_keys(picture(4, 9)) == (4, 9)
    assert row_keys(picture(stored=stored_hashes(rows)), rows) == stored_keys(rows)
    assert stored_keys(rows)[1:2] == stored_keys(rows.rows(1))
    assert all(0 <= key < 2**63 for key in stored_keys(rows))
    known = np.zeros((3, *SHAPE), np.float32)
    masked = Latents("guided", {"noise": rows["noise"], "known": known})
    assert stored_keys(masked) == stored_keys(rows)


def test_exact_turns_count_evaluations(model: Stairs) -> None:
    turns = list(decode_turns(model, latents(*range(9)), None, {}, tuple(range(9))))
    assert [turn.done for turn in turns] == list(range(1, 11))
    assert {turn.total for turn in turns} == {10}
    assert [None if t.images is None else len(t.images) for t in turns if t.images is not None] == [
        8,
        1,
    ]


def test_latents_alone_need_no_evaluation(model: Stairs) -> None:
    (result,) = render(model, picture(1, 2), decode=False)
    assert result is not None
    assert result.final
    assert result.images is None
    assert result.latents is not None
    assert np.array_equal(result.latents["noise"], latents(1, 2)["noise"])
    assert model.evaluations == []


# On the worker's thread.


class Desk:
    """A scheduler over a real renderer, and what came out, by evaluations."""

    def __init__(self, model: Stairs, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(previews, "SHOW_SECONDS", 1e9)
        self.model = model
        self.renderer = Renderer(stairs_library(model))
        self.events: list[Any] = []
        self.scheduler = Scheduler(self.events.append, self.renderer.render, self.start, 0.0)

    def start(self, request: JobRequest) -> Any:
        def steps() -> Any:
            what = picture(*range(8), options={"steps": 1000})
            for turn in self.renderer.exact_turns(what, self.renderer.latents(what)):
                yield turn.done, turn.total, "Rendering"

        return steps()

    def ask(self, channel: str, sequence: int, *seeds: int, **options: Any) -> None:
        what = picture(*seeds, options=options)
        self.scheduler.preview(PreviewRequest(channel, sequence, what))

    def evaluations_until(self, test: Any) -> int:
        before = len(self.model.evaluations)
        while not any(test(event) for event in self.events):
            self.scheduler.turn()
        return len(self.model.evaluations) - before


def test_a_slider_of_another_panel_waits_for_two_evaluations(
    model: Stairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(model, monkeypatch)
    desk.ask("canvas", 1, *range(12), steps=25)
    assert desk.evaluations_until(lambda e: e.channel == "canvas") <= 2
    desk.scheduler.job(JobRequest("export", "kind"))
    for _ in range(6):
        desk.scheduler.turn()
    desk.ask("strip", 2, 5, steps=25)
    assert desk.evaluations_until(lambda e: getattr(e, "channel", "") == "strip") <= 2
    # Both, and the job, go on to their ends.
    done = desk.evaluations_until(
        lambda e: getattr(e, "channel", "") == "canvas" and e.final,
    )
    assert done < 1000
    assert any(getattr(e, "job", "") == "export" for e in desk.events)


def test_cancel_of_an_export_takes_one_evaluation(
    model: Stairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(model, monkeypatch)
    desk.scheduler.job(JobRequest("export", "kind"))
    for _ in range(10):
        desk.scheduler.turn()
    assert len(model.evaluations) == 10
    desk.scheduler.cancel("export")
    assert desk.evaluations_until(lambda e: getattr(e, "cancelled", False)) <= 1


def test_bytes_do_not_leak_out_of_inference_mode(model: Stairs) -> None:
    renderer = Renderer(stairs_library(model))
    for _ in renderer.render(PreviewRequest("canvas", 1, picture(1))):
        assert not torch.is_inference_mode_enabled()
