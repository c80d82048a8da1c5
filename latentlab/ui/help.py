"""Short help on each panel, and the list of all keys."""

from __future__ import annotations

from html import escape
from typing import Any

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QCursor, QKeySequence
from PySide6.QtWidgets import QApplication, QFrame, QLabel, QVBoxLayout, QWidget

TOPIC = "help_topic"
"""Name of the property that says what a widget's help is."""

TOPICS: dict[str, tuple[str, str]] = {
    "canvas": (
        "Canvas",
        "The image or the grid that you work on. Click an image to select it, double-click to see "
        "it alone, Esc to go back. Ctrl+wheel zooms by whole numbers. Hold Space to see the image "
        "without its edits. Drop a photograph here: it is encoded and shown beside its "
        "reconstruction. The strip below chooses seed, number of images and temperature; of a "
        "diffusion model also sampler, steps, guidance and condition (double-click a name to reset "
        "it).",
    ),
    "library": (
        "Library",
        "The models that are here: those that came with LatentLab, those in your model folder, and "
        "files that you opened. Click one to open it. Drop a model file anywhere in the window to "
        "add it. A row that cannot be used says why.",
    ),
    "history": (
        "History",
        "Every step that you took. Click one to go back to it; the later ones stay until you do "
        "something new. Ctrl+Z and Ctrl+Shift+Z step through it.",
    ),
    "tray": (
        "Tray",
        "Images that you keep. Press K to keep the selected one, drag it anywhere, F2 to name it, "
        "right-click to group it, Del to remove it. Everything can be undone.",
    ),
    "manifold": (
        "Manifold",
        "Every point is an image of a data set, or a sample of the prior. Hover to see it decoded, "
        "click to put it onto the canvas, double-click or K to keep it. Between the points of a "
        "plane (native axes, PCA, two directions, three pictures) every place can be decoded: "
        "Pictures fills the plane, and Steer drags the canvas through it. Lasso and rectangle "
        "select; right-click a point for its nearest neighbours. A flow is laid out by its global "
        "part; Points offers the others. What the plane does not move is at the middle in empty "
        "places, and as the canvas has it while you steer.",
    ),
    "attributes": (
        "Attributes",
        "Each slider moves the latent along one direction; its unit is one standard deviation "
        "of the data along that direction. The wheel moves by 0.1, Shift-wheel by 0.01. "
        "Double-click the name, or press Delete, to reset. S opens a strip with the slider's whole "
        "range: click an image there to set the slider. Drag a row by its handle (Alt+Up, "
        "Alt+Down), F2 names it, L locks it: others are then kept orthogonal to it, and random "
        "values leave it alone. ⚠ marks a slider that moves something else by more than half of "
        "its effect, or that was fitted on other weights. Right-click a row for everything else.",
    ),
    "directions": (
        "Directions",
        "Makes sliders of your own: from the labels of a data set, from two groups of images, from "
        "a yes or no to each of many images, from the axes along which images vary most, or from "
        "the arithmetic of three images. What is found stands below with a figure on images that "
        "were not fitted and what it does to the image on the canvas; it becomes a slider when you "
        "add it. Lock sliders in Attributes to keep new ones orthogonal to them. Where latents "
        "have several parts, Moves says which of them new sliders change: 'smiling' moves the "
        "global part, 'smiling (local)' the local ones, 'smiling (both)' all.",
    ),
    "effects": (
        "Effects",
        "Measures what every slider really changes: a cell says how far one slider moves one "
        "attribute, in standard deviations; its own has an outline, hatched ones count for "
        "nothing. Arrow keys move the cursor, Enter shows the edit on the canvas, a click on a "
        "name goes to its slider. Untangle looks for sliders with smaller side effects and shows "
        "figures and faces before and after; nothing changes until you accept.",
    ),
    "denoising": (
        "Denoising",
        "A picture of a diffusion model, step by step: the noisy picture, the picture that the "
        "network predicts, and the noise that it predicts. Left, Right, Home and End step, Space "
        "plays, the wheel steps over the large image. Up and Down go to another branch. K keeps "
        "the frame, Enter puts it on the canvas; drag it anywhere. B branches at the step: new "
        "noise, sampler, guidance or condition. Shift+A and Shift+B compare two branches at the "
        "same time t. F folds a branch, F2 names it, Del deletes it. Photograph: add noise and "
        "denoise back, find the noise of a photograph, inpaint, uncrop, colourise, enlarge.",
    ),
    "switch": (
        "Switch",
        "Parts of some pictures put into others. Every picture has some parts of the one beside "
        "its row, and the others of the one above its column; the buttons above say which. The "
        "diagonal is every picture made again out of its own parts, with its error. Arrow keys "
        "move, Enter puts a picture on the canvas, K keeps it; drag it anywhere. Drop photographs "
        "or kept pictures to add them, Alt+arrows reorder, Delete on a head removes. Check encodes "
        "a picture again and says whether its parts come back. Blend goes from one picture to "
        "another, part by part.",
    ),
    "likelihood": (
        "Likelihood",
        "How likely the model finds the image of the canvas, in bits/dim (less is likelier), and "
        "which pixels take the bits. Score scores a data set, Against lays another one beside it; "
        "the AUC says how well the score tells them apart. Left and Right read the histogram off, "
        "a click on the legend hides a set. The strip has the least likely images: Enter or "
        "double-click takes one to the canvas. A likelihood is no outlier test: simple images of "
        "other data may score as likely (What it does not say).",
    ),
    "train": (
        "Train",
        "Training runs, the newest first, also those that the command line or another machine "
        "started in a watched folder. Arrow keys choose one; Space lays a run over it, Enter goes "
        "to its tabs, Ctrl+D duplicates, Del deletes. Curves: drag to zoom into a stretch, "
        "Ctrl+wheel zooms, Home shows everything. Samples: the same seeds over all of training; "
        "Space plays. Open in explorer shows the newest checkpoint in every other panel.",
    ),
    "window": (
        "LatentLab",
        "Library on the left, canvas in the middle, panels on the right, kept images below. "
        "Put the cursor on a panel and press F1 to read about it. Ctrl+K finds any action.",
    ),
}
"""Title and text by topic."""

