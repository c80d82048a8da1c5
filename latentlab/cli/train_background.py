"""``latentlab train --background``: training as a process of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentlab.cli.common import print_json
from latentlab.core.errors import LatentLabError


def train_in_background(
    folder: Path,
    *,
    recipe: Path | None = None,
    overrides: Mapping[str, Any],
    warm_start: Path | None = None,
    resume: bool = False,
    finish: bool = False,
    options: tuple[str, ...] = (),
    as_json: bool = False,
) -> int:
    """Start, resume or finish a run apart from this process, and say how it is watched.

    Args:
        folder: of the run.
        recipe: of a new run.
        overrides: recipe values by dotted key, for a new run.
        warm_start: weights of a new run.
        resume: go on with the run in the folder.
        finish: measure it as it stands.
        options: further words for ``latentlab train``.
        as_json: print JSON instead of sentences.

    Returns:
        The exit code.

    Raises:
        LatentLabError: a wrong recipe, no run, or a folder in use.
    """
    from latentlab.core.recipe import load_recipe
    from latentlab.services.launcher import finish_run_process, resume_run, start_run

    if "RANK" in os.environ:
        raise LatentLabError("--background starts one process: leave it out with torchrun.")
    if recipe is not None and (resume or finish):
        raise LatentLabError(
            "In the background, --resume and --finish take the run's own recipe: name its folder "
            "with --run-dir, and no recipe."
        )
    if finish:
        pid = finish_run_process(folder, options=options)
    elif resume:
        pid = resume_run(folder, options=options)
    elif recipe is not None:
        text = load_recipe(recipe, overrides).to_toml()
        pid = start_run(text, folder, warm_start=warm_start, options=options)
    else:
        raise LatentLabError("Name a recipe, or a run folder with --run-dir and --resume.")
    if as_json:
        print_json({"run_dir": folder, "pid": pid})
    else:
        print(f"The run in {folder} is process {pid}; it goes on when this terminal closes.")
        print(f"Watch it: latentlab runs watch {folder}")
        print(f"Stop it:  latentlab runs stop {folder}")
    return 0
