"""t-SNE, UMAP and PaCMAP by the packages of their makers, with reports of how far they are.

Their packages are imported when they are used: numba alone takes seconds.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Report = Callable[[int, int, str], None]
Places = NDArray[np.float32]

_EARLY = 250
_EVERY = 10
_PACMAP_TURNS = (100, 100, 250)


def threads() -> int:
    """Return how many threads a layout may take: one core is left to the window."""
    return max(1, (os.cpu_count() or 1) - 1)


@contextlib.contextmanager
def few_threads() -> Iterator[None]:
    """Let numpy's products leave a core free, too.

    Two threads that have to wait for each other on a busy machine are ten times slower than one.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads(), user_api="blas"):
        yield


class _Listener(io.TextIOBase):
    """Takes what a package prints and reports the numbers that ``pattern`` finds in it."""

    def __init__(self, pattern: str, report: Callable[[int, str], None]) -> None:
        self._pattern, self._report = re.compile(pattern), report

    def write(self, text: str) -> int:
        """Take some text."""
        found = self._pattern.search(text)
        if found is not None:
            self._report(int(found[1]), found[2] if found.lastindex == 2 else "")
        return len(text)


@contextlib.contextmanager
def _no_warnings(name: str) -> Iterator[None]:
    """Keep a package from warning of what was asked for, such as one thread for a fixed seed."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def tsne(rows: Places, settings: Mapping[str, float], report: Report) -> NDArray[Any]:
    """Place rows ``(N, D)`` by t-SNE; reports say the Kullback-Leibler divergence in nats."""
    from openTSNE import TSNE

    turns = int(settings["iterations"])
    total, done = _EARLY + turns, 0

    def listen(_turn: int, error: float, _places: Any) -> None:
        nonlocal done
        done += _EVERY
        phase = "" if done > _EARLY else " (early exaggeration)"
        report(min(done, total), total, f"t-SNE: KL divergence {error:.2f}{phase}")

    report(0, total, "t-SNE: finding neighbours")
    # Three times the perplexity must be neighbours.
    perplexity = min(settings["perplexity"], (len(rows) - 1) / 3)
    with _no_warnings("openTSNE"):
        return np.asarray(
            TSNE(
                perplexity=perplexity,
                initialization="pca",
                early_exaggeration_iter=_EARLY,
                n_iter=turns,
                random_state=int(settings["seed"]),
                n_jobs=threads(),
                callbacks=listen,
                callbacks_every_iters=_EVERY,
            ).fit(rows)
        )


def umap(rows: Places, settings: Mapping[str, float], report: Report) -> NDArray[Any]:
    """Place rows ``(N, D)`` by UMAP."""
    turns = 500 if len(rows) <= 10_000 else 200
    report(0, turns, "UMAP: starting, which takes a while")
    with _no_warnings("umap"):
        from umap import UMAP

        report(0, turns, "UMAP: finding neighbours")
        bar = _Listener(r"(\d+)/\d+", lambda n, _: report(n, turns, "UMAP: moving the points"))
        return np.asarray(
            UMAP(
                n_neighbors=min(int(settings["n_neighbors"]), len(rows) - 1),
                min_dist=settings["min_dist"],
                n_epochs=turns,
                random_state=int(settings["seed"]),
                n_jobs=1,
                tqdm_kwds={
                    "disable": False,
                    "file": bar,
                    "mininterval": 0.1,
                    "bar_format": "{n_fmt}/{total_fmt}",
                },
            ).fit_transform(rows)
        )


def pacmap(rows: Places, settings: Mapping[str, float], report: Report) -> NDArray[Any]:
    """Place rows ``(N, D)`` by PaCMAP."""
    total = sum(_PACMAP_TURNS)
    report(0, total, "PaCMAP: starting, which takes a while")
    with _no_warnings("pacmap.pacmap"):
        from pacmap import PaCMAP

        report(0, total, "PaCMAP: finding neighbours")
        printed = _Listener(
            r"Iteration: +(\d+), Loss: ([\d.]+)",
            lambda n, loss: report(n, total, f"PaCMAP: loss {float(loss):.4g}"),
        )
        # It has no callback; what it prints tells how far it is.
        with contextlib.redirect_stdout(printed):
            found = PaCMAP(
                n_neighbors=min(int(settings["n_neighbors"]), len(rows) - 1),
                num_iters=_PACMAP_TURNS,
                random_state=int(settings["seed"]),
                verbose=True,
            ).fit_transform(rows, init="pca")
    return np.asarray(found)


ENGINES: dict[str, Callable[[Places, Mapping[str, float], Report], NDArray[Any]]] = {
    "tsne": tsne,
    "umap": umap,
    "pacmap": pacmap,
}
"""What places rows ``(N, D)`` of points, by method: called with (rows, settings, report)."""
