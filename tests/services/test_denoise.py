"""Denoising runs as a job: frames, branches from remembered states, progress, sentences."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentlab.core.denoising import DenoisingFrame, Sampling, Show
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents
from latentlab.core.pictures import stored_hashes
from latentlab.core.requests import JobRequest
from latentlab.core.row_keys import row_keys
from latentlab.services import denoise_runs
from latentlab.services.decoding import decode_exact
from latentlab.services.denoise import DenoisingResult, FrameMaker
from latentlab.services.denoise_runs import Runs, StateCache
from latentlab.services.jobs import JobContext, start_job
from latentlab.services.renderer import Renderer
from tests.diffusion_models import write_tiny
from tests.services.models import library, write_vae

STEPS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny(folder / "tiny.safetensors")
    write_vae(folder / "small-vae.safetensors")
    return folder


@pytest.fixture
def context(folder: Path) -> Iterator[JobContext]:
    models = library(folder)
    context = JobContext(models, Renderer(models))
    yield context
    context.lane.stop()


class Calls:
    """Counts evaluations of a model's network."""

    def __init__(self, context: JobContext, monkeypatch: pytest.MonkeyPatch) -> None:
        network = context.library.backend("tiny").network
        self.count = 0
        self.rows = 0
        forward = network.forward

        def counting(x: Any, *rest: Any) -> Any:
            self.count += 1
            self.rows += len(x)
            return forward(x, *rest)

        monkeypatch.setattr(network, "forward", counting)


def picture(**changes: Any) -> Picture:
    values = {"model": "tiny", "space": "noise", "seeds": (7,), "options": {"steps": STEPS}}
    return Picture(**{**values, **changes})


def follow(steps: Any) -> tuple[list[DenoisingFrame], list[tuple[Any, ...]], DenoisingResult]:
    frames, reports = [], []
    while True:
        try:
            report = next(steps)
        except StopIteration as stop:
            return frames, reports, stop.value
        reports.append(report)
        frames += report[3] if len(report) > 3 else ()


def denoise(context: JobContext, what: Picture | None = None, **arguments: Any) -> Any:
    arguments = {"picture": what or picture(), **arguments}
    return follow(start_job(context, JobRequest("run", "denoise", arguments)))


def same(a: DenoisingFrame, b: DenoisingFrame) -> bool:
    return all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("x_t", "x0", "eps"))


def test_every_step_is_a_frame_and_the_last_one_has_the_result(context: JobContext) -> None:
    frames, reports, result = denoise(context)
    assert [f.index for f in frames] == list(range(1, STEPS + 1))
    assert {f.count for f in frames} == {STEPS}
    assert [f.result is not None for f in frames] == [False] * (STEPS - 1) + [True]
    assert [f.t for f in frames] == sorted((f.t for f in frames), reverse=True)
    assert frames[0].t == 999
    assert frames[0].x_t.shape == (16, 16, 3)
    assert frames[0].x_t.dtype == np.uint8
    assert result.counts == {"": STEPS}
    assert result.evaluations == STEPS
    assert result.seconds_per_step > 0
    assert result.latents["noise"].shape == (1, 3, 16, 16)
    assert [r[:2] for r in reports[1:]] == [(n, STEPS) for n in range(1, STEPS + 1)]
    assert reports[-1][2] == f"Step {STEPS} of {STEPS}, 0 s left"


@pytest.mark.parametrize("show", ["x_t", "x0", "eps"])
@pytest.mark.parametrize("path", ["", "2:sampler=ddpm,noise=4/4:guidance=3,attr.smiling=1"])
def test_a_kept_frame_is_the_frame_that_was_watched(
    context: JobContext, show: Show, path: str
) -> None:
    what = picture(condition=Condition(attributes={"age": 1.0}))
    frames, _, _ = denoise(context, what, paths=("", path))
    frame = next(f for f in frames if f.branch == path and f.index == 5)
    options = {"steps": STEPS, "branch": path, "stop_at": 5, "show": show}
    kept = what.model_copy(update={"options": options})
    exact = context.renderer.exact(kept)[0][0]
    # The micro-batch rounds sums otherwise than one row does.
    assert np.abs(exact.astype(int) - getattr(frame, show)).max() <= 1


