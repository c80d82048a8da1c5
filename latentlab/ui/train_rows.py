"""The rows of the Train menu."""

from __future__ import annotations

from latentlab.ui.action_rows import ActionRow

_TRAIN = "latentlab.ui.train_actions:"
RUN_CONDITION = "run_"
"""A condition of this beginning holds while the panel says that the action can be done."""

_VERBS = (
    ("pause", "&Pause", "pause", "Let the open run write a checkpoint and wait"),
    ("proceed", "&Continue", "play", "Go on with the paused run"),
    ("stop", "&Stop", "stop", "Let the open run write a checkpoint and end"),
    ("resume", "&Resume", "resume", "Go on from the last checkpoint of the open run"),
    ("explore", "Open in e&xplorer", "explore", "Show the newest checkpoint in every panel"),
    ("open_model", "Open &finished model", "open", "Open the model of the open run"),
    ("duplicate", "D&uplicate…", "duplicate", "Begin a new run with the same recipe"),
    ("delete", "&Delete", "delete", "Move the open run to the trash of its folder"),
)

TRAIN_ROWS: tuple[ActionRow, ...] = (
    ActionRow(
        "new_run",
        "&New run…",
        "&Train",
        f"{_TRAIN}new_run",
        ("Ctrl+N",),
        "plus",
        tip="Set up a training run, or open a recipe",
    ),
    ActionRow(
        "watch_runs",
        "&Watch a folder…",
        "&Train",
        f"{_TRAIN}watch_folder",
        icon="watch",
        tip="Show the training runs of another folder too, for example on a shared disk",
    ),
    *(
        ActionRow(
            f"run_{name}",
            title,
            "&Train",
            f"{_TRAIN}act",
            icon=picture,
            enabled=f"{RUN_CONDITION}{name}",
            tip=tip,
            separator=name in ("pause", "explore", "duplicate"),
            argument=name,
        )
        for name, title, picture, tip in _VERBS
    ),
)
"""What the Train menu offers, in its order."""
