"""Stands in for ``latentlab`` where only the process matters: it obeys files and learns nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from latentlab.core.run_lock import RunLock
from latentlab.core.run_status import RunStatus, write_status
from latentlab.core.runs import RunFolder


def say(folder: RunFolder, state: str, step: int) -> None:
    status = RunStatus(state=state, step=step, total_steps=1000, time=time.time(), pid=os.getpid())
    write_status(folder, status.model_copy(update={"host": socket.gethostname()}))


def measure(recipe: Path) -> int:
    text = recipe.read_text()
    if "slow" in text:
        Path(os.environ["FAKE_PID"]).write_text(str(os.getpid()))
        time.sleep(60)
    if "noise" in text:
        print("no json")
        return 0
    if "refused" in text:
        print("a line before\nlatentlab: [model] width is too large.", file=sys.stderr)
        return 2
    print(json.dumps({"parameters": 12, "images_per_second": 3.5}))
    return 0


def train(folder: RunFolder, words: list[str]) -> None:
    if "broken" in folder.recipe.read_text():
        raise ModuleNotFoundError("No module named 'nosuch'")
    if "refused" in folder.recipe.read_text():
        print("latentlab: recipe.toml, line 3: 'model.width' is not known.", file=sys.stderr)
        sys.exit(2)
    print("words:", " ".join(words), "kept:", os.environ.get("KEPT"), flush=True)
    child = None
    with RunLock(folder):
        if "child" in folder.recipe.read_text():
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            (folder.path / "child").write_text(str(child.pid))
        (folder.state).mkdir(exist_ok=True)
        (folder.state / "state.json").write_text("{}")
        step, state = 0, ""
        while not folder.stop.exists() and "--finish" not in words:
            wanted = "paused" if folder.pause.exists() else "training"
            if wanted != state:
                say(folder, state := wanted, step)
            step += state == "training"
            time.sleep(0.01)
        folder.stop.unlink(missing_ok=True)
        say(folder, "finished" if "--finish" in words else "stopped", step)


if __name__ == "__main__":
    given = sys.argv[1:]
    if "--estimate" in given:
        sys.exit(measure(Path(given[1])))
    train(RunFolder(Path(given[given.index("--run-dir") + 1])), given)
