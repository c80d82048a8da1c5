"""Jobs around files: open a model, take a photograph in, export, import.

Each is a generator ``job(context, **arguments)`` that yields (done, total, message[, partial]) and
returns a value that can cross to another process. Importing this module imports no torch, because
the window's process does so to read the values.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from latentlab.core.direction import Direction
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents, content_hash
from latentlab.core.pictures import check_stored
from latentlab.core.spec import EncodeKind, ModelSpec
from latentlab.services.commands import Layout, build_picture, imported, write_picture
from latentlab.services.export import load_latents, save_latents
from latentlab.services.library import Entry, ModelLibrary
from latentlab.services.png import PngRecord, read_png_metadata, to_pillow

if TYPE_CHECKING:
    from latentlab.services.renderer import EncodedUpdate, Renderer

Progress = tuple[int, int, str] | tuple[int, int, str, Any]
Images = NDArray[np.uint8]


class Context(Protocol):
    """What a job is given: see ``services.jobs``."""

    @property
    def library(self) -> ModelLibrary:
        """The models."""
        ...

    @property
    def renderer(self) -> Renderer:
        """The renderer of those models."""
        ...


@dataclass(frozen=True, eq=False)
class OpenedModel:
    """A model that is loaded.

    Attributes:
        entry: of the library.
        spec: what the model is.
        directions: the edits that come with it, by name.
        device: where it is.
    """

    entry: Entry
    spec: ModelSpec
    directions: Mapping[str, Direction]
    device: str


@dataclass(frozen=True, eq=False)
class EncodedPhoto:
    """A photograph as latents.

    Attributes:
        picture: stands for ``latents``, with the photograph's hash and path.
        latents: one row.
        photo: uint8 ``(H, W, C)``, of the model's size.
        reconstruction: uint8 ``(H, W, C)``.
        residual_psnr: of the reconstruction against ``photo``, in dB.
        encode_kind: exact, amortised or optimised.
    """

    picture: Picture
    latents: Latents
    photo: Images
    reconstruction: Images
    residual_psnr: float
    encode_kind: EncodeKind | None


@dataclass(frozen=True, eq=False)
class ImportedLatents:
    """Latents from a file, and the picture that shows them.

    Attributes:
        picture: as the file says, or the plain latents.
        stored: the latents before the picture's edits; ``None`` for a picture made of seeds.
        note: a sentence when the weights are not the ones that the file was made with.
        directions: the person's own that came with it, by the name that the edits use.
    """

    picture: Picture
    stored: Latents | None
    note: str | None = None
    directions: Mapping[str, Direction] = field(default_factory=dict)


def prepare_photo(photo: Path | str | bytes | Images, spec: ModelSpec) -> Images:
    """Return a photograph at the model's size and channels, uint8 ``(H, W, C)``.

    Args:
        photo: a file, the bytes of one, or uint8 ``(H, W, C)`` with C being 1 or 3.
        spec: of the model.

    Raises:
        LatentLabError: it cannot be read as an image.
    """
    from latentlab.data.transforms import ImageTransform, load_image

    channels, height, width = spec.image_shape
    if height != width:
        raise LatentLabError(f"'{spec.id}' makes {width}x{height} images: no photograph fits it.")
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[-1] not in (1, 3):
            raise LatentLabError("A photograph is uint8 of shape (H, W, 1) or (H, W, 3).")
        stream = io.BytesIO()
        to_pillow(photo).save(stream, format="PNG", compress_level=1)
        photo = stream.getvalue()
    source = Path(photo) if isinstance(photo, str) else photo
    return load_image(source, ImageTransform(size=height, channels=channels))


def encoded_photo(
    spec: ModelSpec, model: str, photo: Images, update: EncodedUpdate, path: Path | None
) -> EncodedPhoto:
    """Return the picture of an encoded photograph and all that is shown beside it."""
    picture = build_picture(
        spec,
        model=model,
        stored=update.latents,
        condition=update.condition or Condition(),
        options=dict(update.options),
    ).model_copy(
        update={
            "photo": content_hash(photo),
            "photo_path": None if path is None else str(path.absolute()),
            "name": "" if path is None else path.stem,
        }
    )
    return EncodedPhoto(
        picture,
        update.latents,
        photo,
        update.reconstruction,
        update.residual_psnr,
        spec.encode_kind,
    )


def open_model_job(context: Context, *, model: str) -> Generator[Progress, None, OpenedModel]:
    """Load a model by its id or path; returns ``OpenedModel``."""
    yield 0, 1, "Reading the model"
    entry = context.library.resolve(model)
    backend = context.library.backend(entry.path)
    yield 1, 1, "Ready"
    return OpenedModel(entry, backend.spec, dict(backend.directions), str(backend.device))


def encode_photo_job(
    context: Context,
    *,
    model: str,
    photo: Path | str | bytes | Images,
    condition: Condition | None = None,
    options: Mapping[str, Any] | None = None,
) -> Generator[Progress, None, EncodedPhoto]:
    """Encode a photograph (a file, its bytes, or uint8 ``(H, W, C)``); returns ``EncodedPhoto``.

    What an encoder has found so far is a partial ``EncodedPhoto``, where it was decoded.
    """
    from latentlab.services.renderer import encode_turns

    yield 0, 1, "Reading the photograph"
    entry = context.library.resolve(model)
    backend = context.library.backend(entry.path)
    image = prepare_photo(photo, backend.spec)
    path = Path(photo) if isinstance(photo, (str, Path)) else None
    found: EncodedPhoto | None = None
    for turn in encode_turns(backend, image, condition, options):
        if turn.update is None:
            yield turn.done, turn.total, turn.message
            continue
        found = encoded_photo(backend.spec, entry.id, image, turn.update, path)
        yield turn.done, turn.total, turn.message, found
    if found is None:
        raise LatentLabError(f"'{entry.id}' gave no latents for this photograph: try another one.")
    return found


def export_png_job(
    context: Context,
    *,
    path: Path | str,
    picture: Picture,
    stored: Latents | None = None,
    layout: Layout | None = None,
    directions: Mapping[str, Direction] | None = None,
) -> Generator[Progress, None, Path]:
    """Render a picture for keeping and write its PNG; returns the path.

    ``directions`` are the person's own that the picture's edits name.
    """
    target = Path(path)
    yield 0, 1, "Rendering"
    for done, total in write_picture(context.renderer, target, picture, stored, layout, directions):
        yield done, total, "Rendering"
    return target


def export_latents_job(
    context: Context,
    *,
    path: Path | str,
    picture: Picture,
    stored: Latents | None = None,
    directions: Mapping[str, Direction] | None = None,
) -> Generator[Progress, None, Path]:
    """Write the picture's final latents, edits included, by the suffix; returns the path."""
    target = Path(path)
    yield 0, 1, "Writing the latents"
    check_stored(picture, stored)
    latents = context.renderer.latents(picture, stored, directions)
    backend = context.library.backend(picture.model)
    # The file stands for itself: the edits are in the latents now.
    plain = build_picture(
        backend.spec,
        model=picture.model,
        stored=latents,
        space=latents.space,
        condition=picture.condition,
        options=dict(picture.options),
    )
    save_latents(target, latents, plain)
    yield 1, 1, "Ready"
    return target


