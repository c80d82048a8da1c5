"""What a person chose, kept between runs as JSON."""

from __future__ import annotations

import base64
import binascii
import time
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from latentlab.core.modelfile import replace_file
from latentlab.core.paths import config_folder, models_folder, runs_folder

Theme = Literal["system", "light", "dark"]
MAX_RECENT = 12
_MAX_BYTES = 4 * 2**20


class Settings(BaseModel):
    """Settings; assignment is validated. Fields that another version wrote are ignored.

    Attributes:
        theme: follow the system, or light, or dark.
        device: ``auto`` (CUDA, then MPS, then CPU), or a torch device such as ``cpu``, ``cuda:1``.
        threads: CPU threads of the networks; ``None`` leaves torch's own choice.
        smoothing: smooth enlarged images instead of whole-number zoom.
        animation: false turns animation off.
        hint_dismissed: the first-start hint was closed.
        recent_files: sessions, models and photographs, the newest first.
        library_folders: folders whose models the library shows beside its own.
        run_folders: folders whose training runs are watched beside the own ones; each is a run, or
            holds runs.
        window_geometry: bytes of the window's geometry, as base64.
        window_layout: bytes of the dock arrangement, as base64.
        workspaces: the person's own dock arrangements, base64 by name.
        train_view: how the Train panel was left; see ``latentlab.ui.widgets.run_view_state``.
        denoise_view: how the Denoising panel was left; see
            ``latentlab.ui.widgets.denoise_state``.
        folded_headings: headings of the attributes panel that are folded.
    """

    model_config = ConfigDict(extra="ignore", validate_assignment=True)

    version: int = 1
    theme: Theme = "system"
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d{1,3})?)$")
    threads: int | None = Field(default=None, ge=1, le=1024)
    smoothing: bool = False
    animation: bool = True
    hint_dismissed: bool = False
    recent_files: tuple[str, ...] = ()
    library_folders: tuple[str, ...] = ()
    run_folders: tuple[str, ...] = ()
    window_geometry: str = ""
    window_layout: str = ""
    workspaces: dict[str, str] = Field(default_factory=dict)
    train_view: dict[str, Any] = Field(default_factory=dict)
    denoise_view: dict[str, Any] = Field(default_factory=dict)
    folded_headings: tuple[str, ...] = ()

    @field_validator("window_geometry", "window_layout")
    @classmethod
    def _is_base64(cls, value: str) -> str:
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError("not base64") from error
        return value

    def add_recent(self, path: Path) -> None:
        """Put a file first among the recent ones."""
        name = str(path.absolute())
        rest = tuple(p for p in self.recent_files if p != name)
        self.recent_files = (name, *rest)[:MAX_RECENT]

    def layout_bytes(self) -> tuple[bytes, bytes]:
        """Return the window's geometry and dock arrangement; empty when there is none."""
        return base64.b64decode(self.window_geometry), base64.b64decode(self.window_layout)

    def set_layout(self, geometry: bytes, layout: bytes) -> None:
        """Keep the window's geometry and dock arrangement."""
        self.window_geometry = base64.b64encode(geometry).decode()
        self.window_layout = base64.b64encode(layout).decode()

    def model_folders(self) -> list[Path]:
        """Return the person's own model folder and the added ones, in this order."""
        return [models_folder(), *(Path(name) for name in self.library_folders)]

    def run_roots(self) -> list[Path]:
        """Return the person's own runs folder and the added ones, in this order."""
        return [runs_folder(), *(Path(name) for name in self.run_folders)]


def settings_path() -> Path:
    """Return the settings file."""
    return config_folder() / "settings.json"


def save_settings(settings: Settings, path: Path | None = None) -> None:
    """Write settings: whole, or not at all.

    Raises:
        LatentLabError: the folder cannot be written.
    """
    text = settings.model_dump_json(indent=2)
    replace_file(path or settings_path(), lambda target: target.write_text(text, encoding="utf-8"))


def _set_aside(path: Path) -> str:
    kept = path.with_name(f"{path.stem}.damaged-{time.time_ns()}{path.suffix}")
    try:
        path.replace(kept)
    except OSError:
        return "it could not be set aside and will be replaced"
    return f"it was kept as '{kept.name}'"


def load_settings(path: Path | None = None) -> tuple[Settings, str | None]:
    """Read settings, or make new ones.

    Returns:
        The settings, and a sentence when the file was damaged (the old one is kept aside).
    """
    path = path or settings_path()
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ValueError("too large")
        return Settings.model_validate_json(data), None
    except FileNotFoundError:
        return Settings(), None
    except OSError as error:
        return (
            Settings(),
            f"The settings '{path}' cannot be read ({error.strerror}): using new ones.",
        )
    except (ValidationError, ValueError, RecursionError):
        return Settings(), f"The settings were damaged and are reset; {_set_aside(path)}."
