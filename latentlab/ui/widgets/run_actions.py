"""What can be done with a run: when it can be, why not, and doing it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication

from latentlab.core.run_status import RunSummary
from latentlab.core.runs import RunFolder
from latentlab.services.commands import quote


@dataclass(frozen=True)
class RunAction:
    """One thing that can be done with a run.

    Attributes:
        id: name of the method of ``RunCommands``.
        title: with its mnemonic.
        icon: of the bundled ones.
        tip: what it does, when it can be done.
        key: shortcut inside the list.
        separator: a line above it in menus.
    """

    id: str
    title: str
    icon: str
    tip: str
    key: str = ""
    separator: bool = False


RUN_ACTIONS: tuple[RunAction, ...] = (
    RunAction("pause", "&Pause", "pause", "Write a checkpoint and wait; the process stays"),
    RunAction("proceed", "&Continue", "play", "Go on with the paused run"),
    RunAction("stop", "&Stop", "stop", "Write a checkpoint and end the process"),
    RunAction("resume", "&Resume", "resume", "Go on from the last checkpoint, in a new process"),
    RunAction(
        "end", "Stop at &once", "cancel", "End the process without a checkpoint; Resume repeats "
        "what came after the last one",
    ),
    RunAction(
        "explore", "Open in e&xplorer", "explore",
        "Show the newest checkpoint in every panel, and follow it while the run trains",
        separator=True,
    ),
    RunAction("open_model", "Open &finished model", "open", "Open the model of this run"),
    RunAction(
        "finish", "&Measure and finish", "measure",
        "Measure the run as it stands and write its model",
    ),
    RunAction(
        "duplicate", "D&uplicate…", "duplicate", "Begin a new run with the same recipe",
        "Ctrl+D", separator=True,
    ),
    RunAction("show_folder", "Show f&older", "folder", "Show the files of this run"),
    RunAction("copy_command", "Copy co&mmand", "command", "Copy the command that does the same"),
    RunAction(
        "delete", "&Delete", "delete", "Move this run to the trash of its folder; Undo brings it "
        "back", "Del", separator=True,
    ),
)  # fmt: skip
"""In the order of menus."""


def objection(action: str, run: RunSummary | None, has_checkpoint: bool = True) -> str:
    """Return why an action cannot be done with a run; empty when it can."""
    if run is None:
        return "Choose a run first."
    if action == "explore" and not has_checkpoint and not run.active and run.state != "finished":
        return "It has no checkpoint: resume it."
    check = _CHECKS.get(action)
    return "" if check is None else check(run)


def _elsewhere(run: RunSummary) -> bool:
    return bool(run.status.host) and run.status.host != socket.gethostname()


def _pause(run: RunSummary) -> str:
    if run.state in ("starting", "training"):
        return ""
    if run.state == "paused":
        return "It is paused already."
    return "Only a run that trains can be paused."


def _stop(run: RunSummary) -> str:
    return "" if run.active else "No process works on this run."


def _end(run: RunSummary) -> str:
    if not run.active:
        return "No process works on this run."
    if _elsewhere(run):
        return f"Its process is on '{run.status.host}': end it there, or use Stop."
    return ""


def _resume(run: RunSummary) -> str:
    if run.active:
        return "It runs already."
    return "This run is finished: duplicate it." if run.state == "finished" else ""


def _open_model(run: RunSummary) -> str:
    return "" if run.state == "finished" else "It is not finished: open it in the explorer."


def _finish(run: RunSummary) -> str:
    if run.active:
        return "Stop it first."
    if run.state == "finished":
        return "It is finished already."
    if not run.status.step:
        return "There is nothing to measure yet."
    return ""


def _delete(run: RunSummary) -> str:
    return "Stop it first: a process works on it." if run.active else ""


_CHECKS: dict[str, Callable[[RunSummary], str]] = {
    "pause": _pause,
    "proceed": lambda run: "" if run.state == "paused" else "It is not paused.",
    "stop": _stop,
    "end": _end,
    "resume": _resume,
    "open_model": _open_model,
    "finish": _finish,
    "delete": _delete,
}


_ASKED = {
    "pause": "Pausing",
    "proceed": "Continuing",
    "stop": "Stopping",
    "end": "Stopping",
}


class RunCommands(QObject):
    """Does what can be done with runs; what fails is a sentence in the window.

    Args:
        controller: of the window.

    Signals:
        said: one sentence, and what Undo does or ``None``.
        duplicate_asked: text of a recipe and a name for the new run.
        done: something was done with this run's folder.
    """

    said = Signal(str, object)
    duplicate_asked = Signal(str, str)
    done = Signal(object)

    def __init__(self, controller: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._asked: dict[Path, tuple[str, str]] = {}

    def asked(self, runs: Iterable[RunSummary]) -> dict[Path, str]:
        """Return, in a word, what was asked of runs that still stand as they did then."""
        states = {run.path: run.state for run in runs}
        self._asked = {p: (w, s) for p, (w, s) in self._asked.items() if states.get(p) == s}
        return {path: word for path, (word, _) in self._asked.items()}

    def act(self, action: str, run: RunSummary | None) -> None:
        """Do one of ``RUN_ACTIONS`` with a run, or say why it cannot be done."""
        why_not = objection(action, run)
        if why_not or run is None:
            self.said.emit(why_not, None)
            return
        with self._controller.reporting():
            getattr(self, action)(run.path)
            if action in _ASKED:
                self._asked[run.path] = (_ASKED[action], run.state)
        self.done.emit(run.path)

    def pause(self, path: Path) -> None:
        """Ask the run to wait."""
        from latentlab.services import launcher

        launcher.pause_run(path)

    def proceed(self, path: Path) -> None:
        """Let a paused run go on."""
        from latentlab.services import launcher

        launcher.continue_run(path)

    def stop(self, path: Path) -> None:
        """Ask the run to stop with a checkpoint."""
        from latentlab.services import launcher

        launcher.stop_run(path)

    def end(self, path: Path) -> None:
        """End the process of the run."""
        from latentlab.services import launcher

        launcher.end_run(path)

    def resume(self, path: Path) -> None:
        """Start a process that goes on with the run."""
        from latentlab.services import launcher

        launcher.resume_run(path)

    def finish(self, path: Path) -> None:
        """Start a process that measures the run and writes its model."""
        from latentlab.services import launcher

        launcher.finish_run_process(path)

    def duplicate(self, path: Path) -> None:
        """Offer the recipe of the run for a new one."""
        from latentlab.services import launcher

        self.duplicate_asked.emit(launcher.duplicate_text(path), path.name)

    def delete(self, path: Path) -> None:
        """Move the run to the trash; Undo brings it back."""
        from latentlab.services import launcher

        if self._controller.exploring == path:
            self._controller.stop_exploring()
        trash = launcher.delete_run(path)

        def undo() -> None:
            with self._controller.reporting():
                # Under another name, if its own was taken meanwhile.
                self.done.emit(launcher.restore_run(trash))

        self.said.emit(f"Deleted the run '{path.name}'.", undo)

    def explore(self, path: Path) -> None:
        """Follow the newest checkpoint in every panel, or stop doing so."""
        if self._controller.exploring == path:
            self._controller.stop_exploring()
        else:
            self._controller.explore_run(path)

    def open_model(self, path: Path) -> None:
        """Open the finished model."""
        self._controller.open_file(RunFolder(path).model)

    def show_folder(self, path: Path) -> None:
        """Show the files of the run."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))

    def copy_command(self, path: Path) -> None:
        """Copy the command that goes on with the run, or does it again when it is finished."""
        if RunFolder(path).model.is_file():
            again = path.with_name(f"{path.name}-again")
            words = ["train", str(RunFolder(path).recipe), "--run-dir", str(again)]
        else:
            words = ["train", "--run-dir", str(path), "--resume"]
        command = quote(["latentlab", *words])
        QGuiApplication.clipboard().setText(command)
        self._controller.message.emit("The command is on the clipboard", command)
