"""A picture as a command line, and the one way in which a picture becomes a PNG.

The window's export and the command line both go through ``write_picture``, so that the exported
file and the file of the copied command have the same bytes on the CPU. The words are:

``latentlab sample MODEL --seeds LIST --temperature T [...] --out FILE``
``latentlab edit MODEL (--seed N | --seeds LIST | --input PHOTO | --latents FILE) --set NAME=X ...``

with, where they differ from the default: ``--space NAME``, ``--temperature T``, ``--label INDEX``,
``--attribute NAME=X``, ``--text TEXT``, ``--unconditional``, ``--option NAME=VALUE``, ``--rows N``,
``--padding N``, ``--scale N``, ``--device NAME``, ``--direction FILE``. Without ``--set``, ``edit``
writes the picture as it is. No torch is imported before something is rendered.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from latentlab.core.direction import Direction
from latentlab.core.document import Option, Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents
from latentlab.core.paths import data_folder
from latentlab.core.pictures import check_stored, stored_hashes
from latentlab.core.seeds import MAX_SEEDS, format_seeds
from latentlab.core.spec import Frozen, ModelSpec
from latentlab.services.export import LatentsFile, save_latents
from latentlab.services.own_directions import keep_direction, used_directions
from latentlab.services.png import grid_shape, png_metadata, save_png

if TYPE_CHECKING:
    from latentlab.services.library import Entry, ModelLibrary
    from latentlab.services.renderer import Renderer


class Layout(Frozen):
    """How images stand in one PNG; see ``compose_grid``."""

    rows: int | None = None
    padding: int = 2
    scale: int = 1


def format_number(value: float) -> str:
    """Return the shortest text that reads back as the same float."""
    text = repr(float(value))
    return text.removesuffix(".0")


def format_option(value: Option) -> str:
    """Return the text of an option that ``parse_option`` reads back with its type."""
    if isinstance(value, str):
        return json.dumps(value) if parse_option(value) != value else value
    return json.dumps(value)


def parse_option(text: str) -> Option:
    """Read ``true``, ``false``, a whole number, a decimal number, or else text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, (bool, int, float, str)) else text


def quote(arguments: list[str], platform: str | None = None) -> str:
    """Join arguments for the shell of a platform (``sys.platform`` when not given)."""
    windows = (platform or sys.platform) == "win32"
    return subprocess.list2cmdline(arguments) if windows else shlex.join(arguments)


def condition_arguments(condition: Condition) -> list[str]:
    """Return the words of a condition that commands on pictures take."""
    found: list[str] = []
    if condition.class_index is not None:
        found += ["--label", str(condition.class_index)]
    for name, value in condition.attributes.items():
        found += ["--attribute", f"{name}={format_number(value)}"]
    if condition.text is not None:
        found += ["--text", condition.text]
    return [*found, "--unconditional"] if condition.null else found


def _layout_arguments(layout: Layout) -> list[str]:
    found = [] if layout.rows is None else ["--rows", str(layout.rows)]
    found += [] if layout.padding == Layout().padding else ["--padding", str(layout.padding)]
    return found if layout.scale == 1 else [*found, "--scale", str(layout.scale)]


def _source_arguments(picture: Picture, photo: str | None, latents: str) -> list[str]:
    if picture.stored:
        return ["--input", photo] if photo else ["--latents", latents]
    if picture.edits and len(picture.seeds) == 1:
        return ["--seed", str(picture.seeds[0])]
    return ["--seeds", format_seeds(picture.seeds)]


def command_arguments(
    picture: Picture,
    *,
    model: str | None = None,
    photo: str | None = None,
    latents: str = "face.png",
    directions: Sequence[str] = (),
    out: str | None = None,
    layout: Layout | None = None,
    default_space: str = "z",
) -> list[str]:
    """Return the words of the command that makes a picture's PNG.

    Args:
        picture: what to make.
        model: id or path; the picture's own id when not given.
        photo: file that the stored latents were encoded from.
        latents: file that holds the stored latents, when there is no photograph.
        directions: files of the person's own directions.
        out: the PNG to write.
        layout: of the grid.
        default_space: the space that the model takes when none is named.
    """
    edit = bool(picture.edits or picture.stored)
    words = ["latentlab", "edit" if edit else "sample", model or picture.model]
    words += _source_arguments(picture, photo, latents)
    if picture.space != default_space:
        words += ["--space", picture.space]
    if not picture.stored and (not edit or picture.temperature != 1):
        words += ["--temperature", format_number(picture.temperature)]
    words += condition_arguments(picture.condition)
    for name, value in picture.options.items():
        words += ["--option", f"{name}={format_option(value)}"]
    for name in directions:
        words += ["--direction", name]
    for name, value in picture.edits.items():
        words += ["--set", f"{name}={format_number(value)}"]
    words += _layout_arguments(layout or Layout())
    single = len(picture.seeds) == 1 or edit
    return [*words, "--out", out or ("face.png" if single else "grid.png")]


