"""Built-ins and installed plugins by one road; a broken plugin is a disabled row with a reason."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from latentlab.catalog import BUILTIN, BUNDLED_MODELS, TRAINERS
from latentlab.core.errors import LatentLabError
from latentlab.core.paths import asset_path
from latentlab.core.registry import plugin, plugins

MODULES = {
    "lab_good": "class Backend:\n    name = 'good'\n",
    "lab_broken": "raise RuntimeError('its library is too old')\n",
    "lab_needy": "import a_library_that_nobody_has\n",
    "lab_empty": "",
}
ENTRIES = """\
[latentlab.backends]
vae = lab_good:Backend
z-good = lab_good:Backend
broken = lab_broken:Backend
needy = lab_needy:Backend
empty = lab_empty:Backend
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that is really found by importlib.metadata, with five entry points."""
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    info = tmp_path / "lab_plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-plugins\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("installed")
def test_installed_plugins_come_after_the_built_ins_and_are_not_imported() -> None:
    rows = plugins("latentlab.backends")
    built_in = [row.id for row in BUILTIN["latentlab.backends"]]
    assert [p.row.id for p in rows if p.builtin] == built_in
    others = [p.row.id for p in rows if not p.builtin]
    assert others == ["broken", "empty", "needy", "vae", "z-good"]
    assert not MODULES.keys() & sys.modules.keys()
    assert plugin("latentlab.backends", "z-good").load().name == "good"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "RuntimeError: its library is too old"),
        ("needy", "No module named 'a_library_that_nobody_has'"),
        ("empty", "has no attribute 'Backend'"),
    ],
)
def test_a_plugin_that_fails_to_import_says_why(name: str, reason: str) -> None:
    row = plugin("latentlab.backends", name)
    for _ in range(2):
        with pytest.raises(LatentLabError) as caught:
            row.load()
        assert reason in caught.value.message
        assert name in caught.value.message
        assert "\n" not in caught.value.message
    assert plugin("latentlab.backends", "vae").builtin


@pytest.mark.usefixtures("installed")
def test_a_plugin_cannot_take_the_place_of_a_built_in() -> None:
    twins = [p for p in plugins("latentlab.backends") if p.row.id == "vae"]
    assert [p.builtin for p in twins] == [True, False]
    assert plugin("latentlab.backends", "vae") == twins[0]
    assert twins[1].error is not None
    with pytest.raises(LatentLabError, match=r"\(lab_good:Backend\) repeats a known id"):
        twins[1].load()


def test_unknown_ids_name_the_known_ones() -> None:
    with pytest.raises(LatentLabError, match=r"There is no 'nosuch'.*known: vae"):
        plugin("latentlab.backends", "nosuch")


@pytest.mark.parametrize("group", [g for g in BUILTIN if g != "latentlab.panels"])
def test_every_built_in_row_can_be_used(group: str) -> None:
    for row in BUILTIN[group]:
        assert plugin(group, row.id).load() is not None


def test_trainers_and_bundled_models_are_there() -> None:
    for target in TRAINERS.values():
        module, _, attribute = target.partition(":")
        assert hasattr(importlib.import_module(module), attribute)
    for model_id in BUNDLED_MODELS:
        assert asset_path("models", f"{model_id}.safetensors").is_file()
