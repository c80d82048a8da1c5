"""A watched run as a tree of branches: changes of it, and what it is called. No Qt here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from latentlab.core.denoising import (
    Branch,
    DenoisingFrame,
    Sampling,
    format_path,
    parse_path,
    sampler,
)
from latentlab.core.document import MAX_BRANCHES, Denoising, DenoisingBranch, Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition
from latentlab.core.spec import ModelSpec
from latentlab.ui.edits import readable

_FRAME_OPTIONS = ("branch", "stop_at", "show")
_NBSP = "\N{NO-BREAK SPACE}"
QUANTITIES: Mapping[str, str] = {"x_t": "Noisy", "x0": "Predicted", "eps": "Noise"}
"""What a person reads for each value of ``show``."""


@dataclass(frozen=True)
class Setting:
    """What is in force at the end of a path."""

    sampling: Sampling
    condition: Condition


# The shape of the tree.


def parent_of(path: str) -> str:
    """Return the run or branch that a branch leaves."""
    return path.rpartition("/")[0]


def depth(path: str) -> int:
    """Return 0 for the run itself, 1 for its branches."""
    return path.count("/") + 1 if path else 0


def last_branch(path: str) -> Branch:
    """Return what the last part of a path, which is not empty, says."""
    return parse_path(path)[-1]


def prefixes(path: str) -> tuple[str, ...]:
    """Return the branches on the way to a path, itself included, the run itself left out."""
    parts = path.split("/") if path else []
    return tuple("/".join(parts[: end + 1]) for end in range(len(parts)))


def under(path: str, ancestor: str) -> bool:
    """Whether a path is ``ancestor`` or leads through it."""
    return not ancestor or path == ancestor or path.startswith(f"{ancestor}/")


def tree_order(branches: Iterable[DenoisingBranch]) -> tuple[str, ...]:
    """Return all paths, the run first, each followed by its own branches."""
    known = [one.path for one in branches]
    found: list[str] = []

    def visit(path: str) -> None:
        found.append(path)
        for child in known:
            if parent_of(child) == path:
                visit(child)

    visit("")
    return tuple(found)


# Changes.


def with_branch(run: Denoising, path: str) -> Denoising:
    """Return the run with one more branch, and those that lead to it.

    Raises:
        LatentLabError: there are too many.
    """
    branches = list(run.branches)
    for prefix in prefixes(path):
        if all(one.path != prefix for one in branches):
            used = {one.slot for one in branches}
            slot = next(n for n in range(1, MAX_BRANCHES + 2) if n not in used)
            branches.append(DenoisingBranch(path=prefix, slot=slot))
    if len(branches) > MAX_BRANCHES:
        raise LatentLabError(
            f"A run can have {MAX_BRANCHES} branches at most: delete one, then branch again."
        )
    return run.model_copy(update={"branches": tuple(branches)})


def placed(parent: str, branch: Branch) -> str:
    """Return the path of a branch that leaves ``parent`` after ``branch.at`` steps.

    Where the parent itself had not branched yet, the branch leaves the run before it; where both
    leave at one step, it changes what the parent changes, and more.
    """
    while parent:
        last = last_branch(parent)
        if branch.at > last.at:
            break
        if branch.at == last.at:
            given = {name: value for name, value in branch if value is not None}
            branch = last.model_copy(update=given)
        parent = parent_of(parent)
    return format_path((*parse_path(parent), branch))


def without_branch(run: Denoising, path: str) -> Denoising:
    """Return the run without a branch and all that leave it."""
    left = tuple(one for one in run.branches if not under(one.path, path))
    return run.model_copy(update={"branches": left})


def renamed(run: Denoising, path: str, title: str) -> Denoising:
    """Return the run with another title of a branch."""
    branches = tuple(
        one.model_copy(update={"title": title}) if one.path == path else one for one in run.branches
    )
    return run.model_copy(update={"branches": branches})


def rescaled(path: str, before: int, after: int) -> str:
    """Return a path whose first branch leaves a run of another number of steps at its old time."""
    if not path or before == after:
        return path
    first, *rest = parse_path(path)
    at = min(after - 1, max(0, round(first.at * after / before)))
    moved = [first.model_copy(update={"at": at})]
    old_left = first.steps if first.steps is not None else before - first.at
    new_left = first.steps if first.steps is not None else after - at
    shift_from, shift_to, scale = first.at, at, new_left / max(1, old_left)
    for branch in rest:
        beyond = round((branch.at - shift_from) * scale)
        moved.append(branch.model_copy(update={"at": max(shift_to, shift_to + beyond)}))
        shift_from, shift_to = branch.at, moved[-1].at
    return format_path(tuple(moved))


def with_steps(run: Denoising, base: Picture, before: int, after: int) -> Denoising:
    """Return the run on another base, its branches where they were in time."""
    branches: dict[str, DenoisingBranch] = {}
    for one in run.branches:
        path = rescaled(one.path, before, after)
        if path not in branches and (parent_of(path) in branches or depth(path) == 1):
            branches[path] = one.model_copy(update={"path": path})
    return Denoising(base=base, follows=run.follows, branches=tuple(branches.values()))


# Pictures.


def bare(picture: Picture) -> Picture:
    """Return the picture of the run itself: without branch, and to its end.

    The name of a frame is not that of its run; any other name stays.
    """
    options = {k: v for k, v in picture.options.items() if k not in _FRAME_OPTIONS}
    name = picture.name if options == picture.options else ""
    return picture.model_copy(update={"options": options, "name": name})


def frame_picture(base: Picture, path: str, stop_at: int | None, show: str) -> Picture:
    """Return the picture of one frame; ``stop_at`` ``None`` is the result."""
    options: dict[str, Any] = dict(bare(base).options)
    options |= {"branch": path} if path else {}
    if stop_at is not None:
        options["stop_at"] = stop_at
        options |= {"show": show} if show != "x0" else {}
    name = "" if stop_at is None else f"step {stop_at}, {QUANTITIES[show].lower()}"
    return base.model_copy(update={"options": options, "name": name})


def setting_of(base: Picture, path: str) -> Setting:
    """Return sampler, guidance and condition that a path ends with."""
    sampling, condition = Sampling.from_options(bare(base).options), base.condition
    for branch in parse_path(path):
        changed = {
            name: value
            for name in ("sampler", "eta", "guidance")
            if (value := getattr(branch, name)) is not None
        }
        if branch.steps is not None:
            changed["steps"] = branch.at + branch.steps
        sampling = sampling.model_copy(update=changed)
        condition = branch.condition or condition
    return Setting(sampling, condition)


def evaluations(sampling: Sampling, steps: int) -> int:
    """Return the network evaluations of some steps; a second-order solver's last needs one."""
    each = sampler(sampling.sampler).evaluations
    return max(1, steps * each - (each - 1))


