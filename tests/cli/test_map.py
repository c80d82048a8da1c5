"""``latentlab map``: pictures, tables, points files, sentences."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentlab.cli import main
from latentlab.core.labels import LabelColumn
from latentlab.core.pointfile import read_point_names, read_points
from latentlab.services.maps_draw import (
    CLASS_COLOURS,
    PLAIN,
    UNKNOWN,
    Drawing,
    draw_map,
    label_texts,
    ramp,
    ticks,
)
from tests.services.models import write_vae

FACES = "portraits:count=80,seed=4"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "small.safetensors"
    write_vae(path, image_size=16)
    return str(path)


def colours_of(image: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(rgb) for rgb in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()}


def test_a_picture_of_the_map(model: str, tmp_path: Path, capsys) -> None:
    out = tmp_path / "map.png"
    words = ["map", model, FACES, "--colour-by", "hair_color", "--out", str(out), "--json"]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["count"] == 80
    assert report["method"] == "picture"
    assert report["colour_by"] == "hair_color"
    assert report["axes"][0].startswith("Picture PC 1 (")
    assert "smiling" in report["labels"]
    image = Image.open(out)
    assert image.size == (1200, 900)
    assert image.info["Fingerprint"] == report["fingerprint"]
    assert set(CLASS_COLOURS[:5]) <= colours_of(image)


def test_a_table_has_rows_names_labels_and_places(model: str, tmp_path: Path, capsys) -> None:
    data = tmp_path / "animals"
    for name in ("cat", "dog"):
        (data / name).mkdir(parents=True)
        for i in range(3):
            level = np.random.default_rng(i).integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(level).save(data / name / f"{i}.png")
    out = tmp_path / "map.csv"
    assert main(["map", model, str(data), "--out", str(out)]) == 0
    assert "6 points" in capsys.readouterr().out
    with out.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["row"] for row in rows] == [str(i) for i in range(6)]
    assert [row["class"] for row in rows] == ["cat"] * 3 + ["dog"] * 3
    assert [row["name"] for row in rows[:4]] == ["cat/0.png", "cat/1.png", "cat/2.png", "dog/0.png"]
    places = np.array([[float(row["x"]), float(row["y"])] for row in rows])
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-4)
    assert places.std() > 0


def test_prior_samples_are_named_by_their_seeds(model: str, tmp_path: Path) -> None:
    out = tmp_path / "map.csv"
    assert main(["map", model, "prior", "--count", "12", "--seed", "40", "--out", str(out)]) == 0
    with out.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["seed", "name", "x", "y"]
    assert rows[1][:2] == ["40", "seed 40"]
    assert len(rows) == 13


def test_prior_samples_are_read_by_the_probe(model: str, tmp_path: Path) -> None:
    out = tmp_path / "map.csv"
    assert main(["map", model, "prior", "--count", "12", "--read", "--out", str(out)]) == 0
    with out.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["wearing_hat"] for row in rows} <= {"yes", "no"}
    assert len({row["age"] for row in rows}) > 6
    assert main(["map", model, FACES, "--read", "--out", str(out)]) == 2


def test_a_points_file_brings_its_layouts_along(model: str, tmp_path: Path, capsys) -> None:
    out = tmp_path / "map.safetensors"
    words = ["map", model, FACES, "--methods", "tsne", "--perplexity", "9", "--out", str(out)]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layouts"] == ["tsne"]
    points = read_points(out)
    assert points.coordinates["tsne"].shape == (80, 2)
    assert points.source == FACES
    assert "smiling" in points.labels
    assert read_point_names(out) is None


def test_a_space_of_two_numbers_has_its_own_axes(tmp_path: Path, capsys) -> None:
    path = tmp_path / "flat.safetensors"
    write_vae(path, "flat", image_size=16, latent_dim=2)
    out = tmp_path / "map.csv"
    assert main(["map", str(path), "prior", "--count", "9", "--out", str(out), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["method"], report["axes"]) == ("native", ["z[0]", "z[1]"])
    points = tmp_path / "points.safetensors"
    assert main(["map", str(path), "prior", "--count", "9", "--out", str(points)]) == 0
    with out.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))[1:]
    places = np.array([[float(x) for x in row[2:]] for row in rows])
    np.testing.assert_allclose(places, read_points(points).parts["z"], rtol=1e-5)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["prior", "--out", "map.pdf"], "ends in none of .png, .csv, .safetensors"),
        (["no-such-place"], "There is no 'no-such-place'"),
        (["prior", "--count", "0"], "A map has 1 to 2,000,000 points"),
        (["prior", "--colour-by", "smiling"], "There is no label 'smiling'; there are none"),
        ([FACES, "--colour-by", "smilling"], "did you mean 'smiling'?"),
        (["prior", "--method", "native"], "This space has 8 numbers, not two"),
        (["prior", "--method", "tsne", "--perplexity", "1"], "'perplexity' of t-SNE is a number"),
        (["prior", "--methods", "tsne"], "--methods is for a .safetensors file"),
        (["prior", "--method", "pca", "--out", "m.safetensors"], "use --methods"),
        (["prior", "--methods", "pca", "--out", "m.safetensors"], "never stored"),
        (["prior", "--methods", "tnse", "--out", "m.safetensors"], "no method 'tnse'"),
        (["prior", "--method", "umap", "--perplexity", "9"], "takes --perplexity: leave"),
        (["prior", "--method", "pca", "--latent-distance"], "takes --latent-distance: leave"),
        (["prior", "--width", "9"], "300 to 8000 pixels"),
        (["prior", "--count", "5", "--method", "tsne"], "t-SNE needs at least 10 points, not 5"),
        (["prior", "--count", "2"], "three points"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(
    model: str, words: list[str], sentence: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["map", model, *words]) == 2
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert not shown.out
    assert not list(tmp_path.glob("map.*"))


# The picture itself.


def picture(label: LabelColumn | None, places: np.ndarray) -> np.ndarray:
    return np.asarray(draw_map(Drawing(places, "title", "x", "y", label), 500, 400))


def test_points_stand_where_they_belong_in_their_colour() -> None:
    places = np.array([[-1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    kinds = LabelColumn("kind", "categorical", np.array([0, 1, np.nan], np.float32), ("a", "b"))
    pixels = picture(kinds, places)[:, :300]
    spots = {}
    for name, colour in (("a", CLASS_COLOURS[0]), ("b", CLASS_COLOURS[1]), ("?", UNKNOWN)):
        rows, columns = np.nonzero((pixels == colour).all(axis=2))
        assert len(rows) > 20, name
        spots[name] = (columns.mean(), rows.mean())
    assert spots["a"][0] == pytest.approx(spots["?"][0], abs=1)
    assert spots["b"][0] > spots["a"][0] + 100
    assert spots["b"][1] == pytest.approx(spots["?"][1], abs=1)
    # Both axes have one scale, and y grows upwards.
    assert spots["a"][1] - spots["b"][1] == pytest.approx(spots["b"][0] - spots["a"][0], abs=2)


def test_a_number_is_coloured_by_a_ramp_with_its_bar() -> None:
    places = np.random.default_rng(0).normal(size=(60, 2))
    column = LabelColumn("age", "continuous", np.linspace(0, 1, 60, dtype=np.float32))
    shown = {tuple(rgb) for rgb in picture(column, places).reshape(-1, 3).tolist()}
    ends = [tuple(rgb) for rgb in ramp(np.array([0.0, 1.0])).tolist()]
    assert ends == [(68, 1, 84), (253, 231, 37)]
    assert set(ends) <= shown


@pytest.mark.parametrize("count", [1, 3, 50_000])
def test_any_number_of_points_is_drawn(count: int) -> None:
    places = np.random.default_rng(0).normal(size=(count, 2))
    assert (picture(None, places) == PLAIN).all(axis=2).any()


def test_odd_labels_are_drawn() -> None:
    places = np.random.default_rng(0).normal(size=(120, 2))
    many = tuple(f"a class with a very long name {i}" for i in range(60))
    for column in (
        LabelColumn("many", "categorical", np.arange(120, dtype=np.float32) % 60, many),
        LabelColumn("same", "continuous", np.ones(120, np.float32)),
        LabelColumn("none", "binary", np.full(120, np.nan, np.float32)),
    ):
        assert picture(column, places).shape == (400, 500, 3)


def test_ticks_are_round_numbers() -> None:
    assert ticks(-1.04, 3.3) == pytest.approx([-1, 0, 1, 2, 3])
    assert ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ticks(-0.0013, 0.0021, 4) == pytest.approx([-0.001, 0, 0.001, 0.002])


def test_labels_are_written_for_a_person() -> None:
    unknown = np.array([0, 1, np.nan], np.float32)
    assert label_texts(LabelColumn("a", "binary", unknown)) == ["no", "yes", ""]
    assert label_texts(LabelColumn("a", "categorical", unknown, ("x",))) == ["x", "class 1", ""]
    numbers = np.array([0.5, -2, np.nan], np.float32)
    assert label_texts(LabelColumn("a", "continuous", numbers)) == ["0.5", "-2", ""]
