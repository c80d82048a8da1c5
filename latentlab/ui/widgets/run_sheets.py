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

Sheet = NDArray[np.uint8] | Failure
MAX_PIXELS = 2**26
MAX_BYTES = 96 * 2**20


def read_sheet(path: Path) -> Sheet:
    """Return a sheet, uint8 ``(H, W, C)`` with C 1 or 3, or why it cannot be shown."""
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                return Failure(f"'{path.name}' is too large to be a sample sheet.")
            grey = picture.mode in ("L", "1", "I;16")
            array = np.asarray(picture.convert("L" if grey else "RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return Failure(f"'{path.name}' cannot be read as an image.", str(error))
    return array[..., None] if array.ndim == 2 else array


class SheetLoader(QObject):
    """Reads what is wanted, the most wanted first; a thread lives while there is work.

    Signals:
        arrived: path of a sheet that was read.
    """

    arrived = Signal(Path)
    _read = Signal(Path, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._kept: OrderedDict[Path, Sheet] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._wanted: list[Path] = []
        self._working = False
        self._read.connect(self._take, Qt.ConnectionType.QueuedConnection)

    def get(self, path: Path) -> Sheet | None:
        """Return a sheet that is here."""
        found = self._kept.get(path)
        if found is not None:
            self._kept.move_to_end(path)
        return found

    def want(self, paths: Iterable[Path]) -> None:
        """Read these next, in this order; what was wanted before counts no more."""
        missing = [path for path in dict.fromkeys(paths) if path not in self._kept]
        with self._lock:
            self._wanted = missing
            start = bool(missing) and not self._working
            self._working = self._working or start
        if start:
            threading.Thread(target=self._work, name="latentlab-sheets", daemon=True).start()

    def forget(self, path: Path) -> None:
        """Read a sheet anew the next time."""
        gone = self._kept.pop(path, None)
        if isinstance(gone, np.ndarray):
            self._bytes -= gone.nbytes

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._wanted:
                    self._working = False
                    return
                path = self._wanted.pop(0)
            sheet = read_sheet(path)
            try:
                self._read.emit(path, sheet)
            except RuntimeError:
                # The window was closed meanwhile.
                return

    def _take(self, path: Path, sheet: Sheet) -> None:
        self.forget(path)
        self._kept[path] = sheet
        self._bytes += sheet.nbytes if isinstance(sheet, np.ndarray) else 0
        while self._bytes > MAX_BYTES and len(self._kept) > 2:
            self.forget(next(iter(self._kept)))
        self.arrived.emit(path)
