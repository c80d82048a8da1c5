"""Labels from class folders and attribute tables."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.data.base import LabelColumn
from latentlab.data.files import printable, read_file

MAX_CSV_BYTES = 256 * 2**20
MAX_COLUMNS = 10_000
MAX_CELLS = 100_000_000
MAX_CLASSES = 1000
"""Most different texts of a categorical column."""
MAX_BINARY_CLASSES = 50
"""With at most so many classes, each one is a binary label too."""
CLASS_LABEL = "class"


def class_columns(
    indices: NDArray[np.integer], classes: Sequence[str], name: str = CLASS_LABEL
) -> dict[str, LabelColumn]:
    """Return a categorical column, and for up to 50 classes a binary one for each class.

    Args:
        indices: class of each image, ``(num_images,)``.
        classes: names in index order.
        name: of the categorical column.
    """
    values = np.asarray(indices).astype(np.float32)
    columns = {name: LabelColumn(name, "categorical", values, tuple(classes))}
    if len(classes) <= MAX_BINARY_CLASSES:
        for index, title in enumerate(classes):
            if title not in columns:
                columns[title] = LabelColumn(title, "binary", (values == index).astype(np.float32))
    return columns


def read_attributes_csv(
    source: Path | str, names: Sequence[str], *, title: str | None = None
) -> dict[str, LabelColumn]:
    """Read labels from a table whose first column names the image files.

    The header names the labels. A column of 0/1, -1/1 or true/false is binary, one of other
    numbers continuous, one of texts categorical with its classes in alphabetical order. An empty
    cell, and an image without a row, is unknown (NaN). Cells are separated by commas, semicolons
    or tabs.

    Args:
        source: a file (UTF-8), or the text itself.
        names: of the images, relative, with ``/``; a table may also name files without their
            folders where that is unambiguous.
        title: what sentences call the table.

    Returns:
        Columns with one value for each of ``names``.

    Raises:
        LatentLabError: not UTF-8, enormous, empty, without label columns, rows of another length,
            doubled or unknown files, NaN or infinity.
    """
    title = printable(title or (source.name if isinstance(source, Path) else "The table"))
    text = (
        decode_table(read_file(source, MAX_CSV_BYTES), title)
        if isinstance(source, Path)
        else source
    )
    rows = _rows(text, title)
    header = rows[0][1]
    table = _by_image(rows[1:], len(header), names, title)
    return {
        column: _column(column, [None if row is None else row[index] for row in table], title)
        for index, column in enumerate(header[1:])
    }


def decode_table(data: bytes, title: str) -> str:
    """Return the text of a table; ``LatentLabError`` unless it is UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LatentLabError(
            f"'{title}' is not UTF-8 text: save it as CSV with UTF-8.", str(error)
        ) from error


def _rows(text: str, title: str) -> list[tuple[int, list[str]]]:
    """Return (line number, cells) of every row that is not blank; the header comes first."""
    text = text.removeprefix("\ufeff")
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    cells = 0
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num, [cell.strip() for cell in row]))
                cells += len(row)
            if cells > MAX_CELLS or len(row) > MAX_COLUMNS:
                raise LatentLabError(f"'{title}' is too large: leave out what is no label.")
    except csv.Error as error:
        raise LatentLabError(
            f"'{title}' is not a table at line {reader.line_num} ({error}): save it as CSV again."
        ) from error
    if not rows:
        raise LatentLabError(f"'{title}' is empty: its first line names the file and the labels.")
    header = rows[0][1]
    if len(header) < 2:
        raise LatentLabError(
            f"'{title}' has no label column: its first line is like 'file,smiling,age'."
        )
    repeated = [name for name, count in Counter(header[1:]).items() if count > 1 or not name]
    if repeated:
        raise LatentLabError(
            f"'{title}' has no name or a doubled one for a column: '{repeated[0]}'."
        )
    if len(rows) < 2:
        raise LatentLabError(f"'{title}' has a header but no rows: add one line for each image.")
    return rows


def _by_image(
    rows: list[tuple[int, list[str]]], width: int, names: Sequence[str], title: str
) -> list[list[str] | None]:
    """Return the label cells of each image, or ``None`` where the table has no row."""
    places = {name: index for index, name in enumerate(names)}
    short = Counter(name.rpartition("/")[2] for name in names)
    for index, name in enumerate(names):
        base = name.rpartition("/")[2]
        if short[base] == 1:
            places.setdefault(base, index)
    table: list[list[str] | None] = [None] * len(names)
    for line, row in rows:
        if len(row) != width:
            raise LatentLabError(
                f"'{title}' has {len(row)} columns at line {line} and {width} in its header."
            )
        file = row[0].replace("\\", "/").removeprefix("./")
        place = places.get(file)
        if place is None:
            raise LatentLabError(
                f"'{title}' names '{printable(file)}' at line {line}, which is not among the "
                "images: correct the table or add the file."
            )
        if table[place] is not None:
            raise LatentLabError(
                f"'{title}' names '{printable(file)}' twice, again at line {line}: keep one row."
            )
        table[place] = row[1:]
    return table


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _column(name: str, cells: list[str | None], title: str) -> LabelColumn:
    known = [(index, cell) for index, cell in enumerate(cells) if cell]
    if not known:
        raise LatentLabError(f"'{title}' has no values in column '{name}': fill or remove it.")
    values = np.full(len(cells), np.nan, np.float32)
    places = [index for index, _ in known]
    numbers = [_number(cell) for _, cell in known]
    if any(number is None for number in numbers):
        return _text_column(name, places, [cell for _, cell in known], values, title)
    exact = [number for number in numbers if number is not None]
    bad = [n for n in exact if not math.isfinite(n) or abs(n) > float(np.finfo(np.float32).max)]
    if bad:
        raise LatentLabError(
            f"'{title}' holds {bad[0]} in column '{name}': use finite numbers, or leave it empty."
        )
    found = set(exact)
    binary = found <= {0.0, 1.0} or found <= {-1.0, 1.0}
    values[places] = [max(number, 0.0) for number in exact] if binary else exact
    return LabelColumn(name, "binary" if binary else "continuous", values)


def _text_column(
    name: str, places: list[int], texts: list[str], values: NDArray[np.float32], title: str
) -> LabelColumn:
    if {text.lower() for text in texts} <= {"true", "false"}:
        values[places] = [float(text.lower() == "true") for text in texts]
        return LabelColumn(name, "binary", values)
    if {"nan", "inf", "-inf", "infinity", "-infinity"} & {text.lower() for text in texts}:
        raise LatentLabError(
            f"'{title}' holds NaN or infinity in column '{name}': leave unknown cells empty."
        )
    classes = sorted(set(texts))
    if len(classes) > MAX_CLASSES:
        raise LatentLabError(
            f"'{title}' has {len(classes)} different texts in column '{name}', too many for a "
            "label: remove the column."
        )
    index = {text: place for place, text in enumerate(classes)}
    values[places] = [index[text] for text in texts]
    return LabelColumn(name, "categorical", values, tuple(classes))
