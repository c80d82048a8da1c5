"""The whole window over the worker of formulas: quick, and every pixel is known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QWidget

from latentlab.core.requests import JobRequest, JobResult
from latentlab.core.settings import Settings
from latentlab.services.library import ModelLibrary
from latentlab.ui.controller import Controller
from latentlab.ui.main_window import MainWindow
from latentlab.ui.theme import ThemeKeeper
from tests.ui.stage import FormulaBridge, directions, write_formula_model


class WindowBridge(FormulaBridge):
    """Adds what only the window asks of the bridge."""

    restarted = Signal()

    def __init__(self, size: int = 12) -> None:
        super().__init__(size)
        self.client = SimpleNamespace(pid=None)
        self.restarts: list[Any] = []
        self.cancelled: list[str] = []
        self.stopped = False

    def restart(self, settings: Any = None) -> None:
        self.restarts.append(settings)
        self.restarted.emit()

    def cancel(self, job: str) -> None:
        self.cancelled.append(job)
        self.job_finished.emit(JobResult(job, cancelled=True))

    def finish_jobs(self, kind: str, value: Any = None) -> list[JobRequest]:
        """Let all jobs of a kind end with a value; return them."""
        ending = [job for job in self.jobs if job.kind == kind]
        self.jobs = [job for job in self.jobs if job.kind != kind]
        for job in ending:
            self.job_finished.emit(JobResult(job.job, value=value))
        return ending

    def stop(self) -> None:
        self.stopped = True


def make_window(folder: Path, qapp: QApplication, names: tuple[str, ...] = ("waves",)) -> Any:
    for name in names:
        write_formula_model(folder, name)
    bridge = WindowBridge()
    bridge.directions = directions()
    controller = Controller(
        bridge, Settings(library_folders=(str(folder),)), ModelLibrary([folder])
    )
    theme = ThemeKeeper(qapp, "light")
    window = MainWindow(controller, bridge, theme, ask_unsaved=lambda _window: True)
    for part in (theme, bridge, controller):
        part.setParent(window)
    return window


def drop_on(widget: QWidget, data: QMimeData) -> bool:
    """Drop data onto a widget; return whether it was taken."""
    at = QPointF(widget.rect().center())
    copy, none = Qt.DropAction.CopyAction, Qt.KeyboardModifier.NoModifier
    left = Qt.MouseButton.LeftButton
    enter = QDragEnterEvent(at.toPoint(), copy, data, left, none)
    enter.setAccepted(False)
    QApplication.sendEvent(widget, enter)
    if not enter.isAccepted():
        return False
    event = QDropEvent(at, copy, data, left, none)
    event.setAccepted(False)
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


def file_data(*paths: Path) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return data


def differs(first: np.ndarray, second: np.ndarray) -> float:
    """Mean absolute difference of two grabs, 0 to 255."""
    return float(np.abs(first.astype(float) - second.astype(float)).mean())
