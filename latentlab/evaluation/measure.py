"""What an edit does to the picture, read off decoded images by the probe.

Everything here is a generator that yields ``(done, total, message)`` between two turns of work, so
that it can run as a job beside previews.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from latentlab.backends.images import to_levels
from latentlab.backends.probe import Probe
from latentlab.backends.stepping import decode_turns, in_steps
from latentlab.core.direction import Direction, apply_edits
from latentlab.core.effects import EditFigures
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Latents
from latentlab.core.noise import MAX_SEED
from latentlab.data.base import ImageDataset
from latentlab.latent.metrics import frechet_distance

Progress = tuple[int, int, str]
Float = NDArray[np.float64]


class Reader(Protocol):
    """Reads numbers from images: the probe, or a classifier of a data set's labels."""

    def standardised(self, images: Any, columns: Sequence[str]) -> Float:
        """Return readings of uint8 ``(B, H, W, C)`` in standard deviations, ``(B, columns)``."""
        ...


CHUNK = 64
STEPPED_CHUNK = 16
"""Of a model of many steps: who waits for a turn waits for one network evaluation of so many."""
SEEDS_A_SET = 1_000_000
"""Prior samples of measurement ``seed`` begin at seed times this."""


def prior_seeds(seed: int, samples: int) -> list[int]:
    """Return the seeds of the prior samples of a measurement; two measurements share none.

    Raises:
        LatentLabError: the seed is negative or too large, or there are too many samples.
    """
    if not 0 <= seed < MAX_SEED // SEEDS_A_SET or not 1 <= samples <= SEEDS_A_SET:
        raise LatentLabError(
            f"A measurement has a seed from 0 to {MAX_SEED // SEEDS_A_SET - 1} and 1 to "
            f"{SEEDS_A_SET} samples, not seed {seed} and {samples} samples."
        )
    return list(range(seed * SEEDS_A_SET, seed * SEEDS_A_SET + samples))


def prior_latents(backend: Any, space: str, seeds: Sequence[int]) -> Latents:
    """Return prior samples of a space, one a seed, on the CPU."""
    parts = backend.sample_prior(space, list(seeds))
    return Latents(space, {name: part.cpu().numpy() for name, part in parts.items()})


def decoded_levels(backend: Any, latents: Latents) -> NDArray[np.uint8]:
    """Return the images of latents, uint8 ``(B, H, W, C)``: what a person sees."""
    parts = {n: torch.from_numpy(np.array(a)).to(backend.device) for n, a in latents.items()}
    return to_levels(backend.decode(parts, space=latents.space))


def levels_in_turns(
    backend: Any, latents: Latents, report: Progress
) -> Generator[Progress, None, NDArray[np.uint8]]:
    """Return what ``decoded_levels`` does; yield after each evaluation of a model of many steps.

    Args:
        backend: of the model.
        latents: B rows.
        report: (done, total, message) so far, in images; B more are done at the end.
    """
    if not in_steps(backend):
        return decoded_levels(backend, latents)
    done, total, message = report
    parts = {n: torch.from_numpy(np.array(a)).to(backend.device) for n, a in latents.items()}
    turns = decode_turns(backend, parts, space=latents.space)
    while True:
        try:
            index, count = next(turns)
        except StopIteration as stop:
            return to_levels(stop.value)
        yield done + latents.batch * index // count, total, message


def chunk_of(backend: Any, chunk: int = CHUNK) -> int:
    """Return how many images a model decodes in one turn, at most ``chunk``."""
    return min(chunk, STEPPED_CHUNK) if in_steps(backend) else chunk


def paired_changes(
    backend: Any,
    probe: Probe,
    directions: Sequence[Direction],
    columns: Sequence[str],
    *,
    seeds: Sequence[int],
    amount: float,
) -> Generator[Progress, None, Float]:
    """Move prior samples along each direction; see ``changes_of``.

    Args:
        backend: of the model.
        probe: reads the images.
        directions: M of one space.
        columns: K names of what the probe reads.
        seeds: of the N prior samples.
        amount: slider units.

    Returns:
        ``(M, N, K)``, in standard deviations of the data.
    """
    space = directions[0].space

    def drawn(rows: slice) -> Latents:
        return prior_latents(backend, space, seeds[rows])

    return (yield from changes_of(backend, probe, directions, columns, drawn, len(seeds), amount))


def changes_of(
    backend: Any,
    reader: Reader,
    directions: Sequence[Direction],
    columns: Sequence[str],
    samples: Callable[[slice], Latents],
    count: int,
    amount: float,
    chunk: int = CHUNK,
    changes: Float | None = None,
) -> Generator[Progress, None, Float]:
    """Move samples along each direction and read what changes, sample by sample.

    Args:
        backend: of the model.
        reader: reads the images.
        directions: M of one space.
        columns: K names of what the reader reads.
        samples: gives the latents of rows ``start`` to ``stop``.
        count: N.
        amount: slider units.
        chunk: samples decoded in one turn.
        changes: filled and returned, so that a caller sees what is there so far.

    Returns:
        ``(M, N, K)``, in standard deviations of the data.
    """
    if changes is None:
        changes = np.empty((len(directions), count, len(columns)))
    total = count * (len(directions) + 1)
    done, chunk = 0, chunk_of(backend, chunk)
    for start in range(0, count, chunk):
        rows = slice(start, min(start + chunk, count))
        latents = samples(rows)
        at = (done, total, "reading samples")
        images = yield from levels_in_turns(backend, latents, at)
        before = reader.standardised(images, columns)
        done += latents.batch
        yield done, total, "reading samples"
        for i, direction in enumerate(directions):
            moved = apply_edits(latents, {direction.name: amount}, {direction.name: direction})
            message = f"editing {direction.name}"
            images = yield from levels_in_turns(backend, moved, (done, total, message))
            changes[i, rows] = reader.standardised(images, columns) - before
            done += latents.batch
            yield done, total, message
    return changes