def test_the_first_frame_is_there_after_one_evaluation(context: JobContext, monkeypatch) -> None:
    calls = Calls(context, monkeypatch)
    steps = start_job(context, JobRequest("run", "denoise", {"picture": picture()}))
    turns = 0
    while len(next(steps)) < 4:
        turns += 1
    assert calls.count == 1
    assert turns == 1
    steps.close()
    assert calls.count == 1


def test_cancelling_ends_within_one_evaluation(context: JobContext, monkeypatch) -> None:
    calls = Calls(context, monkeypatch)
    steps = start_job(context, JobRequest("run", "denoise", {"picture": picture()}))
    for _ in range(4):
        next(steps)
    steps.close()
    assert calls.count == 3


def test_a_branch_starts_without_the_steps_before_it(context: JobContext, monkeypatch) -> None:
    denoise(context)
    calls = Calls(context, monkeypatch)
    frames, _, result = denoise(context, paths=("4:guidance=2,attr.age=1",))
    assert [f.index for f in frames] == [5, 6]
    assert calls.count == 2
    deeper, _, _ = denoise(context, paths=("4:guidance=2,attr.age=1/5:noise=3",))
    assert [f.index for f in deeper] == [6]
    assert calls.count == 3
    assert result.counts == {"4:guidance=2,attr.age=1": STEPS}


@pytest.mark.parametrize("sampler", ["dpmpp", "unipc", "heun", "euler_a", "ddpm"])
def test_from_a_remembered_state_or_anew_a_branch_is_the_same(
    context: JobContext, folder: Path, sampler: str
) -> None:
    what = picture(options={"steps": STEPS, "sampler": sampler})
    path = "3:attr.age=1/4:guidance=2"
    denoise(context, what, paths=("", "3:attr.age=1"))
    near, _, _ = denoise(context, what, paths=(path,))
    fresh = JobContext(library(folder), Renderer(library(folder)))
    far, _, result = denoise(fresh, what, paths=(path,))
    assert len(near) == len(far)
    assert all(same(a, b) for a, b in zip(near, far, strict=True))
    assert result.evaluations == 4 + len(far)


def test_a_state_that_is_gone_is_made_again_from_the_nearest(
    context: JobContext, monkeypatch
) -> None:
    (whole,), _, _ = denoise(context, paths=("5:noise=1",))
    backend = context.library.backend("tiny")
    latents = context.renderer.latents(picture())
    cache = denoise_runs.StateCache(keeps=lambda _path, step: step == 2)
    runs = denoise_runs.Runs(backend, latents, 7, Condition(), Sampling(steps=STEPS), cache)
    assert [step.index for step in runs.steps("")] == [1, 2, 3, 4, 5, 6]
    calls = Calls(context, monkeypatch)
    *before, last = runs.steps("5:noise=1")
    assert before == [None] * 3  # steps 3, 4 and 5 lead to the branching point
    assert calls.count == 4
    assert same(FrameMaker()("5:noise=1", last), whole)


def test_the_memory_of_states_has_a_limit() -> None:
    class State:
        nbytes = 40

    cache = denoise_runs.StateCache(limit=100)
    for step in range(1, 5):
        cache.put(("run", "", step), State())
    assert cache.size == 80
    assert cache.nearest("run", "", 1, 2) is None
    assert cache.nearest("run", "", 1, 9)[0] == 4
    assert cache.nearest("run", "", 1, 3)[0] == 3  # used last, kept longest
    cache.put(("run", "", 5), State())
    assert cache.nearest("run", "", 4, 4) is None
    assert cache.nearest("other", "", 1, 9) is None
    cache.put(("run", "", 6), type("Large", (), {"nbytes": 101})())
    assert cache.size == 0


