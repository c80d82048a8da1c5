"""Run folders of somebody else: whatever stands in their files, it is a sentence or nothing."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from latentlab.core.errors import LatentLabError
from latentlab.core.runs import RunFolder
from latentlab.training.checkpoints import best_checkpoint
from latentlab.training.run import resume, train
from latentlab.training.state import saved_step
from tests.training import tiny
from tests.training.test_run import silent

VALUES = (
    *("1e999", "NaN", "null", "true", "[]", "[1, 2]", "{}", '{"a": {"b": 1}}', '"x"', '"\\u0000"'),
    *("-5", "3.7", '"../../etc/passwd"', '".."', "1" + "0" * 400, "[" * 100_000),
)


def places(table: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from places(value, (*above, key))


def changed(table: Mapping[str, Any], place: tuple[str, ...], value: str) -> str:
    whole = copy.deepcopy(dict(table))
    inner: Any = whole
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = "@@"
    return json.dumps(whole).replace('"@@"', value)


def test_records_with_anything_in_them(tmp_path: Path) -> None:
    good = tmp_path / "good"
    train(tiny.recipe(6, train__precision="fp16"), good, max_steps=3, on_event=silent)
    state, best = RunFolder(good).state / "state.json", RunFolder(good).best
    text, refused = state.read_text(), 0
    for place in places(json.loads(text)):
        for value in VALUES:
            state.write_text(changed(json.loads(text), place, value))
            try:
                saved_step(RunFolder(good))
            except LatentLabError as error:
                refused += 1
                assert "damaged" in error.message or "newer" in error.message  # noqa: PT017
    assert refused > 100
    for value in ("1e999", "3.7", "-5", "[]", '{"parts": "x"}', '{"scaler": {"scale": null}}'):
        state.write_text(changed(json.loads(text), ("engine",), value))
        with pytest.raises(LatentLabError, match="damaged"):
            resume(good, on_event=silent)
    state.write_text(text + " " * 2**20)
    with pytest.raises(LatentLabError, match="damaged"):
        saved_step(RunFolder(good))
    text = best.read_text()
    for place in places(json.loads(text)):
        for value in VALUES:
            best.write_text(changed(json.loads(text), place, value))
            found = best_checkpoint(RunFolder(good))
            assert found is None or found.step == 3


def test_moments_of_other_parameters_are_refused(tmp_path: Path) -> None:
    good = tmp_path / "good"
    train(tiny.recipe(6), good, max_steps=3, on_event=silent)
    name = "optimizer.main.0.exp_avg"
    for change in ({name: torch.zeros(1)}, {"optimizer.main.-1.exp_avg": torch.zeros(48)}):
        folder = RunFolder(tmp_path / "other")
        shutil.rmtree(folder.path, ignore_errors=True)
        shutil.copytree(good, folder.path)
        (path,) = folder.state.glob("step_*")
        save_file({n: t.clone() for n, t in load_file(path).items()} | change, path)
        with pytest.raises(LatentLabError, match="damaged"):
            resume(folder.path, on_event=silent)


def test_an_average_may_be_asked_for_later(tmp_path: Path) -> None:
    train(tiny.recipe(6, train__ema_decay=0.0), tmp_path, max_steps=3, on_event=silent)
    recipe = RunFolder(tmp_path).recipe
    recipe.write_text(recipe.read_text().replace("ema_decay = 0.0", "ema_decay = 0.9"))
    assert resume(tmp_path, on_event=silent).model is not None
    (path,) = RunFolder(tmp_path).state.glob("step_*")
    kept = load_file(path)
    assert not torch.equal(kept["average.inner.weight"], kept["network.inner.weight"])
