"""How likely a model finds images: scores of data sets, and what can honestly be read off them.

A likelihood is no test of whether an image belongs to the data: models give simple images, also of
quite other data, more probability than their own (Nalisnick et al. 2019, arXiv 1810.09136). Beside
it stands the score less the length of the compressed image (Serra et al. 2020, arXiv 1909.11480).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.core.points import PRIOR

Float = NDArray[np.float64]
Images = NDArray[np.uint8]
Quantity = Literal["bits", "corrected"]
QUANTITIES: tuple[Quantity, ...] = ("bits", "corrected")
COUNT, MAX_COUNT = 500, 1_000_000
MAX_SAMPLES = 10_000
FADED_CONTRAST = 0.25
"""Of faded copies, about the mean colour of each image."""
_FEWEST_BINS, _MOST_BINS = 8, 60


@dataclass(frozen=True)
class DataChoice:
    """Which images are scored.

    Attributes:
        source: as ``open_dataset`` takes it, or ``prior``: the model's own samples.
        split: part of it.
        count: images at most; a larger data set is taken evenly.
        faded: copies with a quarter of the contrast, which belong to no data set: of these,
            Nalisnick et al. 2019, section 5, say that flows find them likelier than the data.
    """

    source: str
    split: str | None = None
    count: int = COUNT
    faded: bool = False

    def check(self) -> None:
        """Raise ``LatentLabError`` for what cannot be scored."""
        if not self.source.strip():
            raise LatentLabError("No data is named: choose a folder, a file, portraits or prior.")
        if not 1 <= self.count <= MAX_COUNT:
            raise LatentLabError(f"Score 1 to {MAX_COUNT:,} images, not {self.count:,}.")
        if self.source == PRIOR and self.split is not None:
            raise LatentLabError("Prior samples have no splits: leave the split out.")

    @property
    def title(self) -> str:
        """What a person calls it."""
        name = self.source.partition(":")[0] if not Path(self.source).is_absolute() else self.source
        name = "own samples" if name == PRIOR else Path(name).name or name
        name += f" ({self.split})" if self.split else ""
        return f"faded {name}" if self.faded else name


def titles(sets: Sequence[DataChoice]) -> tuple[str, ...]:
    """Return what a person calls data sets that stand together: no two the same, if they differ."""
    found = tuple(data.title for data in sets)
    if len(set(found)) == len(found):
        return found
    named = (f"{data.source} ({data.split})" if data.split else data.source for data in sets)
    return tuple(f"faded {n}" if data.faded else n for n, data in zip(named, sets))


@dataclass(frozen=True, eq=False)
class ScoreChunk:
    """Scores of some images, while the others are still to come.

    Attributes:
        total: images of the whole data set.
        bits: bits/dim, ``(n,)``.
        complexity: see ``Scores``.
    """

    total: int
    bits: Float
    complexity: Float


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of a data set.

    Attributes:
        data: what was scored.
        model: id.
        fingerprint: of its weights.
        nats: log-probability of each image, ``(N,)``.
        bits: bits/dim of each, ``(N,)``: more is less likely.
        complexity: bits/dim that the same levels take as a PNG, its fixed parts left out, ``(N,)``.
        rows: int64 ``(N,)``: place in the data set, or the seed of a prior sample.
        names: of the images; ``None`` where they have none.
        bound: the nats are a lower bound, so the bits an upper one; false where they are exact.
        samples: draws for each image.
        seed: of the draws.
        shown: int64 ``(k,)``: of which images ``images`` are: the extreme ones.
        images: uint8 ``(k, H, W, C)``, as they were scored.
        caveat: one sentence about what the numbers are not; empty for none.
    """

    data: DataChoice
    model: str
    fingerprint: str
    nats: Float
    bits: Float
    complexity: Float
    rows: NDArray[np.int64]
    names: tuple[str, ...] | None
    bound: bool
    samples: int
    seed: int
    shown: NDArray[np.int64]
    images: Images
    caveat: str = ""

    def __len__(self) -> int:
        return len(self.bits)

    def values(self, quantity: Quantity) -> Float:
        """Return bits/dim, or bits/dim less those of the compressed image: ``(N,)``."""
        return self.bits if quantity == "bits" else self.bits - self.complexity

    def name(self, index: int) -> str:
        """Return what a person calls an image."""
        if self.names is not None:
            return self.names[index]
        return f"{'seed' if self.data.source == PRIOR else 'image'} {int(self.rows[index])}"

    def image(self, index: int) -> Images | None:
        """Return one of the extreme images, uint8 ``(H, W, C)``."""
        (at,) = np.nonzero(self.shown == index)
        return self.images[at[0]] if len(at) else None


