"""The controller's part about files: photographs, exports, commands, sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentlab.core.card_figures import decibels
from latentlab.core.document import Picture
from latentlab.core.errors import LatentLabError
from latentlab.core.session import Session, load_session, save_session

SESSION_SUFFIX = ".latentlab"
MODEL_SUFFIX = ".safetensors"
LATENTS_SUFFIXES = (".npz",)
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")
IMAGE_FILTER = f"Images ({' '.join(f'*{suffix}' for suffix in IMAGE_SUFFIXES)});;All files (*)"
_PNG_MARK = b"latentlab:picture"
_LATENTS_MARK = b"latentlab-latents"
_DIRECTION_MARK = b"latentlab-direction"
_PEEK = 2**17


class FileActions:
    """Methods of ``Controller``; see there."""

    def open_file(self, path: Path | str) -> None:
        """Open whatever a file is: a model, a session, a direction, an image, latents."""
        path = Path(path)
        suffix = path.suffix.lower()
        with self.reporting():
            if not path.is_file():
                raise LatentLabError(f"There is no file '{path}': check the name.")
            if suffix == SESSION_SUFFIX:
                self.load_session(path)
            elif suffix == MODEL_SUFFIX and _says(path, _DIRECTION_MARK):
                if self.model is None:
                    # Given at the start: it belongs to a model.
                    self.open_first()
                self.import_direction(path)
            elif suffix == MODEL_SUFFIX and not _says(path, _LATENTS_MARK):
                self.open_model(path)
            elif (
                suffix in LATENTS_SUFFIXES
                or suffix == MODEL_SUFFIX
                or (suffix == ".png" and _says(path, _PNG_MARK))
            ):
                self.import_latents(path)
            elif suffix in IMAGE_SUFFIXES:
                self.encode_photo(path)
            else:
                raise LatentLabError(
                    f"'{path.name}' cannot be opened: drop a model or direction (.safetensors), a "
                    f"session ({SESSION_SUFFIX}), latents (.npz) or an image."
                )

    def encode_photo(self, photo: Path | str | bytes | NDArray[np.uint8]) -> None:
        """Take a photograph in: a file, its bytes, or uint8 ``(H, W, C)``; then show it."""
        if self.model is None or self.model_entry is None:
            self.report(LatentLabError("Open a model first, then drop the photograph again."))
            return
        if "encode" not in self.model.spec.capabilities:
            self.report(
                LatentLabError(
                    f"'{self.model_entry.title}' cannot take a photograph in: "
                    "choose a model that can encode."
                )
            )
            return
        name = Path(photo).name if isinstance(photo, (str, Path)) else "the pasted image"
        if isinstance(photo, Path):
            photo = str(photo.absolute())
        arguments = {"model": self.model_entry.id, "photo": photo}
        self._tracker.start("encode_photo", f"Encoding {name}", arguments, self._photo_encoded)

    def _photo_encoded(self, encoded: Any) -> None:
        self.store.put(encoded.photo)
        self.store.put_latents(encoded.latents)
        self.photo_result = encoded
        name = encoded.picture.name or "pasted"
        self.show_picture(encoded.picture, f"Photograph {name}")
        self.photo_changed.emit(encoded)
        self.message.emit(f"Encoded: reconstruction {decibels(encoded.residual_psnr)}", "")

    def import_latents(self, path: Path) -> None:
        """Show the latents, or the picture, that a file of ours holds."""
        model = self.model_entry.id if self.model_entry else ""
        arguments = {"path": str(path.absolute()), "model": model}
        title = f"Opening {path.name}"

        def take(found: Any) -> None:
            if found.stored is not None:
                self.store.put_latents(found.stored)
            with self.reporting():
                document, picture = self._adopt(found.picture, found.directions)
                document = document.model_copy(update={"canvas": picture})
                self.apply(document, f"Open {path.name}")
                if found.note:
                    self.message.emit(found.note, "")

        self._tracker.start("import_latents", title, arguments, take)

    def export_png(self, path: Path | str, picture: Picture | None = None) -> None:
        """Write a picture (the canvas when not given) as a PNG that says how it was made."""
        self._export("export_png", Path(path), picture)

    def export_latents(self, path: Path | str) -> None:
        """Write the latents of the canvas, edits included, as .safetensors or .npz."""
        self._export("export_latents", Path(path))

    def _export(self, kind: str, path: Path, picture: Picture | None = None) -> None:
        with self.reporting():
            picture = picture or self._canvas()
            arguments = {
                "path": str(path.absolute()),
                "picture": picture,
                "stored": self.store.latents(picture),
                "directions": self.own_directions(picture),
            }

            def written(_value: Any) -> None:
                self.message.emit(f"Written: {path.name}", str(path.absolute()))

            self._tracker.start(kind, f"Exporting {path.name}", arguments, written)

    def copy_command(self, picture: Picture | None = None) -> str:
        """Return the command line that makes the PNG of a picture (the canvas when not given).

        It is empty when that fails.
        """
        from latentlab.services.commands import command_for

        with self.reporting():
            picture = picture or self._canvas()
            entry = self.library.resolve(picture.model)
            stored, device = self.store.latents(picture), self.settings.device
            own = self.own_directions(picture)
            return command_for(picture, stored, entry=entry, device=device, directions=own)
        return ""

    def session(self) -> Session:
        """Return what a session file keeps, independent of what happens later.

        Raises:
            LatentLabError: an array of the history is missing.
        """
        history = self._history_as_shown()
        return Session(history, self.store.subset(history.array_hashes()), {})

    @property
    def dirty(self) -> bool:
        """Whether there is work that no session file has: browsing alone is none."""
        document, saved = self.document, self.saved_document
        if document == saved:
            return False
        canvas = document.canvas
        worked = canvas is not None and bool(canvas.edits or canvas.stored)
        made = document.tray or document.directions or document.sliders or document.denoising
        return bool(saved or made or document.switches or worked)

    def save_session(self, path: Path | str) -> bool:
        """Write the session; say so, or why not; return whether it was written."""
        path = Path(path)
        if path.suffix != SESSION_SUFFIX:
            path = path.with_name(path.name + SESSION_SUFFIX)
        with self.reporting():
            session = self.session()
            save_session(path, session)
            self.saved_document = self.document
            self.session_path = path
            self.settings.add_recent(path)
            self.message.emit(f"Saved: {path.name}", str(path))
            self.document_changed.emit(self.document)
            return True
        return False

    def load_session(self, path: Path | str) -> bool:
        """Open a session in place of the current work; return whether that worked."""
        path = Path(path)
        with self.reporting():
            session = load_session(path)
            if self.dirty and not self.confirm_loss():
                return False
            self.take_session(session)
            self.saved_document = self.document
            self.session_path = path
            self.settings.add_recent(path)
            self.message.emit(f"Opened: {path.name}. {self.weights_note()}".strip(), str(path))
            self.document_changed.emit(self.document)
            return True
        return False

    def take_session(self, session: Session) -> None:
        """Put a session that was read in place of the current work."""
        for array in session.arrays.values():
            self.store.put(array)
        self.replace_history(session.history)


def _says(path: Path, mark: bytes) -> bool:
    """Whether a mark of ours stands near the beginning of a file."""
    try:
        with path.open("rb") as stream:
            return mark in stream.read(_PEEK)
    except OSError as error:
        raise LatentLabError(f"'{path}' cannot be read ({error.strerror}).") from error
