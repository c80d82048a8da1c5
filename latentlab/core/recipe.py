"""Recipes: what to train, on which data and how, as a TOML file. No torch here."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from latentlab.core.errors import LatentLabError

MAX_RECIPE_BYTES = 2**20
_TABLE = re.compile(r"^\s*\[\s*([A-Za-z0-9_.\-\"' ]+?)\s*\]")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-]+(?:\s*\.\s*[A-Za-z0-9_\-]+)*)\s*=")


class Settings(BaseModel):
    """A table of a recipe: never changes, takes no unknown key, converts no type silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())


class ModelTable(BaseModel):
    """``[model]``: the family, and settings that the family itself checks."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, protected_namespaces=())

    family: str = Field(min_length=1)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything but the family."""
        return dict(self.model_extra or {})


class HeldOut(Settings):
    """``[data.held_out]``: images that are never trained on; they measure the model.

    Attributes:
        source: another source; ``None`` means the training source.
        split: another split of the source.
        count: at most so many images. Without a source and a split of its own, so many images are
            taken out of the training images (at most a tenth of them).
    """

    source: str | None = None
    split: str | None = None
    count: int = Field(default=2000, ge=1)


class DataTable(Settings):
    """``[data]``: where the images come from and how they are brought to size.

    Attributes:
        source: a folder, a file, or a named source such as ``portraits:count=20000,seed=1``.
        split: a part of the source, where it has parts (``train``, ``test``).
        size: images become squares of so many pixels; ``None`` keeps the source's size.
        channels: 1 (grey) or 3 (colour); ``None`` keeps the source's.
        crop: how a rectangle becomes a square: ``center`` cuts, ``pad`` adds white, ``stretch``
            distorts.
        box: first cut the middle ``box`` x ``box`` pixels of each file, for example 148 for the
            tight face crop of CelebA.
        limit: at most so many images.
        flip: mirror every image with probability one half; labels stay as they are.
        labels: names of the labels to train with; ``None`` means all that there are.
        held_out: images to measure on.
    """

    source: str = Field(min_length=1)
    split: str | None = None
    size: int | None = Field(default=None, ge=4, le=1024)
    channels: Literal[1, 3] | None = None
    crop: Literal["center", "pad", "stretch"] = "center"
    box: int | None = Field(default=None, ge=1, le=4096)
    limit: int | None = Field(default=None, ge=1)
    flip: bool = False
    labels: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    held_out: HeldOut = HeldOut()


