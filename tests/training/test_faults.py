"""A disk that is full, a terminal that is gone, folders that cannot be used: nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from latentlab.core.errors import LatentLabError
from latentlab.core.modelfile import read_model
from latentlab.core.run_events import EventTail, EventWriter, read_events
from latentlab.core.run_lock import RunLock
from latentlab.core.runs import RunFolder, clean
from latentlab.training import checkpoints
from latentlab.training.events import Reporter, patiently
from latentlab.training.run import finish_run, resume, train
from latentlab.training.state import saved_step
from tests.training import tiny
from tests.training.test_run import REPOSITORY, losses, same_weights, silent

resource = pytest.importorskip("resource", reason="limits of files are POSIX's")


@pytest.fixture(params=["LIMIT", "FILL"])
def crowded(request, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A place with little room, and how it becomes full."""
    place = tmp_path / "place"
    place.mkdir()
    if request.param == "LIMIT":
        yield place, "LIMIT"
        return
    words = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not permitted here")
    yield place, "FILL"
    # A file that stayed open, or mapped, would keep it busy.
    subprocess.run(["umount", str(place)], check=True)


def run_crowded(run_dir: Path, how: str, first: int, last: int, steps: int, copy: Path):
    words = [run_dir, how, first, last, steps]
    return subprocess.run(
        [sys.executable, "-m", "tests.training.crowded", *map(str, words)],
        cwd=REPOSITORY,
        env=os.environ | {"COPY": str(copy), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def leftovers(run_dir: Path) -> list[Path]:
    return [p for p in run_dir.rglob(".*") if p.is_file()]


@pytest.mark.slow
def test_training_goes_on_while_the_disk_is_full(crowded, tmp_path: Path) -> None:
    """The limits are real: of the files' size, or of a small file system."""
    place, how = crowded
    train(tiny.recipe(40, 0.0005), tmp_path / "whole", on_event=silent)
    done = run_crowded(place / "run", how, 8, 32, 40, tmp_path / "copy")
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout
    assert "Events cannot be written" in told
    assert "The checkpoint of step" in told
    assert "There is room again" in told
    # While the disk was full: no half line, no half file, and the last checkpoint whole.
    tail = EventTail(RunFolder(tmp_path / "copy"))
    before = [e.step for e in tail.poll() if e.kind == "step"]
    assert tail.skipped == 0
    assert before == list(range(1, len(before) + 1))
    assert 8 <= len(before) < 31
    assert (tmp_path / "copy/events.jsonl").read_bytes().endswith(b"\n")
    kept = RunFolder(tmp_path / "copy")
    step = saved_step(kept)
    assert step is not None
    assert step < 31
    assert read_model(kept.checkpoint_files()[-1]).header.spec.provenance.steps <= step
    assert leftovers(kept.path) == []
    # Afterwards: everything is there, once and in order.
    raw = EventTail(RunFolder(place / "run"))
    events = raw.poll()
    assert raw.skipped == 0
    assert [e.step for e in events if e.kind == "step"] == list(range(1, 41))
    assert [e.time for e in events] == sorted(e.time for e in events)
    assert losses(place / "run") == losses(tmp_path / "whole")
    assert same_weights(place / "run/model.safetensors", tmp_path / "whole/model.safetensors")
    assert leftovers(place / "run") == []


@pytest.mark.slow
def test_a_run_that_ends_on_a_full_disk_keeps_its_last_checkpoint(crowded, tmp_path: Path) -> None:
    place, how = crowded
    train(tiny.recipe(20, 0.0005), tmp_path / "whole", on_event=silent)
    done = run_crowded(place / "run", how, 8, 99, 20, tmp_path / "copy")
    assert done.returncode == 2, done.stdout + done.stderr
    told = done.stdout.splitlines()
    assert "could not be written" in told[-1]
    assert "free some space" in told[-1]
    assert [line.startswith("warning 20 The checkpoint of step 20") for line in told].count(
        True
    ) == 3
    folder = RunFolder(place / "run")
    step = saved_step(folder)
    assert step is not None
    assert step <= 8
    assert leftovers(folder.path) == []
    if how == "FILL":
        (place / "filler").unlink()
    resume(folder.path, on_event=silent)
    assert losses(folder.path) == losses(tmp_path / "whole")
    assert same_weights(folder.model, tmp_path / "whole/model.safetensors")


def test_events_wait_in_order_and_the_oldest_steps_thin_out(tmp_path: Path, monkeypatch) -> None:
    from latentlab.core import run_events

    monkeypatch.setattr(run_events, "MAX_PENDING", 8)
    folder = RunFolder(tmp_path)
    with EventWriter(folder, 1) as writer:
        writer.write("start", 0)
        real, failing = writer._append, [True]

        def append(line: bytes) -> None:
            if failing:
                raise OSError(28, "No space left on device")
            real(line)

        monkeypatch.setattr(writer, "_append", append)
        for step in range(1, 21):
            writer.write("step", step)
            if step == 10:
                writer.write("checkpoint", step)
        assert writer.waiting <= 8
        assert EventTail(folder).poll()[-1].kind == "start"
        failing.clear()
        writer.write("step", 21)
        assert writer.waiting == 0
    events = EventTail(folder).poll()
    steps = [e.step for e in events if e.kind == "step"]
    assert steps == sorted(set(steps))
    assert steps[-1] == 21
    assert [e.step for e in events if e.kind == "checkpoint"] == [10]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_on_a_full_disk_does_not_stop_a_run(tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "tests.training.tiny",
        tmp_path / "run",
        "5",
        "0",
        "0",
        "console",
    ]
    with Path("/dev/full").open("wb") as full:
        subprocess.run(list(map(str, words)), cwd=REPOSITORY, stdout=full, timeout=120)
    assert read_events(tmp_path / "run")[-1].kind == "finish"


def test_what_is_not_the_disk_is_not_tried_again(tmp_path: Path) -> None:
    calls = []

    def broken() -> None:
        calls.append(1)
        raise LatentLabError("The weights are not finite.")

    with pytest.raises(LatentLabError, match="not finite"):
        patiently(broken, Reporter(None, silent), 3, "It", must=True)
    assert len(calls) == 1


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(LatentLabError, match="is a file, not a folder: choose another"):
        train(tiny.recipe(2), file, on_event=silent)
    with pytest.raises(LatentLabError, match="is a file, not a run folder"):
        resume(file, on_event=silent)
    with pytest.raises(LatentLabError, match=r"'.*inside' cannot be written|Not a directory"):
        train(tiny.recipe(2), file / "inside", on_event=silent)
    (tmp_path / "lock" / "lock").mkdir(parents=True)
    with pytest.raises(LatentLabError, match="cannot be written"):
        train(tiny.recipe(2), tmp_path / "lock", on_event=silent)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(LatentLabError, match=r"cannot be written .*Permission denied"):
        train(tiny.recipe(2), tmp_path / "run", on_event=silent)


def test_a_recipe_that_was_edited_badly(tmp_path: Path) -> None:
    train(tiny.recipe(9), tmp_path, max_steps=3, on_event=silent)
    recipe = RunFolder(tmp_path).recipe
    good = recipe.read_text()
    for change, told in (
        (
            ("seed = 3", "sed = 3"),
            r"recipe\.toml, line \d+: 'train.sed' is not known; did you mean",
        ),
        (("seed = 3", "seed = 'x'"), r"recipe\.toml, line \d+: 'train.seed' cannot be"),
        (("width = 5", "width = 6"), r"width in '.*recipe\.toml' is 6, but .* trained with 5"),
        (("[train]", "[train"), r"not valid TOML"),
        (("steps = 9", "steps = 2"), r"at step 3, beyond the 2 steps"),
    ):
        assert change[0] in good
        recipe.write_text(good.replace(*change))
        with pytest.raises(LatentLabError, match=told):
            resume(tmp_path, on_event=silent)
    recipe.write_text(good)
    assert resume(tmp_path, on_event=silent).step == 9


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_a_resumed_run_lets_the_file_of_its_state_go(tmp_path: Path) -> None:
    """Mapped, it would keep its room on a full disk, and Windows could not delete it."""
    train(tiny.recipe(9), tmp_path, max_steps=3, on_event=silent)

    def look(event) -> None:
        if event.kind == "step":
            assert "step_0000003.safetensors" not in Path("/proc/self/maps").read_text()

    assert resume(tmp_path, on_event=look).step == 9


def test_halves_of_files_are_cleaned_up(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with RunLock(folder):
        for name in (".status.json.ab.part", "state/.tmpX1", "checkpoints/.step.part"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("half")
        (tmp_path / "state" / "state.json").write_text("{}")
        clean(folder)
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["state.json"]


# Which checkpoints stay.


def test_the_best_checkpoint_stays(tmp_path: Path) -> None:
    folder, recipe = RunFolder(tmp_path), tiny.recipe(9, train__keep_checkpoints=2)
    network, trainer = tiny.TinyNetwork(5), tiny.TinyTrainer({"width": 5}, None)
    import torch

    best = []
    for step, loss in ((1, 0.9), (2, 0.4), (3, 0.6), (4, float("nan")), (5, None), (6, 0.5)):
        made = checkpoints.write_checkpoint(
            folder, trainer, network, recipe, {}, step, torch.device("cpu"), held_out_loss=loss
        )
        best.append(made)
    assert best == [True, True, False, False, False, False]
    assert [p.stem[-1] for p in folder.checkpoint_files()] == ["2", "5", "6"]
    assert checkpoints.best_checkpoint(folder) == checkpoints.Best(2, 0.4)
    assert json.loads(folder.best.read_text()) == {"step": 2, "held_out_loss": 0.4}
    folder.best.write_text("[]")
    assert checkpoints.best_checkpoint(folder) is None


def test_the_best_checkpoint_becomes_the_model(tmp_path: Path) -> None:
    train(tiny.recipe(9), tmp_path, max_steps=4, on_event=silent)
    folder = RunFolder(tmp_path)
    folder.best.unlink(missing_ok=True)
    with pytest.raises(LatentLabError, match="knows no best checkpoint"):
        finish_run(tmp_path, best=True, on_event=silent)
    resume(tmp_path, max_steps=7, on_event=silent)
    folder.best.write_text(json.dumps({"step": 4, "held_out_loss": 0.1}))
    outcome = finish_run(tmp_path, best=True, on_event=silent)
    assert outcome.step == 4
    stored = read_model(folder.model)
    assert stored.header.spec.provenance.steps == 4
    assert same_weights(folder.model, folder.checkpoint(4))
    # The run itself stands where it stood, and its history is whole.
    assert saved_step(folder) == 7
    assert list(losses(tmp_path)) == list(range(1, 8))
    assert resume(tmp_path, on_event=silent).step == 9


# Going on with a finished run.


def test_a_finished_run_says_so_and_can_be_made_longer(tmp_path: Path) -> None:
    train(tiny.recipe(6), tmp_path, on_event=silent)
    model = (tmp_path / "model.safetensors").read_bytes()
    for outcome in (
        resume(tmp_path, on_event=silent),
        train(tiny.recipe(6), tmp_path, resume=True, on_event=silent),
    ):
        assert outcome.already
        assert outcome.step == 6
        assert (tmp_path / "model.safetensors").read_bytes() == model
    with pytest.raises(LatentLabError, match=r"differs .* train\.learning_rate"):
        resume(tmp_path, overrides={"train.learning_rate": 0.1}, on_event=silent)
    with pytest.raises(LatentLabError, match="at step 6, beyond the 4 steps"):
        resume(tmp_path, overrides={"train.steps": 4}, on_event=silent)
    assert "steps = 6" in (tmp_path / "recipe.toml").read_text()
    assert resume(tmp_path, overrides={"train.steps": 10}, on_event=silent).step == 10
    assert "steps = 10" in (tmp_path / "recipe.toml").read_text()
    assert list(losses(tmp_path)) == list(range(1, 11))
