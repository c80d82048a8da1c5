"""What reads attributes off images: the bundled probe, or classifiers of a data set's labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from latentlab.backends.probe import Probe
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import content_hash
from latentlab.core.modelfile import replace_file
from latentlab.core.noise import permutation
from latentlab.core.spec import Frozen
from latentlab.data.base import ImageDataset
from latentlab.data.cache import content_key
from latentlab.data.portraits.attributes import EDIT_ATTRIBUTES, hidden_by
from latentlab.evaluation.factors import Factor, factors
from latentlab.latent.classify import fit_logistic
from latentlab.latent.crossval import MIN_EACH
from latentlab.latent.directions import ridge_weights
from latentlab.latent.metrics import correlation, roc_auc

Array = NDArray[Any]
Float = NDArray[np.float64]
Report = Callable[[int, int, str], None]

MORE_ATTRIBUTES = ("age", "skin_tone", "hair_length", "yaw", "tilt", "light_direction")
"""What the probe reads beside the edited attributes, to find side effects."""
COMPONENTS = 200
SIDE = 64
HELD_OUT_SHARE = 5
"""One image in so many is kept to say how well a column is read."""
VERSION = 2
SPLIT_SEED = 900_020
_META = "latentlab-reader"


class ImageReader(Protocol):
    """Reads K columns of numbers from images."""

    @property
    def name(self) -> str:
        """What a person is told read the images."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what is read."""
        ...

    @property
    def hidden(self) -> Mapping[str, tuple[str, ...]]:
        """Columns that moving one hides, or that say the same: they count as no side effect."""
        ...

    @property
    def reliability(self) -> Mapping[str, float]:
        """How well each column is read on images that were not fitted on: AUC or correlation."""
        ...

    def standardised(self, images: Any, columns: Sequence[str]) -> Float:
        """Return readings of uint8 ``(B, H, W, C)`` in standard deviations, ``(B, columns)``."""
        ...


class ProbeReader:
    """The bundled probe as a reader of portraits.

    Args:
        probe: reads the eight edit attributes and what else a portrait shows.
        shape: ``(C, H, W)`` of the model's images.

    Raises:
        LatentLabError: the images are not in colour.
    """

    name = "probe"

    def __init__(self, probe: Probe, shape: tuple[int, int, int]) -> None:
        if shape[0] != 3:
            raise LatentLabError(
                "The probe reads colour portraits, and this model's images have "
                f"{shape[0]} channel{'s' if shape[0] != 1 else ''}: measure with a data set."
            )
        self._probe = probe
        known = probe.columns
        self.columns = tuple(n for n in (*EDIT_ATTRIBUTES, *MORE_ATTRIBUTES) if n in known)
        self.hidden = {name: tuple(sorted(hidden_by(name))) for name in EDIT_ATTRIBUTES}
        self.reliability = {name: found for name in self.columns if (found := self._quality(name))}

    def _quality(self, name: str) -> float | None:
        quality = self._probe.quality
        if f"auc_{name}" in quality:
            return quality[f"auc_{name}"]
        explained = quality.get(f"r2_{name}")
        return None if explained is None else math.sqrt(max(0.0, explained))

    def standardised(self, images: Any, columns: Sequence[str]) -> Float:
        """Return readings of uint8 ``(B, H, W, C)`` in standard deviations, ``(B, columns)``."""
        return self._probe.standardised(images, columns)


