"""The worked example of docs/attributes.md, as it stands there."""

from __future__ import annotations

import csv
import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest

from latentlab.cli import main
from latentlab.core.directionfile import load_direction
from latentlab.data.open import labels_of

DOCS = Path(__file__).parents[2] / "docs"
TABLE = DOCS / "examples" / "faces.csv"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the faces of the example, drawn by its script."""
    folder = tmp_path_factory.mktemp("guide")
    spec = importlib.util.spec_from_file_location("draw_faces", DOCS / "examples/draw_faces.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    before, sys.argv = sys.argv, ["draw_faces.py", str(folder / "faces")]
    try:
        script.main()
    finally:
        sys.argv = before
    return folder


def commands() -> list[list[str]]:
    """The ``latentlab`` commands of the guide, as argument lists."""
    text = (DOCS / "attributes.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^latentlab (.+)$", text, flags=re.MULTILINE)
    here = "docs/examples/faces.csv"
    return [[str(TABLE) if w == here else w for w in shlex.split(line)] for line in lines]


def test_the_table_is_what_the_guide_says():
    with TABLE.open(encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["file", "glasses", "age", "hair"]
    assert len(rows) == 401


def test_every_face_of_the_table_is_drawn_and_its_labels_are_read(place):
    labels = labels_of(str(place / "faces"), attributes=TABLE)
    kinds = {name: labels[name].kind for name in ("glasses", "age", "hair")}
    assert kinds == {"glasses": "binary", "age": "continuous", "hair": "categorical"}
    assert all(len(column.values) == 400 for column in labels.values())


def test_the_commands_of_the_guide_run(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    asked = commands()
    assert [words[0] for words in asked] == ["labels", "direction", "edit", "direction"]
    age = ["direction", "portraits-vae", "--data", "faces", "--attributes", str(TABLE)]
    age += ["--label", "age", "--out", "age.safetensors", "--json"]
    for words in (asked[0], asked[1], asked[2], age, asked[3]):
        assert main(words) == 0
    assert "400 images" in capsys.readouterr().out
    found = load_direction(place / "glasses.safetensors").provenance
    assert found["auc"] == pytest.approx(0.998, abs=0.004)
    assert found["interval"][0] == pytest.approx(0.986, abs=0.01)
    weak = load_direction(place / "age.safetensors").provenance
    assert weak["correlation"] == pytest.approx(0.39, abs=0.05)
    assert (place / "face.png").is_file()
    same = load_direction(place / "same-age.safetensors")
    other = load_direction(place / "age.safetensors")
    assert abs(float((same.vector["z"] * other.vector["z"]).sum())) < 1e-6