class TrainTable(Settings):
    """``[train]``: how long and how.

    Attributes:
        steps: optimiser steps; give exactly one of ``steps``, ``images_seen`` and ``epochs``.
        images_seen: images, counted with repetition.
        epochs: passes over the data.
        batch_size: images a step, over all processes together.
        seed: of the initial weights, the order of the images and the training noise.
        optimizer: ``adam`` (Kingma and Ba 2015) or ``adamw`` (Loshchilov and Hutter 2019).
        learning_rate: at the top of the schedule.
        betas: decay of the two moments.
        weight_decay: L2 term for ``adam``, decoupled for ``adamw``.
        schedule: of the learning rate, after the warm-up.
        warmup_steps: steps of linear rise before it.
        clip_norm: largest norm of the whole gradient; 0 means no limit.
        ema_decay: of the moving average of the weights, which is what is kept; 0 means none.
        accumulate: micro-batches that a step's batch is divided into, to save memory; the batch
            of a step stays ``batch_size``.
        precision: ``bf16`` runs matrix products in bfloat16, ``fp16`` in float16 with a scaled
            loss (for GPUs without bfloat16); the weights stay float32.
        compile: ``on`` compiles the networks (``torch.compile``); ``measure`` times the first
            steps both ways and goes on with the faster.
        deterministic: only algorithms that give the same bits every time, at some cost in speed.
        channels_last: store images with the channels innermost (faster convolutions on a CPU and
            on tensor cores).
        device: ``auto`` is CUDA, then MPS, then CPU.
        threads: CPU threads of torch; 0 leaves its own choice.
        num_workers: threads that read images ahead.
        log_every: steps between two step events.
        sample_every: steps between two sample sheets; 0 means none but the last.
        sample_count: images on a sheet.
        checkpoint_every_minutes: wall time between two checkpoints; 0 means none but the last.
        keep_checkpoints: older ones are deleted; 0 keeps all.
        keep_best: also keep the checkpoint with the smallest held-out loss.
        trackers: where metrics go beside the events, in Accelerate's words: ``tensorboard``.
    """

    steps: int | None = Field(default=None, ge=1)
    images_seen: int | None = Field(default=None, ge=1)
    epochs: float | None = Field(default=None, gt=0)
    batch_size: int = Field(default=64, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**62)
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    betas: Annotated[tuple[float, float], Field(strict=False)] = (0.9, 0.999)
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    warmup_steps: int = Field(default=0, ge=0)
    clip_norm: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    accumulate: int = Field(default=1, ge=1, le=4096)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: Literal["off", "on", "measure"] = "off"
    deterministic: bool = False
    channels_last: bool = False
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: int = Field(default=0, ge=0, le=1024)
    num_workers: int = Field(default=1, ge=1, le=64)
    log_every: int = Field(default=10, ge=1)
    sample_every: int = Field(default=500, ge=0)
    sample_count: int = Field(default=64, ge=1, le=1024)
    checkpoint_every_minutes: float = Field(default=5.0, ge=0, allow_inf_nan=False)
    keep_checkpoints: int = Field(default=3, ge=0)
    keep_best: bool = True
    trackers: Annotated[
        tuple[Literal["tensorboard", "wandb", "mlflow", "comet_ml", "aim", "trackio"], ...],
        Field(strict=False),
    ] = ()

    @model_validator(mode="after")
    def _one_length(self) -> TrainTable:
        given = [n for n in ("steps", "images_seen", "epochs") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(
                "give exactly one of steps, images_seen and epochs"
                + (f", not {' and '.join(given)}" if given else "")
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError("both betas must lie in 0 to 1, 1 excluded")
        return self

    def total_steps(self, num_images: int) -> int:
        """Return the optimiser steps of the whole run on ``num_images`` training images."""
        if self.steps is not None:
            return self.steps
        if self.images_seen is not None:
            return max(1, -(-self.images_seen // self.batch_size))
        return max(1, round((self.epochs or 0) * (num_images // self.batch_size)))


class OutputTable(Settings):
    """``[output]``: the model file at the end.

    Attributes:
        id: short name; empty means the name of the recipe's file.
        title: the name that a card shows.
        half: store the weights in half precision (quality is measured on the stored values).
    """

    id: str = Field(default="", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$|^$")
    title: str = ""
    half: bool = True


class Recipe(Settings):
    """A whole training recipe."""

    model: ModelTable
    data: DataTable
    train: TrainTable
    output: OutputTable = OutputTable()

    def resolved(self) -> dict[str, Any]:
        """Return plain tables with every default filled in, leaving out what is ``None``."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_toml(self) -> str:
        """Return the resolved recipe as TOML; reading it back gives an equal recipe."""
        return dump_toml(self.resolved())


class RecipeText:
    """The text of a recipe, to tell on which line a setting stands."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._lines: dict[tuple[str, ...], int] = {}
        table: tuple[str, ...] = ()
        for number, line in enumerate(text.splitlines(), start=1):
            if found := _TABLE.match(line):
                table = tuple(part.strip(" \"'") for part in found[1].split("."))
                self._lines.setdefault(table, number)
            elif found := _KEY.match(line):
                key = tuple(part.strip() for part in found[1].split("."))
                self._lines.setdefault((*table, *key), number)

    def line(self, key: tuple[str, ...]) -> int:
        """Return the line of the key or, where it is not written, of its table; 0 for neither."""
        found = (self._lines.get(key[:length]) for length in range(len(key), 0, -1))
        return next((line for line in found if line), 0)

    def place(self, key: tuple[str, ...]) -> str:
        """Return ``file, line N``, or the file where there is no such line."""
        line = self.line(key)
        return f"{self.name}, line {line}" if line else self.name


def load_recipe(path: Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read and check a recipe.

    Args:
        path: a TOML file.
        overrides: values by dotted key (``train.steps``) that replace those of the file.

    Raises:
        LatentLabError: there is no such file, or it is not a recipe; the sentence names the file,
            the line and the key, and says what is allowed.
    """
    try:
        if path.stat().st_size > MAX_RECIPE_BYTES:
            raise LatentLabError(f"'{path}' is too large for a recipe: choose a TOML recipe file.")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LatentLabError(
            f"The recipe '{path}' cannot be read ({error.strerror}): check the name."
        ) from error
    except UnicodeDecodeError as error:
        raise LatentLabError(f"'{path}' is not text: choose a TOML recipe file.") from error
    return parse_recipe(text, path.name, overrides, default_id=path.stem)


def parse_recipe(
    text: str,
    name: str = "recipe",
    overrides: Mapping[str, Any] | None = None,
    default_id: str = "",
) -> Recipe:
    """Check the text of a recipe; see ``load_recipe``.

    Args:
        text: TOML.
        name: what messages call the text.
        overrides: values by dotted key.
        default_id: the model's id when ``[output]`` names none.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LatentLabError(f"{name} is not valid TOML: {error}.") from error
    for key, value in (overrides or {}).items():
        _override(tables, key, value)
    places = RecipeText(name, text)
    try:
        recipe = Recipe.model_validate(tables)
    except ValidationError as error:
        raise LatentLabError(_sentence(error, places)) from error
    if recipe.output.id or not default_id:
        return recipe
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", default_id).strip("-._") or "model"
    return recipe.model_copy(
        update={"output": recipe.output.model_copy(update={"id": clean})},
    )


def _override(tables: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    table = tables
    for part in path:
        child = table.setdefault(part, {})
        if not isinstance(child, dict):
            raise LatentLabError(f"'{key}' cannot be set: '{part}' is a value, not a table.")
        table = child
    if key in {"train.steps", "train.images_seen", "train.epochs"}:
        for other in ("steps", "images_seen", "epochs"):
            table.pop(other, None)
    table[last] = value


def _known(key: tuple[str, ...]) -> list[str]:
    """Return the settings that the table at ``key`` takes."""
    model: type[BaseModel] = Recipe
    for part in key:
        field = model.model_fields.get(part)
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)


def _sentence(error: ValidationError, places: RecipeText) -> str:
    found = [(tuple(p for p in e["loc"] if isinstance(p, str)), e) for e in error.errors()]
    key, first = min(found, key=lambda item: places.line(item[0]))
    where, dotted = places.place(key), ".".join(key)
    if first["type"] == "extra_forbidden":
        known = _known(key[:-1])
        close = difflib.get_close_matches(key[-1], known, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        table = f"[{'.'.join(key[:-1])}]" if key[:-1] else "a recipe"
        return f"{where}: '{dotted}' is not known; {hint}{table} takes {', '.join(known)}."
    if first["type"] == "missing":
        return f"{where}: '{dotted}' is missing: add it."
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if first["type"] == "value_error":
        return f"{where}: [{dotted}]: {message}."
    return f"{where}: '{dotted}' cannot be {first['input']!r}: {message}."


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's too, but for surrogates (not used here) and DEL (left as it is).
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float):
        # TOML wants a fraction or an exponent, and spells inf and nan as Python does.
        return repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items())
        return "{" + inside + "}"
    return _value(str(value))


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def dump_toml(tables: Mapping[str, Any], prefix: str = "") -> str:
    """Return nested mappings of strings, numbers, booleans and lists as TOML."""
    lines: list[str] = []
    for key, value in tables.items():
        if not isinstance(value, Mapping):
            lines.append(f"{_key(key)} = {_value(value)}")
    for key, value in tables.items():
        if isinstance(value, Mapping):
            name = f"{prefix}{_key(key)}"
            inner = dump_toml(value, f"{name}.")
            if lines:
                lines.append("")
            lines += [f"[{name}]", inner.rstrip("\n")]
    return "\n".join(lines) + "\n"
