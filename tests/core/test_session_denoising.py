"""Runs that are watched step by step come back with a session, and wrong ones are one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from latentlab.core.errors import LatentLabError
from latentlab.core.session import load_session, save_session
from tests.core.make_session import sample_session
from tests.core.test_session import contents, rewrite


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "work.latentlab"
    save_session(path, sample_session(3))
    return path


def test_a_run_that_was_watched_comes_back_with_its_branches(saved: Path) -> None:
    loaded = load_session(saved)
    run = loaded.history.document.denoising
    assert run is not None
    assert not run.follows
    assert [one.path for one in run.branches] == [
        "4:guidance=3,attr.smile=1",
        "4:guidance=3,attr.smile=1/8:noise=7",
    ]
    assert [(one.title, one.slot) for one in run.branches] == [("Smîle", 2), ("", 5)]
    assert run.base.options == {"sampler": "ddim", "steps": 12, "guidance": 2.5}
    assert loaded.arrays[run.base.stored["noise"]].shape == (1, 3, 2, 2)
    follows = loaded.history.entries[-1].document.denoising
    assert follows is not None
    assert follows.follows


def _run(**changes: object) -> Callable[[dict], None]:
    return lambda content: content["denoisings"][0].update(changes)


BAD_RUNS: dict[str, Callable[[dict], None]] = {
    "none": lambda c: c.pop("denoisings"),
    "a number": lambda c: c.update(denoisings=3),
    "a row a number": lambda c: c.update(denoisings=[3, 4]),
    "too many": lambda c: c.update(denoisings=c["denoisings"] * 6000),
    "no row": lambda c: c["entries"][-1].pop("denoising"),
    "row too high": lambda c: c["entries"][-1].update(denoising=9),
    "row true": lambda c: c["entries"][-1].update(denoising=True),
    "no base": lambda c: c["denoisings"][0].pop("base"),
    "unknown field": _run(code="import os"),
    "base a grid": lambda c: c["denoisings"][1]["base"].update(seeds=[1, 2]),
    "base of both": lambda c: c["denoisings"][0]["base"].update(seeds=[1]),
    "array missing": lambda c: c["denoisings"][0]["base"].update(stored={"noise": "ab" * 32}),
    "path is none": _run(branches=[{"path": "guidance=3"}]),
    "path empty": _run(branches=[{"path": ""}]),
    "path huge": _run(branches=[{"path": "1:" + "attr.x=1," * 500}]),
    "no parent": _run(branches=[{"path": "4:guidance=3/8:noise=7"}]),
    "twice": _run(branches=[{"path": "4:guidance=3"}] * 2),
    "too many branches": _run(branches=[{"path": f"1:noise={n}"} for n in range(65)]),
    "title huge": _run(branches=[{"path": "4:guidance=3", "title": "x" * 201}]),
    "title that no file holds": _run(branches=[{"path": "4:guidance=3", "title": "\0"}]),
    "slot negative": _run(branches=[{"path": "4:guidance=3", "slot": -1}]),
}


@pytest.mark.parametrize("name", BAD_RUNS)
def test_wrong_runs_are_one_sentence(name: str, saved: Path) -> None:
    content, arrays = contents(saved)
    BAD_RUNS[name](content)
    rewrite(saved, content, arrays)
    with pytest.raises(LatentLabError) as caught:
        load_session(saved)
    assert "\n" not in caught.value.message
