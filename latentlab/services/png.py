"""PNG files that say how they were made, and reading that back from files of any origin.

Text chunks hold the command, the model, the seeds, the picture as JSON, and the latents where no
seed can make them again. They are read by a small parser with limits, never by an image library.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from latentlab.core.direction import Direction
from latentlab.core.directionfile import direction_header, parse_direction
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Array, Latents
from latentlab.core.modelfile import replace_file
from latentlab.core.pictures import check_stored, parse_picture, strict_json
from latentlab.core.seeds import format_seeds
from latentlab.core.version import version

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_PIXELS = 256 * 2**20
MAX_PICTURE_BYTES = 2**20
MAX_LATENTS_BYTES = 32 * 2**20
MAX_FILE_BYTES = 256 * 2**20
COMPRESSION = 6
BACKGROUND = 255

_COMMAND, _PICTURE, _LATENTS = "latentlab:command", "latentlab:picture", "latentlab:latents"
_DIRECTIONS = "latentlab:directions"
_FIGURES = ("auc", "correlation", "interval", "level", "count", "target", "selectivity")


@dataclass(frozen=True, eq=False)
class PngRecord:
    """What a PNG of this program says about itself.

    Attributes:
        picture: what it shows; ``photo`` and ``name`` are not kept in a PNG.
        stored: the latents that ``picture.stored`` names; ``None`` for prior samples, and for
            latents that were too large to be put into the file.
        command: the command that makes it again.
        directions: those of the person's own that the picture's edits name; without any that were
            too large to be put into the file.
    """

    picture: Picture
    stored: Latents | None
    command: str
    directions: Mapping[str, Direction] = field(default_factory=dict)


def grid_shape(
    count: int, height: int, width: int, rows: int | None = None, padding: int = 2, scale: int = 1
) -> tuple[int, int]:
    """Return rows and columns of a grid of ``count`` images; see ``compose_grid``.

    Raises:
        LatentLabError: no images, or numbers that make no grid or a gigantic one.
    """
    if count == 0:
        raise LatentLabError("There is no image to export: sample one first.")
    if (rows is not None and not 1 <= rows <= count) or padding < 0 or scale < 1:
        raise LatentLabError(
            f"A grid of {count} images cannot have {rows} rows, {padding} pixels of padding and "
            f"scale {scale}: choose 1 to {count} rows, padding from 0, scale from 1."
        )
    columns = -(-count // (rows or max(1, round(count**0.5))))
    rows = -(-count // columns)
    if rows * (height + padding) * columns * (width + padding) * scale**2 > MAX_PIXELS:
        raise LatentLabError("The grid would be too large for one PNG: export fewer or smaller.")
    return rows, columns


def compose_grid(
    images: NDArray[np.uint8], rows: int | None = None, padding: int = 2, scale: int = 1
) -> NDArray[np.uint8]:
    """Put images ``(B, H, W, C)`` into one ``(H', W', C)``, row by row, on white.

    Args:
        images: uint8, C being 1 or 3.
        rows: rows of the grid; as square as possible when not given.
        padding: pixels between images; a single image has none.
        scale: whole-number enlargement, without smoothing.

    Raises:
        LatentLabError: no images, or numbers that make no grid or a gigantic one.
    """
    count, height, width, channels = images.shape
    rows, columns = grid_shape(count, height, width, rows, padding, scale)
    size = (rows * (height + padding) - padding, columns * (width + padding) - padding)
    grid = np.full((*size, channels), BACKGROUND, np.uint8)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * (height + padding), column * (width + padding)
        grid[top : top + height, left : left + width] = image
    return np.repeat(np.repeat(grid, scale, axis=0), scale, axis=1)


def to_pillow(image: NDArray[np.uint8]) -> Image.Image:
    """Return a Pillow image of uint8 ``(H, W, C)``, C being 1 or 3."""
    return Image.fromarray(np.ascontiguousarray(image[..., 0] if image.shape[-1] == 1 else image))


def _ascii_json(values: Any) -> str:
    return json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _array_rows(arrays: Mapping[str, Array]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "dtype": array.dtype.name,
            "shape": list(array.shape),
            "data": base64.b64encode(array.tobytes()).decode(),
        }
        for name, array in sorted(arrays.items())
    }


def _direction_row(direction: Direction) -> dict[str, Any]:
    """Return a direction as a PNG holds it: how well it was found, but not where on whose disk."""
    header = direction_header(direction)
    figures = {key: header.provenance[key] for key in _FIGURES if key in header.provenance}
    row = header.model_copy(update={"provenance": figures}).model_dump(mode="json")
    return {**row, "vector": _array_rows(direction.vector)}


def png_metadata(
    picture: Picture,
    stored: Latents | None,
    command: str,
    directions: Mapping[str, Direction] | None = None,
) -> dict[str, str]:
    """Return the text chunks of a PNG, in their order.

    Args:
        picture: what is shown; the person's folders and names are left out.
        stored: the latents before the edits, when they come from no seed.
        command: the command that makes the same file.
        directions: the person's own that the edits name.
    """
    what = picture.model_dump(mode="json", exclude_defaults=True)
    texts = {
        "Software": f"LatentLab {version()}",
        _COMMAND: command,
        "latentlab:model": f"{picture.model} {picture.fingerprint}",
    }
    if picture.seeds:
        texts["latentlab:seeds"] = format_seeds(picture.seeds)
    texts[_PICTURE] = _ascii_json(what)
    if picture.stored and stored is not None:
        text = _ascii_json({"space": stored.space, "parts": _array_rows(stored)})
        if len(text) <= MAX_LATENTS_BYTES:
            texts[_LATENTS] = text
    if directions:
        text = _ascii_json([_direction_row(directions[name]) for name in sorted(directions)])
        if len(text) <= MAX_LATENTS_BYTES:
            texts[_DIRECTIONS] = text
    return texts


def encode_png(image: NDArray[np.uint8], metadata: dict[str, str]) -> bytes:
    """Return the bytes of a PNG of uint8 ``(H, W, C)``: the same for the same arguments."""
    info = PngInfo()
    for key, text in metadata.items():
        info.add_text(key, text)
    stream = io.BytesIO()
    to_pillow(image).save(stream, format="PNG", pnginfo=info, compress_level=COMPRESSION)
    return stream.getvalue()


def save_png(
    path: Path,
    images: NDArray[np.uint8],
    *,
    metadata: dict[str, str],
    rows: int | None = None,
    padding: int = 2,
    scale: int = 1,
) -> None:
    """Write images ``(B, H, W, C)`` as one PNG, whole or not at all; see ``compose_grid``.

    Args:
        path: the file to make or replace.
        images: uint8.
        metadata: text by key, as ``png_metadata`` makes it.
        rows: of the grid.
        padding: pixels between images.
        scale: whole-number enlargement.

    Raises:
        LatentLabError: no such grid, or the file cannot be written.
    """
    data = encode_png(compose_grid(images, rows, padding, scale), metadata)
    replace_file(path, lambda target: target.write_bytes(data))


def _damaged(name: str, details: str = "") -> LatentLabError:
    return LatentLabError(
        f"What '{name}' says about its making is damaged: open another file.", details
    )


def _text_chunks(data: bytes, name: str) -> Iterator[tuple[str, str]]:
    """Yield (keyword, text) of the uncompressed text chunks before the pixels, checked by CRC."""
    for kind, body, checksum in _chunks(data):
        if kind in (b"IDAT", b"IEND"):
            return
        if kind in (b"tEXt", b"iTXt"):
            if len(checksum) != 4 or zlib.crc32(kind + body) != int.from_bytes(checksum):
                raise _damaged(name, "a text chunk is truncated or changed")
            keyword, _, text = body.partition(b"\0")
            if kind == b"tEXt":
                yield keyword.decode("latin-1"), text.decode("latin-1")
            elif text[:1] == b"\0":
                # Compression flag (0) and method, language, translated keyword, then the text.
                yield (
                    keyword.decode("latin-1"),
                    text[2:].split(b"\0", 2)[-1].decode(errors="replace"),
                )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield (kind, body, checksum); what the file's end cuts off is shorter than it should be."""
    offset = len(SIGNATURE)
    while offset + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, offset)
        end = offset + 8 + length
        yield kind, data[offset + 8 : end], data[end : end + 4]
        offset = end + 4


