"""Families: their settings agree with their networks and trainers; plugins bring their own."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys

import pytest

from latentlab import catalog
from latentlab.backends.nn.diffusion import DiffusionConfig
from latentlab.backends.nn.flow import FlowConfig
from latentlab.backends.nn.probe import ProbeConfig
from latentlab.backends.nn.vae import VaeConfig
from latentlab.catalog import FAMILIES, TRAINERS
from latentlab.core.errors import LatentLabError
from latentlab.core.families.base import FamilySettings, ModelTable, setting
from latentlab.core.families.diffusion import DiffusionSettings
from latentlab.core.families.flow import FlowSettings
from latentlab.core.families.probe import ProbeSettings
from latentlab.core.families.registry import family_title, known_families, model_table
from latentlab.core.families.vae import VaeSettings
from latentlab.core.recipe import check_size, parse_recipe
from latentlab.core.recipe_errors import SettingError, placed, read_settings
from latentlab.core.recipe_text import RecipeText
from latentlab.core.settings_schema import groups, settings


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.id)
def test_rows_of_the_catalog_lead_somewhere(family: catalog.Family) -> None:
    assert TRAINERS[family.id] == family.trainer
    table = model_table(family.id)
    assert issubclass(table, FamilySettings)
    assert table().family == family.id
    module, _, attribute = family.trainer.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))
    assert family.title
    assert family.summary.endswith(".")
    assert family_title(family.id) == family.title


def test_settings_are_read_without_torch() -> None:
    code = (
        "import sys\n"
        "from latentlab.core.settings_schema import groups\n"
        "from latentlab.core.presets import preset_recipe\n"
        "from latentlab.catalog import FAMILIES\n"
        "for family in FAMILIES: groups(family.id); preset_recipe(family.id, 'quick', 'x')\n"
        "assert not {'torch', 'PySide6'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("table", "config", "other"),
    [
        (VaeSettings, VaeConfig, {"image_size", "channels", "class_names", "attribute_names"}),
        (
            DiffusionSettings,
            DiffusionConfig,
            {"image_size", "channels", "class_names", "attribute_names"},
        ),
        (FlowSettings, FlowConfig, {"image_size", "channels"}),
        (ProbeSettings, ProbeConfig, {"image_size", "channels", "labels"}),
    ],
)
def test_settings_and_shapes_have_the_same_defaults_and_limits(table, config, other) -> None:
    shared = table.model_fields.keys() & config.model_fields.keys()
    assert config.model_fields.keys() - shared == other
    for name in shared:
        mine, theirs = table.model_fields[name], config.model_fields[name]
        assert mine.default == theirs.default
        if name not in ("widths", "blocks"):
            assert mine.annotation == theirs.annotation
            assert sorted(map(str, mine.metadata)) == sorted(map(str, theirs.metadata))


class MineSettings(FamilySettings):
    family: str = setting("mine", "Family", "The kind of model.")
    depth: int = setting(3, "Depth", "Levels.", ge=1, le=9)


class MineBackend:
    settings = MineSettings


class MineByName:
    settings = f"{__name__}:MineSettings"


class Bare:
    pass


@pytest.fixture(params=["MineBackend", "MineByName", "Bare", "Absent"])
def plugin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    entry = importlib.metadata.EntryPoint(
        "mine", f"{__name__}:{request.param}", "latentlab.backends"
    )
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda group: [entry] if group == "latentlab.backends" else [],
    )
    return request.param


TEXT = """
[model]
family = "mine"
depth = 12
[data]
source = "x"
[train]
steps = 1
"""


def test_a_plugged_in_backend_brings_its_settings(plugin: str) -> None:
    assert known_families() == ("vae", "flow", "diffusion", "probe", "mine")
    if plugin == "Absent":
        with pytest.raises(LatentLabError, match=r"line 3: 'mine' .* cannot be used"):
            parse_recipe(TEXT)
        return
    if plugin == "Bare":
        assert model_table("mine") is ModelTable
        assert parse_recipe(TEXT).model.settings == {"depth": 12}
        assert groups("mine")[0].title == "Images"
        return
    assert model_table("mine") is MineSettings
    assert settings("mine")[0].key == "model.depth"
    with pytest.raises(LatentLabError, match=r"line 4: 'model.depth' cannot be 12.* from 1 to 9"):
        parse_recipe(TEXT)
    recipe = parse_recipe(TEXT.replace("12", "2"))
    assert recipe.model.settings == {"depth": 2}
    assert parse_recipe(recipe.to_toml()) == recipe


def test_trainers_read_the_same_settings() -> None:
    assert read_settings(VaeSettings, {"width": 8}) == VaeSettings(width=8)
    with pytest.raises(SettingError, match=r"'model\.wdith' is not known; did you mean 'width'"):
        read_settings(VaeSettings, {"wdith": 8})
    with pytest.raises(SettingError, match=r"element 2 of 'model\.widths' cannot be 2"):
        read_settings(ProbeSettings, {"widths": [4, 2, 4]})


def test_what_the_data_does_not_allow_is_told_with_its_line() -> None:
    places = RecipeText("faces.toml", TEXT, ["train.steps"])
    for key, place in {
        "model.depth": "faces.toml, line 4: ",
        "data.size": "faces.toml, line 5: ",
        "train.steps": "in --set: ",
        "output.id": "faces.toml: ",
    }.items():
        with pytest.raises(LatentLabError) as caught, placed(places):
            raise SettingError(key, "it does not fit.")
        assert caught.value.message == f"{place}'{key}': it does not fit."
    with pytest.raises(SettingError), placed(None):
        raise SettingError("model.depth", "it does not fit.")


def test_a_size_that_the_family_does_not_have_is_told_before_any_image_is_read() -> None:
    text = '[model]\nfamily = "vae"\n[data]\nsource = "x"\nsize = 17\n[train]\nsteps = 1\n'
    with pytest.raises(SettingError, match=r"data\.size.*16, 32, 64, 128, 256 .*not 17"):
        check_size(parse_recipe(text))
    check_size(parse_recipe(text.replace("17", "32")))
    check_size(parse_recipe(text.replace("size = 17", "")))
