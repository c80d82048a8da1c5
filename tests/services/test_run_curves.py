"""Curves of a run against plain arrays: any zoom, growth in any pieces, cuts, coarse looks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from latentlab.services.run_curves import HELD_OUT, Curves
from latentlab.services.run_table import MAX_COLUMNS, SEGMENT, Table
from latentlab.services.run_watch_protocol import Piece, Rows


def rows(steps: Any, **columns: Any) -> Rows:
    steps = np.asarray(steps, np.int64)
    values = [np.broadcast_to(np.asarray(v, np.float32), steps.shape) for v in columns.values()]
    names = tuple(name.replace("__", "/") for name in columns)
    stacked = np.stack(values) if values else np.empty((0, len(steps)), np.float32)
    return Rows(steps, 1e9 + steps * 0.5, names, stacked)


def piece(found: Rows, **values: Any) -> Piece:
    return Piece(**{"identity": "a", "offset": 10, "size": 10, "rows": found} | values)


def filled(count: int, pieces: int = 1, seed: int = 0) -> tuple[Curves, np.ndarray, np.ndarray]:
    """Return curves with irregular steps and gaps, and the same as plain arrays."""
    rng = np.random.default_rng(seed)
    steps = np.cumsum(rng.integers(1, 5, count))
    loss = rng.normal(size=count).astype(np.float32)
    loss[rng.random(count) < 0.05] = np.nan
    curves = Curves()
    for part in np.array_split(np.arange(count), pieces):
        curves.take(piece(rows(steps[part], loss=loss[part])))
    return curves, steps, loss


def brute(steps: np.ndarray, values: np.ndarray, first: float, last: float, buckets: int) -> Any:
    """The documented series, by plain loops over rows."""
    begin = max(int((steps < first).sum()) - 1, 0)
    end = min(int((steps <= last).sum()) + 1, len(steps))
    width = 1
    while end - begin > width * buckets:
        width *= 2
    found = []
    for start in range(begin // width * width, end, width):
        part = values[start : start + width]
        known = part[np.isfinite(part)].astype(np.float64)
        low, high, mean = (
            (known.min(), known.max(), known.mean()) if len(known) else (np.nan, np.nan, np.nan)
        )
        span = steps[start : start + width]
        found.append(((span[0] + span[-1]) / 2, low, high, mean))
    return np.array(found).T


@pytest.mark.parametrize("count", [1, 15, 16, 17, 1000, SEGMENT, SEGMENT + 1, 2 * SEGMENT + 777])
def test_any_zoom_has_the_extremes_and_means_of_plain_rows(count: int) -> None:
    curves, steps, loss = filled(count, pieces=min(count, 7))
    np.testing.assert_array_equal(curves.steps, steps)
    np.testing.assert_array_equal(curves.column("loss"), loss)
    rng = np.random.default_rng(1)
    views = [(-5.0, steps[-1] + 5.0), *np.sort(rng.uniform(0, steps[-1], (6, 2)), axis=1)]
    for first, last in views:
        for buckets in (1, 7, 300):
            x, low, high, mean = brute(steps, loss, first, last, buckets)
            got = curves.series("loss", first, last, buckets)
            for expected, found in zip((x, low, high), got):
                np.testing.assert_array_equal(found, expected)
            means_x, means = curves.means("loss", first, last, buckets)
            np.testing.assert_array_equal(means_x, x)
            np.testing.assert_allclose(means, mean, rtol=1e-6, atol=1e-6)
            assert len(got[0]) <= buckets + 3


def test_the_same_rows_in_any_pieces_are_the_same_curve() -> None:
    whole, steps, _ = filled(SEGMENT + 500)
    parts, *_ = filled(SEGMENT + 500, pieces=900)
    for first, last in ((0, steps[-1]), (steps[100], steps[-90])):
        for one, other in zip(
            whole.series("loss", first, last, 200), parts.series("loss", first, last, 200)
        ):
            np.testing.assert_array_equal(one, other)


def test_one_peak_among_a_million_rows_is_seen_at_every_zoom() -> None:
    count, peak = 1_000_000, 654_321
    curves = Curves()
    for start in range(0, count, 50_000):
        steps = np.arange(start, start + 50_000)
        curves.take(piece(rows(steps, loss=np.where(steps == peak, 99.0, 0.5))))
    for half in (500_000, 100_000, 3000, 40):
        x, low, high = curves.series("loss", peak - half, peak + half, 800)
        assert np.nanmax(high) == 99.0
        assert np.nanmin(low) == 0.5
        at = x[np.nanargmax(high)]
        assert abs(at - peak) <= 2 * half / 400 + 1
    # A step, a time and a loss are 20 MB; what is kept beside them for zooming is a fraction.
    assert curves.memory_bytes() < 25_000_000


def test_buckets_stay_where_they_are_while_the_view_moves() -> None:
    curves, *_ = filled(20_000)
    x, low, high = curves.series("loss", 5000, 25_000, 300)
    moved = curves.series("loss", 5003, 25_003, 300)
    shared, here, there = np.intersect1d(x, moved[0], return_indices=True)
    assert len(shared) > len(x) - 3
    np.testing.assert_array_equal(low[here], moved[1][there])
    np.testing.assert_array_equal(high[here], moved[2][there])


@pytest.mark.parametrize("kept", [0, 1, 100, SEGMENT - 1, SEGMENT, SEGMENT + 40])
def test_a_later_attempt_replaces_what_lies_beyond_its_start(kept: int) -> None:
    curves, steps, loss = filled(SEGMENT + 3000)
    cut = int(steps[kept - 1]) if kept else 0
    new = np.arange(cut + 1, cut + 4001)
    values = np.random.default_rng(5).normal(size=4000).astype(np.float32)
    curves.take(piece(rows(new, loss=values), cut=cut))
    steps, loss = np.r_[steps[:kept], new], np.r_[loss[:kept], values]
    np.testing.assert_array_equal(curves.steps, steps)
    expected = brute(steps, loss, 0, steps[-1], 150)
    for one, other in zip(curves.series("loss", 0, steps[-1], 150), expected[:3]):
        np.testing.assert_array_equal(one, other)


def test_columns_come_and_go() -> None:
    curves = Curves()
    curves.take(piece(rows([1, 2, 3], loss=1.0)))
    curves.take(piece(rows([4, 5], loss=2.0, losses__kl=0.5, grad_norm=3.0)))
    curves.take(piece(rows([6], losses__kl=0.25)))
    assert curves.names() == ["loss", "losses/kl", "grad_norm", "time"]
    np.testing.assert_array_equal(curves.column("loss"), [1, 1, 1, 2, 2, np.nan])
    expected = [np.nan, np.nan, np.nan, 0.5, 0.5, 0.25]
    np.testing.assert_array_equal(curves.column("losses/kl"), expected)
    np.testing.assert_array_equal(curves.column("time"), 1e9 + np.arange(1, 7) * 0.5)
    assert curves.column("time").dtype == np.float64
    assert np.isnan(curves.column("nothing")).all()
    assert curves.last("losses/kl") == 0.25
    assert curves.last("loss") is None
    assert curves.last("nothing") is None
    assert len(curves.series("nothing", 0, 10, 50)[0]) == len(curves)


def test_a_file_cannot_fill_the_memory_with_columns() -> None:
    table = Table()
    names = tuple(f"losses/{n}" for n in range(500))
    values = np.zeros((500, 2), np.float32)
    table.append(Rows(np.array([1, 2]), np.zeros(2), names, values))
    assert len(table.names()) == MAX_COLUMNS


def test_held_out_losses_have_steps_of_their_own() -> None:
    curves = Curves()
    curves.take(piece(rows([1, 2, 3, 4], loss=1.0), held=rows([2, 4], held_out_loss=[0.9, 0.8])))
    assert curves.names() == ["loss", HELD_OUT, "time"]
    np.testing.assert_array_equal(curves.steps_of(HELD_OUT), [2, 4])
    np.testing.assert_array_equal(curves.column(HELD_OUT), np.float32([0.9, 0.8]))
    x, low, high = curves.series(HELD_OUT, 0, 10, 100)
    np.testing.assert_array_equal(x, [2, 4])
    np.testing.assert_array_equal(low, high)
    curves.take(piece(rows([3], loss=1.5), cut=2, held=rows([3], held_out_loss=0.7)))
    np.testing.assert_array_equal(curves.column(HELD_OUT), np.float32([0.9, 0.7]))


def test_what_is_handed_out_cannot_be_written() -> None:
    curves, *_ = filled(10)
    for array in (curves.steps, curves.column("loss"), curves.column("time")):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_nothing_yet_is_no_curve() -> None:
    curves = Curves()
    assert curves.names() == []
    assert len(curves) == len(curves.steps) == 0
    assert [len(a) for a in curves.series("loss", 0, 1, 10)] == [0, 0, 0]
    assert curves.last("loss") is None
    curves.take(piece(rows([1, 2], loss=1.0)))
    assert len(curves.series("loss", 5, 1, 10)[0]) == 0
    # Outside, the nearest row alone.
    assert list(curves.series("loss", 100, 200, 10)[0]) == [2]


# A first look, then the whole.


def test_a_first_look_stays_until_the_whole_has_been_read() -> None:
    curves = Curves()
    look = piece(rows([1, 500, 999], loss=1.0), offset=0, size=100, restart=True, coarse=True)
    curves.take(look)
    assert curves.coarse
    assert not curves.complete
    seen = curves.version
    curves.take(piece(rows(np.arange(1, 501), loss=2.0), offset=50, size=100, starts=((1, 0),)))
    assert curves.version == seen
    np.testing.assert_array_equal(curves.steps, [1, 500, 999])
    curves.take(piece(rows(np.arange(501, 1001), loss=3.0), offset=100, size=100))
    assert curves.complete
    assert not curves.coarse
    assert curves.version > seen
    assert len(curves) == 1000
    assert curves.starts == ((1, 0),)


def test_a_reader_that_starts_anew_leaves_the_same_file_in_sight() -> None:
    curves = Curves()
    curves.take(piece(rows(np.arange(1, 101), loss=1.0), restart=True))
    look = piece(rows([1, 50], loss=9.0), offset=0, size=20, restart=True, coarse=True)
    curves.take(look)
    curves.take(piece(rows(np.arange(1, 51), loss=1.0), offset=10, size=20))
    assert len(curves) == 100
    assert curves.complete
    curves.take(piece(rows(np.arange(51, 121), loss=1.0), offset=20, size=20))
    assert len(curves) == 120


def test_another_run_in_the_same_place_takes_it_at_once() -> None:
    curves = Curves()
    curves.take(piece(rows(np.arange(1, 101), loss=1.0), restart=True, total_steps=100))
    new = piece(rows([1, 2], loss=5.0), restart=True, identity="b", offset=5, size=10)
    curves.take(new)
    np.testing.assert_array_equal(curves.steps, [1, 2])
    assert not curves.complete
    assert curves.total_steps == 0
