"""Where points stand: PCA against an SVD in double precision, clusters that stay together."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentlab.core.errors import LatentLabError
from latentlab.core.pointfile import write_points
from latentlab.core.points import PointSet
from latentlab.latent import components
from latentlab.latent.components import (
    axis_label,
    flat_chunks,
    picture_components,
    principal_components,
)
from latentlab.latent.layouts import (
    check_installed,
    layout_in_lane,
    narrowed,
    place_by_components,
    place_by_neighbours,
    place_by_pictures,
    seen,
    settings_of,
)


def point_set(**parts: Any) -> PointSet:
    count = len(next(iter(parts.values())))
    return PointSet("m", "f", "s", "prior", np.arange(count), parts)


def cloud(count: int, width: int, seed: int = 0, offset: float = 0.0) -> np.ndarray:
    """Points whose spread falls along mixed axes."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(width, width)))[0]
    spread = 3.0 * 0.8 ** np.arange(width)
    return (rng.normal(size=(count, width)) * spread) @ turn + offset


def svd(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Axes and shares of the variance by numpy in float64, the largest entry positive."""
    centred = rows.astype(np.float64) - rows.astype(np.float64).mean(axis=0)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:count]
    signs = np.sign(axes[np.arange(count), np.abs(axes).argmax(axis=1)])
    return axes * signs[:, None], values[:count] ** 2 / np.square(centred).sum()


@pytest.mark.parametrize("offset", [0.0, 50.0])
@pytest.mark.parametrize("chunk", [2**22, 700])
def test_components_are_those_of_an_svd(
    offset: float, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(components, "CHUNK_NUMBERS", chunk)
    rows = cloud(900, 20, offset=offset)
    found = principal_components(point_set(z=rows), 5)
    axes, shares = svd(rows, 5)
    close = 1e-8 if chunk > rows.size else 1e-3
    np.testing.assert_allclose(found.axes, axes, atol=close)
    np.testing.assert_allclose(found.shares, shares, atol=close)
    np.testing.assert_allclose(found.mean, rows.mean(axis=0), atol=1e-5)


def test_wide_latents_have_the_same_components() -> None:
    rng = np.random.default_rng(2)
    strong = rng.normal(size=(300, 6)) * [9, 6, 3, 2, 2, 1]
    rows = strong @ rng.normal(size=(6, 3000)) + 0.5 * rng.normal(size=(300, 3000)) + 1.0
    found = principal_components(point_set(z=rows.astype(np.float32)))
    axes, shares = svd(rows, 2)
    np.testing.assert_allclose(found.axes, axes, atol=2e-4)
    np.testing.assert_allclose(found.shares, shares, atol=1e-5)


def test_wide_latents_are_narrowed_to_their_best_subspace() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(200, 60)) @ rng.normal(size=(60, 1500))
    rows = rows.astype(np.float32)
    found = narrowed(point_set(z=rows))
    assert found.shape == (200, 50)
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    best = np.square(np.linalg.svd(centred, compute_uv=False)[:50]).sum()
    assert np.square(found.astype(np.float64)).sum() > 0.9999 * best


def test_the_plane_of_pca_is_in_latent_units() -> None:
    rng = np.random.default_rng(4)
    points = point_set(b=rng.normal(size=(80, 2, 3)) * 3, a=rng.normal(size=(80, 4)).astype("f2"))
    coordinates, plane = place_by_components(points)
    assert coordinates.dtype == np.float32
    assert plane.origin["b"].shape == (2, 3)
    np.testing.assert_allclose(plane.coordinates(points.parts), coordinates, atol=1e-4)
    length = sum(np.square(axis).sum() for axis in plane.x_axis.values())
    assert length == pytest.approx(1.0)
    flat = np.concatenate([*flat_chunks(points)])
    axes, shares = svd(flat, 2)
    np.testing.assert_allclose(coordinates, (flat - flat.mean(axis=0)) @ axes.T, atol=1e-4)
    assert plane.x_label == f"PC 1 ({100 * shares[0]:.0f}% of variance)"
    again, _ = place_by_components(points)
    np.testing.assert_array_equal(coordinates, again)


def test_a_small_share_keeps_a_decimal() -> None:
    assert axis_label(0, 0.123) == "PC 1 (12% of variance)"
    assert axis_label(1, 0.0131) == "PC 2 (1.3% of variance)"
    assert axis_label(0, 1.0) == "PC 1 (100% of variance)"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((2, 4)), "three points"),
        (np.zeros((9, 1)), "two latent numbers"),
        (np.ones((20, 4)), "are alike"),
    ],
)
def test_points_without_a_plane_say_so(rows: np.ndarray, message: str) -> None:
    with pytest.raises(LatentLabError, match=message):
        place_by_components(point_set(z=rows))


def clusters(count: int = 240, width: int = 70) -> tuple[PointSet, np.ndarray]:
    rng = np.random.default_rng(5)
    kind = np.arange(count) % 4
    rows = rng.normal(size=(4, width))[kind] * 3 + rng.normal(size=(count, width))
    return point_set(z=rows.astype(np.float16)), kind


def agreement(places: np.ndarray, kind: np.ndarray, neighbours: int = 5) -> float:
    """How often a point's neighbours in the plane are of its own kind."""
    away = np.linalg.norm(places[:, None].astype(np.float64) - places[None], axis=2)
    np.fill_diagonal(away, np.inf)
    near = np.argsort(away, axis=1)[:, :neighbours]
    return float((kind[near] == kind[:, None]).mean())


def test_tsne_keeps_clusters_together_and_is_the_same_twice(tmp_path: Path) -> None:
    points, kind = clusters()
    path = tmp_path / "map.safetensors"
    write_points(path, points)
    reports: list[tuple[int, int, str]] = []
    settings = settings_of("tsne", {"perplexity": 20, "iterations": 250})
    places, plane = layout_in_lane(lambda *row: reports.append(row), str(path), "tsne", settings)
    assert plane is None
    assert places.shape == (240, 2)
    assert places.dtype == np.float32
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-3)
    assert agreement(places, kind) > 0.98
    again = place_by_neighbours(points, "tsne", settings)
    np.testing.assert_array_equal(places, again)
    other = place_by_neighbours(points, "tsne", settings | {"perplexity": 5.0})
    assert not np.array_equal(places, other)
    done = [row for row in reports if "KL divergence" in row[2]]
    assert [row[0] for row in done] == sorted(row[0] for row in done)
    assert done[-1][:2] == (500, 500)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["umap", "pacmap"])
