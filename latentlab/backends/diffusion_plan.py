"""A run of denoising and the roads that it leaves: which solver does which steps, by what settings.

Planned before the first step, so that a run knows how long it is and says at once what it cannot
do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from latentlab.backends.solvers import MULTISTEP, Rules, Solver
from latentlab.backends.solvers_times import levels_of, spread
from latentlab.core.denoising import Branch, Path, SamplerName, Sampling, format_path
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition

TRAVEL_SPAN = 5
"""Steps that are done before a run goes back over them."""
_TRAVELLERS = ("ddpm", "ddim")


@dataclass(frozen=True)
class Settings:
    """What holds for some steps of a run and may change at a branch.

    Attributes:
        sampler: id.
        guidance: weight.
        eta: of DDIM.
        seed: of injected noise.
        condition: beside the latents.
    """

    sampler: SamplerName
    guidance: float
    eta: float
    seed: int
    condition: Condition | None

    def changed(self, branch: Branch) -> Settings:
        """Return the settings from a branching point on."""
        return Settings(
            branch.sampler or self.sampler,
            self.guidance if branch.guidance is None else branch.guidance,
            self.eta if branch.eta is None else branch.eta,
            self.seed if branch.noise is None else branch.noise,
            self.condition if branch.condition is None else branch.condition,
        )


@dataclass(frozen=True, eq=False)
class Stretch:
    """The steps of one branch, or those of the run before its first branch.

    Attributes:
        path: of the branch, as text.
        settings: that hold.
        solver: that walks; a branch that keeps it keeps its history.
        first: steps of the whole run before this stretch.
        offset: calls of ``solver`` before this stretch.
        whole: ``solver`` begins with noise, not with x_t.
        redraw: seed of the noise of a new x_t around the predicted image.
        calls: of a run that goes back: those of ``solver`` in the order in which they are done.
    """

    path: str
    settings: Settings
    solver: Solver
    first: int = 0
    offset: int = 0
    whole: bool = True
    redraw: int | None = None
    calls: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """Steps of the run that this stretch brings to its end."""
        return self.first + (len(self.calls) or self.solver.calls - self.offset)

    def call(self, index: int) -> int:
        """Return the solver's call by the steps done of the whole run."""
        if self.calls:
            return self.calls[index - self.first]
        return index - self.first + self.offset

    def call_on(self, index: int) -> int:
        """Return the call that goes on from where x is: another one than ``call`` at a return."""
        if self.calls and index > self.first:
            return self.call(index - 1) + 1
        return self.call(index)


