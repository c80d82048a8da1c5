"""Parts of pictures switched: every cell against numbers of its own, and what comes back."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from latentlab.core.direction import Direction
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition, Latents
from latentlab.core.switching import (
    blended_latents,
    cell_latents,
    cell_picture,
    column_ranges,
    row_ranges,
)
from latentlab.services.jobs import JOBS
from latentlab.services.renderer import Renderer
from latentlab.services.switch import (
    SwitchCells,
    switch_check_job,
    switch_matrix_job,
    switch_mix_job,
)
from latentlab.services.targets import load_target
from tests.services.switch_models import (
    SHAPE,
    SIGMA,
    Halves,
    Layers,
    bytes_of,
    halves_image,
    kept,
    library,
    matrix,
    sample,
    stored_rows,
)

Job = Generator[Any, None, Any]


def context(*models: Any) -> Any:
    models_here = library(*models)
    return SimpleNamespace(library=models_here, renderer=Renderer(models_here))


def follow(job: Job) -> tuple[Any, list[Any]]:
    """Return the value of a job, and its reports."""
    reports = []
    while True:
        try:
            reports.append(next(job))
        except StopIteration as stop:
            return stop.value, reports


def made(model: Any, switch: Any, **arguments: Any) -> Any:
    given = {"stored": {}, **arguments}
    return follow(switch_matrix_job(context(model), switch=switch, **given))[0]


def shade(model: Any) -> Direction:
    vector = {"global": np.array([0.6, 0.8], np.float32)}
    return Direction("shade", model.spec.spaces[0].name, vector, scale=1.5, method="test")


# The matrix.


def test_a_cell_has_the_parts_of_its_row_and_of_its_column() -> None:
    model = Halves()
    rows = stored_rows(model, 5)
    switch = matrix(model, [sample(model, 1), sample(model, 2, temperature=0.5), kept(model, rows)])
    found = made(model, switch, stored={"s2": rows})
    assert found.cells == tuple((i, j) for i in range(3) for j in range(3))
    for i, j in found.cells:
        g, local = found.latents[f"s{i}"], found.latents[f"s{j}"]
        want = halves_image(g["global"][0], local["local_1"][0], local["local_2"][0])
        # Half a level may be rounded either way in float32.
        assert np.abs(found.image(i, j) - bytes_of(want)).max() <= 0.5 + 1e-3
    assert found.latents["s2"]["local_1"].tobytes() == rows["local_1"].tobytes()


@pytest.mark.parametrize("by_row", [("local_2",), ("local_1", "global"), ("local_2", "local_1")])
def test_each_part_can_come_from_the_row(by_row: tuple[str, ...]) -> None:
    model = Halves()
    switch = matrix(model, [sample(model, 1), sample(model, 2)], by_row=by_row)
    found = made(model, switch)
    parts = {}
    for name in ("global", "local_1", "local_2"):
        parts[name] = found.latents["s0" if name in by_row else "s1"][name][0]
    want = halves_image(parts["global"], parts["local_1"], parts["local_2"])
    assert np.abs(found.image(0, 1) - bytes_of(want)).max() <= 0.5 + 1e-3


def test_a_cell_has_the_bytes_that_its_picture_has_anywhere() -> None:
    model = Halves()
    model.directions["shade"] = shade(model)
    rows = stored_rows(model, 5)
    pictures = [sample(model, 1, edits={"shade": 1.25}), kept(model, rows), sample(model, 9)]
    switch = matrix(model, pictures)
    work = context(model)
    job = switch_matrix_job(work, switch=switch, stored={"s1": rows})
    found = follow(job)[0]
    space = model.spec.spaces[0]
    for i, j in found.cells:
        latents = cell_latents(switch, found.latents, [(i, j)], space)
        picture = cell_picture(switch, (i, j), latents)
        if i == j:
            assert picture == pictures[i]
        stored = {0: None, 1: rows, 2: None}[i] if i == j else latents
        alone, _ = work.renderer.exact(picture, stored)
        assert alone[0].tobytes() == found.image(i, j).tobytes()
    plain = work.renderer.latents(sample(model, 1))
    moved = plain["global"][0] + 1.25 * 1.5 * np.array([0.6, 0.8])
    np.testing.assert_allclose(found.latents["s0"]["global"][0], moved, rtol=1e-6)


def test_layers_of_a_part_are_switched() -> None:
    model = Layers()
    switch = matrix(model, [sample(model, 1), sample(model, 2)], by_row=("w_plus:4", "w_plus:0-1"))
    found = made(model, switch)
    space = model.spec.spaces[0]
    assert list(map(str, row_ranges(switch, space))) == ["w_plus:0-1", "w_plus:4"]
    assert list(map(str, column_ranges(switch, space))) == ["w_plus:2-3", "w_plus:5"]
    a, b = (found.latents[name]["w_plus"][0] for name in ("s0", "s1"))
    mask = np.array([1, 1, 0, 0, 1, 0], bool)[:, None]
    want = np.where(mask, a, b).reshape(SHAPE) / 3
    assert np.abs(found.image(0, 1) - bytes_of(want)).max() <= 0.5 + 1e-3
    # What nobody chose is the first group of layers; this model takes no photograph in.
    assert list(map(str, row_ranges(matrix(model, []), space))) == ["w_plus:0-1"]
    assert found.round_trip["s0"].latent_error is None


def test_the_row_under_the_hand_comes_first_and_in_one_pass() -> None:
    model = Halves()
    switch = matrix(model, [sample(model, n) for n in range(8)])
    order = [(5, j) for j in range(8)] + [(i, 2) for i in (0, 1)]
    job = switch_matrix_job(context(model), switch=switch, stored={}, cells=order, round_trip=False)
    value, reports = follow(job)
    partials = [report[3] for report in reports if len(report) == 4]
    assert all(isinstance(partial, SwitchCells) for partial in partials)
    assert partials[0].cells == tuple(order[:8])
    assert partials[1].cells == tuple(order[8:])
    assert [report[:2] for report in reports] == [(0, 1), (0, 10), (8, 10), (10, 10)]
    # The fixed micro-batch of eight, twice: nothing else was decoded.
    assert model.decoded == [8, 8]
    assert value.cells == tuple(order)
    whole = made(model, switch)
    for i, j in order:
        assert value.image(i, j).tobytes() == whole.image(i, j).tobytes()
    # Eight rows in eight passes, and one to see how the sources come back.
    assert model.decoded[2:] == [8] * 9


def test_a_new_source_costs_its_own_row_and_column() -> None:
    model = Halves()
    switch = matrix(model, [sample(model, n) for n in range(3)])
    cells = [(2, 0), (2, 1), (2, 2), (0, 2), (1, 2)]
    found = made(model, switch, cells=cells)
    assert len(found.images) == 5
    assert list(found.round_trip) == ["s2"]
    assert made(model, switch, cells=()).images.shape == (0, 4, 5, 3)


def test_cells_are_told_what_their_row_is_told() -> None:
    model = Halves()
    told = Condition(attributes={"age": 1.0})
    pictures = [
        sample(model, 1, options={"brighter": 0.25}),
        sample(model, 2, condition=told),
        sample(model, 3, options={"brighter": 0.25}),
    ]
    found = made(model, matrix(model, pictures), round_trip=False)
    assert model.told == [
        (Condition(), {"brighter": 0.25}),
        (told, {}),
        (Condition(), {"brighter": 0.25}),
    ]
    latents = found.latents["s1"]
    want = halves_image(found.latents["s0"]["global"][0], *(latents[f"local_{n}"][0] for n in "12"))
    assert np.abs(found.image(0, 1) - bytes_of(want + 0.25)).max() <= 0.5 + 1e-3
    picture = cell_picture(matrix(model, pictures), (1, 0), latents)
    assert (picture.condition, picture.options) == (told, {})


# What comes back.


def test_photographs_come_back_and_it_is_said_how_well() -> None:
    model = Halves()
    rng = np.random.default_rng(2)
    photo = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    from latentlab.services.encoding import encode_photo

    *_, update = encode_photo(model, photo)
    rows = update.latents
    other = photo.copy()
    other[1, 2, 0] ^= 4
    switch = matrix(
        model,
        [
            kept(model, rows),
            kept(model, rows),
            kept(model, rows, edits={"shade": 2}),
            sample(model, 1),
        ],
    )
    found = made(
        model,
        switch,
        stored=dict.fromkeys(("s0", "s1", "s2"), rows),
        photos={"s0": photo, "s1": other, "s2": photo},
        directions={"shade": shade(model)},
    )
    trips = found.round_trip
    assert list(trips) == ["s0", "s1", "s2", "s3"]
    assert trips["s0"].psnr_db == float("inf")
    assert trips["s0"].max_level_error == 0
    assert trips["s1"].max_level_error == 4
    assert trips["s1"].psnr_db == pytest.approx(10 * np.log10(255**2 / (16 / photo.size)))
    # An edited picture is not the photograph any more.
    assert trips["s2"].psnr_db is None
    assert trips["s3"].psnr_db is None
    for trip in trips.values():
        assert 0 < trip.latent_error < 1e-5


def test_a_latent_error_is_found() -> None:
    class Crooked(Halves):
        def encode(self, images: Any, **given: Any) -> Any:
            for update in super().encode(images, **given):
                update.latents["local_2"][1, 0, 2, 3] += 0.125
                yield update

    model = Crooked()
    trips = made(model, matrix(model, [sample(model, 1), sample(model, 2)])).round_trip
    assert trips["s0"].latent_error < 1e-5
    assert trips["s1"].latent_error == pytest.approx(0.125, abs=1e-5)


def test_what_overflows_does_not_come_back() -> None:
    model = Halves()
    rows = stored_rows(model, 1)
    wild = Latents("latent", {**rows.parts, "global": np.array([[1e4, 0]], np.float32)})
    switch = matrix(model, [kept(model, wild), kept(model, rows)])
    stored = {"s0": wild, "s1": rows}
    trips = made(model, switch, stored=stored).round_trip
    job = switch_check_job(context(model), switch=switch, stored=stored, cells=[(0, 1), (1, 0)])
    checks = follow(job)[0]
    assert trips["s0"].latent_error == float("inf")
    assert trips["s1"].latent_error < 1e-5
    assert checks[0].local_error == float("inf")
    assert checks[0].global_shift_sigma == float("inf")
    assert checks[1].local_error < 1e-5


def test_a_model_that_only_estimates_has_no_latent_error() -> None:
    model = Halves("amortised")
    switch = matrix(model, [sample(model, 1), sample(model, 2)])
    found = made(model, switch)
    assert found.round_trip["s0"].latent_error is None
    with pytest.raises(LatentLabError, match="does not encode exactly"):
        follow(switch_check_job(context(model), switch=switch, stored={}, cells=[(0, 1)]))


@pytest.mark.parametrize("by_row", [("global",), ("local_1",)])
def test_a_switched_picture_is_checked(by_row: tuple[str, ...]) -> None:
    model = Halves()
    switch = matrix(model, [sample(model, n) for n in range(4)], by_row=by_row)
    cells = [(0, 1), (3, 2), (1, 1)]
    job = switch_check_job(context(model), switch=switch, stored={}, cells=cells)
    found, _ = follow(job)
    latents = made(model, switch).latents
    assert tuple(one.cell for one in found) == tuple(cells)
    for one in found:
        a, b = (latents[f"s{place}"] for place in one.cell)
        parts = {name: (a if name in by_row else b)[name][0] for name in a}
        image = halves_image(parts["global"], parts["local_1"], parts["local_2"])
        estimate = np.array([image.mean(), image.max()])
        shift = (estimate - parts["global"]) / SIGMA
        apart = (a["global"][0] - b["global"][0]) / SIGMA
        assert one.global_shift_sigma == pytest.approx(np.sqrt((shift**2).mean()), rel=1e-5)
        assert one.apart_sigma == pytest.approx(np.sqrt((apart**2).mean()), rel=1e-5)
        assert one.local_error < 1e-5
    assert found[2].apart_sigma == 0


# A pair, blended.


def test_a_mix_grid_goes_from_one_picture_to_the_other() -> None:
    model = Halves()
    switch = matrix(model, [sample(model, n) for n in range(3)], pair=("s2", "s0"))
    job = switch_mix_job(context(model), switch=switch, stored={}, amounts=(0, 0.5, 1))
    found, reports = follow(job)
    assert found.pair == ("s2", "s0")
    assert found.images.shape == (3, 3, 4, 5, 3)
    whole = made(model, switch)
    # Global parts down, local parts across.
    corners = {(0, 0): (2, 2), (0, 2): (2, 0), (2, 0): (0, 2), (2, 2): (0, 0)}
    for at, cell in corners.items():
        assert found.images[at].tobytes() == whole.image(*cell).tobytes()
    first, second = whole.latents["s2"], whole.latents["s0"]
    middle = found.latents.rows(4)
    angle = np.arccos(
        (first["global"][0] @ second["global"][0])
        / np.linalg.norm(first["global"])
        / np.linalg.norm(second["global"])
    )
    halfway = middle["global"][0] / np.linalg.norm(middle["global"])
    start = first["global"][0] / np.linalg.norm(first["global"])
    assert np.arccos(halfway @ start) == pytest.approx(angle / 2, rel=1e-4)
    np.testing.assert_array_equal(found.latents.rows(1)["global"], first["global"])
    want = halves_image(*(middle[n][0] for n in ("global", "local_1", "local_2")))
    assert np.abs(found.images[1, 1] - bytes_of(want)).max() <= 0.5 + 1e-3
    seen = [cell for report in reports if len(report) == 4 for cell in report[3].cells]
    assert seen == [(i, j) for i in range(3) for j in range(3)]


def test_another_pair_and_its_sliders() -> None:
    model = Layers()
    amounts = {"w_plus:0-1": 0.25, "w_plus:5": 2.0}
    switch = matrix(model, [sample(model, 1), sample(model, 2)], amounts=amounts)
    latents = made(model, switch).latents
    space = model.spec.spaces[0]
    blended = blended_latents(switch, latents["s0"], latents["s1"], space)["w_plus"][0]
    a, b = (latents[name]["w_plus"][0].astype(np.float64) for name in ("s0", "s1"))
    weights = np.array([0.25, 0.25, 0, 0, 0, 2])[:, None]
    np.testing.assert_allclose(blended, (1 - weights) * a + weights * b, atol=1e-6)
    job = switch_mix_job(
        context(model), switch=switch, stored={}, pair=("s1", "s0"), amounts=(0, 1)
    )
    mix = follow(job)[0]
    np.testing.assert_array_equal(mix.latents["w_plus"][0], latents["s1"]["w_plus"][0])
    np.testing.assert_array_equal(mix.latents["w_plus"][3], latents["s0"]["w_plus"][0])


# What stops it.


def test_what_cannot_be_switched_is_told() -> None:
    model, layers = Halves(), Layers()
    rows = stored_rows(model, 1)
    good = sample(model, 1)

    def fails(words: str, switch: Any, **arguments: Any) -> None:
        with pytest.raises(LatentLabError, match=words):
            made(model, switch, **arguments)

    fails("add two pictures", matrix(model, []))
    fails("Only pictures of 'halves'", matrix(model, [sample(layers, 1)]))
    fails("no space 'w'", matrix(model, [good], space="w"))
    fails("missing or were changed", matrix(model, [kept(model, rows)]))
    changed = Latents("latent", {**rows.parts, "global": rows["global"] + 1})
    fails("missing or were changed", matrix(model, [kept(model, rows)]), stored={"s0": changed})
    fails("no part 'local_3'", matrix(model, [good], by_row=("local_3",)))
    fails("no cell", matrix(model, [good]), cells=[(0, 1)])
    fails("no cell", matrix(model, [good]), cells=[(-1, 0)])
    fails("no direction 'shade'", matrix(model, [sample(model, 1, edits={"shade": 1})]))
    photo = np.zeros((9, 9, 3), np.uint8)
    fails("open it again", matrix(model, [good]), photos={"s0": photo})
    many = stored_rows(model, 2)
    two = Latents("latent", {n: np.concatenate([a, a]) for n, a in many.items()})
    fails("exactly one image", matrix(model, [kept(model, two)]), stored={"s0": two})
    with pytest.raises(LatentLabError, match="two of the sources"):
        follow(switch_mix_job(context(model), switch=matrix(model, [good]), stored={}))
    pair = matrix(model, [good, good], pair=("s0", "s1"))
    for amounts in ((), (0,) * 17, (11,), (float("nan"),)):
        with pytest.raises(LatentLabError, match="A mix has"):
            follow(switch_mix_job(context(model), switch=pair, stored={}, amounts=amounts))


def test_a_model_of_one_part_has_nothing_to_switch() -> None:
    model = Halves()
    part = model.spec.spaces[0].parts[:1]
    space = model.spec.spaces[0].model_copy(update={"parts": part})
    model.spec = model.spec.model_copy(update={"spaces": (space,)})
    with pytest.raises(LatentLabError, match="one part without layers"):
        made(model, matrix(model, [sample(model, 1)]))


def test_values_cross_to_another_process() -> None:
    model = Halves()
    switch = matrix(model, [sample(model, 1), sample(model, 2)], pair=("s0", "s1"))
    found = made(model, switch)
    again = pickle.loads(pickle.dumps(found))
    assert again.images.tobytes() == found.images.tobytes()
    assert again.round_trip == found.round_trip
    mix = follow(switch_mix_job(context(model), switch=switch, stored={}))[0]
    assert pickle.loads(pickle.dumps(mix)).amounts == mix.amounts


def test_the_window_learns_of_jobs_without_torch() -> None:
    rows = [name for name in JOBS if "switch" in name]
    assert rows == ["switch_matrix", "switch_check", "switch_mix", "export_switch"]
    for name in rows:
        assert callable(load_target(JOBS[name]))
    code = (
        "import sys, latentlab.core.switching, latentlab.services.switch, "
        "latentlab.services.switch_export; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