@dataclass(frozen=True, eq=False)
class ImageLikelihood:
    """One image.

    Attributes:
        image: uint8 ``(H, W, C)``, what was scored.
        is_photo: it is a photograph, not its reconstruction.
        nats: log-probability.
        bits: bits/dim.
        complexity: see ``Scores``.
        bound: see ``Scores``.
        samples: draws.
        seed: of the draws.
        places: float64 ``(H, W)``: bits per channel of each pixel; ``None`` where the model cannot
            tell. Its mean and ``rest`` are ``bits``.
        rest: bits/dim that belong to no pixel.
        caveat: see ``Scores``.
    """

    image: Images
    is_photo: bool
    nats: float
    bits: float
    complexity: float
    bound: bool
    samples: int
    seed: int
    places: Float | None = None
    rest: float = 0.0
    caveat: str = ""

    def value(self, quantity: Quantity) -> float:
        """Return bits/dim, or bits/dim less those of the compressed image."""
        return self.bits if quantity == "bits" else self.bits - self.complexity


def mean_and_error(values: Float) -> tuple[float, float]:
    """Return the mean and its standard error; of one value the error is NaN."""
    error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(values.mean()), float(error)


def mean_text(values: Float) -> str:
    """Return the mean and its standard error for a person: 5.511 ± 0.013, to the same place."""
    mean, error = mean_and_error(values)
    if not math.isfinite(error) or error <= 0:
        return figure(mean, 4)
    places = max(0, 1 - math.floor(math.log10(error)))
    return f"{mean:.{places}f} ± {error:.{places}f}"


def figure(value: float, digits: int) -> str:
    """Return a number with so many significant digits, never as a power of ten."""
    if not math.isfinite(value):
        return "unknown"
    return np.format_float_positional(value, digits, unique=False, fractional=False, trim="-")


def ranked(values: Float) -> NDArray[np.int64]:
    """Return the places of images, the least likely (the largest value) first."""
    return np.argsort(-values, kind="stable").astype(np.int64)


def share_below(value: float, values: Float) -> float:
    """Return the share of images with a smaller value, those that are equal counted half."""
    return float(((values < value).sum() + 0.5 * (values == value).sum()) / len(values))


@dataclass(frozen=True)
class Auc:
    """The rank statistic of one data set against another.

    Attributes:
        value: probability that an image of the second has a larger value than one of the first,
            ties counted half: 1 tells them apart, 0.5 does not, below 0.5 the second is likelier.
        error: its standard error (DeLong et al. 1988).
    """

    value: float
    error: float


def auc(first: Float, second: Float) -> Auc:
    """Return how well a value tells images of ``second`` from those of ``first``: ``(N,)`` each."""
    in_first, in_second = _placed(second, first), 1 - _placed(first, second)
    spread = 0.0
    for parts in (in_first, in_second):
        spread += parts.var(ddof=1) / len(parts) if len(parts) > 1 else math.nan
    return Auc(float(in_first.mean()), float(math.sqrt(spread)))