def expected_count(base: Picture, path: str) -> int:
    """Return the steps of a whole run, a network evaluation each, before it is known."""
    sampling = setting_of(base, "").sampling
    count = evaluations(sampling, sampling.steps)
    for end, branch in enumerate(parse_path(path), 1):
        here = setting_of(base, format_path(parse_path(path)[:end])).sampling
        before = setting_of(base, format_path(parse_path(path)[: end - 1])).sampling
        left = branch.steps or _steps_left(before, count, branch.at)
        count = branch.at + evaluations(here, left)
    return count


def steps_left(base: Picture, path: str, count: int, at: int) -> int:
    """Return the steps that a run of ``count`` evaluations has left after ``at`` of them."""
    return _steps_left(setting_of(base, path).sampling, count, at)


def _steps_left(sampling: Sampling, count: int, at: int) -> int:
    each = sampler(sampling.sampler).evaluations
    return max(1, -(-(count - at) // each))


# Words.


def figure(value: float) -> str:
    """Return a number with two or three significant digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return "0" if value == 0 else f"{value:.2g}"


def noise_share(sigma: float) -> float:
    """Return how much of x_t is noise, 0 to 1, as its standard deviation: sqrt(1 - alpha-bar)."""
    return sigma / math.sqrt(1 + sigma * sigma)


def caption(frame: DenoisingFrame | None, count: int) -> str:
    """Return what is known about a step; ``None`` is the result after all steps."""
    if frame is None:
        return f"result after {count} step{'s' * (count != 1)}"
    percent = f"{100 * noise_share(frame.sigma):.0f}{_NBSP}%"
    return (
        f"step {frame.index} of {frame.count}, t{_NBSP}={_NBSP}{figure(frame.t)}, "
        f"sigma{_NBSP}{figure(frame.sigma)}, noise{_NBSP}{percent}"
    )


def condition_changes(before: Condition, after: Condition, spec: ModelSpec | None) -> list[str]:
    """Return what a condition changes, a few words each."""
    if after.null:
        return [] if before.null else ["no condition"]
    words = []
    if after.class_index is not None and after.class_index != before.class_index:
        names = () if spec is None else spec.class_names
        known = after.class_index < len(names)
        words.append(names[after.class_index] if known else f"label {after.class_index}")
    for name in {**before.attributes, **after.attributes}:
        old, new = before.attributes.get(name, 0.0), after.attributes.get(name, 0.0)
        if old != new or before.null:
            words.append(readable(name).lower() + ("" if new == 1 else f" {figure(new)}"))
    return words or (["condition"] if after != before else [])


def what_changed(base: Picture, path: str, spec: ModelSpec | None) -> str:
    """Return what a branch changes: ``guidance 3, smiling``."""
    branch, before = last_branch(path), setting_of(base, parent_of(path))
    words = [] if branch.sampler is None else [sampler(branch.sampler).title]
    words += [] if branch.noise is None else [f"noise {branch.noise}"]
    words += [] if branch.guidance is None else [f"guidance {figure(branch.guidance)}"]
    words += [] if branch.eta is None else [f"eta {figure(branch.eta)}"]
    if branch.steps is not None:
        words.append(f"{branch.steps} step{'s' * (branch.steps != 1)} left")
    if branch.condition is not None:
        words += condition_changes(before.condition, branch.condition, spec)
    return ", ".join(words) or "as before"


def run_title(base: Picture) -> str:
    """Return what the run itself is: ``DPM-Solver++ 2M, 25 steps, guidance 1``."""
    sampling = setting_of(base, "").sampling
    eta = f", eta {figure(sampling.eta)}" if sampling.eta and sampling.sampler == "ddim" else ""
    guidance = f"guidance {figure(sampling.guidance)}"
    return f"{sampler(sampling.sampler).title}, {sampling.steps} steps, {guidance}{eta}"


def source_title(base: Picture) -> str:
    """Return where the noise of a run comes from."""
    if base.seeds:
        return f"seed {base.seeds[0]}"
    return base.name or ("latents of a photograph" if base.photo else "stored latents")