@dataclass(frozen=True, eq=False)
class DiffusionState:
    """All that is needed to go on after a step, or to branch there.

    Attributes:
        sampling: of the run, without its branches.
        path: of the branch that the step belongs to, as text.
        index: steps done of the whole run.
        x: in the solver's own scaling, ``(B, C, H, W)``.
        x0: the image that the last step predicted, within [-1, 1] where the run clips.
        history: what the solver remembers.
    """

    sampling: Sampling
    path: str
    index: int
    x: Tensor
    x0: Tensor
    history: Mapping[str, Any]

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors, each counted once."""
        values: list[Any] = [self.x, self.x0]
        for value in self.history.values():
            values += value if isinstance(value, list) else [value]
        found = {v.data_ptr(): v.nbytes for v in values if isinstance(v, Tensor)}
        return sum(found.values())


def root_of(sampling: Sampling) -> Sampling:
    """Return what decides the levels of a run before its branches."""
    free = {"branch": "", "stop_at": None, "show": "x0", "guidance": 1.0, "eta": 0.0}
    return sampling.model_copy(update={**free, "noise_seed": 0})


def plan(
    rules: Rules, sampling: Sampling, condition: Condition | None, path: Path
) -> list[Stretch]:
    """Return the stretches of a run; the last one ends without noise.

    Args:
        rules: of all its solvers.
        sampling: of the run before its branches.
        condition: likewise.
        path: of the branch that is walked to its end.

    Raises:
        LatentLabError: more steps than the model has times, a time that it does not have, a branch
            beyond the end of its parent or before its beginning.
    """
    settings = Settings(
        sampling.sampler, sampling.guidance, sampling.eta, sampling.noise_seed, condition
    )
    first = Stretch(
        "",
        settings,
        first_solver(rules, sampling, sampling.sampler),
        whole=sampling.start_at is None,
    )
    if sampling.travel:
        first = replace(first, calls=_there_and_back(first.solver, sampling.travel))
    stretches = [first]
    for number, branch in enumerate(path, 1):
        name = format_path(path[:number])
        stretches.append(_branched(rules, sampling, stretches[-1], branch, name))
    return stretches


def _there_and_back(solver: Solver, times: int) -> tuple[int, ...]:
    """Return the calls of a run that goes back over every ``TRAVEL_SPAN`` of them."""
    if solver.name not in _TRAVELLERS:
        raise LatentLabError(
            "Only DDIM and DDPM can go back over their steps: choose one of them, or travel 0."
        )
    found: list[int] = []
    for start in range(0, solver.calls, TRAVEL_SPAN):
        block = range(start, min(start + TRAVEL_SPAN, solver.calls))
        found += [*block] * (1 + times * (block.stop < solver.calls))
    return tuple(found)


def first_solver(rules: Rules, sampling: Sampling, name: SamplerName) -> Solver:
    """Return the solver that begins a run, at T or at ``start_at``."""
    total = rules.schedule.num_timesteps
    if sampling.steps > total:
        raise LatentLabError(f"This model has {total} times: ask for at most {total} steps.")
    whole = Solver.whole(name, rules, sampling.steps)
    begin = sampling.start_at
    if begin is None:
        return whole
    if begin >= total:
        raise LatentLabError(f"This model has times 0 to {total - 1}: start at one of them.")
    later = [time for time in whole.levels.times if time <= begin]
    return Solver.along(name, rules, levels_of(rules.sigmas, [begin, *later[1:]]))


def _branched(
    rules: Rules, sampling: Sampling, parent: Stretch, branch: Branch, path: str
) -> Stretch:
    if not parent.first <= branch.at < parent.count:
        last = parent.count - 1
        raise LatentLabError(
            f"A branch cannot leave this run after step {branch.at}: choose {parent.first} to "
            f"{last}."
        )
    settings = parent.settings.changed(branch)
    call = parent.call_on(branch.at)
    left = parent.solver.steps_left(call)
    steps = branch.steps or left
    new = settings.sampler != parent.settings.sampler or steps != left
    stretch = Stretch(
        path, settings, parent.solver, branch.at, call, parent.whole, redraw=branch.noise
    )
    if branch.at == 0:
        return replace(stretch, solver=_anew(rules, sampling, parent, settings.sampler, steps))
    if not new and branch.noise is None:
        return stretch
    name, past_zero = settings.sampler, settings.sampler in MULTISTEP
    levels = parent.solver.rest(call)
    if new:
        times = spread(levels.times[0], steps, rules.spacing, past_zero=past_zero)
        levels = levels_of(rules.sigmas, times, levels.sigmas[0])
    return replace(stretch, solver=Solver.along(name, rules, levels), offset=0, whole=False)


def _anew(
    rules: Rules, sampling: Sampling, parent: Stretch, name: SamplerName, steps: int
) -> Solver:
    """Return the solver of a branch that leaves before the first step: a run of its own."""
    same_steps = steps == parent.solver.steps_left(0)
    if name == parent.solver.name and same_steps:
        return parent.solver
    if sampling.start_at is None:
        return first_solver(rules, sampling.model_copy(update={"steps": steps}), name)
    own = first_solver(rules, sampling, name)
    if same_steps and own.steps_left(0) == steps:
        return own
    times = spread(sampling.start_at, steps, rules.spacing, past_zero=name in MULTISTEP)
    return Solver.along(name, rules, levels_of(rules.sigmas, times))
