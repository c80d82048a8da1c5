"""Starting our own processes without running the asker's script in them again."""

from __future__ import annotations

import sys
import threading
import types
from multiprocessing.context import SpawnProcess

_starting = threading.Lock()


def start_process(process: SpawnProcess) -> None:
    """Start a spawned process whose target is a function of this package.

    A spawned process imports the main module of its parent first, so that functions of a script can
    be sent to it. Ours are named by module: skipping it saves the import of the command line (150
    ms), and a script without an ``if __name__ == "__main__"`` does not start itself over and over.
    """
    with _starting:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            process.start()
        finally:
            sys.modules["__main__"] = main
