"""Denoising runs and their branches, one network evaluation a turn, from remembered states.

A state is what a backend needs to go on from a step: a branch starts from the state of the run
that it leaves, and nothing before it is computed again. States live in a cache of a limited number
of bytes; where one is gone, the run is taken up again from the nearest one before it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import torch

from latentlab.backends.base import DiffusionStep
from latentlab.core.denoising import ROW_KEYS, Sampling, parse_path
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents
from latentlab.core.pictures import stored_hashes

STATE_BYTES = 256 * 2**20
"""Most bytes of states that a worker remembers."""

Key = tuple[str, str, int]
"""A run (all that decides its pixels), a path of it, and a step."""


class StateCache:
    """States by step, the least recently used forgotten first.

    Args:
        limit: most bytes.
        keeps: which (path, step) are worth keeping; all of them when not given.
    """

    def __init__(
        self, limit: int = STATE_BYTES, keeps: Callable[[str, int], bool] | None = None
    ) -> None:
        self._limit, self._keeps = limit, keeps
        self._states: OrderedDict[Key, tuple[Any, int]] = OrderedDict()
        self.size = 0
        """Bytes that are held."""

    def put(self, key: Key, state: Any) -> None:
        """Remember a state, which says its ``nbytes``; one larger than the limit is not kept."""
        if self._keeps is not None and not self._keeps(key[1], key[2]):
            return
        if key in self._states:
            self.size -= self._states.pop(key)[1]
        self._states[key] = (state, int(state.nbytes))
        self.size += self._states[key][1]
        while self.size > self._limit:
            _, (_, freed) = self._states.popitem(last=False)
            self.size -= freed

    def nearest(self, run: str, path: str, first: int, last: int) -> tuple[int, Any] | None:
        """Return the latest state of a path from step ``first`` to ``last``, with its step."""
        for step in range(last, first - 1, -1):
            found = self._states.get((run, path, step))
            if found is not None:
                self._states.move_to_end((run, path, step))
                return step, found[0]
        return None

    def clear(self) -> None:
        """Forget everything."""
        self._states.clear()
        self.size = 0


def check_steps(backend: Any) -> None:
    """Raise ``LatentLabError`` for a model that makes its images at once."""
    if "steps" not in backend.spec.capabilities:
        raise LatentLabError(
            f"'{backend.spec.id}' makes an image at once, not in steps: choose a diffusion model."
        )


class Runs:
    """The runs of one picture: itself, and its branches by path.

    Args:
        backend: a model with the capability ``steps``.
        latents: one row, edits included.
        key: what the injected noise of the row is drawn from.
        condition: of the picture.
        sampling: its options; ``branch``, ``stop_at`` and ``show`` are left aside.
        cache: of states.
        rows: size of the batch in which the row is repeated; it may change the last bits.
    """

    def __init__(
        self,
        backend: Any,
        latents: Latents,
        key: int,
        condition: Condition,
        sampling: Sampling,
        cache: StateCache,
        rows: int = 1,
    ) -> None:
        check_steps(backend)
        latents.check(backend.spec.space(latents.space))
        self._backend, self._latents, self._cache = backend, latents, cache
        self._condition, self._options = condition, run_options(sampling)
        self._keys, self._rows = (key,) * rows, rows
        self._run = self._identity()
        self._remembers = bool(backend.spec.fingerprint)
        self.evaluations = 0
        """Network evaluations so far, those that only led to a branching point included."""

    def _identity(self) -> str:
        known = [
            self._backend.spec.fingerprint,
            str(self._backend.device),
            self._latents.space,
            stored_hashes(self._latents),
            self._condition.model_dump(mode="json"),
            self._options,
            self._keys,
        ]
        return json.dumps(known, sort_keys=True)

    def check(self, paths: Sequence[str]) -> None:
        """Raise ``LatentLabError`` for a path that cannot be, before anything is computed."""
        for path in paths:
            self._begin(path, None).close()

    def steps(self, path: str) -> Generator[DiffusionStep | None, None, None]:
        """Yield the steps of a run's own, those after its branching point.

        A turn is one evaluation; ``None`` is one that only leads to the branching point, because
        its state was gone.

        """
        at, start = 0, None
        if path:
            at = parse_path(path)[-1].at
            start = yield from self._state(path.rpartition("/")[0], at)
        yield from self._go(path, start)

    def _state(self, path: str, at: int) -> Generator[None, None, Any]:
        """Return the state of a run after a step; ``None`` at its start."""
        if at == 0:
            return None
        shared = parse_path(path)[-1].at if path else 0
        found = self._cache.nearest(self._run, path, shared + 1, at)
        if found is None and path:
            start = yield from self._state(path.rpartition("/")[0], shared)
            found = (shared, start)
        step, start = found or (0, None)
        if step == at:
            return start
        for done in self._go(path, start):
            yield None
            if done.index == at:
                return done.state
        raise RuntimeError("the run ended before the branching point")

    def _begin(self, path: str, start: Any) -> Any:
        latents = {
            name: torch.from_numpy(np.repeat(array, self._rows, axis=0)).to(self._backend.device)
            for name, array in self._latents.items()
        }
        return self._backend.steps(
            latents,
            space=self._latents.space,
            condition=self._condition,
            options={**self._options, "branch": path, ROW_KEYS: self._keys},
            start=start,
        )

    def _go(self, path: str, start: Any) -> Generator[DiffusionStep, None, None]:
        running = self._begin(path, start)
        try:
            while True:
                # A generator must not yield inside the mode: it would leak into the asker's code.
                with torch.inference_mode():
                    step = next(running, None)
                if step is None:
                    return
                self.evaluations += 1
                if self._remembers:
                    self._cache.put((self._run, path, step.index), step.state)
                yield step
        finally:
            running.close()


def run_options(sampling: Sampling) -> dict[str, Any]:
    """Return the options of the run that a picture is a frame or a branch of."""
    plain = sampling.model_copy(update={"branch": "", "stop_at": None, "show": "x0"})
    return plain.to_options()
