"""Work of a map that may take longer than a frame: done in a thread when there is much of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal

from latentlab.core.errors import LatentLabError
from latentlab.core.requests import Failure


class Background(QObject):
    """One piece of work at a time counts: the newest.

    Signals:
        changed: work in a thread began or ended.
    """

    changed = Signal()
    _done = Signal(object, object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._mark: object = None
        self.title = ""
        self._done.connect(self._finish, Qt.ConnectionType.QueuedConnection)

    def run(
        self,
        work: Callable[[], Any],
        take: Callable[[Any], None],
        failed: Callable[[Failure], None],
        *,
        much: bool = False,
        title: str = "",
    ) -> None:
        """Do work and hand its value on, both on the asking thread unless there is ``much``.

        Args:
            work: touches no widget; a ``LatentLabError`` goes to ``failed``.
            take: gets its value, on the asking thread.
            failed: gets the reason, on the asking thread.
            much: do it in a thread.
            title: what is being done.
        """
        self.stop()
        if not much:
            self._hand_on(_try(work), take, failed)
            return
        mark = self._mark = object()
        self.title = title

        def attempt() -> None:
            found = _try(work)
            try:
                self._done.emit(mark, found, (take, failed))
            except RuntimeError:
                # The window was closed meanwhile.
                return

        threading.Thread(target=attempt, name="latentlab-map", daemon=True).start()
        self.changed.emit()

    def stop(self) -> None:
        """What is being done counts no more."""
        if self._mark is not None:
            self._mark, self.title = None, ""
            self.changed.emit()

    def _finish(self, mark: object, found: Any, takers: Any) -> None:
        if mark is self._mark:
            self.stop()
            self._hand_on(found, *takers)

    def _hand_on(
        self, found: Any, take: Callable[[Any], None], failed: Callable[[Failure], None]
    ) -> None:
        if isinstance(found, LatentLabError):
            failed(Failure(found.message, found.details))
        else:
            take(found)


def _try(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except LatentLabError as error:
        return error
    except Exception as error:
        return LatentLabError(f"The map cannot be shown ({type(error).__name__}: {error}).")