def import_latents_job(
    context: Context, *, path: Path | str, model: str
) -> Generator[Progress, None, ImportedLatents]:
    """Read latents for a model from a file, or a PNG of this program; ``ImportedLatents``."""
    source = Path(path)
    yield 0, 1, "Reading"
    if source.suffix.lower() == ".png":
        record = read_png_metadata(source)
        if record is None:
            raise LatentLabError(
                f"'{source.name}' was not made by LatentLab: drop it as a photograph instead."
            )
        found = _restored(context.library, record, source.name)
    else:
        file = load_latents(source)
        entry = context.library.resolve(model)
        spec = context.library.backend(entry.path).spec
        stored = imported(spec, file)
        plain = build_picture(spec, model=entry.id, stored=stored, space=stored.space)
        if file.picture is not None:
            keep = {"condition": file.picture.condition, "options": file.picture.options}
            plain = plain.model_copy(update=keep)
        found = ImportedLatents(plain, stored, _note(file.picture, spec))
    yield 1, 1, "Ready"
    return found


def _note(picture: Picture | None, spec: ModelSpec) -> str | None:
    if picture is None or not picture.fingerprint or picture.fingerprint == spec.fingerprint:
        return None
    return f"Made with other weights than those of '{spec.id}': the images will differ."


def _restored(library: ModelLibrary, record: PngRecord, name: str) -> ImportedLatents:
    """Return a PNG's picture on the model that has its weights, or else its name."""
    picture, stored = record.picture, record.stored
    same = [
        entry.id
        for entry in library.entries()
        if entry.header is not None and entry.header.spec.fingerprint == picture.fingerprint
    ]
    # Files of the same weights can differ in their directions: the name decides.
    model = picture.model if picture.model in same or not same else same[0]
    spec = library.backend(model).spec
    if picture.stored and stored is None:
        raise LatentLabError(
            f"'{name}' holds no latents, because they were too large: import the latents file."
        )
    if stored is not None:
        stored.check(spec.space(stored.space))
    for direction in record.directions.values():
        if direction.space != picture.space:
            raise LatentLabError(
                f"'{name}' holds a direction of another space than its picture: open another file."
            )
        direction.check(spec.space(picture.space))
    note = _note(picture, spec)
    found = picture.model_copy(update={"model": model, "fingerprint": spec.fingerprint})
    return ImportedLatents(found, stored, note, record.directions)


def store_directions_job(
    context: Context, *, model: str, directions: Mapping[str, Direction]
) -> Generator[Progress, None, Path]:
    """Put directions into a model's file, beside those that it has; returns the file.

    Raises:
        LatentLabError: a bundled model, or directions of other weights.
    """
    from latentlab.evaluation.fit import store_directions

    entry = context.library.resolve(model)
    yield 0, 1, "Writing the model"
    if entry.bundled:
        raise LatentLabError(
            f"'{entry.id}' came with LatentLab and stays as it is: save the direction as a file."
        )
    store_directions(entry.path, directions)
    yield 1, 1, "Ready"
    return entry.path