def rank_correlation(first: Float, second: Float) -> float:
    """Return Spearman's rank correlation of two values ``(N,)`` each; NaN where one is constant."""
    ranks = [_placed(values, values) for values in (first, second)]
    centred = [rank - rank.mean() for rank in ranks]
    size = math.sqrt(float((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    return float((centred[0] * centred[1]).sum()) / size if size > 0 else math.nan


def simplicity_sentence(scores: Scores) -> str:
    """Return how much of the order of a data set is that of mere simplicity; empty of too few."""
    value = rank_correlation(scores.bits, scores.complexity) if len(scores) > 2 else math.nan
    if math.isnan(value):
        return ""
    meaning = (
        "mostly says how simple an image is"
        if value >= 0.7
        else "partly says how simple an image is"
        if value >= 0.3
        else "says little of how simple an image is"
    )
    return (
        f"Rank correlation of bits/dim and PNG length among {scores.data.title}: {value:.2f}. The "
        f"likelihood {meaning}."
    )


def _placed(values: Float, among: Float) -> Float:
    """Return for each value the share of ``among`` that is smaller, ties counted half."""
    order = np.sort(among)
    below = np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right")
    return below / (2.0 * len(among))


@dataclass(frozen=True, eq=False)
class Histogram:
    """Shares of images by value, over the same bins.

    Attributes:
        edges: ``(bins + 1,)``, rising.
        shares: of each data set, percent of its images, ``(bins,)`` each.
        beyond: of each, how many images lie outside; they are counted in the bins at the ends.
    """

    edges: Float
    shares: tuple[Float, ...]
    beyond: tuple[int, ...]


def histogram(sets: Sequence[Float]) -> Histogram:
    """Return the histogram of data sets of one value or more each, over bins that they share.

    The width is that of Freedman and Diaconis 1981, 2 IQR / N^(1/3), of the narrower set, so that
    no set is one bar where there is room for more. The ends are where no set has more than a few
    far values: at most 3 IQR from its quartiles.
    """
    known = [values for values in sets if len(values)]
    if not known:
        raise LatentLabError("There is nothing to draw yet: wait for the first scores.")
    quartiles = [np.percentile(values, [25, 75]) for values in known]
    spans = [float(high - low) for low, high in quartiles]
    lows = [float(max(v.min(), q[0] - 3 * s)) for v, q, s in zip(known, quartiles, spans)]
    highs = [float(min(v.max(), q[1] + 3 * s)) for v, q, s in zip(known, quartiles, spans)]
    low, high = min(lows), max(highs)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    widths = [2 * span / len(values) ** (1 / 3) for span, values in zip(spans, known)]
    width = min((width for width in widths if width > 0), default=high - low)
    bins = int(np.clip(math.ceil((high - low) / width), _FEWEST_BINS, _MOST_BINS))
    edges = np.linspace(low, high, bins + 1)
    shares, beyond = [], []
    for values in sets:
        counts = np.histogram(np.clip(values, low, high), edges)[0]
        shares.append(100.0 * counts / max(1, len(values)))
        beyond.append(int(((values < low) | (values > high)).sum()))
    return Histogram(edges, tuple(shares), tuple(beyond))


def quantity_title(quantity: Quantity) -> str:
    """Return what an axis says."""
    return "bits/dim" if quantity == "bits" else "bits/dim less PNG bits/dim"


def score_text(value: float, bound: bool, quantity: Quantity = "bits") -> str:
    """Return a value for a person, with what it is."""
    sign = "at most " if bound else ""
    unit = "bits/dim" if quantity == "bits" else "bits/dim less PNG"
    return f"{sign}{figure(value, 3)} {unit}"


def verdict(first: Scores, second: Scores, quantity: Quantity = "bits") -> str:
    """Return in one sentence whether a value finds the images of the second data set."""
    found = auc(first.values(quantity), second.values(quantity))
    names = titles([first.data, second.data])
    if math.isnan(found.error):
        return f"One image is too few to tell {names[1]} from {names[0]}: score more of each."
    said = f"AUC {found.value:.3f} ± {found.error:.3f}"
    what = "bits/dim" if quantity == "bits" else "the corrected score"
    if abs(found.value - 0.5) < max(0.02, 2 * found.error):
        return f"{said}: {what} cannot tell {names[1]} from {names[0]}."
    if found.value < 0.5:
        known = " This is the known failure." if quantity == "bits" else ""
        return (
            f"{said}: {names[1]} score lower than {names[0]}, so {what} would take them for "
            f"ordinary images.{known}"
        )
    how = "well" if found.value >= 0.95 else "partly" if found.value >= 0.7 else "hardly"
    return f"{said}: {what} tells {names[1]} {how} from {names[0]}."


COLUMNS = (
    "data", "row", "name", "nats", "bits_per_dim", "png_bits_per_dim", "corrected",
)  # fmt: skip


def table(sets: Sequence[Scores], quantity: Quantity = "bits") -> list[list[str]]:
    """Return a row for each image, the least likely of each data set first; see ``COLUMNS``."""
    rows = []
    for scores in sets:
        for index in ranked(scores.values(quantity)).tolist():
            numbers = (
                scores.nats[index],
                scores.bits[index],
                scores.complexity[index],
                scores.bits[index] - scores.complexity[index],
            )
            head = [scores.data.title, str(int(scores.rows[index])), scores.name(index)]
            rows.append([*head, *(f"{number:.9g}" for number in numbers)])
    return rows
