"""The figures on a diffusion model's card: how near its samples are, and whether it obeys.

Everything here is a generator that yields ``(done, total, message)`` between two turns of work.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlab.backends.base import Parts
from latentlab.backends.images import to_levels
from latentlab.backends.probe import Probe
from latentlab.backends.stepping import STEPS
from latentlab.core.denoising import ROW_KEYS, SAMPLERS
from latentlab.core.latents import Condition
from latentlab.core.spec import ModelSpec
from latentlab.data.base import ImageDataset
from latentlab.data.portraits.attributes import (
    ATTRIBUTES,
    EDIT_ATTRIBUTES,
    sample_attributes,
    visible,
)
from latentlab.data.portraits.dataset import Portraits
from latentlab.data.portraits.render import render_rows
from latentlab.evaluation.measure import Progress, prior_seeds
from latentlab.evaluation.portraits import FLOOR_SEED
from latentlab.latent.metrics import frechet_distance

STEP_COUNTS = (10, 25, 50)
GUIDANCE = (0.0, 1.0, 1.5, 2.0, 3.0, 5.0)
BATCH = 64
SAMPLES_SEED = 41
"""Set of prior samples that the distances are measured on."""
OBEY_SEED = 42
CONDITIONS = 16
ASKED = 0.7
"""Size of the value asked of an attribute from -1 to 1: its middle tells no side."""
FEWEST = 130
"""Images that a covariance of 128 features needs at least."""

Figures = Generator[Progress, None, dict[str, float]]


class Drawn:
    """A diffusion model as it is measured: fixed options, row keys by seed, and fast.

    On a CPU with matrix units for bfloat16, evaluations run in it: a sample then differs from one
    of float32 by less than a figure says (docs/benchmarks.md).

    Args:
        backend: of the model.
        options: of ``decode``.
    """

    def __init__(self, backend: Any, options: Mapping[str, Any]) -> None:
        self._backend, self.options = backend, dict(options)
        # Nobody else has a turn while a model is measured: whole runs of large batches are faster.
        can = tuple(c for c in backend.spec.capabilities if c != STEPS)
        self.spec: ModelSpec = backend.spec.model_copy(update={"capabilities": can})

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        found: torch.device = self._backend.device
        return found

    def sample_prior(self, space: str, seeds: Sequence[int], temperature: float = 1.0) -> Parts:
        """Draw x_T; see the backend."""
        found: Parts = self._backend.sample_prior(space, seeds, temperature)
        return found

    def decode(
        self,
        latents: Parts,
        *,
        space: str | None = None,
        condition: Condition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """Return the images of latents by the fixed options and those given."""
        with fast(self.device):
            images: Tensor = self._backend.decode(
                latents,
                space=space,
                condition=condition,
                options={**self.options, **(options or {})},
            )
        return images

    def levels(self, seeds: Sequence[int], condition: Condition | None = None) -> NDArray[np.uint8]:
        """Return the images of seeds, uint8 ``(N, H, W, C)``."""
        parts = self.sample_prior(self.spec.space().name, seeds)
        return to_levels(self.decode(parts, condition=condition, options={ROW_KEYS: list(seeds)}))


def fast(device: torch.device) -> AbstractContextManager[Any]:
    """Return the number format of measurements on a device."""
    matrix_units = getattr(torch.cpu, "_is_amx_tile_supported", None)
    if device.type == "cpu" and matrix_units is not None and matrix_units():
        return torch.autocast("cpu", torch.bfloat16)
    return nullcontext()


def measure_diffusion(backend: Any, probe: Probe, held_out: ImageDataset, images: int) -> Figures:
    """Measure a model of portraits.

    Returns:
        ``frechet_<sampler>_<steps>``: squared Frechet distance between ``frechet_images``
        unconditional samples and the held-out images, in the ``frechet_features`` features of the
        probe (its layer before the heads); ``frechet_probe_floor``: of as many other renders
        instead of samples; ``frechet_probe``: that of the default sampler. Then what
        ``measure_obedience`` returns.
    """
    count = max(images, FEWEST)
    quality = yield from _distances(backend, probe, held_out, count)
    return quality | (yield from measure_obedience(backend, probe, images))


def _distances(backend: Any, probe: Probe, held_out: ImageDataset, count: int) -> Figures:
    cells = [(row.id, steps) for row in SAMPLERS for steps in STEP_COUNTS]
    total = count * (len(cells) + 1) + len(held_out)
    done = 0
    real = []
    for start in range(0, len(held_out), BATCH):
        real.append(probe.features(held_out.read(range(start, min(start + BATCH, len(held_out))))))
        done += len(real[-1])
        yield done, total, "held-out images"
    features = np.concatenate(real)
    others = Portraits(count, FLOOR_SEED, held_out.image_shape[1])
    rows = [probe.features(others.read(part)) for part in _parts(range(count))]
    floor = frechet_distance(np.concatenate(rows), features)
    found: dict[str, float] = {}
    for name, steps in cells:
        drawn = Drawn(backend, {"sampler": name, "steps": steps})
        made = []
        for seeds in _parts(prior_seeds(SAMPLES_SEED, count)):
            made.append(probe.features(drawn.levels(seeds)))
            done += len(seeds)
            yield done, total, f"sampling with {name}, {steps} steps"
        found[f"frechet_{name}_{steps}"] = frechet_distance(np.concatenate(made), features)
    default = found[f"frechet_{SAMPLERS[0].id}_25"]
    shared = {"frechet_probe": default, "frechet_probe_floor": floor}
    about = {"frechet_images": float(count), "frechet_features": float(features.shape[1])}
    return {**shared, **about, **found}


def _parts(rows: Sequence[int]) -> list[Sequence[int]]:
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]


def measure_obedience(backend: Any, probe: Probe, images: int) -> Figures:
    """Measure how often the eight attributes are as asked, against guidance.

    The conditions are a two-level design: every attribute is asked on in half of them (or to the
    one and the other side by ``ASKED``), independently of each other one, the rest of the condition
    is drawn as data is. What the probe reads counts as obeyed on the asked side of the middle; a
    coin would have 0.5. What a hat hides is not counted.

    Returns:
        ``obeyed_<attribute>_at_<guidance>`` and their mean ``obeyed_at_<guidance>``, shares from 0
        to 1; ``obeyed_drawn``: the mean for portraits that are drawn as asked, which is the most
        that the probe lets one see at this size; ``obeyed_images``: at each guidance. Nothing for a
        model that is not told these attributes.
    """
    names = [n for n in EDIT_ATTRIBUTES if n in backend.spec.attribute_names]
    if not names:
        return {}
    each = max(1, images // CONDITIONS)
    table = asked_table(names)
    seen = visible(table)
    drawn = _shares(probe, table, names, seen, _drawn_as_asked(table, each, backend.spec))
    found = {"obeyed_images": float(each * CONDITIONS), "obeyed_drawn": _mean(drawn)}
    for turn, guidance in enumerate(GUIDANCE):
        model = Drawn(backend, {"guidance": guidance})
        pictures = []
        for row in range(CONDITIONS):
            first = row * each
            seeds = prior_seeds(OBEY_SEED, each * CONDITIONS)[first : first + each]
            pictures.append(model.levels(seeds, condition_of(table, backend.spec, row)))
            done = turn * CONDITIONS + row + 1
            yield done, CONDITIONS * len(GUIDANCE), f"reading conditions at guidance {guidance:g}"
        shares = _shares(probe, table, names, seen, pictures)
        found[f"obeyed_at_{guidance:g}"] = _mean(shares)
        found |= {f"obeyed_{name}_at_{guidance:g}": share for name, share in shares.items()}
    return found


def asked_table(names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Return all attributes of ``CONDITIONS`` portraits, ``(CONDITIONS,)`` by name.

    ``names`` (at most 15) are the columns of a Hadamard matrix: balanced, and every two of them
    independent. The others are drawn as data is.
    """
    table = dict(sample_attributes(CONDITIONS, OBEY_SEED))
    rows = np.arange(CONDITIONS)
    kinds = {spec.name: spec.kind for spec in ATTRIBUTES}
    # Main effects and, for the fifth to the eighth, products of three: no two have a product that
    # is a third one of the eight.
    masks = (1, 2, 4, 8, 7, 11, 13, 14, 3, 5, 6, 9, 10, 12, 15)
    for name, mask in zip(names, masks):
        on = np.array([bin(int(row) & mask).count("1") % 2 for row in rows], np.float32)
        table[name] = on if kinds[name] == "binary" else (2 * on - 1) * np.float32(ASKED)
    return table


