"""Which device the networks run on, and what this machine offers. Torch is imported when asked."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from latentlab.core import paths
from latentlab.core.errors import LatentLabError
from latentlab.core.version import version

if TYPE_CHECKING:
    import torch

    from latentlab.services.library import ModelLibrary

EXTRAS: dict[str, tuple[str, ...]] = {
    "video": ("av",),
    "manifold": ("openTSNE", "umap", "pacmap"),
    "metrics": ("torchmetrics",),
    "fastcpu": ("onnxruntime", "onnx", "onnxscript"),
}
"""Modules of each optional extra."""


def choose_device(preference: str = "auto") -> torch.device:
    """Return the device to use: CUDA, then MPS, then CPU, or what the person chose.

    Args:
        preference: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.

    Raises:
        LatentLabError: there is no such device here.
    """
    import torch

    if preference == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(preference)
    except RuntimeError as error:
        raise LatentLabError(
            f"'{preference}' is no device: choose auto, cpu, mps, cuda or cuda:N."
        ) from error
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(device.type, False):
        raise LatentLabError(
            f"There is no device '{preference}' here: choose auto, or one that "
            "`latentlab doctor` lists."
        )
    return device


def describe_device(device: torch.device) -> str:
    """Return a short name for the status bar, for example ``cpu, 2 threads``."""
    import torch

    if device.type == "cuda":
        return f"{device} {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        count = torch.get_num_threads()
        return f"cpu, {count} thread{'s' if count != 1 else ''}"
    return str(device)


def set_threads(count: int | None) -> int:
    """Set the CPU threads of the networks, ``None`` leaving torch's choice; return their number."""
    import torch

    if count is not None:
        torch.set_num_threads(max(1, count))
    return torch.get_num_threads()


def memory_bytes(device: torch.device | None = None) -> dict[str, int]:
    """Return memory in bytes: ``process``, ``available``, and on a GPU ``device_used`` too."""
    found = {
        "process": int(psutil.Process().memory_info().rss),
        "available": int(psutil.virtual_memory().available),
    }
    if device is not None and device.type == "cuda":
        import torch

        free, total = torch.cuda.mem_get_info(device)
        found |= {"device_used": int(total - free), "device_total": int(total)}
    return found


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def qt_problem(qt: str | None = None, python: tuple[int, int] | None = None) -> str | None:
    """Return why the window cannot run, in one sentence, or ``None``. Qt is not imported.

    Args:
        qt: version of PySide6-Essentials; read from the installed one when not given.
        python: major and minor version; of this interpreter when not given.
    """
    qt = qt or _version("PySide6-Essentials")
    python = python or (sys.version_info.major, sys.version_info.minor)
    if qt is None:
        return "The window needs PySide6: install it with `pip install PySide6-Essentials`."
    # 6.12.0 drops a reference to None in every void call there, until the interpreter aborts.
    if qt == "6.12.0" and python < (3, 12):
        return (
            f"PySide6 6.12.0 crashes on Python {python[0]}.{python[1]}: install another with "
            '`pip install "PySide6-Essentials<6.12"`, or use Python 3.12.'
        )
    return None


def _folder_problem(folder: Path) -> str | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"'{folder}' is not writable ({error.strerror}): set {paths.HOME_VARIABLE}."


def _torch_report() -> dict[str, Any]:
    import torch

    devices = ["cpu"]
    if torch.backends.mps.is_available():
        devices.append("mps")
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        devices += [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(count)]
    return {
        "torch": torch.__version__,
        "devices": devices,
        "device": describe_device(choose_device()),
        "threads": torch.get_num_threads(),
    }


def _models_report(library: ModelLibrary) -> tuple[dict[str, str], list[str]]:
    """Load every bundled model; return ``ok`` or the reason by id, and the problems."""
    from latentlab.catalog import BUNDLED_MODELS

    found: dict[str, str] = {}
    for model in BUNDLED_MODELS:
        try:
            library.backend(model)
            found[model] = "ok"
        except LatentLabError as error:
            found[model] = error.message
    return found, [f"{name}: {text}" for name, text in found.items() if text != "ok"]


def doctor(library: ModelLibrary | None = None) -> dict[str, Any]:
    """Return what this machine offers and what is wrong; ``problems`` is empty when all is well.

    Keys: ``latentlab``, ``python``, ``platform``, ``cores``, ``memory``, ``torch``, ``devices``,
    ``device``, ``threads``, ``qt``, ``extras``, ``folders``, ``models``, ``problems``.
    """
    problems: list[str] = []
    report: dict[str, Any] = {
        "latentlab": version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "memory": memory_bytes(),
        **_torch_report(),
        "qt": _version("PySide6-Essentials"),
    }
    report["extras"] = {
        name: all(importlib.util.find_spec(module) is not None for module in modules)
        for name, modules in EXTRAS.items()
    }
    folders = {
        "data": paths.data_folder(),
        "config": paths.config_folder(),
        "cache": paths.cache_folder(),
        "state": paths.state_folder(),
    }
    report["folders"] = {name: str(folder) for name, folder in folders.items()}
    # Without Qt everything but the window works: that is no problem of this machine.
    checks = [_folder_problem(folder) for folder in folders.values()]
    checks += [qt_problem()] if report["qt"] else []
    problems += [text for text in checks if text]
    if library is None:
        from latentlab.services.library import ModelLibrary

        library = ModelLibrary()
    report["models"], broken = _models_report(library)
    report["problems"] = problems + broken
    return report
