"""Sample sheets, read in a thread and kept as long as there is room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PySide6.QtCore import QObject, Qt, Signal

from latentlab.core.requests import Failure
from latentlab.services.run_watch_protocol import SampleSheet

Sheet = NDArray[np.uint8] | Failure
MAX_PIXELS = 2**26
MAX_BYTES = 96 * 2**20


def read_sheet(path: Path) -> Sheet:
    """Return a sheet, uint8 ``(H, W, C)`` with C 1 or 3, or why it cannot be shown."""
    try:
        # What training writes; other formats of a folder from elsewhere may start programs.
        with Image.open(path, formats=("PNG",)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                return Failure(f"'{path.name}' is too large to be a sample sheet.")
            grey = picture.mode in ("L", "1", "I;16")
            array = np.asarray(picture.convert("L" if grey else "RGB"))
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError) as error:
        return Failure(f"'{path.name}' cannot be read as an image.", str(error))
    return array[..., None] if array.ndim == 2 else array


class SheetLoader(QObject):
    """Reads what is wanted, the most wanted first; a thread lives while there is work.

    Signals:
        arrived: a ``SampleSheet`` that was read.
    """

    arrived = Signal(object)
    _read = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._kept: OrderedDict[SampleSheet, Sheet] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._wanted: list[SampleSheet] = []
        self._working = False
        self._read.connect(self._take, Qt.ConnectionType.QueuedConnection)

    def get(self, sheet: SampleSheet) -> Sheet | None:
        """Return a sheet that is here."""
        found = self._kept.get(sheet)
        if found is not None:
            self._kept.move_to_end(sheet)
        return found

    def want(self, sheets: Iterable[SampleSheet]) -> None:
        """Read these next, in this order; what was wanted before counts no more."""
        missing = [sheet for sheet in dict.fromkeys(sheets) if sheet not in self._kept]
        with self._lock:
            self._wanted = missing
            start = bool(missing) and not self._working
            self._working = self._working or start
        if start:
            threading.Thread(target=self._work, name="latentlab-sheets", daemon=True).start()

    def _forget(self, sheet: SampleSheet) -> None:
        gone = self._kept.pop(sheet, None)
        if isinstance(gone, np.ndarray):
            self._bytes -= gone.nbytes

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._wanted:
                    self._working = False
                    return
                sheet = self._wanted.pop(0)
            picture = read_sheet(sheet.path)
            try:
                self._read.emit(sheet, picture)
            except RuntimeError:
                # The window was closed meanwhile.
                return

    def _take(self, sheet: SampleSheet, picture: Sheet) -> None:
        self._forget(sheet)
        self._kept[sheet] = picture
        self._bytes += picture.nbytes if isinstance(picture, np.ndarray) else 0
        while self._bytes > MAX_BYTES and len(self._kept) > 2:
            self._forget(next(iter(self._kept)))
        self.arrived.emit(sheet)
