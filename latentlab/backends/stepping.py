"""Decoding one network evaluation at a time, so that others can take turns between two."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentlab.backends.base import DiffusionStep, Parts, Step
from latentlab.backends.diffusion_run import shown
from latentlab.core.latents import Condition

STEPS = "steps"
"""The capability of models that make their images in many evaluations."""


def in_steps(backend: Any) -> bool:
    """Whether a model makes its images in many network evaluations."""
    return STEPS in backend.spec.capabilities


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a network that decodes.

    Attributes:
        index: evaluations done with this one, counted from 1.
        count: evaluations in all.
        preview: images ``(B, C, H, W)`` in [-1, 1]: what the result is expected to be.
        images: the result, ``(B, C, H, W)``, with the last evaluation.
    """

    index: int
    count: int
    preview: Tensor
    images: Tensor | None


def evaluations(
    backend: Any,
    latents: Parts,
    *,
    space: str | None = None,
    condition: Condition | None = None,
    options: Mapping[str, Any] | None = None,
) -> Iterator[Evaluation]:
    """Yield every evaluation of ``decode``; a model without steps has one.

    On a GPU at most one evaluation waits behind the one that runs: whoever comes between two has
    its turn soon.

    Args:
        backend: the model.
        latents: of ``space``, on its device.
        space: name of a space, or the first.
        condition: of ``decode``.
        options: of ``decode``.
    """
    if not in_steps(backend):
        with torch.inference_mode():
            images = backend.decode(latents, space=space, condition=condition, options=options)
        yield Evaluation(1, 1, images, images)
        return
    running = backend.steps(latents, space=space, condition=condition, options=options)
    pace = _Pace(backend.device)
    while True:
        # A generator must not yield inside the mode: it would leak into the asker's code.
        with torch.inference_mode():
            step = next(running, None)
        if step is None:
            return
        pace.mark()
        yield Evaluation(step.index, step.count, _preview(step, options or {}), step.result)


def _preview(step: Step, options: Mapping[str, Any]) -> Tensor:
    """Return what the result is expected to look like: of a noisy frame, the noisy picture."""
    show = options.get("show", "x0")
    if isinstance(step, DiffusionStep) and options.get("stop_at") is not None and show != "x0":
        with torch.inference_mode():
            return shown(step, show)
    return step.preview


class _Pace:
    """Keeps the queue of a GPU short."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._before: torch.cuda.Event | None = None

    def mark(self) -> None:
        """An evaluation was launched: wait for the one before it."""
        if self._on_gpu:
            event = torch.cuda.Event()
            event.record()
            if self._before is not None:
                self._before.synchronize()
            self._before = event


def decode_turns(
    backend: Any,
    latents: Parts,
    *,
    space: str | None = None,
    condition: Condition | None = None,
    options: Mapping[str, Any] | None = None,
) -> Generator[tuple[int, int], None, Tensor]:
    """Decode as ``decode`` does; yield (done, count) after each evaluation but the last.

    ``images = yield from decode_turns(...)`` in a job lets others take turns in between.

    Returns:
        Images ``(B, C, H, W)`` in [-1, 1].
    """
    images: Tensor | None = None
    for turn in evaluations(backend, latents, space=space, condition=condition, options=options):
        images = turn.images
        if images is None:
            yield turn.index, turn.count
    if images is None:
        raise RuntimeError("the model ended before its last step")
    return images
