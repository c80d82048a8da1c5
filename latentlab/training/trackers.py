"""Metrics beside the events, through Accelerate's trackers: TensorBoard and others."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import Recipe
from latentlab.core.runs import RunFolder

if TYPE_CHECKING:
    from accelerate import Accelerator

PACKAGES = {"comet_ml": "comet_ml", "tensorboard": "tensorboard"}
LOCAL = "trackers"
"""Folder inside the run folder for trackers that write files."""


def check_trackers(recipe: Recipe) -> None:
    """Raise ``LatentLabError`` when a tracker of a recipe is not installed."""
    for name in recipe.train.trackers:
        package = PACKAGES.get(name, name)
        if importlib.util.find_spec(package) is None:
            raise LatentLabError(
                f"train.trackers asks for '{name}', which is not installed: pip install {package}, "
                "or leave it out."
            )


class Trackers:
    """Passes the figures of steps on to the trackers of a recipe.

    Args:
        accelerator: starts and feeds them, in the first process.
        recipe: names them; all of it is given to them.
        folder: the run; what is written locally goes below ``trackers/``.
        step: at which the attempt begins; what TensorBoard knows beyond it is dropped.
        warn: takes a sentence when a tracker fails later; training goes on without.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        recipe: Recipe,
        folder: RunFolder,
        step: int,
        warn: Callable[[str], None],
    ) -> None:
        self._accelerator, self._names = accelerator, recipe.train.trackers
        self._warn = warn
        if not self._names:
            return
        check_trackers(recipe)
        accelerator.trackers = []
        from accelerate.tracking import filter_trackers

        place = folder.path / LOCAL
        accelerator.project_configuration.logging_dir = str(place)
        accelerator.log_with = filter_trackers(list(self._names), str(place))
        kwargs: dict[str, dict[str, Any]] = {"tensorboard": {"purge_step": step + 1}}
        try:
            accelerator.init_trackers(
                _name(folder), init_kwargs={n: v for n, v in kwargs.items() if n in self._names}
            )
            for tracker in accelerator.trackers:
                # TensorBoard's own table of settings would be a second run beside the first.
                if tracker.name != "tensorboard":
                    tracker.store_init_configuration(_flat(recipe.resolved()))
        except Exception as error:
            raise LatentLabError(
                f"A tracker of train.trackers ({', '.join(self._names)}) cannot be started "
                f"({type(error).__name__}: {error}): set it up, or leave it out.",
                str(error),
            ) from error

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Pass on the figures of a step; parts of the loss get the name ``losses/<part>``."""
        if not self._names:
            return
        try:
            self._accelerator.log(_flat(values, "/"), step=step)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._warn(
            f"The trackers ({', '.join(self._names)}) failed ({type(error).__name__}: {error}): "
            "training goes on, and figures go to the events alone."
        )
        self._names = ()

    def close(self) -> None:
        """Let the trackers write what they hold."""
        trackers, self._accelerator.trackers = self._accelerator.trackers, []
        try:
            for tracker in trackers:
                tracker.finish()
        except Exception as error:
            self._give_up(error)


def _name(folder: RunFolder) -> str:
    return folder.path.resolve().name or "run"


def _flat(values: Mapping[str, Any], separator: str = ".", prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= _flat(value, separator, f"{name}{separator}")
        elif isinstance(value, list | tuple):
            flat[name] = ", ".join(map(str, value))
        elif value is not None:
            flat[name] = value
    return flat
