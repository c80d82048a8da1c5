"""Settings of the flow family: the ``[model]`` table of its recipes. No torch here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from latentlab.core.families.base import FamilySettings, setting

SIZES = (16, 32, 64, 128, 256)
"""Heights and widths of the images that a flow is trained on, in pixels."""
Steps = Annotated[
    tuple[Annotated[int, Field(ge=1, le=64)], ...],
    Field(strict=False, max_length=6),
]
Channels = Annotated[int, Field(ge=4, le=1024)]
Hidden = Annotated[tuple[Channels, ...], Field(strict=False, max_length=6)]


class FlowSettings(FamilySettings):
    """A normalizing flow, plain or decoupled (Ma et al. 2021, arXiv 2004.11820)."""

    image_sizes = SIZES
    family: Literal["flow"] = setting("flow", "Family", "The kind of model.")
    bits: int = setting(
        8,
        "Bits of the data",
        "Images have so many levels a channel, 2 to this power. 5 leaves out what hardly anybody "
        "sees, so that the model learns shapes sooner; bits per dimension compare only among "
        "models of the same number.",
        unit="bits",
        ge=1,
        le=8,
    )
    global_dim: int = setting(
        0,
        "Global dimensions",
        "Numbers in the global part, which an encoder reads from the image and which steers every "
        "coupling; the local parts are as large as the image. 0 is a plain flow without a global "
        "part, whose likelihood is exact.",
        ge=0,
        le=1024,
    )
    global_maps: Hidden = setting(
        (),
        "Maps of the global part",
        "A small decoder makes a map of the global part for every level, of so many channels, the "
        "finest first: the global part then also holds where things are. Empty gives every "
        "position the same numbers, as in the paper: the global part then holds mostly colours.",
        unit="channels",
    )
    steps: Steps = setting(
        (4, 4, 4),
        "Steps",
        "Flow steps of each level, the finest first; each level halves the side. More fit the "
        "data better; time grows with their sum, and most with the first.",
        unit="steps",
    )
    hidden: Hidden = setting(
        (64, 96, 96),
        "Widths",
        "Channels inside the couplings of each level.",
        unit="channels",
    )
    couplings: Literal[1, 2, 4] = setting(
        2,
        "Couplings a step",
        "1 changes half of the channels in a step (Glow); 2 each half in turn; 4 is the unit of "
        "Ma et al. 2021.",
        advanced=True,
    )
    splits: Literal[1, 2] = setting(
        1,
        "Splits a level",
        "Times that a share of the channels is split off as a local part at each level; a level "
        "has its steps once for each.",
        advanced=True,
    )
    bottom_steps: int = setting(
        0,
        "Steps at full size",
        "Flow steps before the image is first halved: slow, and rarely worth it.",
        unit="steps",
        advanced=True,
        ge=0,
        le=16,
    )
    bottom_hidden: int = setting(
        24,
        "Width at full size",
        "Of their couplings.",
        unit="channels",
        advanced=True,
        ge=4,
        le=512,
    )
    activation: Literal["elu", "relu"] = setting(
        "elu", "Activation", "Of the networks in the couplings.", advanced=True
    )
    encoder: Hidden = setting(
        (32, 64, 64),
        "Widths of the encoder",
        "Channels of the levels of the network that reads the global part; each halves the side.",
        unit="channels",
        advanced=True,
    )
    encoder_blocks: int = setting(
        1,
        "Blocks of the encoder",
        "Residual blocks of each of its levels.",
        advanced=True,
        ge=1,
        le=4,
    )
    encoder_planes: int = setting(
        8,
        "Last map of the encoder",
        "Channels that the global part is read from.",
        unit="channels",
        advanced=True,
        ge=1,
        le=256,
    )
    encoder_norm: Literal["batch", "group"] = setting(
        "batch",
        "Normalisation of the encoder",
        "batch normalises over the images of a process's batch; group over each image alone, so "
        "that micro-batches and several processes change nothing.",
        advanced=True,
    )
    global_prior: Literal["standard", "flow"] = setting(
        "standard",
        "Prior of the global part",
        "standard is N(0, 1); flow bends N(0, 1) by a small flow of its own to what the encoder "
        "gives, which suits colours that come in a few kinds.",
    )
    prior_steps: int = setting(
        2, "Steps of the prior", "Of its flow, four couplings each.", advanced=True, ge=1, le=16
    )
    prior_hidden: int = setting(
        128, "Width of the prior", "Of its couplings.", advanced=True, ge=4, le=1024
    )
    dequantisation: Literal["uniform", "variational"] = setting(
        "uniform",
        "Dequantisation",
        "Levels become numbers by noise: uniform within a level, or variational, which a small "
        "flow fits to the image (Ho et al. 2019), for a better bound and about a third more time.",
        advanced=True,
    )
    dequantiser_steps: int = setting(
        2, "Steps of the dequantisation", "Of its flow.", advanced=True, ge=1, le=16
    )
    dequantiser_hidden: int = setting(
        32, "Width of the dequantisation", "Of its couplings.", advanced=True, ge=4, le=512
    )
    beta: float = setting(
        1.0,
        "Weight of the KL term",
        "1 is the evidence lower bound; less lets the global part hold more, and new images fit "
        "the prior less.",
        advanced=True,
        ge=0,
        allow_inf_nan=False,
    )
    kl_warmup_steps: int = setting(
        0,
        "KL warm-up",
        "Over so many steps the weight of the KL term rises from 0, so that the global part is "
        "taken up before the local parts hold everything.",
        unit="steps",
        advanced=True,
        ge=0,
    )
    refine_directions: bool = setting(
        False,
        "Refine directions",
        "At the end of a run on portraits, turn each of the eight edits of the global part by "
        "descent through decoder and probe: purer edits, and on a CPU minutes more of measuring.",
        advanced=True,
    )
