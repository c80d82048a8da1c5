from __future__ import annotations

from pathlib import Path

import pytest

from latentlab.core import paths
from latentlab.core.errors import LatentLabError
from latentlab.core.settings import MAX_RECENT, Settings, load_settings, save_settings


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "home"))


def test_settings_come_back_as_they_were(tmp_path: Path) -> None:
    settings = Settings(theme="dark", device="cuda:1", threads=2, smoothing=True)
    settings.set_layout(b"\x00\xff geometry", b"layout")
    settings.add_recent(tmp_path / "a.latentlab")
    save_settings(settings)
    loaded, warning = load_settings()
    assert (loaded, warning) == (settings, None)
    assert loaded.layout_bytes() == (b"\x00\xff geometry", b"layout")


def test_without_a_file_there_are_defaults_and_no_warning() -> None:
    assert load_settings() == (Settings(), None)
    assert not paths.config_folder().exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"theme": "pink"}',
        b'{"threads": 0}',
        b'{"device": "cuda; rm"}',
        b'{"window_layout": "***"}',
        b"\x80\x04\x95pickle",
        b"[" * 100_000,
        b" " * (5 * 2**20),
    ],
    ids=range(10),
)
def test_a_damaged_file_gives_defaults_a_warning_and_is_kept(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    settings, warning = load_settings(path)
    assert settings == Settings()
    kept = [p for p in tmp_path.iterdir() if "damaged" in p.name]
    assert len(kept) == 1
    assert kept[0].read_bytes() == content
    assert kept[0].name in (warning or "")
    save_settings(Settings(theme="light"), path)
    assert load_settings(path) == (Settings(theme="light"), None)


def test_a_field_of_a_newer_version_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"theme": "dark", "hologram": true}')
    assert load_settings(path) == (Settings(theme="dark"), None)


def test_assignment_is_checked() -> None:
    settings = Settings()
    with pytest.raises(ValueError, match="theme"):
        settings.theme = "pink"  # type: ignore[assignment]


def test_recent_files_are_the_newest_first_and_few(tmp_path: Path) -> None:
    settings = Settings()
    for i in [*range(20), 15]:
        settings.add_recent(tmp_path / f"{i}")
    assert len(settings.recent_files) == MAX_RECENT
    assert [Path(p).name for p in settings.recent_files[:3]] == ["15", "19", "18"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LatentLabError, match="could not be written"):
        save_settings(Settings(), tmp_path / "file" / "settings.json")


def test_all_folders_obey_the_variable(tmp_path: Path) -> None:
    folders = [
        paths.data_folder(),
        paths.config_folder(),
        paths.cache_folder(),
        paths.state_folder(),
        paths.models_folder(),
    ]
    assert all(folder.is_relative_to(tmp_path / "home") for folder in folders)
    assert len(set(folders)) == 5


def test_without_the_variable_the_platform_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(paths.HOME_VARIABLE)
    assert "latentlab" in str(paths.config_folder()).lower()


def test_assets_are_found() -> None:
    assert paths.asset_path("models").parent.name == "assets"
