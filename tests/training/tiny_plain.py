"""A family without batch statistics, and what a run left, for tests of the loop."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from latentlab.core.run_events import read_events
from latentlab.core.runs import RunFolder
from tests.training import tiny


def silent(event) -> None:
    return None


def losses(run_dir: Path) -> dict[int, float]:
    return {e.step: e.data["loss"] for e in read_events(run_dir) if e.kind == "step"}


def told(run_dir: Path, kind: str = "warning") -> list[str]:
    return [e.data["message"] for e in read_events(run_dir) if e.kind == kind]


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    (path,) = RunFolder(run_dir).state.glob("step_*.safetensors")
    return {n: t for n, t in load_file(path).items() if n.startswith("network.")}


class PlainNetwork(nn.Module):
    """No batch statistics and no draws of its own: rows do not know of one another."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(48, 12), nn.Tanh(), nn.Linear(12, 48))

    def forward(self, images):
        return self.body(images.flatten(1)).view_as(images)


class PlainTrainer(tiny.TinyTrainer):
    rows: list[int] = []
    full_at = 0

    def __init__(self, config, dataset) -> None:
        self.network = PlainNetwork()

    def losses(self, network, batch):
        self.rows.append(len(batch.images))
        if self.full_at and len(batch.images) >= self.full_at:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().losses(network, batch)
