"""Where things are: bundled assets, and the person's own folders. Nothing is created here."""

from __future__ import annotations

import importlib.resources
import os
from pathlib import Path

import platformdirs

HOME_VARIABLE = "LATENTLAB_HOME"
"""Environment variable that puts all of the person's folders under one place."""


def asset_path(*parts: str) -> Path:
    """Return a bundled file or folder: inside the wheel, or the repository's ``assets/``."""
    package = Path(str(importlib.resources.files("latentlab")))
    installed = package / "assets"
    root = installed if installed.is_dir() else package.parent / "assets"
    return root.joinpath(*parts)


def _user_folder(kind: str) -> Path:
    home = os.environ.get(HOME_VARIABLE)
    if home:
        return Path(home).expanduser() / kind
    return Path(getattr(platformdirs, f"user_{kind}_path")("latentlab", appauthor=False))


def data_folder() -> Path:
    """What the person keeps: own models, downloaded models, saved latents."""
    return _user_folder("data")


def config_folder() -> Path:
    """Settings."""
    return _user_folder("config")


def cache_folder() -> Path:
    """What can be made again: image caches, maps."""
    return _user_folder("cache")


def state_folder() -> Path:
    """What outlives a run but is not the person's work: autosaves, logs."""
    return _user_folder("state")


def models_folder() -> Path:
    """The person's own model folder, read beside the bundled models."""
    return data_folder() / "models"


def runs_folder() -> Path:
    """Where training runs go when no other folder is named: each has a folder of its own there."""
    return data_folder() / "runs"
