"""What was only looked at goes when there is much of it; what stands somewhere stays."""

from __future__ import annotations

import numpy as np
import pytest

from latentlab.core.settings import Settings
from latentlab.core.store import ArrayStore
from latentlab.services.library import ModelLibrary
from latentlab.ui import controller_arrays
from latentlab.ui.controller import Controller
from latentlab.ui.map_three import ThreePictures
from latentlab.ui.widgets.direction_pages.well_model import WellModel
from tests.ui.stage import FormulaBridge, picture

pytestmark = pytest.mark.gui

LIMIT = 40_000


def test_hundreds_of_previews_keep_the_store_small_and_slots_whole(tmp_path, qapp, monkeypatch):
    monkeypatch.setattr(controller_arrays, "DEFAULT_LIMIT", LIMIT)
    monkeypatch.setattr(controller_arrays, "_ROOM", LIMIT // 8)
    controller = Controller(FormulaBridge(), Settings(), ModelLibrary([tmp_path]))
    controller.store = ArrayStore(LIMIT)
    three, well = ThreePictures(controller), WellModel(controller)
    rng = np.random.default_rng(0)

    def stored():
        array = rng.normal(size=(1, 200)).astype(np.float32)
        return picture(0).model_copy(
            update={"seeds": (), "stored": {"z": controller.store.put(array)}}
        )

    slot, tile, kept = stored(), stored(), stored()
    three.put("A", slot)
    well.add([tile])
    controller.keep_picture(kept)
    for _ in range(500):
        controller.request_preview("map", stored())
    assert controller.store.bytes_used <= LIMIT * 9 // 8 + 800
    for one in (slot, tile, kept):
        assert one.array_hashes() <= set(controller.store.subset(one.array_hashes()))
