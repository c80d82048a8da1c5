"""Jobs that measure what directions do, and make them do one thing.

Each is a generator; see ``services.directions``. Importing this module imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentlab.core.direction import Direction
from latentlab.core.effects import EffectReport, Orthogonalised
from latentlab.core.errors import LatentLabError
from latentlab.core.paths import cache_folder
from latentlab.core.points import PointSet
from latentlab.services.directions_data import Context, Step, dataset_options, opened, spread_data
from latentlab.services.maps_cache import make_room, mark_used

if TYPE_CHECKING:
    from latentlab.evaluation.readers import ImageReader

PROBE = "probe"
READER_COUNT = 5000
"""Labelled images that a reader is fitted on."""
READER_BYTES = 256 * 2**20
"""Of all readers in the cache; the least recently used go first."""
MAX_SAMPLES = 10_000
Update = Step | tuple[int, int, str, EffectReport]


def fit_reader_in_lane(
    report: Callable[[int, int, str], None],
    source: str,
    split: str | None,
    shape: tuple[int, int, int],
    attributes: str | None,
    path: Path,
) -> None:
    """Fit the reader of a data set's labels and keep it, as work of the CPU process lane."""
    from latentlab.data.open import open_dataset
    from latentlab.evaluation.readers import fit_label_reader, save_reader

    options = dataset_options(shape, READER_COUNT, attributes)
    save_reader(path, fit_label_reader(report, open_dataset(source, split=split, **options)))


def reader_of(
    context: Context,
    backend: Any,
    reader: str,
    split: str | None = None,
    attributes: str | None = None,
) -> Generator[Step, None, ImageReader]:
    """Return what reads a model's images: the probe, or classifiers of a data set's labels.

    The classifiers are fitted in the lane the first time, and kept.

    Args:
        context: of the job.
        backend: of the model.
        reader: ``probe``, or a data set as ``open_dataset`` takes it.
        split: part of the data.
        attributes: a table of labels for its images.

    Raises:
        LatentLabError: the probe cannot read these images, or the data has no readable labels.
    """
    from latentlab.backends.probe import load_probe
    from latentlab.evaluation.readers import ProbeReader, load_reader, reader_path

    shape = backend.spec.image_shape
    if reader == PROBE:
        probe = load_probe()
        probe.to(backend.device)
        return ProbeReader(probe, shape)
    dataset = yield from opened(context.lane, shape, reader, split, READER_COUNT, attributes)
    path = reader_path(cache_folder() / "readers", dataset)
    found = load_reader(path)
    if found is None:
        yield from context.lane.run(
            "latentlab.services.directions_effects:fit_reader_in_lane",
            source=reader,
            split=split,
            shape=tuple(shape),
            attributes=attributes,
            path=path,
        )
        found = load_reader(path)
        make_room(path, READER_BYTES)
    if found is None:
        raise LatentLabError(f"The reader of '{reader}' cannot be kept: free some disk space.")
    mark_used(path)
    return found


def measure_effects(
    context: Context,
    *,
    model: str,
    directions: tuple[Direction, ...],
    reader: str = PROBE,
    split: str | None = None,
    samples: int = 128,
    amount: float = 2.0,
    seed: int = 0,
    attributes: str | None = None,
    path: str | None = None,
) -> Generator[Update, None, EffectReport]:
    """Measure what each direction does to each attribute; partial reports come on the way.

    Args:
        context: of the job.
        model: id or path.
        directions: of one space, of different names.
        reader: ``probe``, or a data set whose labels are read.
        split: part of that data.
        samples: 2 to ``MAX_SAMPLES``.
        amount: slider units.
        seed: of the set of samples.
        attributes: a table of labels for the reader's images.
        path: a points file to move instead of prior samples.

    Raises:
        LatentLabError: directions, samples or a reader that cannot be used.
    """
    from latentlab.evaluation import effects

    backend = context.library.backend(model)
    effects.check_measurement(backend, directions, amount)
    _check_samples(samples)
    reads = yield from reader_of(context, backend, reader, split, attributes)
    points = None if path is None else _points(backend, path)
    return (
        yield from effects.measure_effects(
            backend, directions, reads, samples=samples, amount=amount, seed=seed, points=points
        )
    )


def _check_samples(samples: int) -> None:
    if not 2 <= samples <= MAX_SAMPLES:
        raise LatentLabError(f"Effects are measured on 2 to {MAX_SAMPLES} samples, not {samples}.")


def _points(backend: Any, path: str) -> PointSet:
    from latentlab.core.pointfile import read_points

    points = read_points(Path(path))
    if points.fingerprint != backend.spec.fingerprint:
        raise LatentLabError("These points were encoded by other weights: make the map again.")
    return points


def orthogonalise_directions(
    context: Context,
    *,
    model: str,
    directions: tuple[Direction, ...],
    names: tuple[str, ...] = (),
    locked: tuple[str, ...] = (),
    reader: str = PROBE,
    split: str | None = None,
    samples: int = 128,
    amount: float = 2.0,
    seed: int = 0,
    attributes: str | None = None,
    path: str | None = None,
) -> Generator[Step, None, Orthogonalised]:
    """Make directions move their own attribute and little else; returns ``Orthogonalised``.

    Args:
        context: of the job.
        model: id or path.
        directions: all that may be combined, of one space.
        names: of those to replace; all whose attribute is read, when none are given.
        locked: names of those that stay, and that the others are made orthogonal to.
        reader: as in ``measure_effects``.
        split: likewise.
        samples: of each set of samples.
        amount: slider units.
        seed: of the set that before and after are measured on; none is solved on it.
        attributes: as in ``measure_effects``.
        path: a points file whose deviation is the slider unit.

    Raises:
        LatentLabError: as ``measure_effects``, unknown or locked names, an attribute not read.
    """
    from latentlab.evaluation.effects import check_measurement
    from latentlab.evaluation.orthogonal import orthogonalised

    backend = context.library.backend(model)
    check_measurement(backend, directions, amount)
    _check_samples(samples)
    reads = yield from reader_of(context, backend, reader, split, attributes)
    spread = spread_data(backend, backend.spec.space(directions[0].space), path)
    return (
        yield from orthogonalised(
            backend,
            directions,
            reads,
            spread.latents,
            names=names,
            locked=locked,
            samples=samples,
            amount=amount,
            seed=seed,
        )
    )
