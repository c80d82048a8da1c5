"""A run whose disk is full from one step to another; run as a script under a real limit.

Usage: ``python -m tests.training.crowded RUN_DIR LIMIT|FILL FIRST LAST STEPS``. ``LIMIT`` lets no
file grow (``RLIMIT_FSIZE``, whose signal Python ignores); ``FILL`` fills the file system that the
run is on.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from latentlab.core.errors import LatentLabError
from latentlab.core.run_events import Event
from latentlab.core.runs import RunFolder
from latentlab.training import events, loop
from latentlab.training.run import train
from tests.training import tiny


class Crowd:
    """Makes the disk full after one step and gives room after another."""

    def __init__(self, run_dir: Path, how: str, first: int, last: int) -> None:
        self.folder, self.how = RunFolder(run_dir), how
        self.first, self.last = first, last
        self.filler = run_dir.parent / "filler"

    def __call__(self, event: Event) -> None:
        print(event.kind, event.step, event.data.get("message", ""), flush=True)
        if event.kind != "step":
            return
        if event.step == self.first:
            self.take()
        if event.step == self.last - 1:
            # What is there while nothing can be written.
            with self.room_for_this_process():
                shutil.copytree(self.folder.path, os.environ["COPY"])
        if event.step == self.last:
            self.give()

    def take(self) -> None:
        if self.how == "LIMIT":
            import resource

            # In the middle of the next line but one.
            size = self.folder.events.stat().st_size + 600
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            return
        with contextlib.suppress(OSError), self.filler.open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(64 if stream.tell() > 180_000 else 4096))

    @contextlib.contextmanager
    def room_for_this_process(self) -> Iterator[None]:
        if self.how == "FILL":
            yield
            return
        import resource

        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        yield
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    def give(self) -> None:
        if self.how == "LIMIT":
            import resource

            both = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            resource.setrlimit(resource.RLIMIT_FSIZE, both)
        else:
            self.filler.unlink()


def main() -> int:
    run_dir, how = Path(sys.argv[1]), sys.argv[2]
    first, last, steps = map(int, sys.argv[3:])
    tiny.install()
    tiny.TinyTrainer.pause = 0.01
    loop.RETRY_SECONDS, events._WAITS = 0.02, (0.01, 0.02, 0.03)
    recipe = tiny.recipe(steps, 0.0005)
    try:
        train(recipe, run_dir, resume=True, on_event=Crowd(run_dir, how, first, last))
    except LatentLabError as error:
        print(f"refused: {error.message}", flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
