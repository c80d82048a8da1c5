"""Autosave every half minute, and the offer to restore after a crash."""

from __future__ import annotations

import threading

from PySide6.QtCore import QObject, QTimer, Signal

from latentlab.core.autosave import AutosaveFile, Recoverable, recoverable
from latentlab.core.document import Document
from latentlab.core.errors import LatentLabError
from latentlab.core.session import Session, load_session
from latentlab.ui.controller import Controller

INTERVAL_MS = 30_000


class SessionKeeper(QObject):
    """Writes unsaved work beside the person's files, in a thread of its own.

    Args:
        controller: whose work it keeps.
        interval_ms: time between two autosaves.

    Signals:
        failed: an autosave did not work; a ``LatentLabError``.
    """

    failed = Signal(object)

    def __init__(
        self, controller: Controller, interval_ms: int = INTERVAL_MS, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._file = AutosaveFile()
        self._written: Document | None = None
        self._thread: threading.Thread | None = None
        self._told = False
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.save)
        self._timer.start(interval_ms)
        self.failed.connect(self._tell)

    def save(self) -> None:
        """Write the work, if there is any that no file has."""
        controller = self._controller
        if self._thread is not None and self._thread.is_alive():
            return
        if not controller.dirty:
            if self._written is not None:
                self._clear()
            return
        if controller.document == self._written:
            return
        try:
            session = controller.session()
        except LatentLabError as error:
            self.failed.emit(error)
            return
        self._written = controller.document
        # Writing waits for the disk: never on the window's thread.
        self._thread = threading.Thread(
            target=self._write, args=(session,), name="latentlab-autosave"
        )
        self._thread.start()

    def _write(self, session: Session) -> None:
        try:
            self._file.write(session)
        except LatentLabError as error:
            self.failed.emit(error)

    def _tell(self, error: LatentLabError) -> None:
        if not self._told:
            self._told = True
            self._controller.message.emit(f"No autosave: {error.message}", error.details)

    def _clear(self) -> None:
        self._written = None
        try:
            self._file.clear()
        except LatentLabError as error:
            self.failed.emit(error)

    def close(self) -> None:
        """End as a program should: wait for the writer, and leave nothing behind."""
        self._timer.stop()
        if self._thread is not None:
            self._thread.join()
        self._clear()

    def found(self) -> Recoverable | None:
        """Return the newest session that a crash left behind."""
        left = recoverable()
        return left[0] if left else None

    def restore(self, left: Recoverable) -> None:
        """Open what a crash left; it counts as unsaved."""
        controller = self._controller
        with controller.reporting():
            controller.take_session(load_session(left.path))
            controller.saved_document = None
            controller.message.emit("Restored. Save the session to keep it.", "")
            # What was restored is autosaved under this program's name before the old file goes.
            self.save()
            if self._thread is not None:
                self._thread.join()
            left.discard()