def command_for(
    picture: Picture,
    stored: Latents | None = None,
    *,
    entry: Entry | None = None,
    layout: Layout | None = None,
    device: str | None = None,
    platform: str | None = None,
    directions: Mapping[str, Direction] | None = None,
) -> str:
    """Return the text of "Copy as command": run anywhere, it makes the PNG of this picture.

    Latents that come from no seed and from no photograph that is still there are written to the
    person's data folder, so that the command can name them; so are the person's own directions.

    Args:
        picture: what to make.
        stored: the latents that ``picture.stored`` names.
        entry: the picture's model; its path is named when no other program knows its id.
        layout: of the grid.
        device: named when the person chose one: another device rounds differently.
        platform: whose shell to quote for (``sys.platform``).
        directions: the person's own.

    Raises:
        LatentLabError: the latents are missing, or cannot be written.
    """
    photo, latents = None, ""
    if picture.stored:
        if photo_makes_it(picture):
            photo = str(Path(picture.photo_path or "").absolute())
        else:
            latents = str(keep_latents(picture, stored))
    named = entry is None or entry.portable
    model = picture.model if named or entry is None else str(entry.path)
    header = None if entry is None else entry.header
    words = command_arguments(
        picture,
        model=model,
        photo=photo,
        latents=latents,
        directions=[str(keep_direction(d)) for d in used_directions(picture, directions).values()],
        layout=layout,
        default_space="z" if header is None else header.spec.spaces[0].name,
    )
    if device is not None and device != "auto":
        words += ["--device", device]
    return quote(words, platform)


def photo_makes_it(picture: Picture) -> bool:
    """Whether encoding the photograph again gives the picture's latents.

    A condition may have been changed since, or options, and encoding depends on them.
    """
    return (
        bool(picture.photo and picture.photo_path)
        and picture.condition == Condition()
        and not picture.options
        and Path(picture.photo_path or "").is_file()
    )


def keep_latents(picture: Picture, stored: Latents | None) -> Path:
    """Write the latents of a picture to the person's data folder, once; return the file."""
    check_stored(picture, stored)
    if stored is None:
        raise LatentLabError("This picture has no latents of its own: sample it again.")
    # By all parts: latents of one photograph may share some of them.
    mark = "-".join(picture.stored[name][:12] for name in sorted(picture.stored))
    path = data_folder() / "latents" / f"{mark}.safetensors"
    if not path.is_file():
        save_latents(path, stored)
    return path


def build_picture(
    spec: ModelSpec,
    *,
    model: str | None = None,
    seeds: tuple[int, ...] = (),
    stored: Latents | None = None,
    temperature: float = 1.0,
    space: str | None = None,
    edits: dict[str, float] | None = None,
    condition: Condition | None = None,
    options: dict[str, Option] | None = None,
) -> Picture:
    """Return a picture of a model, from seeds or from latents, with everything filled in.

    Args:
        spec: of the model.
        model: its id in the library, where it differs from the spec's.
        seeds: one for each image.
        stored: latents instead of seeds; a space that they do not name is the first one.
        temperature: factor on the prior's standard deviation.
        space: name of the latent space; the first when not given.
        edits: slider value by direction name; zeros are left out.
        condition: beside the latent.
        options: of ``decode``.

    Raises:
        LatentLabError: no such space, too many or no images, or latents of another model.
    """
    try:
        found = spec.space(space)
    except KeyError as error:
        known = ", ".join(s.name for s in spec.spaces)
        raise LatentLabError(f"'{spec.id}' has no space '{space}'; it has: {known}.") from error
    count = len(seeds) if stored is None else stored.batch
    if not 1 <= count <= MAX_SEEDS or (stored is not None and seeds):
        raise LatentLabError(f"A picture has 1 to {MAX_SEEDS} images, of seeds or of latents.")
    if not 0 <= temperature <= 100:
        raise LatentLabError(f"A temperature of {temperature} is out of range: choose 0 to 100.")
    if stored is not None:
        stored.check(found)
    return Picture(
        model=model or spec.id,
        fingerprint=spec.fingerprint,
        space=found.name,
        seeds=seeds,
        temperature=temperature,
        stored={} if stored is None else stored_hashes(stored),
        edits={name: amount for name, amount in (edits or {}).items() if amount != 0},
        condition=condition or Condition(),
        options=options or {},
    )


