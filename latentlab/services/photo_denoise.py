"""Photographs for a diffusion model: fitted to it, borrowed from the portraits, inverted to noise.

The jobs are generators as in ``services.photo``; importing this module imports no torch. What a
photograph becomes otherwise (drowned in noise, painted over, its colour taken) is arithmetic: see
``core.restoration``.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents, content_hash
from latentlab.core.spec import ModelSpec
from latentlab.services.commands import build_picture
from latentlab.services.photo import Context, Images, Progress, prepare_photo

if TYPE_CHECKING:
    from latentlab.services.encoding import EncodedUpdate

SAMPLE_SEED = 20_221_121
"""Of the sample portraits: no recipe of the bundled models draws from it."""


@dataclass(frozen=True, eq=False)
class FittedPhoto:
    """A photograph at a model's size.

    Attributes:
        image: uint8 ``(H, W, C)``.
        name: what it is called.
        width: of the photograph as it came, in pixels.
        height: of it, in pixels.
    """

    image: Images
    name: str
    width: int
    height: int

    @property
    def scaled(self) -> bool:
        """Whether the photograph came in another size."""
        return (self.height, self.width) != self.image.shape[:2]


@dataclass(frozen=True, eq=False)
class InvertedPhoto:
    """The noise from which DDIM makes a photograph again.

    Attributes:
        picture: of that noise, with the options that go back; decoding it gives
            ``reconstruction``.
        latents: one row of the space ``noise``.
        photo: uint8 ``(H, W, C)``.
        reconstruction: uint8 ``(H, W, C)``.
        psnr: of the reconstruction against ``photo``, in dB.
    """

    picture: Picture
    latents: Latents
    photo: Images
    reconstruction: Images
    psnr: float


def _source_size(photo: Path | str | bytes | Images) -> tuple[int, int]:
    """Return width and height of a photograph as it came, upright."""
    from latentlab.data.files import read_file
    from latentlab.data.transforms import read_header

    if isinstance(photo, np.ndarray):
        return photo.shape[1], photo.shape[0]
    data = photo if isinstance(photo, bytes) else read_file(Path(photo))
    header = read_header(data, None if isinstance(photo, bytes) else Path(photo).name)
    return header.width, header.height


def fit_photo_job(
    context: Context, *, model: str, photo: Path | str | bytes | Images
) -> Generator[Progress, None, FittedPhoto]:
    """Fit a photograph (a file, its bytes, or uint8 ``(H, W, C)``) to a model; ``FittedPhoto``."""
    yield 0, 1, "Reading the photograph"
    spec = context.library.backend(model).spec
    width, height = _source_size(photo)
    image = prepare_photo(photo, spec)
    name = Path(photo).stem if isinstance(photo, (str, Path)) else "pasted"
    return FittedPhoto(image, name, width, height)


def sample_portrait_job(
    context: Context, *, model: str, index: int = 0
) -> Generator[Progress, None, FittedPhoto]:
    """Draw a portrait that no model was trained on, at the model's size; ``FittedPhoto``."""
    from latentlab.data.portraits.dataset import Portraits

    yield 0, 1, "Drawing a portrait"
    spec = context.library.backend(model).spec
    side = min(max(16, spec.image_shape[1]), 1024)
    drawn = Portraits(1, SAMPLE_SEED, size=side, start=index).read([0])[0]
    image = prepare_photo(drawn, spec)
    height, width = image.shape[:2]
    return FittedPhoto(image, f"portrait {index + 1}", width, height)


def invert_photo_job(
    context: Context,
    *,
    model: str,
    photo: Images,
    name: str = "",
    steps: int = 50,
    condition: Condition | None = None,
    refine: int = 0,
) -> Generator[Progress, None, InvertedPhoto]:
    """Walk a photograph back to noise by DDIM; returns ``InvertedPhoto``.

    One evaluation of the network a turn (Song, Meng and Ermon 2021, arXiv 2010.02502, section 4.3);
    then the noise is decoded again, to measure what was lost on the way.

    Args:
        context: of the job.
        model: id or path.
        photo: uint8 ``(H, W, C)`` of the model's size.
        name: of the photograph.
        steps: of DDIM, there and back.
        condition: what the photograph shows, if the model shall be told.
        refine: further evaluations a step, which make the inversion more exact.
    """
    from latentlab.services.encoding import encode_turns

    entry = context.library.resolve(model)
    backend = context.library.backend(entry.path)
    if backend.spec.diffusion is None:
        raise LatentLabError(f"'{entry.id}' is no diffusion model: choose one.")
    found: InvertedPhoto | None = None
    options = {"steps": steps, "refine": refine}
    for turn in encode_turns(backend, photo, condition, options):
        if turn.update is not None:
            found = _inverted(backend.spec, entry.id, photo, name, turn.update)
        yield turn.done, turn.total, turn.message
    if found is None:
        raise LatentLabError(f"'{entry.id}' found no noise for this photograph: try another one.")
    return found


def read_condition(backend: Any, photo: Images) -> Condition:
    """Return what a photograph shows of the attributes that a model is told, as the probe reads it.

    An attribute that is not told counts as 0: without this, a condition of one attribute changes
    all others too.

    Args:
        backend: a model that is told attributes.
        photo: uint8 ``(H, W, 3)`` of its size.

    Raises:
        LatentLabError: the model is told nothing that the probe reads, or its images are grey.
    """
    from latentlab.services.maps_read import probe_of

    names = backend.spec.attribute_names
    probe = probe_of(backend)
    known = [n for n in names if n in probe.labels and probe.labels[n].kind != "categorical"]
    if not known:
        raise LatentLabError(
            "The probe reads attributes of portraits, and this model is told none of them: set "
            "the condition by hand."
        )
    read = probe.read(photo[None])
    values: dict[str, float] = {}
    for name in known:
        value = float(read[name][0])
        binary = probe.labels[name].kind == "binary"
        values[name] = float(value > 0.5) if binary else round(min(max(value, -1.0), 1.0), 2)
    return Condition(attributes=values)


def read_condition_job(
    context: Context, *, model: str, photo: Images
) -> Generator[Progress, None, Condition]:
    """Read what a photograph, uint8 ``(H, W, 3)``, shows; see ``read_condition``."""
    yield 0, 1, "Reading what the photograph shows"
    return read_condition(context.library.backend(model), photo)


def _inverted(
    spec: ModelSpec, model: str, photo: Images, name: str, update: EncodedUpdate
) -> InvertedPhoto:
    picture = build_picture(
        spec,
        model=model,
        stored=update.latents,
        condition=update.condition or Condition(),
        options=dict(update.options),
    ).model_copy(update={"photo": content_hash(photo), "name": name})
    return InvertedPhoto(
        picture, update.latents, photo, update.reconstruction, update.residual_psnr
    )
