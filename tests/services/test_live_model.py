"""Newer weights of a run in the worker, and finished runs in the library."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from latentlab.cli import main
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import read_model, write_model
from latentlab.core.paths import runs_folder
from latentlab.core.requests import JobRequest
from latentlab.services import library as library_module
from latentlab.services import library_runs
from latentlab.services.jobs import JobContext, run_job
from latentlab.services.library import ModelLibrary
from latentlab.services.library_entries import read_run_models
from latentlab.services.library_runs import saved_run_roots
from latentlab.services.renderer import Renderer
from tests.services.models import write_vae

RECIPE = """
[model]
family = "{family}"

[data]
source = "portraits:count=100,seed=1"
size = 16
channels = 3

[train]
steps = 100
batch_size = 10
checkpoint_every_minutes = 2.0
"""


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))


def make_run(root: Path, name: str = "faces", state: str = "stopped", family: str = "vae") -> Path:
    run = root / name
    (run / "checkpoints").mkdir(parents=True)
    (run / "recipe.toml").write_text(RECIPE.format(family=family))
    set_state(run, state, family=family)
    return run


def set_state(run: Path, state: str, step: int = 0, family: str = "vae") -> None:
    status = {"state": state, "step": step, "total_steps": 100, "family": family}
    (run / "status.json").write_text(json.dumps(status))


def checkpoint(run: Path, step: int, **changes) -> Path:
    path = run / "checkpoints" / f"step_{step:07}.safetensors"
    write_vae(path, "run", bump=step / 1000, **changes)
    return path


def context(*roots: Path) -> JobContext:
    library = ModelLibrary([], device="cpu", run_roots=roots)
    return JobContext(library, Renderer(library))


def look(worker: JobContext, run: Path, known: str = "", step: int = -1, name: str = "faces"):
    values = {"model": name, "run": str(run), "known": known, "known_step": step}
    return run_job(JobRequest("look", "look_at_run", values), context=worker)


def images(worker: JobContext, model: str, **values) -> np.ndarray:
    return worker.renderer.exact(Picture(model=model, space="z", seeds=(1, 2), **values))[0]


def test_newer_weights_come_in_under_the_same_id(tmp_path):
    run, worker = make_run(tmp_path), context()
    assert look(worker, run).model is None
    assert look(worker, run).checkpoint_minutes == 2.0
    first = checkpoint(run, 10)
    model = look(worker, run).model
    assert (model.entry.id, model.entry.step, model.entry.path) == ("faces", 10, first)
    assert model.entry.title == "faces, step 10"
    assert set(model.directions) == {"smiling", "eyeglasses"}
    before = images(worker, "faces", edits={"smiling": 1.0})
    assert look(worker, run, str(first), 10).model is None
    second = checkpoint(run, 20)
    assert look(worker, run, str(first), 10).model.entry.path == second
    after = images(worker, "faces", edits={"smiling": 1.0})
    assert not np.array_equal(before, after)
    # The same as from the file alone.
    alone = context()
    entry = alone.library.add(second)
    assert np.array_equal(images(alone, entry.id, edits={"smiling": 1.0}), after)


def test_weights_stay_when_their_file_is_gone(tmp_path):
    run, worker = make_run(tmp_path), context()
    path = checkpoint(run, 10)
    look(worker, run)
    before = images(worker, "faces")
    path.unlink()
    assert np.array_equal(images(worker, "faces"), before)
    assert worker.library.resolve("faces").id == "faces"
    assert worker.library.backend(path) is worker.library.backend("faces")


def test_damaged_files_are_passed_over_for_older_ones_that_are_new(tmp_path):
    run, worker = make_run(tmp_path), context()
    first, whole = checkpoint(run, 10), checkpoint(run, 20)
    damaged = run / "checkpoints" / "step_0000030.safetensors"
    damaged.write_bytes(whole.read_bytes()[:-9])
    (run / "checkpoints" / "step_0000040.safetensors").mkdir()
    assert look(worker, run, str(first), 10).model.entry.path == whole
    assert look(worker, run, str(whole), 20).model is None
    # Written anew, it counts.
    checkpoint(run, 30)
    assert look(worker, run, str(whole), 20).model.entry.step == 30


def test_another_run_in_the_same_folder_begins_anew(tmp_path):
    run, worker = make_run(tmp_path), context()
    old = checkpoint(run, 80)
    look(worker, run)
    old.unlink()
    checkpoint(run, 5, latent_dim=12)
    model = look(worker, run, str(old), 80).model
    assert model.entry.step == 5
    # Directions of the old network do not fit the new one, and are not carried over.
    assert all(d.vector["z"].shape == (12,) for d in model.directions.values())


def test_a_slider_that_a_checkpoint_lacks_stays_and_is_marked(tmp_path):
    run, worker = make_run(tmp_path), context()
    first = checkpoint(run, 10)
    marks = {look(worker, run).model.entry.header.spec.fingerprint}
    second = checkpoint(run, 20)
    stored = read_model(second)
    stored.directions.pop("smiling")
    write_model(second, stored)
    model = look(worker, run, str(first), 10).model
    assert model.directions["smiling"].fingerprint in marks
    assert model.directions["eyeglasses"].fingerprint == model.entry.header.spec.fingerprint
    assert images(worker, "faces", edits={"smiling": 1.0}).shape[0] == 2


def test_the_finished_model_is_taken_and_read_from_its_file(tmp_path):
    run, worker = make_run(tmp_path), context()
    known = checkpoint(run, 10)
    look(worker, run)
    write_vae(run / "model.safetensors", "anything", bump=0.5)
    # While it is measured, and until the status says so, it is not finished.
    assert look(worker, run, str(known), 10).model is None
    set_state(run, "finished", 100)
    found = look(worker, run, str(known), 10)
    assert found.finished
    assert found.model.finished
    assert found.model.entry.title == "Anything"
    assert found.model.entry.id == "faces"
    again = look(worker, run, str(run / "model.safetensors"), 0)
    assert again.finished
    assert again.model is None
    mark = worker.library.backend("faces").spec.fingerprint
    assert mark == found.model.entry.header.spec.fingerprint


def test_families_without_a_latent_space_say_so(tmp_path):
    run = make_run(tmp_path, family="probe", state="finished")
    assert "no latent space" in look(context(), run).problem
    write_vae(run / "model.safetensors", "judge")
    stored = read_model(run / "model.safetensors")
    spec = stored.header.spec.model_copy(update={"family": "probe"})
    header = stored.header.model_copy(update={"spec": spec})
    write_model(run / "model.safetensors", type(stored)(header, stored.weights))
    entry = next(e for e in context(tmp_path).library.entries() if e.run == run)
    assert "no latent space" in entry.error
    assert "not a training run" in look(context(), tmp_path / "none").problem


def test_many_swaps_keep_one_network(tmp_path):
    run, worker = make_run(tmp_path), context()
    known, step = "", -1
    alive: list[weakref.ref] = []
    for step in range(1, 21):
        path = checkpoint(run, step)
        assert look(worker, run, known, step - 1).model.entry.step == step
        alive.append(weakref.ref(worker.library.backend("faces").network))
        images(worker, "faces")
        if known:
            Path(known).unlink()
        known = str(path)
    gc.collect()
    assert sum(one() is not None for one in alive) == 1
    assert len(worker.library.entries()) - len(ModelLibrary([]).entries()) == 1


def finished(root: Path, name: str, bump: float = 0.0) -> Path:
    run = make_run(root, name, "finished")
    write_vae(run / "model.safetensors", "same-id", bump=bump)
    return run


def test_finished_runs_are_listed_by_their_folder_and_told_apart(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    finished(one, "faces")
    finished(one, "portraits-vae", bump=0.1)
    finished(other, "faces", bump=0.2)
    make_run(one, "unfinished")
    library = ModelLibrary([], device="cpu", run_roots=[one, other])
    mine = {entry.id: entry for entry in library.entries() if entry.run is not None}
    assert set(mine) == {"faces", "faces@run", "portraits-vae@run"}
    assert mine["faces"].run == one / "faces"
    assert library.resolve("faces@run").path == other / "faces" / "model.safetensors"
    assert library.resolve("portraits-vae").bundled
    assert library.run_id(other / "faces") == "faces@run"
    assert library.backend("faces").spec.fingerprint == mine["faces"].header.spec.fingerprint
    with pytest.raises(LatentLabError, match="has not left a model yet"):
        library.resolve("unfinished")


def test_a_library_that_is_told_of_runs_looks_into_no_folder(tmp_path, monkeypatch):
    one, other = tmp_path / "one", tmp_path / "other"
    runs = [finished(other, "faces", bump=0.2), finished(one, "faces"), make_run(one, "begun")]
    looked = ModelLibrary([], device="cpu", run_roots=[one, other])
    expected = looked.entries()
    told = ModelLibrary([], device="cpu", run_roots=[one, other])
    told.tell_runs(read_run_models(runs))

    def refuse(*_: object) -> None:
        raise AssertionError("a folder of runs was looked into")

    monkeypatch.setattr(library_runs, "run_model_files", refuse)
    monkeypatch.setattr(library_module, "_stamp", lambda path: path.parent in runs and refuse())
    assert told.entries() == expected
    (model,) = (e for e in told.entries() if e.id == "faces")
    assert model.run == one / "faces"
    write_vae(model.path, "faces", bump=0.3)
    assert told.entries() == expected
    told.read_again(model.path)
    (fresh,) = (e for e in told.entries() if e.id == "faces")
    assert fresh.header.spec.fingerprint != model.header.spec.fingerprint


def test_a_model_that_was_followed_to_its_end_is_read_again(tmp_path):
    run, worker = finished(tmp_path, "faces"), context(tmp_path)
    name = look(worker, run).model.entry.id
    given = worker.library.given(name)
    assert given.finished
    write_vae(run / "model.safetensors", "faces", bump=0.3)
    worker.library.read_again(run / "model.safetensors")
    fresh = worker.library.resolve(name)
    assert fresh.header.spec.fingerprint != given.entry.header.spec.fingerprint
    assert (fresh.id, fresh.run) == (name, run)


def test_a_run_keeps_its_id_from_its_first_checkpoint_to_its_model(tmp_path):
    run, worker = make_run(tmp_path, "portraits-vae"), context(tmp_path)
    name = worker.library.run_id(run)
    assert name == "portraits-vae@run"
    checkpoint(run, 10)
    look(worker, run, name=name)
    assert worker.library.run_id(run) == name
    write_vae(run / "model.safetensors", "portraits-vae")
    set_state(run, "finished", 100)
    worker.library.runs.forget()
    assert [e.id for e in worker.library.entries() if e.run == run] == [name]
    assert [e.id for e in context(tmp_path).library.entries() if e.run == run] == [name]


def test_commands_find_finished_runs_by_id(tmp_path, capsys):
    assert saved_run_roots() == [runs_folder()]
    finished(runs_folder(), "mine")
    out = tmp_path / "mine.png"
    words = ["sample", "mine", "--seeds", "3", "--out", str(out), "--device", "cpu"]
    assert [main(["models"]), main(words)] == [0, 0]
    assert "mine" in capsys.readouterr().out
    assert out.is_file()


def test_nothing_of_it_needs_torch_to_be_imported():
    code = (
        "import sys, latentlab.services.run_models, latentlab.services.library_runs; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
