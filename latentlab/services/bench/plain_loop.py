"""A plain PyTorch training loop of a VAE: what the training engine is measured against.

It does the mathematics of a run and nothing else: no events, no files, no checks. Written before
the engine that it judges, as a person would write it for one model on one device.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from latentlab.backends.nn.likelihoods import density, gaussian_kl
from latentlab.backends.nn.vae import VaeConfig, VaeNetwork
from latentlab.core.recipe import TrainTable


class PlainLoop:
    """Trains a VAE on images in memory.

    Args:
        config: of the network.
        table: optimiser, precision, memory format and moving average, as in the recipe.
        images: uint8 ``(count, H, W, C)``.
        beta: weight of the KL term.
        device: where it trains.
    """

    def __init__(
        self,
        config: VaeConfig,
        table: TrainTable,
        images: NDArray[np.uint8],
        beta: float,
        device: torch.device,
    ) -> None:
        torch.manual_seed(table.seed)
        self._config, self._table, self._beta, self._device = config, table, beta, device
        self._images = torch.from_numpy(images)
        layout = torch.channels_last if table.channels_last else torch.contiguous_format
        self._layout = layout
        network = VaeNetwork(config, fitted=False).to(device)
        self.network = network.to(memory_format=layout)  # type: ignore[call-overload]
        self.average = AveragedModel(
            self.network, multi_avg_fn=get_ema_multi_avg_fn(table.ema_decay), use_buffers=True
        )
        self._optimizer = torch.optim.Adam(
            self.network.parameters(), lr=table.learning_rate, betas=table.betas
        )
        self._order = torch.randperm(len(images))
        self._at = 0

    def _next_images(self) -> torch.Tensor:
        rows = self._table.batch_size
        if self._at + rows > len(self._order):
            self._order, self._at = torch.randperm(len(self._images)), 0
        chosen = self._order[self._at : self._at + rows]
        self._at += rows
        images = self._images[chosen].to(self._device).permute(0, 3, 1, 2)
        return images.float().mul_(2 / 255).sub_(1).contiguous(memory_format=self._layout)

    def _step(self) -> torch.Tensor:
        images = self._next_images()
        noise = torch.randn(len(images), self._config.latent_dim, device=self._device)
        half = self._table.precision == "bf16"
        with torch.autocast(self._device.type, torch.bfloat16, enabled=half):
            raw, mean, logvar, scale = self.network(images, None, noise)
        raw, mean, logvar = raw.float(), mean.float(), logvar.float()
        reconstruction = -density(images, raw, scale, self._config.likelihood).mean()
        loss = reconstruction + self._beta * gaussian_kl(mean, logvar).mean(0).sum()
        loss = loss / images[0].numel()
        loss.backward()
        if self._table.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self._table.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.average.update_parameters(self.network)
        return loss.detach()

    def run(self, steps: int) -> float:
        """Train for some steps; return the seconds that they took, the device's work included."""
        self.network.train()
        start = time.perf_counter()
        for _ in range(steps):
            loss = self._step()
        # A loss that is read is a loss that was computed.
        float(loss)
        return time.perf_counter() - start
