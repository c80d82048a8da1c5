"""Portraits: exact labels, pure rendering, and edits that change only what they should."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from latentlab.core.errors import LatentLabError
from latentlab.data.base import ImageDataset
from latentlab.data.portraits.attributes import (
    ATTRIBUTES,
    EDIT_ATTRIBUTES,
    hidden_by,
    sample_attributes,
    visible,
)
from latentlab.data.portraits.dataset import Portraits
from latentlab.data.portraits.render import render

SPECS = {spec.name: spec for spec in ATTRIBUTES}
BINARY = [spec.name for spec in ATTRIBUTES if spec.kind == "binary"]
CONTINUOUS = [spec.name for spec in ATTRIBUTES if spec.kind == "continuous"]
CATEGORICAL = [spec.name for spec in ATTRIBUTES if spec.kind == "categorical"]
Table = dict[str, NDArray[np.float32]]
COUNT = 48


def _table(count: int = COUNT, /, **fixed: float) -> Table:
    table = sample_attributes(count, seed=11)
    return table | {name: np.full(count, value, np.float32) for name, value in fixed.items()}


def _pixels(table: Table, size: int = 64) -> NDArray[np.int64]:
    pixels: NDArray[np.int64] = render(table, size=size, seed=11).numpy().astype(np.int64)
    return pixels


def _change(table: Table, /, **to: tuple[float, float]) -> NDArray[np.int64]:
    """Largest change over the channels of each pixel between two values: (count, 64, 64)."""
    count = len(table["smiling"])
    ends = []
    for side in (0, 1):
        values = {k: np.full(count, v[side], np.float32) for k, v in to.items()}
        ends.append(_pixels(table | values))
    change: NDArray[np.int64] = np.abs(ends[1] - ends[0]).max(axis=-1)
    return change


def _take(table: Table, rows: slice) -> Table:
    return {name: values[rows] for name, values in table.items()}


def test_names_and_kinds() -> None:
    assert BINARY == ["eyeglasses", "wearing_hat", "bangs", "wavy_hair", "mustache"]
    assert len(CONTINUOUS) == 9
    assert CATEGORICAL == ["hair_color", "eye_color", "background"]
    assert set(EDIT_ATTRIBUTES) <= set(SPECS)
    assert len(EDIT_ATTRIBUTES) == 8


def test_row_depends_only_on_seed_and_index() -> None:
    whole = sample_attributes(100, seed=5)
    part = sample_attributes(30, seed=5, start=41)
    other = sample_attributes(100, seed=6)
    for name in SPECS:
        assert whole[name].dtype == np.float32
        np.testing.assert_array_equal(part[name], whole[name][41:71])
        assert not np.array_equal(other[name], whole[name])


def test_prevalence_range_and_classes() -> None:
    count = 20000
    table = sample_attributes(count, seed=3)
    for name in BINARY:
        assert set(np.unique(table[name])) == {0.0, 1.0}
        # Five standard errors of a share of 0.3.
        assert abs(table[name].mean() - 0.3) < 5 * np.sqrt(0.21 / count)
    for name in CONTINUOUS:
        low, high = SPECS[name].low, SPECS[name].high
        assert (low, high) == (-1.0, 1.0)
        assert low <= table[name].min() < low + 0.01
        assert high - 0.01 < table[name].max() <= high
        assert abs(table[name].std() - 1 / np.sqrt(3)) < 0.02
    for name in CATEGORICAL:
        classes = len(SPECS[name].classes)
        shares = np.bincount(table[name].astype(int), minlength=classes) / count
        assert len(shares) == classes
        np.testing.assert_allclose(shares, 1 / classes, atol=0.02)


def test_attributes_are_uncorrelated() -> None:
    count = 20000
    table = sample_attributes(count, seed=8)
    correlation = np.asarray(np.corrcoef(np.stack([table[name] for name in SPECS])))
    off_diagonal = correlation[~np.eye(len(SPECS), dtype=bool)]
    assert np.abs(off_diagonal).max() < 5 / np.sqrt(count)


@pytest.mark.parametrize("size", [16, 64, 100])
def test_same_bytes_alone_in_a_batch_and_in_other_chunks(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = _table(20)
    whole = render(table, size=size, seed=4, start=7).numpy()
    assert whole.shape == (20, size, size, 3)
    assert whole.dtype == np.uint8
    assert whole.std() > 20
    for row in (0, 13, 19):
        alone = render(_take(table, slice(row, row + 1)), size=size, seed=4, start=7 + row)
        np.testing.assert_array_equal(alone.numpy()[0], whole[row])
    monkeypatch.setattr("latentlab.data.portraits.render.CHUNK_PIXELS", 3 * size * size)
    np.testing.assert_array_equal(render(table, size=size, seed=4, start=7).numpy(), whole)


def test_seed_and_start_change_what_is_no_attribute() -> None:
    table = _table(4)
    first = render(table, seed=1).numpy()
    assert not np.array_equal(first, render(table, seed=2).numpy())
    assert not np.array_equal(first, render(table, seed=1, start=1).numpy())


@pytest.mark.parametrize("size", [128, 256])
def test_larger_render_averages_to_the_smaller(size: int) -> None:
    table = _table(12)
    large = _pixels(table, size)
    k = size // 64
    averaged = large.reshape(12, 64, k, 64, k, 3).mean(axis=(2, 4))
    error = np.abs(averaged - _pixels(table))
    assert error.mean() < 1.5
    assert np.percentile(error, 99) < 30


def test_flat_areas_have_no_noise() -> None:
    """Neighbours on a background row differ by a gradient at most."""
    pixels = _pixels(_table(wearing_hat=0.0, hair_length=-1.0))
    corner = pixels[:, :3, :3]
    assert np.abs(np.diff(corner, axis=1)).max() <= 3
    assert np.abs(np.diff(corner, axis=2)).max() <= 3


@pytest.mark.parametrize("name", [*BINARY, *CONTINUOUS])
def test_visible_attribute_changes_pixels(name: str) -> None:
    low, high = SPECS[name].low, SPECS[name].high
    table = _table()
    seen = visible(table | {name: np.full(COUNT, high, np.float32)})[name]
    assert seen.sum() > COUNT / 3
    changed = (_change(table, **{name: (low, high)})[seen] > 15).sum(axis=(1, 2))
    assert changed.min() >= 10


@pytest.mark.parametrize("name", CATEGORICAL)
def test_every_class_looks_different(name: str) -> None:
    classes = range(len(SPECS[name].classes))
    table = _table(12)
    for a in classes:
        for b in range(a):
            changed = (_change(table, **{name: (a, b)}) > 15).sum(axis=(1, 2))
            assert changed.min() >= 8, (a, b)


def test_bangs_under_a_hat_change_no_pixel() -> None:
    assert _change(_table(wearing_hat=1.0), bangs=(0.0, 1.0)).max() == 0
    assert (_change(_table(wearing_hat=0.0), bangs=(0.0, 1.0)) > 15).sum(axis=(1, 2)).min() > 20


def test_hidden_waves_change_few_pixels() -> None:
    table = _table(200)
    seen = visible(table)["wavy_hair"]
    assert (~seen).sum() >= 5
    changed = (_change(table, wavy_hair=(0.0, 1.0)) > 15).sum(axis=(1, 2))
    assert changed[~seen].mean() < 20


def test_hidden_by_agrees_with_visible() -> None:
    table = _table(400)
    for name in BINARY:
        without = visible(table | {name: np.zeros(400, np.float32)})
        with_it = visible(table | {name: np.ones(400, np.float32)})
        hidden = {other for other in SPECS if (without[other] & ~with_it[other]).any()}
        assert hidden_by(name) == hidden
    assert hidden_by("wearing_hat") == {"bangs", "wavy_hair"}
    assert hidden_by("smiling") == frozenset()


def test_a_hat_leaves_waves_visible_in_most_portraits() -> None:
    assert visible(_table(2000, wearing_hat=1.0))["wavy_hair"].mean() > 0.6


def _window(change: NDArray[np.int64]) -> tuple[int, int, int, int]:
    """First and last changed row and column over all portraits."""
    rows = np.flatnonzero((change > 2).any(axis=(0, 2)))
    columns = np.flatnonzero((change > 2).any(axis=(0, 1)))
    return rows[0], rows[-1], columns[0], columns[-1]


UPRIGHT = {"tilt": 0.0, "yaw": 0.0}


def test_smile_changes_the_mouth_only() -> None:
    top, bottom, left, right = _window(_change(_table(**UPRIGHT), smiling=(-1.0, 1.0)))
    assert top >= 38
    assert bottom <= 56
    assert left >= 20
    assert right <= 43


def test_glasses_change_the_eyes_only() -> None:
    top, bottom, left, right = _window(_change(_table(**UPRIGHT), eyeglasses=(0.0, 1.0)))
    assert top >= 24
    assert bottom <= 42
    assert left >= 8
    assert right <= 55


def test_mustache_leaves_eyes_and_forehead_alone() -> None:
    top, bottom, *_ = _window(_change(_table(**UPRIGHT), mustache=(0.0, 1.0)))
    assert top >= 36
    assert bottom <= 50


def test_smile_is_monotone_in_the_teeth() -> None:
    """The more of a smile, the more near-white pixels below the nose."""
    white = []
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        pixels = _pixels(_table(**UPRIGHT, smiling=value, skin_tone=0.5, mustache=0.0))
        white.append((pixels[:, 40:56, 20:44].min(axis=-1) > 215).sum(axis=(1, 2)).mean())
    assert np.all(np.diff(white) > 0)


def test_light_brightens_the_side_it_comes_from() -> None:
    pixels = {s: _pixels(_table(**UPRIGHT, light_direction=s)) for s in (-1.0, 1.0)}
    gain = (pixels[1.0] - pixels[-1.0]).mean(axis=(0, 1, 3))
    assert gain[38:46].mean() > 4
    assert gain[18:26].mean() < -4


def test_skin_darkens_with_its_tone() -> None:
    cheek = [
        _pixels(_table(**UPRIGHT, skin_tone=tone))[:, 40:44, 30:34].mean()
        for tone in (-1, -0.5, 0, 0.5, 1)
    ]
    assert np.all(np.diff(cheek) < -8)


def test_data_set_reads_any_order() -> None:
    data = Portraits(30, seed=9, size=32, start=100)
    assert isinstance(data, ImageDataset)
    assert len(data) == 30
    assert data.image_shape == (3, 32, 32)
    rows = [3, 29, 0, 4, 3]
    images = data.read(rows)
    table = sample_attributes(30, seed=9, start=100)
    expected = render(table, size=32, seed=9, start=100).numpy()
    np.testing.assert_array_equal(images, expected[rows])
    assert set(data.labels) == set(SPECS)
    for name, column in data.labels.items():
        np.testing.assert_array_equal(column.values, table[name])
        assert column.visible is not None
        np.testing.assert_array_equal(column.visible, visible(table)[name])
        assert column.classes == SPECS[name].classes


def test_description_holds_what_is_needed_to_draw_it_again() -> None:
    described = Portraits(5, seed=9, size=32, start=2).describe()
    assert described["name"] == "portraits"
    assert described["count"] == 5
    assert "seed=9" in str(described["source"])
    assert "start=2" in str(described["source"])
    assert described["image_shape"] == [3, 32, 32]
    assert described["renderer_version"]


@pytest.mark.parametrize(
    "arguments", [{"count": 0}, {"count": 5, "seed": -1}, {"count": 5, "start": -1}]
)
def test_unusable_arguments_are_a_clear_sentence(arguments: dict[str, int]) -> None:
    with pytest.raises(LatentLabError, match="Portraits need a count"):
        Portraits(**arguments)


@pytest.mark.parametrize("size", [15, 1025])
def test_unusable_size_is_a_clear_sentence(size: int) -> None:
    with pytest.raises(LatentLabError, match="16 to 1024"):
        Portraits(5, size=size)
    with pytest.raises(ValueError, match=r"16\.\.1024"):
        render(_table(1), size=size)
