"""``latentlab recipe``, run as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from latentlab.catalog import FAMILIES
from latentlab.cli import main
from latentlab.core.presets import PRESETS
from latentlab.core.recipe import load_recipe, parse_recipe
from latentlab.core.settings_schema import settings
from tests.data.image_files import encode, noise_image, write_tree

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLAB_HOME", str(tmp_path / "home"))


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["recipe", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


@pytest.mark.parametrize("family", [family.id for family in FAMILIES])
@pytest.mark.parametrize("preset", PRESETS)
def test_writes_a_recipe_that_teaches(family: str, preset: str, tmp_path: Path, capsys) -> None:
    out = tmp_path / "new" / "mine.toml"
    words = ["recipe", "--family", family, "--preset", preset, "--data", "portraits"]
    assert main([*words, "--size", "16", "--set", "train.steps=3", "--out", str(out)]) == 0
    assert f"latentlab train {out}" in capsys.readouterr().out
    recipe = load_recipe(out)
    assert (recipe.data.size, recipe.train.steps, recipe.output.id) == (16, 3, "mine")
    text = out.read_text(encoding="utf-8")
    for setting in settings(family):
        name = setting.name
        assert f"\n{name} = " in text or f"\n# {name} is not set." in text
        assert f"\n# {setting.title}: " in text
    assert max(map(len, text.splitlines())) <= 100


def test_prints_without_out_and_as_json(capsys) -> None:
    assert main(["recipe", "--data", "portraits:count=50"]) == 0
    text = capsys.readouterr().out
    recipe = parse_recipe(text)
    assert recipe.data.source == "portraits:count=50,seed=1"
    assert main(["recipe", "--data", "portraits:count=50", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["preset"] == "quick"
    assert found["recipe"] == recipe.resolved()
    assert tomllib.loads(found["toml"]) == found["recipe"]


def test_a_recipe_of_ones_own_images(tmp_path: Path, capsys) -> None:
    images = {f"{k}/{i}.png": encode(noise_image(i, 28, 28, 1)) for i in range(9) for k in "ab"}
    source = write_tree(tmp_path / "pets", images)
    out = tmp_path / "pets.toml"
    assert main(["recipe", "--data", str(source), "--preset", "good", "--out", str(out)]) == 0
    capsys.readouterr()
    recipe = load_recipe(out)
    assert (recipe.data.source, recipe.data.size, recipe.data.channels) == (str(source), 32, 1)
    assert recipe.train.batch_size <= 16
    assert recipe.output.title == "Pets, good"
    before = out.read_bytes()
    assert "is there already" in refused(capsys, "--data", "portraits", "--out", str(out))
    assert out.read_bytes() == before
    assert main(["recipe", "--data", "portraits", "--out", str(out), "--replace"]) == 0
    assert load_recipe(out).data.source.startswith("portraits:")


def test_checks_a_recipe_and_says_what_it_means(capsys) -> None:
    path = str(ROOT / "recipes" / "portraits-vae.toml")
    assert main(["recipe", path, "--check"]) == 0
    text = capsys.readouterr().out
    for words in (
        "Variational autoencoder, 'portraits-vae', with prior fitted, beta 4",
        "portraits:count=100000,seed=1; 64 x 64 pixels, colour",
        "up to 5,000 images of portraits:count=5000,seed=2",
        "5,500,000 images seen (42,969 steps) in batches of 128",
        "every 3 minutes",
    ):
        assert words in text
    assert main(["recipe", path, "--check", "--json", "--set", "train.steps=7"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["total_steps"] == 7
    assert found["changed"]["model.beta"] == 4.0
    assert "images_seen" not in found["recipe"]["train"]


def test_mistakes_are_one_sentence_with_their_line(tmp_path: Path, capsys) -> None:
    path = tmp_path / "r.toml"
    path.write_text(
        '[model]\nfamily = "vae"\nlatent_dm = 3\n[data]\nsource = "x"\n[train]\nsteps=1'
    )
    message = refused(capsys, str(path), "--check")
    assert message.startswith("latentlab: r.toml, line 3: 'model.latent_dm' is not known; did you")
    path.write_text(path.read_text().replace("latent_dm", "latent_dim"))
    message = refused(capsys, str(path), "--check", "--set", "train.batch_size=many")
    assert message.startswith("latentlab: in --set: 'train.batch_size' cannot be 'many': use a ")
    for words, expected in {
        (): "--data SOURCE",
        (str(path),): "--check",
        (str(path), "--data", "portraits"): "not both",
        (str(tmp_path / "no.toml"), "--check"): "cannot be read",
        ("--data", str(tmp_path / "nothing")): "There is no",
        ("--data", "portraits", "--family", "vea"): "did you mean 'vae'",
        ("--data", "portraits", "--preset", "bst"): "did you mean 'best'",
        ("--data", "portraits", "--size", "3"): "'data.size' cannot be 3",
        ("--data", "portraits", "--set", "x"): "--set NAME=VALUE",
        ("--data", "portraits", "--set", "train.stps=4"): "did you mean 'steps'",
        ("--data", "portraits", "--out", str(tmp_path)): "is a folder",
        ("--explain", "vea"): "did you mean 'vae'",
    }.items():
        message = refused(capsys, *words)
        assert expected in message, message
        assert message.count("\n") == 1


def test_explains_every_setting(capsys) -> None:
    for family in ("vae", "probe"):
        assert main(["recipe", "--explain", family]) == 0
        text = capsys.readouterr().out
        for setting in settings(family):
            assert f"{setting.key}: {setting.help}" in text
        assert main(["recipe", "--explain", family, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert [s["key"] for g in found for s in g["settings"]] == [s.key for s in settings(family)]


def test_the_page_of_the_manual_is_current(capsys) -> None:
    assert main(["recipe", "--explain", "--markdown"]) == 0
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == page, (
        "run: latentlab recipe --explain --markdown > docs/recipes.md"
    )


def test_checking_and_explaining_need_no_torch() -> None:
    code = (
        "import sys\n"
        "from latentlab.cli import main\n"
        f"assert main(['recipe', {str(ROOT / 'recipes' / 'probe.toml')!r}, '--check']) == 0\n"
        "assert main(['recipe', '--explain']) == 0\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_help_shows_how_to_train_what_was_written(capsys) -> None:
    assert main(["recipe", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--out r.toml && latentlab train r.toml" in text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("beta = 1", 'condition = "class"', "r.toml, line 3: 'model.condition': this data set has"),
        ("beta = 1", 'condition = ["smile"]', "line 3: 'model.condition': 'smile' is not a"),
        ("size = 16", "size = 20", "r.toml, line 6: 'data.size': a VAE works on square images of"),
        ("size = 16", "", "r.toml, line 4: 'data.size': a VAE works on square images of"),
        ("labels = []", 'labels = ["smile"]', "r.toml, line 7: 'data.labels': "),
    ],
)
def test_what_the_data_does_not_allow_is_told_with_its_line(
    old: str, new: str, words: str, tmp_path: Path, capsys
) -> None:
    source = write_tree(tmp_path / "pets", {f"{i}.png": encode(noise_image(i)) for i in range(30)})
    text = f"""[model]
family = "vae"
beta = 1
[data]
source = {json.dumps(str(source))}
size = 16
labels = []
[train]
steps = 1
batch_size = 4
device = "cpu"
"""
    assert old in text
    path = tmp_path / "r.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    run = tmp_path / "run"
    assert main(["train", str(path), "--run-dir", str(run), "--json"]) == 2
    assert words in capsys.readouterr().err
    path.write_text(text, encoding="utf-8")
    assert main(["train", str(path), "--set", "data.size=20", "--run-dir", str(run)]) == 2
    assert "in --set: 'data.size': a VAE works on" in capsys.readouterr().err
