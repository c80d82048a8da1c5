"""The form for a new training run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import QFileDialog, QStackedLayout, QVBoxLayout, QWidget

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import MAX_RECIPE_BYTES
from latentlab.core.requests import Failure
from latentlab.services.data_preview import DataPreview
from latentlab.ui.help import TOPIC
from latentlab.ui.own_data import own_source
from latentlab.ui.widgets.new_run_draft import RunDraft
from latentlab.ui.widgets.new_run_page import NewRunPage
from latentlab.ui.widgets.new_run_recipe import (
    RECIPES,
    NewRunRecipe,
    quoted,
    recipes_folder,
    write_recipe,
)
from latentlab.ui.widgets.new_run_start import START_KEYS, NewRunStart
from latentlab.ui.widgets.notice_bar import NoticeBar

RECIPE_SUFFIX, MODEL_SUFFIX = ".toml", ".safetensors"
PORTRAITS = "portraits"
_STARTING_MS = 1000
_HELP = (
    "New training run|Choose a family, the images and a preset; the images are shown as the "
    "network will get them, and what the run takes is measured on this device. Every setting is "
    "explained; ● marks those that you changed, and a double-click on the name resets them. Drop a "
    "folder, a zip, a recipe (.toml) or a model (.safetensors) to start from. Ctrl+Return starts."
)


class NewRunForm(QWidget):
    """Family, data, preset, every setting; what it takes; Start.

    What is filled in stays when the form is hidden, and when a start fails.

    Args:
        controller: of the window.

    Signals:
        started: the run's folder.
        cancelled: the person leaves the form.
    """

    started = Signal(object)
    cancelled = Signal()

    def __init__(self, controller: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("New training run")
        self.setAcceptDrops(True)
        self.setProperty(TOPIC, _HELP)
        self._controller = controller
        model = controller.model
        own = own_source(None if model is None else model.spec)
        # How many portraits are drawn, the preset knows best.
        self.draft = RunDraft(source=PORTRAITS if own.startswith(PORTRAITS) else own or PORTRAITS)
        self._named = ""
        self._where = ""
        self._data_failure: Failure | None = None
        self.notice = NoticeBar()
        self.page = NewRunPage(controller)
        self.recipe = NewRunRecipe()
        self.foot = NewRunStart()
        self._lay_out()
        self._connect()
        self._starting = QTimer(self, singleShot=True, interval=_STARTING_MS)
        self.follow()

    def _lay_out(self) -> None:
        content = QWidget()
        self._stack = QStackedLayout(content)
        self._stack.addWidget(self.page)
        self._stack.addWidget(self.recipe)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.notice)
        layout.addWidget(content, 1)
        layout.addWidget(self.foot)

    def _connect(self) -> None:
        page, recipe, foot = self.page, self.recipe, self.foot
        page.family_chosen.connect(lambda family: self._do(self.draft.choose_family, family))
        page.preset_chosen.connect(lambda preset: self._do(self.draft.choose_preset, preset))
        page.open_asked.connect(self.choose_recipe)
        page.recipe_asked.connect(lambda: self._show_recipe(True))
        page.data.changed.connect(self._data_chosen)
        page.data.split_chosen.connect(lambda part: self._do(self.draft.set, "data.split", part))
        page.settings.edited.connect(lambda key, value: self._do(self.draft.set, key, value))
        page.settings.reset_asked.connect(lambda key: self._do(self.draft.reset, key))
        page.settings.misread.connect(self.follow)
        page.preview.arrived.connect(self._take_preview)
        page.preview.failed.connect(self._data_failed)
        page.preview.changed.connect(self._follow_estimate)
        page.warm.failed.connect(self._say)
        recipe.left.connect(lambda: self._show_recipe(False))
        recipe.every_wanted.connect(lambda _every: self._follow_recipe())
        recipe.said.connect(lambda text: self._controller.message.emit(text, ""))
        recipe.failed.connect(self._say)
        recipe.command_wanted.connect(self.copy_command)
        foot.start_asked.connect(self.start)
        foot.cancel_asked.connect(self._cancel)
        foot.name_edited.connect(self._name_edited)
        foot.blocker_asked.connect(self._show_blocker)
        here = Qt.ShortcutContext.WidgetWithChildrenShortcut
        for keys in (START_KEYS, "Ctrl+Enter"):
            QShortcut(QKeySequence(keys), self, context=here).activated.connect(self.start)

    # Following the draft.

    def _do(self, change: Any, *values: Any) -> None:
        try:
            change(*values)
        except LatentLabError as error:
            self._say(error)
        self.follow()

    def follow(self) -> None:
        """Show what the draft says, and look at its data."""
        draft, page = self.draft, self.page
        page.show_draft(draft)
        problems = self.problems()
        page.settings.set_problems(problems)
        data_known = not any(key.startswith("data.") for key in problems)
        if data_known:
            seed = int(draft.value("train.seed") or 0)
            page.preview.want(draft.data, seed)
        else:
            page.preview.want(None, 0)
        self._follow_name()
        self._follow_recipe()
        self._follow_estimate()
        self._follow_start(problems)

    def problems(self) -> dict[str, str]:
        """Return what keeps the run from starting: a sentence by key."""
        found = self.draft.problems() | self.page.settings.invalid
        if "data.source" in found:
            return found
        preview = self.page.preview
        if self._data_failure is not None and not preview.looking:
            found.setdefault("data", self._data_failure.message)
        seen = preview.preview
        if seen is not None and not preview.grid.stale and "train.batch_size" not in found:
            batch = int(self.draft.value("train.batch_size") or 0)
            if batch > seen.num_training:
                count = f"{seen.num_training:,}"
                found["train.batch_size"] = f"There are {count} images to train on: at most that."
        return found

    def _follow_start(self, problems: dict[str, str] | None = None) -> None:
        problems = self.problems() if problems is None else problems
        key, sentence = next(iter(problems.items()), ("", ""))
        setting = self.draft.settings.get(key)
        if setting is not None and not sentence.startswith(setting.title):
            sentence = f"{setting.title}: {sentence[:1].lower()}{sentence[1:]}"
        self._where = key
        can_show = key in self.page.settings.fields
        self.foot.set_blocker(sentence, can_show and self._stack.currentWidget() is self.page)

    def _follow_estimate(self) -> None:
        problems = self.problems()
        if problems:
            why = "The estimate waits until every setting is right."
            self.page.estimate.want(None, why)
        elif self.page.preview.looking:
            self.page.estimate.want(None, "The estimate waits for the data.")
        else:
            recipe = self.draft.recipe()
            # What the model is called changes nothing of what it takes.
            plain = recipe.model_copy(update={"output": type(recipe.output)()})
            self.page.estimate.want(plain.to_toml())
        self._follow_start(problems)

    def _follow_recipe(self) -> None:
        text = self.draft.text(every=self.recipe.every_box.isChecked())
        self.recipe.show_text(text, self._folder().name)

    # Data.

    def _data_chosen(self) -> None:
        chosen = self.page.data
        self.draft.choose_source(chosen.source)
        self.follow()

    def _take_preview(self, preview: DataPreview) -> None:
        self._data_failure = None
        self.page.data.show_splits(preview.splits, self.draft.value("data.split"))
        facts = getattr(preview, "facts", None)
        if facts is not None:
            self.draft.set_facts(self.draft.source, facts)
        self.follow()

    def _data_failed(self, failure: Failure) -> None:
        self._data_failure = failure
        self.follow()

    # Name.

    @property
    def root(self) -> Path:
        """The folder that runs go to."""
        return Path(self._controller.settings.run_roots()[0])

    @property
    def name(self) -> str:
        """Of the run."""
        return self._named.strip() or self._proposal()

    def _proposal(self) -> str:
        from latentlab.services.launcher import free_run_dir

        draft = self.draft
        if draft.origin.name:
            wanted = draft.origin.name.removesuffix(RECIPE_SUFFIX)
        else:
            named = draft.source.partition(":")[0]
            source = named if named == PORTRAITS else Path(draft.source).stem
            words = [source or "run", draft.family, draft.origin.preset]
            wanted = "-".join(filter(None, words))
        return free_run_dir(self.root, wanted).name

    def _folder(self) -> Path:
        """Return the folder that the run would get."""
        from latentlab.services.launcher import free_run_dir

        return free_run_dir(self.root, self.name)

    def _name_edited(self, text: str) -> None:
        self._named = text
        self._follow_name()
        self._follow_recipe()

    def _follow_name(self) -> None:
        folder = self._folder()
        if self.foot.name.hasFocus() and self.foot.name.text() == self._named:
            # What is being written is left alone, even when it is empty for now.
            self.foot.show_name(self._named, folder)
            return
        self.foot.show_name(self.name, folder)

    # Recipes.

    def set_recipe(self, text: str, name: str) -> None:
        """Fill the form from a recipe; what is wrong with it is said in the form.

        Args:
            text: TOML.
            name: of the run that it is from, or of its file: another name is proposed from it.
        """
        try:
            self.draft.take_recipe(text, name)
        except LatentLabError as error:
            self._say(error)
            return
        self._named = ""
        self._data_failure = None
        self.notice.hide()
        self._show_recipe(False)
        self.follow()

    def choose_recipe(self) -> None:
        """Ask for a recipe file."""
        path, _ = QFileDialog.getOpenFileName(self, "Open a recipe", "", RECIPES)
        if path:
            self.open_recipe(Path(path))

    def open_recipe(self, path: Path) -> None:
        """Fill the form from a recipe file."""
        try:
            if path.stat().st_size > MAX_RECIPE_BYTES:
                raise LatentLabError(f"'{path.name}' is too large for a recipe: choose another.")
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            self._say(LatentLabError(f"'{path}' cannot be read ({error.strerror})."))
        except UnicodeDecodeError:
            self._say(LatentLabError(f"'{path.name}' is not text: choose a TOML recipe file."))
        except LatentLabError as error:
            self._say(error)
        else:
            self.set_recipe(text, path.name)

    def _show_recipe(self, shown: bool) -> None:
        wanted = self.recipe if shown else self.page
        if self._stack.currentWidget() is wanted:
            return
        self._stack.setCurrentWidget(wanted)
        self._follow_start()
        (self.recipe.back_button if shown else self.page.recipe_button).setFocus()

    def copy_command(self) -> None:
        """Save the recipe among the person's own and copy the command that trains it."""
        run_dir = self._folder()
        path = recipes_folder() / f"{run_dir.name}.toml"
        try:
            write_recipe(path, self.draft.text())
        except LatentLabError as error:
            self._say(error)
            return
        words = ["latentlab", "train", quoted(path), "--run-dir", quoted(run_dir)]
        if self.page.warm.path is not None:
            words += ["--warm-start", quoted(self.page.warm.path)]
        QGuiApplication.clipboard().setText(" ".join(words))
        self._controller.message.emit(f"Copied; the recipe is {path}", "")

    # Starting.

    def start(self) -> None:
        """Start the run, if nothing is wrong."""
        if not self.foot.start_button.isEnabled() or self._starting.isActive():
            return
        from latentlab.services.launcher import start_run

        try:
            self._check_data()
            run_dir = self._folder()
            text = self.draft.recipe().to_toml()
            start_run(text, run_dir, warm_start=self.page.warm.path)
        except LatentLabError as error:
            self._say(error)
            return
        except OSError as error:
            reason = error.strerror or type(error).__name__
            self._say(LatentLabError(f"The run could not be started ({reason}): try again."))
            return
        # A double click starts one run.
        self._starting.start()
        self.notice.hide()
        self.page.estimate.cancel()
        self._named = ""
        self._follow_name()
        self.started.emit(run_dir)

    def _check_data(self) -> None:
        """Raise where files were there when they were chosen and are gone now."""
        from latentlab.data.open import is_named

        source = self.draft.source
        if not is_named(source) and not Path(source).expanduser().exists():
            raise LatentLabError(f"'{source}' is no longer there: bring it back or choose others.")

    def _cancel(self) -> None:
        self.page.estimate.cancel()
        self.page.preview.stop()
        self.cancelled.emit()

    def _show_blocker(self) -> None:
        self.page.reveal(self._where)

    def _say(self, error: LatentLabError) -> None:
        self.notice.say(error.message, error.details)

    def changeEvent(self, event: QEvent) -> None:
        """Draw the icons in the colours of a new palette."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "notice"):
            self.notice.recolour()

    # Drops.

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files: data, a recipe or a model."""
        if _files(event):
            event.acceptProposedAction()
        else:
            event.ignore()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        paths = _files(event)
        if not paths:
            event.ignore()
            return
        event.acceptProposedAction()
        suffix = paths[0].suffix.lower()
        if suffix == RECIPE_SUFFIX:
            self.open_recipe(paths[0])
        elif suffix == MODEL_SUFFIX:
            self.page.warm.choose(paths[0])
        else:
            self.page.data.choose(str(paths[0]))


def _files(event: QDropEvent) -> list[Path]:
    """Return the local files of a drop."""
    urls = event.mimeData().urls()
    return [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
