"""Run by CI: everything but ``latentlab.ui`` imports, and the command line works, without Qt."""

from __future__ import annotations

import importlib
import importlib.abc
import pkgutil
import sys
import tempfile
from pathlib import Path

QT = ("PySide6", "shiboken6", "pyqtgraph", "superqt", "qtpy")


class NoQt(importlib.abc.MetaPathFinder):
    """Makes Qt look as if it were not installed."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Refuse Qt's packages; leave everything else to the other finders."""
        if fullname.split(".")[0] in QT:
            raise ModuleNotFoundError(f"No module named '{fullname}'", name=fullname)


def main() -> None:
    """Import every module but the window's, then draw a grid with the command line."""
    sys.meta_path.insert(0, NoQt())
    import latentlab

    names = [
        m.name for m in pkgutil.walk_packages(latentlab.__path__, "latentlab.", lambda _: None)
    ]
    names = [n for n in names if not n.startswith("latentlab.ui")]
    for name in names:
        importlib.import_module(name)
    from latentlab.cli import main as cli

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "grid.png"
        code = cli(["sample", "portraits-vae", "--seeds", "0-3", "--out", str(out)])
        if code or not out.is_file():
            sys.exit("sample did not work without Qt")
        if cli(["gui"]) != 2:
            sys.exit("gui without Qt must say so and exit with 2")
    print(f"{len(names)} modules import and the command line works without Qt")


if __name__ == "__main__":
    main()
