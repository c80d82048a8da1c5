"""The controller over a real worker with a real, small VAE."""

from __future__ import annotations

import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from PySide6.QtGui import QGuiApplication

from latentlab.core.document import Document
from latentlab.core.settings import Settings
from latentlab.ui.app import build_window, start_worker
from latentlab.ui.edits import (
    FIRST_COUNT,
    changed_tray,
    kept,
    moved_in_tray,
    picture_key,
    sampled,
    seed_run,
    without_edits,
)
from latentlab.ui.relay import EventRelay
from tests.ui.stage import picture

pytestmark = pytest.mark.gui

WAIT_MS = 60_000


@pytest.fixture
def app_window(tmp_path, qapp, qtbot, tiny_model):
    settings = Settings(device="cpu")
    client, relay = start_worker(settings)
    window = build_window(settings, client, relay, ask_unsaved=lambda _window: True)
    window.show()
    window.start(str(tiny_model))
    qtbot.waitUntil(lambda: window.controller.last_images is not None, timeout=WAIT_MS)
    yield window
    window.close()
    window.deleteLater()


def settled(window, qtbot) -> np.ndarray:
    """Wait for the images of what the document shows."""
    control = window.controller
    qtbot.waitUntil(lambda: control.rendered_picture == control.document.canvas, timeout=WAIT_MS)
    return control.last_images


def reference(tiny_model, one):
    """The same picture without worker, pipe or window."""
    from latentlab.services.library import ModelLibrary
    from latentlab.services.renderer import Renderer

    library = ModelLibrary([tiny_model.parent], device="cpu")
    return Renderer(library).exact(one)[0]


def test_importing_the_window_needs_no_torch():
    code = "import sys, latentlab.ui.app, latentlab.ui.main_window; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_samples_edits_photographs_and_exports(app_window, qtbot, tmp_path, tiny_model):
    window = app_window
    control = window.controller
    first = settled(window, qtbot)
    assert first.shape == (FIRST_COUNT, 16, 16, 3)
    expected = reference(tiny_model, control.document.canvas)
    assert np.abs(first.astype(int) - expected).max() <= 1

    control.set_edit("smiling", 2.0)
    edited = settled(window, qtbot)
    expected = reference(tiny_model, control.document.canvas)
    assert np.abs(edited.astype(int) - expected).max() <= 1
    assert np.abs(edited.astype(int) - first).mean() > 0.2
    control.undo()
    assert np.array_equal(settled(window, qtbot), first)

    photo = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    window.open_path(path)
    qtbot.waitUntil(lambda: control.photo_result is not None, timeout=WAIT_MS)
    canvas = control.document.canvas
    assert canvas.photo_path == str(path)
    assert np.array_equal(control.photo_of(canvas), photo)
    shown = settled(window, qtbot)
    assert np.abs(shown[0].astype(int) - control.photo_result.reconstruction).max() <= 1
    control.keep()
    assert control.document.tray[0].picture.stored == canvas.stored

    out = tmp_path / "out.png"
    control.set_edit("eyeglasses", -1.0)
    control.export_png(out)
    qtbot.waitUntil(out.is_file, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: not control.jobs, timeout=WAIT_MS)
    made = settled(window, qtbot)
    assert np.abs(np.asarray(Image.open(out)).astype(int) - made[0]).max() <= 1
    wanted = control.document.canvas
    control.reroll()
    window.open_path(out)
    qtbot.waitUntil(lambda: control.document.canvas.stored == wanted.stored, timeout=WAIT_MS)
    assert control.document.canvas.edits == wanted.edits
    assert np.array_equal(settled(window, qtbot), made)


def test_the_copied_command_makes_the_bytes_of_the_export(app_window, qtbot, tmp_path):
    window, control = app_window, app_window.controller
    control.set_sampling(seed=40, count=3)
    control.set_edit("smiling", 1.25)
    out, again = tmp_path / "window.png", tmp_path / "command.png"
    control.export_png(out)
    qtbot.waitUntil(lambda: not control.jobs and out.is_file(), timeout=WAIT_MS)
    window.actions_table.actions["copy_command"].trigger()
    words = shlex.split(QGuiApplication.clipboard().text())
    assert words[:2] == ["latentlab", "edit"]
    words[words.index("--out") + 1] = str(again)
    done = subprocess.run([sys.executable, "-m", "latentlab", *words[1:]], check=False)
    assert done.returncode == 0
    assert again.read_bytes() == out.read_bytes()


