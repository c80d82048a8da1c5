"""Times, histories and edges of the solvers."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from latentlab.backends.solvers import HISTORY, Rules, Solver
from latentlab.backends.solvers_times import falls, levels_of, sigma_table, spread
from latentlab.core.denoising import SAMPLERS
from latentlab.core.errors import LatentLabError
from latentlab.core.noise_schedule import noise_schedule

NAMES = [row.id for row in SAMPLERS]
SPACINGS = ["trailing", "leading", "linspace"]


def rules(schedule: str = "linear", total: int = 1000, spacing: str = "trailing") -> Rules:
    return Rules(noise_schedule(schedule, total), "v", spacing, True)


def walk(solver: Solver, eta: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)

    def draw() -> torch.Tensor:
        return torch.randn((2, 1, 2, 2), generator=generator)

    x = solver.start(draw())
    for call in range(solver.calls):
        output = torch.tanh(solver.at_variance_one(x, call))
        x = solver.step(output, call, x, draw, eta)
    return x


@pytest.mark.parametrize("schedule", ["cosine", "offset_cosine", "linear"])
@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_steps_ends_in_finite_images(name: str, schedule: str) -> None:
    for total, counts in ((60, (1, 2, 3, 29, 31, 58, 59, 60)), (1000, (3, 61))):
        for spacing in SPACINGS if total == 60 else SPACINGS[:1]:
            for steps in counts:
                solver = Solver.whole(name, rules(schedule, total, spacing), steps)
                assert len(solver.levels.times) == steps
                assert solver.calls == (2 * steps - 1 if name == "heun" else steps)
                assert falls(solver.levels.times)
                assert torch.isfinite(walk(solver, eta=1.0)).all(), (spacing, steps)


@pytest.mark.parametrize("name", NAMES)
def test_a_thousand_steps_of_the_cosine_schedule(name: str) -> None:
    for spacing in SPACINGS:
        solver = Solver.whole(name, rules("cosine", 1000, spacing), 1000)
        assert len(solver.levels.times) == 1000
    assert torch.isfinite(walk(solver)).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_last_step_ends_without_noise(name: str) -> None:
    for steps in (1, 4, 25):
        solver = Solver.whole(name, rules(), steps)
        assert solver.sigma_after(solver.calls - 1) == 0


@pytest.mark.parametrize(("total", "steps"), [(185, 2), (598, 3)])
def test_full_eta_gives_no_root_of_less_than_nothing(total: int, steps: int) -> None:
    # In single precision the variance of eta 1 is here a hair more than all the noise there is.
    solver = Solver.whole("ddim", rules("cosine", total), steps)
    assert torch.isfinite(walk(solver, eta=1.0)).all()


def test_sigmas_are_those_of_the_schedule() -> None:
    for name in ("linear", "cosine", "offset_cosine"):
        schedule = noise_schedule(name)
        table = sigma_table(schedule)
        np.testing.assert_allclose(table, schedule.sigma, rtol=2e-3)
        solver = Solver.whole("ddim", rules(name), 10)
        times = np.array(solver.times, int)
        np.testing.assert_allclose(1 / np.square(solver.sigmas), schedule.snr[times], rtol=5e-3)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_over_its_own_levels_is_the_whole_run(name: str) -> None:
    own = rules()
    whole = Solver.whole(name, own, 10)
    again = Solver.along(name, own, whole.levels)
    assert again.times == whole.times
    torch.testing.assert_close(walk(again), walk(whole), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_history_is_all_that_steps_change(name: str) -> None:
    solver = Solver.whole(name, rules(), 5)
    draw = lambda: torch.ones((1, 1, 2, 2))  # noqa: E731
    x = solver.start(draw())
    for call in range(solver.calls):
        before = {k: copy.copy(v) for k, v in vars(solver.scheduler).items()}
        x = solver.step(torch.sin(solver.at_variance_one(x, call)), call, x, draw, 0.5)
        for key, value in vars(solver.scheduler).items():
            if key not in HISTORY:
                same = before[key] is value or repr(before[key]) == repr(value)
                assert same, f"{key} changes"


@pytest.mark.parametrize("name", NAMES)
def test_a_history_stays_as_it_was_and_can_be_put_back(name: str) -> None:
    own = rules()
    solver = Solver.whole(name, own, 6)
    generator = torch.Generator().manual_seed(0)
    noises = [torch.randn((1, 1, 2, 2), generator=generator) for _ in range(20)]

    def go(walker: Solver, x: torch.Tensor, start: int) -> list[torch.Tensor]:
        found = []
        for call in range(start, walker.calls):
            output = torch.cos(3 * walker.at_variance_one(x, call))
            x = walker.step(output, call, x, lambda at=call: noises[at], 0.7)
            found.append(x)
            saved.append((walker.history(), x))
        return found

    saved: list[tuple[dict, torch.Tensor]] = []
    whole = go(solver, solver.start(noises[-1]), 0)
    frozen = copy.deepcopy(saved)
    for call in range(solver.calls - 1):
        history, x = saved[call]
        for key, value in frozen[call][0].items():
            tensors = value if isinstance(value, list) else [value]
            mine = history[key] if isinstance(value, list) else [history[key]]
            for old, new in zip(tensors, mine):
                same = torch.equal(old, new) if isinstance(old, torch.Tensor) else old == new
                assert same, key
        other = Solver.whole(name, own, 6)
        other.restore(history)
        assert torch.equal(go(other, x, call + 1)[-1], whole[-1])


def test_heun_begins_where_its_correction_holds() -> None:
    solver = Solver.whole("heun", rules("cosine"), 10)
    assert solver.sigmas[0] <= 40
    assert solver.times[0] == 982
    assert Solver.whole("heun", rules("linear"), 10).times[0] == 999


def test_times_of_the_rest_of_a_run() -> None:
    assert spread(999, 25, "trailing").tolist() == [round(1000 - 40 * i) - 1 for i in range(25)]
    assert spread(479, 12, "trailing").tolist() == [479 - 40 * i for i in range(12)]
    assert spread(480, 13, "leading").tolist() == [480, *range(37 * 11, -1, -37)]
    assert spread(99, 4, "linspace").tolist() == [99, 66, 33, 0]
    assert spread(99, 3, "linspace", past_zero=True).tolist() == [99, 66, 33]
    assert spread(10.5, 11, "trailing")[0] == 10.5
    for spacing in SPACINGS:
        for first in (0, 1, 7, 38.6, 999):
            for count in {1, 2, int(first), int(first) + 1} - {0}:
                if count <= first + 1:
                    times = spread(first, count, spacing, past_zero=bool(count % 2))
                    assert falls(times)
                    assert (times[0], len(times)) == (first, count)
    with pytest.raises(LatentLabError, match="Only 40 steps fit below time 39"):
        spread(39, 41, "trailing")


def test_levels_between_whole_times_lie_between() -> None:
    table = sigma_table(noise_schedule("linear"))
    levels = levels_of(table, [10.5, 3.0])
    assert levels.sigmas[0] == pytest.approx((table[10] + table[11]) / 2)
    assert levels_of(table, [10.5], first_sigma=0.7).sigmas == (0.7,)