EXTRA_KEYS: tuple[tuple[str, str], ...] = (
    ("Space", "Hold: the image without its edits"),
    ("Double-click, Enter", "Show one image of the grid alone"),
    ("Ctrl+wheel, + and -", "Zoom the canvas"),
    ("0", "Fit the canvas"),
    ("Del, F2", "Remove or name a kept image"),
    ("F2, L, S, Alt+Up, Alt+Down", "On a slider: name it, lock it, its whole range, move it"),
)
"""Keys that are not actions."""


def help_here() -> tuple[str, str]:
    """Return title and text for the widget under the cursor, or else the one with the focus."""
    under = QApplication.widgetAt(QCursor.pos())
    for start in (under, QApplication.focusWidget()):
        widget = start
        while widget is not None:
            topic = widget.property(TOPIC)
            if topic:
                return topic_text(str(topic))
            widget = widget.parentWidget()
    return topic_text("window")


def topic_text(topic: str) -> tuple[str, str]:
    """Return title and text of a topic; others explain themselves as ``title|text``."""
    if topic in TOPICS:
        return TOPICS[topic]
    title, _, text = topic.partition("|")
    return title, text


def keys_text(window: Any) -> str:
    """Return all keys as a table in HTML."""
    rows = []
    for name, action in window.actions_table.actions.items():
        keys = [key.toString(QKeySequence.SequenceFormat.NativeText) for key in action.shortcuts()]
        if keys:
            rows.append((", ".join(dict.fromkeys(keys)), window.actions_table.rows[name].name))
    cells = (
        f"<tr><td style='padding-right:16px'><b>{escape(keys)}</b></td><td>{escape(text)}</td></tr>"
        for keys, text in (*rows, *EXTRA_KEYS)
    )
    return f"<table>{''.join(cells)}</table>"


class HelpPopup(QFrame):
    """A short text that goes away with the next click or Esc.

    Args:
        title: its heading.
        text: plain text.
        window: what it belongs to.
        table: ``text`` is a table in HTML.
    """

    def __init__(self, title: str, text: str, window: QWidget, *, table: bool = False) -> None:
        super().__init__(window, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName(f"Help: {title}")
        heading = QLabel(title)
        font = heading.font()
        font.setBold(True)
        heading.setFont(font)
        self.body = QLabel(text)
        # Only the table of keys is ours: what a message says is shown as it is.
        self.body.setTextFormat(Qt.TextFormat.RichText if table else Qt.TextFormat.PlainText)
        self.body.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.body.setWordWrap(not table)
        if self.body.wordWrap():
            self.body.setFixedWidth(min(360, self.body.fontMetrics().averageCharWidth() * 52))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 12)
        layout.setSpacing(8)
        layout.addWidget(heading)
        layout.addWidget(self.body)

    def show_at(self, position: QPoint, centre: bool = False) -> None:
        """Show it near a place, all of it on the screen."""
        self.adjustSize()
        if centre:
            position = position - QPoint(self.width() // 2, self.height() // 2)
        screen = self.screen().availableGeometry()
        x = min(max(position.x(), screen.left()), max(screen.left(), screen.right() - self.width()))
        y = min(max(position.y(), screen.top()), max(screen.top(), screen.bottom() - self.height()))
        self.move(x, y)
        self.show()
