"""Batches of a step: from bytes that were read to tensors on the device, whole or in parts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlab.core.recipe import TrainTable
from latentlab.training.data import Part, RawBatch
from latentlab.training.family import Batch
from latentlab.training.sampler import Draws, Normal, Sampler, Share, derived_seed


class Columns(Mapping[str, Tensor]):
    """Columns of some rows, brought to the device when they are asked for.

    Args:
        names: of the columns.
        read: returns one of them.
        device: where it goes.
    """

    def __init__(
        self, names: Mapping[str, object], read: Callable[[str], NDArray], device: torch.device
    ) -> None:
        self._names, self._read, self._device = names, read, device
        self._known: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._known:
            if name not in self._names:
                raise KeyError(name)
            self._known[name] = torch.from_numpy(self._read(name)).to(self._device)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def row_bounds(rows: int, parts: int) -> list[slice]:
    """Return ``parts`` nearly equal slices of so many rows; none is empty."""
    parts = min(parts, rows)
    edges = [rows * i // parts for i in range(parts + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


class Batches:
    """Makes the batches of a run.

    Args:
        training: the images.
        table: the recipe's ``[train]``.
        flip: mirror images with probability one half.
        total_steps: of the run.
        share: this process's part.
        device: where batches go.
        per_step: batches of images that a step reads.

    Raises:
        LatentLabError: the data and the batch do not go together; see ``Sampler``.
    """

    def __init__(
        self,
        training: Part,
        table: TrainTable,
        flip: bool,
        total_steps: int,
        share: Share,
        device: torch.device,
        per_step: int = 1,
    ) -> None:
        self.sampler = Sampler(len(training), table.batch_size, table.seed, share)
        self.per_step = per_step
        self._training, self._table, self._flip = training, table, flip
        self._total_steps, self._share, self._device = total_steps, share, device
        self._layout = torch.channels_last if table.channels_last else torch.contiguous_format

    @property
    def rows(self) -> int:
        """Rows of a batch on this process."""
        return self._table.batch_size // self._share.processes

    def epoch(self, step: int) -> float:
        """Return the passes over the data before a step."""
        return self.sampler.epoch(step * self.per_step)

    def draws(self, step: int, repeat: int, keep: bool) -> Draws:
        """Return the normal draws of a batch; ``keep`` where they are needed in parts."""
        table = self._table
        return Draws(table.seed, step, table.batch_size, self._device, repeat, keep)

    def part(self, raw: RawBatch, step: int, draws: Draws, rows: slice) -> Batch:
        """Return some rows of a batch that this process read."""
        offset = self._share.slice(self._table.batch_size).start
        normal = draws.rows(slice(offset + rows.start, offset + rows.stop))
        return self._batch(self._training, raw, rows, step, normal)

    def first(self) -> Batch:
        """Return the whole global batch of step 0, whatever this process's share."""
        table = self._table
        sampler = Sampler(len(self._training), table.batch_size, table.seed)
        indices = sampler.indices(0)
        flips = sampler.flips(0) if self._flip else None
        raw = RawBatch(0, indices, self._training.read(indices), flips)
        whole = slice(0, table.batch_size)
        return self._batch(self._training, raw, whole, 0, self.draws(0, 0, False).rows(whole))

    def held_out(self, part: Part, count: int, rows: int) -> Iterator[Batch]:
        """Yield the first ``count`` held-out images in batches of at most so many rows.

        Their draws depend on the seed alone, and they stand at the end of the run, so that
        weights which rise during training do not make later steps look worse.
        """
        seed = derived_seed("held_out", self._table.seed)
        draws = Draws(seed, 0, count, self._device, keep=True)
        for start in range(0, count, rows):
            stop = min(start + rows, count)
            indices = np.arange(start, stop, dtype=np.int64)
            raw = RawBatch(0, indices, part.read(indices), None)
            normal = draws.rows(slice(start, stop))
            yield self._batch(part, raw, slice(0, stop - start), self._total_steps, normal)

    def _batch(self, part: Part, raw: RawBatch, rows: slice, step: int, normal: Normal) -> Batch:
        source = raw.pinned if raw.pinned is not None else torch.from_numpy(raw.images)
        # (B, H, W, C) seen as (B, C, H, W) is channels last as it stands.
        images = source[rows].to(self._device, non_blocking=True).permute(0, 3, 1, 2)
        images = images.float().mul_(2.0 / 255.0).sub_(1.0)
        if raw.flips is not None:
            mirror = torch.from_numpy(raw.flips[rows]).to(self._device)[:, None, None, None]
            images = torch.where(mirror, images.flip(3), images)
        indices, columns = raw.indices[rows], part.labels

        def seen(name: str) -> NDArray:
            visible = columns[name].visible
            return np.ones(len(indices), np.bool_) if visible is None else visible[indices]

        return Batch(
            images=images.contiguous(memory_format=self._layout),
            labels=Columns(columns, lambda name: columns[name].values[indices], self._device),
            visible=Columns(columns, seen, self._device),
            step=step,
            total_steps=self._total_steps,
            normal=normal,
            epoch=self.epoch(step),
        )