def edit_figures(
    name: str, changes: Float, columns: Sequence[str], hidden: set[str]
) -> EditFigures:
    """Return the figures of an edit.

    Args:
        name: the attribute that was edited; one of ``columns``.
        changes: ``(N, K)`` paired changes, in standard deviations.
        columns: K attribute names.
        hidden: attributes that the edited one hides; they count as no side effect.
    """
    target = float(changes[:, list(columns).index(name)].mean())
    size = np.abs(changes).mean(axis=0)
    sides = {c: float(size[k]) for k, c in enumerate(columns) if c != name and c not in hidden}
    if not sides:
        raise LatentLabError(f"There is no attribute beside '{name}' to read side effects from.")
    worst = max(sides, key=lambda column: sides[column])
    selectivity = target / sides[worst] if sides[worst] > 0 else float("inf")
    return EditFigures(target, sides[worst], worst, selectivity)


@dataclass(frozen=True)
class EditReport:
    """The figures of all attributes, and how they were measured."""

    attributes: Mapping[str, EditFigures]
    samples: int
    amount: float
    seed: int
    probe: str

    def as_json(self) -> dict[str, Any]:
        """Return plain values, as ``latentlab measure edit --json`` prints them."""
        rows = {name: vars(figures).copy() for name, figures in self.attributes.items()}
        return {
            "attributes": rows,
            "samples": self.samples,
            "amount": self.amount,
            "seed": self.seed,
            "probe": self.probe,
        }


def measure_edit(
    backend: Any,
    directions: Mapping[str, Direction],
    probe: Probe,
    *,
    samples: int = 256,
    amount: float = 2.0,
    seed: int = 0,
) -> Iterator[Progress | EditReport]:
    """Measure the edits of the eight attributes of the portraits; yield progress, then the report.

    Each of ``samples`` prior samples is decoded as it is and moved by ``amount`` slider units
    along one direction. Target is the mean paired change of the attribute, side the largest mean
    absolute paired change of the other seven, leaving out what the renderer says the attribute
    hides; both in standard deviations of the probe's readings of held-out data (probabilities for
    binary attributes).

    Args:
        backend: of the model.
        directions: by name; the edit attributes among them are measured.
        probe: the ruler.
        samples: at least 2.
        amount: slider units.
        seed: of the set of prior samples.

    Raises:
        LatentLabError: the model has no direction for any of the attributes, or the probe does not
            read them.
    """
    from latentlab.data.portraits.attributes import EDIT_ATTRIBUTES, hidden_by

    known = [name for name in EDIT_ATTRIBUTES if name in directions]
    if not known:
        raise LatentLabError(
            "This model has no directions for the attributes of portraits: fit them first."
        )
    columns = list(EDIT_ATTRIBUTES)
    changes = yield from paired_changes(
        backend,
        probe,
        [directions[name] for name in known],
        columns,
        seeds=prior_seeds(seed, samples),
        amount=amount,
    )
    figures = {
        name: edit_figures(name, changes[i], columns, set(hidden_by(name)))
        for i, name in enumerate(known)
    }
    yield EditReport(figures, samples, amount, seed, probe.fingerprint)


def frechet(
    backend: Any,
    probe: Probe,
    dataset: ImageDataset,
    *,
    samples: int = 2000,
    seed: int = 0,
) -> Iterator[Progress | float]:
    """Compare prior samples with data by the Frechet distance in the probe's features.

    Args:
        backend: of the model.
        probe: gives the features. It is not Inception: the figure compares with others of the same
            probe only.
        dataset: images that the model was not trained on; the first ``samples`` are used.
        samples: prior samples.
        seed: of the set of prior samples.

    Yields:
        Progress, then the squared distance.
    """
    count = min(samples, len(dataset))
    space = backend.spec.space().name
    seeds = prior_seeds(seed, samples)
    made, real = [], []
    chunk = chunk_of(backend)
    for start in range(0, samples, chunk):
        latents = prior_latents(backend, space, seeds[start : start + chunk])
        at = (start, samples + count, "prior samples")
        made.append(probe.features((yield from levels_in_turns(backend, latents, at))))
        yield start + latents.batch, samples + count, "prior samples"
    for start in range(0, count, CHUNK):
        indices = np.arange(start, min(start + CHUNK, count))
        real.append(probe.features(dataset.read(indices)))
        yield samples + int(indices[-1]) + 1, samples + count, "held-out images"
    yield frechet_distance(np.concatenate(made), np.concatenate(real))
