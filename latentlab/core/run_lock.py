"""Who may write into a run folder: one process at a time, of all machines. No torch here."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time

import psutil

from latentlab.core.errors import LatentLabError
from latentlab.core.runs import Holder, RunFolder, boot_name, holder_of, lock_text, uptime_at

STALE_SECONDS = 180.0
"""A lock of another machine whose run told nothing for so long may be taken over."""


class RunLock:
    """Holds a run folder for this process; use as a context manager.

    Args:
        folder: of the run; it is made.
        take_over: also take it from a process on another machine that fell silent.

    Raises:
        LatentLabError: another process that is alive, or one on another machine, holds it.
    """

    def __init__(self, folder: RunFolder, take_over: bool = False) -> None:
        self._path, self._status = folder.lock, folder.status
        self._folder, self._take_over = folder.path, take_over
        self._mine = ""

    def __enter__(self) -> RunLock:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for _ in range(20):
                if self._take():
                    return self
                self._drop_stale()
        except FileExistsError as error:
            raise LatentLabError(
                f"'{self._folder}' is a file, not a folder: choose another run folder."
            ) from error
        except OSError as error:
            raise LatentLabError(
                f"The run folder '{self._folder}' cannot be written ({error.strerror}): "
                "choose another one."
            ) from error
        raise LatentLabError(
            f"The run folder '{self._folder}' is being taken by another process: try again."
        )

    def _take(self) -> bool:
        pid = os.getpid()
        process = psutil.Process(pid)
        record = {"pid": pid, "host": socket.gethostname(), "since": round(time.time(), 3)}
        record |= {"created": process.create_time(), "boot": boot_name()}
        record["uptime"] = round(uptime_at(process), 2)
        text = json.dumps(record)
        try:
            stream = self._path.open("x", encoding="utf-8")
        except FileExistsError:
            return False
        try:
            with stream:
                stream.write(text)
        except OSError:
            # The disk is full; an empty lock would stand in everybody's way.
            self._path.unlink(missing_ok=True)
            raise
        self._mine = text
        return True

    def _drop_stale(self) -> None:
        try:
            text = lock_text(self._path)
            age = time.time() - self._path.stat().st_mtime
        except FileNotFoundError:
            return
        held = holder_of(text)
        if held is None and abs(age) < 1.0:
            # Perhaps its owner is just writing it.
            time.sleep(0.15)
            return
        if held is not None:
            self._refuse(held)
        self._remove(text)

    def _refuse(self, held: Holder) -> None:
        """Raise when the folder is, or may be, in use."""
        where = f"The run folder '{self._folder}'"
        if held.alive:
            raise LatentLabError(
                f"{where} is in use by {held}: stop that run first or choose another folder."
            )
        if held.here:
            return
        silent = self._silence()
        if silent < STALE_SECONDS:
            raise LatentLabError(
                f"{where} is in use by {held}, which was at work {max(silent, 0):.0f} s ago: stop "
                "that run first or choose another folder."
            )
        if not self._take_over:
            raise LatentLabError(
                f"{where} was taken by {held}, which has told nothing for {silent / 60:.0f} min: "
                f"if it is gone, start with --take-over or delete '{self._path}'."
            )

    def _silence(self) -> float:
        """Return for how many seconds the run has told nothing.

        Times of files count, and not what is written in them: the clocks of two machines differ,
        and the disk that they share has one.
        """
        clock = self._path.with_name(f".clock-{os.getpid()}.part")
        clock.touch()
        try:
            now = clock.stat().st_mtime
        finally:
            clock.unlink(missing_ok=True)
        told = [p.stat().st_mtime for p in (self._path, self._status) if p.exists()]
        return now - max(told, default=now)

    def _remove(self, text: str) -> None:
        """Delete the lock if it still says ``text``; one process at a time may do so."""
        guard = self._path.with_name(".lock.part")
        try:
            guard.touch(exist_ok=False)
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):
                # One from the future is of a clock that was set back.
                if abs(time.time() - guard.stat().st_mtime) > 10.0:
                    guard.unlink()
            time.sleep(0.15)
            return
        try:
            with contextlib.suppress(FileNotFoundError):
                if lock_text(self._path) == text:
                    self._path.unlink()
        finally:
            guard.unlink(missing_ok=True)

    def taken_by(self) -> Holder | None:
        """Return the process that took the folder away from this one, if one did."""
        try:
            text = lock_text(self._path)
        except OSError:
            return None
        return None if text == self._mine else holder_of(text)

    def __exit__(self, *_: object) -> None:
        try:
            if lock_text(self._path) == self._mine:
                self._path.unlink(missing_ok=True)
        except OSError:
            # A folder that is gone needs no lock; a lock that stays names a process that ended.
            pass