def _is_whole(data: bytes) -> bool:
    """Whether the pixels are all there, up to the chunk that ends a PNG."""
    if len(data) >= MAX_FILE_BYTES:
        # Its end was not read.
        return True
    return any(kind == b"IEND" and len(checksum) == 4 for kind, _, checksum in _chunks(data))


def _own_chunks(data: bytes, name: str) -> dict[str, str]:
    limits = {_COMMAND: 2**16, _PICTURE: MAX_PICTURE_BYTES, _LATENTS: MAX_LATENTS_BYTES}
    limits[_DIRECTIONS] = MAX_LATENTS_BYTES
    found: dict[str, str] = {}
    for keyword, text in _text_chunks(data, name):
        if keyword not in limits:
            continue
        if keyword in found or len(text) > limits[keyword]:
            raise _damaged(name, f"{keyword} is there twice, or too long")
        found[keyword] = text
    return found


def _decode_arrays(rows: Mapping[str, Any], dtypes: tuple[str, ...]) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    for part, row in rows.items():
        if row["dtype"] not in dtypes:
            raise ValueError("unknown type")
        raw = base64.b64decode(row["data"], validate=True)
        shape = tuple(int(n) for n in row["shape"])
        if any(n < 0 for n in shape):
            raise ValueError("a negative shape")
        arrays[str(part)] = np.frombuffer(raw, row["dtype"]).reshape(shape)
    return arrays


