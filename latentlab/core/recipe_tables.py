"""The tables of a recipe: what each setting is, its limits and its explanation. No torch here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from latentlab.core.errors import LatentLabError
from latentlab.core.families.base import ModelTable, Table, setting
from latentlab.core.families.registry import model_table
from latentlab.core.toml import dump_toml

MOST_STEPS = 10**12
Beta = Annotated[float, Field(ge=0, lt=1)]
Names = Annotated[tuple[str, ...], Field(strict=False, max_length=10_000)]
Tracker = Literal["tensorboard", "wandb", "mlflow", "comet_ml", "aim", "trackio"]


class HeldOut(Table):
    """``[data.held_out]``: images that are never trained on; they measure the model."""

    source: str | None = setting(
        None,
        "Other source",
        "A source of its own for these images; without one they come from the training source.",
        advanced=True,
        min_length=1,
    )
    split: str | None = setting(
        None,
        "Split",
        "Another split of the source than the one trained on, for example test.",
    )
    count: int = setting(
        2000,
        "Images",
        "At most so many. Without a source or a split of their own they are taken out of the "
        "training images, at most a tenth of them.",
        unit="images",
        ge=1,
    )


class DataTable(Table):
    """``[data]``: where the images come from and how they are brought to size."""

    source: str = setting(
        ...,
        "Source",
        "A folder or zip of images, files of MNIST, CIFAR-10 or CelebA, or drawn portraits such "
        "as portraits:count=20000,seed=1.",
        min_length=1,
    )
    split: str | None = setting(
        None, "Split", "A part of the source, where it has parts, for example train."
    )
    size: int | None = setting(
        None,
        "Size",
        "Images become squares of so many pixels each way; without it they keep the size of the "
        "source.",
        unit="pixels",
        ge=4,
        le=1024,
    )
    channels: Literal[1, 3] | None = setting(
        None, "Channels", "1 is grey, 3 is colour; without it as in the source."
    )
    crop: Literal["center", "pad", "stretch"] = setting(
        "center",
        "Crop",
        "How a rectangle becomes a square: center cuts, pad adds white, stretch distorts.",
        advanced=True,
    )
    box: int | None = setting(
        None,
        "Box",
        "First cut the middle square of so many pixels out of each file, for example 148 for the "
        "tight face crop of CelebA.",
        unit="pixels",
        advanced=True,
        ge=1,
        le=4096,
    )
    limit: int | None = setting(
        None, "At most", "Use at most so many images of the source.", unit="images", ge=1
    )
    flip: bool = setting(
        False,
        "Mirror at random",
        "Mirror every image with probability one half; labels stay as they are.",
    )
    labels: Names | None = setting(
        None,
        "Labels",
        "Names of the labels to train with; without it all that there are.",
        advanced=True,
    )
    held_out: HeldOut = setting(HeldOut(), "Held-out images", "Images to measure on.")


class TrainTable(Table):
    """``[train]``: how long and how."""

    steps: int | None = setting(
        None,
        "Steps",
        "Optimiser steps; give exactly one of steps, images_seen and epochs.",
        unit="steps",
        group="Length",
        ge=1,
        le=MOST_STEPS,
    )
    images_seen: int | None = setting(
        None,
        "Images seen",
        "Images trained on, counted with repetition; give exactly one of steps, images_seen and "
        "epochs.",
        unit="images",
        ge=1,
        le=MOST_STEPS,
    )
    epochs: float | None = setting(
        None,
        "Epochs",
        "Passes over the data; give exactly one of steps, images_seen and epochs.",
        gt=0,
        le=1_000_000,
    )
    batch_size: int = setting(
        64,
        "Batch size",
        "Images a step, over all processes together.",
        unit="images",
        ge=1,
        le=2**20,
    )
    seed: int = setting(
        0,
        "Seed",
        "Of the first weights, the order of the images and the training noise.",
        ge=0,
        lt=2**62,
    )
    optimizer: Literal["adam", "adamw"] = setting(
        "adam",
        "Optimiser",
        "adam (Kingma and Ba 2015), or adamw with decoupled weight decay (Loshchilov and Hutter "
        "2019).",
        group="Optimiser",
        advanced=True,
    )
    learning_rate: float = setting(
        1e-3,
        "Learning rate",
        "Length of a step, at the top of the schedule.",
        gt=0,
        le=100,
        allow_inf_nan=False,
    )
    betas: tuple[Beta, Beta] = setting(
        (0.9, 0.999),
        "Betas",
        "Decay of the two moments of the optimiser.",
        advanced=True,
        strict=False,
    )
    weight_decay: float = setting(
        0.0,
        "Weight decay",
        "Pulls weights to 0: an L2 term for adam, decoupled for adamw.",
        advanced=True,
        ge=0,
        allow_inf_nan=False,
    )
    schedule: Literal["constant", "cosine", "linear"] = setting(
        "constant",
        "Schedule",
        "How the learning rate falls to 0 after the warm-up; constant does not fall.",
    )
    warmup_steps: int = setting(
        0,
        "Warm-up",
        "Steps over which the learning rate rises from 0.",
        unit="steps",
        advanced=True,
        ge=0,
        le=MOST_STEPS,
    )
    clip_norm: float = setting(
        0.0,
        "Largest gradient",
        "A gradient whose norm is larger is shortened to it; 0 means no limit.",
        advanced=True,
        ge=0,
        allow_inf_nan=False,
    )
    ema_decay: float = setting(
        0.999,
        "Moving average",
        "Decay of the moving average of the weights, which is what is kept; 0 means none.",
        advanced=True,
        ge=0,
        lt=1,
    )
    ema_half_life: int = setting(
        0,
        "Half-life of the average",
        "After so many images a weight counts half as much in the moving average, whatever the "
        "batch size; 0 takes the decay above as it stands.",
        unit="images",
        advanced=True,
        ge=0,
    )
    precision: Literal["fp32", "bf16", "fp16"] = setting(
        "fp32",
        "Precision",
        "bf16 runs matrix products in bfloat16, fp16 in float16 with a scaled loss (for GPUs "
        "without bfloat16); the weights stay float32.",
        group="Speed and memory",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = setting(
        "auto", "Device", "auto is CUDA, then MPS, then CPU."
    )
    accumulate: int = setting(
        1,
        "Parts of a batch",
        "A step's batch is divided into so many parts, to save memory; the batch of a step stays "
        "batch_size.",
        advanced=True,
        ge=1,
        le=4096,
    )
    compile: Literal["off", "on", "measure"] = setting(
        "off",
        "Compile",
        "on compiles the networks (torch.compile); measure times the first steps both ways and "
        "goes on with the faster.",
        advanced=True,
    )
    deterministic: bool = setting(
        False,
        "Deterministic",
        "Only algorithms that give the same bits every time, at some cost in speed.",
        advanced=True,
    )
    channels_last: bool = setting(
        False,
        "Channels innermost",
        "Store images with the channels innermost: faster convolutions on a CPU and on tensor "
        "cores.",
        advanced=True,
    )
    threads: int = setting(
        0,
        "CPU threads",
        "Threads of torch; 0 leaves its own choice.",
        advanced=True,
        ge=0,
        le=1024,
    )
    num_workers: int = setting(
        1,
        "Reading threads",
        "Threads that read images ahead.",
        advanced=True,
        ge=1,
        le=64,
    )
    log_every: int = setting(
        10,
        "Log every",
        "Steps between two points of the curves.",
        unit="steps",
        group="What is shown and kept",
        advanced=True,
        ge=1,
    )
    sample_every: int = setting(
        500,
        "Samples every",
        "Steps between two sheets of samples; 0 means none but the last.",
        unit="steps",
        ge=0,
    )
    sample_count: int = setting(
        64, "Samples", "Images on a sheet.", unit="images", advanced=True, ge=1, le=1024
    )
    checkpoint_every_minutes: float = setting(
        5.0,
        "Checkpoint every",
        "Time between two checkpoints; 0 means none but the last.",
        unit="minutes",
        ge=0,
        allow_inf_nan=False,
    )
    keep_checkpoints: int = setting(
        3,
        "Checkpoints kept",
        "Older ones are deleted; 0 keeps all.",
        advanced=True,
        ge=0,
    )
    keep_best: bool = setting(
        True,
        "Keep the best",
        "Also keep the checkpoint with the smallest held-out loss.",
        advanced=True,
    )
    trackers: Annotated[tuple[Tracker, ...], Field(strict=False)] = setting(
        (),
        "Trackers",
        "Where metrics go beside the run's own events, for example tensorboard.",
        advanced=True,
    )

    @model_validator(mode="after")
    def _one_length(self) -> TrainTable:
        given = [n for n in ("steps", "images_seen", "epochs") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(
                "give exactly one of steps, images_seen and epochs"
                + (f", not {' and '.join(given)}" if given else "")
            )
        return self

    def total_steps(self, num_images: int) -> int:
        """Return the optimiser steps of the whole run on ``num_images`` training images."""
        if self.steps is not None:
            return self.steps
        if self.images_seen is not None:
            return max(1, -(-self.images_seen // self.batch_size))
        return max(1, round((self.epochs or 0) * (num_images // self.batch_size)))


class OutputTable(Table):
    """``[output]``: the model file at the end."""

    id: str = setting(
        "",
        "Id",
        "Short name of letters, digits, '.', '_' and '-'; without it the name of the recipe's "
        "file.",
        form="letters, digits, '.', '_' and '-', a letter or digit first",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$|^$",
        max_length=100,
    )
    title: str = setting("", "Title", "The name that a card shows.", max_length=200)
    half: bool = setting(
        True,
        "Half precision",
        "Store the weights in half precision; quality is measured on the stored values.",
        advanced=True,
    )


def _at_family(error: LatentLabError, family: str) -> ValidationError:
    kind = PydanticCustomError("family", "{message}", {"message": error.message})
    details = InitErrorDetails(type=kind, loc=("family",), input=family)
    return ValidationError.from_exception_data("Recipe", [details])


class Recipe(Table):
    """A whole training recipe."""

    model: SerializeAsAny[ModelTable]
    data: DataTable
    train: TrainTable
    output: OutputTable = OutputTable()

    @field_validator("model", mode="wrap")
    @classmethod
    def _of_its_family(cls, value: Any, handler: Any) -> ModelTable:
        """Check ``[model]`` with the settings of its family."""
        family = value.get("family") if isinstance(value, dict) else None
        if isinstance(family, str) and family:
            try:
                table = model_table(family)
            except LatentLabError as error:
                raise _at_family(error, family) from error
            return table.model_validate(value)
        return handler(value)

    def resolved(self) -> dict[str, Any]:
        """Return plain tables with every default filled in, leaving out what is ``None``."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_toml(self) -> str:
        """Return the resolved recipe as TOML; reading it back gives an equal recipe."""
        return dump_toml(self.resolved())
