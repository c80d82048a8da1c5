"""Benchmarks by name, and the machine that they ran on.

A benchmark is ``run(on_progress) -> figures``, with ``on_progress(done, total, message)``. Figures
of two machines, or of one machine under another load, are not to be compared.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from latentlab.core.errors import LatentLabError
from latentlab.core.version import version
from latentlab.services.targets import load_target

Progress = Callable[[int, int, str], None]

BENCHMARKS: dict[str, str] = {
    "attached": "latentlab.services.bench.attached:run",
    "denoise": "latentlab.services.bench.denoise:run",
    "denoise_flood": "latentlab.services.bench.denoise_flood:run",
    "encode": "latentlab.services.bench.encode:run",
    "events": "latentlab.services.bench.events:run",
    "flow_paper": "latentlab.services.bench.flow_paper:run",
    "hover": "latentlab.services.bench.hover:run",
    "map": "latentlab.services.bench.map:run",
    "slider_flood": "latentlab.services.bench.slider_flood:run",
    "switch": "latentlab.services.bench.switch:run",
    "train": "latentlab.services.bench.train:run",
    "window": "latentlab.services.bench.window:run",
}
"""Benchmark by name, as ``module:function``."""


def run(names: Sequence[str], on_progress: Progress | None = None) -> dict[str, dict[str, Any]]:
    """Run benchmarks one after another.

    Args:
        names: rows of ``BENCHMARKS``.
        on_progress: gets (done, total, message).

    Returns:
        Figures by benchmark, and ``machine``.

    Raises:
        LatentLabError: no such benchmark, or it cannot run here.
    """
    for name in names:
        if name not in BENCHMARKS:
            known = ", ".join(BENCHMARKS)
            raise LatentLabError(f"There is no benchmark '{name}'; known: {known}.")
    report: dict[str, dict[str, Any]] = {}
    for name in names:
        report[name] = load_target(BENCHMARKS[name])(on_progress or _ignore)
    return {**report, "machine": machine()}


def _ignore(_done: int, _total: int, _message: str) -> None:
    """Take a report that nobody wants."""


def _processor() -> str:
    """Return the name of the processor, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def machine() -> dict[str, Any]:
    """Return what the figures depend on; no torch is imported for it."""
    load = psutil.getloadavg()[0]
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_1min": round(load, 2),
        "platform": platform.platform(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "torch": _version("torch"),
        "qt": _version("PySide6-Essentials"),
        "latentlab": version(),
    }