def _decode_latents(text: str, name: str) -> Latents:
    values = strict_json(text, f"The latents inside '{name}'", MAX_LATENTS_BYTES)
    try:
        parts = _decode_arrays(values["parts"], ("float32", "int64"))
        return Latents(str(values["space"]), parts)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise _damaged(name, str(error)) from error


def _decode_directions(text: str, name: str) -> dict[str, Direction]:
    rows = strict_json(text, f"The directions inside '{name}'", MAX_LATENTS_BYTES)
    found: dict[str, Direction] = {}
    try:
        for row in rows:
            vector = _decode_arrays(row.pop("vector"), ("float32",))
            direction = parse_direction(row, vector, f"A direction inside '{name}'")
            if direction.name in found:
                raise ValueError(f"'{direction.name}' is there twice")
            found[direction.name] = direction
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise _damaged(name, str(error)) from error
    return found


def _read_bytes(source: Path | bytes) -> tuple[bytes, str]:
    if isinstance(source, bytes):
        return source, "the pasted image"
    try:
        with source.open("rb") as stream:
            start = stream.read(len(SIGNATURE))
            # Nothing but a PNG is read any further.
            return start + (stream.read(MAX_FILE_BYTES) if start == SIGNATURE else b""), source.name
    except OSError as error:
        raise LatentLabError(f"'{source}' cannot be read ({error.strerror}).") from error


def read_png_metadata(source: Path | bytes) -> PngRecord | None:
    """Return how a PNG of this program was made; ``None`` for any other image.

    Args:
        source: a file, or its bytes.

    Raises:
        LatentLabError: the file cannot be read, or what it says is damaged or out of range.
    """
    data, name = _read_bytes(source)
    if not data.startswith(SIGNATURE):
        return None
    chunks = _own_chunks(data, name)
    if _PICTURE not in chunks:
        return None
    if not _is_whole(data):
        raise LatentLabError(f"'{name}' is truncated: copy or download it again.")
    what = f"The picture inside '{name}'"
    picture = parse_picture(strict_json(chunks[_PICTURE], what, MAX_PICTURE_BYTES), what)
    stored = None
    if picture.stored and _LATENTS in chunks:
        stored = _decode_latents(chunks[_LATENTS], name)
        if stored.space != picture.space:
            raise _damaged(name, "the latents are of another space")
        check_stored(picture, stored)
    directions = _decode_directions(chunks[_DIRECTIONS], name) if _DIRECTIONS in chunks else {}
    if not directions.keys() <= picture.edits.keys():
        raise _damaged(name, "it holds directions that nothing uses")
    command = "".join(c for c in chunks.get(_COMMAND, "") if c.isprintable())
    return PngRecord(picture, stored, command, directions)