def test_another_condition_noise_or_edit_starts_from_no_state_of_this_one(
    context: JobContext, monkeypatch
) -> None:
    denoise(context)
    for other in (
        picture(seeds=(8,)),
        picture(temperature=0.9),
        picture(condition=Condition(attributes={"age": 1.0})),
        picture(options={"steps": STEPS, "noise_seed": 1}),
        picture(options={"steps": STEPS, "guidance": 2.0}),
    ):
        calls = Calls(context, monkeypatch)
        denoise(context, other, paths=("4:noise=1",))
        assert calls.count == STEPS
        monkeypatch.undo()


def test_states_are_those_of_one_model_and_one_noise(context: JobContext) -> None:
    backend = context.library.backend("tiny")
    other = copy.copy(backend)
    other.spec = backend.spec.model_copy(update={"fingerprint": "1" * 64})
    latents = Latents("noise", {"noise": np.ones((1, 3, 16, 16), np.float32)})
    sampling, cache = Sampling(steps=STEPS, sampler="ddpm"), StateCache()

    def evaluations(model: Any, key: int) -> int:
        runs = Runs(model, latents, key, Condition(), sampling, cache)
        assert len([step for step in runs.steps("4:guidance=2") if step is not None]) == 2
        return runs.evaluations

    assert [evaluations(backend, 1), evaluations(backend, 1)] == [STEPS, 2]
    assert evaluations(backend, 2) == STEPS
    assert evaluations(other, 1) == STEPS


def test_frames_and_branches_of_a_picture_stand_for_the_same_run(
    context: JobContext, monkeypatch
) -> None:
    denoise(context)
    calls = Calls(context, monkeypatch)
    kept = picture(options={"steps": STEPS, "branch": "2:noise=1", "stop_at": 3, "show": "eps"})
    frames, _, _ = denoise(context, kept, paths=("4:noise=1",))
    assert [f.index for f in frames] == [5, 6]
    assert calls.count == 2


def test_stored_latents_have_the_noise_of_their_own_rows(context: JobContext) -> None:
    rng = np.random.default_rng(0)
    stored = Latents("noise", {"noise": rng.normal(size=(1, 3, 16, 16)).astype(np.float32)})
    what = picture(
        seeds=(), stored=stored_hashes(stored), options={"steps": STEPS, "sampler": "ddpm"}
    )
    frames, _, result = denoise(context, what, stored=stored)
    np.testing.assert_array_equal(result.latents["noise"], stored["noise"])
    backend = context.library.backend("tiny")
    exact = decode_exact(backend, stored, what.condition, what.options, row_keys(what, stored))[0]
    assert np.abs(exact.astype(int) - frames[-1].result).max() <= 1


@pytest.mark.parametrize(
    ("what", "arguments", "sentence"),
    [
        ({"model": "small-vae", "space": "z", "options": {}}, {}, "choose a diffusion model"),
        ({"seeds": (1, 2)}, {}, "has 2 images: choose one"),
        ({}, {"paths": ("9:noise=1",)}, "choose 0 to 5"),
        (
            {},
            {
                "paths": (
                    "",
                    "x",
                )
            },
            "cannot be read",
        ),
        ({}, {"paths": ("4:noise=1/2:noise=1",)}, "choose 4 to 5"),
        ({"options": {"sampler": "none"}}, {}, "sampler"),
        ({"options": {"steps": STEPS, "speed": 2}}, {}, "no option 'speed'"),
        ({"condition": Condition(attributes={"beard": 1.0})}, {}, "beard"),
    ],
)
def test_what_cannot_be_is_said_before_a_step_is_made(
    context: JobContext, monkeypatch, what, arguments, sentence
) -> None:
    calls = Calls(context, monkeypatch)
    with pytest.raises(LatentLabError, match=sentence) as caught:
        denoise(context, picture(**what), **arguments)
    assert caught.value.message.count(". ") == 0
    assert calls.count == 0


def test_values_that_are_not_finite_are_a_sentence(context: JobContext, monkeypatch) -> None:
    network = context.library.backend("tiny").network
    forward = network.forward
    monkeypatch.setattr(network, "forward", lambda *a: forward(*a) * float("nan"))
    with pytest.raises(LatentLabError, match="not finite"):
        denoise(context)
