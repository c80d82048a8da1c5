"""What a recipe means, in a few sentences. No torch here."""

from __future__ import annotations

from typing import Any

from latentlab.core.families.registry import family_title
from latentlab.core.recipe_tables import Recipe, TrainTable
from latentlab.core.settings_schema import settings


def changed_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the values, by dotted key, that are not the defaults of their settings."""
    found = {}
    tables = recipe.resolved()
    for setting in settings(recipe.model.family):
        values: Any = tables
        for part in setting.key.split("."):
            values = values.get(part) if isinstance(values, dict) else None
        if values is not None and values != setting.default:
            found[setting.key] = values
    return found


def recipe_summary(recipe: Recipe) -> list[str]:
    """Return what is trained, on what, for how long, and what is kept: a sentence each."""
    model, train = recipe.model, recipe.train
    own = {k[6:]: v for k, v in changed_settings(recipe).items() if k.startswith("model.")}
    values = ", ".join(f"{name} {_spelled(value)}" for name, value in own.items())
    name = f"'{recipe.output.id}'" if recipe.output.id else "without an id"
    return [
        f"Model: {family_title(model.family)}, {name}"
        + (f", with {values}." if values else ", with the defaults of its family."),
        _images(recipe),
        _held_out(recipe),
        f"Training: {_length(train)} in batches of {train.batch_size}, {train.optimizer} at "
        f"{train.learning_rate:g} ({train.schedule}), {train.precision}, seed {train.seed}.",
        _kept(train),
    ]


def _images(recipe: Recipe) -> str:
    data = recipe.data
    size = f"{data.size} x {data.size} pixels" if data.size else "the size of the source"
    colour = {1: "grey", 3: "colour", None: "colour as in the source"}[data.channels]
    part = f", split {data.split}" if data.split else ""
    mirrored = ", mirrored at random" if data.flip else ""
    limit = f", at most {data.limit:,}" if data.limit else ""
    return f"Images: {data.source}{part}{limit}; {size}, {colour}{mirrored}."


def _held_out(recipe: Recipe) -> str:
    held = recipe.data.held_out
    if held.source is None and held.split is None:
        return f"Held out: up to {held.count:,} of these images, at most a tenth."
    where = held.source or recipe.data.source
    part = f", split {held.split}" if held.split else ""
    return f"Held out: up to {held.count:,} images of {where}{part}."


def _length(train: TrainTable) -> str:
    if train.epochs is not None:
        return f"{train.epochs:g} passes over the images"
    steps = train.total_steps(0)
    if train.images_seen is None:
        return f"{steps:,} steps ({steps * train.batch_size:,} images seen)"
    return f"{train.images_seen:,} images seen ({steps:,} steps)"


def _kept(train: TrainTable) -> str:
    minutes = train.checkpoint_every_minutes
    every = f"every {minutes:g} minutes" if minutes else "at the end"
    kept = f"the last {train.keep_checkpoints}" if train.keep_checkpoints else "all"
    best = " and the best" if train.keep_best else ""
    return f"Checkpoints: {every}; {kept}{best} are kept."


def _spelled(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
