"""What a recipe would take, measured over its first steps by a process of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Any

import psutil

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import parse_recipe
from latentlab.core.requests import Failure
from latentlab.services.failures import describe_exit
from latentlab.services.run_process import command, creation, environment, kill_tree, step_back

_PREFIX = "latentlab: "


class EstimateProcess:
    """Measures a recipe with ``latentlab train RECIPE --estimate --json``; see ``poll``.

    Its files are gone once it has ended, was cancelled, or this object is forgotten.

    Args:
        recipe_text: TOML; a wrong one is the first answer of ``poll``.
    """

    def __init__(self, recipe_text: str) -> None:
        self._result: dict[str, Any] | Failure | None = None
        self._finalizer: weakref.finalize | None = None
        self._process: subprocess.Popen[bytes] | None = None
        try:
            parse_recipe(recipe_text)
            self._folder = Path(tempfile.mkdtemp(prefix="latentlab-estimate-"))
            self._process = _start(self._folder, recipe_text)
        except LatentLabError as error:
            self._result = Failure(error.message, error.details)
            return
        except OSError as error:
            self._result = Failure(f"The recipe could not be measured ({error.strerror}).")
            return
        self._finalizer = weakref.finalize(self, _end, self._process, self._folder)

    def poll(self) -> dict[str, Any] | Failure | None:
        """Return the figures, or why there are none; ``None`` while they are measured.

        The figures are those of ``latentlab.training.estimate``; after ``cancel`` there are none.
        """
        if self._result is None and self._process is not None:
            code = self._process.poll()
            if code is not None:
                self._result = _read(self._folder, code)
                self._leave()
        return self._result

    def cancel(self) -> None:
        """End the measurement and all that it started.

        A thread waits until the processes are gone: a device may hold one for seconds.
        """
        process, self._process = self._process, None
        if process is not None and self._finalizer is not None:
            if process.poll() is None:
                kill_tree(process.pid)
            name = "latentlab-estimate-end"
            threading.Thread(target=self._finalizer, name=name).start()

    def _leave(self) -> None:
        self._process = None
        if self._finalizer is not None:
            self._finalizer()


def _start(folder: Path, text: str) -> subprocess.Popen[bytes]:
    try:
        recipe = folder / "recipe.toml"
        recipe.write_text(text, "utf-8")
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            process = subprocess.Popen(
                command(["train", str(recipe), "--estimate", "--json"]),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                # What it leaves when it is killed goes with the folder.
                env=environment() | dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(folder)),
                **creation(detached=False),
            )
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    step_back(process.pid)
    return process


def _end(process: subprocess.Popen[bytes], folder: Path) -> None:
    if process.poll() is None:
        # It is not reaped before this, so that the number is still its own.
        psutil.wait_procs(kill_tree(process.pid), timeout=0)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
    shutil.rmtree(folder, ignore_errors=True)


def _read(folder: Path, code: int) -> dict[str, Any] | Failure:
    said = (folder / "err").read_text("utf-8", "replace")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if code == 0:
        try:
            figures = json.loads((folder / "out").read_text("utf-8"))
            if isinstance(figures, dict):
                return figures
        except ValueError:
            pass
        return Failure("The recipe could not be measured: its figures cannot be read.", said)
    if lines and lines[-1].startswith(_PREFIX):
        return Failure(lines[-1].removeprefix(_PREFIX), said)
    if code < 0:
        return Failure(describe_exit(code, "Measuring the recipe").message, said)
    reason = f" ({lines[-1]})" if lines else ""
    return Failure(f"The recipe could not be measured{reason}.", said)
