"""Runs that are left, taken up again and branched: to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentlab.backends.base import DiffusionStep
from latentlab.backends.diffusion import DiffusionBackend
from latentlab.backends.diffusion_run import noise_key
from latentlab.core.denoising import SAMPLERS
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition
from latentlab.core.noise import noise
from tests.backends.test_solvers_parity import wavy_backend
from tests.diffusion_models import tiny_diffusion

NAMES = [row.id for row in SAMPLERS]
SMILE = Condition(attributes={"smiling": 1.0})


@pytest.fixture(scope="module")
def wavy() -> DiffusionBackend:
    return wavy_backend(schedule="linear", attribute_names=("smiling", "age"))


def walk(backend: DiffusionBackend, start: object = None, **options: object) -> list[DiffusionStep]:
    condition = options.pop("condition", None)
    parts = backend.sample_prior("noise", [1, 2])
    options = {"steps": 8, "row_keys": [1, 2], **options}
    return list(backend.steps(parts, condition=condition, options=options, start=start))


def same(first: DiffusionStep, second: DiffusionStep) -> bool:
    return (
        first.index == second.index
        and (first.t, first.sigma) == (second.t, second.sigma)
        and all(
            torch.equal(getattr(first, name), getattr(second, name))
            for name in ("x_t", "x0", "eps", "preview")
        )
        and torch.equal(first.state.x, second.state.x)
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_step_can_be_resumed_to_the_bit(wavy: DiffusionBackend, name: str) -> None:
    options = {"sampler": name, "eta": 0.5, "condition": SMILE, "guidance": 2.0}
    whole = walk(wavy, **options)
    for step in whole[:-1]:
        rest = walk(wavy, step.state, **options)
        assert len(rest) == len(whole) - step.index
        assert all(same(a, b) for a, b in zip(rest, whole[step.index :]))
        assert torch.equal(rest[-1].result, whole[-1].result)


def test_a_real_network_is_resumed_to_the_bit() -> None:
    backend = tiny_diffusion()
    for name in ("unipc", "dpmpp", "heun"):
        whole = walk(backend, sampler=name, steps=5, condition=SMILE, guidance=3.0)
        rest = walk(backend, whole[2].state, sampler=name, steps=5, condition=SMILE, guidance=3.0)
        assert torch.equal(rest[-1].result, whole[-1].result)


@pytest.mark.parametrize("name", NAMES)
def test_a_branch_that_changes_nothing_is_the_run(wavy: DiffusionBackend, name: str) -> None:
    whole = walk(wavy, sampler=name, eta=0.3)
    for at in (0, 1, 5):
        branched = walk(wavy, sampler=name, eta=0.3, branch=f"{at}:")
        assert len(branched) == len(whole)
        assert all(same(a, b) for a, b in zip(branched, whole))
        assert branched[-1].state.path == f"{at}:"


@pytest.mark.parametrize("name", NAMES)
def test_another_sampler_from_the_start_is_its_own_run(wavy: DiffusionBackend, name: str) -> None:
    plain = walk(wavy, sampler=name, eta=0.4, noise_seed=3)
    parent = "ddim" if name != "ddim" else "heun"
    branched = walk(wavy, sampler=parent, branch=f"0:sampler={name}", eta=0.4, noise_seed=3)
    assert len(plain) == len(branched)
    assert all(same(a, b) for a, b in zip(plain, branched))
    fewer = walk(wavy, sampler=name, steps=5, eta=0.4)
    branched = walk(wavy, sampler=parent, branch=f"0:sampler={name},steps=5", eta=0.4)
    assert torch.equal(fewer[-1].result, branched[-1].result)


@pytest.mark.parametrize("name", NAMES)
def test_a_branch_goes_on_from_exactly_where_it_left(wavy: DiffusionBackend, name: str) -> None:
    for parent in ("dpmpp", "euler", "heun"):
        trunk = walk(wavy, sampler=parent)
        for at in (1, 4, 5):
            steps = walk(wavy, sampler=parent, branch=f"{at}:sampler={name},steps=3")
            calls = 5 if name == "heun" else 3
            if name == parent and len(trunk) - at == calls:
                continue
            assert [s.index for s in steps] == list(range(1, at + calls + 1))
            assert {s.count for s in steps} == {at + calls}
            assert all(same(a, b) for a, b in zip(steps[:at], trunk[:at]))
            assert steps[at].t == trunk[at].t
            torch.testing.assert_close(steps[at].x_t, trunk[at].x_t, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(steps[at].x0, trunk[at].x0, rtol=1e-4, atol=1e-5)
            assert steps[-1].result is not None


def test_as_many_steps_as_were_left_visit_the_same_times(wavy: DiffusionBackend) -> None:
    trunk = walk(wavy, sampler="ddim", steps=10)
    branch = walk(wavy, sampler="ddim", steps=10, branch="4:sampler=dpmpp")
    assert [s.t for s in branch] == [s.t for s in trunk]
    back = walk(wavy, sampler="heun", steps=10, branch="9:sampler=ddim")
    # Nine evaluations of Heun are five steps, of ten.
    assert len(back) == 9 + 5
    assert [s.t for s in back[9:]] == [s.t for s in trunk[5:]]


def test_a_multistep_branch_keeps_its_history_where_the_solver_stays(
    wavy: DiffusionBackend,
) -> None:
    trunk = walk(wavy, sampler="dpmpp")
    kept = walk(wavy, sampler="dpmpp", branch="4:guidance=2")
    fresh = walk(wavy, sampler="dpmpp", branch="4:steps=5")
    assert torch.equal(kept[4].state.x, trunk[4].state.x)
    assert not torch.equal(fresh[4].state.x, trunk[4].state.x)
    assert len(kept[4].state.history["model_outputs"]) == 2


def test_a_branch_on_a_branch_and_its_state(wavy: DiffusionBackend) -> None:
    path = "3:guidance=3,attr.smiling=1/5:sampler=euler,steps=4/6:noise=9"
    steps = walk(wavy, sampler="dpmpp", branch=path)
    assert [s.state.path for s in steps] == [
        *[""] * 3,
        *[path.split("/")[0]] * 2,
        "/".join(path.split("/")[:2]),
        *[path] * 3,
    ]
    assert steps[-1].count == 9
    for at, parts in ((2, 0), (3, 0), (4, 1), (5, 1), (6, 2)):
        parent = "/".join(path.split("/")[:parts])
        state = walk(wavy, sampler="dpmpp", branch=parent)[at - 1].state
        rest = walk(wavy, state, sampler="dpmpp", branch=path)
        assert all(same(a, b) for a, b in zip(rest, steps[at:]))
        assert torch.equal(rest[-1].result, steps[-1].result)


def test_guidance_and_condition_of_a_branch_hold_from_there_on(wavy: DiffusionBackend) -> None:
    branched = walk(wavy, sampler="euler", branch="3:attr.smiling=1")
    plain = walk(wavy, sampler="euler")
    assert all(same(a, b) for a, b in zip(branched[:3], plain[:3]))
    own = walk(wavy, plain[2].state, sampler="euler", condition=SMILE)
    assert torch.equal(own[-1].result, branched[-1].result)
    free = walk(wavy, sampler="euler", condition=SMILE, branch="0:unconditional=true")
    assert torch.equal(free[-1].result, plain[-1].result)


@pytest.mark.parametrize("name", NAMES)
def test_new_noise_lies_around_the_predicted_image(name: str) -> None:
    backend = wavy_backend(schedule="linear", image_size=64)
    trunk = walk(backend, sampler=name)
    for at in (1, 4):
        steps = walk(backend, sampler=name, branch=f"{at}:noise=7")
        other = walk(backend, sampler=name, branch=f"{at}:noise=8")
        step, sigma = steps[at], steps[at].sigma
        image = trunk[at - 1].preview
        drawn = (step.x_t * (1 + sigma**2) ** 0.5 - image) / sigma
        rule = [noise(noise_key(7, key), "branch", at, drawn.shape[1:]) for key in (1, 2)]
        torch.testing.assert_close(drawn, torch.tensor(np.stack(rule)), rtol=1e-3, atol=1e-3)
        count = drawn.numel()
        assert abs(drawn.mean()) < 5 / count**0.5
        assert abs(drawn.var() - 1) < 5 * (2 / count) ** 0.5
        rows = torch.corrcoef(drawn.flatten(1))
        assert abs(rows[0, 1]) < 5 / (count / 2) ** 0.5
        assert step.t == trunk[at].t
        assert not torch.equal(step.x_t, other[at].x_t)
        assert torch.isfinite(steps[-1].result).all()


def test_new_noise_lies_around_the_image_that_the_run_holds(wavy: DiffusionBackend) -> None:
    drawn = []
    for clip in (True, False):
        before = walk(wavy, sampler="ddim", clip=clip)[0]
        step = walk(wavy, sampler="ddim", clip=clip, branch="1:noise=7")[1]
        assert before.x0.abs().max() > 1.2
        image = before.preview if clip else before.x0
        drawn.append((step.x_t * (1 + step.sigma**2) ** 0.5 - image) / step.sigma)
    torch.testing.assert_close(drawn[0], drawn[1], rtol=1e-4, atol=1e-4)


def test_new_noise_from_the_start_is_another_start(wavy: DiffusionBackend) -> None:
    first = walk(wavy, sampler="euler", branch="0:noise=1")
    again = walk(wavy, sampler="ddim", branch="0:noise=1")
    torch.testing.assert_close(first[0].x_t, again[0].x_t, rtol=1e-4, atol=1e-4)
    assert (first[0].x_t - walk(wavy, sampler="euler")[0].x_t).abs().mean() > 0.5


def test_a_branch_at_the_start_of_a_new_start_begins_with_its_noise(wavy: DiffusionBackend) -> None:
    parent = walk(wavy, sampler="euler", branch="0:noise=1")
    child = walk(wavy, sampler="euler", branch="0:noise=1/0:")
    assert all(same(a, b) for a, b in zip(parent, child))
    other = walk(wavy, sampler="euler", branch="0:noise=1/0:sampler=ddim")
    torch.testing.assert_close(other[0].x_t, parent[0].x_t, rtol=1e-4, atol=1e-4)
    newest = walk(wavy, sampler="euler", branch="0:noise=2/0:noise=1")
    assert all(same(a, b) for a, b in zip(parent, newest))


@pytest.mark.parametrize("parent", ["euler", "ddim", "dpmpp"])
def test_heun_goes_on_at_variance_one_where_it_begins_with_less_noise(parent: str) -> None:
    backend = wavy_backend(schedule="cosine")
    for at in (1, 3):
        given = {"sampler": parent, "steps": 1000, "stop_at": at + 1}
        trunk = walk(backend, **given)[at]
        branch = walk(backend, **given, branch=f"{at}:sampler=heun")[at]
        assert trunk.sigma > 200
        assert branch.sigma < 40
        torch.testing.assert_close(branch.x_t, trunk.x_t, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "draws"),
    [
        ({}, [("sampler", 0, i) for i in range(5)]),
        # Steps are counted in the whole run: no noise comes twice.
        ({"branch": "3:steps=4"}, [("sampler", 0, i) for i in range(6)]),
        (
            {"branch": "3:noise=7"},
            [("branch", 7, 3), *(("sampler", 7 * (i > 2), i) for i in range(5))],
        ),
        (
            {"branch": "0:noise=7/2:steps=3,guidance=2"},
            [("branch", 7, 0), *(("sampler", 7, i) for i in range(4))],
        ),
        (
            {"sampler": "ddim", "steps": 5, "branch": "2:eta=1"},
            [("sampler", 0, 2), ("sampler", 0, 3)],
        ),
        ({"steps": 6, "travel": 1}, [("sampler", 0, i) for i in range(10)] + [("travel", 0, 5)]),
    ],
)
def test_every_draw_has_a_stream_a_seed_and_a_step_of_its_own(
    wavy: DiffusionBackend, monkeypatch: pytest.MonkeyPatch, options: dict, draws: list
) -> None:
    known = {noise_key(seed, key): (seed, key) for seed in (0, 7) for key in (1, 2)}
    found = []

    def draw(key: int, stream: str, index: int, shape: tuple[int, ...]) -> np.ndarray:
        found.append((stream, *known[key], index))
        return noise(key, stream, index, shape)

    monkeypatch.setattr("latentlab.backends.diffusion_run.noise", draw)
    walk(wavy, **{"sampler": "ddpm", "steps": 6, **options})
    expected = [(stream, seed, key, i) for stream, seed, i in draws for key in (1, 2)]
    assert sorted(found) == sorted(expected)


def test_going_back_is_the_forward_process(wavy: DiffusionBackend) -> None:
    """q(x_then | x_now) has the variance that is lacking (Ho et al. 2020, equation 2)."""
    steps = walk(wavy, sampler="ddim", steps=10, travel=1, noise_seed=5)
    before, again = steps[4], steps[5]
    assert again.t == steps[0].t
    keys = [noise_key(5, key) for key in (1, 2)]
    drawn = torch.from_numpy(np.stack([noise(k, "travel", 5, (1, 4, 4)) for k in keys]))
    kept = wavy.config.noise_schedule().alphas_cumprod
    share = kept[round(again.t)] / kept[round(steps[10].t)]
    expected = share**0.5 * before.state.x + (1 - share) ** 0.5 * drawn
    torch.testing.assert_close(again.x_t, expected.float(), rtol=1e-3, atol=1e-3)


def test_injected_noise_follows_the_seed_of_the_branch(wavy: DiffusionBackend) -> None:
    plain = walk(wavy, sampler="ddpm", noise_seed=1)
    other = walk(wavy, sampler="ddpm", noise_seed=2)
    assert torch.equal(plain[0].x_t, other[0].x_t)
    assert not torch.equal(plain[1].x_t, other[1].x_t)


def test_runs_from_the_middle_take_the_steps_that_remain(wavy: DiffusionBackend) -> None:
    for name in NAMES:
        steps = walk(wavy, sampler=name, steps=10, start_at=450)
        levels = [t for t in range(99, 1000, 100) if t <= 450][::-1]
        want = [450, *levels[1:]]
        want = [want[0], *(t for t in want[1:] for _ in range(2))] if name == "heun" else want
        assert [s.t for s in steps] == want, name
        x = wavy.sample_prior("noise", [1, 2])["noise"]
        torch.testing.assert_close(steps[0].x_t, x, rtol=1e-5, atol=1e-6)
    assert len(walk(wavy, steps=10, start_at=5)) == 1
    trunk = walk(wavy, sampler="ddim", steps=10)
    parts = {"noise": trunk[6].x_t}
    rest = wavy.decode(parts, options={"sampler": "ddim", "steps": 10, "start_at": 399})
    assert torch.equal(trunk[6].x_t, trunk[5].state.x)
    assert trunk[6].t == 399
    torch.testing.assert_close(rest, trunk[-1].result, rtol=1e-4, atol=1e-5)


def test_branches_of_runs_from_the_middle(wavy: DiffusionBackend) -> None:
    given = {"steps": 10, "start_at": 450}
    own = walk(wavy, sampler="euler", **given)
    branched = walk(wavy, sampler="ddim", branch="0:sampler=euler", **given)
    assert all(same(a, b) for a, b in zip(own, branched))
    assert len(walk(wavy, sampler="ddim", branch="0:sampler=euler,steps=7", **given)) == 7
    assert len(walk(wavy, sampler="ddim", branch="2:sampler=euler,steps=7", **given)) == 9


def test_what_cannot_be_is_said_in_a_sentence(wavy: DiffusionBackend) -> None:
    said = {
        "A branch cannot leave this run after step 8: choose 0 to 7": {"branch": "8:guidance=2"},
        "after step 3: choose 5 to 7": {"branch": "5:guidance=2/3:guidance=1"},
        "Only 125 steps fit below time 124": {"branch": "7:steps=200", "sampler": "ddim"},
        "start at one of them": {"start_at": 1000},
        "choose a frame from 1 to 8": {"stop_at": 9},
        "no option 'speed'": {"speed": 3},
        "There are 3 keys of noise for 2 rows": {"row_keys": [1, 2, 3]},
        "no attribute 'hat'": {"branch": "3:attr.hat=1"},
    }
    for words, options in said.items():
        with pytest.raises(LatentLabError, match=words):
            walk(wavy, **options)
    few = wavy_backend(num_timesteps=20)
    with pytest.raises(LatentLabError, match="at most 20 steps"):
        walk(few, steps=21)


def test_a_state_of_another_run_is_refused(wavy: DiffusionBackend) -> None:
    state = walk(wavy, sampler="euler")[4].state
    for options in (
        {"sampler": "ddim"},
        {"sampler": "euler", "steps": 9},
        {"sampler": "euler", "branch": "2:guidance=3"},
    ):
        with pytest.raises(LatentLabError):
            walk(wavy, state, **options)
    assert state.nbytes == 2 * state.x.nbytes