def test_own_directions_go_all_the_way_through_a_real_worker(
    app_window, qtbot, tmp_path, tiny_model
):
    """A direction file, its slider, the export, its command, the dropped PNG, a sum, the tray."""
    from latentlab.core.direction import Direction
    from latentlab.core.directionfile import save_direction
    from latentlab.services.library import ModelLibrary
    from latentlab.services.renderer import Renderer

    window, control = app_window, app_window.controller
    vector = np.linspace(-1, 1, 8)
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    grin = Direction("grin", "z", {"z": vector}, 2.5, "logistic")
    save_direction(tmp_path / "grin.safetensors", grin)
    before = settled(window, qtbot).copy()
    window.open_path(tmp_path / "grin.safetensors")
    control.set_sampling(seed=40, count=3)
    control.set_edits({"grin": 1.5, "smiling": -1.0}, "Both")
    shown = settled(window, qtbot)
    renderer = Renderer(ModelLibrary([tiny_model.parent], device="cpu"))
    wanted = control.document.canvas
    expected, latents = renderer.exact(wanted, None, {"grin": grin})
    assert np.abs(shown.astype(int) - expected).max() <= 1
    assert before.shape != shown.shape

    out, again = tmp_path / "window.png", tmp_path / "command.png"
    control.export_png(out)
    qtbot.waitUntil(lambda: not control.jobs and out.is_file(), timeout=WAIT_MS)
    words = shlex.split(control.copy_command())
    words[words.index("--out") + 1] = str(again)
    done = subprocess.run([sys.executable, "-m", "latentlab", *words[1:]], check=False)
    assert done.returncode == 0
    assert again.read_bytes() == out.read_bytes()

    control.remove_direction("grin")
    assert "grin" not in control.document.canvas.edits
    window.open_path(out)
    qtbot.waitUntil(lambda: control.document.canvas == wanted, timeout=WAIT_MS)
    assert np.array_equal(settled(window, qtbot), shown)
    assert "grin" in control.directions

    for row in range(3):
        control.keep(row)
    control.combine(*(item.id for item in control.document.tray), 0.5)
    qtbot.waitUntil(lambda: bool(control.document.canvas.stored), timeout=WAIT_MS)
    rows = latents["z"].astype(np.float64)
    found = control.store.latents(control.document.canvas)["z"]
    np.testing.assert_allclose(found[0], 0.5 * (rows[0] - rows[1]) + rows[2], atol=1e-6)
    settled(window, qtbot)

    images = []
    for item in control.document.tray:
        qtbot.waitUntil(lambda i=item: control.thumbnail(i.picture) is not None, timeout=WAIT_MS)
        images.append(control.thumbnail(item.picture))
    assert np.abs(np.stack(images).astype(int) - expected).max() <= 1


def test_a_killed_worker_is_started_again(app_window, qtbot):
    import psutil

    window = app_window
    before = settled(window, qtbot).copy()
    psutil.Process(window.bridge.client.pid).kill()
    qtbot.waitUntil(window.notice.isVisible, timeout=WAIT_MS)
    window.controller.reroll()
    assert window.notice.sentence.text()
    qtbot.waitUntil(lambda: window.canvas.view.failure is not None, timeout=WAIT_MS)
    window.bridge.restart()
    qtbot.waitUntil(lambda: window.canvas.view.failure is None, timeout=WAIT_MS)
    window.controller.undo()
    assert np.array_equal(settled(window, qtbot), before)


def test_a_photograph_that_is_none_changes_nothing(app_window, qtbot, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff but no photograph")
    before = app_window.controller.document
    app_window.open_path(path)
    qtbot.waitUntil(app_window.notice.isVisible, timeout=WAIT_MS)
    assert "photo.jpg" in app_window.notice.sentence.text()
    assert app_window.controller.document == before


def test_the_relay_keeps_the_order_of_events():
    relay = EventRelay()
    for number in range(3):
        relay(number)
    taken = []
    relay.connect(taken.append)
    relay(3)
    relay.disconnect()
    relay(4)
    assert taken == [0, 1, 2, 3]


# Changes of documents as pure functions.


def test_seed_runs_stay_inside_their_range():
    from latentlab.core.noise import MAX_SEED

    assert seed_run(5, 3) == (5, 6, 7)
    assert seed_run(-4, 2) == (0, 1)
    assert seed_run(MAX_SEED, 2) == (MAX_SEED - 1, MAX_SEED)


def test_sampling_keeps_edits_and_drops_latents():
    one = picture(9).model_copy(
        update={"seeds": (), "stored": {"z": "a" * 64}, "photo": "b" * 64, "edits": {"x": 1.0}}
    )
    new = sampled(one, 1, seed=4, new_count=2, temperature=0.5)
    assert (new.seeds, new.stored, new.photo) == ((4, 5), {}, None)
    assert (new.edits, new.temperature) == ({"x": 1.0}, 0.5)
    assert sampled(new, 2, temperature=1.0).seeds == (4, 5)


def test_keys_of_pictures_follow_what_is_seen():
    one = picture(1)
    assert picture_key(one) == picture_key(one.model_copy(update={"name": "Ada"}))
    assert picture_key(one) != picture_key(one.with_edit("smiling", 1.0))


def test_edits_are_reset_one_by_one_or_all():
    one = picture(1).model_copy(update={"edits": {"a": 1.0, "b": 2.0}})
    assert without_edits(one, ["a"]).edits == {"b": 2.0}
    assert without_edits(one, None).edits == {}


def test_the_tray_is_changed_by_value():
    document = Document()
    for seed in range(3):
        document = kept(document, picture(seed))
    a, b, c = (item.id for item in document.tray)
    moved = moved_in_tray(document, c, 0)
    assert [item.id for item in moved.tray] == [c, a, b]
    named = changed_tray(document, [b], name="Bea", group="friends")
    assert [(i.picture.name, i.group) for i in named.tray] == [
        ("", ""),
        ("Bea", "friends"),
        ("", ""),
    ]
    assert [item.picture.name for item in document.tray] == ["", "", ""]