class ReaderColumn(Frozen):
    """One column of a fitted reader.

    Attributes:
        name: a label, or ``<label>_<class>``.
        binary: read as log-odds; otherwise as a number.
        reliability: AUC or correlation on images that were not fitted on.
        spread: standard deviation of the readings of those.
        same: names of the label's other ways to be called.
        opposite: columns that are 1 minus this one.
    """

    name: str
    binary: bool
    reliability: float
    spread: float
    same: tuple[str, ...] = ()
    opposite: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class LabelReader:
    """Logistic (numbers: ridge) regression of labels on principal components of the pixels.

    Attributes:
        fields: K columns.
        mean: of the pixels, ``(P,)``, on [0, 255].
        axes: ``(components, P)``.
        weights: ``(K, components)``.
        bias: ``(K,)``.
        source: what a person calls the data.
    """

    fields: tuple[ReaderColumn, ...]
    mean: Array
    axes: Array
    weights: Float
    bias: Float
    source: str = ""
    _index: dict[str, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._index.update({column.name: i for i, column in enumerate(self.fields)})

    @property
    def name(self) -> str:
        """What a person is told read the images."""
        return f"classifier of {self.source}"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what is read."""
        return tuple(self._index)

    @property
    def hidden(self) -> dict[str, tuple[str, ...]]:
        """Opposite columns, by name."""
        return {c.name: c.opposite for c in self.fields if c.opposite}

    @property
    def reliability(self) -> dict[str, float]:
        """AUC or correlation on held-out images, by column."""
        return {column.name: column.reliability for column in self.fields}

    @property
    def aliases(self) -> dict[str, str]:
        """Column by another name of its label."""
        return {other: column.name for column in self.fields for other in column.same}

    def read(self, images: Array) -> Float:
        """Return readings ``(B, K)`` of uint8 ``(B, H, W, C)``: log-odds, or numbers.

        Log-odds, because a decoded image is not quite like the data: a probability would stand at 0
        or 1 there, whatever an edit does.

        Raises:
            LatentLabError: the images are of another size than those that it was fitted on.
        """
        rows = _pixels(np.asarray(images))
        if rows.shape[1] != len(self.mean):
            raise LatentLabError(
                "This classifier was fitted on images of another size: fit it for this model."
            )
        components = ((rows - self.mean) @ self.axes.T).astype(np.float64)
        return np.asarray(components @ self.weights.T + self.bias)

    def standardised(self, images: Any, columns: Sequence[str]) -> Float:
        """Return readings of uint8 ``(B, H, W, C)`` in standard deviations, ``(B, columns)``."""
        chosen = [self._index[name] for name in columns]
        spread = np.array([self.fields[i].spread for i in chosen])
        return self.read(images)[:, chosen] / spread


def fit_label_reader(report: Report, dataset: ImageDataset) -> LabelReader:
    """Fit a reader of all labels of a data set that vary.

    One image in five is held out; on these each column says how well it reads and how far its
    readings spread.

    Args:
        report: called with (done, total, message).
        dataset: images of the size that will be read.

    Raises:
        LatentLabError: no label is there often enough.
    """
    from sklearn.decomposition import PCA

    columns, same, opposite = _distinct(factors(dataset.labels))
    order = permutation(SPLIT_SEED, "reader", 0, len(dataset))
    held_out = np.zeros(len(dataset), bool)
    held_out[order[: len(dataset) // HELD_OUT_SHARE]] = True
    usable = [f for f in columns if _enough(f, ~held_out) and _enough(f, held_out)]
    if not usable:
        raise LatentLabError(
            f"'{dataset.name}' has no label that is often enough on and off to be read "
            f"({MIN_EACH} images of each kind, {MIN_EACH} more held out): choose more images."
        )
    total = len(usable) + 1
    report(0, total, "reading pixels")
    chunks = [
        np.arange(start, min(start + 256, len(dataset))) for start in range(0, len(dataset), 256)
    ]
    rows = np.concatenate([_pixels(dataset.read(chunk)) for chunk in chunks])
    count = min(COMPONENTS, int((~held_out).sum()) - 1, rows.shape[1])
    model = PCA(n_components=count, svd_solver="randomized", random_state=0).fit(rows[~held_out])
    components = model.transform(rows).astype(np.float64)
    fitted = []
    for done, factor in enumerate(usable, 1):
        report(done, total, f"learning to read {factor.name}")
        fitted.append(_fit_column(factor, components, held_out))
    kept = [row for row in fitted if row[0].spread > 0]
    names = {row[0].name for row in kept}
    described = tuple(
        row[0].model_copy(
            update={
                "same": same.get(row[0].name, ()),
                "opposite": tuple(n for n in opposite.get(row[0].name, ()) if n in names),
            }
        )
        for row in kept
    )
    report(total, total, "ready")
    return LabelReader(
        described,
        model.mean_.astype(np.float32),
        model.components_.astype(np.float32),
        np.stack([row[1] for row in kept]),
        np.array([row[2] for row in kept]),
        dataset.name,
    )


def _pixels(images: Array) -> NDArray[np.float32]:
    """Return uint8 ``(B, H, W, C)`` as rows; sides over ``SIDE`` are averaged down.

    An attribute is read as well from fewer pixels, and large images would not fit into memory.
    """
    count, height, width, channels = images.shape
    factor = max(1, min(height, width) // SIDE)
    tall, wide = height // factor, width // factor
    cut = images[:, : tall * factor, : wide * factor].astype(np.float32)
    blocks = cut.reshape(count, tall, factor, wide, factor, channels)
    return np.asarray(blocks.mean(axis=(2, 4)).reshape(count, -1), np.float32)


def _enough(factor: Factor, rows: NDArray[np.bool_]) -> bool:
    values = factor.values[rows & factor.seen]
    if not factor.binary:
        return len(values) >= 2 * MIN_EACH and float(values.std()) > 0
    on = int((values > 0.5).sum())
    return min(on, len(values) - on) >= MIN_EACH


def _distinct(
    columns: Sequence[Factor],
) -> tuple[list[Factor], dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Return factors once each, the other names of each, and the ones that are its opposite."""
    kept: list[Factor] = []
    same: dict[str, tuple[str, ...]] = {}
    opposite: dict[str, tuple[str, ...]] = {}
    for factor in sorted(columns, key=lambda f: f.name != f.label):
        twin = next((f for f in kept if np.array_equal(f.values, factor.values)), None)
        if twin is not None:
            same[twin.name] = (*same.get(twin.name, ()), factor.name)
            continue
        for other in kept:
            if factor.binary and other.binary and np.array_equal(1 - factor.values, other.values):
                opposite[factor.name] = (*opposite.get(factor.name, ()), other.name)
                opposite[other.name] = (*opposite.get(other.name, ()), factor.name)
        kept.append(factor)
    return kept, same, opposite


def _fit_column(
    factor: Factor, components: Float, held_out: NDArray[np.bool_]
) -> tuple[ReaderColumn, Float, float]:
    """Return a column, its weights on the components, and its bias."""
    train, test = factor.seen & ~held_out, factor.seen & held_out
    values = factor.values
    if factor.binary:
        # Many components of few images: without a penalty the reader would learn them by heart.
        reader = fit_logistic(components[train], values[train], strength=0.01)
        weights, bias = reader.weights, reader.bias
        readings = reader.score(components[test])
        reliability = roc_auc(values[test], readings)
    else:
        deviation, mean = float(values[train].std()), float(values[train].mean())
        weights = deviation * ridge_weights(components[train], values[train], penalty=0.01)
        bias = mean - float(components[train].mean(axis=0) @ weights)
        readings = components[test] @ weights + bias
        reliability = correlation(values[test], readings)
    column = ReaderColumn(
        name=factor.name,
        binary=factor.binary,
        reliability=float(reliability),
        spread=float(readings.std()),
    )
    return column, weights, bias


# Readers are kept: fitting takes a while.

_FIELDS = TypeAdapter(tuple[ReaderColumn, ...])


def reader_path(folder: Path, dataset: ImageDataset) -> Path:
    """Return where the reader of a data set is kept; it changes with images, labels and size."""
    rows = np.linspace(0, len(dataset) - 1, min(len(dataset), 32)).astype(np.int64)
    labels = [
        [
            c.name,
            c.kind,
            c.classes,
            *(content_hash(a) for a in (c.values, c.visible) if a is not None),
        ]
        for c in dataset.labels.values()
    ]
    key = content_key(
        VERSION, len(dataset), dataset.image_shape, labels, content_hash(dataset.read(rows))
    )
    return folder / f"{key}.safetensors"


def save_reader(path: Path, reader: LabelReader) -> None:
    """Write a reader, whole or not at all."""
    arrays = {
        "mean": np.ascontiguousarray(reader.mean),
        "axes": np.ascontiguousarray(reader.axes),
        "weights": np.ascontiguousarray(reader.weights),
        "bias": np.ascontiguousarray(reader.bias),
    }
    metadata = {_META: _FIELDS.dump_json(reader.fields).decode(), "source": reader.source}
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda target: save_file(arrays, target, metadata=metadata))


def load_reader(path: Path) -> LabelReader | None:
    """Read a kept reader; ``None`` where there is none that is whole."""
    try:
        with safe_open(path, framework="numpy") as stored:
            about = stored.metadata() or {}
            arrays = [stored.get_tensor(name) for name in ("mean", "axes", "weights", "bias")]
        fields = _FIELDS.validate_json(about[_META])
    except (OSError, SafetensorError, ValidationError, KeyError):
        return None
    mean, axes, weights, bias = arrays
    fits = (
        mean.ndim == 1
        and axes.shape[1:] == mean.shape
        and weights.shape == (len(fields), len(axes))
        and bias.shape == (len(fields),)
        and all(np.isfinite(array).all() for array in arrays)
    )
    return LabelReader(fields, mean, axes, weights, bias, about.get("source", "")) if fits else None