def test_the_other_methods_keep_clusters_together(method: str) -> None:
    for module in ("umap", "pacmap"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    points, kind = clusters()
    reports: list[tuple[int, int, str]] = []
    places = place_by_neighbours(
        points, method, settings_of(method, {"seed": 3}), lambda *row: reports.append(row)
    )
    assert places.shape == (240, 2)
    assert np.isfinite(places).all()
    assert agreement(places, kind) > 0.98
    again = place_by_neighbours(points, method, settings_of(method, {"seed": 3}))
    np.testing.assert_array_equal(places, again)
    assert max(done / total for done, total, _ in reports) > 0.9


def test_few_or_equal_points_say_so() -> None:
    rows = np.random.default_rng(0).normal(size=(9, 3))
    with pytest.raises(LatentLabError, match="t-SNE needs at least 10 points, not 9"):
        place_by_neighbours(point_set(z=rows), "tsne", settings_of("tsne", None))
    with pytest.raises(LatentLabError, match="are alike"):
        place_by_neighbours(point_set(z=np.ones((30, 3))), "tsne", settings_of("tsne", None))


def test_ten_points_are_enough() -> None:
    rows = np.random.default_rng(0).normal(size=(10, 3))
    settings = settings_of("tsne", {"perplexity": 500, "iterations": 250})
    places = place_by_neighbours(point_set(z=rows), "tsne", settings)
    assert np.isfinite(places).all()


def with_pictures(rows: np.ndarray, turn: np.ndarray) -> PointSet:
    return PointSet(
        "m",
        "f",
        "s",
        "prior",
        np.arange(len(rows)),
        {"z": rows},
        picture_map=turn.astype(np.float32),
    )


def test_picture_axes_follow_what_changes_the_picture_not_what_spreads() -> None:
    """z0 spreads most and is not seen; z3 is seen most, then z1: closed form for independent z."""
    spread = np.array([9.0, 1.0, 1.0, 2.0])
    rows = np.random.default_rng(0).normal(size=(4000, 4)) * spread + 5
    turn = np.array([[0, 0, 0, 3.0], [0, 2.0, 0, 0]])
    points = with_pictures(rows, turn)
    found = picture_components(points)
    np.testing.assert_allclose(found.axes, [[0, 0, 0, 2.0], [0, 1.0, 0, 0]], atol=0.35)
    np.testing.assert_allclose(found.axes[[0, 1], [3, 1]], [2, 1], rtol=0.03)
    np.testing.assert_allclose(found.shares, [36 / 40, 4 / 40], atol=0.01)
    np.testing.assert_allclose(found.duals @ found.axes.T, np.eye(2), atol=1e-9)
    places, plane = place_by_pictures(points)
    np.testing.assert_allclose(places.std(axis=0), 1, rtol=1e-4)
    assert np.corrcoef(places[:, 0], rows[:, 3])[0, 1] > 0.999
    assert np.corrcoef(places[:, 1], rows[:, 1])[0, 1] > 0.999
    # A place of the plane has the picture coordinates that it stands at.
    at = plane.latents([[0.5, -1.5]])
    np.testing.assert_allclose(plane.coordinates(at), [[0.5, -1.5]], atol=1e-4)
    np.testing.assert_allclose(seen(points), rows @ turn.T, rtol=1e-4)


def test_points_that_do_not_know_their_pictures_say_so() -> None:
    with pytest.raises(LatentLabError, match="choose PCA"):
        place_by_pictures(point_set(z=cloud(50, 4)))


@pytest.mark.skipif(importlib.util.find_spec("openTSNE") is None, reason="no openTSNE")
def test_neighbours_are_those_of_the_pictures_unless_latents_are_asked_for() -> None:
    """Two clusters that only a quiet axis tells apart, beside loud axes that no picture shows."""
    rng = np.random.default_rng(0)
    kind = np.arange(300) % 2
    rows = rng.normal(size=(300, 6)) * 5
    rows[:, 0] = kind * 2 + rng.normal(size=300) * 0.1
    turn = np.zeros((2, 6))
    turn[0, 0], turn[1, 1] = 1.0, 0.01
    points = with_pictures(rows.astype(np.float32), turn)

    def agreement(settings: dict[str, float]) -> float:
        places = place_by_neighbours(points, "tsne", settings_of("tsne", settings))
        away = np.square(places[:, None] - places[None]).sum(2) + 1e9 * np.eye(300)
        return float((kind[away.argsort(1)[:, :5]] == kind[:, None]).mean())

    assert agreement({"iterations": 250}) > 0.98
    assert agreement({"iterations": 250, "latent_distance": 1}) < 0.8


def test_settings_are_checked() -> None:
    assert settings_of("pca", None) == {}
    assert settings_of("tsne", {"perplexity": 12}) == {
        "perplexity": 12.0,
        "iterations": 750,
        "latent_distance": 0,
        "seed": 0,
    }
    for method, given, message in (
        ("tnse", {}, "no method 'tnse'.*tsne"),
        ("tsne", {"perplexty": 3}, "no setting 'perplexty'.*perplexity"),
        ("tsne", {"perplexity": 1}, "a number from 2 to 500, not 1"),
        ("tsne", {"perplexity": float("nan")}, "not nan"),
        ("tsne", {"seed": 1.5}, "a whole number"),
        ("umap", {"n_neighbors": "many"}, "not many"),
        ("pca", {"seed": 1}, "PCA has no setting"),
    ):
        with pytest.raises(LatentLabError, match=message):
            settings_of(method, given)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "umap" else found(name)
    )
    with pytest.raises(LatentLabError, match=r'UMAP needs.*pip install "latentlab\[manifold\]"'):
        check_installed("umap")
    assert settings_of("tsne", None)["perplexity"] == 30.0
