"""Compiling and trackers: what a run may use where it is there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from latentlab import catalog
from latentlab.core.errors import LatentLabError
from latentlab.core.run_events import read_events
from latentlab.training import compiling
from latentlab.training.run import resume, train
from tests.training import tiny
from tests.training.tiny_plain import PlainTrainer, losses, silent, told, weights


@pytest.fixture
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlainTrainer, "rows", [])
    monkeypatch.setitem(catalog.TRAINERS, "tiny", "tests.training.tiny_plain:PlainTrainer")


def test_figures_go_to_tensorboard_too(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracked = tiny.recipe(9, train__trackers=["tensorboard"], train__log_every=2)
    train(tracked, tmp_path / "run", max_steps=5, on_event=silent)
    resume(tmp_path / "run", on_event=silent)
    found = EventAccumulator(str(tmp_path / "run" / "trackers" / "run")).Reload()
    scalars = {e.step: e.value for e in found.Scalars("loss")}
    assert scalars == pytest.approx(losses(tmp_path / "run"), rel=1e-6)
    assert list(scalars) == [1, 2, 4, 5, 6, 8, 9]
    tags = found.Tags()["scalars"]
    assert {"losses/bright", "learning_rate", "grad_norm", "images_per_second"} <= set(tags)


def test_a_tracker_that_is_missing_is_one_sentence(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "aim", None)
    with pytest.raises(LatentLabError, match=r"train\.trackers asks for 'aim'.*pip install aim"):
        train(tiny.recipe(3, train__trackers=["aim"]), tmp_path, on_event=silent)
    assert not losses(tmp_path)


def test_compiling_that_fails_is_a_warning(tmp_path: Path, monkeypatch) -> None:
    def fail(self, *args, **kwargs) -> None:
        def call(*_args, **_kwargs):
            raise RuntimeError("InvalidCxxCompiler: no compiler was found\nand more")

        self._compiled_call_impl = call

    monkeypatch.setattr(nn.Module, "compile", fail)
    train(tiny.recipe(10), tmp_path / "plain", on_event=silent)
    train(tiny.recipe(10, train__compile="on"), tmp_path / "on", on_event=silent)
    assert losses(tmp_path / "on") == losses(tmp_path / "plain")
    (sentence,) = told(tmp_path / "on")
    assert "torch.compile does not work here" in sentence
    assert "no compiler was found)." in sentence
    plain = weights(tmp_path / "plain")
    assert all(torch.equal(t, plain[n]) for n, t in weights(tmp_path / "on").items())


def test_measuring_changes_nothing_and_takes_the_faster(tmp_path: Path, monkeypatch) -> None:
    compiled = []

    def imitate(self, *args, **kwargs) -> None:
        compiled.append(type(self).__name__)
        self._compiled_call_impl = self._call_impl

    monkeypatch.setattr(nn.Module, "compile", imitate)
    speeds = iter([3.0, 2.0, 2.0, 3.0])
    measure = compiling.Compiling._milliseconds

    def fixed(self, step, fetch, count):
        measure(self, step, fetch, count)
        return next(speeds) if count else None

    monkeypatch.setattr(compiling.Compiling, "_milliseconds", fixed)
    train(tiny.recipe(10), tmp_path / "plain", on_event=silent)
    for name, choice in (("faster", "compiled"), ("slower", "eager")):
        run_dir = tmp_path / name
        train(tiny.recipe(10, train__compile="measure"), run_dir, max_steps=4, on_event=silent)
        # A resume does as the first attempt did, and does not measure again.
        resume(run_dir, on_event=silent)
        assert losses(run_dir) == losses(tmp_path / "plain")
        news = [e.data["compile"] for e in read_events(run_dir) if "compile" in e.data]
        assert [n["choice"] for n in news] == [choice, choice]
        assert [n["eager_ms"] for n in news] == [3.0 if choice == "compiled" else 2.0, None]
        assert not told(run_dir)
    assert compiled == ["TinyNetwork"] * 3


@pytest.mark.slow
@pytest.mark.usefixtures("_plain")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(sys.platform != "linux", reason="needs a C++ compiler")
def test_a_compiled_network_trains_alike(tmp_path: Path) -> None:
    train(tiny.recipe(10), tmp_path / "plain", on_event=silent)
    train(tiny.recipe(10, train__compile="measure"), tmp_path / "measured", on_event=silent)
    train(tiny.recipe(10, train__compile="on"), tmp_path / "on", on_event=silent)
    assert not told(tmp_path / "on")
    for name in ("measured", "on"):
        assert losses(tmp_path / name) == pytest.approx(losses(tmp_path / "plain"), rel=1e-3)
        news = [e.data["compile"] for e in read_events(tmp_path / name) if "compile" in e.data]
        assert news[0]["compile_seconds"] is not None
    assert weights(tmp_path / "on").keys() == weights(tmp_path / "plain").keys()
