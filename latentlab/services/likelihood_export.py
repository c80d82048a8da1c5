"""Scores as files, and as the command line that writes the same bytes. No torch here.

``latentlab likelihood MODEL DATA [--split S] [--against DATA|faded] [--against-split S]
[--count N] [--samples N] [--seed N] [--corrected] --out FILE``
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from latentlab.core.errors import LatentLabError
from latentlab.core.likelihood import (
    COLUMNS,
    COUNT,
    DataChoice,
    Quantity,
    Scores,
    ranked,
    table,
    titles,
)
from latentlab.core.modelfile import replace_file
from latentlab.core.version import version
from latentlab.services.commands import quote
from latentlab.services.likelihood_draw import HistogramData
from latentlab.services.likelihood_render import histogram_picture, histogram_svg, strip_picture
from latentlab.services.png import encode_png

SUFFIXES = (".png", ".svg", ".csv")
FADED = "faded"
"""In place of a data set: faded copies of the first one."""
_NAME = re.compile(r"[^\w.-]+")


def histogram_data(sets: Sequence[Scores], quantity: Quantity) -> HistogramData:
    """Return what a histogram of scores shows."""
    return HistogramData(
        titles([scores.data for scores in sets]),
        tuple(scores.values(quantity) for scores in sets),
        quantity,
        any(scores.bound for scores in sets),
    )


def check_out(path: Path) -> None:
    """Raise ``LatentLabError`` for a file that scores cannot be written to."""
    if path.suffix.lower() not in SUFFIXES:
        raise LatentLabError(
            f"Scores cannot be written as '{path.suffix or path.name}': use .csv for the numbers, "
            ".png or .svg for the histogram."
        )
    if path.is_dir():
        raise LatentLabError(f"'{path}' is a folder: name a file.")


def write_scores(path: Path, sets: Sequence[Scores], quantity: Quantity = "bits") -> None:
    """Write scores by the suffix: a histogram (.png, .svg) or a table (.csv), whole or not at all.

    Args:
        path: the file to make or replace.
        sets: of one or two data sets.
        quantity: what is drawn, and what orders the table.

    Raises:
        LatentLabError: another suffix, or the file cannot be written.
    """
    check_out(path)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        data = table_text(sets, quantity).encode()
    elif suffix == ".svg":
        data = histogram_svg(histogram_data(sets, quantity)).encode()
    else:
        picture = histogram_picture(histogram_data(sets, quantity))
        data = encode_png(picture, _metadata(sets, quantity, "--out", "likelihood.png"))
    replace_file(path, lambda target: target.write_bytes(data))


def table_text(sets: Sequence[Scores], quantity: Quantity = "bits") -> str:
    """Return the table of scores as CSV, the least likely image of each data set first."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([COLUMNS, *table(sets, quantity)])
    return stream.getvalue()


def check_extremes(path: Path) -> None:
    """Raise ``LatentLabError`` for what is neither a PNG nor a folder."""
    strip = path.suffix.lower() == ".png"
    if path.is_dir() == strip if path.exists() else bool(path.suffix) and not strip:
        raise LatentLabError(f"'{path}' is neither a .png nor a folder: name one of them.")


def write_extremes(
    path: Path, scores: Scores, quantity: Quantity, count: int, least: bool = True
) -> int:
    """Write extreme images: a strip (.png), or a file each in a folder; return their number.

    Args:
        path: a PNG, or a folder that is made when it is not there.
        scores: of the data set.
        quantity: what they are ordered by.
        count: images at most.
        least: the least likely, otherwise the most likely.

    Raises:
        LatentLabError: it cannot be written.
    """
    check_extremes(path)
    word = "--worst" if least else "--best"
    if path.suffix.lower() == ".png":
        found = strip_picture(scores, quantity, count, least)
        data = encode_png(found, _metadata([scores], quantity, word, "strip.png"))
        replace_file(path, lambda target: target.write_bytes(data))
    order = ranked(scores.values(quantity))
    chosen = [int(i) for i in (order if least else order[::-1])[:count]]
    chosen = [index for index in chosen if scores.image(index) is not None]
    if path.suffix.lower() != ".png":
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LatentLabError(f"'{path}' cannot be made ({error.strerror}).") from error
        for place, index in enumerate(chosen, 1):
            _write_image(path, place, index, scores, quantity)
    return len(chosen)


def _write_image(folder: Path, place: int, index: int, scores: Scores, quantity: Quantity) -> None:
    image = scores.image(index)
    assert image is not None
    name = _NAME.sub("-", Path(scores.name(index)).stem)[:60]
    value = scores.values(quantity)[index]
    data = encode_png(image, {"Software": f"LatentLab {version()}"})
    target = folder / f"{place:03d}-{value:.3f}-{name}.png"
    replace_file(target, lambda temporary: temporary.write_bytes(data))


def likelihood_arguments(
    model: str,
    sets: Sequence[DataChoice],
    *,
    samples: int = 1,
    seed: int = 0,
    quantity: Quantity = "bits",
) -> list[str]:
    """Return the words of the command that scores data sets, without what it writes.

    Args:
        model: id or path.
        sets: one or two.
        samples: draws for each image.
        seed: of the draws.
        quantity: what is drawn.
    """
    first = sets[0]
    words = ["latentlab", "likelihood", model, first.source]
    words += [] if first.split is None else ["--split", first.split]
    for other in sets[1:]:
        same = (other.source, other.split) == (first.source, first.split)
        if other.faded and same:
            words += ["--against", FADED]
            continue
        words += ["--against", other.source]
        words += [] if other.split is None else ["--against-split", other.split]
    words += [] if first.count == COUNT else ["--count", str(first.count)]
    words += [] if samples == 1 else ["--samples", str(samples)]
    words += [] if seed == 0 else ["--seed", str(seed)]
    return words + (["--corrected"] if quantity == "corrected" else [])


def _metadata(sets: Sequence[Scores], quantity: Quantity, option: str, out: str) -> dict[str, str]:
    """Return the text chunks of a PNG: a person's folders are left out."""
    first = sets[0]
    choices = [_portable(scores.data) for scores in sets]
    words = likelihood_arguments(
        first.model, choices, samples=first.samples, seed=first.seed, quantity=quantity
    )
    return {
        "Software": f"LatentLab {version()}",
        "latentlab:command": quote([*words, option, out], platform="any"),
        "latentlab:model": f"{first.model} {first.fingerprint}",
    }


def _portable(data: DataChoice) -> DataChoice:
    path = Path(data.source)
    name = path.name if path.is_absolute() else data.source
    return DataChoice(name, data.split, data.count, data.faded)