def condition_of(table: Mapping[str, NDArray[np.float32]], spec: ModelSpec, row: int) -> Condition:
    """Return a row of a table as a condition of a model."""
    return Condition(
        attributes={name: float(table[name][row]) for name in spec.attribute_names if name in table}
    )


def _drawn_as_asked(
    table: Mapping[str, NDArray[np.float32]], each: int, spec: ModelSpec
) -> list[NDArray[np.uint8]]:
    """Return renders of every row, uint8 ``(each, H, W, C)``."""
    pictures = []
    for row in range(CONDITIONS):
        rows = {name: np.repeat(values[row : row + 1], each) for name, values in table.items()}
        indices = np.arange(row * each, (row + 1) * each)
        size = spec.image_shape[1]
        pictures.append(render_rows(rows, indices, size=size, seed=OBEY_SEED).numpy())
    return pictures


def _shares(
    probe: Probe,
    table: Mapping[str, NDArray[np.float32]],
    names: Sequence[str],
    seen: Mapping[str, NDArray[np.bool_]],
    pictures: Sequence[NDArray[np.uint8]],
) -> dict[str, float]:
    """Return the share of pictures on the asked side, by attribute."""
    read = probe.read(np.concatenate(pictures))
    each = len(pictures[0])
    found = {}
    for name in names:
        middle = 0.5 if probe.labels[name].kind == "binary" else 0.0
        asked = np.repeat(table[name] > middle, each)
        counted = np.repeat(seen[name], each)
        found[name] = float(((read[name] > middle) == asked)[counted].mean())
    return found


def _mean(shares: Mapping[str, float]) -> float:
    return float(np.mean(list(shares.values())))
