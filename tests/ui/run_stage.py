"""Run folders as training leaves them, and a feed that reads them at once, in no process."""

from __future__ import annotations

import math
import os
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from latentlab.core.recipe import parse_recipe
from latentlab.core.run_events import Event
from latentlab.core.run_status import RunStatus, write_status
from latentlab.core.runs import RunFolder
from latentlab.services.run_watch_events import EventsReader
from latentlab.services.run_watch_files import FilesReader, RunsReader
from latentlab.services.run_watch_protocol import Told
from latentlab.ui.run_feed import RunFeed

RECIPE = """
[model]
family = "vae"
latent_dim = {latent_dim}

[data]
source = "portraits:count=2000,seed=1"
size = 32

[train]
steps = {total}
batch_size = 64
learning_rate = {learning_rate}
sample_every = 50
"""


def loss_at(step: int, noise: float = 0.0, seed: int = 0) -> float:
    """A falling loss, with the same noise for the same step."""
    rng = np.random.default_rng((seed, step))
    return 0.2 + 2.0 * math.exp(-step / 150) + noise * float(rng.normal())


def sheet_colour(step: int) -> tuple[int, int, int]:
    """What the whole sheet of a step looks like: other at each one."""
    return (step * 3 % 256, 255 - step * 2 % 256, step % 256)


def make_run(
    root: Path,
    name: str,
    state: str = "stopped",
    steps: int = 400,
    total: int = 400,
    every: int = 10,
    *,
    age: float = 0.0,
    message: str = "",
    noise: float = 0.05,
    seed: int = 0,
    scale: float = 1.0,
    latent_dim: int = 16,
    learning_rate: float = 0.001,
    samples: bool = True,
    resumed_at: int | None = None,
    start: float | None = None,
) -> Path:
    """Write a run folder with events, sheets and a status; return it."""
    folder = RunFolder(root / name)
    folder.path.mkdir(parents=True)
    text = RECIPE.format(latent_dim=latent_dim, total=total, learning_rate=learning_rate)
    folder.recipe.write_text(parse_recipe(text).to_toml(), "utf-8")
    made = time.time() - age - steps
    os.utime(folder.recipe, (made, made))
    begin = made if start is None else start
    attempt = 1
    with _Writer(folder, begin) as writer:
        writer.at(0, "start", family="vae", device="cpu", processes=1, data="portraits",
                  num_images=2000, num_held_out=200, parameters=3_839_252,
                  total_steps=total)  # fmt: skip
        for step in range(every, steps + 1, every):
            if resumed_at is not None and attempt == 1 and step > resumed_at:
                attempt = 2
                writer.attempt(2)
                writer.at(resumed_at, "start", family="vae", device="cpu", total_steps=total)
            value = scale * loss_at(step, noise, seed)
            writer.at(step, "step", total_steps=total, epoch=step / 31, loss=value,
                      losses={"reconstruction": value * 0.8, "kl": value * 0.2},
                      learning_rate=learning_rate * min(1.0, step / 100), grad_norm=1.0 / step,
                      images_per_second=500.0 + step % 7, seconds_left=float(total - step),
                      data_wait=0.06, memory_mb=890.0 + step / 10)  # fmt: skip
            if samples and step % 50 == 0:
                write_sheet(folder, step)
                writer.at(step, "sample", path=f"samples/{folder.sample(step).name}")
            if step % 100 == 0:
                writer.at(step, "checkpoint", path=f"checkpoints/{folder.checkpoint(step).name}",
                          held_out_loss=value + 0.05, best=step == 300)  # fmt: skip
        if state == "failed":
            writer.at(steps, "error", message=message, details="Traceback: the details")
    set_state(folder.path, state, steps, total, message=message, loss=scale * loss_at(steps))
    return folder.path


class _Writer:
    """Writes events with times of its own: a second a step, an hour before a second attempt."""

    def __init__(self, folder: RunFolder, begin: float) -> None:
        folder.path.mkdir(parents=True, exist_ok=True)
        self._stream = folder.events.open("a", encoding="utf-8", newline="\n")
        self._begin = begin
        self._attempt = 1

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def attempt(self, number: int) -> None:
        self._attempt = number

    def at(self, step: int, kind: Any, **data: Any) -> None:
        late = 3600.0 * (self._attempt - 1)
        event = Event(kind, self._begin + step + late, self._attempt, step, data)
        self._stream.write(event.to_json() + "\n")


def write_sheet(folder: RunFolder, step: int) -> None:
    """Write a sheet of one colour."""
    folder.samples.mkdir(exist_ok=True)
    Image.new("RGB", (48, 32), sheet_colour(step)).save(folder.sample(step))


def set_state(
    path: Path, state: Any, step: int, total: int = 400, *, message: str = "", **values: Any
) -> None:
    """Write how a run stands; an active one is said to be on another machine, and alive."""
    active = state in ("starting", "training", "paused", "measuring")
    known = {
        "time": time.time(), "pid": 4242, "family": "vae", "device": "cpu",
        "host": "elsewhere" if active else socket.gethostname(), "images_per_second": 512.0,
        "seconds_left": float(total - step),
    }  # fmt: skip
    status = RunStatus(state=state, step=step, total_steps=total, message=message,
                       **(known | values))  # fmt: skip
    write_status(RunFolder(path), status)


class StillFeed(RunFeed):
    """Reads everything on this thread, when ``look`` is called: no process, nothing to wait for."""

    def __init__(self, settings: Any, parent: Any = None) -> None:
        super().__init__(settings, parent)
        self._readers: dict[Path, tuple[int, EventsReader, FilesReader]] = {}

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self.look()

    def _wish(self) -> None:
        if self._started and not self._stopped:
            self.look()

    def refresh(self) -> None:
        self.look()

    def look(self) -> None:
        """Read all that is there, and tell."""
        for root in self._roots():
            for found in RunsReader(root).poll(True):
                self._take_found(found)
            known = set(self._found.get(root, {}))
            for path in known:
                if not RunFolder(path).recipe.is_file():
                    del self._found[root][path]
                    self._note_runs()
        for path, watched in list(self._watched.items()):
            reader = self._readers.get(path)
            if reader is None or reader[0] != watched.ticket:
                reader = (watched.ticket, EventsReader(RunFolder(path).events), FilesReader(path))
                self._readers[path] = reader
            ticket, events, files = reader
            for piece in events.poll():
                self._take(Told(path, ticket, piece))
            found_files = files.poll(events.merger, True)
            if found_files is not None:
                self._take(Told(path, ticket, found_files))
        self._teller.stop()
        self._tell()
