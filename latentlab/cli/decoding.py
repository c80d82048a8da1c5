"""Words of the commands that decode: the condition, options, and latents that a file brings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from latentlab.cli.common import Many, parse_numbers, parse_pairs

if TYPE_CHECKING:
    from latentlab.core.document import Option
    from latentlab.core.latents import Condition, Latents
    from latentlab.core.spec import ModelSpec


@dataclass(frozen=True)
class Conditioned:
    """What a conditional model is told."""

    label: Annotated[int | None, tyro.conf.arg(help="Class index of a conditional model.")] = None
    attribute: Annotated[Many, tyro.conf.arg(metavar="NAME=X", help="Attribute condition.")] = ()
    text: Annotated[str | None, tyro.conf.arg(help="Text condition.")] = None
    unconditional: Annotated[bool, tyro.conf.arg(help="Ignore the condition.")] = False

    def condition(self) -> Condition:
        """Return the condition that these words name."""
        from latentlab.core.latents import Condition

        return Condition(
            class_index=self.label,
            attributes=parse_numbers(self.attribute, "--attribute"),
            text=self.text,
            null=self.unconditional,
        )


@dataclass(frozen=True)
class Decoding(Conditioned):
    """How latents become images."""

    space: Annotated[str | None, tyro.conf.arg(help="Latent space; the model's first if none.")] = (
        None
    )
    option: Annotated[Many, tyro.conf.arg(metavar="NAME=X", help="Decoding option.")] = ()
    change: Annotated[
        Many,
        tyro.conf.arg(
            metavar="NAME=X",
            help="Attribute to change in the condition; the others stay as the file has them.",
        ),
    ] = ()

    def told(self, came: Condition | None = None) -> Condition:
        """Return the condition of these words, or else the one that came along, changed."""
        from latentlab.core.latents import Condition

        given = self.condition()
        told = given if given != Condition() else came or given
        changes = parse_numbers(self.change, "--change")
        if not changes:
            return told
        return told.model_copy(update={"attributes": {**told.attributes, **changes}, "null": False})

    def options(self) -> dict[str, Option]:
        """Return the decoding options that these words name."""
        return read_options(self.option)


def read_options(words: Iterable[str]) -> dict[str, Option]:
    """Return the options that ``NAME=VALUE`` words name."""
    from latentlab.services.commands import parse_option

    return {name: parse_option(text) for name, text in parse_pairs(words, "--option").items()}


@dataclass(frozen=True, eq=False)
class Start:
    """What a picture begins with.

    Attributes:
        seeds: of prior samples; none where ``stored`` is given.
        stored: latents.
        condition: that came with the latents.
        options: of ``decode``, that came with the latents.
    """

    seeds: tuple[int, ...] = ()
    stored: Latents | None = None
    condition: Condition | None = None
    options: Mapping[str, Option] = field(default_factory=dict)


def read_start(spec: ModelSpec, path: Path) -> Start:
    """Read latents for a model, with the condition and the options that decode them.

    Those that were made with other weights come alone.
    """
    from latentlab.services.commands import imported
    from latentlab.services.export import load_latents

    file = load_latents(path)
    stored, picture = imported(spec, file), file.picture
    if picture is None or picture.fingerprint != spec.fingerprint:
        return Start(stored=stored)
    return Start(stored=stored, condition=picture.condition, options=picture.options)
