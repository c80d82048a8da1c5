"""How a picture is denoised: samplers, their settings, branches, and the frames of a run. No torch.

Everything that decides the pixels is an option of ``Picture.options``, so that a kept frame, a
branch, a session and a copied command all speak of the same thing:

``sampler``, ``steps``, ``guidance``, ``eta``, ``spacing``, ``clip``, ``noise_seed``: see
``Sampling``; ``start_at``: the latents are x_t at this time, not x_T; ``branch``: see
``parse_path``; ``stop_at`` and ``show``: the frame of a step instead of the result; ``task`` and
``factor``: what is known of the picture (space ``guided``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, ValidationError

from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition
from latentlab.core.spec import Frozen

SamplerName = Literal["ddpm", "ddim", "dpmpp", "euler", "euler_a", "heun", "unipc"]
Spacing = Literal["trailing", "leading", "linspace"]
Show = Literal["x0", "x_t", "eps"]
Task = Literal["inpaint", "colourise", "super_resolve"]

GUIDED = "guided"
"""Latent space of pictures of which something is known: parts ``noise``, ``known``, ``mask``."""
ROW_KEYS = "row_keys"
"""Option of ``decode`` that the renderer adds: an integer a row, from which a row's injected noise
is drawn, so that it depends neither on the batch nor on edits."""


@dataclass(frozen=True)
class Sampler:
    """A way to walk from noise to an image.

    Attributes:
        id: the word in options and on the command line.
        title: the name that a person reads.
        noise: whether it injects noise: ``never``, ``always``, or as much as ``eta`` says.
        scaling: of its state: variance ``preserving`` or ``exploding``.
        evaluations: network evaluations a step.
        order: of the solver.
        summary: one sentence.
        source: paper.
    """

    id: SamplerName
    title: str
    noise: Literal["never", "always", "eta"]
    scaling: Literal["preserving", "exploding"]
    evaluations: int
    order: int
    summary: str
    source: str


SAMPLERS: tuple[Sampler, ...] = (
    Sampler(
        "dpmpp",
        "DPM-Solver++ 2M",
        "never",
        "preserving",
        1,
        2,
        "Good images in 10 to 25 steps; uses the step before.",
        "Lu et al. 2022, arXiv 2211.01095",
    ),
    Sampler(
        "ddim",
        "DDIM",
        "eta",
        "preserving",
        1,
        1,
        "First order; can be run backwards. Eta adds noise, 1 is nearly DDPM.",
        "Song et al. 2021, arXiv 2010.02502",
    ),
    Sampler(
        "ddpm",
        "DDPM",
        "always",
        "preserving",
        1,
        1,
        "The original: fresh noise at every step; best with many steps.",
        "Ho et al. 2020, arXiv 2006.11239",
    ),
    Sampler(
        "euler",
        "Euler",
        "never",
        "exploding",
        1,
        1,
        "First order in sigma.",
        "Karras et al. 2022, arXiv 2206.00364",
    ),
    Sampler(
        "euler_a",
        "Euler ancestral",
        "always",
        "exploding",
        1,
        1,
        "Euler with fresh noise at every step.",
        "Karras et al. 2022, arXiv 2206.00364; k-diffusion",
    ),
    Sampler(
        "heun",
        "Heun",
        "never",
        "exploding",
        2,
        2,
        "Second order: two evaluations a step, more exact than Euler.",
        "Karras et al. 2022, arXiv 2206.00364, algorithm 1",
    ),
    Sampler(
        "unipc",
        "UniPC",
        "never",
        "preserving",
        1,
        2,
        "Predictor and corrector: good with very few steps.",
        "Zhao et al. 2023, arXiv 2302.04867",
    ),
)
"""Every sampler, the one that a picture is made with by default first."""


def sampler(name: str) -> Sampler:
    """Return a sampler by its id.

    Raises:
        LatentLabError: there is none.
    """
    for row in SAMPLERS:
        if row.id == name:
            return row
    raise LatentLabError(
        f"There is no sampler '{name[:40]}'; choose one of {', '.join(get_args(SamplerName))}."
    )


Options = TypeVar("Options", bound=Frozen)


def read_options(kind: type[Options], given: Mapping[str, Any], owner: str) -> Options:
    """Return options as a value of their own type.

    Args:
        kind: the type.
        given: options by name.
        owner: whose they are, as a sentence begins.

    Raises:
        LatentLabError: an option that does not exist, or a value that it cannot have.
    """
    unknown = sorted(str(name)[:40] for name in set(given) - set(kind.model_fields))
    if unknown:
        raise LatentLabError(
            f"{owner} has no option '{unknown[0]}'; it has {', '.join(kind.model_fields)}."
        )
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        value = repr(given.get(name))
        value = value if len(value) <= 60 else f"{value[:57]}..."
        why = first["msg"].removeprefix("Value error, ").replace("Input should", "it should", 1)
        raise LatentLabError(f"The option {name} cannot be {value}: {why}.") from error


class Sampling(Frozen):
    """The options of ``decode`` of a diffusion model.

    Attributes:
        sampler: id of a ``Sampler``.
        steps: of the whole run, 1 to the model's number of times.
        guidance: weight w of classifier-free guidance, uncond + w (cond - uncond) (Ho and Salimans
            2022): 0 leaves the condition out, 1 follows it, more exaggerates it.
        eta: of DDIM: 0 injects no noise, 1 as much as DDPM.
        spacing: of the times, in the words of ``diffusers``.
        clip: hold the predicted image within [-1, 1], where the solver can.
        noise_seed: of the noise that a sampler injects.
        start_at: the latents are x_t (variance preserving) at this time, 0 to T - 1; ``None``: x_T.
        branch: how the run leaves its road; see ``parse_path``.
        stop_at: show the frame of this step, counted from 1; ``None``: the result.
        show: what of that frame.
        task: what is known of the picture, in the space ``guided``.
        factor: by which ``super_resolve`` enlarges: 2, 4 or 8.
        travel: how often DDPM and DDIM go back over every five steps, the last ones left out, so
            that what is drawn agrees with what is known (RePaint: Lugmayr et al. 2022, arXiv
            2201.09865).
    """

    sampler: SamplerName = "dpmpp"
    steps: int = Field(25, ge=1, le=1000)
    guidance: FiniteFloat = Field(1.0, ge=0, le=50)
    eta: FiniteFloat = Field(0.0, ge=0, le=1)
    spacing: Spacing = "trailing"
    clip: bool = True
    noise_seed: int = Field(0, ge=0, le=2**63 - 1)
    start_at: int | None = Field(None, ge=0)
    branch: str = Field("", max_length=2000)
    stop_at: int | None = Field(None, ge=1)
    show: Show = "x0"
    task: Task = "inpaint"
    factor: Literal[2, 4, 8] = 4
    travel: int = Field(0, ge=0, le=10)

    @classmethod
    def from_options(cls, options: Mapping[str, Any] | None) -> Sampling:
        """Read the options of a picture; ``row_keys`` is left aside.

        Raises:
            LatentLabError: an option that does not exist, or a value that it cannot have.
        """
        given = {k: v for k, v in (options or {}).items() if k != ROW_KEYS}
        found = read_options(cls, given, "A diffusion model")
        parse_path(found.branch)
        return found

    def to_options(self) -> dict[str, Any]:
        """Return the options that differ from their defaults."""
        return self.model_dump(exclude_defaults=True)


class Branch(Frozen):
    """Where a run leaves its road, and what is different from there on.

    Attributes:
        at: steps of the parent that stay: 0 branches at the start, 8 after the eighth.
        sampler: another one; it starts without the old one's history.
        steps: that follow the branching point; ``None``: as many as the parent had left.
        eta: of DDIM.
        guidance: weight.
        noise: seed of new noise: x_t is drawn again around the predicted image, and the noise
            injected later too.
        condition: instead of the parent's.
    """

    at: int = Field(ge=0)
    sampler: SamplerName | None = None
    steps: int | None = Field(None, ge=1, le=1000)
    eta: FiniteFloat | None = Field(None, ge=0, le=1)
    guidance: FiniteFloat | None = Field(None, ge=0, le=50)
    noise: int | None = Field(None, ge=0, le=2**63 - 1)
    condition: Condition | None = None


Path = tuple[Branch, ...]
"""A branch of a branch of ... a run; the run itself is the empty path."""
MOST_PARTS = 64
"""Most branches that follow one another."""

_NUMBERS = ("steps", "eta", "guidance", "noise")
_ATTRIBUTE = re.compile(r"[A-Za-z0-9_ .-]+")


@lru_cache(1024)
def parse_path(text: str) -> Path:
    """Read ``AT:NAME=VALUE,...``, several joined by ``/``, each a branch of the one before.

    Names are ``sampler``, ``steps``, ``eta``, ``guidance``, ``noise``, and for the condition
    ``label=INDEX``, ``attr.NAME=VALUE`` and ``unconditional=true``. For example
    ``8:guidance=3,attr.smile=1/16:noise=4``. The empty text is the run itself.

    Raises:
        LatentLabError: anything else, or more than ``MOST_PARTS`` branches of each other.
    """
    parts = text.split("/") if text else []
    if len(parts) > MOST_PARTS:
        raise LatentLabError(
            f"This branch joins {len(parts):,} of them: at most {MOST_PARTS} can follow one "
            "another."
        )
    return tuple(_branch(part) for part in parts)


def _branch(text: str) -> Branch:
    at, _, changes = text.partition(":")
    values: dict[str, Any] = {}
    condition: dict[str, Any] = {}
    attributes: dict[str, float] = {}
    try:
        for change in filter(None, changes.split(",")):
            name, _, value = change.partition("=")
            if name == "sampler":
                values[name] = sampler(value).id
            elif name in _NUMBERS:
                values[name] = int(value) if name in ("steps", "noise") else float(value)
            elif name == "label":
                condition["class_index"] = int(value)
            elif name == "unconditional" and value == "true":
                condition["null"] = True
            elif name.startswith("attr.") and _ATTRIBUTE.fullmatch(name[5:]):
                attributes[name[5:]] = float(value)
            else:
                raise LatentLabError(f"'{change[:60]}' is nothing that a branch can change.")
        if not all(map(math.isfinite, attributes.values())):
            raise LatentLabError("An attribute is a finite number.")
        if attributes:
            condition["attributes"] = attributes
        if condition:
            values["condition"] = Condition(**condition)
        return Branch(at=int(at), **values)
    except (ValueError, LatentLabError) as error:
        why = error.message if isinstance(error, LatentLabError) else "a number is wrong"
        raise LatentLabError(
            f"The branch '{text[:60]}' cannot be read ({why.rstrip('.')}): write it like "
            "8:guidance=3,attr.smile=1, with the step first."
        ) from error


def format_path(path: Path) -> str:
    """Return the text that ``parse_path`` reads back."""
    return "/".join(_format(branch) for branch in path)


def _number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")


def _format(branch: Branch) -> str:
    words = [] if branch.sampler is None else [f"sampler={branch.sampler}"]
    for name in _NUMBERS:
        value = getattr(branch, name)
        words += (
            []
            if value is None
            else [f"{name}={_number(value) if name in ('eta', 'guidance') else value}"]
        )
    if branch.condition is not None:
        given = branch.condition
        words += [] if given.class_index is None else [f"label={given.class_index}"]
        words += [f"attr.{name}={_number(value)}" for name, value in given.attributes.items()]
        words += ["unconditional=true"] if given.null else []
    return f"{branch.at}:{','.join(words)}"


@dataclass(frozen=True, eq=False)
class DenoisingFrame:
    """One step of a run as it crosses to the window, of one picture.

    Attributes:
        branch: path of the run, as text; empty for the run itself.
        index: of the step, counted from 1, in the whole run (those before a branch included).
        count: steps of this run.
        t: time that the network was told, 0 to T - 1.
        sigma: noise over signal at this time.
        x_t: uint8 ``(H, W, C)``: the noisy picture before the step, at variance 1.
        x0: uint8 ``(H, W, C)``: the picture that the network predicts.
        eps: uint8 ``(H, W, C)``: the noise that it predicts, -3 to 3 standard deviations.
        result: uint8 ``(H, W, C)``, with the last step alone: the picture.
    """

    branch: str
    index: int
    count: int
    t: float
    sigma: float
    x_t: NDArray[np.uint8]
    x0: NDArray[np.uint8]
    eps: NDArray[np.uint8]
    result: NDArray[np.uint8] | None = None
