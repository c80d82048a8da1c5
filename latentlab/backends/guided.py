"""Restoration without training: the predicted image is made to agree with what is known.

Of an image x only y = A x is known: some pixels, the grey, or the averages of blocks. Whatever a
model predicts, x0' = A^+ y + (I - A^+ A) x0 agrees with y, and keeps of x0 all that A does not see
(Wang, Yu and Zhang 2022, "Zero-Shot Image Restoration Using Denoising Diffusion Null-Space Model",
arXiv 2212.00490, equation 13). It acts on the prediction alone, so it goes with every sampler.

Here ``known`` is A^+ y, as large as an image, so that x0' = x0 + A^+ A (known - x0).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from latentlab.core.denoising import Task
from latentlab.core.errors import LatentLabError

_WHOLE = 0.5
"""A pixel is known where its mask is above this."""


def project_x0(x0: Tensor, known: Tensor, mask: Tensor, task: Task, factor: int = 4) -> Tensor:
    """Return the image nearest to a prediction that agrees with what is known.

    Args:
        x0: ``(B, C, H, W)``, predicted.
        known: ``(B, C, H, W)``: the known pixels; for ``colourise`` any image of the known grey,
            for ``super_resolve`` any image of the known block averages.
        mask: ``(B, 1, H, W)``: 1 where something is known, 0 elsewhere. A block of
            ``super_resolve`` is known where all its pixels are.
        task: ``inpaint`` (A picks pixels; uncropping too), ``colourise`` (A is the mean over
            channels) or ``super_resolve`` (A is the mean over blocks).
        factor: side of a block in pixels.

    Returns:
        ``(B, C, H, W)``; where nothing is known it is ``x0`` to the bit. It may leave [-1, 1].

    Raises:
        LatentLabError: the image does not divide into blocks, or there is no such task.
    """
    here = mask > _WHOLE
    if task == "inpaint":
        return torch.where(here, known, x0)
    gap = known - x0
    if task == "colourise":
        return torch.where(here, x0 + gap.mean(dim=1, keepdim=True), x0)
    if task != "super_resolve":
        raise LatentLabError(
            f"There is no restoration '{task}': choose inpaint, colourise or super_resolve."
        )
    _check_blocks(x0, factor)
    mean = _replicated(functional.avg_pool2d(gap, factor), factor)
    unseen = _replicated(functional.max_pool2d(1 - here.to(x0.dtype), factor), factor)
    return torch.where(unseen == 0, x0 + mean, x0)


def guide(
    x_t: Tensor,
    x0: Tensor,
    signal: float,
    known: Tensor,
    mask: Tensor,
    task: Task,
    factor: int = 4,
) -> tuple[Tensor, Tensor]:
    """Make a noisy image and its prediction agree with what is known, before a solver's step.

    With the prediction alone changed, a solver would blame the noise for the difference: x_t says
    still what it said. Here x_t moves by as much, so that the predicted noise stays the network's
    (as in the paper's own DDIM sampling). For a Gaussian data set the mean that is reached lies
    three times nearer to the conditional mean, at no further evaluation.

    Args:
        x_t: ``(B, C, H, W)``, before the step.
        x0: ``(B, C, H, W)``, predicted from it.
        signal: factor on the image within ``x_t``: sqrt(alpha-bar) where the variance is
            preserved, 1 where it explodes.
        known: see ``project_x0``.
        mask: see ``project_x0``.
        task: see ``project_x0``.
        factor: see ``project_x0``.

    Returns:
        the new ``x_t`` and ``x0``; where nothing is known they are the old ones to the bit.
    """
    new = project_x0(x0, known, mask, task, factor)
    return x_t + signal * (new - x0), new


def known_rows(mask: Tensor) -> Tensor:
    """Return ``(B, 1, 1, 1)``: whether anything is known of an image."""
    return (mask > _WHOLE).flatten(1).any(dim=1)[:, None, None, None]


def _replicated(blocks: Tensor, factor: int) -> Tensor:
    return blocks.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)


def _check_blocks(x0: Tensor, factor: int) -> None:
    height, width = x0.shape[-2:]
    if factor < 1 or height % factor or width % factor:
        raise LatentLabError(
            f"An image of {width}x{height} pixels does not divide into blocks of {factor}: choose "
            "another factor."
        )