def imported(spec: ModelSpec, file: LatentsFile) -> Latents:
    """Return the latents of a file as latents of a model; ``LatentLabError`` if they do not fit."""
    space = file.latents.space or spec.spaces[0].name
    try:
        wanted = spec.space(space)
    except KeyError as error:
        raise LatentLabError(
            f"These latents are of space '{space}', which '{spec.id}' does not have: choose the "
            "model that they were made with."
        ) from error
    latents = Latents(wanted.name, file.latents.parts)
    latents.check(wanted)
    return latents


def portable_picture(picture: Picture, fingerprint: str) -> Picture:
    """Return what a PNG says about a picture: the same for the window and the command line.

    The name, the photograph and where it was stay with the person; tables are sorted.
    """
    condition = picture.condition
    return picture.model_copy(
        update={
            "name": "",
            "photo": None,
            "photo_path": None,
            "fingerprint": fingerprint,
            "temperature": 1.0 if picture.stored else picture.temperature,
            "stored": dict(sorted(picture.stored.items())),
            "edits": {k: v for k, v in sorted(picture.edits.items()) if v != 0},
            "options": dict(sorted(picture.options.items())),
            "condition": condition.model_copy(
                update={"attributes": dict(sorted(condition.attributes.items()))}
            ),
        }
    )


def picture_metadata(
    picture: Picture,
    stored: Latents | None,
    spec: ModelSpec,
    layout: Layout | None = None,
    directions: Mapping[str, Direction] | None = None,
) -> dict[str, str]:
    """Return the text chunks of a picture's PNG.

    A command on latents, or along directions of the person's own, names the PNG itself.
    """
    what = portable_picture(picture, spec.fingerprint)
    own = used_directions(what, directions)
    words = command_arguments(
        what,
        directions=["face.png"] if own else (),
        layout=layout,
        default_space=spec.spaces[0].name,
    )
    return png_metadata(what, stored, quote(words, platform="any"), own)


def render_picture(
    library: ModelLibrary,
    picture: Picture,
    stored: Latents | None = None,
    directions: Mapping[str, Direction] | None = None,
) -> NDArray[np.uint8]:
    """Return the picture's images for keeping, uint8 ``(B, H, W, C)``."""
    from latentlab.services.renderer import Renderer

    return Renderer(library).exact(picture, stored, directions)[0]


def write_picture(
    renderer: Renderer,
    path: Path,
    picture: Picture,
    stored: Latents | None = None,
    layout: Layout | None = None,
    directions: Mapping[str, Direction] | None = None,
) -> Iterator[tuple[int, int]]:
    """Render a picture for keeping and write its PNG; yield (done, in all) of the images.

    Of a model of many steps, its network evaluations are counted.

    ``directions`` are the person's own: those that the edits name stand in the PNG.

    Raises:
        LatentLabError: the picture cannot be made, or the file cannot be written.
    """
    layout = layout or Layout()
    backend = renderer.library.backend(picture.model)
    check_stored(picture, stored)
    latents = renderer.latents(picture, stored, directions)
    _, height, width = backend.spec.image_shape
    # What makes no grid is said before hours of decoding, not after.
    grid_shape(latents.batch, height, width, **layout.model_dump())
    chunks: list[NDArray[np.uint8]] = []
    for turn in renderer.exact_turns(picture, latents, stored):
        if turn.images is not None:
            chunks.append(turn.images)
        yield turn.done, turn.total
    metadata = picture_metadata(picture, stored, backend.spec, layout, directions)
    save_png(Path(path), np.concatenate(chunks), metadata=metadata, **layout.model_dump())


def export_picture(
    library: ModelLibrary,
    path: Path,
    picture: Picture,
    stored: Latents | None = None,
    layout: Layout | None = None,
    directions: Mapping[str, Direction] | None = None,
) -> None:
    """Write the PNG of a picture, as the command line does; see ``write_picture``."""
    from latentlab.services.renderer import Renderer

    for _ in write_picture(Renderer(library), path, picture, stored, layout, directions):
        pass
