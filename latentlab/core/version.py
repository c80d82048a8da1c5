"""The version of this program, and the git revision that it runs from."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import subprocess
from pathlib import Path


@functools.cache
def version() -> str:
    """Return the installed version, or ``unknown`` when run from an unpacked folder."""
    try:
        return importlib.metadata.version("latentlab")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


@functools.cache
def revision() -> str:
    """Return the git revision of the checkout that the program runs from.

    ``+dirty`` follows when files of the checkout were changed. Without git, or outside a checkout
    (the package must be one of its files, not merely lie inside it), it is empty.
    """
    package = Path(__file__).resolve().parents[1]
    try:
        _git(package, "ls-files", "--error-unmatch", "__init__.py")
        found = _git(package, "rev-parse", "HEAD")
        dirty = _git(package, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return f"{found}+dirty" if dirty else found


def _git(folder: Path, *words: str) -> str:
    # A hook that runs the program leaves variables that point to another repository.
    kept = {n: v for n, v in os.environ.items() if not n.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=10.0,
        env=kept | {"GIT_OPTIONAL_LOCKS": "0"},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    return done.stdout.strip()
